"""STAR (Sheng et al., CIKM 2021): partitioned normalisation, a star of networks, an auxiliary network."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Norm

MODELS = [{"preset": "star", "star_units": [9, 6], "aux_width": 7, "aux_scenario_dim": 4}]


class Network(parts.Network):
    """A star and an auxiliary network for each task."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.norm = Norm(weights, "scenario.norm")
        names = ("gain", "own_gain", "bias", "own_bias")
        self.affine = nn.ParameterDict({name: nn.Parameter(weights[f"scenario.norm.{name}"].clone()) for name in names})
        names = [*map(str, range(len(options["star_units"]))), "logit"]
        banks = lambda kind, owners: nn.ModuleList(
            nn.ModuleList(Dense(weights, f"task.{kind}.{name}", (owner,)) for name in names) for owner in range(owners)
        )
        self.centres, self.stars = banks("centre", len(TASKS)), banks("star", self.scenarios * len(TASKS))
        self.embedding = nn.Parameter(weights["task.aux.embedding"].clone())
        each = lambda name, bias=True: nn.ModuleList(Dense(weights, f"task.aux.{name}", (task,), bias) for task in range(len(TASKS)))
        self.of_row, self.of_scenario, self.out = each("0"), each("scenario", False), each("logit")

    def star(self, x, centre, own):
        for number, (shared, layer) in enumerate(zip(centre, own)):
            x = x @ (shared.weight * layer.weight) + shared.bias + layer.bias
            x = torch.relu(x) if number + 1 < len(own) else x
        return x[:, 0]

    def auxiliary(self, x, scenario):
        e = self.embedding[scenario]
        layers = zip(self.of_row, self.of_scenario, self.out)
        return torch.cat([out(torch.relu(of_row(x) + of_scenario(e))) for of_row, of_scenario, out in layers], dim=1)

    def forward(self, ids, scenario):
        x = self.norm(self.read(ids), scenario, self.learning)
        x = x * (self.affine["gain"] * self.affine["own_gain"])[scenario] + (self.affine["bias"] + self.affine["own_bias"])[scenario]
        stars = (self.star(x, self.centres[head % len(TASKS)], own) for head, own in enumerate(self.stars))
        return torch.sigmoid(self.of_own(stars, scenario) + self.auxiliary(x, scenario))
