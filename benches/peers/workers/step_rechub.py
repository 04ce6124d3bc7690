"""Time training steps of torch-rechub: step_rechub.py MODEL own|tuned THREADS ROWS SECONDS BATCHES VALUES -> one line of JSON.

Models: mmoe, ple, shared_bottom, with the widths of its own example for Ali-CCP. VALUES are those of each column. `own` is what
its trainer does by default; `tuned` what one can get out of it: no batch norm, sparse gradients, a fused optimiser.
"""

import contextlib
import io
import sys

import torch
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.multi_task import MMOE, PLE, SharedBottom
from torch_rechub.trainers import MTLTrainer
from worker import COLUMNS, TASKS, print_steps, read_batches, timed

DIM = 16


def sparse_table(rows, dim, padding_idx=None):
    """An initializer for `SparseFeature`: as its own, with gradients of touched rows only."""
    table = torch.nn.Embedding(rows, dim, padding_idx=padding_idx, sparse=True)
    torch.nn.init.normal_(table.weight, 0, 0.0001)
    return table


def network(name, features):
    types = ["classification"] * TASKS
    expert, towers = {"dims": [16]}, [{"dims": [8]}] * TASKS
    if name == "mmoe":
        return MMOE(features, types, n_expert=8, expert_params=expert, tower_params_list=towers)
    if name == "ple":
        counts = {"n_level": 1, "n_expert_specific": 2, "n_expert_shared": 1}
        return PLE(features, types, **counts, expert_params=expert, tower_params_list=towers)
    if name == "shared_bottom":
        return SharedBottom(features, types, bottom_params={"dims": [117]}, tower_params_list=towers)
    sys.exit(f"unknown model {name!r}: mmoe, ple or shared_bottom")


def without_batch_norm(model):
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.BatchNorm1d):
                setattr(module, name, torch.nn.Identity())


class SparseAndFused:
    """To the trainer one optimiser: SparseAdam for tables, fused Adam for the rest."""

    def __init__(self, model):
        tables = [module.weight for module in model.modules() if isinstance(module, torch.nn.Embedding)]
        known = {id(table) for table in tables}
        dense = [parameter for parameter in model.parameters() if id(parameter) not in known]
        self.parts = [torch.optim.SparseAdam(tables, lr=1e-3), torch.optim.Adam(dense, lr=1e-3, fused=True)]

    def step(self):
        for part in self.parts:
            part.step()


def trainer(name, settings, values):
    types = ["classification"] * TASKS
    option = {"initializer": sparse_table} if settings == "tuned" else {}
    features = [SparseFeature(f"f{column}", values, embed_dim=DIM, **option) for column in range(COLUMNS)]
    model = network(name, features)
    if settings == "own":
        return MTLTrainer(model, types)
    without_batch_norm(model)
    return MTLTrainer(model, types, optimizer_fn=lambda parameters: SparseAndFused(model), optimizer_params={})


def main():
    name, settings, threads, rows, seconds, path, values = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    rows = int(rows)
    batches = []
    for ids, _, labels in read_batches(path, rows):
        columns = {f"f{column}": torch.from_numpy(ids[:, column].astype("int64")) for column in range(COLUMNS)}
        batches.append((columns, torch.from_numpy(labels.astype("float32"))))
    times = []
    # The trainer prints the loss of an epoch, and a bar on the way.
    with contextlib.redirect_stdout(io.StringIO()):
        trainer(name, settings, int(values)).train_one_epoch(timed(batches, float(seconds), times))
    print_steps(rows, times)


if __name__ == "__main__":
    main()
