//! A run that goes on from another one, with scenarios that the other did not know.
//!
//! The new run has the other's features, tasks and model. What it trains starts where the other ended; what a new scenario
//! owns starts as that of an old one, or as their mean ([`NewScenarios`]). A new scenario has no place among the old ones
//! before its rows were looked at: the nearest is the one whose experts, attention and heads fit its rows best, by their
//! log loss. Its row of SAN then starts as the nearest one's too.

use std::collections::BTreeMap;

use hinet_data::{Batch, Column, Encoder, Need, Seed, Source, in_order};
use hinet_model::{Model, ModelConfig, Origin};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::Inputs;
use crate::evaluate::{SCORED_ROWS, Scorer};
use crate::experiment::{Experiment, NewScenarios, WarmStartConfig};
use crate::metrics::{Cell, SplitMetrics, loss_of};
use crate::{MetricsBuilder, MetricsOptions, Run, TrainError};

/// Rows of each new scenario that the nearest old one is found by, at most.
const ROWS: usize = 4096;

/// The run that another one goes on from.
pub(crate) struct WarmStart<'a> {
    config: &'a WarmStartConfig,
    run: Run,
}

/// What a run took over from another one, and what became of the cells of old scenarios: `warm_start` in `metrics.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WarmStarted {
    /// What was asked for.
    pub config: WarmStartConfig,
    /// Scenarios that the other run did not know.
    pub new_scenarios: Vec<NewScenario>,
    /// The rows that `cells` are measured on; absent where there are neither test nor validation rows.
    pub part: Option<String>,
    /// One per scenario and task of the other run.
    pub cells: Vec<OldCell>,
}

/// Where a new scenario started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewScenario {
    /// Its name.
    pub scenario: String,
    /// The old scenario that it started like; absent for the mean, and where nothing was taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Log loss of its first rows, summed over tasks, by each old scenario.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub losses: BTreeMap<String, f64>,
}

/// A cell of an old scenario before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OldCell {
    /// The scenario.
    pub scenario: String,
    /// The task.
    pub task: String,
    /// Rows whose label was observed.
    pub rows: u64,
    /// AUC by the model of the other run; absent where the rows are of one class.
    pub before: Option<f64>,
    /// AUC by this run's.
    pub after: Option<f64>,
}

impl WarmStart<'_> {
    /// Opens the run that an experiment goes on from, if it does.
    ///
    /// # Errors
    /// If it cannot be opened, or has another model.
    pub(crate) fn open(experiment: &Experiment) -> Result<Option<WarmStart<'_>>, TrainError> {
        let Some(config) = &experiment.train.warm_start else { return Ok(None) };
        let run = Run::open(&config.run)?;
        let (there, here) = (&run.artefact.model.config, &experiment.model);
        // How tables are drawn at first plays no part any more.
        let same = ModelConfig { embedding: here.embedding.clone(), ..there.clone() };
        if same == *here {
            return Ok(Some(WarmStart { config, run }));
        }
        let problem = "its model is another than that of this experiment: give `[model]` as its config.toml has it";
        Err(TrainError::WarmStart { path: config.run.clone(), problem: problem.to_owned() })
    }

    pub(crate) fn config(&self) -> &WarmStartConfig {
        self.config
    }

    fn base(&self) -> &Model {
        &self.run.artefact.model
    }

    /// The encoder of the run with what this one's rows have besides.
    pub(crate) fn encoder(&self, fitted: &Encoder) -> Result<Encoder, TrainError> {
        Ok(self.run.artefact.encoder.grown(fitted)?)
    }

    /// The model to begin with, and where new scenarios start.
    pub(crate) fn model(&self, inputs: &Inputs, seed: Seed) -> Result<(Model, Vec<NewScenario>), TrainError> {
        let layout = inputs.encoder.layout();
        let old = self.base().layout.scenarios.len();
        let new = &layout.scenarios[old..];
        let grown = |origins: &[Origin]| self.base().grown(layout.clone(), origins, seed);
        let start = |name: &String| NewScenario { scenario: name.clone(), like: None, losses: BTreeMap::new() };
        let mut starts: Vec<NewScenario> = new.iter().map(start).collect();
        let origins = match self.config.new_scenarios {
            NewScenarios::Mean => vec![Origin::Mean; new.len()],
            NewScenarios::Fresh => vec![Origin::Fresh; new.len()],
            NewScenarios::Nearest => {
                let losses = losses(&grown(&vec![Origin::Fresh; new.len()])?, inputs, old)?;
                let nearest =
                    |losses: &Vec<f64>| (0..old).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap_or(0);
                let nearest: Vec<usize> = losses.iter().map(nearest).collect();
                for ((start, losses), &nearest) in starts.iter_mut().zip(losses).zip(&nearest) {
                    start.like = Some(layout.scenarios[nearest].clone());
                    start.losses = layout.scenarios.iter().cloned().zip(losses).collect();
                }
                nearest.into_iter().map(Origin::Like).collect()
            }
        };
        Ok((grown(&origins)?, starts))
    }

    /// Where in the dense parameters lies what new scenarios own, if nothing else is to be trained.
    pub(crate) fn trained(&self, model: &Model) -> Option<Vec<std::ops::Range<usize>>> {
        self.config.freeze.then(|| model.owned_from(self.base().layout.scenarios.len()))
    }

    /// Old cells on rows that the run is measured on, by the model of the other run and by this one.
    pub(crate) fn cells(
        &self,
        (source, encoder): (&Source, &Arc<Encoder>),
        after: &SplitMetrics,
    ) -> Result<Vec<OldCell>, TrainError> {
        let before = self.before(source, encoder)?;
        let cell = |cell: &Cell| {
            let scenario = cell.scenario.clone()?;
            let after = after.cell(Some(&scenario), &cell.task);
            let after = after.and_then(|cell| cell.auc);
            Some(OldCell { scenario, task: cell.task.clone(), rows: cell.rows, before: cell.auc, after })
        };
        Ok(before.cells.iter().filter_map(cell).collect())
    }

    fn before(&self, source: &Source, encoder: &Arc<Encoder>) -> Result<SplitMetrics, TrainError> {
        let base = self.base();
        let mut builder =
            MetricsBuilder::new(MetricsOptions::new(&base.layout, self.run.ndcg_k, self.run.min_positives));
        let mut scorer = Scorer::new(base);
        for batch in in_order(source, Arc::clone(encoder), Need::Labels, SCORED_ROWS) {
            let batch = known_to(base, &batch?);
            if batch.rows > 0 {
                builder.push(&batch, scorer.score(&batch))?;
            }
        }
        Ok(builder.finish())
    }
}

/// Rows of scenarios that a model knows, with ids that it does not know as unseen ones.
fn known_to(base: &Model, batch: &Batch) -> Batch {
    let scenarios = base.layout.scenarios.len();
    let rows: Vec<u32> =
        (0_u32..).zip(&batch.scenario).filter(|(_, id)| usize::from(**id) < scenarios).map(|(row, _)| row).collect();
    let mut batch = batch.take(&rows);
    for (column, slot) in batch.features.iter_mut().zip(&base.layout.slots) {
        let Some(table) = slot.table() else { continue };
        let known = base.layout.tables[table].rows as u32;
        let (Column::Ids(ids) | Column::Bag { ids, .. }) = column else { continue };
        ids.iter_mut().filter(|id| **id >= known).for_each(|id| *id = 1);
    }
    batch.grouped(base.layout.groups())
}

/// Log loss of each new scenario's first rows by the parts of each old one, summed over tasks.
fn losses(model: &Model, inputs: &Inputs, old: usize) -> Result<Vec<Vec<f64>>, TrainError> {
    let (tasks, scenarios) = (model.layout.tasks.len(), model.layout.scenarios.len());
    let wanted = |scenario: usize| (model.layout.scenario_rows[scenario] as usize).min(ROWS);
    let mut taken = vec![0; scenarios];
    let mut sums = vec![vec![vec![(0.0, 0_u64); tasks]; old]; scenarios - old];
    let mut scorer = Scorer::new(model);
    for batch in in_order(&inputs.train, Arc::clone(&inputs.encoder), Need::Labels, SCORED_ROWS) {
        let batch = batch?;
        for new in old..scenarios {
            let rows = batch.offsets[new]..batch.offsets[new + 1];
            let rows: Vec<u32> = rows.take(wanted(new) - taken[new]).map(|row| row as u32).collect();
            taken[new] += rows.len();
            let mut part = batch.take(&rows);
            for (like, sums) in sums[new - old].iter_mut().enumerate().filter(|_| !rows.is_empty()) {
                part.scenario.fill(like as u16);
                let grouped = part.grouped(model.layout.groups());
                add_losses(&grouped, scorer.score(&grouped), sums);
            }
        }
        if (old..scenarios).all(|new| taken[new] >= wanted(new)) {
            break;
        }
    }
    let mean = |sums: &Vec<(f64, u64)>| sums.iter().map(|&(sum, rows)| sum / rows.max(1) as f64).sum::<f64>();
    Ok(sums.iter().map(|by_old| by_old.iter().map(mean).collect()).collect())
}

fn add_losses(batch: &Batch, scores: &[f32], sums: &mut [(f64, u64)]) {
    let tasks = sums.len();
    for at in (0..batch.rows * tasks).filter(|&at| batch.observed[at]) {
        let (sum, rows) = &mut sums[at % tasks];
        (*sum, *rows) = (*sum + loss_of(scores[at], batch.labels[at] > 0.5), *rows + 1);
    }
}
