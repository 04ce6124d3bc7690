"""What cannot be meant is refused by the exception of its kind, which says where."""

import pickle

import hinet
import numpy
import pandas
import polars
import pyarrow
import pytest
from conftest import FEATURES, make_ranker


def test_a_column_that_is_missing_is_named_with_the_nearest(ranker, frame):
    with pytest.raises(hinet.DataError, match="did you mean `agee`") as raised:
        ranker.predict_proba(frame.rename(columns={"age": "agee"}))
    assert (raised.value.column, raised.value.file, raised.value.row) == ("age", "<data>", None)
    assert isinstance(raised.value, ValueError) and isinstance(raised.value, hinet.HinetError)


def test_a_value_of_the_wrong_type_is_named_with_row_and_column(ranker, frame):
    wrong = frame.head(10).astype({"age": str}).astype({"age": object})
    wrong.loc[6, "age"] = "old"
    with pytest.raises(hinet.DataError) as raised:
        ranker.predict_proba(wrong)
    assert (raised.value.row, raised.value.column, raised.value.value) == (7, "age", "old")


def test_a_label_that_is_no_label_is_named(frame):
    wrong = frame.assign(is_click=frame["is_click"].where(frame.index != 41, 3))
    with pytest.raises(hinet.DataError) as raised:
        make_ranker().fit(wrong)
    assert (raised.value.row, raised.value.file, raised.value.value) == (42, "<train>", "3")


def test_an_object_column_of_mixed_values_is_named(ranker, frame):
    mixed = frame.head(4).astype({"item_id": object})
    mixed["item_id"] = ["a", 1, 2.5, b"x"]
    with pytest.raises(hinet.DataError, match="no common type") as raised:
        ranker.predict_proba(mixed)
    assert raised.value.column == "item_id"


def test_an_unknown_scenario_is_named_with_what_to_do(ranker, frame):
    unknown = frame.head(5).assign(tab="elsewhere")
    with pytest.raises(hinet.DataError, match="was not seen in train") as raised:
        ranker.predict_proba(unknown)
    assert (raised.value.row, raised.value.value) == (1, "elsewhere")
    lenient = make_ranker(scenario={"column": "tab", "unknown": "mean"}, epochs=1).fit(frame)
    assert lenient.predict_proba(unknown).shape == (5, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": None}, "name the column that tells the scenario"),
        ({"tasks": []}, "name what is to be predicted"),
        ({"model": "hinett"}, "hinet"),
        ({"model": {"preset": "hinet", "sub_expert": 2}}, "sub_experts"),
        ({"epochs": 0}, "train.epochs"),
        ({"train": {"optimizer": "adam"}}, "optimizer"),
        ({"features": [{"columns": ["age"], "kind": "number"}]}, "numeric"),
        ({"features": ["no_such"]}, "no_such"),
        ({"split": "tenth"}, "split"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes, message, frame):
    with pytest.raises(hinet.ConfigError, match=message):
        make_ranker(**changes).fit(frame)


def test_all_problems_of_a_config_are_listed_with_their_keys(frame):
    with pytest.raises(hinet.ConfigError) as raised:
        make_ranker(train={"epoch": 1, "batch_sizes": 2}).fit(frame)
    assert {problem["key"] for problem in raised.value.problems} == {"train.epoch", "train.batch_sizes"}


def test_what_is_no_table_is_refused_with_what_would_do(ranker):
    for wrong in [3, {"a": [1]}, numpy.zeros((3, 3)), [1, 2], iter([1])]:
        with pytest.raises(TypeError, match="record batches"):
            ranker.predict_proba(wrong)


def test_columns_that_cannot_be_told_apart_are_refused(frame):
    twice = pyarrow.table([[1], [2]], names=["tab", "tab"])
    with pytest.raises(hinet.DataError, match="two columns") as raised:
        make_ranker().fit(twice)
    assert raised.value.column == "tab"
    with pytest.raises(hinet.DataError, match="called by texts"):
        make_ranker().fit(pandas.DataFrame({0: [1], "tab": ["a"]}))


def test_a_stream_that_breaks_is_refused_with_its_reason(ranker, frame):
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)

    def broken():
        yield table.to_batches()[0]
        raise RuntimeError("the cable was cut")

    with pytest.raises(hinet.DataError, match="the cable was cut"):
        ranker.predict_proba(pyarrow.RecordBatchReader.from_batches(table.schema, broken()))


def test_files_that_are_not_there_are_errors_of_the_system(ranker, tmp_path):
    with pytest.raises(hinet.FileError, match="does not exist") as raised:
        ranker.predict_proba(tmp_path / "none.parquet")
    assert isinstance(raised.value, OSError)
    assert raised.value.file == str(tmp_path / "none.parquet")
    with pytest.raises(hinet.RunError, match="no run folder"):
        hinet.Run(tmp_path)


def test_a_run_folder_is_not_written_over(frame, tmp_path):
    make_ranker(epochs=1).fit(frame, out=tmp_path / "run")
    with pytest.raises(hinet.RunError, match="exists already"):
        make_ranker(epochs=1).fit(frame, out=tmp_path / "run")


def test_a_task_of_one_class_cannot_be_trained(frame):
    with pytest.raises(hinet.TrainingError, match="every label is 0"):
        make_ranker().fit(frame.assign(is_click=0))


def test_a_table_that_is_gone_is_said_to_be(frame, tmp_path, program):
    import subprocess

    make_ranker(epochs=1).fit(frame, out=tmp_path / "run")
    again = subprocess.run([program, "inspect", tmp_path / "run"], capture_output=True, text=True)
    assert again.returncode == 2
    assert "memory:train" in again.stderr and "name files" in again.stderr


def test_errors_survive_a_pickle():
    error = hinet.DataError("bad", file="a.csv", row=3, column="age", value="x")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.row, again.column, type(again)) == ("bad", 3, "age", hinet.DataError)


def test_features_named_alone_take_the_guessed_rule(frame):
    ranker = make_ranker(features=["user_id", FEATURES[1]], epochs=1).fit(polars.from_pandas(frame))
    assert sorted(ranker.feature_names_in_) == ["age", "tab", "user_id"]


def test_a_model_that_was_saved_before_its_evaluation_failed_is_loaded_and_scores(frame, tmp_path):
    test = frame.head(50).assign(tab="elsewhere")
    with pytest.raises(hinet.HinetError, match="trained and saved"):
        make_ranker(epochs=1).fit(frame, test=test, out=tmp_path / "run")
    ranker = hinet.Ranker.load(tmp_path / "run")
    assert len(ranker.metrics_) == 0 and ranker.predict_proba(frame).shape == (len(frame), 2)
