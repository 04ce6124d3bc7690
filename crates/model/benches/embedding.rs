//! 20 columns of 16 numbers out of tables of 100,000 rows, ids as uneven as real ones (Zipf), batches of 1024 rows.

use divan::Bencher;
use divan::counter::ItemsCount;
use hinet_data::{Batch, Column, Layout, Slot, TableSpec, TaskSpec, UnknownScenario};
use hinet_model::{EmbeddingConfig, Embeddings, SparseOptimiser, SparseOptimiserConfig, SparseOptimiserKind};
use rand::SeedableRng;
use rand_distr::{Distribution, Zipf};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::{ThreadPool, ThreadPoolBuilder};

const COLUMNS: usize = 20;
const TABLE_ROWS: usize = 100_000;
const ROWS: usize = 1024;
/// Batches that take turns, so that caches hold no more than they would in training.
const BATCHES: usize = 64;

fn main() {
    divan::main();
}

fn layout() -> Layout {
    let name = |column: usize| format!("c{column}");
    Layout {
        sequences: Vec::new(),
        tables: (0..COLUMNS).map(|column| TableSpec { name: name(column), rows: TABLE_ROWS, dim: 16 }).collect(),
        slots: (0..COLUMNS).map(|column| Slot::Lookup { feature: name(column), table: column }).collect(),
        scenarios: vec!["all".into()],
        scenario_rows: vec![1],
        tasks: vec![TaskSpec::new("click")],
        unknown: UnknownScenario::Error,
    }
}

fn batches() -> Vec<Batch> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let zipf = Zipf::new(TABLE_ROWS as f64, 1.05).expect("the exponent is positive");
    // The rank times an odd number: frequent ids are not neighbours in memory.
    let mut id = || ((zipf.sample(&mut rng) as u64 * 7919) % TABLE_ROWS as u64) as u32;
    let mut column = || Column::Ids((0..ROWS).map(|_| id()).collect());
    let mut batch = || Batch { rows: ROWS, features: (0..COLUMNS).map(|_| column()).collect(), ..Batch::default() };
    (0..BATCHES).map(|_| batch()).collect()
}

struct Setting {
    pool: Option<ThreadPool>,
    embeddings: Embeddings,
    batches: Vec<Batch>,
    x: Vec<f32>,
    round: usize,
}

impl Setting {
    fn new(threads: usize) -> Setting {
        let pool = || ThreadPoolBuilder::new().num_threads(threads).build().expect("the system starts threads");
        let layout = layout();
        Setting {
            pool: (threads > 1).then(pool),
            embeddings: Embeddings::new(&layout, &EmbeddingConfig::default(), |name| name.len() as u64),
            batches: batches(),
            x: vec![0.01; ROWS * layout.width()],
            round: 0,
        }
    }

    fn with(&mut self, work: impl FnOnce(&mut Embeddings, &Batch, &mut [f32]) + Send) {
        let Setting { pool, embeddings, batches, x, round } = self;
        *round += 1;
        let batch = &batches[*round % BATCHES];
        match pool {
            Some(pool) => pool.install(|| work(embeddings, batch, x)),
            None => work(embeddings, batch, x),
        }
    }
}

#[divan::bench(args = [1, 2])]
fn gather_b1024_c20_d16(bencher: Bencher<'_, '_>, threads: usize) {
    let mut setting = Setting::new(threads);
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench_local(|| setting.with(|embeddings, batch, x| embeddings.gather(batch, x)));
}

fn update(bencher: Bencher<'_, '_>, threads: usize, optimiser: SparseOptimiserKind) {
    let mut setting = Setting::new(threads);
    let config = SparseOptimiserConfig { optimiser, learning_rate: 1e-4, ..SparseOptimiserConfig::default() };
    let mut optimiser = SparseOptimiser::new(&config, &setting.embeddings).expect("the settings are valid");
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench_local(|| setting.with(|embeddings, batch, x| optimiser.step(embeddings, batch, x)));
}

#[divan::bench(args = [1, 2])]
fn update_adagrad_b1024_c20_d16(bencher: Bencher<'_, '_>, threads: usize) {
    update(bencher, threads, SparseOptimiserKind::Adagrad);
}

#[divan::bench(args = [1, 2])]
fn update_row_wise_b1024_c20_d16(bencher: Bencher<'_, '_>, threads: usize) {
    update(bencher, threads, SparseOptimiserKind::RowWiseAdagrad);
}

#[divan::bench(args = [1, 2])]
fn update_adam_b1024_c20_d16(bencher: Bencher<'_, '_>, threads: usize) {
    update(bencher, threads, SparseOptimiserKind::Adam);
}

#[divan::bench(args = [1, 2])]
fn draw_tables_of_32m_numbers(bencher: Bencher<'_, '_>, threads: usize) {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("the system starts threads");
    let layout = layout();
    let draw = || Embeddings::new(&layout, &EmbeddingConfig::default(), |name| name.len() as u64);
    bencher.bench_local(|| pool.install(draw));
}
