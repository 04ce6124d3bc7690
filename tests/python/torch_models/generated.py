"""Models whose weights other layers make: M2M (Zhang et al., WSDM 2022), APG (Yan et al., NeurIPS 2022), HAMUR (Li et al., CIKM
2023). Here matrices are made for each row, which ours makes for each scenario where it can."""

import torch
from torch import nn

from . import parts
from .parts import TASKS, Dense, Mlp, Norm, Tower

M2M = {
    "preset": "m2m", "m2m_scenario_dim": 4, "m2m_known_units": [5], "experts": 3, "expert_units": [9, 6], "m2m_task_dim": 3,
    "m2m_attention_units": [7, 5], "m2m_tower_layers": 2, "tower_units": [5],
}  # fmt: skip
APG = {"preset": "apg", "scenario_dim": 4, "units": [8, 6], "apg_condition_units": [7], "apg_rank": 3, "tower_units": [5]}
HAMUR = {"preset": "hamur", "units": [8, 6], "hyper_units": [7], "adapter_rank": 3, "adapter_units": 4, "tower_units": [5]}


class Made(nn.Module):
    """``x W(s) + b(s)``, with weights that are linear in what is known."""

    def __init__(self, weights, name, bias=True):
        super().__init__()
        self.weight = Dense(weights, f"{name}.weight", ())
        self.bias = Dense(weights, f"{name}.bias", ()) if bias else None

    def forward(self, known, x):
        weight = self.weight(known).unflatten(1, (x.shape[1], -1))
        product = torch.einsum("bi,bio->bo", x, weight)
        return product if self.bias is None else product + self.bias(known)


class Towers(parts.Network):
    """What the scenario's network gives, under towers of the tasks."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        layers = len(options["tower_units"])
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (task,), layers) for task in range(len(TASKS)))

    def score(self, of_tasks):
        return torch.sigmoid(torch.stack([tower(h) for tower, h in zip(self.towers, of_tasks)], dim=1))


class M2m(Towers):
    """Experts, a made attention of tasks over them, a made residual tower."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(weights, tables, layout, options)
        self.embedding = nn.Parameter(weights["task.known.embedding"].clone())
        self.known = Mlp(weights, "task.known", (), len(options["m2m_known_units"]))
        layers = len(options["expert_units"])
        self.experts = nn.ModuleList(Mlp(weights, "task.expert", (k,), layers) for k in range(options["experts"]))
        self.tasks = nn.Parameter(weights["task.attention.embedding"].clone())
        self.of_expert, self.of_task = Made(weights, "task.attention.0", False), Made(weights, "task.attention.task")
        above = range(1, len(options["m2m_attention_units"]))
        self.above = nn.ModuleList(Made(weights, f"task.attention.{layer}") for layer in above)
        self.score_of = Dense(weights, "task.attention.score", (), False)
        self.meta = nn.ModuleList(Made(weights, f"task.meta.{layer}") for layer in range(options["m2m_tower_layers"]))

    def attention(self, known, expert, task):
        h = torch.relu(self.of_expert(known, expert) + self.of_task(known, task.expand(len(known), -1)))
        for layer in self.above:
            h = torch.relu(layer(known, h))
        return self.score_of(h)

    def forward(self, ids, scenario):
        x, known = self.read(ids), self.known(self.embedding[scenario])
        experts = [expert(x) for expert in self.experts]
        of_tasks = []
        for task in self.tasks:
            weights = torch.softmax(torch.cat([self.attention(known, expert, task) for expert in experts], dim=1), dim=1)
            h = sum(weights[:, [k]] * expert for k, expert in enumerate(experts))
            for layer in self.meta:
                h = torch.relu(layer(known, h) + h)
            of_tasks.append(h)
        return self.score(of_tasks)


class Apg(Towers):
    """Low rank layers around a made matrix."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(weights, tables, layout, options)
        self.by_row = options.get("apg_condition") == "row"
        self.embedding = nn.Parameter(weights["scenario.condition.embedding"].clone())
        self.condition = Dense(weights, "scenario.condition.0", ())
        self.of_row = Dense(weights, "scenario.condition.row", (), False) if self.by_row else None
        layers = range(len(options["units"]))
        self.into = nn.ModuleList(Dense(weights, f"scenario.into.{layer}", (), False) for layer in layers)
        self.core = nn.ModuleList(Made(weights, f"scenario.core.{layer}", False) for layer in layers)
        self.out = nn.ModuleList(Dense(weights, f"scenario.out.{layer}", ()) for layer in layers)

    def forward(self, ids, scenario):
        h = x = self.read(ids)
        condition = self.condition(self.embedding[scenario])
        condition = torch.relu(condition + self.of_row(x) if self.by_row else condition)
        for into, core, out in zip(self.into, self.core, self.out):
            h = torch.relu(out(core(condition, into(h))))
        return self.score([h] * len(TASKS))


class Cell(nn.Module):
    """What an adapter adds to h: through U I V and back, normalised."""

    def __init__(self, weights, name):
        super().__init__()
        self.down_u, self.down_v = Dense(weights, f"{name}.down_u", (), False), Dense(weights, f"{name}.down_v", ())
        self.up_u, self.up_v = (Dense(weights, f"{name}.{part}", (), False) for part in ("up_u", "up_v"))
        self.norm = Norm(weights, f"{name}.norm")
        self.gain, self.bias = (nn.Parameter(weights[f"{name}.norm.{what}"].clone()) for what in ("gain", "bias"))

    def forward(self, h, core, scenario, learning):
        times_core = lambda x: torch.einsum("bi,bij->bj", x, core)
        down = torch.sigmoid(self.down_v(times_core(self.down_u(h))))
        added = self.norm(self.up_v(times_core(self.up_u(down))), scenario, learning)
        return added * self.gain[scenario] + self.bias[scenario]


class Hamur(Towers):
    """A network per scenario with adapter cells."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(weights, tables, layout, options)
        self.hyper = Mlp(weights, "scenario.hyper", (), len(options["hyper_units"]))
        self.core, self.rank = Dense(weights, "scenario.hyper.core", ()), options["adapter_rank"]
        self.layers = nn.ModuleList(
            nn.ModuleList(Dense(weights, f"scenario.layer.{layer}", (m,)) for m in range(self.scenarios))
            for layer in range(len(options["units"]))
        )
        self.cells = nn.ModuleList(Cell(weights, f"scenario.adapter.{layer}") for layer in range(len(options["units"])))

    def forward(self, ids, scenario):
        h = x = self.read(ids)
        core = self.core(self.hyper(x)).unflatten(1, (self.rank, self.rank))
        for layers, cell in zip(self.layers, self.cells):
            h = torch.relu(torch.stack([layer(h) for layer in layers])[scenario, torch.arange(len(x))])
            h = h + cell(h, core, scenario, self.learning)
        return self.score([h] * len(TASKS))


def Network(weights, tables, layout, options):
    """The network of a preset."""
    return {"m2m": M2m, "apg": Apg, "hamur": Hamur}[options["preset"]](weights, tables, layout, options)


MODELS = [M2M, APG, {**APG, "apg_condition": "row"}, HAMUR]
