//! From files to batches: sources, schema, encoder, splits, seed streams and the synthetic generator of `hinet`.

mod batch;
mod encoder;
mod error;
mod expression;
mod schema;
mod seed;
mod source;
mod split;
pub use synth::{
    Bayes, BayesCell, SynthColumns, SynthConfig, SynthFormat, SynthTask, SynthTruth, synth_batches, synth_experiment,
    write_synth,
};
