//! Parquet: what a file holds, and its row groups as batches.

use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::BATCH_ROWS;
use crate::error::DataError;
use crate::work::Work;

/// Bytes as stored up to which a dictionary is small.
const SMALL_DICTIONARY: i64 = 1 << 16;

/// Bytes of a dictionary per row up to which it is small as well: each value then occurs a few times. One that each row
/// has for itself is better read as it stands.
const BYTES_PER_ROW: i64 = 4;

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

    /// Reads the columns of a row group, which has `rows` rows, through at most so many readers.
    pub(super) fn row_group(
        &self,
        row_group: usize,
        rows: u64,
        columns: &SchemaRef,
        parts: usize,
    ) -> Result<RowGroup, DataError> {
        let found = self.loaded.metadata().row_groups().get(row_group);
        if found.and_then(|group| u64::try_from(group.num_rows()).ok()) != Some(rows) {
            let problem = "it has changed since it was opened".to_owned();
            return Err(DataError::Format { file: self.path.to_path_buf(), format: "Parquet", problem });
        }
        let parts = self.deal(row_group, columns, parts);
        let readers = parts.into_iter().map(|roots| self.reader(row_group, roots)).collect::<Result<_, _>>()?;
        Ok(RowGroup { path: Arc::clone(&self.path), readers, columns: Arc::clone(columns) })
    }

    /// Columns of a row group dealt out to at most `parts` readers, about equally many bytes to each; one reader without columns if
    /// there are none.
    fn deal(&self, row_group: usize, columns: &SchemaRef, parts: usize) -> Vec<Vec<usize>> {
        let metadata = self.loaded.metadata();
        let descriptor = metadata.file_metadata().schema_descr();
        let bytes_of = |root: usize| -> i64 {
            let leaves = (0..descriptor.num_columns()).filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
            leaves.map(|leaf| metadata.row_group(row_group).column(leaf).uncompressed_size()).sum()
        };
        let roots = columns.fields().iter().filter_map(|field| self.loaded.schema().index_of(field.name()).ok());
        let mut roots: Vec<(i64, usize)> = roots.map(|root| (bytes_of(root), root)).collect();
        roots.sort_unstable_by_key(|&(bytes, root)| (std::cmp::Reverse(bytes), root));
        let mut dealt = vec![(0, Vec::new()); parts.min(roots.len()).max(1)];
        for (bytes, root) in roots {
            let least = dealt.iter_mut().min_by_key(|(sum, _)| *sum).expect("one part at least");
            least.0 += bytes;
            least.1.push(root);
        }
        dealt.into_iter().map(|(_, roots)| roots).collect()
    }

    /// Each reader has the file to itself, since one open file has one position.
    fn reader(&self, row_group: usize, roots: Vec<usize>) -> Result<ParquetRecordBatchReader, DataError> {
        let file = File::open(&self.path).map_err(|error| DataError::io("read", &self.path, error))?;
        let mask = ProjectionMask::roots(self.loaded.metadata().file_metadata().schema_descr(), roots);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.loaded.clone())
            .with_projection(mask)
            .with_row_groups(vec![row_group])
            .with_batch_size(BATCH_ROWS);
        guarded(&self.path, || builder.build())?.map_err(|error| broken(&self.path, &error))
    }
}

/// The batches of one row group.
pub(super) struct RowGroup {
    path: Arc<Path>,
    /// Each of some of the columns.
    readers: Vec<ParquetRecordBatchReader>,
    columns: SchemaRef,
}

impl RowGroup {
    /// The next few thousand rows, with the columns in the order asked for.
    pub(super) fn next_batch(&mut self, work: Work) -> Result<Option<RecordBatch>, DataError> {
        let path = &self.path;
        let parts = work.map(&mut self.readers, |_, reader| {
            let batch = guarded(path, || reader.next())?.transpose();
            batch.map_err(|error| unreadable(path, &error))
        });
        let parts = parts.into_iter().collect::<Result<Vec<Option<RecordBatch>>, DataError>>()?;
        if parts.iter().all(Option::is_none) {
            return Ok(None);
        }
        let Some(parts) = parts.into_iter().collect::<Option<Vec<RecordBatch>>>() else {
            return Err(unreadable(path, &"its columns differ in length"));
        };
        joined(&parts, &self.columns).map(Some).map_err(|error| unreadable(path, &error))
    }
}

/// The columns of `schema`, each out of the part that has it.
fn joined(parts: &[RecordBatch], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if let [whole] = parts {
        return super::arrange(whole, schema);
    }
    let fields: Vec<FieldRef> = parts.iter().flat_map(|part| part.schema_ref().fields()).cloned().collect();
    let columns = parts.iter().flat_map(RecordBatch::columns).cloned().collect();
    super::arrange(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?, schema)
}

fn unreadable(path: &Path, problem: &dyn std::fmt::Display) -> DataError {
    DataError::Format { file: path.to_owned(), format: "Parquet", problem: problem.to_string() }
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
    let stored = chunk.dictionary_page_offset().map(|offset| chunk.data_page_offset().saturating_sub(offset));
    let small = SMALL_DICTIONARY.max(chunk.num_values().saturating_mul(BYTES_PER_ROW));
    all_by_dictionary && stored.is_some_and(|bytes| bytes <= small)
}
