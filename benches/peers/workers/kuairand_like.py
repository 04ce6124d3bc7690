"""Rows like KuaiRand's: kuairand_like.py FOLDER ROWS -> there rows.parquet, rows.csv, rows.vw, and hinet's experiments on them.

30 feature columns, a scenario `tab` and two labels; cardinalities are those of KuaiRand-Pure, values are random and skewed.
Writes nothing where the folder has these rows already.
"""

import hashlib
import pathlib
import string
import sys

import numpy
import pyarrow
import pyarrow.compute as compute
import pyarrow.csv
import pyarrow.parquet
from worker import print_result

# By column: how many values.
INTEGERS = {
    "user_id": 27_285, "video_id": 7_583, "author_id": 5_986, "is_lowactive_period": 2, "is_live_streamer": 2,
    "is_video_author": 2, "onehot_feat0": 2, "onehot_feat1": 7, "onehot_feat2": 50, "onehot_feat3": 1_471, "onehot_feat4": 15,
    "onehot_feat5": 34, "onehot_feat6": 3, "onehot_feat7": 118, "onehot_feat8": 454, "onehot_feat9": 7,
}
TEXTS = {
    "user_active_degree": 8, "follow_user_num_range": 8, "fans_user_num_range": 9, "friend_user_num_range": 7,
    "register_days_range": 8, "video_type": 2, "upload_type": 31,
}
# By column: its scale.
NUMBERS = {
    "hourmin": 2_400, "duration_ms": 60_000, "freshness_days": 30, "follow_user_num": 400, "fans_user_num": 150,
    "friend_user_num": 60, "register_days": 900,
}
CATEGORIES = [*INTEGERS, *TEXTS]
SCENARIO, LABELS = "tab", ["is_click", "long_view"]
# Columns with this share of missing cells.
MISSING, MISSING_SHARE = ("onehot_feat4", "user_active_degree", "duration_ms", "freshness_days"), 0.02
ROW_GROUP = 131_072
ENCODE = """config_version = 1
[data]
train = "rows.parquet"
[scenario]
column = "tab"
[[task]]
name = "click"
label = "is_click"
[[task]]
name = "long_view"
label = "long_view"
[[feature]]
columns = {categories}
kind = "categorical"
min_count = 1
[[feature]]
columns = {numbers}
kind = "numeric"
transform = "quantile"
buckets = 20
"""
LEARN = """config_version = 1
[data]
train = "rows.{form}"
shuffle_rows = 1024
cache_mb = 0
[scenario]
column = "tab"
[[task]]
name = "click"
label = "is_click"
[[feature]]
columns = {categories}
kind = "categorical"
encoding = "hash"
buckets = 262144
hash_column = true
table = "all"
[[feature]]
columns = {numbers}
kind = "numeric"
transform = "log"
[model]
preset = "logistic"
[train]
batch_size = 1024
scenario_weight_power = 0.0
sparse = {{ optimiser = "adagrad", learning_rate = 0.05 }}
"""


def table(rows):
    random = numpy.random.default_rng(7)

    def skewed(values):
        return (values * random.random(rows) ** 3).astype("int64")

    columns = {name: pyarrow.array(skewed(values)) for name, values in INTEGERS.items()}
    for name, values in TEXTS.items():
        names = pyarrow.array([f"{name.split('_')[0]}_{value}" for value in range(values)])
        columns[name] = names.take(pyarrow.array(skewed(values)))
    for name, scale in NUMBERS.items():
        columns[name] = pyarrow.array(numpy.floor(random.exponential(scale, rows)))
    columns[SCENARIO] = pyarrow.array(random.choice(6, rows, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04]))
    # Labels that a logistic model can learn something of.
    logit = 0.02 * numpy.asarray(columns["onehot_feat2"]) - 1.0
    for label in LABELS:
        columns[label] = pyarrow.array((random.random(rows) < 1 / (1 + numpy.exp(-logit))).astype("int64"))
    for name in MISSING:
        missing = pyarrow.array(random.random(rows) < MISSING_SHARE)
        columns[name] = compute.if_else(missing, pyarrow.scalar(None, columns[name].type), columns[name])
    return pyarrow.table(columns)


def vowpal_lines(rows):
    """Its text format in the shortest form: a letter per column, and one namespace for all numbers."""
    def text(name):
        return compute.fill_null(compute.cast(rows[name], pyarrow.string()), "").combine_chunks()

    letters = iter(string.ascii_letters)
    pieces = [compute.if_else(compute.equal(rows[LABELS[0]], 1), "1", "-1").combine_chunks()]
    for name in CATEGORIES:
        pieces += [f" |{next(letters)} ", text(name)]
    pieces.append(" |N")
    for letter, name in zip(string.ascii_letters, NUMBERS):
        numbers = text(name)
        named = compute.binary_join_element_wise(f" {letter}:", numbers, "")
        pieces.append(compute.if_else(compute.equal(numbers, ""), "", named))
    return compute.binary_join_element_wise(*pieces, "")


def write(folder, rows):
    made = table(rows)
    pyarrow.parquet.write_table(made, folder / "rows.parquet", compression="zstd", row_group_size=ROW_GROUP)
    pyarrow.csv.write_csv(made, folder / "rows.csv", pyarrow.csv.WriteOptions(quoting_style="none"))
    lines = pyarrow.table({"line": vowpal_lines(made)})
    plain = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    pyarrow.csv.write_csv(lines, folder / "rows.vw", plain)
    columns = {"categories": quoted(CATEGORIES), "numbers": quoted(NUMBERS)}
    (folder / "encode.toml").write_text(ENCODE.format(**columns))
    for form in ("csv", "parquet"):
        (folder / f"learn-{form}.toml").write_text(LEARN.format(form=form, **columns))


def quoted(names):
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def main():
    folder, rows = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    # Written last: a run that was interrupted leaves no mark, and other scripts than these rows were made by another one.
    script = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    mark, made_by = folder / "rows.txt", f"{rows} rows by {script}\n"
    if not mark.exists() or mark.read_text() != made_by:
        mark.unlink(missing_ok=True)
        write(folder, rows)
        mark.write_text(made_by)
    print_result(rows=rows)


if __name__ == "__main__":
    main()
