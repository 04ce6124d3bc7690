"""ESCM2 (Wang et al., SIGIR 2022): ESMM with a counterfactual risk of pCVR, by inverse propensity weights or doubly robust."""

import torch
from torch import nn

from . import esmm
from .parts import Tower

OPTIONS = {"bottom_units": [10], "tower_units": [8, 4], "counterfactual_weight": 0.7, "propensity_floor": 0.3}
MODELS = [{"preset": "escm2_ipw", **OPTIONS}, {"preset": "escm2_dr", **OPTIONS}]


class Network(esmm.Network):
    """The propensity is pCTR, above a floor and without gradient."""

    def __init__(self, weights, tables, layout, options):
        super().__init__(weights, tables, layout, options)
        self.floor, self.weight = options["propensity_floor"], options["counterfactual_weight"]
        imputes = range(self.scenarios if options["preset"] == "escm2_dr" else 0)
        layers = len(options["tower_units"])
        self.imputation = nn.ModuleList(Tower(weights, "task.imputation", (m,), layers) for m in imputes)

    def loss(self, ids, scenario, labels, weights, step_seed):
        entropies = super().loss(ids, scenario, labels, weights, step_seed)
        click, order = labels.unbind(1)
        ctr, cvr = self.steps(ids, scenario).unbind(1)
        delta = nn.functional.binary_cross_entropy(cvr, order, reduction="none")
        inverse = click / ctr.detach().clamp(min=self.floor)
        if not self.imputation:
            return entropies + self.weight * (weights * inverse * delta).sum()
        hidden = self.bottom(self.read(ids))
        imputed = torch.stack([nn.functional.softplus(tower(hidden)) for tower in self.imputation])
        imputed = imputed[scenario, torch.arange(len(scenario))]
        error = delta - imputed
        risk = imputed + inverse * error + inverse * error**2
        return entropies + self.weight * (weights * risk).sum()
