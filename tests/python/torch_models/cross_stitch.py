"""Cross-stitch networks (Misra et al., CVPR 2016): columns of layers, mixed after each layer."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Mlp, Tower

OPTIONS = {"preset": "cross_stitch", "column_units": [10, 6], "tower_units": [4]}
MODELS = [OPTIONS, {**OPTIONS, "stitch_per_unit": True}]


class Network(parts.Network):
    """Columns are those of the tasks, for all scenarios; towers those of tasks of scenarios."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        layers = range(len(options["column_units"]))
        self.columns = nn.ModuleList(Mlp(weights, "task.column", (task,), len(layers)) for task in range(len(TASKS)))
        self.alphas = nn.ParameterList(weights[f"task.stitch{layer}"].clone() for layer in layers)
        heads = range(self.scenarios * len(TASKS))
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), len(options["tower_units"])) for head in heads)

    def forward(self, ids, scenario):
        columns = [self.read(ids)] * len(TASKS)
        for layer, alpha in enumerate(self.alphas):
            columns = [torch.relu(column.layers[layer](x)) for column, x in zip(self.columns, columns)]
            alpha = alpha.reshape(len(TASKS), len(TASKS), -1)
            columns = [sum(weight * x for weight, x in zip(row, columns)) for row in alpha]
        logits = (tower(columns[head % len(TASKS)]) for head, tower in enumerate(self.towers))
        return torch.sigmoid(self.of_own(logits, scenario))
