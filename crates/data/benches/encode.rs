//! From Arrow rows to batches: encoding alone, and a whole epoch through shuffling and grouping. One thread encodes.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use divan::Bencher;
use divan::counter::ItemsCount;
use hinet_data::{
    DataConfig, EncodeCounts, Encoder, FeatureConfig, Need, Order, Paths, Rows, ScenarioConfig, SchemaConfig, Seed,
    Source, StreamConfig, TaskConfig, TrainStream, in_order,
};
use serde_json::json;

fn main() {
    divan::main();
}

const ROWS: usize = 8192;

/// How the cells of a column are held.
#[derive(Clone, Copy, Debug)]
enum Cells {
    /// 64-bit integers close together, as ids of users mostly are.
    Integers,
    /// 64-bit integers far apart.
    Sparse,
    Texts,
    Dictionary,
    Numbers,
}

/// Value `place` of a column: skewed, about 10,000 different ones.
fn draw(column: usize, place: usize) -> u64 {
    let mixed = Seed(column as u64).stream("bench", place as u64);
    let uniform = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    (uniform * uniform * 10_000.0) as u64
}

fn cells(kind: Cells, column: usize, rows: usize) -> ArrayRef {
    let values = (0..rows).map(|place| draw(column, place));
    match kind {
        Cells::Integers => Arc::new(values.map(|value| value as i64).collect::<Int64Array>()),
        Cells::Sparse => Arc::new(values.map(|value| (value * 1_000_003) as i64).collect::<Int64Array>()),
        Cells::Texts => Arc::new(values.map(|value| Some(format!("value-{value}"))).collect::<StringArray>()),
        Cells::Dictionary => {
            let texts: Vec<String> = values.map(|value| format!("value-{}", value % 1000)).collect();
            Arc::new(texts.iter().map(String::as_str).collect::<DictionaryArray<Int32Type>>())
        }
        Cells::Numbers => Arc::new(values.map(|value| value as f64 * 0.37).collect::<Float64Array>()),
    }
}

/// `columns` columns of one kind, a scenario of 6 values, two labels.
fn source(kind: Cells, columns: usize, rows: usize) -> Source {
    let mut all: Vec<(String, ArrayRef)> =
        (0..columns).map(|column| (format!("c{column}"), cells(kind, column, rows))).collect();
    let small = |modulus: u64| -> ArrayRef {
        Arc::new((0..rows).map(|place| (draw(99, place) % modulus) as i64).collect::<Int64Array>())
    };
    all.extend([("tab".to_owned(), small(6)), ("click".to_owned(), small(2)), ("order".to_owned(), small(2))]);
    let batch = RecordBatch::try_from_iter(all).expect("columns of one length");
    Source::from_batches(
        "bench",
        (0..rows).step_by(ROWS).map(|from| batch.slice(from, ROWS.min(rows - from))).collect(),
    )
}

fn fit(source: &Source, kind: Cells, columns: usize, encoding: serde_json::Value) -> Encoder {
    let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    let mut feature = json!({"kind": "categorical", "columns": names});
    if matches!(kind, Cells::Numbers) {
        feature["kind"] = json!("numeric");
    }
    for (key, value) in encoding.as_object().into_iter().flatten() {
        feature[key] = value.clone();
    }
    let features: Vec<FeatureConfig> = serde_json::from_value(json!([feature])).expect("a feature");
    let scenario: ScenarioConfig = serde_json::from_value(json!({"column": "tab"})).expect("a scenario");
    let data = DataConfig::new(Paths::One("bench".to_owned()));
    let tasks = [TaskConfig::new("click", "click"), TaskConfig::new("order", "click * order")];
    let config = SchemaConfig { data: &data, scenario: &scenario, tasks: &tasks, features: &features };
    Encoder::fit(&config, source).expect("the bench's data fit")
}

fn read(source: &Source, encoder: &Encoder) -> Vec<Rows> {
    let rows = source.read(&encoder.columns(Need::Labels), Order::InFile).expect("columns are there");
    rows.collect::<Result<_, _>>().expect("in memory")
}

fn bench_encode(bencher: Bencher<'_, '_>, kind: Cells, columns: usize, encoding: serde_json::Value) {
    let source = source(kind, columns, 4 * ROWS);
    let encoder = fit(&source, kind, columns, encoding);
    let rows = read(&source, &encoder);
    bencher.counter(ItemsCount::new(4 * ROWS)).bench_local(|| {
        let mut counts = EncodeCounts::default();
        for rows in &rows {
            divan::black_box(encoder.encode(rows, Need::Labels, &mut counts).expect("rows fit"));
        }
    });
}

#[divan::bench(args = [Cells::Integers, Cells::Sparse, Cells::Texts, Cells::Dictionary, Cells::Numbers])]
fn encode_vocabulary_c30(bencher: Bencher<'_, '_>, kind: Cells) {
    bench_encode(bencher, kind, 30, json!({}));
}

#[divan::bench(args = [Cells::Integers, Cells::Texts, Cells::Dictionary])]
fn encode_hash_c30(bencher: Bencher<'_, '_>, kind: Cells) {
    bench_encode(bencher, kind, 30, json!({"encoding": "hash", "buckets": 100_000}));
}

#[divan::bench(args = [Cells::Integers, Cells::Texts, Cells::Numbers])]
fn fit_c30(bencher: Bencher<'_, '_>, kind: Cells) {
    let source = source(kind, 30, 8 * ROWS);
    bencher.counter(ItemsCount::new(8 * ROWS)).bench_local(|| fit(&source, kind, 30, json!({})));
}

/// A whole epoch: read from memory, encode, shuffle, group; what arrives at the other end of the channel.
#[divan::bench(args = [0, 256])]
fn epoch_integers_c30_b1024(bencher: Bencher<'_, '_>, cache_mb: usize) {
    let rows = 32 * ROWS;
    let source = source(Cells::Integers, 30, rows);
    let encoder = Arc::new(fit(&source, Cells::Integers, 30, json!({})));
    let config = StreamConfig { batch_rows: 1024, shuffle_rows: 131_072, cache_mb, seed: Seed(7) };
    let stream = TrainStream::new(&source, encoder, config);
    assert_eq!(stream.epoch(0, 0).map(|batch| batch.expect("rows fit").rows).sum::<usize>(), rows);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| stream.epoch(1, 0).count());
}

#[divan::bench]
fn in_order_integers_c30_b1024(bencher: Bencher<'_, '_>) {
    let rows = 32 * ROWS;
    let source = source(Cells::Integers, 30, rows);
    let encoder = Arc::new(fit(&source, Cells::Integers, 30, json!({})));
    bencher
        .counter(ItemsCount::new(rows))
        .bench_local(|| in_order(&source, Arc::clone(&encoder), Need::Features, 1024).count());
}

/// A vocabulary of a million values: half whole numbers, half texts.
fn large() -> Encoder {
    let values = (0..1_000_000_u64).map(|value| match value % 2 {
        0 => (value * 1_000_003).to_string(),
        _ => format!("value-{value}"),
    });
    let column: ArrayRef = Arc::new(values.map(Some).collect::<StringArray>());
    let ones: ArrayRef = Arc::new(Int64Array::from(vec![1; 1_000_000]));
    let batch = RecordBatch::try_from_iter([
        ("c0", column),
        ("tab", Arc::clone(&ones)),
        ("click", Arc::clone(&ones)),
        ("order", ones),
    ]);
    let source = Source::from_batches("bench", vec![batch.expect("columns of one length")]);
    fit(&source, Cells::Texts, 1, json!({"min_count": 1}))
}

#[divan::bench]
fn save_v1000000(bencher: Bencher<'_, '_>) {
    let encoder = large();
    bencher.counter(ItemsCount::new(1_000_000_u64)).bench_local(|| encoder.to_json());
}

#[divan::bench]
fn load_v1000000(bencher: Bencher<'_, '_>) {
    let saved = large().to_json();
    let file = std::path::Path::new("encoder.json");
    bencher
        .counter(ItemsCount::new(1_000_000_u64))
        .bench_local(|| Encoder::from_json(&saved, file).expect("it was saved a moment ago"));
}
