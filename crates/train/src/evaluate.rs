//! Metrics of a model over any rows, by the inference plan.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hinet_data::{Batch, Encoder, Need, Source, in_order};
use hinet_model::{Artefact, Model, Plan, PlanWorkspace};
use serde::Deserialize;

use crate::pool::pool;
use crate::run_folder::RunFolder;
use crate::{Metrics, MetricsBuilder, MetricsOptions, SplitMetrics, TrainError};

/// Rows scored at once. Scores do not depend on it.
pub(crate) const SCORED_ROWS: usize = 4096;

/// A finished run, opened to score rows.
pub struct Run {
    /// Where it lies.
    pub folder: RunFolder,
    /// The model with its encoder.
    pub artefact: Artefact,
    /// The k of NDCG@k in evaluations.
    pub ndcg_k: usize,
    /// Fewest rows of either class for a cell to enter the mean over cells.
    pub min_positives: u64,
}

/// What surrounds an evaluation or a prediction and does not change its result.
pub struct ScoreOptions<'a> {
    /// Threads that compute; 0 takes as many as the machine has cores.
    pub threads: usize,
    /// Set it to stop.
    pub stop: &'a AtomicBool,
    /// Told the rows done so far, now and then.
    pub progress: &'a mut (dyn FnMut(u64) + Send),
}

/// The few settings of a run's config that an evaluation repeats.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    train: TrainSettings,
}

#[derive(Deserialize)]
#[serde(default)]
struct TrainSettings {
    ndcg_k: usize,
    min_positives: u64,
}

impl Default for TrainSettings {
    fn default() -> TrainSettings {
        let train = crate::TrainConfig::default();
        TrainSettings { ndcg_k: train.ndcg_k, min_positives: train.min_positives }
    }
}

impl Run {
    /// Opens a run folder.
    ///
    /// # Errors
    /// If it is none, if its training has not finished, or if its artefact is damaged.
    pub fn open(path: &Path) -> Result<Run, TrainError> {
        let folder = RunFolder::at(path);
        let config = folder.config();
        if !config.is_file() {
            return Err(TrainError::NotARun { path: path.to_owned(), missing: "config.toml" });
        }
        if !folder.model().is_dir() {
            return Err(TrainError::NotFinished { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(&config).map_err(TrainError::io(&config))?;
        let Settings { train } = toml::from_str(&text)
            .map_err(|error| TrainError::Damaged { path: config, reason: error.message().to_owned() })?;
        let artefact = Artefact::load(&folder.model())?;
        Ok(Run { folder, artefact, ndcg_k: train.ndcg_k, min_positives: train.min_positives })
    }
}

/// The metrics of a run over the rows of a source, as the split `name`.
///
/// # Errors
/// If the rows cannot be read or encoded: a label or feature column is missing, a scenario is unknown and the schema
/// refuses it, ...
pub fn evaluate(run: &Run, source: &Source, name: &str, options: ScoreOptions<'_>) -> Result<Metrics, TrainError> {
    let model = &run.artefact.model;
    let metrics_options = MetricsOptions::new(&model.layout, run.ndcg_k, run.min_positives);
    let ScoreOptions { threads, stop, progress } = options;
    let split = pool(threads)?.install(|| {
        let mut rows = 0;
        Scorer::new(model).metrics(source, &run.artefact.encoder, metrics_options, &mut |batch, _scores| {
            rows += batch.rows as u64;
            progress(rows);
            !is_stopped(stop)
        })
    })?;
    let split = split.ok_or(TrainError::InterruptedEarly)?;
    Ok(Metrics { splits: BTreeMap::from([(name.to_owned(), split)]), ..Metrics::default() })
}

pub(crate) fn is_stopped(stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed)
}

/// A plan with its buffers.
pub(crate) struct Scorer<'m> {
    plan: Plan<'m>,
    workspace: PlanWorkspace,
    scores: Vec<f32>,
}

impl<'m> Scorer<'m> {
    pub(crate) fn new(model: &'m Model) -> Scorer<'m> {
        Scorer { plan: Plan::new(model), workspace: PlanWorkspace::default(), scores: Vec::new() }
    }

    /// Probabilities for a grouped batch, `[rows, tasks]`, in its order.
    pub(crate) fn score(&mut self, batch: &Batch) -> &[f32] {
        self.plan.score(&mut self.workspace, batch, &mut self.scores);
        &self.scores
    }

    /// The metrics over a source. `each` is told every batch with its scores and may end it: `None` then.
    pub(crate) fn metrics(
        &mut self,
        source: &Source,
        encoder: &Arc<Encoder>,
        options: MetricsOptions,
        each: &mut dyn FnMut(&Batch, &[f32]) -> bool,
    ) -> Result<Option<SplitMetrics>, TrainError> {
        Ok(self.gather(source, encoder, options, each)?.map(MetricsBuilder::finish))
    }

    /// The scored rows of a source, from which metrics can be made. `each` as in [`Scorer::metrics`].
    pub(crate) fn gather(
        &mut self,
        source: &Source,
        encoder: &Arc<Encoder>,
        options: MetricsOptions,
        each: &mut dyn FnMut(&Batch, &[f32]) -> bool,
    ) -> Result<Option<MetricsBuilder>, TrainError> {
        let mut builder = MetricsBuilder::new(options);
        for batch in in_order(source, Arc::clone(encoder), Need::Labels, SCORED_ROWS) {
            let batch = batch?;
            let scores = self.score(&batch);
            builder.push(&batch, scores)?;
            if !each(&batch, scores) {
                return Ok(None);
            }
        }
        Ok(Some(builder))
    }
}
