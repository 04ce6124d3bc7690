"""MMoE and, with one gate for all, OMoE (both Ma et al., KDD 2018)."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mlp, Tower

OPTIONS = {"experts": 3, "expert_units": [9, 6], "tower_units": [5]}
MODELS = [{"preset": "mmoe", **OPTIONS}, {"preset": "mmoe", **OPTIONS, "mmoe_gate_bias": True}, {"preset": "omoe", **OPTIONS}]


class Network(parts.Network):
    """Experts that all share, weighed by a gate for each task of each scenario."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        layers = len(options["expert_units"])
        self.experts = nn.ModuleList(Mlp(weights, "task.expert", (k,), layers) for k in range(options["experts"]))
        heads = range(self.scenarios * len(TASKS))
        gates = [()] if options["preset"] == "omoe" else [(head,) for head in heads]
        self.gates = nn.ModuleList(Dense(weights, "task.gate", gate, options.get("mmoe_gate_bias", False)) for gate in gates)
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)

    def logits_of(self, x, ids, scenario):
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        mixed = [torch.einsum("bk,bkh->bh", torch.softmax(gate(x), dim=1), experts) for gate in self.gates]
        return self.of_own((tower(mixed[head % len(mixed)]) for head, tower in enumerate(self.towers)), scenario)

    def forward(self, ids, scenario):
        return torch.sigmoid(self.logits_of(self.read(ids), ids, scenario))
