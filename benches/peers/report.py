"""From measured numbers to cells, ratios, the table and the JSON. Pure but for `write`."""

import json
import statistics

# How each measure is named in the table, and whether more of it is better.
MEASURES = {
    "rows_per_s": ("rows/s", True),
    "fit_rows_per_s": ("rows/s of fitting", True),
    "all_rows_per_s": ("rows/s, fitting included", True),
    "p50_ms": ("ms, median call", False),
    "gflops": ("GFLOP/s", True),
    "table_mb": ("tables and their state, MB", False),
    "peak_rss_mb": ("peak memory, MB", False),
}


def summary(values):
    """Median and spread of one number over the rounds."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratio(ours, theirs, measure):
    """How many times better ours is: rows per second over theirs, latencies the other way round."""
    better, worse = (ours, theirs) if MEASURES[measure][1] else (theirs, ours)
    return quotient(better, worse)


def quotient(over, under):
    return round(over / under, 3) if under else None


def cells(part, case, outcomes):
    """One cell per engine and measure; an engine that gave nothing has `null` and the reason."""
    made = []
    for engine in case.engines:
        outcome = outcomes[engine.name]
        for measure in case.measures:
            cell = {"part": part, "case": case.title, "engine": engine.name, "measure": measure}
            if outcome.reason:
                numbers = {"median": None, "low": None, "high": None}
                made.append(cell | numbers | {"rounds": [], "peak_rss_mb": None, "reason": outcome.reason})
                continue
            values = [result[measure] for result in outcome.results]
            memory = max(result["peak_rss_mb"] for result in outcome.results)
            made.append(cell | summary(values) | {"rounds": values, "peak_rss_mb": memory, "reason": None})
    return made


def median(outcome, measure):
    return statistics.median(result[measure] for result in outcome.results)


def ratios(case, outcomes):
    """Two dicts by key: the ratio or None, and why it is None."""
    found, reasons = {}, {}
    for wanted in case.ratios:
        ours, theirs = outcomes[wanted.ours], outcomes[wanted.theirs]
        reason = ours.reason or theirs.reason
        found[wanted.key] = None
        if reason:
            reasons[wanted.key] = reason
            continue
        numbers = median(ours, wanted.measure), median(theirs, wanted.against or wanted.measure)
        found[wanted.key] = quotient(*numbers) if wanted.against else ratio(*numbers, wanted.measure)
        if found[wanted.key] is None:
            reasons[wanted.key] = "a median is 0"
    return found, reasons


def number(value):
    """Digits that say something: 12,345 and 0.4321."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def table(cells, ratio_of):
    """Markdown; `ratio_of(cell)` is hinet's ratio beside this cell, if any."""
    lines = [
        "| case | engine | measure | median | spread | hinet / engine | peak memory, MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for cell in cells:
        shown = [cell["case"], cell["engine"], MEASURES[cell["measure"]][0]]
        if cell["reason"]:
            shown += [f"- ({cell['reason'].replace('|', '/')})", "", "", ""]
        else:
            times = ratio_of(cell)
            spread = f"{number(cell['low'])} to {number(cell['high'])}"
            shown += [number(cell["median"]), spread, "" if times is None else f"{times:.2f}", number(cell["peak_rss_mb"])]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


class Report:
    """What was measured so far."""

    def __init__(self, facts):
        self.facts = facts
        self.parts = []
        self.cells, self.ratios, self.reasons, self.notes = [], {}, {}, {}
        self._beside = {}

    def add(self, part, notes, case, outcomes):
        """Takes the outcomes of a case in."""
        if part not in self.parts:
            self.parts.append(part)
        self.notes[part] = notes
        self.cells += cells(part, case, outcomes)
        found, reasons = ratios(case, outcomes)
        self.ratios |= found
        self.reasons |= reasons
        for wanted in case.ratios:
            # The first ratio of an engine is the one that the table shows.
            self._beside.setdefault((part, case.title, wanted.theirs, wanted.measure), wanted.key)

    def _ratio_of(self, cell):
        return self.ratios.get(self._beside.get((cell["part"], cell["case"], cell["engine"], cell["measure"])))

    def part(self, part):
        """One part as Markdown: its table, then what one must know to read it."""
        rows = [cell for cell in self.cells if cell["part"] == part]
        notes = "\n".join(f"- {note}" for note in self.notes[part])
        return f"## {part}\n\n{table(rows, self._ratio_of)}\n\n{notes}\n"

    def markdown(self):
        facts = "\n".join(f"- {name}: {value}" for name, value in self.facts.items() if not isinstance(value, dict))
        lacking = "".join(f"- `{key}`: {reason}\n" for key, reason in self.reasons.items())
        lacking = f"\n## Ratios without a value\n\n{lacking}" if lacking else ""
        versions = ", ".join(f"{name} {version}" for name, version in self.facts.get("packages", {}).items() if version)
        parts = "\n".join(self.part(part) for part in self.parts)
        return f"# hinet beside its peers\n\n{facts}\n- packages: {versions}\n\n{parts}{lacking}"

    def to_json(self):
        names = ("cells", "ratios", "reasons", "notes")
        return json.dumps(self.facts | {name: getattr(self, name) for name in names}, indent=2) + "\n"

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench-peers.md").write_text(self.markdown())
        (folder / "bench-peers.json").write_text(self.to_json())
