//! From files to batches: reading, encoding, both, and a whole epoch through shuffling and grouping. One thread encodes: run it pinned to
//! one core, or where there is one.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use divan::Bencher;
use divan::counter::ItemsCount;
use hinet_data::{
    DataConfig, EncodeCounts, Encoder, FeatureConfig, Need, Order, Paths, Rows, ScenarioConfig, SchemaConfig, Seed,
    Source, StreamConfig, TaskConfig, TrainStream, in_order,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;
use tempfile::TempDir;

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
    /// Texts of one to four values with commas between.
    Lists,
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
        Cells::Lists => Arc::new(values.map(|value| Some(list(value))).collect::<StringArray>()),
    }
}

fn list(value: u64) -> String {
    (0..=value % 4).map(|item| (value / 4 + item).to_string()).collect::<Vec<_>>().join(",")
}

/// `columns` columns of one kind, a scenario of 6 values, two labels.
fn batch(kind: Cells, columns: usize, rows: usize) -> RecordBatch {
    let mut all: Vec<(String, ArrayRef)> =
        (0..columns).map(|column| (format!("c{column}"), cells(kind, column, rows))).collect();
    let small = |modulus: u64| -> ArrayRef {
        Arc::new((0..rows).map(|place| (draw(99, place) % modulus) as i64).collect::<Int64Array>())
    };
    all.extend([("tab".to_owned(), small(6)), ("click".to_owned(), small(2)), ("order".to_owned(), small(2))]);
    RecordBatch::try_from_iter(all).expect("columns of one length")
}

fn source(kind: Cells, columns: usize, rows: usize) -> Source {
    let batch = batch(kind, columns, rows);
    Source::from_batches(
        "bench",
        (0..rows).step_by(ROWS).map(|from| batch.slice(from, ROWS.min(rows - from))).collect(),
    )
}

fn fit(source: &Source, kind: Cells, columns: usize, encoding: serde_json::Value) -> Encoder {
    let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    let mut feature = json!({"kind": "categorical", "columns": names});
    match kind {
        Cells::Numbers => feature["kind"] = json!("numeric"),
        Cells::Lists => feature["kind"] = json!("multi"),
        Cells::Integers | Cells::Sparse | Cells::Texts | Cells::Dictionary => {}
    }
    for (key, value) in encoding.as_object().into_iter().flatten() {
        feature[key] = value.clone();
    }
    fit_features(source, json!([feature]))
}

fn fit_features(source: &Source, features: serde_json::Value) -> Encoder {
    let features: Vec<FeatureConfig> = serde_json::from_value(features).expect("features");
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

#[divan::bench]
fn encode_quantiles_c30(bencher: Bencher<'_, '_>) {
    bench_encode(bencher, Cells::Numbers, 30, json!({"transform": "quantile", "buckets": 20}));
}

#[divan::bench]
fn encode_lists_c30(bencher: Bencher<'_, '_>) {
    bench_encode(bencher, Cells::Lists, 30, json!({}));
}

/// Rows of a Parquet file, as pyarrow writes it: zstd, row groups of 131,072 rows.
struct File {
    source: Source,
    rows: usize,
    /// Removed with this.
    _folder: TempDir,
}

impl File {
    fn of(batch: &RecordBatch) -> File {
        let folder = tempfile::tempdir().expect("a folder for files");
        let path = folder.path().join("rows.parquet");
        let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"));
        let groups = WriterProperties::builder().set_max_row_group_row_count(Some(131_072));
        let file = std::fs::File::create(&path).expect("the folder is ours");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(groups.set_compression(zstd).build()))
            .expect("plain types");
        writer.write(batch).expect("room on the disk");
        writer.close().expect("room on the disk");
        let source = Source::open(&[path]).expect("it was written a moment ago");
        File { source, rows: batch.num_rows(), _folder: folder }
    }

    fn bench(&self, bencher: Bencher<'_, '_>, encoder: &Arc<Encoder>, work: Stage) {
        bencher.counter(ItemsCount::new(self.rows)).bench_local(|| match work {
            Stage::Read => read(&self.source, encoder).len(),
            Stage::ReadAndEncode => in_order(&self.source, Arc::clone(encoder), Need::Labels, ROWS).count(),
        });
    }
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Read,
    ReadAndEncode,
}

const STAGES: [Stage; 2] = [Stage::Read, Stage::ReadAndEncode];

fn bench_file(bencher: Bencher<'_, '_>, kind: Cells, encoding: serde_json::Value, stage: Stage) {
    let file = File::of(&batch(kind, 30, 16 * ROWS));
    let encoder = Arc::new(fit(&file.source, kind, 30, encoding));
    file.bench(bencher, &encoder, stage);
}

#[divan::bench(args = STAGES)]
fn parquet_integers_c30(bencher: Bencher<'_, '_>, stage: Stage) {
    bench_file(bencher, Cells::Integers, json!({}), stage);
}

#[divan::bench(args = STAGES)]
fn parquet_sparse_integers_c30(bencher: Bencher<'_, '_>, stage: Stage) {
    bench_file(bencher, Cells::Sparse, json!({}), stage);
}

#[divan::bench(args = STAGES)]
fn parquet_texts_c30(bencher: Bencher<'_, '_>, stage: Stage) {
    bench_file(bencher, Cells::Texts, json!({}), stage);
}

#[divan::bench(args = STAGES)]
fn parquet_hashed_texts_c30(bencher: Bencher<'_, '_>, stage: Stage) {
    bench_file(bencher, Cells::Texts, json!({"encoding": "hash", "buckets": 100_000}), stage);
}

#[divan::bench(args = STAGES)]
fn parquet_quantiles_c30(bencher: Bencher<'_, '_>, stage: Stage) {
    bench_file(bencher, Cells::Numbers, json!({"transform": "quantile", "buckets": 20}), stage);
}

#[divan::bench(args = STAGES)]
fn parquet_lists_c30(bencher: Bencher<'_, '_>, stage: Stage) {
    bench_file(bencher, Cells::Lists, json!({}), stage);
}

/// Values of each whole-number column of KuaiRand-Pure, of its text columns, and the scale of its numbers.
const KUAIRAND: ([u64; 16], [u64; 7], [f64; 7]) = (
    [27_285, 7_583, 5_986, 2, 2, 2, 2, 7, 50, 1_471, 15, 34, 3, 118, 454, 7],
    [8, 8, 9, 7, 8, 2, 31],
    [2_400.0, 60_000.0, 30.0, 400.0, 150.0, 60.0, 900.0],
);

/// A batch with the 30 feature columns of KuaiRand-Pure, a scenario and two labels; values are drawn, and skewed.
fn kuairand_like(rows: usize) -> (RecordBatch, serde_json::Value) {
    let (integers, texts, numbers) = KUAIRAND;
    let mut all: Vec<(String, ArrayRef)> = Vec::new();
    let uniform = |column: usize, row: usize| draw(column, row) as f64 / 10_000.0;
    for (column, values) in integers.into_iter().enumerate() {
        let cells = (0..rows)
            .map(|row| Some((uniform(column, row) * values as f64) as i64).filter(|_| column != 10 || row % 50 > 0));
        all.push((format!("i{column}"), Arc::new(cells.collect::<Int64Array>())));
    }
    for (column, values) in texts.into_iter().enumerate() {
        let cells = (0..rows).map(|row| Some(format!("text_{}", (uniform(50 + column, row) * values as f64) as u64)));
        all.push((format!("t{column}"), Arc::new(cells.collect::<StringArray>())));
    }
    for (column, scale) in numbers.into_iter().enumerate() {
        let cells = (0..rows)
            .map(|row| Some((uniform(70 + column, row) * scale).floor()).filter(|_| column > 1 || row % 50 > 0));
        all.push((format!("n{column}"), Arc::new(cells.collect::<Float64Array>())));
    }
    let names =
        |of: fn(&str) -> bool| all.iter().map(|(name, _)| name.clone()).filter(|name| of(name)).collect::<Vec<_>>();
    let features = json!([
        {"kind": "categorical", "columns": names(|name| !name.starts_with('n')), "min_count": 1},
        {"kind": "numeric", "columns": names(|name| name.starts_with('n')), "transform": "quantile", "buckets": 20},
    ]);
    let small = |modulus: u64| -> ArrayRef {
        Arc::new((0..rows).map(|place| (draw(99, place) % modulus) as i64).collect::<Int64Array>())
    };
    all.extend([("tab".to_owned(), small(6)), ("click".to_owned(), small(2)), ("order".to_owned(), small(2))]);
    (RecordBatch::try_from_iter(all).expect("columns of one length"), features)
}

#[divan::bench(args = STAGES)]
fn parquet_kuairand_like(bencher: Bencher<'_, '_>, stage: Stage) {
    let (batch, features) = kuairand_like(32 * ROWS);
    let file = File::of(&batch);
    let encoder = Arc::new(fit_features(&file.source, features));
    file.bench(bencher, &encoder, stage);
}

/// Fitting the encoder on the same file.
#[divan::bench]
fn parquet_kuairand_like_fit(bencher: Bencher<'_, '_>) {
    let (batch, features) = kuairand_like(32 * ROWS);
    let file = File::of(&batch);
    bencher.counter(ItemsCount::new(file.rows)).bench_local(|| fit_features(&file.source, features.clone()));
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
