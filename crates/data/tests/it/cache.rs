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
    folder: Arc<TempDir>,
    source: Source,
    encoder: Arc<Encoder>,
}

impl Case {
    fn new() -> Case {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let source = write(folder.path(), 0);
        let mut schema = schema();
        schema.data.user = Some("who".into());
        let encoder = Arc::new(schema.fit(&source).unwrap());
        Case { folder, source, encoder }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// All that is in the folder of the cache.
    fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.cache()).unwrap().map(|file| file.unwrap().path()).collect()
    }

    /// The one file of the cache.
    fn file(&self) -> PathBuf {
        let mut files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    /// The same rows encoded by other features.
    fn bucketed(&self, buckets: usize, dim: usize) -> Case {
        let mut schema =
            Schema::new(json!([{"kind": "numeric", "columns": ["price"], "buckets": buckets, "dim": dim}]));
        schema.data.user = Some("who".into());
        let encoder = Arc::new(schema.fit(&self.source).unwrap());
        Case { folder: Arc::clone(&self.folder), source: self.source.clone(), encoder }
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
    let not_taken = |case: &Case, files: usize| {
        let stream = case.cached();
        assert_eq!(epoch(&stream, 0), epoch(&case.plain(0), 0));
        assert_eq!((stream.cache_notes(), case.files().len()), (Vec::new(), files));
    };
    case.encoder = Arc::new(schema().fit(&case.source).unwrap());
    not_taken(&case, 2);
    let config = |seed: u64| serde_json::from_value(json!({"by": "random", "valid": 0.2, "test": 0.2, "seed": seed}));
    let split = |seed| Split::resolve(&config(seed).unwrap(), &case.source).unwrap();
    let (first, second) = (split(1), split(2));
    let whole = case.source.clone();
    case.source = whole.with_part(&first, Part::Train);
    not_taken(&case, 3);
    case.source = whole.with_part(&second, Part::Train);
    not_taken(&case, 4);
    // Whatever was made of the data as it was cannot be asked for again.
    case.source = write(case.folder.path(), 1);
    not_taken(&case, 1);
}

#[test]
fn runs_with_other_features_keep_their_rows_beside_each_other() {
    let case = Case::new();
    let cases = [case.bucketed(4, 16), case.bucketed(8, 16)];
    let streams = [cases[0].cached(), cases[1].cached()];
    for number in 0..3 {
        for (case, stream) in cases.iter().zip(&streams) {
            assert_eq!(epoch(stream, number), epoch(&case.plain(0), number));
        }
    }
    assert_eq!(case.files().len(), 2);
    assert!(streams.iter().all(|stream| stream.cache_notes().is_empty()));
}

#[test]
fn tables_of_another_width_have_the_same_rows() {
    let case = Case::new();
    let narrow = epoch(&case.bucketed(4, 8).cached(), 0);
    assert_eq!(epoch(&case.bucketed(4, 32).cached(), 0), narrow);
    case.file();
}

#[test]
fn runs_that_write_the_same_rows_at_once_do_not_disturb_each_other() {
    let case = Case::new();
    let streams = [case.cached(), case.cached(), case.cached()];
    let mut begun: Vec<_> = streams.iter().map(|stream| stream.epoch(0, 0)).collect();
    // In turn, so that all of them write until the last one is done.
    let batches: Vec<_> = (0..100)
        .flat_map(|_| begun.iter_mut().map(|epoch| epoch.next().unwrap().unwrap()).collect::<Vec<_>>())
        .collect();
    assert!(begun.iter_mut().all(|epoch| epoch.next().is_none()));
    let plain = epoch(&case.plain(0), 0);
    for which in 0..3 {
        assert!(batches[which..].iter().step_by(3).eq(&plain));
        assert_eq!(epoch(&streams[which], 1), epoch(&case.plain(0), 1));
        assert_eq!(streams[which].cache_notes(), [""; 0]);
    }
    case.file();
}

#[test]
fn rows_that_change_while_they_are_used_are_told_and_read_from_the_data() {
    let case = Case::new();
    epoch(&case.cached(), 0);
    let good = std::fs::read(case.file()).unwrap();
    for (number, place) in (0..).zip([good.len() / 20, good.len() / 3, good.len() / 2, good.len() * 3 / 4]) {
        let stream = case.plain([0, 64][number as usize % 2]).cached_in(&case.cache()).unwrap();
        let mut bad = good.clone();
        bad[place] ^= 0x10;
        std::fs::write(case.file(), bad).unwrap();
        let mut batches = stream.epoch(number, 0);
        let found: Vec<Batch> = batches.by_ref().collect::<Result<_, _>>().unwrap();
        let mut fresh = case.plain(0).epoch(number, 0);
        assert_eq!(found, fresh.by_ref().map(Result::unwrap).collect::<Vec<_>>(), "byte {place}");
        assert_eq!(batches.counts(), fresh.counts());
        let notes = stream.cache_notes();
        assert!(notes.len() == 1 && notes[0].contains("have changed since they were found whole"), "{notes:?}");
        assert_eq!(epoch(&stream, 9), epoch(&case.plain(0), 9));
        assert_eq!(case.cached().cache_notes(), [""; 0], "byte {place}");
    }
}

#[test]
fn a_file_that_is_taken_away_while_it_is_used_is_read_to_the_end() {
    let case = Case::new();
    let stream = case.cached();
    epoch(&stream, 0);
    std::fs::remove_file(case.file()).unwrap();
    assert_eq!(epoch(&stream, 1), epoch(&case.plain(0), 1));
    assert_eq!(stream.cache_notes(), [""; 0]);
}

#[test]
fn a_folder_keeps_the_files_used_last_and_all_that_are_not_ours() {
    let case = Case::new();
    std::fs::create_dir(case.cache()).unwrap();
    for name in ["notes.txt", "theirs.rows", ".theirs.rows.new"] {
        std::fs::write(case.cache().join(name), "somebody's own").unwrap();
    }
    let oldest = case.bucketed(2, 16);
    epoch(&oldest.cached(), 0);
    let written =
        |case: &Case| case.files().into_iter().find(|path| std::fs::read(path).unwrap().starts_with(b"hinetrow"));
    let first = written(&case).unwrap();
    for buckets in 3..10 {
        epoch(&case.bucketed(buckets, 16).cached(), 0);
        // Used again and again, so it is never among the oldest.
        oldest.cached();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert_eq!(case.files().len(), 3 + usize::min(buckets - 1, 4));
        assert!(first.exists(), "{buckets} buckets");
    }
}

#[test]
fn a_file_that_cannot_be_put_in_its_place_leaves_nothing_beside_it() {
    let case = Case::new();
    epoch(&case.cached(), 0);
    let place = case.file();
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir_all(place.join("a folder in its place")).unwrap();
    let stream = case.cached();
    assert_eq!(epoch(&stream, 0), epoch(&case.plain(0), 0));
    let notes = stream.cache_notes();
    assert!(notes.iter().any(|note| note.contains("cannot be written")), "{notes:?}");
    assert_eq!(case.files(), [place]);
}

#[test]
fn what_a_writer_left_that_is_gone_is_swept_and_what_one_still_writes_is_not() {
    let case = Case::new();
    std::fs::create_dir(case.cache()).unwrap();
    let left = |name: &str, hours: u64, content: &str| {
        let path = case.cache().join(name);
        std::fs::write(&path, content).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600)).unwrap();
        file
    };
    left(".rows-00.rows.77-00.new", 30, "hinetrow and more");
    left(".rows-00.rows.77-01.new", 30, "");
    left(".rows-00.rows.77-02.new", 30, "somebody's own");
    left(".rows-00.rows.77-03.new", 0, "hinetrow");
    let written = left(".rows-00.rows.77-04.new", 30, "hinetrow");
    written.lock().unwrap();
    case.cached();
    let mut names: Vec<_> = case.files().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, [".rows-00.rows.77-02.new", ".rows-00.rows.77-03.new", ".rows-00.rows.77-04.new"]);
}

#[test]
fn data_that_changes_in_place_with_the_same_size_and_time_is_read_anew() {
    let mut case = Case::new();
    let path = case.folder.path().join("rows.csv");
    let line = |row: u32| format!("{},{:0>80},{},{},0\n", row % 7, row % 100, row % 3, row / 10);
    let text: String = (0..20_000).map(line).collect();
    let text = format!("item,price,tab,who,is_click\n{text}");
    std::fs::write(&path, &text).unwrap();
    case.source = Source::open(std::slice::from_ref(&path)).unwrap();
    let schema = Schema::new(json!([{"kind": "numeric", "columns": ["price"], "transform": "log"}]));
    case.encoder = Arc::new(schema.fit(&case.source).unwrap());
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    for at in (0..16).map(|part| text.len() * part / 16 + 70_000) {
        let before = epoch(&case.cached(), 0);
        let at = text[..at].rfind('\n').unwrap() + 82;
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] = if bytes[at] == b'9' { b'1' } else { b'9' };
        std::fs::write(&path, bytes).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let after = epoch(&case.cached(), 0);
        assert!(after != before && after == epoch(&case.plain(0), 0), "byte {at}");
    }
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
