"""SNR (Ma et al., AAAI 2019): sub-networks, and a hard concrete gate on every connection between them."""

import math

import torch
from torch import nn

from . import parts
from .parts import TASKS, Mlp, Tower

OPTIONS = {"sub_networks": 3, "sub_network_units": [6], "tower_units": [4], "snr_l0": 0.01}
MODELS = [{"preset": "snr_trans", **OPTIONS}, {"preset": "snr_aver", **OPTIONS}]
BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
MASK = 2**64 - 1


class Network(parts.Network):
    """Two levels that all share, and gates from the second to each task of each scenario."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.count = options["sub_networks"]
        self.levels = nn.ModuleList(
            nn.ModuleList(Mlp(weights, f"task.level{level}.sub", (k,), 1) for k in range(self.count)) for level in range(2)
        )
        self.gates = nn.ParameterDict(
            {name.replace(".", "_"): nn.Parameter(weights[name].clone()) for name in ("task.level1.gate", "task.gate")}
        )
        self.matrices = nn.ParameterDict(
            {
                name.replace(".", "_"): nn.Parameter(weights[f"{name}.route.weight"].clone())
                for name in ("task.level1", "task")
                if options["preset"] == "snr_trans"
            }
        )
        heads = range(self.scenarios * len(TASKS))
        self.towers = nn.ModuleList(Tower(weights, "task.tower", (head,), 1) for head in heads)
        self.draw = None

    def z(self, name):
        """The gates of every connection, ``[to, from]``."""
        log_alpha = self.gates[f"{name}_gate"].reshape(-1, self.gates[f"{name}_gate"].shape[-1])
        drawn = log_alpha
        if self.draw is not None:
            u = uniform(self.draw, f"{name.replace('_', '.')}.gate", *log_alpha.shape)
            drawn = (log_alpha + torch.log(u) - torch.log(1 - u)) / BETA
        return torch.clamp(torch.sigmoid(drawn) * (ZETA - GAMMA) + GAMMA, 0, 1).reshape(-1, self.count)

    def route(self, name, below):
        """What connections bring to each network above."""
        gates = self.z(name)
        if not self.matrices:
            return [sum(z * u for z, u in zip(row, below)) for row in gates]
        matrices = self.matrices[name].unflatten(1, (self.count, -1))
        return [sum(z * u @ w for z, u, w in zip(row, below, own)) for row, own in zip(gates, matrices)]

    def forward(self, ids, scenario):
        x = self.read(ids)
        below = [sub(x) for sub in self.levels[0]]
        below = [sub(v) for sub, v in zip(self.levels[1], self.route("task_level1", below))]
        logits = (tower(v) for tower, v in zip(self.towers, self.route("task", below)))
        return torch.sigmoid(self.of_own(logits, scenario))

    def loss(self, ids, scenario, labels, weights, step_seed):
        self.draw = step_seed
        entropies = super().loss(ids, scenario, labels, weights, step_seed)
        self.draw = None
        opened = sum(torch.sigmoid(gate - BETA * math.log(-GAMMA / ZETA)).sum() for gate in self.gates.values())
        return entropies + OPTIONS["snr_l0"] * opened


def uniform(seed, name, rows, columns):
    """The numbers of a named stream at one step of training."""
    key = seed ^ 0xCBF29CE484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 & MASK
    draws = [[unit(mix(mix(key) ^ row), column) for column in range(columns)] for row in range(rows)]
    return torch.tensor(draws, dtype=torch.float64)


def unit(row_key, column):
    """Strictly between 0 and 1, by 23 bits."""
    bits = 2**32 - 1
    h = (row_key & bits) ^ (column * 0x9E3779B1 & bits)
    h = (h ^ (h >> 16)) * 0x85EBCA6B & bits
    h = (h ^ (h >> 13) ^ (row_key >> 32)) * 0xC2B2AE35 & bits
    return (((h ^ (h >> 16)) >> 9) + 0.5) / 2**23


def mix(x):
    """A step of splitmix64."""
    x = x + 0x9E3779B97F4A7C15 & MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def step_seed(seed, step):
    """The seed of what is drawn at a step of a run."""
    tag = mix(seed) ^ 0xCBF29CE484222325
    for byte in b"dropout":
        tag = (tag ^ byte) * 0x100000001B3 & MASK
    return mix(tag ^ mix(step))
