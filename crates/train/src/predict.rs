//! Scores for every row of a source in the order of the input, written to a file or kept in memory.

mod ahead;
mod writer;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use hinet_data::{Batch, EncodeCounts, Encoder, Need, Order, Source};

use crate::TrainError;
use crate::evaluate::{Run, ScoreOptions, Scorer};
use crate::pool::pool;
pub(crate) use ahead::{each_encoded, encoded_ahead, write_encoded};
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
    let scoring = Scoring::new(run, source, keep)?;
    let mut writer = TableWriter::create(output, &scoring.schema)?;
    let predicted = scoring.each(options, |batch| writer.write(&batch))?;
    writer.finish()?;
    Ok(predicted)
}

/// Scores every row of a source: the columns that [`predict`] writes, as batches in memory.
///
/// # Errors
/// As [`predict`], but for the output.
pub fn score(
    run: &Run,
    source: &Source,
    keep: &[String],
    options: ScoreOptions<'_>,
) -> Result<(SchemaRef, Vec<RecordBatch>), TrainError> {
    let scoring = Scoring::new(run, source, keep)?;
    let mut batches = Vec::new();
    scoring.each(options, |batch| {
        batches.push(batch);
        Ok(())
    })?;
    Ok((scoring.schema, batches))
}

/// Rows about to be scored, and the table that comes of it.
struct Scoring<'r> {
    run: &'r Run,
    source: Source,
    columns: Columns,
    schema: SchemaRef,
}

impl<'r> Scoring<'r> {
    fn new(run: &'r Run, source: &Source, keep: &[String]) -> Result<Scoring<'r>, TrainError> {
        let encoder = &run.artefact.encoder;
        let source = source.with_text_columns(&encoder.text_columns());
        let columns = Columns::new(encoder, [&encoder.columns(Need::Features)[0]].into_iter().chain(keep));
        // A column that is not there is found before what it would be called.
        source.read(&columns.read, Order::InFile)?;
        let tasks = run.artefact.model.layout.tasks.iter().map(|task| format!("p_{}", task.name));
        let scores = tasks.map(|name| Field::new(name, DataType::Float32, false)).collect();
        let schema = columns.schema(&source, scores)?;
        Ok(Scoring { run, source, columns, schema })
    }

    /// Hands over the table batch by batch.
    fn each(
        &self,
        options: ScoreOptions<'_>,
        mut put: impl FnMut(RecordBatch) -> Result<(), TrainError> + Send,
    ) -> Result<Predicted, TrainError> {
        let rows = self.source.read(&self.columns.read, Order::InFile)?;
        let pool = pool(options.threads)?;
        let (encoder, model) = (&self.run.artefact.encoder, &self.run.artefact.model);
        let groups = encoder.layout().groups();
        encoded_ahead(
            encoder,
            rows,
            |batch| batch.grouped(groups),
            |encoded| {
                pool.install(|| {
                    let mut scorer = Scorer::new(model);
                    each_encoded(encoded, options, |input, batch| {
                        put(table(&self.schema, input, batch, scorer.score(batch)).map_err(|e| self.failed(&e))?)
                    })
                })
            },
        )
    }

    fn failed(&self, error: &ArrowError) -> TrainError {
        let path = self.source.files().first().cloned().unwrap_or_default();
        TrainError::Output { path, reason: error.to_string() }
    }
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
fn table(schema: &SchemaRef, input: &RecordBatch, batch: &Batch, scores: &[f32]) -> Result<RecordBatch, ArrowError> {
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
