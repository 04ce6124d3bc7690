"""What the scripts of the peers share: hinet's batches, the clock, memory, and how a result is printed."""

import json
import pathlib
import statistics
import time

COLUMNS, TASKS = 20, 2
# Steps that are not counted at the least.
WARM_UP_STEPS = 3


def read_batches(path, rows):
    """Batches that hinet's side wrote, as (values [rows, columns], scenarios, labels) of whole numbers."""
    import numpy

    flat = numpy.fromfile(path, dtype="<i4").reshape(-1, rows, COLUMNS + 1 + TASKS)
    return [(batch[:, :COLUMNS], batch[:, COLUMNS], batch[:, COLUMNS + 1 :]) for batch in flat]


def timed(batches, seconds, times):
    """Gives batches in turn, and notes how long whoever takes them is busy with each.

    The first step on each batch does not count; where that takes longer than what is timed, the first three do not.
    """
    end = time.perf_counter() + seconds
    for index, batch in enumerate(batches):
        if index < WARM_UP_STEPS or time.perf_counter() < end:
            yield batch
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        yield batches[len(times) % len(batches)]
        times.append(time.perf_counter() - begin)


def print_steps(rows, times):
    """The result of a training loop."""
    print_result(
        rows_per_s=round(rows / statistics.median(times)), best_rows_per_s=round(rows / min(times)), steps=len(times),
    )


def print_result(**numbers):
    print(json.dumps(numbers | {"peak_rss_mb": round(peak_rss_mb())}))


def peak_rss_mb():
    """Most memory that was resident at once, as hinet measures its own."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
