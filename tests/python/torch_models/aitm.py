"""AITM (Xi et al., KDD 2021): information transfer from the task before, and a calibrator."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mlp

MODELS = [{"preset": "aitm", "tower_units": [8, 5]}]
CALIBRATOR = 0.6


class Transfer(nn.Module):
    """z_t from z_{t-1} and q_t."""

    def __init__(self, weights, name, place):
        super().__init__()
        self.hand_on = Dense(weights, f"{name}.pass", place)
        self.value, self.key, self.query = (Dense(weights, f"{name}.{part}", place, False) for part in ("value", "key", "query"))

    def forward(self, before, own):
        u = torch.stack([torch.relu(self.hand_on(before)), own], dim=1)
        scores = (self.key(u) * self.query(u)).sum(dim=2) / own.shape[1] ** 0.5
        return (torch.softmax(scores, dim=1)[:, :, None] * self.value(u)).sum(dim=1)


class Network(parts.Network):
    """A chain of towers per scenario."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        heads = range(self.scenarios * len(TASKS))
        self.towers = nn.ModuleList(Mlp(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)
        self.logits = nn.ModuleList(Dense(weights, "task.tower.logit", (head,)) for head in heads)
        self.transfers = nn.ModuleList(Transfer(weights, "task.transfer0", (m,)) for m in range(self.scenarios))

    def forward(self, ids, scenario):
        x = self.read(ids)
        logits = []
        for m, transfer in enumerate(self.transfers):
            click, order = (self.towers[m * len(TASKS) + task](x) for task in range(len(TASKS)))
            order = transfer(click, order)
            logits += [self.logits[m * len(TASKS) + task](z)[:, 0] for task, z in enumerate((click, order))]
        return torch.sigmoid(self.of_own(logits, scenario))

    def loss(self, ids, scenario, labels, weights, step_seed):
        click, order = self(ids, scenario).unbind(1)
        excess = (weights * torch.relu(order - click)).sum()
        return super().loss(ids, scenario, labels, weights, step_seed) + CALIBRATOR * excess
