//! Reading chunk after chunk.

use std::path::Path;
use std::sync::Arc;

use super::{Order, Rows, Source};
use crate::error::DataError;
use crate::seed::shuffle;

/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// The rows of a source, a few thousand at a time; ends after the first error.
#[derive(Debug)]
pub struct RowStream {
    source: Source,
    projection: Vec<usize>,
    /// Chunks still to read, the next one last.
    waiting: Vec<usize>,
    /// The rest of the chunk being read.
    rest: Option<Rows>,
}

impl RowStream {
    pub(super) fn new(source: Source, projection: Vec<usize>, order: Order) -> RowStream {
        let mut waiting: Vec<usize> = (0..source.chunks().len()).collect();
        if let Order::Shuffled { seed } = order {
            shuffle(&mut waiting, seed);
        }
        waiting.reverse();
        RowStream { source, projection, waiting, rest: None }
    }
}

impl Iterator for RowStream {
    type Item = Result<Rows, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(rows) = self.rest.take().filter(|rows| !rows.is_empty()) {
                let taken = rows.len().min(BATCH_ROWS);
                self.rest = Some(rows.slice(taken, rows.len() - taken));
                return Some(Ok(rows.slice(0, taken)));
            }
            let index = self.waiting.pop()?;
            let chunk = &self.source.inner.chunks[index];
            let batch = self.source.inner.batches[index].project(&self.projection).expect("columns were checked");
            let file: Arc<Path> = Arc::from(self.source.first_file());
            self.rest = Some(Rows::new(file, chunk.first_row, batch));
        }
    }
}
