//! Times whole training steps of the reference HiNet: embeddings, forward, backward, both optimisers.
//!
//! `cargo run --release -p hinet-train --example reference_step -- [threads] [rows] [seconds]` prints one line of JSON.
//! The network and its settings are those of `experiments/reference.toml`, the ids those of `benches/peers`: Zipf over
//! 100,000 values. The tape alone is timed by the example of the same name in `hinet-tape`.

use std::sync::Arc;
use std::time::Instant;

use hinet_data::{Batch, Column, Layout, Seed, Slot, TableSpec, TaskSpec, UnknownScenario};
use hinet_model::{
    CgcConfig, HinetConfig, Model, ModelConfig, ScenarioLayerConfig, SparseOptimiserConfig, SparseOptimiserKind,
    TaskLayerConfig, TaskScope,
};
use hinet_tape::DenseOptimiserConfig;
use hinet_train::{Step, StepConfig, peak_rss_mb};
use rayon::ThreadPoolBuilder;

const COLUMNS: usize = 20;
const VALUES: usize = 100_000;
const DIM: usize = 16;
const TASKS: usize = 2;
const SHARES: [f64; 6] = [0.4, 0.25, 0.15, 0.1, 0.06, 0.04];
/// Distinct batches, taken in turn.
const BATCHES: u64 = 8;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let threads = arguments.next().unwrap_or(1);
    let rows = arguments.next().unwrap_or(1024);
    let seconds = arguments.next().unwrap_or(5) as f64;
    let pool = Arc::new(ThreadPoolBuilder::new().num_threads(threads).build().expect("the system starts threads"));
    let model = Model::new(layout(), model_config(), Seed(7)).expect("the reference is valid");
    let mut step = Step::new(model, &step_config(), Some(Arc::clone(&pool))).expect("the reference is valid");
    let zipf = Zipf::new();
    let batches: Vec<Batch> = (0..BATCHES).map(|index| batch(rows, &zipf, index)).collect();
    pool.install(|| time(&mut step, &batches, seconds));
}

fn time(step: &mut Step, batches: &[Batch], seconds: f64) {
    let mut count = 0;
    let mut loss = 0.0;
    let mut one = |step: &mut Step| {
        loss = step.run(&batches[count as usize % batches.len()], count);
        count += 1;
    };
    (0..BATCHES).for_each(|_| one(step));
    let _ = step.take_seconds();
    let mut parts = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    let mut whole = Vec::new();
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds {
        let begin = Instant::now();
        one(step);
        whole.push(begin.elapsed().as_secs_f64());
        let spent = step.take_seconds();
        for (part, spent) in parts.iter_mut().zip([spent.forward, spent.backward, spent.update, spent.embedding]) {
            part.push(spent);
        }
    }
    let rows = batches[0].rows as f64;
    let best = whole.iter().copied().fold(f64::MAX, f64::min);
    let [forward, backward, update, embedding] = parts.map(|mut part| median(&mut part) * 1e3);
    println!(
        "{{\"rows_per_s\": {:.0}, \"best_rows_per_s\": {:.0}, \"forward_ms\": {forward:.2}, \"backward_ms\": {backward:.2}, \
         \"update_ms\": {update:.2}, \"embedding_ms\": {embedding:.2}, \"steps\": {}, \"loss\": {loss:.4}, \"peak_rss_mb\": {:.0}}}",
        rows / median(&mut whole),
        rows / best,
        whole.len(),
        peak_rss_mb().unwrap_or(0.0),
    );
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn layout() -> Layout {
    let name = |column: usize| format!("f{column}");
    let task = |name: &str| TaskSpec { name: name.to_owned(), weight: 1.0 };
    Layout {
        tables: (0..COLUMNS).map(|c| TableSpec { name: name(c), rows: VALUES + 2, dim: DIM }).collect(),
        slots: (0..COLUMNS).map(|table| Slot::Lookup { feature: name(table), table }).collect(),
        scenarios: (0..SHARES.len()).map(|scenario| scenario.to_string()).collect(),
        scenario_rows: SHARES.iter().map(|share| (share * 1e6) as u64).collect(),
        tasks: vec![task("click"), task("order")],
        unknown: UnknownScenario::Error,
    }
}

fn model_config() -> ModelConfig {
    let scenario = HinetConfig { gate_bias: false, san_bias: false, san_per_scenario: true, ..HinetConfig::default() };
    let task =
        CgcConfig { task_scope: TaskScope::PerScenario, specific: 4, cgc_gate_bias: false, ..CgcConfig::default() };
    ModelConfig {
        scenario: ScenarioLayerConfig::Hinet(scenario),
        task: TaskLayerConfig::Cgc(task),
        ..ModelConfig::default()
    }
}

fn step_config() -> StepConfig {
    StepConfig {
        dense: DenseOptimiserConfig::default(),
        sparse: SparseOptimiserConfig {
            optimiser: SparseOptimiserKind::Adam,
            learning_rate: 1e-3,
            ..SparseOptimiserConfig::default()
        },
        scenario_weight_power: 0.0,
        mask_loss: true,
        seed: Seed(7),
    }
}

/// Truncated Zipf with exponent 1.05, drawn through its cumulative shares.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new() -> Zipf {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=VALUES)
            .map(|rank| {
                sum += (rank as f64).powf(-1.05);
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Zipf(shares)
    }

    /// A row of a table; 0 and 1 stand for missing and unseen values.
    fn id(&self, uniform: f64) -> u32 {
        2 + self.0.partition_point(|share| *share < uniform).min(VALUES - 1) as u32
    }
}

fn batch(rows: usize, zipf: &Zipf, index: u64) -> Batch {
    let uniform = |purpose: &str, draw: usize| {
        let draw = Seed(1).stream(purpose, index << 32 | draw as u64);
        (draw >> 11) as f64 / (1_u64 << 53) as f64
    };
    let scenario = |row: usize| {
        let mut left = uniform("scenario", row);
        let found = SHARES.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        found.unwrap_or(SHARES.len() - 1) as u16
    };
    let ids = |column: usize| (0..rows).map(|row| zipf.id(uniform("id", column * rows + row))).collect();
    let labels = (0..rows * TASKS).map(|at| f32::from(u8::from(uniform("label", at) < 0.1)));
    let batch = Batch {
        rows,
        features: (0..COLUMNS).map(|column| Column::Ids(ids(column))).collect(),
        scenario: (0..rows).map(scenario).collect(),
        labels: labels.collect(),
        observed: vec![true; rows * TASKS],
        weight: vec![1.0; rows],
        position: (0..rows as u32).collect(),
        ..Batch::default()
    };
    batch.grouped(SHARES.len() + 1)
}
