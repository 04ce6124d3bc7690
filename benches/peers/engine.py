"""Engines that do the same work, run in turn: round by round, so that a drift of the machine meets all of them."""

import dataclasses
import json
import os
import subprocess
import sys

# Without these an allocator may hand memory back after each step and page it in again for the next one.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
# A comparator that hangs must not cost the others their results.
TIMEOUT = 1800


@dataclasses.dataclass(frozen=True)
class Engine:
    """A command that prints one JSON object on its last line, or why there is none."""

    name: str
    command: list
    lacks: str = None


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A key of the report: how much better one engine is than another by a measure."""

    key: str
    ours: str
    theirs: str
    measure: str = "rows_per_s"
    # Another measure of theirs; then the ratio is plainly that of ours over it.
    against: str = None


@dataclasses.dataclass(frozen=True)
class Case:
    """Engines that do the same work."""

    title: str
    engines: list
    ratios: list
    measures: tuple = ("rows_per_s",)


@dataclasses.dataclass
class Outcome:
    """What an engine printed in each round, or why it has nothing to show."""

    results: list = dataclasses.field(default_factory=list)
    reason: str = None


class Failed(Exception):
    """A command that did not end well; says why in a line."""


def run(command):
    """Runs a command with the settings that all engines share and reads the JSON of its last line."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {TIMEOUT} s") from None
    except OSError as error:
        raise Failed(str(error)) from None
    if done.returncode != 0:
        raise Failed(why(done.returncode, done.stderr))
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Failed("printed no JSON") from None


def attempt(command):
    """Runs what prepares for measuring; why it failed, if it did."""
    try:
        run(command)
    except Failed as failure:
        return str(failure)
    return None


def environment():
    """OpenBLAS may be pinned to an old kernel on this machine; nothing that is measured should be."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    return kept | ALLOCATOR


def why(code, stderr):
    """The last line that a failing command wrote, which is where both Python and Rust say what was wrong."""
    if code < 0:
        return f"ended by signal {-code}" + (" (out of memory?)" if code == -9 else "")
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"exit code {code}"


def run_in_turn(case, rounds, run=run):
    """The outcome of each engine. One that fails is left out from then on, and what it gave before is not shown."""
    outcomes = {engine.name: Outcome(reason=engine.lacks) for engine in case.engines}
    for _ in range(rounds):
        for engine in case.engines:
            outcome = outcomes[engine.name]
            if outcome.reason:
                continue
            try:
                result = run(engine.command)
                missing = [name for name in (*case.measures, "peak_rss_mb") if result.get(name) is None]
                if missing:
                    raise Failed(f"printed no {missing[0]}")
                outcome.results.append(result)
            except Failed as failure:
                outcome.reason = str(failure)
                print(f"{case.title}, {engine.name}: {failure}", file=sys.stderr)
    return outcomes
