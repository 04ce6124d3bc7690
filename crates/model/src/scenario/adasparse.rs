//! AdaSparse (Yang et al., CIKM 2022): a network in which each scenario has a structure of its own. Before every layer a light
//! pruner, told the scenario, gives each neuron a factor; a neuron may be left out altogether.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | domain embedding e_s | `scenario.prune.embedding` | `[scenarios, scenario_dim]` |
//! | u = W_p [e_s; h] + b_p of layer l | `scenario.prune.<l>.scenario` and `scenario.prune.<l>` | `[batch, width of h]` |
//! | binarisation: v = sigmoid(alpha u), pi = 1 if v > epsilon, else 0 | [`Pruner::Binarise`] | |
//! | scaling: pi = beta sigmoid(u) | [`Pruner::Scale`] | |
//! | fusion: v = beta sigmoid(alpha u), pi = v if v > epsilon, else 0 | [`Pruner::Fuse`] | |
//! | pi of layer l | the probe `gate.prune.<l>` | `[batch, width of h]` |
//! | h <- f((pi h) W + b) | `scenario.layer.<l>` | |
//! | pi h of the last layer | the result | `[batch, last of units]` |
//!
//! The step from v to 0 or 1 has no slope; the gradient of pi is taken to be that of v (straight-through), so that a neuron
//! which is left out can come back. In the paper alpha grows while training; here no layer knows how long training has gone
//! on (the same step must give the same numbers wherever it stands), so `prune_alpha` is a number that stays. The paper's
//! penalty that keeps the share of pruned neurons within bounds is left out.

use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_positive, check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Told};

/// AdaSparse. The paper's sizes are for other data; layers are those of HiNet's experts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdasparseConfig {
    /// Width of a scenario's embedding: that of HiNet.
    pub scenario_dim: usize,
    /// Widths of the layers, ReLU after each.
    pub units: Vec<usize>,
    /// Dropout after each layer, while training.
    pub units_dropout: f64,
    /// What a pruner's factors are.
    pub pruning: Pruner,
    /// The paper's alpha: the larger, the nearer are factors to their ends. `scale` does without.
    pub prune_alpha: f32,
    /// The paper's beta: the largest factor, 2 so that factors start at about 1. `binarise` does without.
    pub prune_beta: f32,
    /// The paper's epsilon: up to which factors count as 0. `scale` does without.
    pub prune_threshold: f32,
}

/// What the factors of a pruner are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pruner {
    /// 0 or 1.
    Binarise,
    /// Between 0 and beta.
    Scale,
    /// 0, or between the threshold and beta: the paper's best.
    #[default]
    Fuse,
}

impl Default for AdasparseConfig {
    fn default() -> AdasparseConfig {
        AdasparseConfig {
            scenario_dim: 16,
            units: vec![128, 64],
            units_dropout: 0.0,
            pruning: Pruner::Fuse,
            prune_alpha: 1.0,
            prune_beta: 2.0,
            prune_threshold: 0.25,
        }
    }
}

impl AdasparseConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_width("scenario_dim", self.scenario_dim)?;
        check_units("units", &self.units, 1)?;
        check_rate("units_dropout", self.units_dropout)?;
        check_positive("prune_alpha", self.prune_alpha)?;
        check_positive("prune_beta", self.prune_beta)?;
        check_positive("prune_threshold", self.prune_threshold)
    }
}

pub(super) fn record(config: &AdasparseConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let embedding = r.scenario_embedding("scenario.prune", config.scenario_dim);
    r.mean_over_scenarios(|r, told| {
        let bank = Bank::one("scenario.layer", Owner::Everyone);
        let mut h = x;
        for (number, &outer) in config.units.iter().enumerate() {
            h = pruned(config, r, (number, embedding, told), h);
            let layer = Layer { outer, bias: true, activation: Activation::Relu };
            h = r.linear(&bank, &number.to_string(), h, (Reads::Everything, layer));
            h = r.graph.dropout(h, config.units_dropout as f32, &format!("scenario.layer.{number}"));
        }
        pruned(config, r, (config.units.len(), embedding, told), h)
    })
}

/// pi h, what a layer reads after its pruner.
fn pruned(
    config: &AdasparseConfig,
    r: &mut Recorder<'_>,
    (number, embedding, told): (usize, Value, Told),
    h: Value,
) -> Value {
    let bank = Bank::one("scenario.prune", Owner::Everyone);
    let layer = Layer { outer: r.width(h), bias: true, activation: Activation::Identity };
    let of_row = r.linear(&bank, &number.to_string(), h, (Reads::Everything, layer));
    let layer = Layer { bias: false, ..layer };
    let of_scenario = r.linear(&bank, &format!("{number}.scenario"), embedding, (Reads::Everything, layer));
    let of_scenario = r.told(of_scenario, told);
    let sum = r.graph.add(of_row, of_scenario);
    let factors = factors(config, r, sum);
    r.probe(&format!("gate.prune.{number}"), factors);
    r.graph.mul(factors, h)
}

/// pi of u, elementwise.
fn factors(config: &AdasparseConfig, r: &mut Recorder<'_>, sum: Value) -> Value {
    let graph = &mut *r.graph;
    let (alpha, beta) = match config.pruning {
        Pruner::Binarise => (config.prune_alpha, 1.0),
        Pruner::Scale => (1.0, config.prune_beta),
        Pruner::Fuse => (config.prune_alpha, config.prune_beta),
    };
    let soft = graph.affine(sum, alpha, 0.0);
    let soft = graph.activate(soft, Activation::Sigmoid);
    let soft = graph.affine(soft, beta, 0.0);
    if config.pruning == Pruner::Scale {
        return soft;
    }
    let still = graph.stop_gradient(soft);
    let above = graph.affine(still, 1.0, -config.prune_threshold);
    let kept = graph.activate(above, Activation::Step);
    let hard = if config.pruning == Pruner::Binarise { kept } else { graph.mul(kept, still) };
    // Exactly the hard factor, and the gradient of the soft one.
    let nothing = graph.sub(soft, still);
    graph.add(hard, nothing)
}
