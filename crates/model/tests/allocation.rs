//! After the largest batch was seen, gathering, updating tables and scoring allocate nothing, with one thread and with two.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use hinet_data::{Batch, Seed};
use hinet_model::{
    EmbeddingConfig, Embeddings, Model, ModelConfig, Plan, PlanWorkspace, SparseOptimiser, SparseOptimiserConfig,
    SparseOptimiserKind,
};
use rayon::ThreadPoolBuilder;

#[path = "it/fixture.rs"]
mod fixture;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is one of those that work: what the test harness allocates beside them does not count.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

// The one way to see every allocation of the process is to be its allocator, and that trait is unsafe.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Memory) -> *mut u8 {
        if COUNTED.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Memory) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of later calls of `step`, after it saw every batch once.
fn allocations_of_later(batches: &[Batch], mut step: impl FnMut(&Batch) + Send, threads: usize) -> usize {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.broadcast(|_| COUNTED.set(true));
    pool.install(|| {
        batches.iter().for_each(&mut step);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..40).for_each(|round| step(&batches[round % batches.len()]));
        ALLOCATIONS.load(Ordering::Relaxed) - before
    })
}

fn allocations_of_training(optimiser: SparseOptimiserKind, threads: usize) -> usize {
    let layout = fixture::layout();
    let batches = [900, 3000, 1, 700].map(|rows| fixture::batch(&layout, rows, rows as u64));
    let mut embeddings = Embeddings::new(&layout, &EmbeddingConfig::default(), |name| name.len() as u64);
    let config = SparseOptimiserConfig { optimiser, ..Default::default() };
    let mut optimiser = SparseOptimiser::new(&config, &embeddings).unwrap();
    let mut x = vec![0.0; 3000 * layout.width()];
    let step = |batch: &Batch| {
        let x = &mut x[..batch.rows * layout.width()];
        embeddings.gather(batch, x);
        optimiser.step(&mut embeddings, batch, x);
    };
    allocations_of_later(&batches, step, threads)
}

fn allocations_of_scoring(threads: usize) -> usize {
    let layout = fixture::layout();
    let model = Model::new(layout.clone(), ModelConfig::default(), Seed(1)).unwrap();
    let plan = Plan::new(&model);
    let grouped = |rows| fixture::batch(&layout, rows, rows as u64).grouped(layout.groups());
    let batches = [300, 900, 1, 500].map(grouped);
    let (mut workspace, mut out) = (PlanWorkspace::default(), Vec::new());
    let step = |batch: &Batch| plan.score(&mut workspace, batch, &mut out);
    allocations_of_later(&batches, step, threads)
}

// One test: another one running beside it would be counted too.
#[test]
fn later_batches_allocate_nothing() {
    use SparseOptimiserKind::{Adagrad, Adam, RowWiseAdagrad, Sgd};
    for threads in [1, 2] {
        for optimiser in [Sgd, Adagrad, RowWiseAdagrad, Adam] {
            assert_eq!(allocations_of_training(optimiser, threads), 0, "{optimiser:?} with {threads} threads");
        }
        assert_eq!(allocations_of_scoring(threads), 0, "scoring with {threads} threads");
    }
}
