//! From files to batches: sources, schema, encoder, splits, seed streams, the synthetic generator and
//! the converter of public data sets of `hinet`.

mod batch;
mod convert;
mod durable;
mod encoder;
mod error;
mod expression;
mod guess;
mod schema;
mod seed;
mod source;
mod split;
mod stream;
mod synth;
mod work;

pub use batch::{Batch, Column};
pub use convert::{ConvertConfig, ConvertSplit, Converted, PublicSet, convert};
pub use durable::{find_folder, replace_folder, sync_folder, write_atomic, write_atomic_with, write_synced};
pub use encoder::{EncodeCounts, Encoder, FeatureCounts, InputColumn, InputKind, LabelCounts, Need, RowEncoder};
pub use error::{DataError, Place};
pub use expression::Expression;
pub use guess::{ColumnGuess, FeatureKind, Guess, GuessOptions, Role};
pub use schema::{
    CategoricalConfig, DataConfig, Encoding, FeatureConfig, Keep, Layout, Missing, MultiConfig, NumericConfig, Paths,
    Pooling, ScenarioConfig, SchemaConfig, Sequence, SequenceConfig, Slot, TableSpec, TaskConfig, TaskSpec, Transform,
    UnknownConfig, UnknownScenario, VectorConfig, VectorMissing, WeightedConfig,
};
pub use seed::{Seed, shuffle};
pub use source::{Chunk, Limits, Order, RequestColumns, RowStream, Rows, Source, Tables, first_elements};
pub use split::{Part, PartRows, Split, SplitBy, SplitConfig};
pub use stream::{Batches, StreamConfig, TrainStream, in_order};
pub use synth::{
    Bayes, BayesCell, SynthColumns, SynthConfig, SynthFormat, SynthTask, SynthTruth, synth_batches, synth_experiment,
    write_synth,
};
