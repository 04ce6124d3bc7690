"""Logistic regression: for each task a weight of each id and of each number, and a bias."""

import torch
from torch import nn

from . import parts

MODELS = [{"preset": "logistic"}]


class Network(parts.Network):
    """First-order terms and nothing else."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.weight, self.bias = (nn.Parameter(weights[name].clone()) for name in ("first_order.numbers.weight", "task.bias"))

    def forward(self, ids, scenario):
        numbers = torch.cat([ids[feature] for feature in self.numbers], dim=1)
        return torch.sigmoid(self.first_order(ids, numbers, self.weight) + self.bias)
