"""Export the PyTorch reference for ONNX Runtime: export_onnx.py FOLDER -> two graphs there, checked against PyTorch.

`reference-routed.onnx` takes a batch sorted by scenario and where each scenario's rows begin; `reference-one.onnx` takes rows of
one scenario and its number.
"""

import pathlib
import sys
import warnings

import numpy
import onnxruntime
import torch
from hinet_torch import EXPERTS, FEATURES, HIDDEN, INPUT, SCENARIOS, TABLE_ROWS, WIDTH, Best
from worker import print_result

OPSET = 17


class Scenarios(Best):
    """What both graphs share."""

    def scenario_layer(self, ids):
        """Mixtures of all experts, `[1 + scenarios, rows, width]`, and the attention over scenarios."""
        x = self.table(ids + self.offsets).view(-1, INPUT)
        hidden = torch.relu(torch.addmm(self.b1, x, self.w1)).view(-1, self.sub_experts, HIDDEN)
        experts = torch.relu(torch.baddbmm(self.b2, hidden.transpose(0, 1), self.w2))
        experts = experts.view(SCENARIOS + 1, EXPERTS, -1, WIDTH)
        gate = torch.softmax((x @ self.gate).view(-1, SCENARIOS + 1, EXPERTS), -1)
        mixed = (gate.permute(1, 2, 0).unsqueeze(-1) * experts).sum(1)
        return mixed, torch.softmax(torch.einsum("sd,sdj->sj", self.scenario_table, self.san) + self.mask, -1)

    def scores(self, scenario, own, attention):
        """Probabilities of rows of one scenario."""
        transferred = (attention[scenario].view(SCENARIOS, 1, 1) * own[1:]).sum(0)
        return torch.sigmoid(self.task_layer(scenario, torch.cat([own[0], own[1 + scenario], transferred], 1)))


class Routed(Scenarios):
    def forward(self, ids, begins):
        mixed, attention = self.scenario_layer(ids)
        parts = [self.scores(s, mixed[:, begins[s] : begins[s + 1]], attention) for s in range(SCENARIOS)]
        return torch.cat(parts, 0)


class One(Scenarios):
    def forward(self, ids, scenario):
        return self.scores(scenario, *self.scenario_layer(ids))


def export(model, path, ids, second, name):
    with warnings.catch_warnings():
        # Slices whose bounds are inputs want the exporter that traces; it says that there is a newer one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (ids, second), path, input_names=["ids", name], output_names=["scores"], opset_version=OPSET,
            dynamic_axes={"ids": {0: "rows"}, "scores": {0: "rows"}}, dynamo=False,
        )


def check(model, path, ids, counts, second):
    """The graph must say what PyTorch says, for other rows than it was traced with."""
    with torch.inference_mode():
        expected = torch.sigmoid(Best.forward(model, ids, counts)).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    found = session.run(None, dict(zip(names, (ids.numpy(), numpy.asarray(second, dtype="int64")))))[0]
    if not numpy.allclose(found, expected, atol=1e-5):
        sys.exit(f"{path} differs from PyTorch by {numpy.abs(found - expected).max()}")


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.manual_seed(0)
    ids = torch.randint(TABLE_ROWS, (48, FEATURES))
    model = Routed().eval()
    path = folder / "reference-routed.onnx"
    export(model, path, ids, torch.arange(SCENARIOS + 1) * 8, "begins")
    counts = [20, 0, 11, 7, 9, 1]
    check(model, path, ids, counts, [0, 20, 20, 31, 38, 47, 48])
    model = One().eval()
    path = folder / "reference-one.onnx"
    export(model, path, ids, torch.tensor(2), "scenario")
    check(model, path, ids[:1], [0, 0, 0, 0, 1, 0], 4)
    print_result(graphs=2)


if __name__ == "__main__":
    main()
