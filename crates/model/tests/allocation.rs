//! After the largest batch was seen, gathering, updating tables and scoring, requests too, allocate nothing, with one thread and with two.

use hinet_data::{Batch, Seed};
use hinet_model::{
    Model, ModelConfig, Plan, PlanWorkspace, SparseOptimiser, SparseOptimiserConfig, SparseOptimiserKind, zoo,
};
use rayon::ThreadPoolBuilder;

#[path = "../../../tests/support/allocations.rs"]
mod allocations;
#[path = "it/fixture.rs"]
mod fixture;

/// Allocations of later calls of `step`, after it saw every batch once.
fn allocations_of_later(batches: &[Batch], mut step: impl FnMut(&Batch) + Send, threads: usize) -> usize {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.broadcast(|_| allocations::count_here());
    let found = pool.install(|| {
        batches.iter().for_each(&mut step);
        allocations::during(|| (0..40).for_each(|round| step(&batches[round % batches.len()])))
    });
    // Threads of a dropped pool end when they like, and what ending one allocates would be counted for the next.
    pool.broadcast(|_| allocations::count_here_no_more());
    found
}

fn allocations_of_training(optimiser: SparseOptimiserKind, threads: usize) -> usize {
    let layout = fixture::layout();
    let batches = [900, 3000, 1, 700].map(|rows| fixture::batch(&layout, rows, rows as u64));
    let model = Model::new(layout, fixture::with_sequence(false), Seed(1)).unwrap();
    let mut embeddings = model.embeddings;
    let config = SparseOptimiserConfig { optimiser, ..Default::default() };
    let mut optimiser = SparseOptimiser::new(&config, &embeddings).unwrap();
    let width = embeddings.width();
    let mut x = vec![0.0; 3000 * width];
    let step = |batch: &Batch| {
        let x = &mut x[..batch.rows * width];
        embeddings.gather(batch, x);
        optimiser.step(&mut embeddings, batch, x);
    };
    allocations_of_later(&batches, step, threads)
}

/// A model whose scores are corrected in both ways.
fn corrected(config: ModelConfig) -> Model {
    let mut layout = fixture::layout();
    layout.tasks[0].negative_rate = 0.1;
    let mut model = Model::new(layout, config, Seed(1)).unwrap();
    let calibration = fixture::calibration(&model.layout);
    model.set_calibration(Some(calibration)).unwrap();
    model
}

fn allocations_of_scoring(config: ModelConfig, threads: usize) -> usize {
    let model = corrected(config);
    let layout = &model.layout;
    let plan = Plan::new(&model);
    let grouped = |rows| fixture::batch(layout, rows, rows as u64).grouped(layout.groups());
    let batches = [300, 900, 1, 500].map(grouped);
    let (mut workspace, mut out) = (PlanWorkspace::default(), Vec::new());
    let step = |batch: &Batch| plan.score(&mut workspace, batch, &mut out);
    allocations_of_later(&batches, step, threads)
}

fn allocations_of_requests(config: ModelConfig, threads: usize) -> usize {
    let model = corrected(config);
    let layout = &model.layout;
    let plan = Plan::for_requests(&model, &["user", "age", "history"]).unwrap();
    let user = fixture::batch(layout, 1, 1);
    let items = [300, 900, 1, 500].map(|rows| fixture::batch(layout, rows, rows as u64));
    let (mut workspace, mut out) = (PlanWorkspace::default(), Vec::new());
    allocations_of_later(&items, |items| plan.score(&mut workspace, &user, items, &mut out), threads)
}

// One test: another one running beside it would be counted too.
#[test]
fn later_batches_allocate_nothing() {
    use SparseOptimiserKind::{Adagrad, Adam, RowWiseAdagrad, Sgd};
    for threads in [1, 2] {
        for optimiser in [Sgd, Adagrad, RowWiseAdagrad, Adam] {
            assert_eq!(allocations_of_training(optimiser, threads), 0, "{optimiser:?} with {threads} threads");
        }
        let presets = zoo::PRESETS.iter().map(|preset| (preset.name, preset.config()));
        let by_item = [false, true].map(|softmax| ("attention", fixture::with_sequence(softmax)));
        for (name, config) in presets.chain(by_item) {
            let found = allocations_of_scoring(config.clone(), threads);
            assert_eq!(found, 0, "scoring by {name} with {threads} threads");
            let found = allocations_of_requests(config, threads);
            assert_eq!(found, 0, "requests to {name} with {threads} threads");
        }
    }
}
