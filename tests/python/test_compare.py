"""Comparisons come as tables that others take."""

import hinet
import polars
import pyarrow
import pytest
from conftest import make_frame, make_ranker


@pytest.fixture(scope="module")
def comparison():
    train, valid, test = (make_frame(1500, seed=seed) for seed in range(3))
    base = make_ranker(model="hinet", epochs=1, user="user_id")
    return hinet.compare(base, ["shared_bottom", "mmoe"], seeds=2, train=train, valid=valid, test=test, draws=100, jobs=1, threads=1)


def test_models_are_lines_of_a_table(comparison):
    table = polars.from_arrow(pyarrow.table(comparison.table()))
    assert table["name"].to_list() == ["shared_bottom", "mmoe"] == comparison.models
    assert table["mean_auc"].is_between(0.4, 1).all() and table["dense_parameters"].dtype == polars.Int64
    assert "mmoe" in comparison._repr_html_()


def test_cells_of_every_seed_are_lines_of_a_table(comparison):
    cells = polars.from_arrow(pyarrow.table(comparison.cells()))
    aucs = cells.filter((polars.col("metric") == "auc") & polars.col("scenario").is_not_null())
    assert len(aucs) == 2 * 2 * 3 * 2 and set(aucs["seed"]) == {7, 8}


def test_differences_have_verdicts(comparison):
    differences = pyarrow.table(comparison.differences()).to_pylist()
    assert {(one["model"], one["base"]) for one in differences} == {("mmoe", "shared_bottom")}
    assert len(differences) == 1 + 2 + 6 and all(one["verdict"] for one in differences)


def test_finished_runs_are_compared_by_their_files(tmp_path):
    train, test = make_frame(1500), make_frame(600, seed=1)
    train.to_parquet(tmp_path / "train.parquet")
    test.to_parquet(tmp_path / "test.parquet")
    runs = [
        make_ranker(epochs=1, seed=seed, name=f"seed{seed}").fit(tmp_path / "train.parquet", test=tmp_path / "test.parquet").run_
        for seed in [1, 2]
    ]
    compared = hinet.compare_runs(runs, draws=100)
    assert compared.to_dict()["rows"] == 600 and len(compared.models) >= 1


def test_a_ranker_without_rows_and_an_experiment_with_more_are_refused():
    with pytest.raises(TypeError, match="name train"):
        hinet.compare(make_ranker(), ["mmoe"])
    experiment = make_ranker().experiment(make_frame(200))
    with pytest.raises(TypeError, match="has its rows"):
        hinet.compare(experiment, ["mmoe"], train=make_frame(200))


def test_a_comparison_needs_a_seed(frame):
    with pytest.raises(hinet.ConfigError, match="at least one"):
        hinet.compare(make_ranker(), ["mmoe"], train=frame, seeds=0)
