//! Data whose truth is known: `hinet synth`. See [`SynthConfig`] for what can be asked, [`SynthTruth`] for what is told about it.
//!
//! ```
//! # let folder = std::env::temp_dir().join("hinet-synth-doc");
//! use hinet_data::{SynthConfig, write_synth};
//!
//! let config = SynthConfig { train_rows: 2000, valid_rows: 0, test_rows: 1000, ..SynthConfig::default() };
//! let truth = write_synth(&config, &folder, &mut |_rows| {})?;
//! assert!(folder.join("train.parquet").exists() && folder.join("hinet.toml").exists());
//! assert!(truth.bayes.mean_auc.is_some_and(|auc| auc > 0.7));
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok::<(), hinet_data::DataError>(())
//! ```

mod config;
mod experiment;
mod linear;
mod rows;
mod side;
mod truth;
mod world;
mod write;

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use rayon::prelude::*;

pub use self::config::{SynthColumns, SynthConfig, SynthFormat, SynthTask};
pub use self::experiment::synth_experiment;
pub use self::truth::{Bayes, BayesCell, SynthTruth};

use self::rows::{CHUNK_ROWS, Drawn, Span, schema, spans};
use self::truth::Tally;
use self::world::World;
use self::write::RowWriter;
use crate::error::DataError;

/// Chunks drawn at once, on all threads; what memory holds besides users, items and the row group being written.
const CHUNKS_AT_ONCE: usize = 8;

/// Draws the data and writes them into `folder`, which is made where it is missing: `train`, `valid` (unless it has no rows) and `test` with
/// the format's ending, `hinet.toml` that trains on them, and `truth.json`, last. Files of these names are overwritten. Equal settings give
/// equal bytes, whatever the number of threads. Memory does not grow with the number of rows.
///
/// `progress` is told the number of rows written so far, of [`SynthConfig::rows`].
///
/// # Errors
/// Settings that make no sense; a file that cannot be written.
pub fn write_synth(
    config: &SynthConfig,
    folder: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<SynthTruth, DataError> {
    config.check()?;
    fs_err::create_dir_all(folder).map_err(|error| DataError::io("write", folder, error))?;
    let world = World::new(config);
    let schema = schema(&world);
    let mut tally = Tally::new(config);
    let (mut chunks, mut done) = (0, 0);
    for (name, rows) in [("train", config.train_rows), ("valid", config.valid_rows), ("test", config.test_rows)] {
        if rows == 0 {
            continue;
        }
        let path = folder.join(format!("{name}.{}", config.format.ending()));
        let mut writer = RowWriter::create(&path, config.format, &schema)?;
        let mut spans = spans(rows, chunks, done).peekable();
        while spans.peek().is_some() {
            let group: Vec<Span> = spans.by_ref().take(CHUNKS_AT_ONCE).collect();
            for (drawn, batch) in draw(&world, &schema, &group) {
                writer.write(&batch)?;
                if name == "test" {
                    tally.add(&drawn);
                }
                done += batch.num_rows() as u64;
            }
            progress(done);
        }
        writer.finish()?;
        chunks += rows.div_ceil(CHUNK_ROWS);
    }
    let truth = tally.truth(&world);
    write_text(&folder.join("hinet.toml"), &synth_experiment(config))?;
    let text = serde_json::to_string_pretty(&truth).expect("numbers and texts are always JSON");
    write_text(&folder.join("truth.json"), &(text + "\n"))?;
    Ok(truth)
}

/// Draws `rows` training rows into memory: those a file of [`write_synth`] with as many `train_rows` would hold.
///
/// # Errors
/// Settings that make no sense.
pub fn synth_batches(config: &SynthConfig, rows: u64) -> Result<Vec<RecordBatch>, DataError> {
    config.check()?;
    let world = World::new(config);
    let schema = schema(&world);
    Ok(spans(rows, 0, 0).map(|span| Drawn::new(&world, span).batch(&world, &schema)).collect())
}

impl SynthConfig {
    /// Rows of all files together.
    pub fn rows(&self) -> u64 {
        self.train_rows.saturating_add(self.valid_rows).saturating_add(self.test_rows)
    }
}

fn draw(world: &World, schema: &SchemaRef, group: &[Span]) -> Vec<(Drawn, RecordBatch)> {
    let one = |&span: &Span| {
        let drawn = Drawn::new(world, span);
        let batch = drawn.batch(world, schema);
        (drawn, batch)
    };
    group.par_iter().map(one).collect()
}

fn write_text(path: &Path, text: &str) -> Result<(), DataError> {
    fs_err::write(path, text).map_err(|error| DataError::io("write", path, error))
}
