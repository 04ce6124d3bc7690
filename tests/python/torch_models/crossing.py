"""Products of features and sequences before the layers, here of MMoE: factorisation machines (Rendle, ICDM 2010) with a weight of each
column for each task, cross layers (DCN-v2, Wang et al., WWW 2021), target attention (DIN, Zhou et al., KDD 2018), attention pooling
(Yang et al., NAACL 2016)."""

import itertools

import torch
from torch import nn

from . import mmoe
from .parts import Dense

OPTIONS = {**mmoe.OPTIONS, "preset": "mmoe"}
TARGET = {"feature": "before", "target": ["item_id", "user_id"]}
MODELS = [
    {**OPTIONS, "fm": True},
    {**OPTIONS, "cross": {"layers": 2}},
    {**OPTIONS, "cross": {"layers": 1, "rank": 3}},
    {**OPTIONS, "sequence": [{**TARGET, "units": [7, 5]}]},
    {**OPTIONS, "sequence": [{**TARGET, "units": [7], "softmax": True}], "fm": True, "cross": {"layers": 1}},
    {**OPTIONS, "sequence": [{"feature": "before", "units": [7, 5]}]},
]
LENGTH = 4
FEATURES = [
    {"columns": ["before"], "kind": "sequence", "length": LENGTH, "dim": 4, "min_count": 1},
    {"columns": ["before_kinds"], "kind": "sequence", "length": LENGTH, "dim": 4, "min_count": 1, "along": "before"},
]
LISTS = ["before", "before_kinds"]


class Attention(nn.Module):
    """A network that says what each item of a row weighs."""

    def __init__(self, weights, options):
        super().__init__()
        self.targets, self.softmax = options.get("target"), options.get("softmax", "target" not in options)
        place = "input.before"
        self.keys = nn.ModuleList(Dense(weights, f"{place}.keys.{k}", (), not self.targets and k == 0) for k in range(2))
        products = range(2 if self.targets else 0)
        self.products = nn.ModuleList(Dense(weights, f"{place}.products.{k}", (), False) for k in products)
        self.target = Dense(weights, f"{place}.target", ()) if self.targets else None
        self.deeper = nn.ModuleList(Dense(weights, f"{place}.{k}", ()) for k in range(1, len(options["units"])))
        self.weight = Dense(weights, f"{place}.weight", (), not self.softmax)

    def forward(self, items, targets, present):
        """Lists ``[rows, places, dim]`` each, their targets ``[rows, dim]``, and which places have an item."""
        activation = torch.relu if self.targets else torch.tanh
        hidden = sum(key(list) for key, list in zip(self.keys, items))
        if self.targets:
            products = zip(self.products, items, targets)
            hidden = hidden + sum(product(list * target[:, None]) for product, list, target in products)
            hidden = hidden + self.target(torch.cat(targets, dim=1))[:, None]
        hidden = activation(hidden)
        for layer in self.deeper:
            hidden = activation(layer(hidden))
        scores = self.weight(hidden)[:, :, 0]
        if self.softmax:
            return torch.softmax(scores.masked_fill(~present, -torch.inf), dim=1)
        return scores * present


class Cross(nn.Module):
    """``x_0 (W x + b) + x``, or with W of a rank."""

    def __init__(self, weights, name, low):
        super().__init__()
        self.down = Dense(weights, f"{name}.down", (), False) if low else None
        self.up = Dense(weights, f"{name}.up" if low else name, ())

    def forward(self, start, x):
        return start * self.up(self.down(x) if self.down else x) + x


class Network(mmoe.Network):
    """MMoE over what these make of a row."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(weights, tables, layout, options)
        self.lists = [(feature, table) for feature, table in self.slots if feature in LISTS and "sequence" in options]
        self.slots = [slot for slot in self.slots if slot[0] not in LISTS]
        self.attention = Attention(weights, options["sequence"][0]) if self.lists else None
        layers = range(options.get("cross", {}).get("layers", 0))
        self.cross = nn.ModuleList(Cross(weights, f"input.cross.{k}", "rank" in options["cross"]) for k in layers)
        self.vectors = self.pairs = None
        if options.get("fm"):
            names = "input.fm.numbers.weight", "input.fm.pairs.weight"
            self.vectors, self.pairs = (nn.Parameter(weights[name].clone()) for name in names)

    def pooled(self, ids):
        """Of each list, its items by their weights."""
        if not self.lists:
            return []
        present = ids["before"] >= 0
        items = [self.tables[table][ids[feature].clamp(min=0)] for feature, table in self.lists]
        tables = dict(self.slots)
        targets = [self.tables[tables[feature]][ids[feature]] for feature in self.attention.targets or []]
        weights = self.attention(items, targets, present)
        return [torch.einsum("bl,bld->bd", weights, list) for list in items]

    def forward(self, ids, scenario):
        embeddings = [self.tables[table][ids[feature]] for feature, table in self.slots]
        numbers, pooled = [ids[feature] for feature in self.numbers], self.pooled(ids)
        start = x = torch.cat([*embeddings, *numbers, *pooled], dim=1)
        for layer in self.cross:
            x = layer(start, x)
        logits = self.logits_of(x, ids, scenario)
        if self.pairs is not None:
            of_numbers = torch.cat(numbers, dim=1)[:, :, None] * self.vectors
            fields = [*embeddings, *pooled, *of_numbers.unbind(1)]
            products = sum(one * other for one, other in itertools.combinations(fields, 2))
            logits = logits + torch.einsum("bd,tdo->bt", products, self.pairs)
        return torch.sigmoid(logits)
