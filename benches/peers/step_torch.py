"""Time training steps of the PyTorch reference: step_torch.py VARIANT THREADS BATCH SECONDS -> one line of JSON.

Variants: naive (dense Adam), naive-sparse (lazy Adam on tables), best, best-bf16 (autocast).
"""

import json
import resource
import statistics
import sys
import time

import torch
import torch.nn as nn
from hinet_torch import Best, Naive, batch


def network(variant):
    """The forward function over a batch, and its optimisers."""
    if variant == "naive":
        model = Naive()
        return lambda b: model(b[0], b[1]), [torch.optim.Adam(model.parameters(), lr=1e-3)]
    if variant == "naive-sparse":
        model = Naive(sparse=True)
        tables = [table.weight for table in model.tables]
        known = {id(p) for p in tables}
        dense = [p for p in model.parameters() if id(p) not in known]
        optimisers = [torch.optim.SparseAdam(tables, lr=1e-3), torch.optim.Adam(dense, lr=1e-3)]
        return lambda b: model(b[0], b[1]), optimisers
    if variant in ("best", "best-bf16"):
        model = Best()
        dense = [p for name, p in model.named_parameters() if name != "table.weight"]
        optimisers = [
            torch.optim.SparseAdam([model.table.weight], lr=1e-3),
            torch.optim.Adam(dense, lr=1e-3, fused=True),
        ]
        return lambda b: model(b[0], b[2]), optimisers
    sys.exit(f"unknown variant {variant!r}: naive, naive-sparse, best or best-bf16")


def main():
    variant, threads, rows, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    batches = [batch(rows, generator) for _ in range(8)]
    forward, optimisers = network(variant)

    def step(b):
        started = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=variant.endswith("bf16")):
            logits = forward(b)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), b[3], reduction="sum") / rows
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        loss.item()
        return time.perf_counter() - started

    for b in batches[:3]:
        step(b)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        times.append(step(batches[len(times) % 8]))
    median = statistics.median(times)
    print(json.dumps({
        "engine": f"torch {variant}", "threads": threads, "batch": rows, "steps": len(times),
        "rows_per_s": round(rows / median), "best_rows_per_s": round(rows / min(times)),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


if __name__ == "__main__":
    main()
