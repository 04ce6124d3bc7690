"""Time training steps of the PyTorch reference: step_torch.py VARIANT THREADS ROWS SECONDS BATCHES -> one line of JSON.

Variants: naive (dense Adam), naive-sparse (lazy Adam on tables), best, best-bf16 (autocast).
"""

import sys

import torch
import torch.nn as nn
from hinet_torch import Best, Naive, batches
from worker import print_steps, timed


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
    variant, threads, rows, seconds, path = sys.argv[1:]
    rows = int(rows)
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    forward, optimisers = network(variant)
    times = []
    for b in timed(batches(path, rows), float(seconds), times):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=variant.endswith("bf16")):
            logits = forward(b)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), b[3], reduction="sum") / rows
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        loss.item()
    print_steps(rows, times)


if __name__ == "__main__":
    main()
