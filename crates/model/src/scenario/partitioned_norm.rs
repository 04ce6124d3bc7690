//! Partitioned normalisation, the first part of STAR (Sheng et al., CIKM 2021): each scenario's rows are normalised by
//! statistics of their own.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | gamma, beta | `scenario.norm.gain`, `scenario.norm.bias` | `[1, width]` |
//! | gamma_p, beta_p | `scenario.norm.own_gain`, `scenario.norm.own_bias` | `[scenarios, width]` |
//! | mu_p, sigma_p^2 | `scenario.norm.mean`, `scenario.norm.variance` in inference | `[scenarios, width]` |
//! | z' = (gamma gamma_p) (z - mu_p) / sqrt(sigma_p^2 + eps) + (beta + beta_p) | the result | `[batch, width]` |
//!
//! In training, mu_p and sigma_p^2 are those of the scenario's rows in the batch, and move the saved ones; a scenario
//! with fewer than two rows in the batch is normalised by the saved ones. Inference uses the saved ones, so that a row's
//! score never depends on its neighbours. The paper's batches hold one scenario each; ours are mixed, and parted here.

use hinet_tape::{Activation, BatchNormOp, Init, ParamSpec, Scope, Statistics, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::bad;
use crate::error::ModelError;
use crate::network::{Form, Recorder};

/// Added to a variance.
const EPSILON: f32 = 1e-5;

/// STAR's partitioned normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PartitionedNormConfig {
    /// Weight of a new batch in the saved statistics.
    pub norm_momentum: f32,
}

impl Default for PartitionedNormConfig {
    fn default() -> PartitionedNormConfig {
        PartitionedNormConfig { norm_momentum: 0.1 }
    }
}

impl PartitionedNormConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let fits = self.norm_momentum > 0.0 && self.norm_momentum <= 1.0;
        let wrong = || bad("norm_momentum", self.norm_momentum.to_string(), "a number above 0, up to 1");
        fits.then_some(()).ok_or_else(wrong)
    }
}

pub(super) fn record(config: &PartitionedNormConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let (width, scenarios) = (r.width(x), r.scenarios());
    let mut column = |name: &str, scope: Scope, init: Init, trainable: bool| {
        let rows = if scope == Scope::Shared { 1 } else { scenarios };
        let name = format!("scenario.norm.{name}");
        r.graph.parameter(ParamSpec { name, dims: vec![rows, width], init, scope, trainable })
    };
    let (gain, bias) =
        (column("gain", Scope::Shared, Init::Ones, true), column("bias", Scope::Shared, Init::Zeros, true));
    let own_gain = column("own_gain", Scope::PerScenario, Init::Ones, true);
    let own_bias = column("own_bias", Scope::PerScenario, Init::Zeros, true);
    let mean = column("mean", Scope::PerScenario, Init::Zeros, false);
    let variance = column("variance", Scope::PerScenario, Init::Ones, false);
    let (gain, bias) = (r.graph.mul(own_gain, gain), r.graph.add(own_bias, bias));
    if r.form() == Form::Mean {
        return mean_over_scenarios(r, x, (gain, bias), (mean, variance));
    }
    let statistics = Statistics::Moving { momentum: config.norm_momentum };
    let (gain, bias) = (Some(gain), Some(bias));
    r.graph.batch_norm(x, BatchNormOp { gain, bias, mean, variance, statistics, per_group: true, epsilon: EPSILON })
}

/// The mean of what each scenario's normalisation makes of a row. Each is linear in x, so it is one factor and one
/// offset per column, which do not depend on the row.
fn mean_over_scenarios(
    r: &mut Recorder<'_>,
    x: Value,
    (gain, bias): (Value, Value),
    (mean, variance): (Value, Value),
) -> Value {
    let graph = &mut *r.graph;
    let variance = graph.affine(variance, 1.0, EPSILON);
    let log_deviation = graph.activate(variance, Activation::Log);
    let log_deviation = graph.affine(log_deviation, 0.5, 0.0);
    let deviation = graph.activate(log_deviation, Activation::Exp);
    let factor = graph.div(gain, deviation);
    let moved = graph.mul(factor, mean);
    let offset = graph.sub(bias, moved);
    let (factor, offset) = (graph.mean_rows(factor), graph.mean_rows(offset));
    let scaled = graph.mul(x, factor);
    graph.add(scaled, offset)
}
