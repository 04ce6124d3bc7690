//! The stages behind the training step: scoring by the plan, and metrics. The reference HiNet, one thread. (Files and
//! encoder are timed by the benches of `hinet-data`, tables by those of `hinet-model`, the step by those of `hinet-tape`.)

#[allow(dead_code, reason = "the example needs all of it")]
#[path = "../examples/peers/reference.rs"]
mod reference;

use divan::Bencher;
use divan::counter::ItemsCount;
use hinet_data::Batch;
use hinet_model::{Model, Plan, PlanWorkspace};
use hinet_train::{MetricsBuilder, MetricsOptions};
use reference::Arguments;

fn main() {
    divan::main();
}

fn model_and_batches(rows: usize) -> (Model, Vec<Batch>) {
    let words = ["1", &rows.to_string(), "1"].map(str::to_owned).to_vec();
    let arguments = Arguments::read(words, 16).expect("the arguments are valid");
    let batches = arguments.batches().expect("nothing is written").expect("batches are asked for");
    (arguments.model().expect("the reference is valid"), batches)
}

/// From encoded rows to probabilities.
#[divan::bench(args = [1, 32, 256, 1000])]
fn plan_scores_rows(bencher: Bencher<'_, '_>, rows: usize) {
    let (model, batches) = model_and_batches(rows);
    let plan = Plan::new(&model);
    let (mut workspace, mut scores, mut next) = (PlanWorkspace::default(), Vec::new(), batches.iter().cycle());
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        plan.score(&mut workspace, next.next().expect("there are batches"), &mut scores);
    });
}

/// All metrics of every cell, of rows that were scored.
#[divan::bench(args = [100_000])]
fn metrics_of_rows(bencher: Bencher<'_, '_>, rows: usize) {
    let (model, batches) = model_and_batches(rows / 16);
    let plan = Plan::new(&model);
    let mut workspace = PlanWorkspace::default();
    let scored = batches.iter().map(|batch| {
        let mut scores = Vec::new();
        plan.score(&mut workspace, batch, &mut scores);
        (batch, scores)
    });
    let scored: Vec<(&Batch, Vec<f32>)> = scored.collect();
    let options = MetricsOptions::new(&model.layout, 10, 1);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        let mut builder = MetricsBuilder::new(options.clone());
        for (batch, scores) in &scored {
            builder.push(batch, scores).expect("scores are numbers");
        }
        builder.finish()
    });
}
