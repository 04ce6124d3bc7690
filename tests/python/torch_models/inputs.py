"""What any model may have before its layers, here MMoE (Ma et al., KDD 2018): a norm of the input, and first-order terms beside them."""

import torch
from torch import nn

from . import mmoe, parts

OPTIONS = {**mmoe.OPTIONS, "preset": "mmoe"}
NORMS = [{**OPTIONS, "input_norm": kind} for kind in ("layer_norm", "batch_norm", "frozen_affine")]
MODELS = [*NORMS, {**OPTIONS, "first_order": True}, {**NORMS[1], "first_order": True}]


class InputNorm(nn.Module):
    """A norm, then a gain and a bias of each column."""

    def __init__(self, weights, kind):
        super().__init__()
        self.kind = kind
        self.gain, self.bias = (nn.Parameter(weights[f"input_norm.{name}"].clone()) for name in ("gain", "bias"))
        self.norm = None if kind == "layer_norm" else parts.Norm(weights, "input_norm")

    def forward(self, x, learning):
        if self.kind == "layer_norm":
            x = nn.functional.layer_norm(x, x.shape[1:], eps=1e-5)
        elif self.kind == "batch_norm":
            x = self.norm(x, torch.zeros(len(x), dtype=torch.long), learning)
        else:
            x = x / 1.001**0.5
        return x * self.gain + self.bias


class Network(mmoe.Network):
    """MMoE with either, or both: first-order terms read numbers that are normalised."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(weights, tables, layout, options)
        self.norm = InputNorm(weights, options["input_norm"]) if "input_norm" in options else None
        self.weight = nn.Parameter(weights["first_order.numbers.weight"].clone()) if "first_order" in options else None

    def logits_of(self, x, ids, scenario):
        x = self.norm(x, self.learning) if self.norm else x
        logits = super().logits_of(x, ids, scenario)
        return logits if self.weight is None else logits + self.first_order(ids, x[:, -self.weight.shape[1] :], self.weight)
