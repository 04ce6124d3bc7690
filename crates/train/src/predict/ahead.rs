//! Rows of a source encoded on another thread, ahead of who uses them.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use crossbeam_channel::{Receiver, Sender, bounded};
use hinet_data::{Batch, EncodeCounts, Encoder, Need, RowEncoder, RowStream};

use super::{Predicted, TableWriter};
use crate::TrainError;
use crate::evaluate::{SCORED_ROWS, ScoreOptions, is_stopped};

/// Encoded batches that may wait.
const AHEAD: usize = 4;

/// Rows as they were read, and encoded.
pub(crate) type Encoded = Result<(RecordBatch, Batch), TrainError>;

/// Encodes rows on a thread of its own, puts each batch into the order that `arrange` gives it, and hands them to `use_up`,
/// which returns how many rows it took.
///
/// # Errors
/// What `use_up` gives; errors of reading and encoding reach it through the receiver.
pub(crate) fn encoded_ahead(
    encoder: &Encoder,
    rows: RowStream,
    arrange: impl Fn(Batch) -> Batch + Send,
    use_up: impl FnOnce(Receiver<Encoded>) -> Result<u64, TrainError>,
) -> Result<Predicted, TrainError> {
    let (sender, receiver) = bounded(AHEAD);
    std::thread::scope(|scope| {
        let encoding = scope.spawn(move || encode(encoder, rows, arrange, &sender));
        // The receiver goes in, so that encoding ends when its use does.
        let used = use_up(receiver);
        let counts = encoding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Predicted { rows: used?, counts })
    })
}

/// Writes the table that `make` makes of each batch and the rows it came from; returns the rows written.
pub(crate) fn write_encoded(
    encoded: Receiver<Encoded>,
    (output, schema): (&Path, &SchemaRef),
    options: ScoreOptions<'_>,
    mut make: impl FnMut(&RecordBatch, &Batch) -> Result<RecordBatch, ArrowError>,
) -> Result<u64, TrainError> {
    let failed = |error: ArrowError| TrainError::Output { path: output.to_owned(), reason: error.to_string() };
    let mut writer = TableWriter::create(output, schema)?;
    let rows = each_encoded(encoded, options, |input, batch| writer.write(&make(input, batch).map_err(failed)?))?;
    writer.finish()?;
    Ok(rows)
}

/// Hands each batch to `take` with the rows it came from; returns how many rows there were.
pub(crate) fn each_encoded(
    encoded: Receiver<Encoded>,
    options: ScoreOptions<'_>,
    mut take: impl FnMut(&RecordBatch, &Batch) -> Result<(), TrainError>,
) -> Result<u64, TrainError> {
    let mut rows = 0;
    for part in encoded {
        let (input, batch) = part?;
        take(&input, &batch)?;
        rows += batch.rows as u64;
        (options.progress)(rows);
        if is_stopped(options.stop) {
            return Err(TrainError::InterruptedEarly);
        }
    }
    Ok(rows)
}

/// Encodes until the rows end, one is refused, or nobody listens any more.
fn encode(encoder: &Encoder, rows: RowStream, arrange: impl Fn(Batch) -> Batch, out: &Sender<Encoded>) -> EncodeCounts {
    let mut counts = EncodeCounts::default();
    let mut encoder = RowEncoder::new(encoder, Need::Features);
    for rows in rows {
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                let _ = out.send(Err(error.into()));
                break;
            }
        };
        for start in (0..rows.len()).step_by(SCORED_ROWS) {
            let part = rows.slice(start, SCORED_ROWS.min(rows.len() - start));
            let encoded = encoder.encode(&part, &mut counts).map(|batch| (part.batch, arrange(batch)));
            let failed = encoded.is_err();
            if out.send(encoded.map_err(TrainError::from)).is_err() || failed {
                return counts;
            }
        }
    }
    counts
}
