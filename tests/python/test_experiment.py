"""Experiments from files and from mappings, with keys changed from Python."""

import tomllib

import hinet
import pytest
from conftest import FEATURES, SMALL, make_frame, make_ranker

CONFIG = {
    "name": "shop",
    "data": {"user": "user_id", "request": None},
    "scenario": {"column": "tab"},
    "task": [{"name": "click", "label": "is_click"}],
    "feature": FEATURES,
    "model": SMALL,
    "train": {"epochs": 1, "seed": 3, "threads": 1},
}


def test_a_mapping_is_an_experiment_and_what_is_none_is_not_said(frame):
    experiment = hinet.Experiment.from_config(CONFIG, train=frame, valid=make_frame(500, seed=1))
    said = tomllib.loads(experiment.to_toml())
    assert experiment.name == "shop" and said["data"]["valid"] == "memory:valid" and "request" not in said["data"]
    run = experiment.fit()
    assert run.name == "shop" and run.tasks == ["click"]
    assert run.metrics["valid"].overall[0]["gauc"] is not None


def test_settings_of_every_type_change_keys_as_set_does(frame, tmp_path):
    file = tmp_path / "shop.toml"
    file.write_text(hinet.Experiment.from_config(CONFIG, train=frame).to_toml())
    settings = {
        "name": 'a "quoted" é',
        "train.dense": {"optimiser": "sgd", "learning_rate": 0.5},
        "train.epochs": 4,
        "train.keep_checkpoint": True,
        "model.units": [16, 4],
        "data.test": tmp_path / "test.parquet",
    }
    said = tomllib.loads(hinet.Experiment.from_toml(file, settings).to_toml())
    assert said["name"] == 'a "quoted" é' and said["train"]["dense"]["learning_rate"] == 0.5
    assert said["train"]["epochs"] == 4 and said["train"]["keep_checkpoint"] is True
    assert said["model"]["units"] == [16, 4] and said["data"]["test"] == str(tmp_path / "test.parquet")
    with pytest.raises(hinet.ConfigError, match="did you mean `epochs`"):
        hinet.Experiment.from_toml(file, {"train.epoch": 4})
    with pytest.raises(TypeError, match="settings"):
        hinet.Experiment.from_toml(file, {"train.epochs": object()})


def test_what_is_wrong_in_a_file_is_shown_where_it_stands(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text("[data]\ntrain = 3\n")
    with pytest.raises(hinet.ConfigError) as raised:
        hinet.Experiment.from_toml(file)
    assert any(problem["line"] == 2 and problem["key"] == "data.train" for problem in raised.value.problems)


def test_a_run_is_kept_where_it_was_asked_for_and_else_goes_with_its_object(frame, tmp_path):
    kept = make_ranker(epochs=1).fit(frame, out=tmp_path / "run")
    assert hinet.Run(tmp_path / "run").metrics.to_dict() == kept.metrics_.to_dict()
    gone = make_ranker(epochs=1).fit(frame)
    path = gone.run_.path
    assert path.is_dir()
    del gone
    assert not path.exists()


def test_encoded_rows_are_those_that_an_export_reads(ranker, frame, tmp_path):
    import pandas

    assert ranker.run_.encode_file(frame, tmp_path / "encoded.parquet") == len(frame)
    encoded = pandas.read_parquet(tmp_path / "encoded.parquet")
    assert set(encoded.columns) == {"scenario", "user_id", "item_id", "age"}
    assert encoded["scenario"].map(dict(enumerate(ranker.scenarios_))).tolist() == frame["tab"].tolist()
