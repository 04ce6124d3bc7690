"""Metrics of every scenario and task, as numbers, tables and text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from arro3.core import Table

from hinet._html import cells_html
from hinet._tables import table_of

UNDEFINED = "–"

#: Metrics worth a column, with their heads and decimals; those in brackets only where some cell has them.
SHOWN = [("auc", "AUC", 4), ("gauc", "GAUC", 4), ("logloss", "log loss", 4), ("pcoc", "PCOC", 3), ("ece", "ECE", 4)]
OPTIONAL = {"gauc"}


class SplitMetrics:
    """The metrics of one set of rows: a cell for each scenario and task, and each task over all scenarios.

    A metric that its rows cannot define, such as an AUC over one class, is ``None``.
    """

    def __init__(self, name: str, told: Mapping[str, Any]) -> None:
        self.name = name
        self._told = told

    @property
    def rows(self) -> int:
        """Rows, observed or not."""
        return int(self._told["rows"])

    @property
    def cells(self) -> list[dict[str, Any]]:
        """A record for each scenario and task."""
        return list(self._told["cells"])

    @property
    def overall(self) -> list[dict[str, Any]]:
        """A record for each task over all scenarios."""
        return list(self._told["overall"])

    @property
    def mean_auc(self) -> float | None:
        """Mean over tasks of the AUC over all rows."""
        return self._told.get("mean_auc")

    @property
    def mean_cell_auc(self) -> float | None:
        """Mean over cells with enough rows of either class."""
        return self._told.get("mean_cell_auc")

    @property
    def mean_logloss(self) -> float | None:
        """Mean over tasks of the log loss over all rows."""
        return self._told.get("mean_logloss")

    def table(self) -> Table:
        """The cells as an Arrow table, those over all scenarios last, with no scenario."""
        lists = {key for cell in self.cells for key, value in cell.items() if isinstance(value, (list, dict))}
        records = [{"scenario": None, **cell} for cell in [*self.cells, *self.overall]]
        return table_of([{key: value for key, value in cell.items() if key not in lists} for cell in records])

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``metrics.json``."""
        return dict(self._told)

    def _lines(self) -> tuple[list[str], list[list[str]]]:
        cells = [*self.cells, *self.overall]
        shown = [one for one in SHOWN if one[0] not in OPTIONAL or any(cell.get(one[0]) is not None for cell in cells)]
        head = ["scenario", "task", "rows", "positive", *(title for _, title, _ in shown)]
        return head, [_line(cell, shown) for cell in cells]

    def __str__(self) -> str:
        head, lines = self._lines()
        widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
        padded = [
            "  ".join(text.ljust(width) if column < 2 else text.rjust(width) for column, (text, width) in enumerate(zip(line, widths)))
            for line in [head, ["─" * width for width in widths], *lines]
        ]
        means = f"mean AUC {_number(self.mean_auc, 4)}, of cells {_number(self.mean_cell_auc, 4)}"
        return "\n".join([f"{self.name}, {self.rows:,} rows", "", *(line.rstrip() for line in padded), "", means])

    def __repr__(self) -> str:
        return f"<SplitMetrics of {self.rows:,} rows, mean AUC {_number(self.mean_auc, 4)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SplitMetrics) and self._told == other._told

    def _repr_html_(self) -> str:
        head, lines = self._lines()
        caption = f"{self.name}, {self.rows:,} rows; mean AUC {_number(self.mean_auc, 4)}"
        return cells_html(caption, head, lines)


class Metrics(Mapping[str, SplitMetrics]):
    """The metrics of a run by the name of the split: ``valid``, ``test``."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._splits = {name: SplitMetrics(name, split) for name, split in told["splits"].items()}

    @classmethod
    def from_json(cls, text: str) -> Metrics:
        """Reads what ``metrics.json`` holds."""
        return cls(json.loads(text))

    def __getitem__(self, name: str) -> SplitMetrics:
        return self._splits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._splits)

    def __len__(self) -> int:
        return len(self._splits)

    @property
    def about(self) -> dict[str, Any]:
        """Further facts of the run: its model's size, the seed, ..."""
        return {key: value for key, value in self._told.items() if key != "splits"}

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``metrics.json``."""
        return dict(self._told)

    def __str__(self) -> str:
        return "\n\n".join(str(split) for split in self._splits.values())

    def _repr_html_(self) -> str:
        return "".join(split._repr_html_() for split in self._splits.values())


def _line(cell: Mapping[str, Any], shown: list[tuple[str, str, int]]) -> list[str]:
    scenario = cell.get("scenario")
    counts = [f"{cell['rows']:,}", f"{cell['positives']:,}"]
    numbers = [_number(cell.get(key), places) for key, _, places in shown]
    return ["all" if scenario is None else str(scenario), str(cell["task"]), *counts, *numbers]


def _number(value: float | None, places: int) -> str:
    return UNDEFINED if value is None else f"{value:.{places}f}"
