//! The encoded inputs of a model for every row of a source, written to a file in the order of the input: for those who
//! score elsewhere, by an export of the model.

mod columns;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use hinet_data::{Batch, Need, Order, Source};
use hinet_model::InputNames;

use crate::TrainError;
use crate::evaluate::{Run, ScoreOptions, is_stopped};
use crate::pool::pool;
use crate::predict::{Format, Predicted, TableWriter, check_output, encoded_ahead};
use columns::Encoded;

/// Encodes every row of a source into a file whose ending (.parquet, .csv, .jsonl) tells its format: one row per input
/// row, in the order of the input, with the columns `keep`, the scenario's id, and the columns that the inputs of an
/// exported model are called: ids, lists of ids with their weights, numbers. In CSV, which has no lists, they are texts
/// with a space between items. The file is there when it is whole; the memory needed does not depend on the number of
/// rows.
///
/// # Errors
/// If a column is missing, a value cannot be encoded, the output cannot be written, or a column would be there twice.
pub fn encode(
    run: &Run,
    source: &Source,
    keep: &[String],
    output: &Path,
    options: ScoreOptions<'_>,
) -> Result<Predicted, TrainError> {
    check_output(output)?;
    let encoder = &run.artefact.encoder;
    let names = InputNames::new(encoder.layout(), &encoder.weighted())?;
    let as_text = Format::of(output)? == Format::Csv;
    let encoded = Encoded { layout: encoder.layout(), names: &names, as_text };
    let source = source.with_text_columns(&encoder.text_columns());
    let first = |(place, column): &(usize, &String)| !keep[..*place].contains(column);
    let kept: Vec<String> = keep.iter().enumerate().filter(first).map(|(_, column)| column.clone()).collect();
    let mut read = kept.clone();
    read.extend(encoder.columns(Need::Features).into_iter().filter(|column| !kept.contains(column)));
    let rows = source.read(&read, Order::InFile)?;
    let schema = schema(&source, &kept, &encoded)?;
    let pool = pool(options.threads)?;
    encoded_ahead(
        encoder,
        rows,
        |batch| batch,
        |parts| {
            pool.install(|| {
                let mut writer = TableWriter::create(output, &schema)?;
                let mut rows = 0;
                for part in parts {
                    let (input, batch) = part?;
                    let table = table(&schema, (&input, kept.len()), &batch, &encoded);
                    let failed =
                        |error: ArrowError| TrainError::Output { path: output.to_owned(), reason: error.to_string() };
                    writer.write(&table.map_err(failed)?)?;
                    rows += batch.rows as u64;
                    (options.progress)(rows);
                    if is_stopped(options.stop) {
                        return Err(TrainError::InterruptedEarly);
                    }
                }
                writer.finish()?;
                Ok(rows)
            })
        },
    )
}

/// The kept columns of the input, then the encoded ones.
fn schema(source: &Source, kept: &[String], encoded: &Encoded<'_>) -> Result<SchemaRef, TrainError> {
    let fields = encoded.fields();
    if let Some(field) = fields.iter().find(|field| kept.contains(field.name())) {
        return Err(TrainError::OutputColumn { column: field.name().clone() });
    }
    let input = source.schema();
    let kept = kept.iter().filter_map(|column| input.field_with_name(column).ok().cloned());
    Ok(Arc::new(Schema::new(kept.chain(fields).collect::<Vec<_>>())))
}

fn table(
    schema: &SchemaRef,
    (input, kept): (&RecordBatch, usize),
    batch: &Batch,
    encoded: &Encoded<'_>,
) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<ArrayRef> = input.columns()[..kept].to_vec();
    columns.extend(encoded.columns(batch)?);
    RecordBatch::try_new(schema.clone(), columns)
}
