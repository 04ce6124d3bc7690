"""HiNet written again in PyTorch, from the paper's equations alone: it reads our exported weights, scores as we do, and learns as we do.

Each expert is a module of its own and rows are masked by scenario, as the paper writes it; nothing is shared with our operators.
"""

import json
import os

import numpy
import pyarrow.parquet
import pytest
from conftest import make_frame, make_ranker

try:
    import torch
except ImportError:
    if "torch" in os.environ.get("HINET_TEST_REQUIRE", "").split(","):
        raise
    pytest.skip("PyTorch is not installed", allow_module_level=True)

from safetensors.torch import load_file
from torch import nn

STEPS, BATCH = 20, 128
TASKS = ["click", "like"]
MODEL = {
    "preset": "hinet", "sub_experts": 2, "shared_sub_experts": 3, "units": [12, 6], "scenario_dim": 5, "san_hidden": [7],
    "shared": 2, "specific": 2, "expert_units": [10], "tower_units": [6],
}


class Mlp(nn.Module):
    """Layers with ReLU after each; ``place`` says which of several such networks lies where in our parameters."""

    def __init__(self, weights, name, place, layers):
        super().__init__()
        self.layers = nn.ModuleList(Dense(weights, f"{name}.{number}", place) for number in range(layers))

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


class Dense(nn.Module):
    """``x W + b``."""

    def __init__(self, weights, name, place):
        super().__init__()
        self.weight = nn.Parameter(weights[f"{name}.weight"][place].clone())
        self.bias = nn.Parameter(weights[f"{name}.bias"][place].clone())

    def forward(self, x):
        return x @ self.weight + self.bias


class Mixture(nn.Module):
    """Experts weighed by a softmax gate: an SEI, or the gated experts of a task."""

    def __init__(self, gate, experts):
        super().__init__()
        self.gate, self.experts = gate, nn.ModuleList(experts)

    def forward(self, x):
        weights = torch.softmax(self.gate(x), dim=-1)
        return sum(weights[:, [k]] * expert(x) for k, expert in enumerate(self.experts))


class San(nn.Module):
    """The scenario-aware attention: a softmax over the other scenarios, from the scenario's embedding."""

    def __init__(self, weights):
        super().__init__()
        self.embedding = nn.Parameter(weights["scenario.san.embedding"].clone())
        self.hidden = Mlp(weights, "scenario.san", (), len(MODEL["san_hidden"]))
        self.logits = Dense(weights, "scenario.san.logits", ())

    def forward(self):
        logits = self.logits(self.hidden(self.embedding))
        return torch.softmax(logits.masked_fill(torch.eye(len(logits), dtype=torch.bool), -torch.inf), dim=-1)


class HiNet(nn.Module):
    """Scenario layer (shared SEI, an SEI per scenario, SAN) and task layer (CGC per scenario and task)."""

    def __init__(self, weights, tables, layout):
        super().__init__()
        self.tables = nn.ParameterDict({number: nn.Parameter(table.clone()) for number, table in tables.items()})
        self.slots = [(slot["feature"], str(slot["table"])) for slot in layout["slots"]]
        self.scenarios = scenarios = len(layout["scenarios"])
        self.shared = self.sei(weights, "scenario.shared", (), MODEL["shared_sub_experts"])
        self.specific = nn.ModuleList(
            self.sei(weights, "scenario.specific", (m,), MODEL["sub_experts"]) for m in range(scenarios)
        )
        self.san = San(weights)
        self.pool = nn.ModuleList(Mlp(weights, "task.level0.shared", (k,), 1) for k in range(MODEL["shared"]))
        self.heads = nn.ModuleList(self.head(weights, number) for number in range(scenarios * len(TASKS)))

    def sei(self, weights, name, expert, count):
        experts = [Mlp(weights, name, (*expert, k), len(MODEL["units"])) for k in range(count)]
        return Mixture(Dense(weights, f"{name}.gate", expert), experts)

    def head(self, weights, number):
        """That of a task in a scenario: gated experts and a tower."""
        own = [Mlp(weights, "task.level0.specific", (number, k), 1) for k in range(MODEL["specific"])]
        gated = Mixture(Dense(weights, "task.level0.gate", (number,)), [*own, *self.pool])
        return nn.Sequential(gated, Mlp(weights, "task.tower", (number,), 1), Dense(weights, "task.tower.logit", (number,)))

    def forward(self, ids, scenario):
        x = torch.cat([self.tables[table][ids[feature]] for feature, table in self.slots], dim=1)
        specific = torch.stack([expert(x) for expert in self.specific])
        attended = torch.einsum("bm,mbh->bh", self.san()[scenario], specific)
        own = specific[scenario, torch.arange(len(x))]
        c = torch.cat([self.shared(x), own, attended], dim=1)
        logits = torch.stack([head(c)[:, 0] for head in self.heads]).reshape(self.scenarios, len(TASKS), -1)
        return logits[scenario, :, torch.arange(len(x))]


def torch_hinet(run, folder):
    """The network with the weights of a run."""
    run.export(folder, to="safetensors")
    tensors = {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}
    layout = json.loads((folder / "model.json").read_text())["layout"]
    dense = {name.removeprefix("dense."): value for name, value in tensors.items() if name.startswith("dense.")}
    tables = {str(number): tensors[f"table.{table['name']}"] for number, table in enumerate(layout["tables"])}
    return HiNet(dense, tables, layout)


def encoded(run, frame, folder):
    """Ids of every slot, the scenarios and the labels, as tensors."""
    path = folder / "encoded.parquet"
    run.encode_file(frame, path)
    table = pyarrow.parquet.read_table(path)
    columns = {name: torch.tensor(table[name].to_numpy().astype(numpy.int64)) for name in table.column_names}
    labels = torch.tensor(frame[["is_click", "is_like"]].to_numpy(), dtype=torch.float32)
    return columns, columns.pop("scenario"), labels


def step(network, optimiser, ids, scenario, labels, power):
    """One step on the mean over rows of the cross-entropies of both tasks, each scenario with the weight of the paper."""
    optimiser.zero_grad()
    losses = nn.functional.binary_cross_entropy_with_logits(network(ids, scenario), labels, reduction="none")
    (power[scenario] * losses.sum(dim=1)).mean().backward()
    optimiser.step()


@pytest.fixture(scope="module")
def rows():
    return make_frame(STEPS * BATCH, seed=5)


def fit(rows, rate, **train):
    """Plain gradient descent; a block is shuffled for itself, so that with blocks of one batch each batch has the rows that stand
    together in the table."""
    sgd = {"optimiser": "sgd", "learning_rate": rate}
    settings = {"dense": sgd, "sparse": {**sgd, "l2": 0.0}, **train}
    ranker = make_ranker(model=MODEL, epochs=1, batch_size=BATCH, train=settings, data={"shuffle_rows": BATCH}, threads=2)
    return ranker.fit(rows).run_


def test_the_forward_pass_agrees(rows, tmp_path):
    run = make_ranker(model=MODEL, epochs=6, train={"dense": {"learning_rate": 0.02}}).fit(rows).run_
    network = torch_hinet(run, tmp_path / "export")
    ids, scenario, _ = encoded(run, rows, tmp_path)
    with torch.no_grad():
        theirs = torch.sigmoid(network(ids, scenario)).numpy()
    ours = run.predict_proba(rows)
    assert ours.std() > 0.1
    assert numpy.abs(theirs - ours).max() < 1e-5


def test_twenty_steps_of_gradient_descent_agree(rows, tmp_path):
    begun = fit(rows, 1e-30, max_steps=1)
    ended = fit(rows, 0.5)
    network, expected = torch_hinet(begun, tmp_path / "begun"), torch_hinet(ended, tmp_path / "ended")
    ids, scenario, labels = encoded(begun, rows, tmp_path)
    counts = torch.bincount(scenario)
    power = len(rows) / (len(counts) * counts)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.5)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    for first in range(0, len(rows), BATCH):
        batch = slice(first, first + BATCH)
        step(network, optimiser, {name: values[batch] for name, values in ids.items()}, scenario[batch], labels[batch], power)
    found = dict(network.named_parameters())
    for name, value in expected.named_parameters():
        assert (found[name] - value).abs().max() < 1e-4, name
    moved = max((one - two).abs().max().item() for one, two in zip(before, network.parameters()))
    assert moved > 0.05, "steps that move nothing prove nothing"
