//! HMoE (Li et al., CIKM 2020): scenarios help each other in feature space, through shared experts, and in label space,
//! where a row's score is a mixture of the scores that every scenario's tower gives it.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | the implicit part: MMoE with a gate and a tower per scenario | `task.expert`, `task.gate`, `task.tower` | |
//! | o_m: score by the tower of scenario m | `task.tower.logit`, through a sigmoid | `[batch, scenarios * heads]` |
//! | w_i = softmax(x V_i) | `task.mix` | `[batch, heads * scenarios]` |
//! | y_i = w_ii o_i + sum over m != i of w_im stop(o_m) | `mix` | `[batch, heads]` |
//!
//! `stop` lets no gradient through: a row trains the gate and the tower of its own scenario alone, which the paper calls
//! task-constrained back-propagation. It has a price: a row whose weights lean on another scenario's tower cannot teach
//! that tower, and its own then learns little; without it (`mix_stop_gradient = false`) training is steadier. The paper
//! has one task; here each task is mixed over scenarios by itself, above experts that all tasks share. Probabilities are mixed, not logits, so that a mixture stays one.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::mmoe::{Gates, Moe, mixtures};
use super::tower::{LOGIT, towers};
use crate::config::{check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Form, Layer, Reads, Recorder, Stack};

/// HMoE. The paper's sizes are for other data; those here are those of `mmoe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HmoeConfig {
    /// Experts that all scenarios and tasks share.
    pub experts: usize,
    /// Widths of the layers of an expert, ReLU after each.
    pub expert_units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub expert_dropout: f64,
    /// What is mixed over scenarios.
    pub mix: Mix,
    /// Keeps rows of other scenarios from training a scenario's gate and tower through the mixture.
    pub mix_stop_gradient: bool,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

/// What HMoE mixes over scenarios.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mix {
    /// The towers' probabilities, as in the paper.
    #[default]
    Scores,
    /// The last hidden layer of the towers, as some libraries do; the row's own scenario then makes the logit.
    Hidden,
}

impl Default for HmoeConfig {
    fn default() -> HmoeConfig {
        HmoeConfig {
            experts: 6,
            expert_units: vec![128, 64],
            expert_dropout: 0.0,
            mix: Mix::Scores,
            mix_stop_gradient: true,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl HmoeConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        self.moe().check()?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }

    fn moe(&self) -> Moe<'_> {
        let expert = Stack { units: &self.expert_units, dropout: self.expert_dropout };
        Moe { experts: self.experts, expert, gate_bias: false, gates: Gates::PerHead }
    }

    fn tower(&self) -> Stack<'_> {
        Stack { units: &self.tower_units, dropout: self.tower_dropout }
    }
}

pub(super) fn record(config: &HmoeConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let own = Heads::new(r, TaskScope::ScenarioTask, &config.product);
    let all = own.of_every_scenario(r);
    let weights = {
        let bank = Bank::one("task", own.owner()).routed(own.routing());
        let layer = Layer { outer: r.scenarios(), bias: false, activation: Activation::Identity };
        let logits = r.linear(&bank, "mix", input, (Reads::Everything, layer));
        r.graph.softmax(logits, r.scenarios(), None)
    };
    r.probe("gate.mix", weights);
    let features = mixtures(r, &all, input, config.moe());
    if !config.mix_stop_gradient {
        r.crosses_scenarios("task.gate.");
        r.crosses_scenarios("task.tower.");
    }
    match config.mix {
        Mix::Scores => {
            let logits = towers(r, &all, features, config.tower());
            let logits = all.with_first_order(r, logits);
            let opposite = r.graph.affine(logits, -1.0, 0.0);
            let [p, not_p] = [logits, opposite].map(|logits| {
                let scores = r.graph.activate(logits, Activation::Sigmoid);
                let mixed = mix(config, r, &own, (weights, scores));
                // What rounds to 0 would have no finite logarithm; the offset is below the precision of a score.
                let above_zero = r.graph.affine(mixed, 1.0, 1e-20);
                r.graph.activate(above_zero, Activation::Log)
            });
            own.finish_logs(r, p, not_p)
        }
        Mix::Hidden => {
            let (features, reads) = features;
            let tower = Bank::one("task.tower", all.owner());
            let hidden = r.mlp(&tower.routed(all.routing()), features, reads, config.tower());
            let mixed = mix(config, r, &own, (weights, hidden));
            let logits = r.linear(&tower.routed(own.routing()), "logit", mixed, (Reads::Owners, LOGIT));
            own.finish(r, logits)
        }
    }
}

/// Mixes over scenarios what the heads of each made.
///
/// # Shapes
/// - `weights`: `[batch, views * heads * scenarios]`
/// - `values`: `[batch, scenarios * heads * width]`
/// - returns: `[batch, views * heads * width]`
fn mix(config: &HmoeConfig, r: &mut Recorder<'_>, own: &Heads, (weights, values): (Value, Value)) -> Value {
    let (scenarios, heads) = (r.scenarios(), own.count());
    let width = r.width(values) / (scenarios * heads);
    let others = if config.mix_stop_gradient { r.graph.stop_gradient(values) } else { values };
    let (same, others) = match r.form() {
        Form::Own if config.mix_stop_gradient => {
            let kept = only_own_learns(r, values, others);
            (kept, kept)
        }
        Form::Own | Form::Every | Form::Mean => (values, others),
    };
    let outputs = (0..own.views() * heads).map(|place| {
        let (view, head) = (place / heads, place % heads);
        let block = |m: usize| Block::new(if m == view { same } else { others }, m * heads + head);
        (0..scenarios).map(block).collect()
    });
    let outputs = outputs.collect();
    r.graph.mixture(weights, outputs, width)
}

/// The same numbers, with a gradient in the columns of the row's own scenario alone.
///
/// # Shapes
/// - all: `[batch, scenarios * width]`
fn only_own_learns(r: &mut Recorder<'_>, values: Value, stopped: Value) -> Value {
    let (scenarios, columns) = (r.scenarios(), r.width(values));
    let width = columns / scenarios;
    let own = (0..scenarios * columns).map(|at| f32::from(u8::from(at / columns == at % columns / width)));
    let own: Vec<f32> = own.collect();
    let others = own.iter().map(|own| 1.0 - own).collect();
    let (own, others) = (r.graph.constant(scenarios, columns, own), r.graph.constant(scenarios, columns, others));
    let (own, others) = (r.graph.mul(values, own), r.graph.mul(stopped, others));
    r.graph.add(own, others)
}
