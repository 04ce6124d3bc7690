"""Time training steps of FuxiCTR: step_fuxictr.py THREADS ROWS SECONDS BATCHES VALUES -> one line of JSON.

Its wheel has layers and trainers but no multi-task model, so Shared-Bottom is put together from them here, with the widths of
`step_rechub.py`.
"""

import sys
from collections import OrderedDict

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import MultiTaskModel
from worker import COLUMNS, TASKS, print_steps, read_batches, timed

DIM, BOTTOM, TOWER = 16, 117, 8
LABELS = [f"label{task}" for task in range(TASKS)]


class SharedBottom(MultiTaskModel):
    """One bottom, a tower per task."""

    def __init__(self, feature_map):
        super().__init__(
            feature_map, task="binary_classification", num_tasks=TASKS, verbose=0, model_root=".", metrics=["AUC"],
        )
        self.embedding = FeatureEmbedding(feature_map, DIM)
        self.bottom = MLP_Block(input_dim=DIM * COLUMNS, hidden_units=[BOTTOM])
        self.towers = torch.nn.ModuleList(
            [MLP_Block(input_dim=BOTTOM, hidden_units=[TOWER], output_dim=1) for _ in range(TASKS)]
        )
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()
        # `fit` sets it, which also wants validation rows and a folder.
        self._max_gradient_norm = 10.0

    def forward(self, inputs):
        hidden = self.bottom(self.embedding(self.get_inputs(inputs), flatten_emb=True))
        towers = zip(LABELS, self.output_activation, self.towers)
        return {f"{label}_pred": activation(tower(hidden)) for label, activation, tower in towers}


def feature_map(values):
    columns = FeatureMap("peers", ".")
    spec = {"source": "", "type": "categorical", "vocab_size": values}
    columns.features = OrderedDict((f"f{column}", dict(spec)) for column in range(COLUMNS))
    columns.labels = LABELS
    columns.num_fields = COLUMNS
    return columns


def main():
    threads, rows, seconds, path, values = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    rows = int(rows)
    batches = [
        {f"f{column}": torch.from_numpy(ids[:, column].astype("int64")) for column in range(COLUMNS)}
        | {label: torch.from_numpy(labels[:, task].astype("float32")) for task, label in enumerate(LABELS)}
        for ids, _, labels in read_batches(path, rows)
    ]
    model = SharedBottom(feature_map(int(values)))
    model.train()
    times = []
    for batch in timed(batches, float(seconds), times):
        model.train_step(batch).item()
    print_steps(rows, times)


if __name__ == "__main__":
    main()
