"""AESM2 (Zou et al., SIGIR 2022): experts selected by how near their gates' distribution over owners is to one owner, or to all."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mlp, Tower

MODELS = [
    {
        "preset": "aesm2", "scenario_dim": 4, "select_experts": 6, "units": [9, 6], "select_divergence": 0.3,
        "indicator_scenario_dim": 3, "indicator_task_dim": 5, "experts": 5, "expert_units": [7], "task_divergence": 0.2, "tower_units": [5],
    }
]  # fmt: skip
SPECIFIC = SHARED = 2


def select(gates, own):
    """From gates of all owners, ``[owners, rows, experts]``, the own one's weights of what is selected, and the divergences."""
    owners, rows, experts = gates.shape
    p = torch.softmax(gates, dim=0) + 1e-9
    place = torch.arange(rows)
    to_own = -p.log()[own, place]
    to_all = (-p.log()).mean(dim=0) - torch.tensor(float(owners)).double().log()
    kept, divergence = torch.zeros(rows, experts, dtype=torch.bool), 0.0
    for distances, count in ((to_own, SPECIFIC), (to_all, SHARED)):
        nearest = distances.topk(count, dim=1, largest=False)
        kept.scatter_(1, nearest.indices, True)
        divergence = divergence + nearest.values.mean()
    return torch.softmax(gates[own, place].masked_fill(~kept, -torch.inf), dim=1), divergence


class Network(parts.Network):
    """Selection for scenarios, and over what it gives for tasks."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.options = options
        self.scenario, self.of_scenario, self.tasks = (
            nn.Parameter(weights[name].clone())
            for name in ("scenario.indicator.embedding", "task.indicator.embedding", "task.indicator.task")
        )
        below, above = range(options["select_experts"]), range(options["experts"])
        self.below = nn.ModuleList(Mlp(weights, "scenario.expert", (k,), len(options["units"])) for k in below)
        self.above = nn.ModuleList(Mlp(weights, "task.expert", (k,), len(options["expert_units"])) for k in above)
        gates = lambda name, count, bias=True: nn.ModuleList(Dense(weights, name, (k,), bias) for k in range(count))
        self.row_gates = gates("scenario.gate.0", self.scenarios)
        self.scenario_gates = gates("scenario.gate.scenario", self.scenarios, False)
        self.task_gates = nn.ModuleList(
            gates(f"task.gate.{part}", len(TASKS), part == "0") for part in ("0", "scenario", "task")
        )
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (task,), 1) for task in range(len(TASKS)))

    def both(self, ids, scenario):
        x, indicator = self.read(ids), self.scenario[scenario]
        gates = [of_row(x) + of_scenario(indicator) for of_row, of_scenario in zip(self.row_gates, self.scenario_gates)]
        weights, divergence = select(torch.stack(gates), scenario)
        divergence = self.options["select_divergence"] * divergence
        x = sum(weights[:, [k]] * expert(x) for k, expert in enumerate(self.below))
        experts, logits = [expert(x) for expert in self.above], []
        for number, (task, tower) in enumerate(zip(self.tasks, self.towers)):
            read = (x, self.of_scenario[scenario], task.expand(len(x), -1))
            gates = [sum(gate(value) for gate, value in zip(gates, read)) for gates in zip(*self.task_gates)]
            weights, of_task = select(torch.stack(gates), torch.full((len(x),), number))
            divergence = divergence + self.options["task_divergence"] * of_task / len(TASKS)
            logits.append(tower(sum(weights[:, [k]] * expert for k, expert in enumerate(experts))))
        return torch.sigmoid(torch.stack(logits, dim=1)), divergence

    def forward(self, ids, scenario):
        return self.both(ids, scenario)[0]

    def loss(self, ids, scenario, labels, weights, step_seed):
        return super().loss(ids, scenario, labels, weights, step_seed) + self.both(ids, scenario)[1]
