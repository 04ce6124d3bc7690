"""DBMTL (Wang et al., 2019): a task reads the relation networks of those it depends on."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mlp

MODELS = [{"preset": "dbmtl", "bottom_units": [10], "tower_units": [8], "relation_units": [6, 5]}]


class Network(parts.Network):
    """A bottom that all share, and for each scenario towers and relation networks along the tasks."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.bottom = Mlp(weights, "task.bottom", (), len(options["bottom_units"]))
        heads = range(self.scenarios * len(TASKS))
        self.towers = nn.ModuleList(Mlp(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)
        self.logits = nn.ModuleList(Dense(weights, "task.tower.logit", (head,)) for head in heads)
        layers = len(options["relation_units"])
        self.relations = nn.ModuleList(
            Mlp(weights, f"task.relation{head % len(TASKS)}", (head // len(TASKS),), layers) for head in heads
        )

    def forward(self, ids, scenario):
        hidden = self.bottom(self.read(ids))
        logits = []
        for m in range(self.scenarios):
            related = []
            for head in range(m * len(TASKS), (m + 1) * len(TASKS)):
                related.append(self.relations[head](torch.cat([self.towers[head](hidden), *related], dim=1)))
                logits.append(self.logits[head](related[-1])[:, 0])
        return torch.sigmoid(self.of_own(logits, scenario))
