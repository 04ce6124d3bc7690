//! Scores of a plan are those of the network, corrected by the curve of their own cell.

use std::sync::Arc;

use hinet_data::{Batch, Seed};
use hinet_model::{Curve, Model, ModelConfig, ModelError, Plan, PlanWorkspace, zoo};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use crate::fixture::{batch, calibration, layout};

const RATE: f64 = 0.1;

/// A model with scores far from one another, as it is and with corrections.
fn plain_and_corrected(mut config: ModelConfig) -> (Model, Model) {
    config.embedding.init_std = 0.5;
    let plain = Model::new(layout(), config, Seed(5)).unwrap();
    let mut corrected = plain.clone();
    corrected.layout.tasks[1].negative_rate = RATE;
    corrected.set_calibration(Some(calibration(&plain.layout))).unwrap();
    (plain, corrected)
}

fn scores(plan: &Plan<'_>, batch: &Batch) -> Vec<f32> {
    let mut out = Vec::new();
    plan.score(&mut PlanWorkspace::default(), batch, &mut out);
    out
}

/// What the score of a task becomes in a scenario, or in an unknown one, in plain words.
fn expected(model: &Model, scenario: u16, task: usize, p: f32) -> f32 {
    let p = if task == 1 {
        let p = f64::from(p);
        (RATE * p / (RATE * p + (1.0 - p))) as f32
    } else {
        p
    };
    let name = model.layout.scenarios.get(usize::from(scenario)).map(String::as_str);
    let cell = model.calibration().unwrap().cell(name, &model.layout.tasks[task].name).unwrap();
    cell.curve.apply(p)
}

#[test]
fn every_score_goes_through_the_curve_of_its_cell_and_unknown_scenarios_through_that_of_the_task() {
    for preset in zoo::PRESETS {
        let (plain, corrected) = plain_and_corrected(preset.config());
        let batch = batch(&plain.layout, 400, 9).grouped(plain.layout.groups());
        let found = scores(&Plan::new(&corrected), &batch);
        let raw = scores(&Plan::new(&plain), &batch);
        for (place, (found, raw)) in found.iter().zip(&raw).enumerate() {
            let (row, task) = (place / 2, place % 2);
            assert_eq!(*found, expected(&corrected, batch.scenario[row], task, *raw), "{} {row}/{task}", preset.name);
        }
        assert!(batch.scenario.contains(&3), "no row of an unknown scenario");
        let changed = found.iter().zip(&raw).filter(|(found, raw)| found != raw).count();
        assert!(changed > raw.len() / 2, "{}: {changed} scores changed", preset.name);
        let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| scores(&Plan::new(&corrected), &batch)), found, "{}", preset.name);
        assert_eq!(scores(&Plan::sharing(&Arc::new(corrected)), &batch), found, "{}", preset.name);
    }
}

#[test]
fn requests_go_through_the_same_curves_also_where_tables_are_of_scenarios() {
    for preset in ["hinet", "single"] {
        let (plain, corrected) = plain_and_corrected(zoo::find(preset).unwrap().config());
        let (user, items) = (batch(&plain.layout, 1, 3), batch(&plain.layout, 50, 4));
        for scenario in 0..4 {
            let user = Batch { scenario: vec![scenario], ..user.clone() };
            let score = |model: &Model| {
                let mut out = Vec::new();
                let plan = Plan::for_requests(model, &["user", "age"]).unwrap();
                plan.score(&mut PlanWorkspace::default(), &user, &items, &mut out);
                out
            };
            for (place, (found, raw)) in score(&corrected).iter().zip(score(&plain)).enumerate() {
                assert_eq!(*found, expected(&corrected, scenario, place % 2, raw), "{preset} {scenario} {place}");
            }
        }
    }
}

#[test]
fn a_model_without_corrections_keeps_every_bit_and_identities_are_none() {
    let (plain, _) = plain_and_corrected(ModelConfig::default());
    let mut identities = plain.clone();
    let mut curves = calibration(&plain.layout);
    curves.cells.iter_mut().for_each(|cell| cell.curve = Curve::Identity);
    identities.set_calibration(Some(curves)).unwrap();
    let batch = batch(&plain.layout, 200, 9).grouped(plain.layout.groups());
    assert_eq!(scores(&Plan::new(&identities), &batch), scores(&Plan::new(&plain), &batch));
}

#[test]
fn curves_of_other_cells_are_refused_and_the_old_ones_stay() {
    let (_, mut model) = plain_and_corrected(ModelConfig::default());
    let mut other = calibration(&model.layout);
    other.cells.pop();
    let error = model.set_calibration(Some(other)).unwrap_err();
    assert!(matches!(&error, ModelError::BadOption { value, .. } if value == "7 cells"), "{error}");
    assert_eq!(model.calibration(), Some(&calibration(&model.layout)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_of_two_rows_in_a_cell_never_turns_around(seed in 0_u64..1000) {
        let (plain, corrected) = plain_and_corrected(ModelConfig::default());
        let batch = batch(&plain.layout, 150, seed).grouped(plain.layout.groups());
        let (raw, found) = (scores(&Plan::new(&plain), &batch), scores(&Plan::new(&corrected), &batch));
        for ends in batch.offsets.windows(2) {
            for task in 0..2 {
                let mut rows: Vec<(f32, f32)> = (ends[0]..ends[1]).map(|row| (raw[row * 2 + task], found[row * 2 + task])).collect();
                rows.sort_by(|a, b| a.0.total_cmp(&b.0));
                prop_assert!(rows.is_sorted_by(|a, b| a.1 <= b.1));
            }
        }
    }
}
