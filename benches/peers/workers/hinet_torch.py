"""The reference HiNet in PyTorch, twice: as public code writes it, and rewritten for speed.

20 categorical features (tables of 100,000 rows x 16), 6 scenarios, 2 tasks; SEIs of 4 sub-experts
320-128-64 (one shared, six scenario-specific); SAN; per scenario a CGC of 4 shared experts and 4 per
task, 192-64; towers 64-32-1. Gates have no bias and every scenario has its own SAN matrix.
`experiments/reference.toml` is this very network in hinet.
"""

import torch
import torch.nn as nn
from worker import read_batches

FEATURES, DIM, TABLE_ROWS = 20, 16, 100_000
SCENARIOS, TASKS, EXPERTS = 6, 2, 4
HIDDEN, WIDTH, TOWER = 128, 64, 32
INPUT = FEATURES * DIM


class Mlp(nn.Module):
    """Linear layers with ReLU between them, and after the last one unless told otherwise."""

    def __init__(self, widths, last_activation=True):
        super().__init__()
        layers = []
        for i in range(len(widths) - 1):
            layers.append(nn.Linear(widths[i], widths[i + 1]))
            if last_activation or i < len(widths) - 2:
                layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


class Sei(nn.Module):
    """Sub-expert integration: a gated mixture of sub-experts, as a list of modules."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList([Mlp([INPUT, HIDDEN, WIDTH]) for _ in range(EXPERTS)])
        self.gate = nn.Linear(INPUT, EXPERTS, bias=False)

    def forward(self, x):
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        gate = torch.softmax(self.gate(x), -1).unsqueeze(-1)
        return (gate * experts).sum(1)


class Cgc(nn.Module):
    """The task layer of one scenario: shared and task experts, gates, towers."""

    def __init__(self):
        super().__init__()
        self.shared = nn.ModuleList([Mlp([3 * WIDTH, WIDTH]) for _ in range(EXPERTS)])
        self.task = nn.ModuleList(
            [nn.ModuleList([Mlp([3 * WIDTH, WIDTH]) for _ in range(EXPERTS)]) for _ in range(TASKS)]
        )
        self.gates = nn.ModuleList([nn.Linear(3 * WIDTH, 2 * EXPERTS, bias=False) for _ in range(TASKS)])
        self.towers = nn.ModuleList([Mlp([WIDTH, TOWER, 1], last_activation=False) for _ in range(TASKS)])

    def forward(self, c):
        shared = [expert(c) for expert in self.shared]
        logits = []
        for task in range(TASKS):
            experts = torch.stack(shared + [expert(c) for expert in self.task[task]], 1)
            gate = torch.softmax(self.gates[task](c), -1).unsqueeze(-1)
            logits.append(self.towers[task]((gate * experts).sum(1)))
        return torch.cat(logits, 1)


class Naive(nn.Module):
    """As public code writes it: every scenario's branch runs on every row, then rows pick theirs."""

    def __init__(self, sparse=False):
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(TABLE_ROWS, DIM, sparse=sparse) for _ in range(FEATURES)])
        for table in self.tables:
            nn.init.normal_(table.weight, std=0.01)
        self.scenario_table = nn.Embedding(SCENARIOS, DIM)
        self.shared = Sei()
        self.specific = nn.ModuleList([Sei() for _ in range(SCENARIOS)])
        self.san = nn.ModuleList([nn.Linear(DIM, SCENARIOS, bias=False) for _ in range(SCENARIOS)])
        self.cgc = nn.ModuleList([Cgc() for _ in range(SCENARIOS)])

    def forward(self, ids, scenario):
        x = torch.cat([self.tables[f](ids[:, f]) for f in range(FEATURES)], 1)
        shared, specific = self.shared(x), [sei(x) for sei in self.specific]
        embedded = self.scenario_table(scenario)
        out = torch.zeros(x.shape[0], TASKS)
        for i in range(SCENARIOS):
            mask = torch.zeros(SCENARIOS)
            mask[i] = float("-inf")
            weights = torch.softmax(self.san[i](embedded) + mask, -1)
            transferred = sum(weights[:, j : j + 1] * specific[j] for j in range(SCENARIOS) if j != i)
            logits = self.cgc[i](torch.cat([shared, specific[i], transferred], 1))
            out = torch.where((scenario == i).unsqueeze(1), logits, out)
        return out


class Best(nn.Module):
    """Rewritten for speed: one table, experts stacked into wide products, rows routed by scenario.

    A batch must be sorted by scenario; `counts` holds the rows of each.
    """

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(FEATURES * TABLE_ROWS, DIM, sparse=True)
        nn.init.normal_(self.table.weight, std=0.01)
        self.sub_experts = (SCENARIOS + 1) * EXPERTS
        self.task_experts = EXPERTS + TASKS * EXPERTS

        def weight(*dims):
            return nn.Parameter(torch.randn(*dims) * (1 / dims[-2]) ** 0.5)

        def bias(*dims):
            return nn.Parameter(torch.zeros(*dims))

        self.scenario_table = nn.Parameter(torch.randn(SCENARIOS, DIM) * 0.1)
        self.w1, self.b1 = weight(INPUT, self.sub_experts * HIDDEN), bias(self.sub_experts * HIDDEN)
        self.w2, self.b2 = weight(self.sub_experts, HIDDEN, WIDTH), bias(self.sub_experts, 1, WIDTH)
        self.gate = weight(INPUT, self.sub_experts)
        self.san = weight(SCENARIOS, DIM, SCENARIOS)
        self.w3 = weight(SCENARIOS, 3 * WIDTH, self.task_experts * WIDTH)
        self.b3 = bias(SCENARIOS, self.task_experts * WIDTH)
        self.task_gate = weight(SCENARIOS, 3 * WIDTH, TASKS * 2 * EXPERTS)
        self.tower1, self.tower1_bias = weight(SCENARIOS, TASKS, WIDTH, TOWER), bias(SCENARIOS, TASKS, 1, TOWER)
        self.tower2, self.tower2_bias = weight(SCENARIOS, TASKS, TOWER, 1), bias(SCENARIOS, TASKS, 1, 1)
        self.register_buffer("mask", torch.zeros(SCENARIOS, SCENARIOS).fill_diagonal_(float("-inf")))
        self.register_buffer("offsets", torch.arange(FEATURES) * TABLE_ROWS)

    def forward(self, ids, counts):
        x = self.table(ids + self.offsets).view(ids.shape[0], INPUT)
        rows = x.shape[0]
        hidden = torch.relu(torch.addmm(self.b1, x, self.w1)).view(rows, self.sub_experts, HIDDEN)
        experts = torch.relu(torch.baddbmm(self.b2, hidden.transpose(0, 1), self.w2))
        experts = experts.view(SCENARIOS + 1, EXPERTS, rows, WIDTH)
        gate = torch.softmax((x @ self.gate).view(rows, SCENARIOS + 1, EXPERTS), -1)
        mixed = (gate.permute(1, 2, 0).unsqueeze(-1) * experts).sum(1)
        attention = torch.softmax(torch.einsum("sd,sdj->sj", self.scenario_table, self.san) + self.mask, -1)
        logits, start = [], 0
        for i, count in enumerate(counts):
            if count == 0:
                continue
            own = mixed[:, start : start + count]
            transferred = (attention[i].view(SCENARIOS, 1, 1) * own[1:]).sum(0)
            logits.append(self.task_layer(i, torch.cat([own[0], own[1 + i], transferred], 1)))
            start += count
        return torch.cat(logits, 0)

    def task_layer(self, i, c):
        experts = torch.relu(torch.addmm(self.b3[i], c, self.w3[i])).view(-1, self.task_experts, WIDTH)
        gate = torch.softmax((c @ self.task_gate[i]).view(-1, TASKS, 2 * EXPERTS), -1)
        shared = torch.bmm(gate[:, :, :EXPERTS], experts[:, :EXPERTS])
        specific = experts[:, EXPERTS:].view(-1, TASKS, EXPERTS, WIDTH)
        specific = (gate[:, :, EXPERTS:].unsqueeze(-1) * specific).sum(2)
        hidden = torch.relu(torch.baddbmm(self.tower1_bias[i], (shared + specific).transpose(0, 1), self.tower1[i]))
        return torch.baddbmm(self.tower2_bias[i], hidden, self.tower2[i]).squeeze(-1).t()


def batches(path, rows):
    """Batches written by hinet's side: ids, scenarios (sorted), rows per scenario, labels."""
    return [
        (
            torch.from_numpy(values.astype("int64")),
            torch.from_numpy(scenario.astype("int64")),
            torch.bincount(torch.from_numpy(scenario.astype("int64")), minlength=SCENARIOS).tolist(),
            torch.from_numpy(labels.astype("float32")),
        )
        for values, scenario, labels in read_batches(path, rows)
    ]
