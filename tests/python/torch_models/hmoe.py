"""HMoE (Li et al., CIKM 2020): a row's score is a mixture of what the towers of all scenarios say of it."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mixture, Mlp, Tower

OPTIONS = {"preset": "hmoe", "experts": 3, "expert_units": [9, 6], "tower_units": [5]}
MODELS = [OPTIONS, {**OPTIONS, "mix_stop_gradient": False}]


class Network(parts.Network):
    """Shared experts; a gate, a tower and weights over scenarios for each task of each scenario."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.stops = options.get("mix_stop_gradient", True)
        layers = len(options["expert_units"])
        experts = nn.ModuleList(Mlp(weights, "task.expert", (k,), layers) for k in range(options["experts"]))
        heads = range(self.scenarios * len(TASKS))
        self.mixtures = nn.ModuleList(Mixture(Dense(weights, "task.gate", (head,), False), experts) for head in heads)
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)
        self.mixes = nn.ModuleList(Dense(weights, "task.mix", (head,), False) for head in heads)

    def forward(self, ids, scenario):
        x = self.read(ids)
        scores = [torch.sigmoid(tower(mixture(x))) for tower, mixture in zip(self.towers, self.mixtures)]
        mixed = []
        for head, mix in enumerate(self.mixes):
            own, task = divmod(head, len(TASKS))
            of_task = [score if m == own or not self.stops else score.detach() for m, score in enumerate(scores[task :: len(TASKS)])]
            mixed.append((torch.softmax(mix(x), dim=1) * torch.stack(of_task, dim=1)).sum(dim=1))
        return self.of_own(mixed, scenario)
