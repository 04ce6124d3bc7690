//! Parquet: what a file holds, and its row groups as batches.

use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::BATCH_ROWS;
use crate::error::DataError;

/// A dictionary is asked for where none in the column is larger than this as stored: then each batch can afford to look at all of it.
const SMALL_DICTIONARY: i64 = 1 << 16;

/// What a file says about itself.
#[derive(Debug)]
pub(super) struct ParquetFacts {
    /// Columns with plain types: texts are `Utf8`.
    pub(super) fields: Vec<FieldRef>,
    /// Parallel to `fields`: texts that are stored in small dictionaries throughout.
    pub(super) small_dictionary: Vec<bool>,
    /// Rows of each row group.
    pub(super) row_groups: Vec<u64>,
}

/// The text type of a column that is read by dictionary.
pub(super) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Reads a file's footer.
pub(super) fn facts(path: &Path) -> Result<ParquetFacts, DataError> {
    let loaded = load(path, ArrowReaderOptions::new())?;
    let metadata = loaded.metadata();
    let fields: Vec<FieldRef> = loaded.schema().fields().iter().map(plain).collect();
    let descriptor = metadata.file_metadata().schema_descr();
    let small_dictionary = (0..fields.len())
        .map(|root| {
            let mut leaves = (0..descriptor.num_columns()).filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
            let (Some(leaf), DataType::Utf8) = (leaves.next(), fields[root].data_type()) else { return false };
            metadata.row_groups().iter().all(|group| has_small_dictionary(group.column(leaf)))
        })
        .collect();
    let row_groups = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).collect();
    Ok(ParquetFacts { fields, small_dictionary, row_groups })
}

/// A file opened for reading: its footer with the types wanted of it.
#[derive(Clone, Debug)]
pub(super) struct ParquetFile {
    path: Arc<Path>,
    loaded: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Opens a file so that its columns come in the types of `schema`, which has the same columns in any order.
    pub(super) fn open(path: &Arc<Path>, schema: &SchemaRef) -> Result<ParquetFile, DataError> {
        let loaded = load(path, ArrowReaderOptions::new())?;
        let typed = |field: &FieldRef| {
            let wanted = schema.field_with_name(field.name()).map_or(field.data_type(), Field::data_type);
            Arc::new(field.as_ref().clone().with_data_type(wanted.clone()))
        };
        let fields: Vec<FieldRef> = loaded.schema().fields().iter().map(typed).collect();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let loaded = guarded(path, || ArrowReaderMetadata::try_new(Arc::clone(loaded.metadata()), options))?
            .map_err(|error| broken(path, &error))?;
        Ok(ParquetFile { path: Arc::clone(path), loaded })
    }

    /// Reads the columns of a row group, which has `rows` rows.
    pub(super) fn row_group(&self, row_group: usize, rows: u64, columns: &SchemaRef) -> Result<RowGroup, DataError> {
        let found = self.loaded.metadata().row_groups().get(row_group).map(|group| group.num_rows());
        if found.and_then(|found| u64::try_from(found).ok()) != Some(rows) {
            let problem = "it has changed since it was opened".to_owned();
            return Err(DataError::Format { file: self.path.to_path_buf(), format: "Parquet", problem });
        }
        let file = File::open(&self.path).map_err(|error| DataError::io("read", &self.path, error))?;
        let roots = columns.fields().iter().filter_map(|field| self.loaded.schema().index_of(field.name()).ok());
        let mask = ProjectionMask::roots(self.loaded.metadata().file_metadata().schema_descr(), roots);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.loaded.clone())
            .with_projection(mask)
            .with_row_groups(vec![row_group])
            .with_batch_size(BATCH_ROWS);
        let reader = guarded(&self.path, || builder.build())?.map_err(|error| broken(&self.path, &error))?;
        Ok(RowGroup { path: Arc::clone(&self.path), reader, columns: Arc::clone(columns) })
    }
}

/// The batches of one row group.
pub(super) struct RowGroup {
    path: Arc<Path>,
    reader: ParquetRecordBatchReader,
    columns: SchemaRef,
}

impl RowGroup {
    /// The next few thousand rows, with the columns in the order asked for.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, DataError> {
        let Some(batch) = guarded(&self.path, || self.reader.next())? else { return Ok(None) };
        let broken = |error: &dyn std::fmt::Display| DataError::Format {
            file: self.path.to_path_buf(),
            format: "Parquet",
            problem: error.to_string(),
        };
        let batch = batch.map_err(|error| broken(&error))?;
        super::arrange(&batch, &self.columns).map(Some).map_err(|error| broken(&error))
    }
}

fn load(path: &Path, options: ArrowReaderOptions) -> Result<ArrowReaderMetadata, DataError> {
    let file = File::open(path).map_err(|error| DataError::io("read", path, error))?;
    let length = file.metadata().map_err(|error| DataError::io("read", path, error))?.len();
    if length == 0 {
        return Err(DataError::Empty { file: path.to_owned(), problem: "is an empty file" });
    }
    guarded(path, || ArrowReaderMetadata::load(&file, options))?.map_err(|error| broken(path, &error))
}

/// Runs a part of the Parquet library, which panics on some broken files; that becomes an error like the others.
fn guarded<T>(path: &Path, read: impl FnOnce() -> T) -> Result<T, DataError> {
    silence_guarded_panics();
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let problem = format!("its content is damaged ({})", text.unwrap_or("the reader gave up"));
        DataError::Format { file: path.to_owned(), format: "Parquet", problem }
    })
}

thread_local! {
    /// Whether a panic of this thread becomes an error in [`guarded`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// The panic hook prints before anybody can catch: from now on it says nothing of what [`guarded`] makes an error of, and
/// all else goes to the hook that was there.
fn silence_guarded_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                usual(info);
            }
        }));
    });
}

fn broken(path: &Path, error: &ParquetError) -> DataError {
    let reason = error.to_string();
    let problem = if reason.contains("footer") || reason.contains("magic") || reason.contains("EOF") {
        format!("it is cut short, still being written, or something else ({reason})")
    } else {
        reason
    };
    DataError::Format { file: path.to_owned(), format: "Parquet", problem }
}

/// The field without the writer's choice among text types and without dictionaries, which are chosen anew; bytes are taken for texts.
#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has some forty types")]
fn plain(field: &FieldRef) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        kind => kind,
    };
    let kind = match kind {
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            &DataType::Utf8
        }
        kind => kind,
    };
    Arc::new(Field::new(field.name(), kind.clone(), field.is_nullable()))
}

fn has_small_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let all_by_dictionary = chunk
        .page_encoding_stats_mask()
        .is_some_and(|mask| mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY));
    let stored = chunk.dictionary_page_offset().map(|offset| chunk.data_page_offset() - offset);
    all_by_dictionary && stored.is_some_and(|bytes| bytes <= SMALL_DICTIONARY)
}
