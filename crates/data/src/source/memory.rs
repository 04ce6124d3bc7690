//! Tables in memory, cut into chunks without a cell being copied.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::DataError;

/// Rows of a chunk. A row group has as many where pandas and pyarrow write Parquet, so that rows are shuffled alike whether a
/// program hands over a table or the file of it.
pub(super) const CHUNK_ROWS: usize = 1 << 20;

/// Refuses a table that nothing can be read from, or whose columns cannot be told apart.
pub(super) fn check(name: &Path, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), DataError> {
    check_columns(name, schema)?;
    if batches.iter().all(|batch| batch.num_rows() == 0) {
        return Err(DataError::Empty { file: name.to_owned(), problem: "has columns but no rows" });
    }
    Ok(())
}

/// Refuses two columns of one name.
pub(super) fn check_columns(name: &Path, schema: &SchemaRef) -> Result<(), DataError> {
    let fields = schema.fields();
    let twice = |index: &usize| fields[..*index].iter().any(|field| field.name() == fields[*index].name());
    match (0..fields.len()).find(twice) {
        Some(index) => Err(DataError::DuplicateColumn { file: name.to_owned(), column: fields[index].name().clone() }),
        None => Ok(()),
    }
}

/// The rows of `batches` in chunks of so many, the last one of fewer; each is a list of pieces that has no empty one.
pub(super) fn cut(batches: &[RecordBatch], chunk_rows: usize) -> Vec<Vec<RecordBatch>> {
    let mut chunks: Vec<Vec<RecordBatch>> = Vec::new();
    let mut room = 0;
    for batch in batches {
        let mut from = 0;
        while from < batch.num_rows() {
            if room == 0 {
                chunks.push(Vec::new());
                room = chunk_rows;
            }
            let taken = room.min(batch.num_rows() - from);
            chunks.last_mut().expect("one was just begun").push(batch.slice(from, taken));
            from += taken;
            room -= taken;
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array};
    use proptest::prelude::*;

    use super::*;

    fn batches(lengths: &[usize]) -> Vec<RecordBatch> {
        let mut next = 0;
        let batch = |&length: &usize| {
            let cells: ArrayRef = Arc::new(Int32Array::from_iter_values(next..next + length as i32));
            next += length as i32;
            RecordBatch::try_from_iter([("row", cells)]).unwrap()
        };
        lengths.iter().map(batch).collect()
    }

    fn rows(pieces: &[RecordBatch]) -> Vec<i32> {
        let cells =
            |piece: &RecordBatch| piece.column(0).as_any().downcast_ref::<Int32Array>().unwrap().values().to_vec();
        pieces.iter().flat_map(cells).collect()
    }

    proptest! {
        #[test]
        fn chunks_hold_the_same_rows_however_the_table_was_cut(lengths in prop::collection::vec(0_usize..9, 0..9), chunk in 1_usize..12) {
            let total: usize = lengths.iter().sum();
            let expected: Vec<Vec<i32>> = (0..total as i32).collect::<Vec<_>>().chunks(chunk).map(<[i32]>::to_vec).collect();
            let chunks = cut(&batches(&lengths), chunk);
            prop_assert!(chunks.iter().flatten().all(|piece| piece.num_rows() > 0));
            prop_assert_eq!(chunks.iter().map(|chunk| rows(chunk)).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn no_cell_is_copied() {
        let table = batches(&[5]);
        let chunks = cut(&table, 2);
        let address = |batch: &RecordBatch| batch.column(0).to_data().buffers()[0].data_ptr();
        assert_eq!(address(&chunks[1][0]), address(&table[0]));
    }
}
