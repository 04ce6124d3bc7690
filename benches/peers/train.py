"""Part `train`: a whole training step of the reference HiNet beside the same network in PyTorch."""

import os

from context import flags
from engine import Case, Engine, Ratio, attempt

NAME = "train"
VARIANTS = ("naive", "naive-sparse", "best")
F32_ALONE = "hinet computes in f32 alone"
NOTES = [
    "The reference HiNet of `experiments/reference.toml`: 20 columns of 100,000 values x 16, embeddings and update included. All "
    "engines train on the same eight batches in turn; the median step counts, the first on each batch does not (of a slow engine "
    "at least the first three).",
    "`naive`: as public code writes it, every branch on every row, dense Adam. `naive-sparse`: the same with sparse gradients and "
    "SparseAdam for tables. `best`: rewritten for speed, one table, experts stacked into wide products, rows routed by scenario, "
    "SparseAdam for the table and fused Adam for the rest. `best-bf16`: that in autocast. `torch.compile` is left out: it wants a "
    "C++ compiler, and the rows of each scenario differ from batch to batch.",
    "hinet: Adam for dense parameters, Adam on touched rows for tables.",
    "`train_bf16_*` is hinet in bf16 over `best-bf16`, `train_bf16_best_*` hinet in bf16 over `best` in f32: without a value, since "
    f"{F32_ALONE}.",
]


def cases(context):
    lacks = context.lacks("torch", "numpy")
    for rows in context.batches:
        for threads in (1, 2):
            yield case(context, threads, rows, lacks)


def case(context, threads, rows, lacks):
    path, unwritten = batches(context, rows)
    few = None if (os.cpu_count() or 1) >= threads else "the machine has one core"
    no_amx = None if "amx_bf16" in flags() else "the processor lacks AMX"
    no_bf16 = f"{no_amx}, and {F32_ALONE}" if no_amx else F32_ALONE
    numbers = [threads, rows, context.seconds]
    suffix = f"_{threads}t" + ("" if rows == 1024 else f"_b{rows}")

    def torch(variant, lacks=lacks):
        command = context.worker("step_torch.py", variant, *numbers, path)
        return Engine(variant, command, few or lacks or unwritten)

    engines = [
        Engine("hinet", context.hinet("step", *numbers), few),
        *map(torch, VARIANTS),
        Engine("hinet bf16", context.hinet("step", *numbers, "--precision", "bf16"), few or no_bf16),
        torch("best-bf16", lacks or no_amx),
    ]
    ratios = [Ratio(f"train_{variant.replace('-', '_')}{suffix}", "hinet", variant) for variant in VARIANTS]
    ratios += [
        Ratio(f"train_bf16{suffix}", "hinet bf16", "best-bf16"),
        Ratio(f"train_bf16_best{suffix}", "hinet bf16", "best"),
    ]
    return Case(f"batch {rows}, {threads} thread{'s' if threads > 1 else ''}", engines, ratios)


def batches(context, rows, *options, command="step"):
    """A file with hinet's batches for the others, and why there is none, if so."""
    path = context.folder / ("".join([command, f"-{rows}", *(str(word).replace("--", "-") for word in options)]) + ".i32")
    return path, attempt(context.hinet(command, 1, rows, *options, "--write-batches", path))
