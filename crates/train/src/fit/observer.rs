//! What a fit tells whoever watches it.

use crate::metrics::SplitMetrics;
use crate::step::TaskLoss;

/// Watches a fit: a progress bar, a log, a notebook.
///
/// It may be called from a thread of the fit's pool, never from two at once.
pub trait Observer: Send {
    /// A part of the work begins.
    fn stage(&mut self, stage: Stage<'_>);

    /// Some steps were done: every `log_every` steps and at least a few times a second on slow steps.
    fn progress(&mut self, progress: &Progress<'_>);

    /// Something that the user should know and that does not stop the fit.
    fn warn(&mut self, warning: &str);

    /// A step was done.
    fn step(&mut self, _step: &StepDone<'_>) {}

    /// Whether training shall end now as if its epochs were over, with the best weights evaluated and saved. Asked after each step and
    /// each evaluation.
    fn is_enough(&mut self) -> bool {
        false
    }
}

/// The parts of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage<'a> {
    /// Finding the files, resolving the split, fitting the encoder on train.
    Preparing,
    /// Training begins.
    Training {
        /// What is trained.
        size: &'a RunSize,
        /// Steps done before, when a run is continued.
        resumed_at: Option<u64>,
    },
    /// Scoring a part of the data (`valid` or `test`).
    Evaluating {
        /// Which part.
        part: &'a str,
        /// Steps done.
        step: u64,
    },
    /// An evaluation ended.
    Evaluated(&'a Evaluated<'a>),
    /// Writing the artefact.
    Saving,
}

/// How large a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSize {
    /// Rows of train.
    pub rows: u64,
    /// Scenarios.
    pub scenarios: usize,
    /// The tasks' names.
    pub tasks: Vec<String>,
    /// Parameters outside the embedding tables.
    pub dense_parameters: usize,
    /// Parameters in the embedding tables.
    pub embedding_parameters: usize,
    /// Steps until the end, unless it stops early.
    pub steps: u64,
}

/// Where a fit stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress<'a> {
    /// Steps done.
    pub step: u64,
    /// Steps until the end, unless it stops early.
    pub steps: u64,
    /// Epoch, from 1.
    pub epoch: u64,
    /// Epochs until the end, unless it stops early.
    pub epochs: u64,
    /// Mean loss of each task since the last report, parallel to [`RunSize::tasks`]; `None` where no label was observed.
    pub losses: &'a [Option<f64>],
    /// Learning rate of the dense parameters.
    pub learning_rate: f32,
    /// Rows per second since the last report.
    pub rows_per_second: f64,
    /// Seconds of training so far, without evaluations.
    pub seconds: f64,
    /// Estimate of the seconds of training left.
    pub seconds_left: f64,
}

/// A step of training that was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepDone<'a> {
    /// Steps done, this one included.
    pub step: u64,
    /// Epoch, from 1.
    pub epoch: u64,
    /// Rows of the batch.
    pub rows: usize,
    /// Loss of each task, parallel to [`RunSize::tasks`].
    pub losses: &'a [TaskLoss],
    /// Learning rate of the dense parameters in this step.
    pub learning_rate: f32,
}

/// Result of an evaluation while training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluated<'a> {
    /// Which part: `valid` or `test`.
    pub part: &'a str,
    /// Steps done.
    pub step: u64,
    /// Name of the metric that is watched.
    pub monitor: &'a str,
    /// Its value; `None` where it is undefined.
    pub metric: Option<f64>,
    /// Whether it is the best so far.
    pub best: bool,
    /// All that was measured.
    pub metrics: &'a SplitMetrics,
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Observer for Quiet {
    fn stage(&mut self, _stage: Stage<'_>) {}
    fn progress(&mut self, _progress: &Progress<'_>) {}
    fn warn(&mut self, _warning: &str) {}
}
