"""Memory of a fit on ten million rows from pyarrow: a table that is read where it stands, and a stream that is never whole.

    python benches/python_stream.py [--rows N]

Needs the wheel (`make wheel`) and pyarrow. Each case runs in a process of its own, and its peak of resident memory is set beside
what the process had when the rows were there.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

BATCH = 65_536
PARAMETERS = dict(
    model={"preset": "hinet", "units": [16], "expert_units": [16], "tower_units": [8]},
    scenario="tab", tasks=["is_click"], split=None, epochs=1, batch_size=4096,
    features=[{"columns": ["user_id", "item_id"], "kind": "categorical", "dim": 4, "encoding": "hash", "buckets": 100_000},
              {"columns": ["age"], "kind": "numeric", "transform": "standard"}],
    train={"max_steps": 200},
)  # fmt: skip


def batches(rows):
    import numpy
    import pyarrow

    for number, first in enumerate(range(0, rows, BATCH)):
        draw, count = numpy.random.default_rng(number), min(BATCH, rows - first)
        columns = {
            "user_id": draw.integers(0, 1 << 40, count), "item_id": draw.integers(0, 1 << 40, count),
            "tab": draw.integers(0, 4, count), "age": draw.normal(40, 10, count), "is_click": draw.integers(0, 2, count),
        }  # fmt: skip
        yield pyarrow.RecordBatch.from_pydict(columns)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def case(form, rows):
    import pyarrow

    import hinet

    if form == "table":
        data = pyarrow.Table.from_batches(batches(rows))
        size = data.nbytes / 1e6
    else:
        schema = next(batches(1)).schema
        data = pyarrow.RecordBatchReader.from_batches(schema, batches(rows))
        size = rows * 40 / 1e6
    before, begun = peak(), time.monotonic()
    ranker = hinet.Ranker(**PARAMETERS).fit(data)
    assert ranker.metrics_.about["steps"] == min(200, -(-rows // 4096))
    seconds = time.monotonic() - begun
    print(json.dumps({"form": form, "rows": rows, "table_mb": size, "before_mb": before, "peak_mb": peak(), "seconds": seconds}))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--case", choices=["table", "stream"])
    given = options.parse_args()
    if given.case:
        return case(given.case, given.rows)
    for form in ["table", "stream"]:
        words = [sys.executable, __file__, "--rows", str(given.rows), "--case", form]
        told = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
        grown = told["peak_mb"] - told["before_mb"]
        print(
            f"{form}: {told['rows']:,} rows of {told['table_mb']:.0f} MB; resident {told['before_mb']:.0f} MB before the fit, at most "
            f"{told['peak_mb']:.0f} MB ({grown:+.0f}); {told['seconds']:.1f} s"
        )
        # A second copy of the table would be as large as the table, and so would the stream as a whole. What a fit needs itself is
        # much less, but not less than a small table.
        assert given.rows < 5_000_000 or grown < told["table_mb"] * (0.75 if form == "table" else 1.0), "the rows were copied"


if __name__ == "__main__":
    main()
