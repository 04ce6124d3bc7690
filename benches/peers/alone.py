"""Part `hinet`: hinet beside itself with smaller tables and fewer threads, its memory, and what the processor can do."""

import json
import os

from engine import Case, Engine, Ratio
from rechub import BATCHES, ROWS, SIZES, name, rows_of, scales

NAME = "hinet"
# A start above 0 is written into the state of every row, as training on all of them would do.
ADAGRAD = {"optimiser": "adagrad", "initial_accumulator": 0.1}
NOTES = [
    "The reference HiNet; `hinet / engine` compares hinet with itself here, or with the processor.",
    f"Tables: 10k, 1M and 10M rows x 16 over all 20 columns, batch {ROWS}, one thread, {BATCHES} batches in turn. "
    "`scale_hinet_1m` and `scale_hinet_10m` are the time of a step over that with 10k rows.",
    "`memory_adagrad_10m`: peak resident memory over the size of the tables and of their Adagrad state, every row of both written.",
    "`threads_2_over_1`: rows/s on two threads over those on one. `peak_share_1t`: the arithmetic of the products in a step "
    "(9.24 million floating point operations per row, forward and backward) over what one thread does on registers alone, measured "
    "in the same turns; gathers, softmaxes, losses and optimisers count as time, not as arithmetic.",
]


def cases(context):
    sizes = {size: total for size, total in SIZES.items() if size != "10m" or not context.quick}
    engines = [step(context, name("hinet", size), 1, ROWS, *rows_of(context, total)) for size, total in sizes.items()]
    yield Case("tables", engines, scales("hinet", sizes))
    size, total = list(sizes.items())[-1]
    tables = ["--tables", json.dumps(ADAGRAD), *rows_of(context, total)]
    engine = step(context, f"hinet, Adagrad, {size} rows", 1, ROWS, *tables)
    memory = Ratio(f"memory_adagrad_{size}", engine.name, engine.name, "peak_rss_mb", "table_mb")
    yield Case("memory", [engine], [memory], ("peak_rss_mb", "table_mb"))
    for rows in context.batches:
        yield threads(context, rows)


def threads(context, rows):
    few = None if (os.cpu_count() or 1) >= 2 else "the machine has one core"
    one = step(context, "hinet, 1 thread", 1, rows)
    two = step(context, "hinet, 2 threads", 2, rows, lacks=few)
    peak = Engine("registers, 1 thread", context.hinet("peak", context.seconds))
    suffix = "" if rows == 1024 else f"_b{rows}"
    ratios = [
        Ratio(f"threads_2_over_1{suffix}", two.name, one.name, "gflops"),
        Ratio(f"peak_share_1t{suffix}", one.name, peak.name, "gflops"),
    ]
    return Case(f"batch {rows}", [one, two, peak], ratios, ("gflops",))


def step(context, label, threads, rows, *options, lacks=None):
    return Engine(label, context.hinet("step", threads, rows, context.seconds, *options), lacks)
