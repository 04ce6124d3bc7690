"""hinet beside its peers, in turn in one run: see docs/performance.md.

Makes a virtual environment with the peers below target/, builds hinet's side, and runs each part's engines one after the
other, round by round, so that a drift of the machine meets all of them. After each part it prints a table and writes
target/bench-peers.md and target/bench-peers.json. What cannot run stands in both with the reason.
"""

import argparse
import math
import sys

import alone
import context
import encode
import engine
import infer
import rechub
import report
import train
import vw

PARTS = {part.NAME: part for part in (train, rechub, alone, infer, encode, vw)}


def count(text):
    """One or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too few, there must be 1 or more")
    return value


def duration(text):
    """Seconds that can pass."""
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return value


def options(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, help="runs of each engine (5)")
    parser.add_argument("--seconds", type=duration, help="how long a run is timed, but in `encode` and `vw` (3)")
    parser.add_argument("--batch", type=count, nargs="+", help="rows of a batch in `train` and `hinet` (1024 4096)")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of %(default)s")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one round, half a second, small tables and files")
    parser.add_argument("--python", help="a Python that has the peers, instead of a virtual environment below target/")
    given = parser.parse_args(words)
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.seconds = given.seconds or (0.5 if given.quick else 3)
    given.batch = given.batch or ([1024] if given.quick else [1024, 4096])
    given.parts = given.parts.split(",")
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}: there are {', '.join(PARTS)}")
    for option, values in (("--parts", given.parts), ("--batch", given.batch)):
        if len(set(values)) < len(values):
            parser.error(f"{option} names something twice: its numbers would stand under the same keys")
    return given


def main():
    given = options()
    built = context.build()
    python, versions, lacking = context.environment(given.python)
    shared = context.Context(python, lacking, built, given.seconds, tuple(given.batch), given.quick)
    facts = {"rounds": given.rounds, "seconds": given.seconds, "quick": given.quick}
    made = report.Report(context.facts() | facts | {"packages": versions, "lacking": lacking})
    for name in given.parts:
        for case in PARTS[name].cases(shared):
            made.add(name, PARTS[name].NOTES, case, engine.run_in_turn(case, given.rounds))
            made.write(context.TARGET)
        print(made.part(name), flush=True)
    print(f"written: bench-peers.md and bench-peers.json in {context.TARGET}", file=sys.stderr)


if __name__ == "__main__":
    main()
