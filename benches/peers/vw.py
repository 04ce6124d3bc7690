"""Part `vw`: reading text and learning a logistic model on the way, beside Vowpal Wabbit."""

from encode import prepare
from engine import Case, Engine, Ratio

NAME = "vw"
NOTES = [
    "The rows of part `encode`, one task, one pass. Vowpal Wabbit reads its text format in the shortest form (a letter per "
    "column, no scenario), hashes into 2^18 weights and learns row by row (`--loss_function logistic`, otherwise its defaults); "
    "hinet reads CSV, or Parquet, hashes into 2^18 weights and trains `logistic` in batches of 1,024 with Adagrad.",
    "Both parse on one thread and learn on another, which is what both do by default. Vowpal Wabbit fits nothing beforehand; "
    "hinet's pass that finds the scenarios and counts labels is left out of `rows/s` and counted in the other measure.",
]


def cases(context):
    unwritten = prepare(context)

    def hinet(form):
        return Engine(f"hinet, {form}", context.hinet("learn", context.folder / f"learn-{form}.toml"), unwritten)

    lacks = context.lacks("vowpalwabbit") or unwritten
    peer = Engine("Vowpal Wabbit", context.worker("learn_vw.py", context.folder / "rows.vw"), lacks)
    ratios = [
        Ratio("vw_logistic", "hinet, csv", peer.name),
        Ratio("vw_logistic_parquet", "hinet, parquet", peer.name),
        Ratio("vw_logistic_all", "hinet, csv", peer.name, "all_rows_per_s"),
        Ratio("vw_logistic_parquet_all", "hinet, parquet", peer.name, "all_rows_per_s"),
    ]
    measures = ("rows_per_s", "all_rows_per_s")
    yield Case("30 columns, one pass", [hinet("csv"), hinet("parquet"), peer], ratios, measures)
