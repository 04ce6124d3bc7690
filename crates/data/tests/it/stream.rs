//! Streams of batches: each row once, in an order that only the seed decides.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use hinet_data::{Batch, DataError, Encoder, Need, Seed, Source, StreamConfig, TrainStream, in_order};
use parquet::basic::Compression;
use proptest::prelude::*;
use serde_json::json;

use crate::encoder::{Schema, ints, table};
use crate::source::write_parquet;

/// Rows whose user is their number, in batches (and so chunks) of these sizes, in three scenarios.
fn batches(sizes: &[usize]) -> Vec<RecordBatch> {
    let mut from = 0;
    let batch = |&size: &usize| {
        let numbers: Vec<i64> = (from..from + size as i64).collect();
        from += size as i64;
        let tabs = numbers.iter().map(|number| number * 7 % 3).collect();
        let bags: ArrayRef = Arc::new(
            numbers
                .iter()
                .map(|number| Some(["1", "1,2", "1,2,3"][(number % 3) as usize]))
                .collect::<arrow::array::StringArray>(),
        );
        table(vec![("row", ints(numbers.clone())), ("tab", ints(tabs)), ("bag", bags), ("who", ints(numbers))])
    };
    sizes.iter().map(batch).collect()
}

fn encoder(source: &Source) -> Arc<Encoder> {
    let mut schema = Schema::new(json!([
        {"kind": "categorical", "columns": ["row"], "encoding": "raw", "size": 100_000},
        {"kind": "numeric", "columns": ["who"], "transform": "none"},
        {"kind": "multi", "columns": ["bag"], "min_count": 1},
    ]));
    schema.data.user = Some("who".into());
    Arc::new(schema.fit(source).unwrap())
}

fn config(batch_rows: usize, shuffle_rows: usize, cache_mb: usize) -> StreamConfig {
    StreamConfig { batch_rows, shuffle_rows, cache_mb, seed: Seed(7) }
}

fn all(batches: impl Iterator<Item = Result<Batch, DataError>>) -> Vec<Batch> {
    batches.collect::<Result<_, _>>().unwrap()
}

/// The number of each row, in the order of the batches before grouping.
fn numbers(batches: &[Batch]) -> Vec<u32> {
    let mut numbers = Vec::new();
    for batch in batches {
        let hinet_data::Column::Ids(ids) = &batch.features[0] else { panic!("ids") };
        let from = numbers.len();
        numbers.resize(from + batch.rows, 0);
        for (id, position) in ids.iter().zip(&batch.position) {
            numbers[from + *position as usize] = id - 2;
        }
    }
    numbers
}

fn check_grouped(batches: &[Batch]) {
    let mut rows = 0;
    for batch in batches {
        assert_eq!(batch.first_row, rows);
        assert!(batch.offsets.len() <= 5 && batch.offsets.last() == Some(&batch.rows));
        assert!(batch.scenario.is_sorted());
        rows += batch.rows as u64;
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..40, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_row_comes_once_per_epoch(sizes in sizes(), batch_rows in 1_usize..30, shuffle_rows in 0_usize..60) {
        let source = Source::from_batches("memory", batches(&sizes));
        let stream = TrainStream::new(&source, encoder(&source), config(batch_rows, shuffle_rows, 0));
        let total: usize = sizes.iter().sum();
        for epoch in 0..2 {
            let batches = all(stream.epoch(epoch, 0));
            check_grouped(&batches);
            prop_assert_eq!(batches.len(), total.div_ceil(batch_rows));
            prop_assert!(batches[..batches.len() - 1].iter().all(|batch| batch.rows == batch_rows));
            let mut seen = numbers(&batches);
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..total as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_does_not_depend_on_the_cache(sizes in sizes(), batch_rows in 1_usize..30, shuffle_rows in 0_usize..60) {
        let source = Source::from_batches("memory", batches(&sizes));
        let encoder = encoder(&source);
        let fresh = TrainStream::new(&source, Arc::clone(&encoder), config(batch_rows, shuffle_rows, 0));
        let cached = TrainStream::new(&source, encoder, config(batch_rows, shuffle_rows, 1));
        for epoch in [0, 1, 2] {
            let mut cached = cached.epoch(epoch, 0);
            prop_assert_eq!(all(cached.by_ref()), all(fresh.epoch(epoch, 0)));
            prop_assert_eq!(cached.counts().rows, sizes.iter().sum::<usize>() as u64);
        }
    }

    #[test]
    fn skipping_gives_exactly_the_batches_that_are_left(sizes in sizes(), batch_rows in 1_usize..30, skip in 0_usize..12, cache_mb in 0_usize..2) {
        let source = Source::from_batches("memory", batches(&sizes));
        let stream = TrainStream::new(&source, encoder(&source), config(batch_rows, 50, cache_mb));
        let whole = all(stream.epoch(3, 0));
        let rest = all(stream.epoch(3, skip as u64));
        prop_assert_eq!(&rest[..], &whole[skip.min(whole.len())..]);
    }

    #[test]
    fn in_order_covers_all_rows_in_order(sizes in sizes(), rows_per_batch in 1_usize..50) {
        let source = Source::from_batches("memory", batches(&sizes));
        let batches = all(in_order(&source, encoder(&source), Need::Labels, rows_per_batch));
        check_grouped(&batches);
        let total: usize = sizes.iter().sum();
        prop_assert_eq!(numbers(&batches), (0..total as u32).collect::<Vec<_>>());
        prop_assert_eq!(batches.len(), total.div_ceil(rows_per_batch));
    }
}

#[test]
fn rows_are_shuffled_in_blocks_of_whole_batches() {
    let source = Source::from_batches("memory", batches(&[20_000]));
    let stream = TrainStream::new(&source, encoder(&source), config(999, 5_000, 0));
    let mut seen = numbers(&all(stream.epoch(0, 0)));
    assert!(seen[..4_995].iter().all(|&number| number < 4_995));
    seen.sort_unstable();
    assert_eq!(seen, (0..20_000).collect::<Vec<_>>());
}

#[test]
fn epochs_and_seeds_differ_and_repeat() {
    let source = Source::from_batches("memory", batches(&[100, 100]));
    let encoder = encoder(&source);
    let order = |seed: u64, epoch: u64| {
        let config = StreamConfig { seed: Seed(seed), ..config(16, 64, 0) };
        numbers(&all(TrainStream::new(&source, Arc::clone(&encoder), config).epoch(epoch, 0)))
    };
    assert_eq!(order(7, 0), order(7, 0));
    assert_ne!(order(7, 0), order(7, 1));
    assert_ne!(order(7, 0), order(8, 0));
}

#[test]
fn a_whole_set_that_fits_is_shuffled_as_one() {
    let source = Source::from_batches("memory", batches(&[1000]));
    let stream = TrainStream::new(&source, encoder(&source), config(100, 1000, 0));
    let order = numbers(&all(stream.epoch(0, 0)));
    let from_the_second_half = order[..500].iter().filter(|&&number| number >= 500).count();
    assert!((200..300).contains(&from_the_second_half), "{from_the_second_half}");
}

#[test]
fn an_error_comes_through_the_iterator_and_ends_it() {
    let good = Source::from_batches("memory", batches(&[50]));
    let encoder = encoder(&good);
    let broken = table(vec![
        ("row", ints(vec![1, 2])),
        ("tab", ints(vec![0, 9])),
        ("bag", Arc::new(arrow::array::StringArray::from(vec!["1", "1"])) as ArrayRef),
        ("who", ints(vec![1, 2])),
    ]);
    let mut rows = batches(&[50]);
    rows.push(broken);
    let broken = Source::from_batches("memory", rows);
    let mut stream = in_order(&broken, Arc::clone(&encoder), Need::Labels, 8);
    let error = stream.find_map(Result::err).unwrap();
    assert!(matches!(error, DataError::UnknownScenario { row: 52, .. }), "{error}");
    assert!(stream.next().is_none());
    let train = TrainStream::new(&broken, encoder, config(8, 16, 1));
    assert!(train.epoch(0, 0).any(|batch| batch.is_err()));
    assert!(train.epoch(1, 0).any(|batch| batch.is_err()), "a broken epoch must not fill the cache");
}

#[test]
fn batches_are_the_same_for_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    write_parquet(&path, &batches(&[20_000]), 9_000, Compression::SNAPPY);
    let source = Source::open(&[path]).unwrap();
    let encoder = encoder(&source);
    let saved = encoder.to_json();
    let stream = TrainStream::new(&source, Arc::clone(&encoder), config(500, 4_000, 0));
    let (shuffled, straight) =
        (all(stream.epoch(0, 0)), all(in_order(&source, Arc::clone(&encoder), Need::Labels, 700)));
    for threads in [1, 2, 3, 16] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            assert_eq!(self::encoder(&source).to_json(), saved);
            assert_eq!(all(stream.epoch(0, 0)), shuffled);
            assert_eq!(all(in_order(&source, Arc::clone(&encoder), Need::Labels, 700)), straight);
        });
    }
}

#[test]
fn a_refusal_names_the_first_column_for_any_number_of_threads() {
    let columns = |cell: &str| {
        let texts: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![cell]));
        table(vec![("a", Arc::clone(&texts)), ("b", texts)])
    };
    let schema = Schema::new(json!([{"kind": "numeric", "columns": ["a", "b"], "transform": "none"}]));
    let encoder = Arc::new(schema.fit(&Source::from_batches("memory", vec![columns("1")])).unwrap());
    let broken = Source::from_batches("memory", vec![columns("one")]);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let first = pool.install(|| in_order(&broken, Arc::clone(&encoder), Need::Labels, 8).next().unwrap());
        let error = first.unwrap_err();
        assert!(matches!(&error, DataError::BadValue { column, .. } if column == "a"), "{error}");
    }
}

#[test]
fn dropping_the_iterator_stops_its_thread() {
    let source = Source::from_batches("memory", batches(&[30_000]));
    let encoder = encoder(&source);
    let stream = TrainStream::new(&source, Arc::clone(&encoder), config(8, 64, 1));
    let mut batches = stream.epoch(0, 0);
    assert!(batches.next().is_some());
    drop(batches);
    drop(stream);
    // The thread held a share of the encoder.
    assert_eq!(Arc::strong_count(&encoder), 1);
}
