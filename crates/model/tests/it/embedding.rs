//! Gather and update against plain loops, and what must not depend on threads, order of tables or batches before.

use std::collections::BTreeMap;

use hinet_data::{Batch, Column, Layout, Pooling, Slot, TableSpec};
use hinet_model::{EmbeddingConfig, Embeddings, SparseOptimiser, SparseOptimiserConfig, SparseOptimiserKind};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use crate::fixture::{Noise, batch, layout};

const KINDS: [SparseOptimiserKind; 4] = [
    SparseOptimiserKind::Sgd,
    SparseOptimiserKind::Adagrad,
    SparseOptimiserKind::RowWiseAdagrad,
    SparseOptimiserKind::Adam,
];

fn embeddings(layout: &Layout) -> Embeddings {
    Embeddings::new(layout, &EmbeddingConfig { init_std: 0.5 }, |name| name.bytes().map(u64::from).sum())
}

fn config(optimiser: SparseOptimiserKind) -> SparseOptimiserConfig {
    let initial_accumulator = match optimiser {
        SparseOptimiserKind::Adagrad | SparseOptimiserKind::RowWiseAdagrad => Some(0.1),
        SparseOptimiserKind::Sgd | SparseOptimiserKind::Adam => None,
    };
    SparseOptimiserConfig { optimiser, learning_rate: 0.05, l2: 0.01, initial_accumulator, ..Default::default() }
}

fn gathered(embeddings: &Embeddings, batch: &Batch) -> Vec<f32> {
    let mut out = vec![f32::NAN; batch.rows * embeddings.width()];
    embeddings.gather(batch, &mut out);
    out
}

fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut noise = Noise(seed);
    (0..len).map(|_| noise.signed()).collect()
}

/// The ids of a row of a slot with the factor of each; for max pooling with the columns each id won.
struct Use {
    table: usize,
    id: usize,
    factor: f32,
    columns: Option<Vec<bool>>,
}

fn uses(embeddings: &Embeddings, layout: &Layout, batch: &Batch, (slot, row): (usize, usize)) -> Vec<Use> {
    match (&layout.slots[slot], &batch.features[slot]) {
        (Slot::Dense { .. }, _) => Vec::new(),
        (Slot::Lookup { table, .. }, Column::Ids(ids)) => {
            vec![Use { table: *table, id: ids[row] as usize, factor: 1.0, columns: None }]
        }
        (Slot::Bag { table, pooling, .. }, Column::Bag { offsets, ids, weights }) => {
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            let weight = |place: usize| weights.as_ref().map_or(1.0, |weights| weights[place]);
            let total: f32 = range.clone().map(weight).sum();
            let dim = layout.tables[*table].dim;
            let value = |place: usize, column: usize| embeddings.table(*table)[ids[place] as usize * dim + column];
            let wins = |place: usize, column: usize| {
                let earlier = |other: usize| value(other, column) >= value(place, column) && other < place;
                range.clone().all(|other| value(other, column) <= value(place, column)) && !range.clone().any(earlier)
            };
            let one = |place: usize| {
                let (factor, columns) = match pooling {
                    Pooling::Sum => (weight(place), None),
                    Pooling::Mean => (if total == 0.0 { 0.0 } else { weight(place) / total }, None),
                    Pooling::Max => (1.0, Some((0..dim).map(|column| wins(place, column)).collect())),
                };
                Use { table: *table, id: ids[place] as usize, factor, columns }
            };
            range.clone().map(one).collect()
        }
        _ => panic!("the fixture mixes kinds"),
    }
}

/// Gather and, for every touched row of every table, the sum of its gradients: as plain loops.
type Sums = BTreeMap<(usize, usize), Vec<f32>>;

fn by_loops(embeddings: &Embeddings, layout: &Layout, batch: &Batch, gradient: &[f32]) -> (Vec<f32>, Sums) {
    let width = layout.width();
    let (mut x, mut sums) = (vec![0.0; batch.rows * width], Sums::new());
    for row in 0..batch.rows {
        let mut start = row * width;
        for (slot, column) in batch.features.iter().enumerate() {
            let slot_width = layout.slot_width(&layout.slots[slot]);
            if let Column::Dense(values) = column {
                x[start..start + slot_width].copy_from_slice(&values[row * slot_width..(row + 1) * slot_width]);
            }
            for Use { table, id, factor, columns } in uses(embeddings, layout, batch, (slot, row)) {
                let counts = |column: usize| columns.as_ref().is_none_or(|columns| columns[column]);
                if factor == 0.0 || !(0..slot_width).any(counts) {
                    continue;
                }
                let sum = sums.entry((table, id)).or_insert_with(|| vec![0.0; slot_width]);
                for column in (0..slot_width).filter(|&column| counts(column)) {
                    x[start + column] += factor * embeddings.table(table)[id * slot_width + column];
                    sum[column] += factor * gradient[start + column];
                }
            }
            start += slot_width;
        }
    }
    (x, sums)
}

/// Textbook update of one row; `state` is what the rule remembers of it.
fn update_by_loops(config: &SparseOptimiserConfig, t: i32, row: &mut [f32], g: &[f32], state: &mut [Vec<f64>; 2]) {
    let (rate, l2) = (f64::from(config.learning_rate), f64::from(config.l2));
    let g: Vec<f64> = g.iter().zip(&*row).map(|(&g, &p)| f64::from(g) + l2 * f64::from(p)).collect();
    let mean_square = g.iter().map(|g| g * g).sum::<f64>() / g.len() as f64;
    for (i, (p, g)) in row.iter_mut().zip(&g).enumerate() {
        let [first, second] = &mut *state;
        let step = match config.optimiser {
            SparseOptimiserKind::Sgd => *g,
            SparseOptimiserKind::Adagrad => {
                first[i] += g * g;
                g / (first[i].sqrt() + 1e-10)
            }
            SparseOptimiserKind::RowWiseAdagrad => {
                first[i] += mean_square;
                g / (first[i].sqrt() + 1e-10)
            }
            SparseOptimiserKind::Adam => {
                first[i] = 0.9 * first[i] + 0.1 * g;
                second[i] = 0.999 * second[i] + 0.001 * g * g;
                let (mean, square) = (first[i] / (1.0 - 0.9_f64.powi(t)), second[i] / (1.0 - 0.999_f64.powi(t)));
                mean / (square.sqrt() + 1e-8)
            }
        };
        *p -= (rate * step) as f32;
    }
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}: {a} and {b} at {place}");
    }
}

#[test]
fn gather_and_update_are_what_plain_loops_compute() {
    let layout = layout();
    for kind in KINDS {
        let config = config(kind);
        let start = f64::from(config.initial_accumulator.unwrap_or(0.0));
        let mut found = embeddings(&layout);
        let mut optimiser = SparseOptimiser::new(&config, &found).unwrap();
        let mut states = BTreeMap::new();
        for t in 1..=4 {
            // From the same tables each time: rounding must not decide differently which of two near equals is the larger.
            let mut expected = found.clone();
            let batch = batch(&layout, 300, t as u64);
            let gradient = noise(batch.rows * layout.width(), 100 + t as u64);
            let (x, sums) = by_loops(&expected, &layout, &batch, &gradient);
            assert_close(&gathered(&found, &batch), &x, 1e-5, "gather");
            optimiser.step(&mut found, &batch, &gradient);
            for ((table, id), gradient) in sums {
                let dim = gradient.len();
                let state = states.entry((table, id)).or_insert_with(|| [vec![start; dim], vec![0.0; dim]]);
                let row = &mut expected.table_mut(table)[id * dim..(id + 1) * dim];
                update_by_loops(&config, t, row, &gradient, state);
            }
            for table in 0..layout.tables.len() {
                assert_close(found.table(table), expected.table(table), 2e-4, &format!("{kind:?}, table {table}"));
            }
        }
    }
}

#[test]
fn rows_that_no_batch_touched_keep_their_bits() {
    let mut layout = layout();
    layout.tables.iter_mut().for_each(|table| table.rows = 700);
    for kind in KINDS {
        let mut found = embeddings(&layout);
        let before = found.clone();
        let mut optimiser = SparseOptimiser::new(&config(kind), &found).unwrap();
        let batch = batch(&layout, 50, 3);
        let gradient = noise(batch.rows * layout.width(), 4);
        optimiser.step(&mut found, &batch, &gradient);
        let (_, sums) = by_loops(&before, &layout, &batch, &gradient);
        for (table, spec) in layout.tables.iter().enumerate() {
            let mut moved = 0;
            for id in 0..spec.rows {
                let range = id * spec.dim..(id + 1) * spec.dim;
                let same = found.table(table)[range.clone()] == before.table(table)[range];
                assert_eq!(same, !sums.contains_key(&(table, id)), "{kind:?}, table {table}, row {id}");
                moved += usize::from(!same);
            }
            assert!(moved > 0 && moved < spec.rows, "the batch touches {moved} of {} rows", spec.rows);
        }
    }
}

#[test]
fn ties_of_max_pooling_go_to_the_first_id() {
    let mut layout = layout();
    layout.slots = vec![Slot::Bag { feature: "tags".into(), table: 2, pooling: Pooling::Max }];
    let mut embeddings = Embeddings::zeros(&layout);
    embeddings.table_mut(2)[5 * 3..6 * 3].copy_from_slice(&[0.0, 1.0, 0.0]);
    let features = vec![Column::Bag { offsets: vec![0, 3], ids: vec![7, 5, 7], weights: None }];
    let batch = Batch { rows: 1, features, ..Batch::default() };
    let optimiser = SparseOptimiserKind::Sgd;
    let config = SparseOptimiserConfig { optimiser, learning_rate: 1.0, ..Default::default() };
    SparseOptimiser::new(&config, &embeddings).unwrap().step(&mut embeddings, &batch, &[1.0, 2.0, 3.0]);
    assert_eq!(embeddings.table(2)[7 * 3..8 * 3], [-1.0, 0.0, -3.0]);
    assert_eq!(embeddings.table(2)[5 * 3..6 * 3], [0.0, -1.0, 0.0]);
}

#[test]
fn a_table_with_more_rows_or_beside_others_starts_with_the_same_draws() {
    let mut grown = layout();
    let small = embeddings(&grown);
    grown.tables[0].rows = 5000;
    grown.tables.insert(0, TableSpec { name: "new".into(), rows: 10, dim: 4 });
    grown.slots.clear();
    let large = embeddings(&grown);
    assert_eq!(small.table(0), &large.table(1)[..700 * 8]);
    assert_eq!(small.table(2), large.table(3));
    assert_ne!(large.table(1)[1024 * 8..1032 * 8], large.table(1)[2048 * 8..2056 * 8]);
}

#[test]
fn draws_have_the_deviation_that_was_asked_for_and_reserved_rows_start_at_zero() {
    let mut layout = layout();
    layout.tables[0].rows = 20_000;
    let embeddings = embeddings(&layout);
    let (reserved, drawn) = embeddings.table(0).split_at(2 * 8);
    assert!(reserved.iter().all(|&value| value == 0.0));
    let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
    let square = drawn.iter().map(|value| value * value).sum::<f32>() / drawn.len() as f32;
    assert!(mean.abs() < 0.01, "{mean}");
    assert!((square.sqrt() - 0.5).abs() < 0.005, "{square}");
}

/// Tables after some steps, and the last gather, on this many threads.
fn run_on(threads: usize, kind: SparseOptimiserKind) -> (Embeddings, Vec<f32>) {
    let mut layout = layout();
    layout.tables[1].rows = 3000;
    let run = || {
        let mut found = embeddings(&layout);
        let mut optimiser = SparseOptimiser::new(&config(kind), &found).unwrap();
        let mut x = Vec::new();
        for seed in 0..3 {
            let batch = batch(&layout, 1500, seed);
            x = gathered(&found, &batch);
            optimiser.step(&mut found, &batch, &noise(batch.rows * layout.width(), seed));
        }
        (found, x)
    };
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for kind in KINDS {
        let (one, x) = run_on(1, kind);
        for threads in [2, 4] {
            let (more, more_x) = run_on(threads, kind);
            assert_eq!(x, more_x, "{kind:?}, {threads} threads");
            (0..3).for_each(|table| assert_eq!(one.table(table), more.table(table), "{kind:?}, {threads} threads"));
        }
    }
}

#[test]
fn a_loaded_state_goes_on_as_if_never_stopped() {
    let layout = layout();
    for kind in KINDS {
        let mut found = embeddings(&layout);
        let mut optimiser = SparseOptimiser::new(&config(kind), &found).unwrap();
        let step = |optimiser: &mut SparseOptimiser, embeddings: &mut Embeddings, seed| {
            let batch = batch(&layout, 200, seed);
            optimiser.step(embeddings, &batch, &noise(batch.rows * layout.width(), seed));
        };
        step(&mut optimiser, &mut found, 1);
        let mut resumed_tables = found.clone();
        let mut resumed = SparseOptimiser::new(&config(kind), &found).unwrap();
        resumed.load_state(optimiser.steps(), &optimiser.state()).unwrap();
        step(&mut optimiser, &mut found, 2);
        step(&mut resumed, &mut resumed_tables, 2);
        (0..3).for_each(|table| assert_eq!(found.table(table), resumed_tables.table(table), "{kind:?}"));
        assert_eq!(optimiser.steps(), 2);
    }
}

#[test]
fn a_state_of_other_tables_is_refused_by_name() {
    let small = embeddings(&layout());
    let mut optimiser = SparseOptimiser::new(&config(SparseOptimiserKind::Adam), &small).unwrap();
    let error = optimiser.load_state(1, &[("user/mean", &[0.0; 7])]).unwrap_err().to_string();
    assert_eq!(error, "the state `user/mean` has 7 numbers, expected 5600");
}

proptest! {
    #[test]
    fn the_order_of_rows_changes_the_tables_only_by_rounding(seed: u64, rows in 1_usize..80) {
        let layout = layout();
        let batch = batch(&layout, rows, seed);
        let width = layout.width();
        let gradient = noise(rows * width, seed ^ 1);
        let order: Vec<u32> = (0..rows as u32).rev().collect();
        let turned: Vec<f32> = order.iter().flat_map(|&row| gradient[row as usize * width..][..width].to_vec()).collect();
        let step = |batch: &Batch, gradient: &[f32]| {
            let mut found = embeddings(&layout);
            SparseOptimiser::new(&config(SparseOptimiserKind::Adagrad), &found).unwrap().step(&mut found, batch, gradient);
            found
        };
        let (one, other) = (step(&batch, &gradient), step(&batch.take(&order), &turned));
        (0..3).for_each(|table| assert_close(one.table(table), other.table(table), 1e-4, "turned"));
    }
}
