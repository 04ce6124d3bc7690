//! One trial: an ordinary fit in a folder of its own, on data that all trials share where they read it the same way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::TrialResult;
use super::schedule::Schedule;
use crate::experiment::Setting;
use crate::fit::{Inputs, Shared, fit_with};
use crate::{Experiment, FitOptions, Observer, Progress, Stage, Summary, TrainError};

/// What trials are trained with.
pub(super) struct Trainer<'a> {
    pub(super) base: &'a Experiment,
    pub(super) trials: &'a [(Setting, Experiment)],
    pub(super) schedule: Schedule,
    /// The data of the base.
    pub(super) shared: Arc<Shared>,
    /// Where trials that have not ended lie.
    pub(super) running: PathBuf,
    /// Threads of one trial.
    pub(super) threads: usize,
    pub(super) stop: &'a AtomicBool,
}

impl Trainer<'_> {
    /// Opens the data of the experiment; the test rows stay closed.
    pub(super) fn data(experiment: &Experiment) -> Result<Shared, TrainError> {
        let mut inputs = Inputs::prepare(experiment)?;
        inputs.test = None;
        Shared::new(inputs, experiment)
    }

    /// Trains a trial on a rung, or goes on with it; `warn` hears what the fit says.
    pub(super) fn train(
        &self,
        (trial, rung): (usize, u32),
        warn: &mut (dyn FnMut(&str) + Send),
    ) -> Result<TrialResult, TrainError> {
        let (setting, experiment) = &self.trials[trial];
        let own = if self.reads_as_base(experiment) { None } else { Some(Trainer::data(experiment)?) };
        let shared = own.as_ref().unwrap_or(&*self.shared);
        let mut experiment = experiment.clone();
        experiment.train.threads = self.threads;
        if rung + 1 < self.schedule.rungs {
            experiment.train.max_steps = Some(self.schedule.steps(rung, full_steps(&experiment, shared)));
        }
        let folder = self.running.join(format!("trial-{trial}-rung-{rung}"));
        let options = FitOptions { resume: true, stop: self.stop, observer: &mut Ears { warn } };
        let result = TrialResult { trial, rung, setting: setting.clone(), ..TrialResult::default() };
        match fit_with(&experiment, &folder, options, Some(shared)) {
            Ok(summary) => Ok(ended(result, &experiment, &summary)),
            Err(error) if error.is_interrupt() => Err(error),
            Err(error) => match diverged_at(&error) {
                Some(steps) => Ok(TrialResult { steps, problem: Some(error.to_string()), ..result }),
                None => Err(TrainError::Trial { trial, source: Box::new(error) }),
            },
        }
    }

    /// Removes the folder of a trial whose result was written down.
    pub(super) fn forget(&self, trial: usize, rung: u32) -> Result<(), TrainError> {
        remove(&self.running.join(format!("trial-{trial}-rung-{rung}")))
    }

    fn reads_as_base(&self, experiment: &Experiment) -> bool {
        let base = self.base;
        experiment.data == base.data && experiment.tasks == base.tasks && experiment.features == base.features
    }
}

/// Removes a folder, if it is there.
pub(super) fn remove(folder: &Path) -> Result<(), TrainError> {
    if folder.exists() { std::fs::remove_dir_all(folder).map_err(TrainError::io(folder)) } else { Ok(()) }
}

/// Steps of an experiment that nothing ends early.
fn full_steps(experiment: &Experiment, shared: &Shared) -> u64 {
    let train = &experiment.train;
    let rows = shared.inputs.encoder.layout().train_rows();
    let steps = rows.div_ceil(train.batch_size.max(1) as u64) * train.epochs;
    train.max_steps.map_or(steps, |most| steps.min(most))
}

/// The step at which numbers got out of hand: that is the setting's fault and no reason to end the search.
fn diverged_at(error: &TrainError) -> Option<u64> {
    if let TrainError::LossNotFinite { step, .. } | TrainError::GradientNotFinite { step, .. } = error {
        Some(*step)
    } else {
        None
    }
}

fn ended(result: TrialResult, experiment: &Experiment, summary: &Summary) -> TrialResult {
    let count = |key: &str| summary.metrics.about.get(key).and_then(serde_json::Value::as_u64).unwrap_or_default();
    let valid = summary.metrics.splits.get("valid");
    let metric = valid.and_then(|valid| experiment.monitor.as_ref()?.value(valid));
    let auc: BTreeMap<String, Option<f64>> =
        valid.into_iter().flat_map(|valid| &valid.overall).map(|cell| (cell.task.clone(), cell.auc)).collect();
    TrialResult { steps: count("steps"), best_step: count("best_step"), metric, auc, ..result }
}

/// Hears the warnings of a fit.
struct Ears<'a> {
    warn: &'a mut (dyn FnMut(&str) + Send),
}

impl Observer for Ears<'_> {
    fn stage(&mut self, _stage: Stage<'_>) {}
    fn progress(&mut self, _progress: &Progress<'_>) {}
    fn warn(&mut self, warning: &str) {
        (self.warn)(warning);
    }
}
