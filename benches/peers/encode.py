"""Part `encode`: reading and encoding Parquet beside pandas with scikit-learn's encoders, and pyarrow."""

from engine import Case, Engine, Ratio, attempt

NAME = "encode"
PEERS = {"sklearn": ("pandas", "scikit-learn", "pyarrow"), "pyarrow": ("pyarrow", "numpy")}
NOTES = [
    "A generated file like KuaiRand: 30 feature columns (6 ids and flags and 10 anonymous categories as integers, 7 categories as "
    "texts, 7 numbers, some cells missing), a scenario, two labels; zstd, row groups of 131,072 rows. One thread each. Reading "
    "comes from the page cache.",
    "`rows/s` is reading and encoding with fitted encoders, `rows/s of fitting` reading and fitting. hinet's reading also checks "
    "labels and scenarios and makes batches that a model takes.",
    "`sklearn`: `pandas.read_parquet`, `OrdinalEncoder` to int32 with codes for missing and unseen values for categories, "
    "`KBinsDiscretizer` with 20 quantile bins for numbers (missing ones by their median, since it takes none).",
    "`pyarrow`: columns read as dictionaries where they are texts; fitting is `dictionary_encode` or `quantile`, encoding "
    "`index_in` the fitted values or `numpy.searchsorted`.",
    "hinet: `vocabulary` for categories with `min_count = 1`, `quantile` with 20 buckets for numbers.",
]


def cases(context):
    unwritten = prepare(context)
    hinet = context.hinet("encode", context.folder / "encode.toml")
    engines = [Engine("hinet", hinet, unwritten)]
    ratios = []
    for peer, packages in PEERS.items():
        command = context.worker("encode_python.py", peer, context.folder / "rows.parquet")
        engines.append(Engine(peer, command, context.lacks(*packages) or unwritten))
        ratios.append(Ratio(f"encode_{peer}", "hinet", peer))
        ratios.append(Ratio(f"encode_fit_{peer}", "hinet", peer, "fit_rows_per_s"))
    yield Case("30 columns of Parquet", engines, ratios, ("rows_per_s", "fit_rows_per_s"))


def prepare(context):
    """Writes the data; why it is not there, if so."""
    rows = 50_000 if context.quick else 1_000_000
    lacks = context.lacks("pandas", "pyarrow", "numpy")
    return lacks or attempt(context.worker("kuairand_like.py", context.folder, rows))
