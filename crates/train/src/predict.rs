//! Scores for every row of a source, written to a file in the order of the input.

mod ahead;
mod writer;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use crossbeam_channel::Receiver;
use hinet_data::{Batch, EncodeCounts, Encoder, Need, Order, Source};

use crate::TrainError;
use crate::evaluate::{Run, ScoreOptions, Scorer, is_stopped};
use crate::pool::pool;
use ahead::Encoded;
pub(crate) use ahead::encoded_ahead;
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
    let columns = Columns::new(encoder, keep);
    let tasks = run.artefact.model.layout.tasks.iter().map(|task| format!("p_{}", task.name));
    let rows = source.read(&columns.read, Order::InFile)?;
    let schema = output_schema(&source, &columns.kept, tasks.collect())?;
    let pool = pool(options.threads)?;
    let groups = encoder.layout().groups();
    encoded_ahead(
        encoder,
        rows,
        |batch| batch.grouped(groups),
        |encoded| pool.install(|| write(run, schema, (encoded, output), options)),
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
struct Columns {
    kept: Vec<String>,
    read: Vec<String>,
}

impl Columns {
    fn new(encoder: &Encoder, keep: &[String]) -> Columns {
        let mut kept = vec![encoder.columns(Need::Features).swap_remove(0)];
        for column in keep {
            if !kept.contains(column) {
                kept.push(column.clone());
            }
        }
        let mut read = kept.clone();
        read.extend(encoder.columns(Need::Features).into_iter().filter(|column| !kept.contains(column)));
        Columns { kept, read }
    }
}

fn output_schema(source: &Source, kept: &[String], scores: Vec<String>) -> Result<SchemaRef, TrainError> {
    if let Some(column) = scores.iter().find(|score| kept.contains(score)) {
        return Err(TrainError::OutputColumn { column: column.clone() });
    }
    let input = source.schema();
    let kept = kept.iter().filter_map(|column| input.field_with_name(column).ok().cloned());
    let scores = scores.into_iter().map(|score| Field::new(score, DataType::Float32, false));
    Ok(Arc::new(Schema::new(kept.chain(scores).collect::<Vec<_>>())))
}

/// Scores and writes what arrives; returns the rows written.
fn write(
    run: &Run,
    schema: SchemaRef,
    (encoded, output): (Receiver<Encoded>, &Path),
    options: ScoreOptions<'_>,
) -> Result<u64, TrainError> {
    let mut writer = TableWriter::create(output, &schema)?;
    let mut scorer = Scorer::new(&run.artefact.model);
    let mut rows = 0;
    for part in encoded {
        let (input, batch) = part?;
        let scores = scorer.score(&batch);
        let table = table(&schema, &input, &batch, scores);
        writer.write(
            &table.map_err(|error| TrainError::Output { path: output.to_owned(), reason: error.to_string() })?,
        )?;
        rows += batch.rows as u64;
        (options.progress)(rows);
        if is_stopped(options.stop) {
            return Err(TrainError::InterruptedEarly);
        }
    }
    writer.finish()?;
    Ok(rows)
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
