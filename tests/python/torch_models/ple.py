"""PLE (Tang et al., RecSys 2020), and CGC, its level, over the embeddings of all tasks of all scenarios."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mlp, Tower

OPTIONS = {"shared": 3, "specific": 2, "tower_units": [5]}
MODELS = [
    {"preset": "ple", **OPTIONS, "expert_units": [9, 7]},
    {"preset": "ple", **OPTIONS, "expert_units": [7], "cgc_levels": 3},
    {"preset": "hinet_flat", **OPTIONS, "expert_units": [9, 7]},
]


def mix(gate, x, experts):
    """What a gate that reads x makes of experts."""
    weights = torch.softmax(gate(x), dim=1)
    return sum(weights[:, [k]] * expert for k, expert in enumerate(experts))


class Level(nn.Module):
    """Experts of each head and shared ones; a gate per head and, below other levels, one of the shared path in each scenario."""

    def __init__(self, weights, scenarios, options, level, last):
        super().__init__()
        name, layers = f"task.level{level}", len(options["expert_units"])
        if level > 0:
            weights = parts.apart(weights, f"{name}.specific", options["specific"])
        experts = lambda kind, place, count: nn.ModuleList(Mlp(weights, f"{name}.{kind}", (*place, k), layers) for k in range(count))
        heads = range(scenarios * len(TASKS))
        self.shared = experts("shared", (), options["shared"])
        self.specific = nn.ModuleList(experts("specific", (head,), options["specific"]) for head in heads)
        self.gates = nn.ModuleList(Dense(weights, f"{name}.gate", (head,)) for head in heads)
        self.paths = nn.ModuleList(Dense(weights, f"{name}.shared_gate", (m,)) for m in range(0 if last else scenarios))

    def forward(self, m, of_tasks, path):
        """From what the tasks of a scenario read and what shared experts read, the same for the next level."""
        shared, specific, mixed = [expert(path) for expert in self.shared], [], []
        for head, x in enumerate(of_tasks, m * len(TASKS)):
            own = [expert(x) for expert in self.specific[head]]
            specific += own
            mixed.append(mix(self.gates[head], x, own + shared))
        return mixed, mix(self.paths[m], path, specific + shared) if self.paths else None


class Network(parts.Network):
    """Levels, then towers."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        levels = 1 if options["preset"] == "hinet_flat" else options.get("cgc_levels", 2)
        self.levels = nn.ModuleList(Level(weights, self.scenarios, options, level, level + 1 == levels) for level in range(levels))
        heads = range(self.scenarios * len(TASKS))
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)

    def forward(self, ids, scenario):
        x, mixed = self.read(ids), []
        for m in range(self.scenarios):
            of_tasks, path = [x] * len(TASKS), x
            for level in self.levels:
                of_tasks, path = level(m, of_tasks, path)
            mixed += of_tasks
        return torch.sigmoid(self.of_own((tower(h) for tower, h in zip(self.towers, mixed)), scenario))
