"""PEPNet (Chang et al., KDD 2023): EPNet gates the embeddings by the scenario, PPNet the towers by user and item."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense

OPTIONS = {"preset": "pepnet", "scenario_dim": 5, "ep_gate_width": 9, "pp_gate_width": 7, "tower_units": [8, 6]}
MODELS = [{**OPTIONS, "priors": ["item_id", "user_id"]}, {**OPTIONS, "priors": []}]


class Epnet(nn.Module):
    """Twice a sigmoid of two layers over the scenario's embedding and the row, through which the row learns nothing."""

    def __init__(self, weights):
        super().__init__()
        self.embedding = nn.Parameter(weights["scenario.gate.embedding"].clone())
        self.of_row, self.out = Dense(weights, "scenario.gate.0", ()), Dense(weights, "scenario.gate.1", ())
        self.of_scenario = Dense(weights, "scenario.gate.scenario", (), False)

    def forward(self, x, scenario):
        hidden = torch.relu(self.of_scenario(self.embedding[scenario]) + self.of_row(x.detach()))
        return 2 * torch.sigmoid(self.out(hidden)) * x


class Network(parts.Network):
    """Towers of tasks; before each layer, its input times a gate."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.epnet, self.priors = Epnet(weights), options["priors"]
        names = [*map(str, range(len(options["tower_units"]))), "logit"]
        self.hidden = nn.ModuleList(Dense(weights, f"task.gate.{layer}.hidden", ()) for layer in range(len(names)))
        self.gates = nn.ModuleList(
            nn.ModuleList(Dense(weights, f"task.gate.{layer}.out", (task,)) for layer in range(len(names)))
            for task in range(len(TASKS))
        )
        self.towers = nn.ModuleList(
            nn.ModuleList(Dense(weights, f"task.tower.{name}", (task,)) for name in names) for task in range(len(TASKS))
        )

    def forward(self, ids, scenario):
        x = self.epnet(self.read(ids), scenario)
        priors = [self.tables[table][ids[feature]] for feature, table in self.slots if feature in self.priors]
        known = torch.cat([*priors, x.detach()], dim=1)
        logits = []
        for tower, gates in zip(self.towers, self.gates):
            h = x
            for number, (layer, hidden, gate) in enumerate(zip(tower, self.hidden, gates)):
                h = layer(2 * torch.sigmoid(gate(torch.relu(hidden(known)))) * h)
                h = torch.relu(h) if number + 1 < len(tower) else h
            logits.append(h[:, 0])
        return torch.sigmoid(torch.stack(logits, dim=1))
