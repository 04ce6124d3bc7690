//! Tables of a scenario's or a task's own, and first-order weights: as if each owner had a model to itself.

use hinet_data::{Batch, Layout, Seed};
use hinet_model::{
    EmbeddingConfig, Embeddings, Model, ModelConfig, SparseOptimiser, SparseOptimiserConfig, Tables, zoo,
};

use crate::fixture::{Noise, batch, layout};

fn model(preset: &str, first_order: bool) -> Model {
    let mut config = ModelConfig { first_order, ..zoo::find(preset).unwrap().config() };
    config.embedding.init_std = 0.5;
    Model::new(layout(), config, Seed(9)).unwrap()
}

fn gathered(embeddings: &Embeddings, batch: &Batch) -> Vec<f32> {
    let mut out = vec![f32::NAN; batch.rows * embeddings.width()];
    embeddings.gather(batch, &mut out);
    out
}

/// Columns `start..start + width` of each row.
fn columns(x: &[f32], rows: usize, (start, width): (usize, usize)) -> Vec<f32> {
    x.chunks_exact(x.len() / rows).flat_map(|row| row[start..start + width].to_vec()).collect()
}

/// The shared tables that one owner's tables are, from the table number `first` on.
fn alone(layout: &Layout, model: &Model, first: usize, scenario: usize) -> Embeddings {
    let mut embeddings = Embeddings::new(layout, &EmbeddingConfig::default(), |_| 0);
    for (table, spec) in layout.tables.iter().enumerate() {
        let size = spec.rows * spec.dim;
        let own = &model.embeddings.table(first + table)[scenario * size..(scenario + 1) * size];
        embeddings.table_mut(table).copy_from_slice(own);
    }
    embeddings
}

/// Gather and a step of the optimiser, for every owner beside a model of its own rows and tables.
fn check_owners(preset: &str, optimiser: &SparseOptimiserConfig) {
    let layout = layout();
    let mut found = model(preset, false);
    assert_ne!(found.config.tables, Tables::Shared, "{preset}");
    let (scenarios, tasks) =
        (if found.config.tables.per_scenario() { 3 } else { 1 }, if found.config.tables.per_task() { 2 } else { 1 });
    let batch = batch(&layout, 300, 5).grouped(layout.groups());
    let mut noise = Noise(6);
    let gradient: Vec<f32> = (0..batch.rows * found.embeddings.width()).map(|_| noise.signed()).collect();
    let (x, width) = (gathered(&found.embeddings, &batch), layout.width());
    let before = found.clone();
    let mut step = SparseOptimiser::new(optimiser, &found.embeddings).unwrap();
    step.step(&mut found.embeddings, &batch, &gradient);
    for task in 0..tasks {
        for scenario in 0..scenarios {
            let is_own = |row: &u32| scenarios == 1 || usize::from(batch.scenario[*row as usize]) == scenario;
            let rows: Vec<u32> = (0..batch.rows as u32).filter(is_own).collect();
            let part = batch.take(&rows);
            let of = |values: &[f32]| {
                let all = columns(values, batch.rows, (task * width, width));
                rows.iter().flat_map(|&row| all[row as usize * width..][..width].to_vec()).collect::<Vec<f32>>()
            };
            let mut own = alone(&layout, &before, task * layout.tables.len(), scenario);
            assert_eq!(gathered(&own, &part), of(&x), "{preset}: task {task} in scenario {scenario}");
            SparseOptimiser::new(optimiser, &own).unwrap().step(&mut own, &part, &of(&gradient));
            let moved = alone(&layout, &found, task * layout.tables.len(), scenario);
            for table in 0..layout.tables.len() {
                let same = own.table(table) == moved.table(table);
                assert!(same, "{preset}: table {table} of task {task} in scenario {scenario}");
            }
        }
    }
}

#[test]
fn each_owner_s_tables_move_as_if_it_were_trained_alone() {
    let optimiser = SparseOptimiserConfig { learning_rate: 0.1, l2: 0.01, ..SparseOptimiserConfig::default() };
    for preset in ["single", "single_task", "single_scenario"] {
        check_owners(preset, &optimiser);
    }
}

#[test]
fn owners_start_from_draws_of_their_own() {
    let model = model("single", false);
    let user = |task: usize, scenario: usize| &model.embeddings.table(3 * task)[scenario * 5600..(scenario + 1) * 5600];
    let all = [user(0, 0), user(0, 1), user(1, 0), user(1, 1)];
    for (place, one) in all.iter().enumerate() {
        assert!(one[..16].iter().all(|&value| value == 0.0), "rows of missing and unseen values");
        assert!(all[..place].iter().all(|other| other[16..] != one[16..]));
    }
}

#[test]
fn an_unknown_scenario_has_no_tables_of_its_own() {
    let model = model("single_scenario", true);
    let batch = batch(&model.layout, 50, 8).grouped(model.layout.groups());
    let x = gathered(&model.embeddings, &batch);
    let unknown = &x[batch.offsets[3] * model.embeddings.width()..];
    assert!(!unknown.is_empty());
    // The third slot is two numbers, which belong to nobody.
    for row in unknown.chunks_exact(model.embeddings.width()) {
        assert!(row.iter().enumerate().all(|(column, value)| (13..15).contains(&column) || *value == 0.0));
    }
}

#[test]
fn first_order_weights_are_pooled_as_embeddings_are_behind_all_other_columns() {
    let layout = layout();
    let mut found = model("hinet", true);
    assert!(found.embeddings.table(3).iter().all(|&weight| weight == 0.0), "they start without a say");
    let mut noise = Noise(3);
    (3..6).for_each(|table| found.embeddings.table_mut(table).iter_mut().for_each(|weight| *weight = noise.signed()));
    let batch = batch(&layout, 120, 4).grouped(layout.groups());
    let x = gathered(&found.embeddings, &batch);
    // The same rows, of a layout where every table is as wide as there are tasks.
    let mut narrow = layout.clone();
    narrow.tables.iter_mut().for_each(|table| table.dim = 2);
    let mut weights = Embeddings::zeros(&narrow);
    (0..3).for_each(|table| weights.table_mut(table).copy_from_slice(found.embeddings.table(3 + table)));
    let expected = gathered(&weights, &batch);
    // Two columns of numbers stand between the second and the third feature with ids.
    let rows = batch.rows;
    let (before, after) = (columns(&expected, rows, (0, 4)), columns(&expected, rows, (6, 8)));
    assert_eq!(columns(&x, rows, (layout.width(), 4)), before);
    assert_eq!(columns(&x, rows, (layout.width() + 4, 8)), after);
    assert_eq!(found.embeddings.width(), layout.width() + 6 * 2);
}
