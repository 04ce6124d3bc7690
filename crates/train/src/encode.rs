//! The encoded inputs of a model for every row of a source, written to a file in the order of the input: for those who
//! score elsewhere, by an export of the model.

mod columns;

use std::path::Path;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use hinet_data::{Batch, Order, Source};
use hinet_model::InputNames;

use crate::TrainError;
use crate::evaluate::{Run, ScoreOptions};
use crate::pool::pool;
use crate::predict::{Columns, Format, Predicted, check_output, encoded_ahead, write_encoded};
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
    let columns = Columns::new(encoder, keep);
    let rows = source.read(&columns.read, Order::InFile)?;
    let schema = columns.schema(&source, encoded.fields())?;
    let pool = pool(options.threads)?;
    let make = |input: &RecordBatch, batch: &Batch| table(&schema, (input, columns.kept.len()), batch, &encoded);
    encoded_ahead(
        encoder,
        rows,
        |batch| batch,
        |parts| pool.install(|| write_encoded(parts, (output, &schema), options, make)),
    )
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
