//! APG (Yan et al., NeurIPS 2022): layers whose weights are generated from a condition, cut down by low rank: a small matrix in
//! the middle of each layer is made for the condition, what is around it is shared.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | z: the condition | `scenario.condition.embedding` (and x, `apg_condition`) | |
//! | MLP of z, but for its last layer | `scenario.condition` | `[.., last of apg_condition_units]` |
//! | S(z) = reshape(its last layer) | `scenario.core.<l>` | `[apg_rank, apg_rank]` for each scenario or row |
//! | U of layer l | `scenario.into.<l>` | `[in, apg_rank]` |
//! | V and b of layer l | `scenario.out.<l>` | `[apg_rank, out]` |
//! | y = f(((x U) S(z)) V + b) | the result of layer l | `[batch, out]` |
//!
//! The layers share the MLP of z but for its last layer: it says the same to all. The paper's over-parameterisation, U as a
//! product of two matrices while training, changes how training goes and not what the model is, and is left out. Conditioned
//! by the scenario alone (the paper's group-wise way), matrices are made once per batch; by the row (mix-wise, with x beside
//! the scenario), each row has its own.

use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Stack, Told};

/// APG. The paper's sizes are for other data; layers are those of HiNet's experts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApgConfig {
    /// Width of a scenario's embedding: that of HiNet.
    pub scenario_dim: usize,
    /// Widths of the layers, ReLU after each.
    pub units: Vec<usize>,
    /// Dropout after each layer, while training.
    pub units_dropout: f64,
    /// What weights are made of.
    pub apg_condition: ApgCondition,
    /// Widths of the layers from the condition to what matrices are made of, ReLU after each.
    pub apg_condition_units: Vec<usize>,
    /// Rows and columns of the matrices that are made.
    pub apg_rank: usize,
}

/// What weights are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApgCondition {
    /// The scenario alone: rows of one share their weights.
    #[default]
    Scenario,
    /// The scenario and the row: every row has weights of its own, `apg_rank` squared numbers for each layer.
    Row,
}

impl Default for ApgConfig {
    fn default() -> ApgConfig {
        ApgConfig {
            scenario_dim: 16,
            units: vec![128, 64],
            units_dropout: 0.0,
            apg_condition: ApgCondition::Scenario,
            apg_condition_units: vec![32],
            apg_rank: 16,
        }
    }
}

impl ApgConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_width("scenario_dim", self.scenario_dim)?;
        check_units("units", &self.units, 1)?;
        check_rate("units_dropout", self.units_dropout)?;
        check_units("apg_condition_units", &self.apg_condition_units, 1)?;
        check_width("apg_rank", self.apg_rank)
    }
}

pub(super) fn record(config: &ApgConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let embedding = r.scenario_embedding("scenario.condition", config.scenario_dim);
    r.mean_over_scenarios(|r, told| {
        let condition = condition(config, r, (embedding, told), x);
        let mut h = x;
        for (number, &outer) in config.units.iter().enumerate() {
            let into = Layer { outer: config.apg_rank, bias: false, activation: Activation::Identity };
            h = r.linear(
                &Bank::one("scenario.into", Owner::Everyone),
                &number.to_string(),
                h,
                (Reads::Everything, into),
            );
            h = made(config, r, (number, condition), h);
            let out = Layer { outer, bias: true, activation: Activation::Relu };
            h = r.linear(&Bank::one("scenario.out", Owner::Everyone), &number.to_string(), h, (Reads::Everything, out));
            h = r.graph.dropout(h, config.units_dropout as f32, &format!("scenario.out.{number}"));
        }
        h
    })
}

/// What matrices are made of: `[groups, width]` or `[1, width]`, or with the row in the condition `[batch, width]`.
fn condition(config: &ApgConfig, r: &mut Recorder<'_>, (embedding, told): (Value, Told), x: Value) -> Value {
    let bank = Bank::one("scenario.condition", Owner::Everyone);
    let own = r.told(embedding, told);
    if config.apg_condition == ApgCondition::Scenario {
        return r.mlp(&bank, own, Reads::Everything, Stack { units: &config.apg_condition_units, dropout: 0.0 });
    }
    let layer = |outer: usize| Layer { outer, bias: true, activation: Activation::Identity };
    let (first, above) = config.apg_condition_units.split_first().expect("there is a layer");
    // The first layer of [e; x] is a sum of two products, one of them once per scenario.
    let of_scenario = r.linear(&bank, "0", own, (Reads::Everything, layer(*first)));
    let of_row = r.linear(&bank, "row", x, (Reads::Everything, Layer { bias: false, ..layer(*first) }));
    let sum = r.graph.add(of_row, of_scenario);
    let hidden = r.graph.activate(sum, Activation::Relu);
    (1..).zip(above).fold(hidden, |hidden, (number, &outer): (usize, _)| {
        let layer = Layer { activation: Activation::Relu, ..layer(outer) };
        r.linear(&bank, &number.to_string(), hidden, (Reads::Everything, layer))
    })
}

/// h S(z).
///
/// # Shapes
/// - `h`: `[batch, apg_rank]`
/// - returns: the same
fn made(config: &ApgConfig, r: &mut Recorder<'_>, (number, condition): (usize, Value), h: Value) -> Value {
    let (name, rank) = (format!("scenario.core.{number}"), config.apg_rank);
    if config.apg_condition == ApgCondition::Scenario {
        let plain = Layer { outer: rank, bias: false, activation: Activation::Identity };
        let core = r.generated(&name, condition, (rank, plain));
        return r.graph.linear(h, core);
    }
    let layer = Layer { outer: rank * rank, bias: true, activation: Activation::Identity };
    let core = r.linear(&Bank::one(&name, Owner::Everyone), "weight", condition, (Reads::Everything, layer));
    r.rows_times(h, core)
}
