//! The multi-task layer of AESM2 (Zou et al., SIGIR 2022): for each row and task, out of experts that belong to nobody, those are
//! selected that are specific to the task and those that tasks share; a tower per task on top. The multi-scenario layer is the
//! scenario layer `aesm2`.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | experts of the layer | `task.expert` | `[batch, experts * h]` |
//! | scenario and task indicators | `task.indicator.embedding`, `task.indicator.task` | `[scenarios, ..]`, `[heads, ..]` |
//! | gates of all tasks over [x; both] | `task.gate.0`, `task.gate.scenario`, `task.gate.task` | `[batch, heads * experts]` |
//! | selection, as for scenarios | [`Recorder::select_experts`] | |
//! | softmax of the own task's gate over what is selected | the probe `gate.task` | `[batch, heads * experts]` |
//! | tower of a task | `task.tower` | `[batch, heads]` |
//!
//! Each task's row of gates reads the gates of all tasks, and divergences ask for no label: gates and indicators belong to no
//! task alone. One level; the paper's code too lets tasks share one set of experts. Noise is left out, as for scenarios. A row of
//! an unknown scenario has the mean of its probabilities in every scenario.

use hinet_data::Layout;
use hinet_tape::{Activation, Init, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::towers;
use crate::config::{bad, check_rate, check_selectable, check_units, check_weight, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Selection, Stack, Told, blocks};

/// AESM2's multi-task layer. The paper's sizes are for other data; experts and towers are those of HiNet's task layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Aesm2TaskConfig {
    /// Width of a scenario's embedding: that of HiNet.
    pub indicator_scenario_dim: usize,
    /// Width of a task's embedding.
    pub indicator_task_dim: usize,
    /// Experts to select from.
    pub experts: usize,
    /// Widths of the layers of an expert, ReLU after each.
    pub expert_units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub expert_dropout: f64,
    /// Experts selected for being specific to the task.
    pub task_specific: usize,
    /// Experts selected for being shared by tasks. An expert may be selected twice over.
    pub task_shared: usize,
    /// Weight in the loss of the divergences of what is selected: small beside a cross-entropy.
    pub task_divergence: f32,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for Aesm2TaskConfig {
    fn default() -> Aesm2TaskConfig {
        Aesm2TaskConfig {
            indicator_scenario_dim: 16,
            indicator_task_dim: 16,
            experts: 8,
            expert_units: vec![64],
            expert_dropout: 0.0,
            task_specific: 2,
            task_shared: 2,
            task_divergence: 0.01,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl Aesm2TaskConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_width("indicator_scenario_dim", self.indicator_scenario_dim)?;
        check_width("indicator_task_dim", self.indicator_task_dim)?;
        check_selectable("experts", self.experts)?;
        check_units("expert_units", &self.expert_units, 1)?;
        check_rate("expert_dropout", self.expert_dropout)?;
        if self.task_specific + self.task_shared == 0 {
            return Err(bad("task_specific", "0 beside `task_shared` = 0", "at least one expert"));
        }
        for (key, count) in [("task_specific", self.task_specific), ("task_shared", self.task_shared)] {
            if count > self.experts {
                return Err(bad(key, count.to_string(), format!("up to `experts` = {}", self.experts)));
            }
        }
        check_weight("task_divergence", self.task_divergence)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }
}

/// What the gates of all tasks are made of: `[batch, heads * experts]` from the row, a row of as many columns for each scenario
/// and one for each task.
#[derive(Clone, Copy)]
struct Gates {
    of_row: Value,
    of_scenario: Value,
    of_task: Value,
}

pub(super) fn record(config: &Aesm2TaskConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, TaskScope::Task, &config.product);
    let bank = Bank::many("task.expert", Owner::Everyone, config.experts);
    let expert = Stack { units: &config.expert_units, dropout: config.expert_dropout };
    let experts = r.mlp(&bank, input, Reads::Everything, expert);
    let gates = gates(config, r, &heads, input);
    let width = config.expert_units.last().copied().unwrap_or(1);
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    heads.told_each_scenario(r, |r, told| {
        let gate = selected(config, r, (&heads, told), gates);
        let outputs = vec![blocks(experts, 0..config.experts); heads.count()];
        let mixed = r.graph.mixture(gate, outputs, width);
        r.probe("gate.task", gate);
        r.probe("mixed.task", mixed);
        towers(r, &heads, (mixed, Reads::Owners), hidden)
    })
}

fn gates(config: &Aesm2TaskConfig, r: &mut Recorder<'_>, heads: &Heads, input: Value) -> Gates {
    let bank = Bank::many("task.gate", Owner::Everyone, heads.count());
    let gate = Layer { outer: config.experts, bias: true, activation: Activation::Identity };
    let of_row = r.linear(&bank, "0", input, (Reads::Everything, gate));
    let gate = Layer { bias: false, ..gate };
    let scenarios = r.scenario_embedding("task.indicator", config.indicator_scenario_dim);
    let of_scenario = r.linear(&bank, "scenario", scenarios, (Reads::Everything, gate));
    let init = Init::TruncatedNormal { std: 1.0 / (config.indicator_task_dim as f32).sqrt() };
    let dims = vec![heads.count(), config.indicator_task_dim];
    let tasks = r.parameter("task.indicator.task", dims, init, Scope::Shared);
    let of_task = r.linear(&bank, "task", tasks, (Reads::Everything, gate));
    Gates { of_row, of_scenario, of_task }
}

/// The gate of each head over the experts that are selected for it: `[batch, heads * experts]`.
fn selected(config: &Aesm2TaskConfig, r: &mut Recorder<'_>, (heads, told): (&Heads, Told), gates: Gates) -> Value {
    let owners = heads.count();
    let Aesm2TaskConfig { experts, task_specific: specific, task_shared: shared, .. } = *config;
    let of_scenario = r.told(gates.of_scenario, told);
    let of_row = r.graph.add(gates.of_row, of_scenario);
    let of_heads = (0..owners).map(|head| {
        let of_task = r.row_of((gates.of_task, owners), head, 1);
        let logits = r.graph.add(of_row, of_task);
        let selected = r.select_experts(Selection { experts, owners, specific, shared }, logits, Told::Of(head));
        if let Some(divergence) = selected.divergence.filter(|_| config.task_divergence > 0.0) {
            r.adds_to_loss(divergence, config.task_divergence / owners as f32);
        }
        selected.gate
    });
    let of_heads: Vec<Value> = of_heads.collect();
    r.graph.concat(&of_heads)
}
