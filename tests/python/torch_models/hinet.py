"""HiNet (Zhou et al., ICDE 2023), its ablations, and what its authors' code computes."""

import torch
from torch import nn

from . import parts
from .inputs import InputNorm
from .parts import TASKS, Dense, Mixture, Mlp, Tower

OPTIONS = {
    "sub_experts": 2, "shared_sub_experts": 3, "units": [12, 6], "scenario_dim": 5, "san_hidden": [7], "shared": 2, "specific": 2,
    "expert_units": [10], "tower_units": [6],
}  # fmt: skip
OFFICIAL = {**OPTIONS, "sei_dropout": 0.0, "san_hidden": [7, 4], "expert_units": [10, 8], "tower_units": [6, 5]}
MODELS = [
    {"preset": "hinet", **OPTIONS},
    {"preset": "hinet_no_san", **OPTIONS},
    {"preset": "hinet_no_shared", **OPTIONS, "shared_sub_experts": 0},
    {"preset": "hinet_no_specific", **OPTIONS, "sub_experts": 0},
    {"preset": "hinet_official", **OFFICIAL},
]
LETTERS = {"hinet": "GSA", "hinet_no_san": "GS", "hinet_no_shared": "SA", "hinet_no_specific": "G", "hinet_official": "ASG"}


class San(nn.Module):
    """The scenario-aware attention, from the scenario's embedding: a softmax over the other scenarios; or one over all, of logits
    not below 0, whose own part is dropped."""

    def __init__(self, weights, options, official):
        super().__init__()
        self.official = official
        self.embedding = nn.Parameter(weights["scenario.san.embedding"].clone())
        self.hidden = Mlp(weights, "scenario.san", (), len(options["san_hidden"]))
        self.logits = Dense(weights, "scenario.san.logits", ())

    def forward(self):
        logits = self.logits(self.hidden(self.embedding))
        own = torch.eye(len(logits), dtype=torch.bool)
        if self.official:
            return torch.softmax(torch.relu(logits), dim=-1).masked_fill(own, 0.0)
        return torch.softmax(logits.masked_fill(own, -torch.inf), dim=-1)


class Sum(Mixture):
    """A mixture whose softmax runs over an axis of a single weight: experts count 1 each, and the gate learns nothing."""

    def forward(self, x):
        weights = torch.softmax(self.gate(x)[:, :, None], dim=-1)
        return sum(weights[:, k] * expert(x) for k, expert in enumerate(self.experts))


class Network(parts.Network):
    """Scenario layer (shared SEI, an SEI per scenario, SAN) and task layer (CGC per scenario and task)."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(tables, layout)
        self.options, self.letters = options, LETTERS[options["preset"]]
        self.official = options["preset"] == "hinet_official"
        self.norm = InputNorm(weights, "frozen_affine") if self.official else None
        if "G" in self.letters:
            self.shared = self.sei(weights, "scenario.shared", (), options["shared_sub_experts"])
        if "S" in self.letters:
            scenarios = range(self.scenarios)
            self.specific = nn.ModuleList(self.sei(weights, "scenario.specific", (m,), options["sub_experts"]) for m in scenarios)
        if "A" in self.letters:
            self.san = San(weights, options, self.official)
        layers = len(options["expert_units"])
        self.pool = nn.ModuleList(Mlp(weights, "task.level0.shared", (k,), layers) for k in range(options["shared"]))
        self.heads = nn.ModuleList(self.head(weights, number) for number in range(self.scenarios * len(TASKS)))

    def sei(self, weights, name, expert, count):
        experts = [Mlp(weights, name, (*expert, k), len(self.options["units"])) for k in range(count)]
        gate = Dense(weights, f"{name}.gate", expert)
        return Mixture(nn.Sequential(gate, nn.ReLU()) if self.official else gate, experts)

    def head(self, weights, number):
        """That of a task in a scenario: gated experts and a tower."""
        layers = len(self.options["expert_units"])
        own = [Mlp(weights, "task.level0.specific", (number, k), layers) for k in range(self.options["specific"])]
        experts = [*own, *self.pool]
        gated = (Sum if self.official else Mixture)(Dense(weights, "task.level0.gate", (number,)), experts)
        return nn.Sequential(gated, Tower(weights, "task.tower", (number,), len(self.options["tower_units"])))

    def known(self, ids, scenario):
        """What the scenario layer knows of a row."""
        x, known = self.read(ids), {}
        x = self.norm(x, self.learning) if self.norm else x
        if "G" in self.letters:
            known["G"] = self.shared(x)
        if "S" in self.letters:
            specific = torch.stack([expert(x) for expert in self.specific])
            known["S"] = specific[scenario, torch.arange(len(x))]
        if "A" in self.letters:
            known["A"] = torch.einsum("bm,mbh->bh", self.san()[scenario], specific)
        return torch.cat([known[part] for part in self.letters], dim=1)

    def forward(self, ids, scenario):
        c = self.known(ids, scenario)
        return torch.sigmoid(self.of_own((head(c) for head in self.heads), scenario))

    def loss(self, ids, scenario, labels, weights, step_seed):
        """The authors' code teaches every head by every row, all alike: as a negative where the row is of another scenario."""
        if not self.official:
            return super().loss(ids, scenario, labels, weights, step_seed)
        c, targets = self.known(ids, scenario), torch.zeros(len(labels), self.scenarios, len(TASKS), dtype=torch.float64)
        targets[torch.arange(len(labels)), scenario] = labels
        logits = torch.stack([head(c) for head in self.heads], dim=1)
        return nn.functional.binary_cross_entropy_with_logits(logits, targets.flatten(1), reduction="sum") / len(labels)
