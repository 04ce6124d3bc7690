"""Models written again in PyTorch, from their papers' equations alone (``torch_models``): they read our exported weights, score as we
do, and learn as we do."""

import json
import os

import numpy
import pyarrow.parquet
import pytest
from conftest import FEATURES, make_frame, make_ranker

try:
    import torch
except ImportError:
    if "torch" in os.environ.get("HINET_TEST_REQUIRE", "").split(","):
        raise
    pytest.skip("PyTorch is not installed", allow_module_level=True)

import torch_models
from safetensors.torch import load_file
from torch_models import crossing
from torch_models.snr import step_seed

STEPS, BATCH, RATE, SEED = 20, 128, 0.5, 11
NUMBER = {"columns": ["height"], "kind": "numeric", "transform": "standard"}
IDS = [f"{options['preset']}-{number}" for number, (options, _) in enumerate(torch_models.ALL)]


def in_torch(network, options, run, folder):
    """A network of PyTorch with the weights of a run."""
    run.export(folder, to="safetensors")
    tensors = {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}
    layout = json.loads((folder / "model.json").read_text())["layout"]
    dense = {name.removeprefix("dense."): value.double() for name, value in tensors.items() if name.startswith("dense.")}
    tables = {}
    for number, table in enumerate(layout["tables"]):
        for of in ["", "/first_order", *(f"/{task['name']}" for task in layout["tasks"])]:
            if (values := tensors.get(f"table.{table['name']}{of}")) is not None:
                tables[f"{number}{of}"] = values.double()
    made = network(dense, tables, layout, options)
    expected = sum(value.numel() for value in [*dense.values(), *tables.values()])
    assert sum(parameter.numel() for parameter in made.parameters()) == expected, "it reads every weight"
    return made


def encoded(run, frame, folder):
    """Ids or numbers of every slot, the scenarios and the labels, as tensors."""
    path = folder / "encoded.parquet"
    run.encode_file(frame, path)
    table = pyarrow.parquet.read_table(path)
    columns = {name: torch.tensor(padded(table[name].to_pylist())) for name in table.column_names}
    labels = torch.tensor(frame[["is_click", "is_like"]].to_numpy(), dtype=torch.float64)
    return columns, columns.pop("scenario"), labels


def padded(values):
    """Values as an array; lists of ids as wide as the longest, -1 where one has no more."""
    if not isinstance(values[0], list) or values[0] and isinstance(values[0][0], float):
        return numpy.array(values)
    width = max(map(len, values))
    return numpy.array([ids + [-1] * (width - len(ids)) for ids in values])


@pytest.fixture(scope="module")
def rows():
    """Rows with a number beside the ids, missing here and there, and two lists as long as each other."""
    draw = numpy.random.default_rng(6)
    height = draw.normal(170, 10, STEPS * BATCH)
    height = numpy.where(draw.random(len(height)) < 0.1, numpy.nan, height)
    counts = draw.integers(0, crossing.LENGTH + 2, len(height))
    before, kinds = ([list(draw.integers(0, ids, count)) for count in counts] for ids in (30, 5))
    return make_frame(STEPS * BATCH, seed=5).assign(height=height, before=before, before_kinds=kinds)


def ranker(options, **changes):
    """That of a model over them."""
    lists = crossing.FEATURES if "sequence" in options else []
    return make_ranker(model=options, features=[*FEATURES, NUMBER, *lists], **changes)


def fit(rows, options, rate, **train):
    """Plain gradient descent; a block is shuffled for itself, so that with blocks of one batch each batch has the rows that stand
    together in the table."""
    sgd = {"optimiser": "sgd", "learning_rate": rate}
    settings = {"dense": sgd, "sparse": {**sgd, "l2": 0.0}, **train}
    data = {"shuffle_rows": BATCH}
    return ranker(options, epochs=1, batch_size=BATCH, train=settings, data=data, threads=2, seed=SEED).fit(rows).run_


def at_start(network, options, run, folder):
    """A network as a run began that took one step of no length: what that moved is put back, be it off 0, which would decide a ReLU,
    or statistics."""
    made = in_torch(network, options, run, folder)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter[parameter.abs() < 1e-20] = 0.0
            if not parameter.requires_grad:
                parameter.fill_(1.0 if name.endswith("variance") else 0.0)
    return made


def learn(network, begun, rows, folder, steps):
    """Steps of gradient descent on the mean over rows of the loss, each scenario with the weight of the paper."""
    ids, scenario, labels = encoded(begun, rows, folder)
    counts = torch.bincount(scenario)
    power = len(rows) / (len(counts) * counts)
    optimiser = torch.optim.SGD(network.parameters(), lr=RATE)
    for step in range(steps):
        batch = slice(step * BATCH, (step + 1) * BATCH)
        optimiser.zero_grad()
        of_batch = {name: values[batch] for name, values in ids.items()}
        weights = power[scenario[batch]].double() / BATCH
        network.loss(of_batch, scenario[batch], labels[batch], weights, step_seed(SEED, step)).backward()
        optimiser.step()


def compare(found, expected, before, tolerance):
    """All parameters, which must have moved."""
    for (name, one), two in zip(found.named_parameters(), expected.parameters()):
        assert (one - two).abs().max() < tolerance, name
    moved = max((one - two).abs().max().item() for one, two in zip(before, found.parameters()))
    assert moved > 100 * tolerance, "steps that move nothing prove nothing"


@pytest.mark.parametrize(("options", "network"), torch_models.ALL, ids=IDS)
def test_the_forward_pass_agrees(options, network, rows, tmp_path):
    run = ranker(options, epochs=6, train={"dense": {"learning_rate": 0.02}}).fit(rows).run_
    ids, scenario, _ = encoded(run, rows, tmp_path)
    with torch.no_grad():
        theirs = in_torch(network, options, run, tmp_path / "export")(ids, scenario).numpy()
    ours = run.predict_proba(rows)
    assert ours.std() > 0.05
    assert numpy.abs(theirs - ours).max() < 1e-5


@pytest.mark.parametrize(("options", "network"), torch_models.ALL, ids=IDS)
def test_a_step_of_gradient_descent_agrees(options, network, rows, tmp_path):
    begun, ended = fit(rows, options, 1e-30, max_steps=1), fit(rows, options, RATE, max_steps=1)
    found = at_start(network, options, begun, tmp_path / "begun")
    before = [parameter.detach().clone() for parameter in found.parameters()]
    learn(found, begun, rows, tmp_path, 1)
    compare(found, in_torch(network, options, ended, tmp_path / "ended"), before, 1e-5)


def test_twenty_steps_of_gradient_descent_of_hinet_agree(rows, tmp_path):
    options, network = torch_models.ALL[0]
    begun, ended = fit(rows, options, 1e-30, max_steps=1), fit(rows, options, RATE)
    found = at_start(network, options, begun, tmp_path / "begun")
    before = [parameter.detach().clone() for parameter in found.parameters()]
    learn(found, begun, rows, tmp_path, STEPS)
    compare(found, in_torch(network, options, ended, tmp_path / "ended"), before, 1e-4)
