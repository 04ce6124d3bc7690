//! After the largest batch was seen, a whole training step allocates nothing, with one thread and with two.

use std::sync::Arc;

use hinet_data::{Batch, Column, Layout, Pooling, Seed, Slot, TableSpec, TaskSpec, UnknownScenario};
use hinet_model::{HinetConfig, Model, ModelConfig, ScenarioLayerConfig, SparseOptimiserConfig, zoo};
use hinet_tape::DenseOptimiserConfig;
use hinet_train::{Step, StepConfig, WeightingConfig};
use rayon::ThreadPoolBuilder;

#[path = "../../../tests/support/allocations.rs"]
mod allocations;

const VALUES: usize = 3000;

fn layout() -> Layout {
    let table = |name: &str| TableSpec { name: name.to_owned(), rows: VALUES, dim: 16 };
    let task = |name: &str| TaskSpec::new(name);
    Layout {
        sequences: Vec::new(),
        tables: vec![table("user"), table("tag")],
        slots: vec![
            Slot::Lookup { feature: "user".to_owned(), table: 0 },
            Slot::Bag { feature: "tag".to_owned(), table: 1, pooling: Pooling::Mean },
            Slot::Dense { feature: "price".to_owned(), width: 2 },
        ],
        scenarios: ["a", "b", "c"].map(str::to_owned).to_vec(),
        scenario_rows: vec![100, 200, 50],
        tasks: vec![task("click"), task("order")],
        unknown: UnknownScenario::Mean,
    }
}

/// Rows of all three scenarios, and some of an unknown one.
fn batch(rows: usize, salt: u64) -> Batch {
    let draw = |purpose: &str, at: usize| Seed(salt).stream(purpose, at as u64);
    let bags: Vec<usize> = (0..rows).map(|row| draw("length", row) as usize % 4).collect();
    let ends = bags.iter().scan(0, |end, length| {
        *end += *length as u32;
        Some(*end)
    });
    let offsets: Vec<u32> = std::iter::once(0).chain(ends).collect();
    let id = |purpose: &str, at: usize| (draw(purpose, at) % VALUES as u64) as u32;
    let items = bags.iter().sum::<usize>();
    Batch {
        rows,
        features: vec![
            Column::Ids((0..rows).map(|row| id("user", row)).collect()),
            Column::Bag { offsets, ids: (0..items).map(|item| id("tag", item)).collect(), weights: None },
            Column::Dense((0..rows * 2).map(|at| draw("price", at) as f32 / u64::MAX as f32).collect()),
        ],
        scenario: (0..rows).map(|row| (draw("scenario", row) % 16 / 5) as u16).collect(),
        labels: (0..rows * 2).map(|at| (draw("label", at) % 2) as f32).collect(),
        observed: (0..rows * 2).map(|at| draw("observed", at) % 5 > 0).collect(),
        weight: vec![1.0; rows],
        position: (0..rows as u32).collect(),
        ..Batch::default()
    }
    .grouped(4)
}

fn step(model: ModelConfig, threads: usize) -> (Step, Arc<rayon::ThreadPool>) {
    let pool = Arc::new(ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    let model = Model::new(layout(), model, Seed(1)).unwrap();
    let config = StepConfig {
        dense: DenseOptimiserConfig { clip: 1.0, ..DenseOptimiserConfig::default() },
        sparse: SparseOptimiserConfig { l2: 1e-5, ..SparseOptimiserConfig::default() },
        scenario_weight_power: 1.0,
        mask_loss: true,
        weighting: WeightingConfig::default(),
        seed: Seed(1),
    };
    (Step::new(model, &config, Some(Arc::clone(&pool))).unwrap(), pool)
}

fn allocations_of_later_steps(model: ModelConfig, threads: usize) -> usize {
    let (mut step, pool) = step(model, threads);
    let batches = [600, 1200, 1, 900].map(|rows| batch(rows, rows as u64));
    pool.broadcast(|_| allocations::count_here());
    pool.install(|| {
        for index in 0..8 {
            step.run(&batches[index % 4], index as u64);
        }
        allocations::during(|| {
            for index in 8..40 {
                let loss = step.run(&batches[index % 4], index as u64);
                assert!(loss.is_finite());
            }
        })
    })
}

#[test]
fn a_training_step_allocates_nothing_once_the_largest_batch_was_seen() {
    let scenario = HinetConfig { units: vec![64, 32], sei_dropout: 0.1, ..HinetConfig::default() };
    let hinet = ModelConfig { scenario: ScenarioLayerConfig::Hinet(scenario), ..ModelConfig::default() };
    assert_eq!(allocations_of_later_steps(hinet.clone(), 1), 0, "with one thread");
    assert_eq!(allocations_of_later_steps(hinet, 2), 0, "with two threads");
    for preset in zoo::PRESETS.iter().filter(|preset| !preset.name.starts_with("hinet")) {
        let model = ModelConfig { first_order: true, ..preset.config() };
        assert_eq!(allocations_of_later_steps(model, 2), 0, "{} with two threads", preset.name);
    }
}
