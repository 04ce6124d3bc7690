//! M2M (Zhang et al., WSDM 2022): what is known of the scenario makes the weights of the layers that weigh experts and of those
//! below the towers ("meta units"), so that scenarios share everything and differ in what is made for them.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | S~: scenario knowledge, an MLP of the scenario's embedding | `task.known.embedding`, `task.known` | `[scenarios, known]` |
//! | E_k: expert k of the backbone | `task.expert` | `[batch, experts * h]` |
//! | T_t: embedding of task t | `task.attention.embedding` | `[heads, m2m_task_dim]` |
//! | Meta(h): layers `h <- f(h W(S~) + b(S~))`, W = reshape(V_w S~ + c_w) | `Recorder::generated` | |
//! | alpha_tk = softmax over k of v^T Meta([E_k; T_t]) | `task.attention.<l>`, `task.attention.score` | `[batch, heads * experts]` |
//! | R_t = sum over k of alpha_tk E_k | the probe `mixed.task` | `[batch, heads * h]` |
//! | meta tower: R <- f(Meta(R) + R) | `task.meta.<l>` | `[batch, heads * h]` |
//! | output layers of task t | `task.tower` | `[batch, heads]` |
//!
//! f is ReLU. The first layer of the attention is a sum of a product with E_k and one with T_t, which does not depend on the
//! row. Weights made for a scenario are made once per batch. Left out: the transformer over a user's sequence, since a row
//! holds none; advertiser and other context are features of the dense input. Heads belong to tasks: a row of an unknown
//! scenario has the mean of its probabilities in every scenario.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Init, LinearOp, Rows, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::towers;
use crate::config::{check_count, check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Stack, blocks};

/// M2M. The paper's sizes are for other data; experts and towers are those of `mmoe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct M2mConfig {
    /// Width of a scenario's embedding: that of HiNet.
    pub m2m_scenario_dim: usize,
    /// Widths of the layers from a scenario's embedding to what is known of it, ReLU after each. Each weight made is linear
    /// in the last: parameters grow with it.
    pub m2m_known_units: Vec<usize>,
    /// Experts that all scenarios and tasks share.
    pub experts: usize,
    /// Widths of the layers of an expert, ReLU after each.
    pub expert_units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub expert_dropout: f64,
    /// Width of a task's embedding.
    pub m2m_task_dim: usize,
    /// Widths of the made layers that compare an expert with a task, ReLU after each.
    pub m2m_attention_units: Vec<usize>,
    /// Made layers below the towers, each added to what it reads; 0 leaves them out.
    pub m2m_tower_layers: usize,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for M2mConfig {
    fn default() -> M2mConfig {
        M2mConfig {
            m2m_scenario_dim: 16,
            m2m_known_units: vec![16],
            experts: 6,
            expert_units: vec![128, 64],
            expert_dropout: 0.0,
            m2m_task_dim: 16,
            m2m_attention_units: vec![32],
            m2m_tower_layers: 1,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl M2mConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_width("m2m_scenario_dim", self.m2m_scenario_dim)?;
        check_units("m2m_known_units", &self.m2m_known_units, 0)?;
        check_count("experts", self.experts, 1)?;
        check_units("expert_units", &self.expert_units, 1)?;
        check_rate("expert_dropout", self.expert_dropout)?;
        check_width("m2m_task_dim", self.m2m_task_dim)?;
        check_units("m2m_attention_units", &self.m2m_attention_units, 1)?;
        check_count("m2m_tower_layers", self.m2m_tower_layers, 0)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }

    /// Width of what an expert gives (h).
    fn width(&self) -> usize {
        self.expert_units.last().copied().unwrap_or(1)
    }
}

pub(super) fn record(config: &M2mConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, TaskScope::Task, &config.product);
    let embedding = r.scenario_embedding("task.known", config.m2m_scenario_dim);
    let known = Stack { units: &config.m2m_known_units, dropout: 0.0 };
    let known = r.mlp(&Bank::one("task.known", Owner::Everyone), embedding, Reads::Everything, known);
    let bank = Bank::many("task.expert", Owner::Everyone, config.experts);
    let expert = Stack { units: &config.expert_units, dropout: config.expert_dropout };
    let experts = r.mlp(&bank, input, Reads::Everything, expert);
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    heads.told_each_scenario(r, |r, told| {
        let known = r.told(known, told);
        let mixed = attended(config, r, &heads, (known, experts));
        let mixed = meta_tower(config, r, &heads, (known, mixed));
        towers(r, &heads, (mixed, Reads::Owners), hidden)
    })
}

/// Each head's mixture of the experts, R_t.
///
/// # Shapes
/// - `known`: `[groups, known]` or `[1, known]`
/// - `experts`: `[batch, experts * h]`
/// - returns: `[batch, heads * h]`
fn attended(config: &M2mConfig, r: &mut Recorder<'_>, heads: &Heads, (known, experts): (Value, Value)) -> Value {
    let (first, units) = config.m2m_attention_units.split_first().expect("there is a layer");
    let plain = Layer { outer: *first, bias: false, activation: Activation::Identity };
    let of_expert = r.generated("task.attention.0", known, (config.width(), plain));
    let of_expert: Vec<Value> = (0..config.experts)
        .map(|k| {
            let expert = r.graph.slice(experts, k * config.width(), config.width());
            r.graph.linear(expert, of_expert)
        })
        .collect();
    let of_task = r.generated("task.attention.task", known, (config.m2m_task_dim, Layer { bias: true, ..plain }));
    let mut inner = *first;
    let above = (1..).zip(units).map(|(number, &outer)| {
        let layer = Layer { outer, bias: true, activation: Activation::Relu };
        let made = r.generated(&format!("task.attention.{number}"), known, (inner, layer));
        inner = outer;
        made
    });
    let above: Vec<LinearOp> = above.collect();
    let mut scores = Vec::new();
    for head in 0..heads.count() {
        let task = task_beside_scenarios(config, r, (heads.count(), head), known);
        let of_task = r.graph.linear(task, of_task);
        for &of_expert in &of_expert {
            let sum = r.graph.add(of_expert, of_task);
            let hidden = r.graph.activate(sum, Activation::Relu);
            let hidden = above.iter().fold(hidden, |hidden, &layer| r.graph.linear(hidden, layer));
            let bank = Bank::one("task.attention", Owner::Everyone);
            scores.push(r.linear(&bank, "score", hidden, (Reads::Everything, Layer { outer: 1, ..plain })));
        }
    }
    let scores = r.graph.concat(&scores);
    let gate = r.graph.softmax(scores, config.experts, None);
    let outputs: Vec<Vec<Block>> = vec![blocks(experts, 0..config.experts); heads.count()];
    let mixed = r.graph.mixture(gate, outputs, config.width());
    r.probe("gate.task", gate);
    r.probe("mixed.task", mixed);
    mixed
}

/// The embedding of a head's task, in a row for each row of `known`.
fn task_beside_scenarios(
    config: &M2mConfig,
    r: &mut Recorder<'_>,
    (heads, head): (usize, usize),
    known: Value,
) -> Value {
    let init = Init::TruncatedNormal { std: 1.0 / (config.m2m_task_dim as f32).sqrt() };
    let tasks = r.parameter("task.attention.embedding", vec![heads, config.m2m_task_dim], init, Scope::PerTask);
    let Rows::Fixed(rows) = r.graph.shape(known).rows else { unreachable!("scenarios do not depend on the batch") };
    r.row_of((tasks, heads), head, rows)
}

/// `R <- relu(Meta(R) + R)`, so many times, for every head by the same weights.
///
/// # Shapes
/// - `mixed`: `[batch, heads * h]`
/// - returns: the same
fn meta_tower(config: &M2mConfig, r: &mut Recorder<'_>, heads: &Heads, (known, mixed): (Value, Value)) -> Value {
    let width = config.width();
    let layer = Layer { outer: width, bias: true, activation: Activation::Identity };
    (0..config.m2m_tower_layers).fold(mixed, |mixed, number| {
        let made = r.generated(&format!("task.meta.{number}"), known, (width, layer));
        let parts = (0..heads.count()).map(|head| {
            let own = r.graph.slice(mixed, head * width, width);
            r.graph.linear(own, made)
        });
        let parts: Vec<Value> = parts.collect();
        let meta = r.graph.concat(&parts);
        let sum = r.graph.add(meta, mixed);
        r.graph.activate(sum, Activation::Relu)
    })
}
