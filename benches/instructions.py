"""Count the instructions of one training step, and compare them with those on record.

`make instructions` counts; `make instructions RECORD=1` writes benches/instructions.json. Seconds differ from machine to
machine and from minute to minute; instructions do not, so a change that adds a loop is seen on a noisy machine too. Counted
are whole steps of crates/tape/examples/dense_step.rs (no embedding tables), on one thread, with AVX2, under callgrind: the
difference between two runs, so that what happens before the first step does not count. Needs valgrind.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "benches" / "instructions.json"
ROWS = [256]
# Beyond this share of change a count is worth a look.
NOTABLE = 0.01


def check():
    """Nothing is built in vain."""
    if not shutil.which("valgrind"):
        sys.exit("counting instructions needs valgrind, which is not installed (https://valgrind.org)")


def build():
    command = ["cargo", "build", "--release", "--locked", "-p", "hinet-tape", "--example", "dense_step"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "dense_step"


def instructions(program, rows, steps):
    """Instructions of a whole run of so many steps."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program, "1", str(rows), f"={steps}"]
        environment = os.environ | {"HINET_INSTRUCTIONS": "avx2"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
        return int(re.search(r"^totals: (\d+)", out.read_text(), re.MULTILINE)[1])


def main():
    check()
    program = build()
    counts = {}
    for rows in ROWS:
        counts[str(rows)] = (instructions(program, rows, 2) - instructions(program, rows, 1)) // rows
    if "--record" in sys.argv[1:]:
        record = {"what": "instructions per row of a training step, AVX2, one thread", "rows": counts}
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
    known = json.loads(RECORD.read_text())["rows"] if RECORD.exists() else {}
    print("| batch | instructions per row | on record | change |")
    print("| --- | --- | --- | --- |")
    for rows, count in counts.items():
        before = known.get(rows)
        change = "" if before is None else f"{100 * (count / before - 1):+.1f} %"
        mark = " **look**" if before is not None and abs(count / before - 1) > NOTABLE else ""
        print(f"| {rows} | {count:,} | {'' if before is None else format(before, ',')} | {change}{mark} |")


if __name__ == "__main__":
    main()
