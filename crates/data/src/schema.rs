//! The schema: what the config says about columns, and its checked form.

mod data_config;
mod feature_config;
mod layout;

pub use data_config::{DataConfig, Paths, ScenarioConfig, TaskConfig, UnknownConfig};
pub use feature_config::{
    CategoricalConfig, Encoding, FeatureConfig, Keep, Missing, MultiConfig, NumericConfig, SequenceConfig, Transform,
    VectorConfig, VectorMissing, WeightedConfig,
};
pub use layout::{Layout, Pooling, Slot, TableSpec, TaskSpec, UnknownScenario};
