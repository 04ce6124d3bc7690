"""A tower for each task of each scenario: over a bottom that all share (Shared-Bottom, Caruana 1997), or over the embeddings, of
shared tables or of tables of their own."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Mlp, Tower

MODELS = [
    {"preset": "shared_bottom", "bottom_units": [10, 7], "tower_units": [6]},
    {"preset": "towers", "tower_units": [8, 5]},
    {"preset": "single", "tower_units": [8, 5]},
    {"preset": "single_task", "tower_units": [8, 5]},
    {"preset": "single_scenario", "bottom_units": [10], "tower_units": [6]},
]


class Network(parts.Network):
    """Who has a network of its own, tables included, is told by the preset's name."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        preset = options["preset"]
        self.tasks = [task["name"] for task in layout["tasks"]]
        self.tables_of_task, self.tables_of_scenario = preset in ("single", "single_task"), preset in ("single", "single_scenario")
        layers, scenarios = len(options.get("bottom_units", [])), range(self.scenarios)
        bottoms = [(m,) for m in scenarios] if preset == "single_scenario" else [()]
        self.bottoms = nn.ModuleList(Mlp(weights, "task.bottom", place, layers) for place in bottoms)
        owners = 1 if preset == "single_task" else self.scenarios
        heads = range(owners * len(TASKS))
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)

    def read_as(self, ids, m, task):
        """What a task of a scenario reads: tables of scenarios are parts of one, in turn."""
        of = f"/{self.tasks[task]}" if self.tables_of_task else ""
        tables = {table: self.tables[f"{table}{of}"] for _, table in self.slots}
        if self.tables_of_scenario:
            tables = {name: table.chunk(self.scenarios)[m] for name, table in tables.items()}
        return self.read(ids, tables)

    def forward(self, ids, scenario):
        logits = []
        for m in range(self.scenarios):
            for task in range(len(TASKS)):
                hidden = self.bottoms[m % len(self.bottoms)](self.read_as(ids, m, task))
                logits.append(self.towers[(m * len(TASKS) + task) % len(self.towers)](hidden))
        return torch.sigmoid(self.of_own(logits, scenario))
