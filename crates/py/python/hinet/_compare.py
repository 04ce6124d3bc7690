"""Several models over several seeds: what of their differences is beyond noise."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arro3.core import Table

from hinet import _hinet
from hinet._experiment import Experiment
from hinet._html import plain_html
from hinet._ranker import Ranker
from hinet._run import Run, place_of, watching
from hinet._tables import Data, Path, table_of


class Comparison:
    """What came of a comparison."""

    def __init__(self, told: Mapping[str, Any], lines: str, home: Any = None) -> None:
        self._told = told
        self._lines = lines
        self._home = home

    @property
    def models(self) -> list[str]:
        """The models, in their order."""
        return [str(model["name"]) for model in self._told["models"]]

    def table(self) -> Table:
        """A line for each model: means over seeds, with their deviation."""
        return table_of(_flat(model) for model in self._told["models"])

    def cells(self) -> Table:
        """A line for each model, seed, scenario, task and metric: what ``compare.csv`` holds."""
        return table_of(_typed(line) for line in csv.DictReader(io.StringIO(self._lines)))

    def differences(self) -> Table:
        """A line for each model, scenario, task: how it differs from the one it is measured against, with the verdict."""
        return table_of(_differences(self._told))

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``compare.json``."""
        return dict(self._told)

    def __repr__(self) -> str:
        return f"<hinet.Comparison of {', '.join(self.models)}>"

    def _repr_html_(self) -> str:
        table = self.table()
        names = table.schema.names
        lines = zip(*(table[name].to_pylist() for name in names))
        return plain_html(names, [[_text(value) for value in line] for line in lines])


@dataclass
class _Plan:
    models: list[str]
    seeds: list[int]
    out: str
    resume: bool
    match_parameters: bool
    jobs: int


@dataclass
class _Judging:
    against: str | None
    reference: str | None
    draws: int
    threads: int


def compare(
    what: Experiment | Ranker,
    models: Sequence[str],
    *,
    seeds: int = 3,
    train: Data | None = None,
    valid: Data | None = None,
    test: Data | None = None,
    out: Path | None = None,
    resume: bool = False,
    against: str | None = None,
    reference: str | None = None,
    match_parameters: bool = False,
    jobs: int = 0,
    threads: int = 0,
    draws: int = 1000,
    progress: bool | None = None,
) -> Comparison:
    """Trains each of ``models`` with so many seeds on the same batches, and compares them on the test rows.

    ``what`` is an :class:`Experiment`, or a :class:`Ranker` with the rows it would be fitted on. Without ``out`` the runs go when
    the comparison does. ``match_parameters`` scales widths until all have as many dense parameters as the first one.
    """
    if isinstance(what, Ranker):
        if train is None:
            raise TypeError("compare: a Ranker has no rows of its own: name train")
        experiment = what.experiment(train, valid=valid, test=test)
    elif any(part is not None for part in (train, valid, test)):
        raise TypeError("compare: an Experiment has its rows: give them to Experiment.from_toml or from_config")
    else:
        experiment = what
    first = _seed(experiment)
    folder, home = place_of(out, "compare")
    plan = _Plan(list(models), [first + number for number in range(seeds)], str(folder), resume, match_parameters, jobs)
    judging = _Judging(against, reference, draws, threads)
    with watching(progress=progress) as watch:
        told, lines = _hinet.compare(experiment._native, plan, judging, watch)
    return Comparison(json.loads(told), lines, home)


def compare_runs(
    runs: Sequence[Run | Path],
    *,
    out: Path | None = None,
    against: str | None = None,
    reference: str | None = None,
    draws: int = 1000,
    threads: int = 0,
) -> Comparison:
    """Compares finished runs on the test rows that they share; runs that differ in nothing but their seed are one model. The rows
    have to be in files, where they still are."""
    paths = [run.path if isinstance(run, Run) else run for run in runs]
    with watching() as watch:
        told, lines = _hinet.compare_runs(paths, out, _Judging(against, reference, draws, threads), watch)
    return Comparison(json.loads(told), lines)


def _seed(experiment: Experiment) -> int:
    return int(tomllib.loads(experiment.to_toml())["train"]["seed"])


def _flat(model: Mapping[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {key: value for key, value in model.items() if not isinstance(value, (dict, list))}
    for key, value in model.items():
        if isinstance(value, dict) and "mean" in value:
            line[key] = value["mean"]
            line[f"{key}_deviation"] = value["deviation"]
    return line


def _typed(line: Mapping[str, str]) -> dict[str, Any]:
    value = float(line["value"]) if line["value"] else None
    return {**line, "seed": int(line["seed"]), "scenario": line["scenario"] or None, "value": value}


def _differences(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    records = []
    for contrast in told["contrasts"]:
        for one in [contrast["mean_auc"], *contrast["overall"], *contrast["cells"]]:
            interval = one.get("bootstrap") or {}
            plain = {key: one.get(key) for key in ("scenario", "task", "rows", "positives", "change", "verdict")}
            tested = {key: interval.get(key) for key in ("low", "high", "p", "p_holm")}
            records.append({"model": contrast["model"], "base": contrast["base"], **plain, **tested})
    return records


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
