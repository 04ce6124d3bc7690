//! Scores for every row of a source, written to a file in the order of the input.

mod ahead;
mod writer;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use hinet_data::{Batch, EncodeCounts, Encoder, Need, Order, Source};

use crate::TrainError;
use crate::evaluate::{Run, ScoreOptions, Scorer};
use crate::pool::pool;
pub(crate) use ahead::{encoded_ahead, write_encoded};
pub(crate) use writer::{Format, TableWriter};

/// What a prediction did.
#[derive(Clone, Debug, Default)]
pub struct Predicted {
    /// Rows scored and written.
    pub rows: u64,
    /// Values that were missing or not seen in train, and rows of unknown scenarios.
    pub counts: EncodeCounts,
}

/// Scores every row of a source into a file whose ending (.parquet, .csv, .jsonl) tells its format: one row per input
/// row, in the order of the input, with the scenario, the columns `keep`, and `p_<task>` for each task. The file is
/// there when it is whole. The memory needed does not depend on the number of rows.
///
/// # Errors
/// If a column is missing, a value cannot be encoded, the output cannot be written, or a column would be there twice.
pub fn predict(
    run: &Run,
    source: &Source,
    keep: &[String],
    output: &Path,
    options: ScoreOptions<'_>,
) -> Result<Predicted, TrainError> {
    check_output(output)?;
    let encoder = &run.artefact.encoder;
    let source = source.with_text_columns(&encoder.text_columns());
    let columns = Columns::new(encoder, [&encoder.columns(Need::Features)[0]].into_iter().chain(keep));
    let tasks = run.artefact.model.layout.tasks.iter().map(|task| format!("p_{}", task.name));
    let scores = tasks.map(|name| Field::new(name, DataType::Float32, false)).collect();
    let rows = source.read(&columns.read, Order::InFile)?;
    let schema = columns.schema(&source, scores)?;
    let pool = pool(options.threads)?;
    let groups = encoder.layout().groups();
    encoded_ahead(
        encoder,
        rows,
        |batch| batch.grouped(groups),
        |encoded| {
            pool.install(|| {
                let mut scorer = Scorer::new(&run.artefact.model);
                write_encoded(encoded, (output, &schema), options, |input, batch| {
                    table(&schema, input, batch, scorer.score(batch))
                })
            })
        },
    )
}

/// Refuses an output of an unknown format, or in a folder that is not there.
pub(crate) fn check_output(output: &Path) -> Result<(), TrainError> {
    Format::of(output)?;
    match output.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(TrainError::OutputFolder { path: output.to_owned(), folder: folder.to_owned() }),
        None => Ok(()),
    }
}

/// Columns of the input, the kept ones first.
pub(crate) struct Columns {
    /// Each once.
    pub(crate) kept: Vec<String>,
    pub(crate) read: Vec<String>,
}

impl Columns {
    pub(crate) fn new<'a>(encoder: &Encoder, keep: impl IntoIterator<Item = &'a String>) -> Columns {
        let mut kept: Vec<String> = Vec::new();
        for column in keep {
            if !kept.contains(column) {
                kept.push(column.clone());
            }
        }
        let mut read = kept.clone();
        read.extend(encoder.columns(Need::Features).into_iter().filter(|column| !kept.contains(column)));
        Columns { kept, read }
    }

    /// The kept columns of the input, then others.
    pub(crate) fn schema(&self, source: &Source, others: Vec<Field>) -> Result<SchemaRef, TrainError> {
        if let Some(field) = others.iter().find(|field| self.kept.contains(field.name())) {
            return Err(TrainError::OutputColumn { column: field.name().clone() });
        }
        let input = source.schema();
        let kept = self.kept.iter().filter_map(|column| input.field_with_name(column).ok().cloned());
        Ok(Arc::new(Schema::new(kept.chain(others).collect::<Vec<_>>())))
    }
}

/// The kept columns of the input beside the scores, which are put back into its order.
fn table(
    schema: &SchemaRef,
    input: &RecordBatch,
    batch: &Batch,
    scores: &[f32],
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let tasks = scores.len() / batch.rows.max(1);
    let kept = schema.fields().len() - tasks;
    let mut columns: Vec<ArrayRef> = input.columns()[..kept].to_vec();
    for task in 0..tasks {
        let mut column = vec![0.0; batch.rows];
        for (&place, scores) in batch.position.iter().zip(scores.chunks_exact(tasks)) {
            column[place as usize] = scores[task];
        }
        columns.push(Arc::new(Float32Array::from(column)));
    }
    RecordBatch::try_new(schema.clone(), columns)
}
