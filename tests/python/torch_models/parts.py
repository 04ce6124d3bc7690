"""What the models are made of. Networks of the same kind are modules of their own, and rows are masked by scenario: nothing is shared
with our operators."""

import torch
from torch import nn

TASKS = ["click", "like"]


class Dense(nn.Module):
    """``x W + b``, or without b; ``place`` says which of several such layers lies where in our parameters."""

    def __init__(self, weights, name, place, bias=True):
        super().__init__()
        self.weight = nn.Parameter(weights[f"{name}.weight"][place].clone())
        self.bias = nn.Parameter(weights[f"{name}.bias"][place].clone()) if bias else None

    def forward(self, x):
        return x @ self.weight if self.bias is None else x @ self.weight + self.bias


class Mlp(nn.Module):
    """Layers with ReLU after each."""

    def __init__(self, weights, name, place, layers):
        super().__init__()
        self.layers = nn.ModuleList(Dense(weights, f"{name}.{number}", place) for number in range(layers))

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


def apart(weights, name, count):
    """The same weights, with the first layers of an owner's networks one after the other where they lay side by side."""
    weight, bias = weights[f"{name}.0.weight"], weights[f"{name}.0.bias"]
    parted = {"weight": weight.unflatten(2, (count, -1)).transpose(1, 2), "bias": bias.unflatten(1, (count, -1))}
    return {**weights, **{f"{name}.0.{what}": value for what, value in parted.items()}}


class Tower(nn.Module):
    """An MLP that ends in one number."""

    def __init__(self, weights, name, place, layers):
        super().__init__()
        self.hidden, self.last = Mlp(weights, name, place, layers), Dense(weights, f"{name}.logit", place)

    def forward(self, x):
        return self.last(self.hidden(x))[:, 0]


class Mixture(nn.Module):
    """Experts weighed by a softmax gate."""

    def __init__(self, gate, experts):
        super().__init__()
        self.gate, self.experts = gate, nn.ModuleList(experts)

    def forward(self, x):
        weights = torch.softmax(self.gate(x), dim=-1)
        return sum(weights[:, [k]] * expert(x) for k, expert in enumerate(self.experts))


class Norm(nn.Module):
    """Each group's rows to mean 0 and variance 1: by the batch while learning, which moves what is saved; else by what is saved."""

    def __init__(self, weights, name):
        super().__init__()
        self.mean, self.variance = (
            nn.Parameter(weights[f"{name}.{what}"].clone(), requires_grad=False) for what in ("mean", "variance")
        )

    def forward(self, x, group, learning):
        out = torch.empty_like(x)
        for number in range(len(self.mean)):
            rows = x[group == number]
            mean, variance = self.mean[number], self.variance[number]
            if learning and len(rows) > 1:
                mean, variance = rows.mean(dim=0), rows.var(dim=0, unbiased=False)
                with torch.no_grad():
                    self.mean[number] += 0.1 * (mean - self.mean[number])
                    self.variance[number] += 0.1 * (rows.var(dim=0) - self.variance[number])
            out[group == number] = (rows - mean) / (variance + 1e-5).sqrt()
        return out


class Network(nn.Module):
    """A model over embeddings of ids, and over numbers. What a model of its own says in ``forward`` are the probabilities of tasks,
    ``[rows, tasks]``."""

    learning = False

    def __init__(self, tables, layout):
        super().__init__()
        self.tables = nn.ParameterDict({number: nn.Parameter(table.clone()) for number, table in tables.items()})
        self.slots = [(slot["feature"], str(slot["table"])) for slot in layout["slots"] if "table" in slot]
        self.numbers = [slot["feature"] for slot in layout["slots"] if "table" not in slot]
        self.scenarios = len(layout["scenarios"])

    def read(self, ids, tables=None):
        """The embeddings of a row side by side, then its numbers."""
        tables = tables or self.tables
        embeddings = [tables[table][ids[feature]] for feature, table in self.slots]
        return torch.cat([*embeddings, *(ids[feature] for feature in self.numbers)], dim=1)

    def first_order(self, ids, numbers, weight):
        """The sum over a row of a weight per id, in tables, and of each number times its own, for each task."""
        of_ids = sum(self.tables[f"{table}/first_order"][ids[feature]] for feature, table in self.slots)
        return of_ids + torch.einsum("bn,tno->bt", numbers, weight)

    def of_own(self, values, scenario):
        """From one value per scenario and task, scenarios first, those of each row's own scenario: ``[rows, tasks, ..]``."""
        values = torch.stack(list(values)).unflatten(0, (self.scenarios, len(TASKS)))
        return values[scenario, :, torch.arange(len(scenario))]

    def loss(self, ids, scenario, labels, weights, step_seed):
        """Cross-entropies of all tasks, each row with its weight: a mean over the batch is in the weights."""
        self.learning = True
        scores = self(ids, scenario)
        self.learning = False
        losses = nn.functional.binary_cross_entropy(scores, labels, reduction="none")
        return (weights[:, None] * losses).sum()
