//! From files to batches: sources, schema, encoder, splits, seed streams and the synthetic generator of `hinet`.

mod batch;
mod schema;

pub use batch::{Batch, Column};
pub use schema::{
    CategoricalConfig, DataConfig, Encoding, FeatureConfig, Keep, Layout, Missing, MultiConfig, NumericConfig, Paths,
    Pooling, ScenarioConfig, SequenceConfig, Slot, TableSpec, TaskConfig, TaskSpec, Transform, UnknownConfig,
    UnknownScenario, VectorConfig, VectorMissing, WeightedConfig,
};
