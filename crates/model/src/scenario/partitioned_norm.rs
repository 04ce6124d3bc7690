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

use hinet_tape::{Init, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_momentum;
use crate::error::ModelError;
use crate::network::{Form, Recorder, ScenarioNorm, Told};

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
        check_momentum("norm_momentum", self.norm_momentum)
    }
}

pub(super) fn record(config: &PartitionedNormConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let (width, scenarios) = (r.width(x), r.scenarios());
    let mut column = |name: &str, scope: Scope, init: Init| {
        let rows = if scope == Scope::Shared { 1 } else { scenarios };
        r.parameter(&format!("scenario.norm.{name}"), vec![rows, width], init, scope)
    };
    let (gain, bias) = (column("gain", Scope::Shared, Init::Ones), column("bias", Scope::Shared, Init::Zeros));
    let own_gain = column("own_gain", Scope::PerScenario, Init::Ones);
    let own_bias = column("own_bias", Scope::PerScenario, Init::Zeros);
    let (mean, variance) = r.statistics_of_scenarios("scenario.norm", width);
    let (gain, bias) = (r.graph.mul(own_gain, gain), r.graph.add(own_bias, bias));
    let norm = ScenarioNorm { gain, bias, mean, variance, momentum: config.norm_momentum };
    if r.form() != Form::Mean {
        return r.normalised(norm, x, Told::Own);
    }
    // The mean of what each scenario makes of a row is one factor and one offset per column.
    let (factor, offset) = r.factor_and_offset(norm);
    let (factor, offset) = (r.graph.mean_rows(factor), r.graph.mean_rows(offset));
    let scaled = r.graph.mul(x, factor);
    r.graph.add(scaled, offset)
}
