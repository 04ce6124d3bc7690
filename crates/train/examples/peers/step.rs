//! Times whole training steps. `table_mb` is what the tables and the state of their optimiser take; `gflops` counts the products
//! of the reference and nothing else.

use std::sync::Arc;
use std::time::Instant;

use hinet_data::{Batch, Seed};
use hinet_model::{Embeddings, SparseOptimiserConfig, SparseOptimiserKind};
use hinet_tape::DenseOptimiserConfig;
use hinet_train::{Step, StepConfig, WeightingConfig, peak_rss_mb};

use crate::reference::Arguments;
use crate::{Outcome, quantile};

/// Distinct batches, taken in turn.
const BATCHES: u64 = 8;
/// Floating point operations of a row in the reference: two for each of 1.54 million weights forward, twice that backward.
const FLOP_PER_ROW: f64 = 9.24e6;

pub(crate) fn run(words: Vec<String>) -> Outcome {
    let arguments = Arguments::read(words, BATCHES)?;
    let pool = arguments.pool()?;
    let Some(batches) = arguments.batches()? else { return Ok(()) };
    let mut step = Step::new(arguments.model()?, &step_config(&arguments.tables), Some(Arc::clone(&pool)))?;
    let times = pool.install(|| time(&mut step, &batches, arguments.seconds));
    let table_mb = table_bytes(&step.model().embeddings, arguments.tables.optimiser) / f64::from(1 << 20);
    let [median, best] = times.whole.map(|seconds| batches[0].rows as f64 / seconds);
    let [forward, backward, update, embedding] = times.parts.map(|seconds| seconds * 1e3);
    let gflops = arguments.is_reference().then(|| median * FLOP_PER_ROW / 1e9);
    println!(
        "{{\"rows_per_s\": {median:.0}, \"best_rows_per_s\": {best:.0}, \"gflops\": {}, \"forward_ms\": {forward:.2}, \
         \"backward_ms\": {backward:.2}, \"update_ms\": {update:.2}, \"embedding_ms\": {embedding:.2}, \"steps\": {}, \
         \"loss\": {:.4}, \"table_mb\": {table_mb:.0}, \"peak_rss_mb\": {:.0}}}",
        gflops.map_or_else(|| "null".to_owned(), |gflops| format!("{gflops:.1}")),
        times.steps,
        times.loss,
        peak_rss_mb().unwrap_or(0.0),
    );
    Ok(())
}

/// What was seen of the steps, in seconds.
struct Times {
    /// The median step, the fastest one.
    whole: [f64; 2],
    /// Medians of forward, backward, update, embedding.
    parts: [f64; 4],
    steps: usize,
    /// Of the last step.
    loss: f32,
}

/// Steps over the batches in turn; the first step on each is not counted.
fn time(step: &mut Step, batches: &[Batch], seconds: f64) -> Times {
    let mut parts = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    let mut whole = Vec::new();
    let mut loss = 0.0;
    for (batch, count) in batches.iter().zip(0..) {
        loss = step.run(batch, count);
    }
    let _ = step.take_seconds();
    let start = Instant::now();
    for (batch, count) in batches.iter().cycle().zip(batches.len() as u64..) {
        if whole.len() >= 5 && start.elapsed().as_secs_f64() > seconds {
            break;
        }
        let begin = Instant::now();
        loss = step.run(batch, count);
        whole.push(begin.elapsed().as_secs_f64());
        let spent = step.take_seconds();
        for (part, spent) in parts.iter_mut().zip([spent.forward, spent.backward, spent.update, spent.embedding]) {
            part.push(spent);
        }
    }
    let best = whole.iter().copied().fold(f64::MAX, f64::min);
    let steps = whole.len();
    Times { whole: [median(&mut whole), best], parts: parts.map(|mut part| median(&mut part)), steps, loss }
}

/// What the tables and the state of their optimiser take.
fn table_bytes(embeddings: &Embeddings, optimiser: SparseOptimiserKind) -> f64 {
    let rows: usize = embeddings.specs().map(|table| table.rows).sum();
    let state = match optimiser {
        SparseOptimiserKind::Sgd => 0,
        SparseOptimiserKind::RowWiseAdagrad => rows,
        SparseOptimiserKind::Adagrad => embeddings.parameters(),
        SparseOptimiserKind::Adam => 2 * embeddings.parameters(),
    };
    ((embeddings.parameters() + state) * size_of::<f32>()) as f64
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    quantile(times, 0.5)
}

fn step_config(tables: &SparseOptimiserConfig) -> StepConfig {
    StepConfig {
        dense: DenseOptimiserConfig::default(),
        sparse: tables.clone(),
        scenario_weight_power: 0.0,
        mask_loss: true,
        weighting: WeightingConfig::default(),
        seed: Seed(7),
    }
}
