"""Training speed beside PyTorch, in turn in one run: run.py [--rounds N] [--seconds S] [--batch ROWS ...]

Runs `hinet`'s reference step and the PyTorch variants one after the other, round by round, so that a
drift of the machine meets all of them; prints a table of medians with ratios and writes
target/bench-peers.json. Allocator thresholds are raised for every engine alike.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VARIANTS = ["naive", "naive-sparse", "best"]
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}


def one(command):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")} | ALLOCATOR
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def engines(threads, rows, seconds):
    arguments = [str(threads), str(rows), str(seconds)]
    yield "hinet", [str(ROOT / "target/release/examples/reference_step"), *arguments]
    for variant in VARIANTS:
        yield variant, [sys.executable, str(HERE / "step_torch.py"), variant, *arguments]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--batch", type=int, nargs="+", default=[1024])
    options = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--workspace", "--example", "reference_step"], cwd=ROOT, check=True)
    cells, ratios = [], {}
    print("| engine | threads | batch | rows/s, median | spread | hinet / engine | peak RSS, MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for rows in options.batch:
        for threads in (1, 2):
            runs = {}
            for _ in range(options.rounds):
                for name, command in engines(threads, rows, options.seconds):
                    runs.setdefault(name, []).append(one(command))
            ours = statistics.median(r["rows_per_s"] for r in runs["hinet"])
            for name, results in runs.items():
                speeds = [r["rows_per_s"] for r in results]
                median = statistics.median(speeds)
                memory = max(r["peak_rss_mb"] for r in results)
                suffix = f"_{threads}t" + ("" if rows == 1024 else f"_b{rows}")
                if name != "hinet":
                    ratios[f"train_{name.replace('-', '_')}{suffix}"] = round(ours / median, 3)
                cells.append({"engine": name, "threads": threads, "batch": rows, "rows_per_s": speeds, "median": median, "peak_rss_mb": memory})
                print(f"| {name} | {threads} | {rows} | {median:,.0f} | {min(speeds):,}–{max(speeds):,} | {ours / median:.2f} | {memory} |")
                sys.stdout.flush()
    out = ROOT / "target" / "bench-peers.json"
    out.write_text(json.dumps({"cells": cells, "ratios": ratios}, indent=2) + "\n")


if __name__ == "__main__":
    main()
