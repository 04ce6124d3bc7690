"""What the tests share: a small table with known structure, and models small enough to be trained many times."""

import os

import hinet
import numpy
import pandas
import pytest

#: Small, so that a fit takes a fraction of a second.
SMALL = {"preset": "hinet", "sub_experts": 2, "shared_sub_experts": 2, "units": [8], "expert_units": [8], "tower_units": [4]}
FEATURES = [
    {"columns": ["user_id", "item_id"], "kind": "categorical", "dim": 4},
    {"columns": ["age"], "kind": "numeric", "transform": "quantile", "buckets": 5, "dim": 4},
]


def make_frame(rows: int = 3000, seed: int = 0) -> pandas.DataFrame:
    """Clicks and likes that depend on user, item, age and tab."""
    draw = numpy.random.default_rng(seed)
    user, item = draw.integers(0, 80, rows), draw.integers(0, 60, rows)
    tab = draw.integers(0, 3, rows)
    age = draw.normal(40, 12, rows).round(1)
    taste = numpy.random.default_rng(1).normal(size=(80, 3))[user, tab] + numpy.random.default_rng(2).normal(size=60)[item]
    click = draw.random(rows) < 1 / (1 + numpy.exp(-(taste + (age - 40) / 20)))
    like = click & (draw.random(rows) < 1 / (1 + numpy.exp(-taste)))
    return pandas.DataFrame(
        {
            "user_id": user,
            "item_id": [f"i{number}" for number in item],
            "tab": numpy.array(["home", "search", "feed"])[tab],
            "age": age,
            "is_click": click.astype(numpy.int64),
            "is_like": like.astype(numpy.int64),
        }
    )


def make_ranker(**changes: object) -> hinet.Ranker:
    """A ranker of the smallest model over the columns of :func:`make_frame`."""
    parameters = dict(
        model=SMALL, scenario="tab", tasks=["is_click", "is_like"], features=FEATURES, split=None, epochs=2, batch_size=256, threads=1
    )
    return hinet.Ranker(**{**parameters, **changes})


@pytest.fixture(scope="session")
def frame() -> pandas.DataFrame:
    return make_frame()


@pytest.fixture(scope="session")
def ranker(frame: pandas.DataFrame) -> hinet.Ranker:
    """Fitted; not to be changed."""
    return make_ranker().fit(frame)


@pytest.fixture(scope="session")
def program() -> str:
    """The command line of the same build."""
    path = os.environ.get("HINET_PROGRAM")
    assert path, "HINET_PROGRAM names the program that was built beside the module"
    return path
