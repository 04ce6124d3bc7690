//! Multi-gate mixture of experts (Ma et al., KDD 2018): experts that all heads share, a gate per head; with one gate for
//! all heads it is OMoE, the same paper's one-gate mixture.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | f_i(x): expert i, an MLP | `task.expert` | `[batch, experts * h]` |
//! | g^k(x) = softmax(W_gk x): gate of task k, without bias | `task.gate` | `[batch, heads * experts]` |
//! | f^k(x) = sum over i of g^k(x)_i f_i(x) | [`mixtures`] | `[batch, heads * h]` |
//! | h^k: tower of task k | `task.tower` | `[batch, heads]` |
//!
//! The paper has one scenario; here a head is a task of a scenario (`task_scope`), unless told otherwise.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::towers;
use crate::config::{check_count, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Reads, Recorder, Stack};

/// Multi-gate mixture of experts. The paper's sizes are for other data; those here are those of the task layer of HiNet,
/// with as many experts as one of its heads sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MmoeConfig {
    /// Who owns the heads (gate and tower) and the experts.
    pub task_scope: TaskScope,
    /// Experts in each pool.
    pub experts: usize,
    /// Widths of the layers of an expert, ReLU after each.
    pub expert_units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub expert_dropout: f64,
    /// Who has a gate.
    pub gates: Gates,
    /// Whether gates have a bias; the paper's do not.
    pub mmoe_gate_bias: bool,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

/// Who has a gate over the experts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gates {
    /// Each head: MMoE.
    #[default]
    PerHead,
    /// All heads of a pool together: OMoE.
    One,
}

impl Default for MmoeConfig {
    fn default() -> MmoeConfig {
        MmoeConfig {
            task_scope: TaskScope::ScenarioTask,
            experts: 6,
            expert_units: vec![128, 64],
            expert_dropout: 0.0,
            gates: Gates::PerHead,
            mmoe_gate_bias: false,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl MmoeConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        self.moe().check()?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }

    fn moe(&self) -> Moe<'_> {
        let expert = Stack { units: &self.expert_units, dropout: self.expert_dropout };
        Moe { experts: self.experts, expert, gate_bias: self.mmoe_gate_bias, gates: self.gates }
    }
}

/// Experts and gates over them.
#[derive(Clone, Copy)]
pub(super) struct Moe<'a> {
    pub(super) experts: usize,
    pub(super) expert: Stack<'a>,
    pub(super) gate_bias: bool,
    pub(super) gates: Gates,
}

impl Moe<'_> {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_count("experts", self.experts, 1)?;
        check_units("expert_units", self.expert.units, 1)?;
        check_rate("expert_dropout", self.expert.dropout)
    }
}

pub(super) fn record(config: &MmoeConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let mixed = mixtures(r, &heads, input, config.moe());
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let logits = towers(r, &heads, mixed, hidden);
    heads.finish(r, logits)
}

/// What each head's gate makes of the experts, with how a bank of heads reads it.
///
/// # Shapes
/// - `input`: `[batch, width]`
/// - returns: `[batch, views * heads * h]`, or `[batch, h]` where all heads share it
pub(super) fn mixtures(r: &mut Recorder<'_>, heads: &Heads, input: Value, moe: Moe<'_>) -> (Value, Reads) {
    let pools = heads.pools(r, ("task.expert", moe.experts), input, moe.expert);
    let (owner, outputs): (_, Vec<Vec<Block>>) = match moe.gates {
        Gates::PerHead => {
            let pool_of = |head: usize| pools[head / heads.count()].clone();
            (heads.owner(), (0..heads.views() * heads.count()).map(pool_of).collect())
        }
        Gates::One => {
            let mut pools = pools;
            pools.dedup();
            (heads.pool_owner(), pools)
        }
    };
    let bank = Bank::one("task", owner).routed(heads.routing());
    let gate = Layer { outer: moe.experts, bias: moe.gate_bias, activation: Activation::Identity };
    let gate = r.linear(&bank, "gate", input, (Reads::Everything, gate));
    let gate = r.graph.softmax(gate, moe.experts, None);
    let width = moe.expert.units.last().copied().unwrap_or(1);
    let mixed = r.graph.mixture(gate, outputs, width);
    r.probe("gate.task", gate);
    r.probe("mixed.task", mixed);
    match moe.gates {
        Gates::PerHead => (mixed, Reads::Owners),
        Gates::One => heads.hand_out(r, mixed),
    }
}
