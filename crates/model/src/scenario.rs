//! First slot: layers that turn the dense input into what is known of a row in its scenario.

mod hinet;
mod identity;
mod partitioned_norm;

use hinet_tape::Value;

pub use hinet::{ConcatOrder, HinetConfig, SanGate, SanQuery};
pub use identity::IdentityConfig;
pub use partitioned_norm::PartitionedNormConfig;

use crate::config::slot;
use crate::error::ModelError;
use crate::network::Recorder;

slot! {
    /// The scenario layer: `[batch, width of the dense input]` to `[batch, scenario width]`.
    ScenarioLayerConfig, default Hinet {
        /// HiNet's scenario extraction layer.
        Hinet(HinetConfig) = "hinet",
        /// Hands the dense input on: nothing is learnt about scenarios here.
        Identity(IdentityConfig) = "identity",
        /// Normalises each scenario's rows by their own statistics (STAR).
        PartitionedNorm(PartitionedNormConfig) = "partitioned_norm",
    }
}

impl ScenarioLayerConfig {
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        match self {
            ScenarioLayerConfig::Hinet(config) => config.check(),
            ScenarioLayerConfig::Identity(IdentityConfig {}) => Ok(()),
            ScenarioLayerConfig::PartitionedNorm(config) => config.check(),
        }
    }

    /// Records the layer.
    ///
    /// # Shapes
    /// - `x`: `[batch, width of the dense input]`
    /// - returns: `[batch, scenario width]`
    pub(crate) fn record(&self, recorder: &mut Recorder<'_>, x: Value) -> Value {
        match self {
            ScenarioLayerConfig::Hinet(config) => hinet::record(config, recorder, x),
            ScenarioLayerConfig::Identity(IdentityConfig {}) => x,
            ScenarioLayerConfig::PartitionedNorm(config) => partitioned_norm::record(config, recorder, x),
        }
    }
}
