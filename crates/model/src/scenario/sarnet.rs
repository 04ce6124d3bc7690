//! The debias experts of SAR-Net (Shen et al., CIKM 2021): each scenario transforms the input linearly, column by column, and
//! mixes experts of its own with experts that all scenarios share.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | x_i = x w_i + b_i, elementwise | `scenario.transform.gain`, `scenario.transform.bias` | `[batch, width]` |
//! | scenario-specific experts | `scenario.specific` | `[batch, scenario_experts * h]` |
//! | scenario-shared experts | `scenario.shared` | `[batch, shared_experts * h]` |
//! | multi-scenario gate: softmax(x_i W_i + b_i) | `scenario.gate` | `[batch, experts]` |
//! | the experts' sum by the gate | the result | `[batch, h]` |
//!
//! w_i starts as ones and b_i as zeros, so that all scenarios start from the same input. Left out: the paper's two attention
//! modules over a user's behaviours in other scenarios, since a row holds no sequence here, and its fairness coefficient,
//! which re-weighs rows of promotions by knowledge that only their owner has: give such weights as the weights of rows.

use hinet_tape::{Activation, Block, Init, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{bad, check_count, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Stack, blocks};

/// SAR-Net's debias experts. The paper's sizes are for other data; those here are those of HiNet's experts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SarnetConfig {
    /// Experts of each scenario's own.
    pub scenario_experts: usize,
    /// Experts that all scenarios share.
    pub shared_experts: usize,
    /// Widths of the layers of an expert, ReLU after each.
    pub units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub units_dropout: f64,
}

impl Default for SarnetConfig {
    fn default() -> SarnetConfig {
        SarnetConfig { scenario_experts: 2, shared_experts: 4, units: vec![128, 64], units_dropout: 0.0 }
    }
}

impl SarnetConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_count("scenario_experts", self.scenario_experts, 0)?;
        check_count("shared_experts", self.shared_experts, 0)?;
        if self.scenario_experts + self.shared_experts == 0 {
            return Err(bad("scenario_experts", "0 beside `shared_experts` = 0", "at least one expert"));
        }
        check_units("units", &self.units, 1)?;
        check_rate("units_dropout", self.units_dropout)
    }

    fn expert(&self) -> Stack<'_> {
        Stack { units: &self.units, dropout: self.units_dropout }
    }
}

pub(super) fn record(config: &SarnetConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let views = r.tellings().len();
    let own = transformed(r, x);
    let mut experts = vec![Vec::new(); views];
    if config.scenario_experts > 0 {
        let count = config.scenario_experts;
        let bank = Bank::many("scenario.specific", Owner::Scenario, count).routed(r.routing());
        let specific = r.mlp(&bank, own, Reads::Owners, config.expert());
        for (view, experts) in experts.iter_mut().enumerate() {
            experts.extend(blocks(specific, view * count..(view + 1) * count));
        }
    }
    if config.shared_experts > 0 {
        for (view, experts) in experts.iter_mut().enumerate() {
            experts.extend(shared(config, r, own, view));
        }
    }
    let bank = Bank::one("scenario", Owner::Scenario).routed(r.routing());
    let count = experts[0].len();
    let gate = r.linear(
        &bank,
        "gate",
        own,
        (Reads::Owners, Layer { outer: count, bias: true, activation: Activation::Identity }),
    );
    let gate = r.graph.softmax(gate, count, None);
    r.probe("gate.scenario", gate);
    let width = config.units.last().copied().unwrap_or(1);
    let mixed = r.graph.mixture(gate, experts, width);
    if views == 1 { mixed } else { r.mean_of_blocks(mixed, views) }
}

/// x as each scenario that rows are told of transforms it: `[batch, views * width]`.
fn transformed(r: &mut Recorder<'_>, x: Value) -> Value {
    let dims = vec![r.scenarios(), r.width(x)];
    let gain = r.parameter("scenario.transform.gain", dims.clone(), Init::Ones, Scope::PerScenario);
    let bias = r.parameter("scenario.transform.bias", dims, Init::Zeros, Scope::PerScenario);
    let own = r.tellings().into_iter().map(|told| {
        let (gain, bias) = (r.told(gain, told), r.told(bias, told));
        let scaled = r.graph.mul(x, gain);
        r.graph.add(scaled, bias)
    });
    let own: Vec<Value> = own.collect();
    r.graph.concat(&own)
}

/// The shared experts of what a view reads.
fn shared(config: &SarnetConfig, r: &mut Recorder<'_>, own: Value, view: usize) -> Vec<Block> {
    let width = r.width(own) / r.tellings().len();
    let x = if width == r.width(own) { own } else { r.graph.slice(own, view * width, width) };
    let bank = Bank::many("scenario.shared", Owner::Everyone, config.shared_experts);
    let experts = r.mlp(&bank, x, Reads::Everything, config.expert());
    blocks(experts, 0..config.shared_experts)
}
