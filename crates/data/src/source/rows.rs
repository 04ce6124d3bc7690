//! A batch of rows that knows where each of them came from.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::cell::cell_text;
use crate::error::DataError;

/// Rows of one file as an Arrow batch, with each row's number in that file.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The cells.
    pub batch: RecordBatch,
    /// The file they were read from, or the name of what stands for it in memory.
    pub file: Arc<Path>,
    /// 1-based number of the batch's first row, where rows follow one another.
    first: u64,
    /// 1-based number of each row, where some between them were left out.
    numbers: Option<Vec<u64>>,
}

impl Rows {
    /// Rows that follow one another in `file`, the first of them being its row number `first` (1-based).
    pub fn new(file: Arc<Path>, first: u64, batch: RecordBatch) -> Rows {
        Rows { batch, file, first, numbers: None }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The 1-based number in its file of the row at `index` of the batch.
    pub fn number(&self, index: usize) -> u64 {
        match &self.numbers {
            Some(numbers) => numbers[index],
            None => self.first + index as u64,
        }
    }

    /// The cells of a column.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`], with the nearest name.
    pub fn column(&self, name: &str) -> Result<&ArrayRef, DataError> {
        self.batch.column_by_name(name).ok_or_else(|| {
            let schema = self.batch.schema_ref();
            DataError::missing_column(&self.file, name, schema.fields().iter().map(|field| field.name().as_str()))
        })
    }

    /// The rows where `keep` is true; each keeps its number.
    ///
    /// # Panics
    /// When `keep` has another length than the batch.
    pub fn filter(&self, keep: &BooleanArray) -> Rows {
        assert_eq!(keep.len(), self.len(), "one flag per row");
        let batch = filter_record_batch(&self.batch, keep).expect("a filter of the batch's length fits");
        let kept = |index: &usize| keep.is_valid(*index) && keep.value(*index);
        let numbers = (0..self.len()).filter(kept).map(|index| self.number(index)).collect();
        Rows { batch, file: Arc::clone(&self.file), first: self.first, numbers: Some(numbers) }
    }

    /// `length` rows from `start` on, without copying cells.
    ///
    /// # Panics
    /// When they reach beyond the end.
    pub fn slice(&self, start: usize, length: usize) -> Rows {
        Rows {
            batch: self.batch.slice(start, length),
            file: Arc::clone(&self.file),
            first: self.first + start as u64,
            numbers: self.numbers.as_ref().map(|numbers| numbers[start..start + length].to_vec()),
        }
    }

    /// The error for a cell that does not fit; `expected` with its article: `a whole number`.
    pub fn bad_value(&self, index: usize, column: &str, expected: impl Into<String>) -> DataError {
        let cells = self.batch.column_by_name(column);
        let value = cells.and_then(|cells| cell_text(cells, index)).unwrap_or_else(|| "nothing".to_owned());
        DataError::bad_value(&self.file, self.number(index), column, &value, expected)
    }
}
