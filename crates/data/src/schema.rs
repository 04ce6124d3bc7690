//! The schema: what the config says about columns, and its checked form.

mod data_config;
mod feature_config;
mod layout;

pub use data_config::{DataConfig, Paths, ScenarioConfig, TaskConfig, UnknownConfig};
pub use feature_config::{
    CategoricalConfig, Encoding, FeatureConfig, Keep, Missing, MultiConfig, NumericConfig, SequenceConfig, Transform,
    VectorConfig, VectorMissing, WeightedConfig,
};
pub(crate) use feature_config::{OWN_TABLE, default_buckets, default_dim, default_min_count, default_weight_separator};
pub use layout::{Layout, Pooling, Sequence, Slot, TableSpec, TaskSpec, UnknownScenario};
pub(crate) use layout::{all_negatives, is_all, is_negative_rate};

/// Everything that decides what an [`Encoder`](crate::Encoder) does, as the experiment file has it.
#[derive(Clone, Copy, Debug)]
pub struct SchemaConfig<'a> {
    /// `[data]`: here the columns of weight, user and request.
    pub data: &'a DataConfig,
    /// `[scenario]`.
    pub scenario: &'a ScenarioConfig,
    /// `[[task]]`.
    pub tasks: &'a [TaskConfig],
    /// `[[feature]]`.
    pub features: &'a [FeatureConfig],
}
