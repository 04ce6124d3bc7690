"""M3oE (Zhang et al., SIGIR 2024): shared, scenario and task experts, and learnt weights of own beside others."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Tower

MODELS = [{"preset": "m3oe", "transform_width": 9, "experts": 3, "expert_units": [8, 6], "tower_units": [5]}]


class Expert(nn.Module):
    """Linear, layer norm, ReLU, layer by layer."""

    def __init__(self, weights, name, place, layers):
        super().__init__()
        self.layers = nn.ModuleList(Dense(weights, f"{name}.{layer}", (place,)) for layer in range(layers))
        norms = [f"{name}.{layer}.norm" for layer in range(layers)]
        self.gains = nn.ParameterList(weights[f"{norm}.gain"][place].clone() for norm in norms)
        self.biases = nn.ParameterList(weights[f"{norm}.bias"][place].clone() for norm in norms)

    def forward(self, x):
        for layer, gain, bias in zip(self.layers, self.gains, self.biases):
            x = layer(x)
            x = torch.relu(nn.functional.layer_norm(x, x.shape[1:], gain, bias, 1e-5))
        return x


class Network(parts.Network):
    """A star-like transform of the input under the three kinds of experts."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.centre, self.skip = Dense(weights, "scenario.centre.transform", ()), Dense(weights, "scenario.skip", ())
        self.star = nn.ModuleList(Dense(weights, "scenario.star.transform", (m,)) for m in range(self.scenarios))
        layers = len(options["expert_units"])
        kinds = [("expert", options["experts"]), ("scenario_expert", self.scenarios), ("task_expert", len(TASKS))]
        self.experts = nn.ModuleDict(
            {kind: nn.ModuleList(Expert(weights, f"task.{kind}", k, layers) for k in range(count)) for kind, count in kinds}
        )
        names = ["scenario_own", "task_own", "scenario", "task"]
        self.balance = nn.ParameterDict({name: nn.Parameter(weights[f"task.balance.{name}"].clone()) for name in names})
        heads = range(self.scenarios * len(TASKS))
        self.gates = nn.ModuleList(Dense(weights, "task.gate", (head,), False) for head in heads)
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), 1) for head in heads)

    def balanced(self, name, all, own):
        weight = torch.sigmoid(self.balance[name])
        others = [expert for k, expert in enumerate(all) if k != own]
        return weight * all[own] + (1 - weight) * sum(others) / len(others)

    def forward(self, ids, scenario):
        x = self.read(ids)
        stars = [x @ (self.centre.weight * star.weight) + self.centre.bias + star.bias for star in self.star]
        x = torch.stack(stars)[scenario, torch.arange(len(x))] + self.skip(x)
        made = {kind: [expert(x) for expert in experts] for kind, experts in self.experts.items()}
        of_scenario, of_task = torch.sigmoid(self.balance["scenario"]), torch.sigmoid(self.balance["task"])
        logits = []
        for head, (gate, tower) in enumerate(zip(self.gates, self.towers)):
            weights = torch.softmax(gate(x.detach()), dim=1)
            mixed = sum(weights[:, [k]] * expert for k, expert in enumerate(made["expert"]))
            mixed = mixed + of_scenario * self.balanced("scenario_own", made["scenario_expert"], head // len(TASKS))
            mixed = mixed + of_task * self.balanced("task_own", made["task_expert"], head % len(TASKS))
            logits.append(tower(mixed))
        return torch.sigmoid(self.of_own(logits, scenario))
