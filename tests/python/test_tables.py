"""Whatever a table comes in, its rows are scored alike."""

import datetime

import arro3.core
import hinet
import numpy
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pytest
from conftest import make_ranker


@pytest.fixture(scope="module")
def scores(ranker, frame):
    return ranker.predict_proba(frame)


class Rows:
    """The same rows as a frame, a table, and files."""

    def __init__(self, frame, folder):
        self.frame, self.folder = frame, folder
        self.table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        self.polars = polars.from_arrow(self.table)

    def batches(self, rows):
        return self.table.to_batches(max_chunksize=rows)

    def file(self, name):
        path = self.folder / name
        write = {
            ".parquet": lambda: self.frame.to_parquet(path),
            ".csv": lambda: self.frame.to_csv(path, index=False),
            ".jsonl": lambda: self.frame.to_json(path, orient="records", lines=True),
        }
        write[path.suffix]()
        return path


def strided(frame):
    """Numbers that do not lie beside one another in memory."""
    wide = numpy.zeros((len(frame), 4), order="C")
    wide[:, 0], wide[:, 2] = frame["user_id"], frame["age"]
    assert not wide[:, 0].flags["C_CONTIGUOUS"]
    texts = {name: frame[name] for name in ["item_id", "tab", "is_click", "is_like"]}
    return pandas.DataFrame({"user_id": wide[:, 0], "age": wide[:, 2], **texts}, copy=False)


def with_large_texts(table):
    def wide(kind):
        return pyarrow.large_utf8() if pyarrow.types.is_string(kind) else kind

    return table.cast(pyarrow.schema([(field.name, wide(field.type)) for field in table.schema]))


WAYS = {
    "pandas": lambda rows: rows.frame,
    "pandas with an index of its own": lambda rows: rows.frame.set_index(pandas.Index(rows.frame.index + 5, name="age_of_row")),
    "pandas of pyarrow types": lambda rows: rows.table.to_pandas(types_mapper=pandas.ArrowDtype),
    "pandas with object texts": lambda rows: rows.frame.astype({"item_id": object, "tab": object}),
    "pandas with categories": lambda rows: rows.frame.astype({"item_id": "category", "tab": "category"}),
    "pandas with integers of 32 bits": lambda rows: rows.frame.astype({"user_id": "int32", "is_click": "int8", "is_like": "bool"}),
    "pandas from strided arrays": lambda rows: strided(rows.frame),
    "polars": lambda rows: rows.polars,
    "polars, lazy": lambda rows: rows.polars.lazy(),
    "polars with categories": lambda rows: rows.polars.with_columns(polars.col("tab").cast(polars.Categorical)),
    "pyarrow": lambda rows: rows.table,
    "pyarrow in small batches": lambda rows: pyarrow.Table.from_batches(rows.batches(7)),
    "pyarrow with large texts": lambda rows: with_large_texts(rows.table),
    "pyarrow reader": lambda rows: pyarrow.RecordBatchReader.from_batches(rows.table.schema, rows.batches(100)),
    "iterator of batches": lambda rows: iter(rows.batches(100)),
    "pyarrow dataset": lambda rows: pyarrow.dataset.dataset(rows.file("rows.parquet")),
    "arro3": lambda rows: arro3.core.Table.from_arrow(rows.table),
    "Parquet": lambda rows: rows.file("rows.parquet"),
    "CSV": lambda rows: str(rows.file("rows.csv")),
    "JSONL in a list": lambda rows: [rows.file("rows.jsonl")],
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_scored_alike_whatever_they_come_in(way, ranker, frame, scores, tmp_path):
    rows = Rows(frame, tmp_path)
    assert numpy.array_equal(ranker.predict_proba(WAYS[way](rows)), scores)
    assert ranker.evaluate(WAYS[way](rows)) == ranker.evaluate(frame)


def test_scores_come_back_as_a_table_that_others_take_without_a_copy(ranker, frame, scores):
    table = ranker.predict_table(frame, keep=["user_id"])
    assert table.schema.names == ["tab", "user_id", "p_click", "p_like"]
    back = polars.from_arrow(pyarrow.table(table))
    assert back["user_id"].to_list() == frame["user_id"].to_list()
    assert numpy.array_equal(back.select("p_click", "p_like").to_numpy(), scores)
    first, second = (pyarrow.table(table)["p_click"].chunk(0).buffers()[1].address for _ in range(2))
    assert first == second


def test_scores_into_a_file_are_the_same(ranker, frame, scores, tmp_path):
    assert ranker.run_.predict_file(frame, tmp_path / "scores.parquet", keep=["item_id"]) == len(frame)
    written = pandas.read_parquet(tmp_path / "scores.parquet")
    assert numpy.array_equal(written[["p_click", "p_like"]].to_numpy(), scores)
    assert list(written["item_id"]) == list(frame["item_id"])


def test_a_table_is_trained_on_as_its_file_and_its_stream_are(frame, tmp_path):
    frame.to_parquet(tmp_path / "rows.parquet")
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    stream = pyarrow.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=500))
    for data in [polars.from_arrow(table), tmp_path / "rows.parquet", stream]:
        again = make_ranker().fit(data)
        assert model_bytes(again) == model_bytes(make_ranker().fit(frame))


def model_bytes(ranker):
    folder = ranker.run_.path / "model"
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_missing_values_are_missing_whatever_marks_them(ranker, frame):
    holes = frame.head(200).copy()
    holes.loc[::3, "age"] = numpy.nan
    holes.loc[::4, "item_id"] = None
    nullable = holes.convert_dtypes()
    arrow = pyarrow.Table.from_pandas(holes, preserve_index=False)
    expected = ranker.predict_proba(holes)
    assert numpy.isfinite(expected).all()
    assert not numpy.array_equal(expected, ranker.predict_proba(frame.head(200)))
    with_nan = polars.from_arrow(arrow).with_columns(polars.col("age").fill_null(numpy.nan))
    assert with_nan["age"].is_nan().sum() == 67
    for table in [nullable, arrow, polars.from_arrow(arrow), with_nan]:
        assert numpy.array_equal(ranker.predict_proba(table), expected)


def test_times_of_a_zone_cut_train_as_the_same_times_in_utc_do(frame):
    start = datetime.datetime(2024, 3, 30, tzinfo=datetime.timezone.utc)
    times = pandas.Series(pandas.date_range(start, periods=len(frame), freq="min"))
    split = {"by": "time", "column": "at", "valid": 0.2, "test": 0.2}
    fits = [
        make_ranker(split=split, epochs=1).fit(frame.assign(at=times.dt.tz_convert(zone)))
        for zone in ["UTC", "Asia/Shanghai", "Europe/Berlin"]
    ]
    assert fits[0].metrics_["test"].rows == len(frame) // 5
    assert fits[1].metrics_.to_dict() == fits[2].metrics_.to_dict() == fits[0].metrics_.to_dict()


def test_times_of_a_zone_as_a_category_are_read_alike_from_a_frame_and_a_file(frame, tmp_path):
    hours = pandas.date_range("2024-03-30", periods=24, freq="h", tz="Europe/Berlin")
    rows = frame.assign(hour=hours[numpy.arange(len(frame)) % 24])
    assert str(rows["hour"].dt.tz) == "Europe/Berlin"
    rows.to_parquet(tmp_path / "rows.parquet")
    features = [{"columns": ["user_id", "hour"], "kind": "categorical", "dim": 4}]
    of_frame, of_file = (make_ranker(features=features, epochs=1).fit(data) for data in [rows, tmp_path / "rows.parquet"])
    assert model_bytes(of_frame) == model_bytes(of_file)
    assert of_frame.predict_proba(rows.assign(hour=hours[3])).tolist() != of_frame.predict_proba(rows.assign(hour=hours[9])).tolist()


def test_an_empty_table_is_scored_to_nothing_or_refused(ranker, frame):
    with pytest.raises(hinet.DataError, match="no rows"):
        ranker.predict_proba(frame.head(0))
