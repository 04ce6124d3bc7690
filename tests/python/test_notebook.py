"""What notebooks and terminals show: cells, matrices, how far training is."""

import io
import xml.etree.ElementTree as ElementTree

import hinet
import pyarrow
from conftest import make_frame, make_ranker
from hinet._progress import Bar, _TerminalLine


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{html}</div>")


def texts(element: ElementTree.Element, tag: str) -> list[str]:
    return ["".join(found.itertext()) for found in element.iter() if found.tag.split("}")[-1] == tag]


def test_a_run_shows_the_table_of_its_cells(ranker, frame):
    metrics = ranker.evaluate(frame)
    shown = texts(parsed(metrics._repr_html_()), "td")
    auc = f"{metrics.cells[0]['auc']:.4f}"
    assert shown[:2] == ["feed", "click"] and auc in shown
    assert auc in str(metrics)
    fitted = make_ranker(split={"by": "random", "valid": 0.2, "test": 0.2}, epochs=1).fit(frame)
    assert f"{fitted.metrics_['test'].overall[1]['auc']:.4f}" in texts(parsed(fitted._repr_html_()), "td")


def test_an_explanation_shows_the_matrix_of_san(ranker, frame):
    explained = ranker.explain(frame)
    (name, weights), *others = explained.attention.items()
    assert not others and all(abs(sum(line) - 1) < 1e-6 for line in weights)
    matrix = next(iter(parsed(explained._repr_html_())))
    shown = texts(matrix, "text")
    assert shown[0] == name and f"{weights[0][1]:.2f}" in shown
    assert [shown.count(scenario) for scenario in explained.scenarios] == [2, 2, 2]
    assert len([one for one in matrix.iter() if one.tag.endswith("rect")]) == 9


def test_an_explanation_of_the_rows_of_training_needs_no_rows(ranker):
    assert ranker.explain().scenarios == ["feed", "home", "search"]


def test_importance_finds_the_column_that_the_labels_come_from(ranker, frame):
    importance = {one["feature"]: one for one in ranker.explain(frame, importance=True).importance}
    assert set(importance) >= {"user_id", "item_id", "age"}
    gates = pyarrow.table(ranker.explain(frame).gates())
    assert set(gates.column_names) == {"gate", "scenario", "task", "expert", "weight"} and gates.num_rows > 6


def test_names_that_look_like_markup_are_shown_as_they_are():
    frame = make_frame(1500)
    frame["tab"] = frame["tab"].map({"home": "<b>&home", "feed": "feed\"'", "search": "search"})
    ranker = make_ranker(epochs=1).fit(frame)
    assert "<b>&home" in texts(parsed(ranker.evaluate(frame)._repr_html_()), "td")
    assert "<b>&home" in texts(parsed(ranker.explain(frame)._repr_html_()), "text")


def test_cells_become_a_table(ranker, frame):
    table = pyarrow.table(ranker.evaluate(frame).table())
    assert table.num_rows == 8 and {"scenario", "task", "rows", "positives", "auc", "logloss"} <= set(table.column_names)
    assert table.column("rows").type == pyarrow.int64() and table["scenario"].null_count == 2


def test_a_bar_is_written_over_and_taken_away(frame, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    make_ranker(progress=True).fit(frame, valid=frame)
    said = stream.getvalue()
    assert "reading the data" in said and "mean_auc on valid 0." in said and said.endswith("\r")
    assert "step 24/24" in said


def test_a_bar_is_not_shown_where_nobody_sits(frame, capfd):
    make_ranker(epochs=1).fit(frame)
    assert capfd.readouterr() == ("", "")


def test_a_bar_shows_losses_that_are_unknown():
    bar = Bar(_TerminalLine())
    event = {"step": 1, "steps": 0, "epoch": 1, "epochs": 1, "losses": {"a": None}, "rows_per_second": 1.0, "seconds_left": 0.0}
    assert bar("progress", event) is False
    bar.close()


def test_the_package_says_what_it_has():
    assert all(hasattr(hinet, name) for name in hinet.__all__)
    assert "hinet" in hinet.presets() and "task" in hinet.schema()["properties"]
