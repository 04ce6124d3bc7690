//! Customised gate control (Tang et al., RecSys 2020), HiNet's task extraction layer; several levels of it are PLE.
//!
//! For each head (a task, or a task in a scenario; `E` are expert MLPs, `C` is what the scenario layer gives):
//!
//! ```text
//! T = sum over [specific experts of the head; shared experts] of softmax(C W_g + b_g) * E(C)
//! y = sigmoid(tower(T))
//! ```
//!
//! With more levels, the experts and the gate of a head read the head's T of the level below, and shared experts read
//! the shared path: a mixture of all experts of that level. With a head per scenario and task, "all" are those of the
//! row's own scenario and the shared ones, a departure from PLE over scenarios times tasks: otherwise each row would
//! pay for, and train, the experts of heads that never score it.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::towers;
use crate::config::{bad, check_count, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Stack, blocks};

/// HiNet's task extraction layer. The paper's sizes are not known; those here suit some millions of rows. The authors'
/// code has 2 shared and 2 specific experts of `[128, 64]` and towers of `[128, 64]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CgcConfig {
    /// Who owns the heads and the shared experts.
    pub task_scope: TaskScope,
    /// Shared experts in each pool. With 0 each head has only its own.
    pub shared: usize,
    /// Specific experts of each head. With 0 there are only shared ones (as in MMoE).
    pub specific: usize,
    /// Widths of the layers of an expert, ReLU after each.
    pub expert_units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub expert_dropout: f64,
    /// How a gate weighs experts.
    pub cgc_gate: CgcGate,
    /// Whether gates over experts have a bias.
    pub cgc_gate_bias: bool,
    /// Levels stacked as in PLE.
    pub cgc_levels: usize,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

/// How a gate weighs experts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CgcGate {
    /// Softmax over the experts.
    #[default]
    Softmax,
    /// Every expert counts 1 and the gate learns nothing: what the authors' code of HiNet does, whose softmax runs
    /// over an axis of a single element.
    Sum,
}

impl Default for CgcConfig {
    fn default() -> CgcConfig {
        CgcConfig {
            task_scope: TaskScope::ScenarioTask,
            shared: 4,
            specific: 2,
            expert_units: vec![64],
            expert_dropout: 0.0,
            cgc_gate: CgcGate::Softmax,
            cgc_gate_bias: true,
            cgc_levels: 1,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl CgcConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_count("shared", self.shared, 0)?;
        check_count("specific", self.specific, 0)?;
        if self.shared + self.specific == 0 {
            return Err(bad("specific", "0 beside `shared` = 0", "at least one expert"));
        }
        check_units("expert_units", &self.expert_units, 1)?;
        check_rate("expert_dropout", self.expert_dropout)?;
        check_count("cgc_levels", self.cgc_levels, 1)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }
}

pub(super) fn record(config: &CgcConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let cgc = Cgc { config, heads: &heads };
    let (mut own, mut shared) = (input, Some(input));
    for level in 0..config.cgc_levels {
        (own, shared) = cgc.level(r, level, own, shared);
    }
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let logits = towers(r, &heads, (own, Reads::Owners), hidden);
    heads.finish(r, logits)
}

struct Cgc<'a> {
    config: &'a CgcConfig,
    heads: &'a Heads,
}

impl Cgc<'_> {
    /// One level: experts, a gate per head, and below the last level the shared path.
    ///
    /// # Shapes
    /// - `own`: `[batch, width]` on level 0, then `[batch, views * heads * expert width]`
    /// - `shared`: `[batch, width]` on level 0, then `[batch, views * expert width]`; absent without shared experts
    /// - returns: both for the next level
    fn level(&self, r: &mut Recorder<'_>, level: usize, own: Value, shared: Option<Value>) -> (Value, Option<Value>) {
        let (views, heads) = (self.heads.views(), self.heads.count());
        let specific = self.specific_experts(r, level, own);
        let pools = shared.map_or_else(|| vec![Vec::new(); views], |shared| self.shared_experts(r, level, shared));
        let per_head = (0..views * heads).map(|head| [&specific[head][..], &pools[head / heads]].concat());
        let reads = if level == 0 { Reads::Everything } else { Reads::Owners };
        let next = self.gated(r, (level, "gate"), (own, reads, self.heads.owner()), per_head.collect());
        let (Some(shared), true) = (shared, level + 1 < self.config.cgc_levels && self.config.shared > 0) else {
            return (next, None);
        };
        let per_view =
            (0..views).map(|view| [specific[view * heads..(view + 1) * heads].concat(), pools[view].clone()].concat());
        let owner = if self.config.task_scope == TaskScope::Task { Owner::Everyone } else { Owner::Scenario };
        let path = self.gated(r, (level, "shared_gate"), (shared, reads, owner), per_view.collect());
        (next, Some(path))
    }

    fn expert(&self) -> Stack<'_> {
        Stack { units: &self.config.expert_units, dropout: self.config.expert_dropout }
    }

    /// The specific experts of each head of each view, `[views * heads][specific]`.
    fn specific_experts(&self, r: &mut Recorder<'_>, level: usize, own: Value) -> Vec<Vec<Block>> {
        let (count, heads) = (self.config.specific, self.heads.views() * self.heads.count());
        if count == 0 {
            return vec![Vec::new(); heads];
        }
        let name = format!("task.level{level}.specific");
        let bank = Bank::many(&name, self.heads.owner(), count).routed(self.heads.routing());
        let reads = if level == 0 { Reads::Everything } else { Reads::Owners };
        let experts = r.mlp(&bank, own, reads, self.expert());
        (0..heads).map(|head| blocks(experts, head * count..(head + 1) * count)).collect()
    }

    /// The shared experts that each view sees, `[views][shared]`.
    fn shared_experts(&self, r: &mut Recorder<'_>, level: usize, shared: Value) -> Vec<Vec<Block>> {
        let (count, views) = (self.config.shared, self.heads.views());
        let name = format!("task.level{level}.shared");
        if level == 0 || count == 0 {
            return self.heads.pools(r, (&name, count), shared, self.expert());
        }
        if self.config.task_scope == TaskScope::PerScenario {
            let bank = Bank::many(&name, Owner::Scenario, count).routed(self.heads.routing());
            let experts = r.mlp(&bank, shared, Reads::Owners, self.expert());
            return (0..views).map(|view| blocks(experts, view * count..(view + 1) * count)).collect();
        }
        let bank = Bank::many(&name, Owner::Everyone, count);
        let width = r.width(shared) / views;
        let per_view = (0..views).map(|view| {
            let path = r.graph.slice(shared, view * width, width);
            let experts = r.mlp(&bank, path, Reads::Everything, self.expert());
            blocks(experts, 0..count)
        });
        per_view.collect()
    }

    /// Mixtures of experts by a gate each.
    ///
    /// # Shapes
    /// - `input`: what the gates read, `[batch, ..]` as `reads` says
    /// - returns: `[batch, mixtures * expert width]`
    fn gated(
        &self,
        r: &mut Recorder<'_>,
        (number, name): (usize, &str),
        (input, reads, owner): (Value, Reads, Owner),
        mixtures: Vec<Vec<Block>>,
    ) -> Value {
        let experts = mixtures[0].len();
        let level = format!("level{number}");
        let bank = format!("task.{level}");
        let bank = Bank::one(&bank, owner).routed(self.heads.routing());
        let gate = Layer { outer: experts, bias: self.config.cgc_gate_bias, activation: Activation::Identity };
        let gate = r.linear(&bank, name, input, (reads, gate));
        let size = match self.config.cgc_gate {
            CgcGate::Softmax => experts,
            CgcGate::Sum => 1,
        };
        let gate = r.graph.softmax(gate, size, None);
        let width = self.config.expert_units.last().copied().unwrap_or(1);
        let mixed = r.graph.mixture(gate, mixtures, width);
        let probe = if name == "gate" { "task" } else { "path" };
        let below = if number + 1 == self.config.cgc_levels { String::new() } else { format!(".{level}") };
        r.probe(&format!("gate.{probe}{below}"), gate);
        r.probe(&format!("mixed.{probe}{below}"), mixed);
        mixed
    }
}
