//! HiNet's scenario extraction layer (Zhou et al., ICDE 2023): a shared expert, an expert per scenario, and what the
//! other scenarios know.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | SEI: mixture of sub-experts by one gate | [`sei`] | `[batch, h]` |
//! | G: the scenario-shared expert, an SEI | `shared` | `[batch, h]` |
//! | S_m: the specific expert of scenario m, an SEI | `specific` | `[batch, scenarios * h]` |
//! | alpha: SAN, the scenario-aware attention | [`san::san`] | `[scenarios, scenarios]` |
//! | A_i = sum over m of alpha_im S_m | `attended` | `[batch, h]` |
//! | C_i = [G; S_i; A_i] | the result | `[batch, 3 h]` |
//!
//! In the paper only the scenario's embedding enters SAN, so alpha is a matrix with one row per scenario, not per row of
//! the batch. That, the sum of 1 which a row has to spend on other scenarios, and the gradients of foreign rows are known
//! weak points; `san_query`, `san_gate` and `san_stop_gradient` are remedies. Without the shared experts, the specific ones
//! or SAN, their parts of C_i are left out: the paper's ablations.

mod san;

use hinet_tape::{Activation, Routing, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use san::{SanGate, SanQuery};

use crate::config::{bad, check_count, check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Form, Layer, Owner, Reads, Recorder, Stack, blocks};

/// HiNet's scenario extraction layer. The paper's sizes are not known; those here suit some millions of rows, and are
/// those of the network that the speed of hinet is measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HinetConfig {
    /// Sub-experts in the expert of each scenario. With 0 scenarios have no experts, and there is no SAN.
    pub sub_experts: usize,
    /// Sub-experts in the expert that all scenarios share. With 0 there is none.
    pub shared_sub_experts: usize,
    /// Widths of the layers of a sub-expert, ReLU after each.
    pub units: Vec<usize>,
    /// Dropout after each layer of a sub-expert, while training.
    pub sei_dropout: f64,
    /// Whether gates over sub-experts have a bias.
    pub gate_bias: bool,
    /// ReLU before the softmax of gates over sub-experts, as in the authors' code: a gate can then die.
    pub gate_relu: bool,
    /// Whether a row sees what other scenarios know (the paper's A_i). Without it a row goes through the expert of
    /// its own scenario alone.
    pub san: bool,
    /// Width of a scenario's embedding.
    pub scenario_dim: usize,
    /// Widths of hidden layers between a scenario's embedding and its attention logits, ReLU after each.
    pub san_hidden: Vec<usize>,
    /// Whether the layers of SAN have a bias.
    pub san_bias: bool,
    /// ReLU on the attention logits, as in the authors' code.
    pub san_relu: bool,
    /// Whether attention is a softmax over the other scenarios. If false it is one over all scenarios whose own part
    /// is then dropped, as in the authors' code: weights sum to less than 1.
    pub san_renorm: bool,
    /// Whether a scenario attends to itself too. `san_renorm` then does not matter.
    pub san_include_self: bool,
    /// Whether each scenario has its own layers of SAN.
    pub san_per_scenario: bool,
    /// What decides how much a row listens to each other scenario.
    pub san_query: SanQuery,
    /// Whether a row may listen to no other scenario.
    pub san_gate: SanGate,
    /// Keeps rows of other scenarios from training a scenario's expert through SAN.
    pub san_stop_gradient: bool,
    /// Order of the parts of the result. Trained models do not depend on it.
    pub concat_order: ConcatOrder,
}

/// Order of the columns of C_i.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConcatOrder {
    /// G, S_i, A_i: the paper's figure.
    #[default]
    Gsa,
    /// A_i, S_i, G: the authors' code.
    Asg,
}

impl Default for HinetConfig {
    fn default() -> HinetConfig {
        HinetConfig {
            sub_experts: 4,
            shared_sub_experts: 4,
            units: vec![128, 64],
            sei_dropout: 0.0,
            gate_bias: true,
            gate_relu: false,
            san: true,
            scenario_dim: 16,
            san_hidden: Vec::new(),
            san_bias: true,
            san_relu: false,
            san_renorm: true,
            san_include_self: false,
            san_per_scenario: false,
            san_query: SanQuery::Scenario,
            san_gate: SanGate::None,
            san_stop_gradient: false,
            concat_order: ConcatOrder::Gsa,
        }
    }
}

impl HinetConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_count("sub_experts", self.sub_experts, 0)?;
        check_count("shared_sub_experts", self.shared_sub_experts, 0)?;
        if self.sub_experts + self.shared_sub_experts == 0 {
            return Err(bad("sub_experts", "0 beside `shared_sub_experts` = 0", "at least one sub-expert"));
        }
        check_units("units", &self.units, 1)?;
        check_rate("sei_dropout", self.sei_dropout)?;
        check_width("scenario_dim", self.scenario_dim)?;
        check_units("san_hidden", &self.san_hidden, 0)
    }

    /// Width of G, S_m and A_i (the paper's h).
    fn width(&self) -> usize {
        self.units.last().copied().unwrap_or(1)
    }
}

pub(super) fn record(config: &HinetConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let mut parts = Vec::new();
    if config.shared_sub_experts > 0 {
        let shared = Bank::many("scenario.shared", Owner::Everyone, config.shared_sub_experts);
        let shared = sei(config, r, x, (&shared, "gate.shared"));
        r.probe("expert.shared", shared);
        parts.push(shared);
    }
    if config.sub_experts > 0 {
        parts.extend(specific(config, r, x));
    }
    if config.concat_order == ConcatOrder::Asg {
        parts.reverse();
    }
    r.graph.concat(&parts)
}

/// S_i, and A_i where there is SAN.
///
/// # Shapes
/// - `x`: `[batch, width]`
/// - returns: `[batch, h]` each
fn specific(config: &HinetConfig, r: &mut Recorder<'_>, x: Value) -> Vec<Value> {
    let (width, scenarios) = (config.width(), r.scenarios());
    // With one scenario there are no others to attend to: A_i is left out.
    let with_san = config.san && scenarios > 1;
    let routing = if with_san { Routing::All } else { r.routing() };
    let specific = Bank::many("scenario.specific", Owner::Scenario, config.sub_experts).routed(routing);
    let specific = sei(config, r, x, (&specific, "gate.scenario"));
    r.probe("expert.scenario", specific);
    match r.form() {
        Form::Mean => {
            let mean = r.mean_of_blocks(specific, scenarios);
            if with_san { vec![mean, mean] } else { vec![mean] }
        }
        Form::Own | Form::Every if with_san => {
            let others = if config.san_stop_gradient { r.graph.stop_gradient(specific) } else { specific };
            let alpha = san::san(config, r, x, others);
            let attended = r.graph.mixture(alpha, vec![blocks(others, 0..scenarios)], width);
            r.probe("expert.attended", attended);
            if !config.san_stop_gradient {
                r.crosses_scenarios("scenario.specific.");
            }
            vec![r.graph.select(blocks(specific, 0..scenarios), width), attended]
        }
        Form::Own | Form::Every => vec![specific],
    }
}

/// Sub-experts q_k(x), each an MLP, mixed by the gate softmax(x W_g + b_g); for every block of `bank` at once.
///
/// # Shapes
/// - `x`: `[batch, width]`
/// - returns: `[batch, experts * h]`, one expert or one per scenario
fn sei(config: &HinetConfig, r: &mut Recorder<'_>, x: Value, (bank, probe): (&Bank<'_>, &str)) -> Value {
    let count = bank.copies();
    let sub_experts = r.mlp(bank, x, Reads::Everything, Stack { units: &config.units, dropout: config.sei_dropout });
    let gate = Layer {
        outer: count,
        bias: config.gate_bias,
        activation: if config.gate_relu { Activation::Relu } else { Activation::Identity },
    };
    let gate = r.linear(&bank.one_beside(), "gate", x, (Reads::Everything, gate));
    let gate = r.graph.softmax(gate, count, None);
    r.probe(probe, gate);
    let experts = r.width(gate) / count;
    let outputs = (0..experts).map(|expert| blocks(sub_experts, expert * count..(expert + 1) * count));
    r.graph.mixture(gate, outputs.collect(), config.width())
}
