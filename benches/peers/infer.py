"""Part `infer`: latency of the reference HiNet beside ONNX Runtime."""

from engine import Case, Engine, Ratio, attempt
from train import batches

NAME = "infer"
SIZES = (1, 32, 256, 1000)
ITEMS, USER_COLUMNS = 500, 10
NOTES = [
    "The reference HiNet, one thread, from ids to probabilities, embeddings included; 64 batches in turn, the same for both; "
    "warm-up discarded. hinet / engine is ONNX Runtime's median latency over hinet's.",
    "hinet has no ONNX export yet: the PyTorch reference of `benches/peers` is exported by `torch.onnx`. Its weights are drawn at "
    "random as hinet's are; only time is compared. The export is checked against PyTorch's scores.",
    "The graph is `best`: experts stacked, each row through the heads of its own scenario alone (slices of the batch, which is "
    "sorted by scenario). One row, and one user's items, go through a graph for rows of one scenario, which picks that scenario's "
    "weights and has no empty slices: the faster of the two there.",
    f"One user, {ITEMS} items: {USER_COLUMNS} of the columns and the scenario are the same in all rows of a call. hinet's plan for "
    "requests looks them up and multiplies them once; the graph of ONNX Runtime takes rows.",
    "ONNX Runtime: all graph optimisations, sequential execution, one intra-op and one inter-op thread.",
]


def cases(context):
    lacks = context.lacks("torch", "onnx", "onnxruntime")
    lacks = lacks or attempt(context.worker("export_onnx.py", context.folder))
    for rows in SIZES:
        title = f"{rows} row{'s' if rows > 1 else ''}"
        yield case(context, lacks, title, f"infer_onnxruntime_{rows}", rows)
    title = f"1 user, {ITEMS} items"
    yield case(context, lacks, title, f"infer_onnxruntime_user_{ITEMS}", ITEMS, "--user-columns", USER_COLUMNS)


def case(context, lacks, title, key, rows, *options):
    path, unwritten = batches(context, rows, *options, command="score")
    graph = context.folder / ("reference-one.onnx" if rows == 1 or options else "reference-routed.onnx")
    ours = Engine("hinet", context.hinet("score", 1, rows, context.seconds, *options))
    command = context.worker("infer_onnx.py", graph, rows, context.seconds, path)
    theirs = Engine("ONNX Runtime", command, lacks or unwritten)
    return Case(title, [ours, theirs], [Ratio(key, ours.name, theirs.name, "p50_ms")], ("p50_ms",))
