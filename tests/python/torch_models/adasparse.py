"""AdaSparse (Yang et al., CIKM 2022): before every layer a pruner, told the scenario, weighs each neuron or leaves it out."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Tower

OPTIONS = {"preset": "adasparse", "scenario_dim": 4, "units": [10, 6], "tower_units": [5], "prune_alpha": 2.0, "prune_threshold": 0.5}
MODELS = [{**OPTIONS, "pruning": pruning} for pruning in ("binarise", "scale", "fuse")]
BETA = 2.0


class Network(parts.Network):
    """A step from v to what counts has the gradient of v."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.options, layers = options, len(options["units"])
        self.embedding = nn.Parameter(weights["scenario.prune.embedding"].clone())
        pruners = range(layers + 1)
        self.of_row = nn.ModuleList(Dense(weights, f"scenario.prune.{layer}", ()) for layer in pruners)
        self.of_scenario = nn.ModuleList(Dense(weights, f"scenario.prune.{layer}.scenario", (), False) for layer in pruners)
        self.layers = nn.ModuleList(Dense(weights, f"scenario.layer.{layer}", ()) for layer in range(layers))
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (task,), 1) for task in range(len(TASKS)))

    def factors(self, u):
        alpha, threshold = self.options["prune_alpha"], self.options["prune_threshold"]
        if self.options["pruning"] == "scale":
            return BETA * torch.sigmoid(u)
        if self.options["pruning"] == "binarise":
            soft = torch.sigmoid(alpha * u)
            hard = (soft > threshold).to(u)
        else:
            soft = BETA * torch.sigmoid(alpha * u)
            hard = torch.where(soft > threshold, soft, 0.0)
        return hard.detach() + soft - soft.detach()

    def forward(self, ids, scenario):
        h = self.read(ids)
        for layer, (of_row, of_scenario) in enumerate(zip(self.of_row, self.of_scenario)):
            h = self.factors(of_row(h) + of_scenario(self.embedding[scenario])) * h
            h = torch.relu(self.layers[layer](h)) if layer < len(self.layers) else h
        return torch.sigmoid(torch.stack([tower(h) for tower in self.towers], dim=1))
