//! The multi-scenario layer of AESM2 (Zou et al., SIGIR 2022): for each row, out of experts that belong to nobody, those are
//! selected that are specific to its scenario and those that scenarios share. The multi-task layer is the task layer `aesm2`.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | experts of the layer | `scenario.expert` | `[batch, select_experts * h]` |
//! | scenario indicator | `scenario.indicator.embedding` | `[scenarios, scenario_dim]` |
//! | gates G_j of all scenarios over [x; indicator] | `scenario.gate.0`, `scenario.gate.scenario` | `[batch, scenarios * experts]` |
//! | p_k = softmax over scenarios of expert k's gates | [`Recorder::select_experts`] | |
//! | specific: smallest KL(one-hot of the own scenario, p_k) | `select_specific` | |
//! | shared: smallest KL(even distribution, p_k) | `select_shared` | |
//! | softmax of the own scenario's gate over what is selected | the probe `gate.select` | `[batch, experts]` |
//! | their mixture | the result | `[batch, h]` |
//! | divergences of what is selected, added to the loss | `select_divergence` | |
//!
//! The paper draws noise onto the gates while training; it is left out, since gates already see dropout where it is wanted and a
//! step must not depend on more than its row and seed. One level of scenarios: the paper's tree of them is left out.

use hinet_tape::{Activation, Routing, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{bad, check_rate, check_selectable, check_units, check_weight, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Selection, Stack, blocks};

/// AESM2's multi-scenario layer. The paper's sizes are for other data; experts are those of HiNet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Aesm2ScenarioConfig {
    /// Width of a scenario's embedding: that of HiNet.
    pub scenario_dim: usize,
    /// Experts to select from.
    pub select_experts: usize,
    /// Widths of the layers of an expert, ReLU after each.
    pub units: Vec<usize>,
    /// Dropout after each layer of an expert, while training.
    pub units_dropout: f64,
    /// Experts selected for being specific to the row's scenario.
    pub select_specific: usize,
    /// Experts selected for being shared by scenarios. An expert may be selected twice over.
    pub select_shared: usize,
    /// Weight in the loss of the divergences of what is selected: small beside a cross-entropy. With 0 gates of other
    /// scenarios learn nothing from a row.
    pub select_divergence: f32,
}

impl Default for Aesm2ScenarioConfig {
    fn default() -> Aesm2ScenarioConfig {
        Aesm2ScenarioConfig {
            scenario_dim: 16,
            select_experts: 8,
            units: vec![128, 64],
            units_dropout: 0.0,
            select_specific: 2,
            select_shared: 2,
            select_divergence: 0.01,
        }
    }
}

impl Aesm2ScenarioConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_width("scenario_dim", self.scenario_dim)?;
        check_selectable("select_experts", self.select_experts)?;
        check_units("units", &self.units, 1)?;
        check_rate("units_dropout", self.units_dropout)?;
        if self.select_specific + self.select_shared == 0 {
            return Err(bad("select_specific", "0 beside `select_shared` = 0", "at least one expert"));
        }
        for (key, count) in [("select_specific", self.select_specific), ("select_shared", self.select_shared)] {
            if count > self.select_experts {
                return Err(bad(key, count.to_string(), format!("up to `select_experts` = {}", self.select_experts)));
            }
        }
        check_weight("select_divergence", self.select_divergence)
    }
}

pub(super) fn record(config: &Aesm2ScenarioConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let count = config.select_experts;
    let expert = Stack { units: &config.units, dropout: config.units_dropout };
    let experts = r.mlp(&Bank::many("scenario.expert", Owner::Everyone, count), x, Reads::Everything, expert);
    let bank = Bank::one("scenario.gate", Owner::Scenario).routed(Routing::All);
    let gate = Layer { outer: count, bias: true, activation: Activation::Identity };
    let of_row = r.linear(&bank, "0", x, (Reads::Everything, gate));
    let embedding = r.scenario_embedding("scenario.indicator", config.scenario_dim);
    let of_scenario = r.linear(&bank, "scenario", embedding, (Reads::Everything, Layer { bias: false, ..gate }));
    let selection = Selection {
        experts: count,
        owners: r.scenarios(),
        specific: config.select_specific,
        shared: config.select_shared,
    };
    let width = config.units.last().copied().unwrap_or(1);
    r.mean_over_scenarios(|r, told| {
        let of_scenario = r.told(of_scenario, told);
        let logits = r.graph.add(of_row, of_scenario);
        let selected = r.select_experts(selection, logits, told);
        r.probe("gate.select", selected.gate);
        if let Some(divergence) = selected.divergence.filter(|_| config.select_divergence > 0.0) {
            r.crosses_scenarios("scenario.gate.");
            r.adds_to_loss(divergence, config.select_divergence);
        }
        r.graph.mixture(selected.gate, vec![blocks(experts, 0..count)], width)
    })
}
