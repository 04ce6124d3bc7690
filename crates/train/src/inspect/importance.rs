//! Permutation importance (Breiman, 2001), per cell: how much AUC is lost when the values of one feature are shuffled
//! among the rows of the same scenario. What tells scenarios apart is left in place, so the scenario column itself, and
//! whatever is constant within scenarios, comes out as 0.

use hinet_data::{Batch, Layout, Seed};
use hinet_model::Model;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sample::Sample;
use crate::evaluate::{Scorer, is_stopped};
use crate::metrics::auc_of_sorted;
use crate::scores::label;
use crate::statistics::{mean, variance};
use crate::{ScoreOptions, TrainError};

/// Which features a model's ranking needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Rows looked at.
    pub rows: u64,
    /// Shuffles of each feature.
    pub shuffles: usize,
    /// Most important first: by the mean over tasks of what is lost over all rows.
    pub features: Vec<FeatureImportance>,
}

/// What shuffling one feature costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureImportance {
    /// The feature's column.
    pub feature: String,
    /// Scenario by scenario, task by task; then the tasks over all rows.
    pub cells: Vec<ImportanceCell>,
}

/// What shuffling one feature costs one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportanceCell {
    /// The scenario; absent over all rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The task.
    pub task: String,
    /// AUC before less the mean AUC after; absent where the AUC is undefined.
    pub drop: Option<f64>,
    /// Standard deviation of that over shuffles.
    pub spread: Option<f64>,
}

/// Shuffles of each feature: enough to tell a drop from the luck of one.
const SHUFFLES: usize = 3;

pub(super) fn importance(
    model: &Model,
    sample: &Sample,
    options: &mut ScoreOptions<'_>,
) -> Result<Importance, TrainError> {
    let layout = &model.layout;
    let mut features = Vec::new();
    if sample.batch.rows > 0 {
        let mut scorer = Scorer::new(model);
        let before = aucs(layout, &sample.batch, scorer.score(&sample.batch));
        let mut batch = sample.batch.clone();
        let mut names: Vec<&str> = Vec::new();
        for feature in layout.slots.iter().map(|slot| slot.feature()) {
            if !names.contains(&feature) {
                names.push(feature);
            }
        }
        for (number, &feature) in names.iter().enumerate() {
            let mut after = Vec::with_capacity(SHUFFLES);
            for shuffle in 0..SHUFFLES {
                if is_stopped(options.stop) {
                    return Err(TrainError::InterruptedEarly);
                }
                shuffle_feature(&mut batch, layout, feature, order(model.seed, sample, feature, shuffle));
                after.push(aucs(layout, &sample.batch, scorer.score(&batch)));
                (options.progress)(((number * SHUFFLES + shuffle + 1) * batch.rows) as u64);
            }
            restore(&mut batch, &sample.batch, layout, feature);
            features.push(FeatureImportance { feature: feature.to_owned(), cells: cells(layout, &before, &after) });
        }
    }
    let tasks = layout.tasks.len();
    features.sort_by(|a, b| overall(b, tasks).total_cmp(&overall(a, tasks)));
    Ok(Importance { rows: sample.batch.rows as u64, shuffles: SHUFFLES, features })
}

/// Mean over tasks of what is lost over all rows, where it is defined.
fn overall(feature: &FeatureImportance, tasks: usize) -> f64 {
    let drops: Vec<f64> = feature.cells.iter().rev().take(tasks).filter_map(|cell| cell.drop).collect();
    if drops.is_empty() { f64::NEG_INFINITY } else { drops.iter().sum::<f64>() / drops.len() as f64 }
}

/// For each row the row of the same scenario whose value it gets.
fn order(seed: Seed, sample: &Sample, feature: &str, shuffle: usize) -> Vec<u32> {
    let draws = Seed(seed.stream(&format!("permutation importance of {feature}"), shuffle as u64));
    let mut order: Vec<u32> = (0..sample.batch.rows as u32).collect();
    for bounds in sample.batch.offsets.windows(2) {
        // By a random number each: ties, one in 2^64, keep their order.
        order[bounds[0]..bounds[1]].sort_by_cached_key(|&row| draws.stream("row", u64::from(row)));
    }
    order
}

/// Gives the columns of a feature the values of other rows.
fn shuffle_feature(batch: &mut Batch, layout: &Layout, feature: &str, order: Vec<u32>) {
    let columns = places(layout, feature);
    let all = std::mem::take(&mut batch.features);
    batch.features = columns.iter().map(|&place| all[place].clone()).collect();
    let shuffled = batch.take(&order).features;
    batch.features = all;
    for (place, column) in columns.into_iter().zip(shuffled) {
        batch.features[place] = column;
    }
}

fn restore(batch: &mut Batch, original: &Batch, layout: &Layout, feature: &str) {
    for place in places(layout, feature) {
        batch.features[place] = original.features[place].clone();
    }
}

fn places(layout: &Layout, feature: &str) -> Vec<usize> {
    let slots = layout.slots.iter().enumerate();
    slots.filter(|(_, slot)| slot.feature() == feature).map(|(place, _)| place).collect()
}

/// AUC of each scenario and task, scenario by scenario; then of each task over all rows.
fn aucs(layout: &Layout, batch: &Batch, scores: &[f32]) -> Vec<Option<f64>> {
    let (scenarios, tasks) = (layout.scenarios.len(), layout.tasks.len());
    let auc = |place: usize| {
        let (scenario, task) = (place / tasks, place % tasks);
        let rows =
            if scenario < scenarios { batch.offsets[scenario]..batch.offsets[scenario + 1] } else { 0..batch.rows };
        let at = rows.map(|row| row * tasks + task);
        let mut rows: Vec<(f32, bool)> = at.filter_map(|at| Some((scores[at], label(batch, at)?))).collect();
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        auc_of_sorted(rows.into_iter())
    };
    (0..(scenarios + 1) * tasks).into_par_iter().map(auc).collect()
}

fn cells(layout: &Layout, before: &[Option<f64>], after: &[Vec<Option<f64>>]) -> Vec<ImportanceCell> {
    let tasks = layout.tasks.len();
    let cell = |(place, before): (usize, &Option<f64>)| {
        let lost = |after: &Vec<Option<f64>>| Some((*before)? - after[place]?);
        let drops: Option<Vec<f64>> = after.iter().map(lost).collect();
        ImportanceCell {
            scenario: layout.scenarios.get(place / tasks).cloned(),
            task: layout.tasks[place % tasks].name.clone(),
            drop: drops.as_deref().and_then(mean),
            spread: drops.as_deref().and_then(variance).map(f64::sqrt),
        }
    };
    before.iter().enumerate().map(cell).collect()
}
