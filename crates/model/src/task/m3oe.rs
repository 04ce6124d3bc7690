//! M3oE (Zhang et al., SIGIR 2024): three kinds of experts over one input (shared ones, one for each domain, one for each task),
//! and four learnt scalars that say how much domains and tasks take from one another. The transform of the input is the scenario
//! layer `star_transform`.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | shared experts E_k | `task.expert` | `[batch, experts * h]` |
//! | domain experts D_i | `task.scenario_expert` | `[batch, scenarios * h]` |
//! | task experts T_j | `task.task_expert` | `[batch, heads * h]` |
//! | `D~_i = b_d D_i + (1 - b_d) / (S - 1) * sum of the others` | `task.balance.scenario_own` is b_d before its sigmoid | |
//! | `T~_j`, likewise over tasks | `task.balance.task_own` | |
//! | `f_ij = sum over k of softmax(stop(x) W_ij)_k E_k + a_d D~_i + a_t T~_j` | `task.gate`, `task.balance.scenario`, `task.balance.task` | `[batch, heads * h]` |
//! | tower of domain i and task j | `task.tower` | `[batch, heads]` |
//!
//! Layers of experts are linear, a layer norm, ReLU. Departures: the paper trains the four scalars by a second optimiser, a step
//! an epoch; here they are parameters like all others and learn with them. Task experts are read by all tasks and so belong to
//! none of them alone, and rows of one scenario train the experts of the others, as the paper means it.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Init, Routing, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::towers;
use crate::config::{check_count, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Form, Layer, Owner, Reads, Recorder, Stack, blocks};

/// M3oE. The authors' layers (512, 256, 256, 64) are for larger data; those here are those of `mmoe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct M3oeConfig {
    /// Experts that all scenarios and tasks share: the authors' number. Beside them each scenario and each task has one.
    pub experts: usize,
    /// Widths of the layers of an expert, layer norm and ReLU after each.
    pub expert_units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub expert_dropout: f64,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for M3oeConfig {
    fn default() -> M3oeConfig {
        M3oeConfig {
            experts: 4,
            expert_units: vec![128, 64],
            expert_dropout: 0.0,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl M3oeConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_count("experts", self.experts, 1)?;
        check_units("expert_units", &self.expert_units, 1)?;
        check_rate("expert_dropout", self.expert_dropout)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }

    /// Width of what an expert gives (h).
    fn width(&self) -> usize {
        self.expert_units.last().copied().unwrap_or(1)
    }
}

pub(super) fn record(config: &M3oeConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, TaskScope::ScenarioTask, &config.product);
    let by_gate = by_gate(config, r, &heads, input);
    let of_scenarios = of_scenarios(config, r, input);
    let bank = Bank::many("task.task_expert", Owner::Everyone, heads.count());
    let of_tasks = experts(config, r, &bank, input);
    let tasks: Vec<usize> = (0..heads.count()).collect();
    let of_tasks = balanced(r, ("task.balance.task_own", config.width()), of_tasks, &[tasks]);
    let [scenario, task] = ["scenario", "task"].map(|name| scalar(r, &format!("task.balance.{name}")));
    let scenarios = r.graph.mul(of_scenarios, scenario);
    let tasks = r.graph.mul(of_tasks, task);
    let pairs = (0..heads.views() * heads.count()).map(|head| {
        let (view, task) = (head / heads.count(), head % heads.count());
        vec![Block::new(scenarios, view), Block::new(tasks, task), Block::new(by_gate, head)]
    });
    let mixed = r.sum_of_blocks(pairs.collect(), config.width());
    r.probe("mixed.task", mixed);
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let logits = towers(r, &heads, (mixed, Reads::Owners), hidden);
    heads.finish(r, logits)
}

/// The shared experts, mixed by the gate of each head: `[batch, views * heads * h]`.
fn by_gate(config: &M3oeConfig, r: &mut Recorder<'_>, heads: &Heads, input: Value) -> Value {
    let shared = experts(config, r, &Bank::many("task.expert", Owner::Everyone, config.experts), input);
    let bank = Bank::one("task", heads.owner()).routed(heads.routing());
    let still = r.graph.stop_gradient(input);
    let gate = Layer { outer: config.experts, bias: false, activation: Activation::Identity };
    let gate = r.linear(&bank, "gate", still, (Reads::Everything, gate));
    let gate = r.graph.softmax(gate, config.experts, None);
    r.probe("gate.task", gate);
    let outputs = vec![blocks(shared, 0..config.experts); heads.views() * heads.count()];
    r.graph.mixture(gate, outputs, config.width())
}

/// D~ of the scenarios that a row is seen by: `[batch, views * h]`.
fn of_scenarios(config: &M3oeConfig, r: &mut Recorder<'_>, input: Value) -> Value {
    let bank = Bank::one("task.scenario_expert", Owner::Scenario).routed(Routing::All);
    let all = experts(config, r, &bank, input);
    let scenarios: Vec<usize> = (0..r.scenarios()).collect();
    if r.scenarios() > 1 {
        r.crosses_scenarios("task.scenario_expert.");
    }
    let views = match r.form() {
        // A row of weights for each scenario, of which a row of the batch takes its own.
        Form::Own => scenarios.into_iter().map(|scenario| vec![scenario]).collect(),
        Form::Every | Form::Mean => vec![scenarios],
    };
    balanced(r, ("task.balance.scenario_own", config.width()), all, &views)
}

/// Of what experts gave, for each of some the own one by a learnt weight and the mean of the others by the rest of it.
///
/// # Shapes
/// - `all`: `[batch, experts * h]`
/// - `own`: for each row of weights (one for all, or one per group) the own experts of its outputs
/// - returns: `[batch, outputs * h]`
fn balanced(r: &mut Recorder<'_>, (name, width): (&str, usize), all: Value, own: &[Vec<usize>]) -> Value {
    let count = r.width(all) / width;
    if count == 1 {
        return all;
    }
    let outputs = own[0].len();
    let weights = |of_own: f32, of_other: f32| {
        let of = |own: usize| (0..count).map(move |expert| if expert == own { of_own } else { of_other });
        own.iter().flatten().flat_map(|&own| of(own)).collect::<Vec<f32>>()
    };
    let (rows, columns) = (own.len(), outputs * count);
    let share = 1.0 / (count as f32 - 1.0);
    let others = r.graph.constant(rows, columns, weights(0.0, share));
    let difference = r.graph.constant(rows, columns, weights(1.0, -share));
    let weight = scalar(r, name);
    let moved = r.graph.mul(difference, weight);
    let gate = r.graph.add(others, moved);
    r.graph.mixture(gate, vec![blocks(all, 0..count); outputs], width)
}

/// A learnt number between 0 and 1, half at first: `[1, 1]`.
fn scalar(r: &mut Recorder<'_>, name: &str) -> Value {
    let raw = r.parameter(name, vec![1], Init::Zeros, Scope::Shared);
    r.graph.activate(raw, Activation::Sigmoid)
}

/// Experts of one kind: linear layers, each with a layer norm and ReLU after it.
///
/// # Shapes
/// - `input`: `[batch, width]`
/// - returns: `[batch, experts * h]`, the experts of all owners
fn experts(config: &M3oeConfig, r: &mut Recorder<'_>, bank: &Bank<'_>, input: Value) -> Value {
    (0..).zip(&config.expert_units).fold(input, |h, (number, &outer): (usize, _)| {
        let reads = if number == 0 { Reads::Everything } else { Reads::Own };
        let layer = Layer { outer, bias: true, activation: Activation::Identity };
        let h = r.linear(bank, &number.to_string(), h, (reads, layer));
        let (gain, bias) = r.norm_of_bank(bank, &format!("{number}.norm"), outer);
        let h = r.graph.layer_norm(h, Some(gain), Some(bias), outer);
        let h = r.graph.activate(h, Activation::Relu);
        r.graph.dropout(h, config.expert_dropout as f32, &format!("{}.{number}", bank.name()))
    })
}
