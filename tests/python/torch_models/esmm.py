"""ESMM (Ma et al., SIGIR 2018): pCTCVR = pCTR * pCVR."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Mlp, Tower

MODELS = [{"preset": "esmm", "bottom_units": [10], "tower_units": [8, 4]}]


class Network(parts.Network):
    """A tower per scenario and step of the funnel, over a bottom that all share."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.bottom = Mlp(weights, "task.bottom", (), len(options["bottom_units"]))
        heads = range(self.scenarios * len(TASKS))
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)

    def steps(self, ids, scenario):
        """pCTR and pCVR."""
        hidden = self.bottom(self.read(ids))
        return torch.sigmoid(self.of_own((tower(hidden) for tower in self.towers), scenario))

    def forward(self, ids, scenario):
        return torch.cumprod(self.steps(ids, scenario), dim=1)
