"""Part `rechub`: a training step of multi-task models beside torch-rechub and FuxiCTR, with tables of several sizes."""

import json

from context import memory
from engine import Case, Engine, Ratio
from train import batches

NAME = "rechub"
# Bytes that PyTorch takes before a model is made.
PYTORCH = 1e9
ROWS, COLUMNS, DIM = 1024, 20, 16
# Rows of all tables together.
SIZES = {"10k": 10_000, "1m": 1_000_000, "10m": 10_000_000}
# So many that a processor's caches do not hold the rows of large tables that they touch.
BATCHES = 64
# torch-rechub's own widths (its example for Ali-CCP) in hinet's words; `workers/step_rechub.py` has them in its own.
MODELS = {
    "mmoe": {
        "preset": "mmoe", "task_scope": "task", "experts": 8, "expert_units": [16], "mmoe_gate_bias": True, "tower_units": [8],
    },
    "ple": {
        "preset": "ple", "task_scope": "task", "cgc_levels": 1, "shared": 1, "specific": 2, "expert_units": [16],
        "tower_units": [8],
    },
    "shared_bottom": {"preset": "shared_bottom", "task_scope": "task", "bottom_units": [117], "tower_units": [8]},
}
NOTES = [
    f"Batch {ROWS}, one thread, {COLUMNS} columns x {DIM} with tables of 10k, 1M and 10M rows over all columns together, two "
    f"tasks; the same {BATCHES} batches for all, in turn. Widths are those of torch-rechub's example for Ali-CCP: MMoE 8 experts "
    "of 16, PLE one level with 2 experts per task and 1 shared of 16, Shared-Bottom 117; towers of 8.",
    "`torch-rechub`: its classes, and its `MTLTrainer.train_one_epoch` over batches that are ready, with its default Adam (weight "
    "decay 1e-5; gradients as large as the tables). Its layers have a batch norm after each product, which cannot be turned "
    "off; hinet's presets have none.",
    "`torch-rechub, tuned`: the same trainer, batch norm taken out (then the arithmetic is hinet's), sparse gradients by its "
    "initializer option, SparseAdam for tables and fused Adam for the rest as its optimizer.",
    "`fuxictr`: FuxiCTR's wheel ships no multi-task model, so this is Shared-Bottom made of its `MultiTaskModel`, "
    "`FeatureEmbedding` and `MLP_Block`, without batch norm, trained by its `train_step` with Adam; it clips gradients.",
    "`scale_<model>_1m` and `scale_<model>_10m` are hinet's time of a step with such tables over that with 10k rows; they stand in "
    "the column of ratios beside hinet's larger tables.",
]


def cases(context):
    sizes = {"10k": SIZES["10k"]} if context.quick else SIZES
    written = {size: batches(context, ROWS, *rows_of(context, total)) for size, total in sizes.items()}
    for model in MODELS:
        engines, ratios = [], []
        for size, total in sizes.items():
            found = peers(context, model, size, total, *written[size])
            ours = hinet(context, model, size, total)
            engines += [ours, *found.values()]
            ratios += [Ratio(key, ours.name, peer.name) for key, peer in found.items()]
        yield Case(model, engines, ratios + scales(model, sizes))


def scales(model, sizes):
    """Rows/s of hinet with the smallest tables over those with larger ones: the same as time over time."""
    smallest, *larger = sizes
    return [Ratio(f"scale_{model}_{size}", name("hinet", smallest), name("hinet", size)) for size in larger]


def rows_of(context, total):
    """Options of hinet's side for tables of `total` rows in all."""
    return "--values", total // COLUMNS, "--batches", 8 if context.quick else BATCHES


def name(engine, size):
    return f"{engine}, {size} rows"


def hinet(context, model, size, total):
    options = [*rows_of(context, total), "--model", json.dumps(MODELS[model])]
    return Engine(name("hinet", size), context.hinet("step", 1, ROWS, context.seconds, *options))


def peers(context, model, size, total, path, unwritten):
    """By key of the ratio."""
    numbers = [1, ROWS, context.seconds, path, total // COLUMNS]
    rechub = context.lacks("torch", "torch-rechub") or unwritten

    def engine(label, lacks, script, *words):
        return Engine(name(label, size), context.worker(script, *words, *numbers), lacks)

    found = {
        f"rechub_{model}_{size}":
            engine("torch-rechub", rechub or too_large(total, 5), "step_rechub.py", model, "own"),
        f"rechub_tuned_{model}_{size}":
            engine("torch-rechub, tuned", rechub or too_large(total, 3), "step_rechub.py", model, "tuned"),
    }
    if model == "shared_bottom":
        lacks = context.lacks("torch", "fuxictr") or unwritten or too_large(total, 5)
        found[f"fuxictr_{model}_{size}"] = engine("fuxictr", lacks, "step_fuxictr.py")
    return found


def too_large(total, copies):
    """Tables, Adam's two moments, and with dense gradients these and what the update takes besides: copies of the tables."""
    needed, free = total * DIM * 4 * copies + PYTORCH, memory("MemAvailable")
    if free and needed > 0.9 * free:
        return f"takes about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
    return None
