"""What a model does inside: attention between scenarios, gates over experts, which features the ranking needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from arro3.core import Table

from hinet._html import heat_svg
from hinet._tables import table_of


class Explanation:
    """A look inside a model on some rows."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told

    @classmethod
    def from_json(cls, text: str) -> Explanation:
        """Reads what ``inspection.json`` holds."""
        return cls(json.loads(text))

    @property
    def part(self) -> str:
        """Which rows were looked at."""
        return str(self._told["part"])

    @property
    def scenarios(self) -> list[str]:
        """The scenarios."""
        return [str(scenario["name"]) for scenario in self._told["scenarios"]]

    @property
    def tasks(self) -> list[str]:
        """The tasks."""
        return list(self._told["tasks"])

    @property
    def attention(self) -> dict[str, list[list[float]]]:
        """By name, how much of each scenario (column) a scenario (line) takes in; HiNet's SAN is one such matrix."""
        return {matrix["name"]: matrix["weights"] for matrix in self._told["attention"]}

    @property
    def warnings(self) -> list[str]:
        """What to look at: gates and experts that collapsed."""
        return list(self._told["warnings"])

    @property
    def importance(self) -> list[dict[str, Any]]:
        """By feature, what shuffling it costs; empty unless it was asked for."""
        return list((self._told.get("importance") or {}).get("features", []))

    def gates(self) -> Table:
        """Mean weights of gates: a line for each gate, scenario, task and expert."""
        return table_of(
            {"gate": gate["name"], "scenario": line["scenario"], "task": line.get("task"), "expert": expert, "weight": weight}
            for gate in self._told["gates"]
            for line in gate["lines"]
            for expert, weight in zip(gate["experts"], line["weights"])
        )

    def experts(self) -> Table:
        """A line for each expert: its mean weight, and how much of it is dead."""
        return table_of(self._told["experts"])

    def tables(self) -> Table:
        """A line for each embedding table."""
        return table_of(self._told["tables"])

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``inspection.json``."""
        return dict(self._told)

    def __repr__(self) -> str:
        return f"<Explanation of {len(self.scenarios)} scenarios and {len(self.tasks)} tasks on {self.part} rows>"

    def _repr_html_(self) -> str:
        matrices = [heat_svg(name, self.scenarios, self.scenarios, weights) for name, weights in self.attention.items()]
        return "".join(f"<div>{matrix}</div>" for matrix in [*matrices, *map(_gate_svg, self._told["gates"])])


def _gate_svg(gate: Mapping[str, Any]) -> str:
    def name(line: Mapping[str, Any]) -> str:
        return line["scenario"] if line.get("task") is None else f"{line['scenario']}, {line['task']}"

    experts = gate["experts"]
    weights = [line["weights"] or [None] * len(experts) for line in gate["lines"]]
    return heat_svg(gate["name"], [name(line) for line in gate["lines"]], experts, weights)
