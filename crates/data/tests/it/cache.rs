//! Encoded rows kept in a file: the same batches, and nothing taken that does not fit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use hinet_data::{Batch, Encoder, Part, Seed, Source, Split, StreamConfig, TrainStream};
use parquet::basic::Compression;
use serde_json::json;
use tempfile::TempDir;

use crate::encoder::{Schema, ints, table};
use crate::source::write_parquet;

const ROWS: i64 = 10_000;

/// Rows that differ with `salt`, and batches of them that do too.
fn rows(salt: i64) -> RecordBatch {
    let number = |row: i64| row * 7919 % 1_000 + salt;
    let text = |row: i64| Some(format!("{},{}", number(row) % 5, number(row) % 3));
    let bags: ArrayRef = Arc::new((0..ROWS).map(text).collect::<StringArray>());
    let column = |value: &dyn Fn(i64) -> i64| ints((0..ROWS).map(value).collect());
    table(vec![
        ("item", column(&number)),
        ("price", column(&|row| number(row) * 3)),
        ("bag", bags),
        ("tab", column(&|row| row % 3)),
        ("who", column(&|row| row / 10)),
    ])
}

struct Case {
    folder: TempDir,
    source: Source,
    encoder: Arc<Encoder>,
}

impl Case {
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        let source = write(folder.path(), 0);
        let mut schema = schema();
        schema.data.user = Some("who".into());
        let encoder = Arc::new(schema.fit(&source).unwrap());
        Case { folder, source, encoder }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// The one file of the cache.
    fn file(&self) -> PathBuf {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(self.cache()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    fn plain(&self, cache_mb: usize) -> TrainStream {
        let config = StreamConfig { batch_rows: 100, shuffle_rows: 3_000, cache_mb, seed: Seed(7) };
        TrainStream::new(&self.source, Arc::clone(&self.encoder), config)
    }

    fn cached(&self) -> TrainStream {
        self.plain(0).cached_in(&self.cache()).unwrap()
    }
}

fn schema() -> Schema {
    Schema::new(json!([
        {"kind": "categorical", "columns": ["item"]},
        {"kind": "numeric", "columns": ["price"]},
        {"kind": "multi", "columns": ["bag"], "min_count": 1},
    ]))
}

fn write(folder: &Path, salt: i64) -> Source {
    let path = folder.join("rows.parquet");
    write_parquet(&path, &[rows(salt)], 3_000, Compression::SNAPPY);
    Source::open(&[path]).unwrap()
}

fn epoch(stream: &TrainStream, epoch: u64) -> Vec<Batch> {
    stream.epoch(epoch, 0).collect::<Result<_, _>>().unwrap()
}

#[test]
fn batches_are_the_same_with_a_file_of_rows_and_without() {
    let case = Case::new();
    for cache_mb in [0, 64] {
        let stream = case.plain(cache_mb).cached_in(&case.cache()).unwrap();
        for number in 0..3 {
            assert_eq!(epoch(&stream, number), epoch(&case.plain(0), number));
        }
        let skipped: Vec<Batch> = stream.epoch(1, 37).collect::<Result<_, _>>().unwrap();
        assert_eq!(skipped, epoch(&case.plain(0), 1)[37..]);
        let mut batches = stream.epoch(4, 0);
        assert_eq!(batches.by_ref().count(), 100);
        let mut fresh = case.plain(0).epoch(4, 0);
        assert_eq!(fresh.by_ref().count(), 100);
        assert_eq!(batches.counts(), fresh.counts());
        assert_eq!(stream.cache_notes(), [""; 0]);
    }
}

#[test]
fn a_later_run_reads_the_rows_and_not_the_files() {
    let case = Case::new();
    let first = epoch(&case.cached(), 0);
    let later = case.cached();
    std::fs::remove_file(&case.source.files()[0]).unwrap();
    assert_eq!(epoch(&later, 0), first);
}

#[test]
fn an_epoch_cut_short_leaves_no_file_and_the_next_one_writes_it() {
    let case = Case::new();
    let stream = case.cached();
    drop(stream.epoch(0, 0).next());
    assert_eq!(std::fs::read_dir(case.cache()).unwrap().count(), 0);
    epoch(&stream, 0);
    assert!(case.file().exists());
}

#[test]
fn a_changed_byte_is_found_told_and_mended_wherever_it_is() {
    let case = Case::new();
    let whole = epoch(&case.cached(), 0);
    let good = std::fs::read(case.file()).unwrap();
    let places = [0, 9, 13, 40, good.len() / 3, good.len() / 2, good.len() - 200, good.len() - 20, good.len() - 1];
    for place in places {
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        std::fs::write(case.file(), &bad).unwrap();
        check_mended(&case, &whole, place);
    }
    for length in [0, 10, good.len() / 2, good.len() - 1] {
        std::fs::write(case.file(), &good[..length]).unwrap();
        check_mended(&case, &whole, length);
    }
}

fn check_mended(case: &Case, whole: &[Batch], place: usize) {
    let stream = case.cached();
    let notes = stream.cache_notes();
    assert!(notes.len() == 1 && notes[0].contains("will be written anew"), "byte {place}: {notes:?}");
    assert_eq!(epoch(&stream, 0), whole);
    assert_eq!(case.cached().cache_notes(), [""; 0], "byte {place}");
}

#[test]
fn rows_of_another_file_encoder_or_split_are_not_taken() {
    let mut case = Case::new();
    epoch(&case.cached(), 0);
    let told = |case: &Case, why: &str| {
        let stream = case.cached();
        let notes = stream.cache_notes();
        assert!(notes.len() == 1 && notes[0].contains(why), "{notes:?}");
        assert_eq!(epoch(&stream, 0), epoch(&case.plain(0), 0));
    };
    case.encoder = Arc::new(schema().fit(&case.source).unwrap());
    told(&case, "the encoder is another");
    case.source = write(case.folder.path(), 1);
    told(&case, "rows.parquet` has changed");
    let config = |seed: u64| serde_json::from_value(json!({"by": "random", "valid": 0.2, "test": 0.2, "seed": seed}));
    let split = |seed| Split::resolve(&config(seed).unwrap(), &case.source).unwrap();
    let (first, second) = (split(1), split(2));
    let whole = case.source.clone();
    case.source = whole.with_part(&first, Part::Train);
    epoch(&case.cached(), 0);
    case.source = whole.with_part(&second, Part::Train);
    told(&case, "the split is another");
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_cache_and_not_the_run() {
    let case = Case::new();
    std::fs::write(case.cache(), "a file where the folder should be").unwrap();
    let stream = case.cached();
    assert_eq!(epoch(&stream, 0), epoch(&case.plain(0), 0));
    let notes = stream.cache_notes();
    assert!(notes.iter().any(|note| note.contains("cannot be written")), "{notes:?}");
}

#[test]
fn rows_in_memory_are_not_kept_in_files() {
    let case = Case::new();
    let source = Source::from_batches("memory", vec![rows(0)]);
    let config = StreamConfig { batch_rows: 100, shuffle_rows: 3_000, cache_mb: 0, seed: Seed(7) };
    let stream = TrainStream::new(&source, Arc::clone(&case.encoder), config).cached_in(&case.cache()).unwrap();
    epoch(&stream, 0);
    assert!(!case.cache().exists());
}
