//! HiNet's scenario extraction layer (Zhou et al., ICDE 2023): a shared expert, an expert per scenario, and what the
//! other scenarios know.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | SEI: mixture of sub-experts by one gate | [`sei`] | `[batch, h]` |
//! | G: the scenario-shared expert, an SEI | `shared` | `[batch, h]` |
//! | S_m: the specific expert of scenario m, an SEI | `specific` | `[batch, scenarios * h]` |
//! | alpha: SAN, the scenario-aware attention | [`san`] | `[scenarios, scenarios]` |
//! | A_i = sum over m of alpha_im S_m | `attended` | `[batch, h]` |
//! | C_i = [G; S_i; A_i] | the result | `[batch, 3 h]` |
//!
//! Only the scenario's embedding enters SAN, so alpha is a matrix with one row per scenario, not per row of the batch.

use hinet_tape::{Activation, Init, Routing, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_count, check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Form, Layer, Owner, Reads, Recorder, Stack, blocks};

/// HiNet's scenario extraction layer. The paper's sizes are not known; those here suit some millions of rows, and are
/// those of the network that the speed of hinet is measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HinetConfig {
    /// Sub-experts in the expert of each scenario.
    pub sub_experts: usize,
    /// Sub-experts in the expert that all scenarios share.
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
            san_stop_gradient: false,
            concat_order: ConcatOrder::Gsa,
        }
    }
}

impl HinetConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_count("sub_experts", self.sub_experts, 1)?;
        check_count("shared_sub_experts", self.shared_sub_experts, 1)?;
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
    let (width, scenarios) = (config.width(), r.scenarios());
    // With one scenario there are no others to attend to: A_i is left out.
    let with_san = config.san && scenarios > 1;
    let routing = if with_san { Routing::All } else { r.routing() };

    let shared = Bank::many("scenario.shared", Owner::Everyone, config.shared_sub_experts);
    let shared = sei(config, r, x, (&shared, "gate.shared"));
    let specific = Bank::many("scenario.specific", Owner::Scenario, config.sub_experts).routed(routing);
    let specific = sei(config, r, x, (&specific, "gate.scenario"));
    r.probe("expert.shared", shared);
    r.probe("expert.scenario", specific);

    let (own, attended) = match r.form() {
        Form::Mean => {
            let mean = r.mean_of_blocks(specific, scenarios);
            (mean, with_san.then_some(mean))
        }
        Form::Own | Form::Every if with_san => {
            let alpha = san(config, r);
            let others = if config.san_stop_gradient { r.graph.stop_gradient(specific) } else { specific };
            let attended = r.graph.mixture(alpha, vec![blocks(others, 0..scenarios)], width);
            r.probe("expert.attended", attended);
            if !config.san_stop_gradient {
                r.crosses_scenarios("scenario.specific.");
            }
            (r.graph.select(blocks(specific, 0..scenarios), width), Some(attended))
        }
        Form::Own | Form::Every => (specific, None),
    };
    let mut parts: Vec<Value> = [Some(shared), Some(own), attended].into_iter().flatten().collect();
    if config.concat_order == ConcatOrder::Asg {
        parts.reverse();
    }
    r.graph.concat(&parts)
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

/// alpha: how much each scenario listens to each other one.
///
/// # Shapes
/// - returns: `[scenarios, scenarios]`, from the row's scenario to the one listened to
fn san(config: &HinetConfig, r: &mut Recorder<'_>) -> Value {
    let scenarios = r.scenarios();
    let std = 1.0 / (config.scenario_dim as f32).sqrt();
    let dims = vec![scenarios, config.scenario_dim];
    let init = Init::TruncatedNormal { std };
    let embedding = r.parameter("scenario.san.embedding", dims, init, Scope::PerScenario);

    let owner = if config.san_per_scenario { Owner::Scenario } else { Owner::Everyone };
    let bank = Bank::one("scenario.san", owner).routed(Routing::Own);
    let hidden = Layer { outer: 0, bias: config.san_bias, activation: Activation::Relu };
    let mut z = embedding;
    for (number, &outer) in config.san_hidden.iter().enumerate() {
        z = r.linear(&bank, &number.to_string(), z, (Reads::Everything, Layer { outer, ..hidden }));
    }
    let activation = if config.san_relu { Activation::Relu } else { Activation::Identity };
    let z = r.linear(&bank, "logits", z, (Reads::Everything, Layer { outer: scenarios, activation, ..hidden }));

    let others = (0..scenarios * scenarios).map(|i| i / scenarios != i % scenarios);
    let alpha = if config.san_include_self {
        r.graph.softmax(z, scenarios, None)
    } else if config.san_renorm {
        r.graph.softmax(z, scenarios, Some(others.collect()))
    } else {
        let all = r.graph.softmax(z, scenarios, None);
        let others = r.graph.constant(scenarios, scenarios, others.map(|other| f32::from(u8::from(other))).collect());
        r.graph.mul(all, others)
    };
    r.probe("san", alpha);
    alpha
}
