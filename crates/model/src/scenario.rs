//! First slot: layers that turn the dense input into what is known of a row in its scenario.

mod adasparse;
mod aesm2;
mod apg;
mod epnet;
mod hamur;
mod hinet;
mod identity;
mod partitioned_norm;
mod sarnet;
mod star_transform;

use hinet_tape::Value;

pub use adasparse::{AdasparseConfig, Pruner};
pub use aesm2::Aesm2ScenarioConfig;
pub use apg::{ApgCondition, ApgConfig};
pub use epnet::EpnetConfig;
pub use hamur::{Backbone, HamurConfig};
pub use hinet::{ConcatOrder, HinetConfig, SanGate, SanQuery};
pub use identity::IdentityConfig;
pub use partitioned_norm::PartitionedNormConfig;
pub use sarnet::SarnetConfig;
pub use star_transform::StarTransformConfig;

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
        /// Scales the columns of the dense input by a gate that is told the scenario (PEPNet).
        Epnet(EpnetConfig) = "epnet",
        /// Transforms the input by a product of each scenario's weights with shared ones (M3oE).
        StarTransform(StarTransformConfig) = "star_transform",
        /// Selects, for each row, experts that are specific to its scenario and experts that are shared (AESM2).
        Aesm2(Aesm2ScenarioConfig) = "aesm2",
        /// A network with adapter cells whose weights are made for each row (HAMUR).
        Hamur(HamurConfig) = "hamur",
        /// Layers around matrices that are made for the scenario, or for the row (APG).
        Apg(ApgConfig) = "apg",
        /// A network whose neurons each scenario weighs or leaves out (AdaSparse).
        Adasparse(AdasparseConfig) = "adasparse",
        /// Experts of each scenario beside shared ones, over an input that each scenario transforms (SAR-Net).
        Sarnet(SarnetConfig) = "sarnet",
    }
}

impl ScenarioLayerConfig {
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        match self {
            ScenarioLayerConfig::Hinet(config) => config.check(),
            ScenarioLayerConfig::Identity(IdentityConfig {}) => Ok(()),
            ScenarioLayerConfig::PartitionedNorm(config) => config.check(),
            ScenarioLayerConfig::Epnet(config) => config.check(),
            ScenarioLayerConfig::StarTransform(config) => config.check(),
            ScenarioLayerConfig::Aesm2(config) => config.check(),
            ScenarioLayerConfig::Hamur(config) => config.check(),
            ScenarioLayerConfig::Apg(config) => config.check(),
            ScenarioLayerConfig::Adasparse(config) => config.check(),
            ScenarioLayerConfig::Sarnet(config) => config.check(),
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
            ScenarioLayerConfig::Epnet(config) => epnet::record(config, recorder, x),
            ScenarioLayerConfig::StarTransform(config) => star_transform::record(config, recorder, x),
            ScenarioLayerConfig::Aesm2(config) => aesm2::record(config, recorder, x),
            ScenarioLayerConfig::Hamur(config) => hamur::record(config, recorder, x),
            ScenarioLayerConfig::Apg(config) => apg::record(config, recorder, x),
            ScenarioLayerConfig::Adasparse(config) => adasparse::record(config, recorder, x),
            ScenarioLayerConfig::Sarnet(config) => sarnet::record(config, recorder, x),
        }
    }
}
