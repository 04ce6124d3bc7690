"""SAR-Net's debias experts (Shen et al., CIKM 2021), without behaviour sequences."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mixture, Mlp, Tower

MODELS = [{"preset": "sarnet", "scenario_experts": 2, "shared_experts": 3, "units": [9, 6], "tower_units": [5]}]


class Network(parts.Network):
    """Each scenario transforms the input and mixes its own experts with shared ones."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.gain, self.bias = (nn.Parameter(weights[f"scenario.transform.{name}"].clone()) for name in ("gain", "bias"))
        count, layers = options["scenario_experts"], len(options["units"])
        weights = parts.apart(weights, "scenario.specific", count)
        shared = [Mlp(weights, "scenario.shared", (k,), layers) for k in range(options["shared_experts"])]
        self.mixtures = nn.ModuleList(
            Mixture(
                Dense(weights, "scenario.gate", (m,)),
                [*(Mlp(weights, "scenario.specific", (m, k), layers) for k in range(count)), *shared],
            )
            for m in range(self.scenarios)
        )
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (task,), 1) for task in range(len(TASKS)))

    def forward(self, ids, scenario):
        x = self.read(ids)
        mixed = torch.stack([mixture(x * self.gain[m] + self.bias[m]) for m, mixture in enumerate(self.mixtures)])
        mixed = mixed[scenario, torch.arange(len(x))]
        return torch.sigmoid(torch.stack([tower(mixed) for tower in self.towers], dim=1))
