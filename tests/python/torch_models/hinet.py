"""HiNet (Zhou et al., ICDE 2023)."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mixture, Mlp

MODELS = [
    {
        "preset": "hinet", "sub_experts": 2, "shared_sub_experts": 3, "units": [12, 6], "scenario_dim": 5, "san_hidden": [7],
        "shared": 2, "specific": 2, "expert_units": [10], "tower_units": [6],
    }
]


class San(nn.Module):
    """The scenario-aware attention: a softmax over the other scenarios, from the scenario's embedding."""

    def __init__(self, weights, options):
        super().__init__()
        self.embedding = nn.Parameter(weights["scenario.san.embedding"].clone())
        self.hidden = Mlp(weights, "scenario.san", (), len(options["san_hidden"]))
        self.logits = Dense(weights, "scenario.san.logits", ())

    def forward(self):
        logits = self.logits(self.hidden(self.embedding))
        return torch.softmax(logits.masked_fill(torch.eye(len(logits), dtype=torch.bool), -torch.inf), dim=-1)


class Network(parts.Network):
    """Scenario layer (shared SEI, an SEI per scenario, SAN) and task layer (CGC per scenario and task)."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.options = options
        self.shared = self.sei(weights, "scenario.shared", (), options["shared_sub_experts"])
        self.specific = nn.ModuleList(
            self.sei(weights, "scenario.specific", (m,), options["sub_experts"]) for m in range(self.scenarios)
        )
        self.san = San(weights, options)
        self.pool = nn.ModuleList(Mlp(weights, "task.level0.shared", (k,), 1) for k in range(options["shared"]))
        self.heads = nn.ModuleList(self.head(weights, number) for number in range(self.scenarios * len(TASKS)))

    def sei(self, weights, name, expert, count):
        experts = [Mlp(weights, name, (*expert, k), len(self.options["units"])) for k in range(count)]
        return Mixture(Dense(weights, f"{name}.gate", expert), experts)

    def head(self, weights, number):
        """That of a task in a scenario: gated experts and a tower."""
        own = [Mlp(weights, "task.level0.specific", (number, k), 1) for k in range(self.options["specific"])]
        gated = Mixture(Dense(weights, "task.level0.gate", (number,)), [*own, *self.pool])
        return nn.Sequential(gated, parts.Tower(weights, "task.tower", (number,), 1))

    def forward(self, ids, scenario):
        x = self.read(ids)
        specific = torch.stack([expert(x) for expert in self.specific])
        attended = torch.einsum("bm,mbh->bh", self.san()[scenario], specific)
        own = specific[scenario, torch.arange(len(x))]
        c = torch.cat([self.shared(x), own, attended], dim=1)
        return torch.sigmoid(self.of_own((head(c) for head in self.heads), scenario))
