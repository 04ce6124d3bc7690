//! What can go wrong while fitting, evaluating or predicting.

use std::path::{Path, PathBuf};

use hinet_data::DataError;
use hinet_model::ModelError;
use hinet_tape::OptimiserError;

use crate::{ExperimentError, MetricsError};

/// An error of this crate. The message says what was found where, what was expected, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The config of a trial whose values contradict one another.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A search that cannot be, or came to nothing.
    #[error("{problem}")]
    Tuning {
        /// What is in its way.
        problem: String,
    },
    /// A trial of a search that failed.
    #[error("trial {trial}: {source}")]
    Trial {
        /// The trial.
        trial: usize,
        /// What went wrong.
        source: Box<TrainError>,
    },
    /// The caller asked to stop a search.
    #[error("stopped after {done} trials; continue with --resume --out {}", path.display())]
    TuningStopped {
        /// Trials that have ended.
        done: usize,
        /// The search's folder.
        path: PathBuf,
    },
    /// A run that another one cannot go on from.
    #[error("train.warm_start: {}: {problem}", path.display())]
    WarmStart {
        /// The folder of that run.
        path: PathBuf,
        /// What is in its way.
        problem: String,
    },
    /// The data, or what the config says about it.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model's configuration, or its files.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The settings of an optimiser.
    #[error("train.dense or train.sparse: {0}")]
    Optimiser(#[from] OptimiserError),
    /// Scores that are no probabilities.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A file or folder that could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// `--out` names something that is there already.
    #[error("{} exists already: name another folder with --out, or continue this run with --resume", path.display())]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that no run was written to.
    #[error("{} is no run folder: it has no `{missing}`", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file that every run folder has.
        missing: &'static str,
    },
    /// A run whose training has not ended.
    #[error("{} has no model yet: its training has not ended; continue it with --resume", path.display())]
    NotFinished {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused to start threads.
    #[error("cannot start {threads} threads: {reason}; try fewer with --threads")]
    Threads {
        /// How many were asked for; 0 is one per core.
        threads: usize,
        /// What the system says.
        reason: String,
    },
    /// A run that is resumed with another config.
    #[error(
        "{}: cannot resume with another config: `{key}` was {was} and is now {now}; set it back, or start a new run with another --out", path.display()
    )]
    ConfigChanged {
        /// The run folder.
        path: PathBuf,
        /// The first key that differs, dotted.
        key: String,
        /// Its value in the run folder.
        was: String,
        /// Its value now.
        now: String,
    },
    /// A run that is resumed on other data.
    #[error("{}: cannot resume on other data: {} was {was} when the run began and is {now} now; start a new run with another --out", path.display(), file.display())]
    DataChanged {
        /// The run folder.
        path: PathBuf,
        /// The data file.
        file: PathBuf,
        /// Its size when the run began, or that it was not there.
        was: String,
        /// Its size now, or that it is not there.
        now: String,
    },
    /// A file of the run folder that does not hold what it should.
    #[error("{}: damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A part of the data without a single row.
    #[error("{part} has no rows: {hint}")]
    NoRows {
        /// `train`, `valid` or `test`.
        part: &'static str,
        /// What to look at.
        hint: &'static str,
    },
    /// A part of a run's own data that there is not.
    #[error("{} was trained without {part} rows: name files", path.display())]
    NoPart {
        /// The run folder.
        path: PathBuf,
        /// `valid` or `test`.
        part: &'static str,
    },
    /// Rows that no curve of calibration can be fitted on.
    #[error(
        "no task can be calibrated: the best has {} rows, {} of them positive, and {rows} are needed with {of_a_class} of either class; name more --data", found.0, found.1
    )]
    TooFewToCalibrate {
        /// Rows of the task that has most, and its positive ones.
        found: (u64, u64),
        /// Fewest rows.
        rows: u64,
        /// Fewest rows of either class.
        of_a_class: u64,
    },
    /// A task that has nothing to tell apart.
    #[error(
        "task `{task}`: {found} over the {rows} rows of train where it is observed; check its `label` and `where`, or remove the task"
    )]
    OneClass {
        /// The task.
        task: String,
        /// Such as `every label is 0`.
        found: &'static str,
        /// Rows of train where the task is observed.
        rows: u64,
    },
    /// Rows on which a trained model could not be evaluated.
    #[error(
        "{source}\nthe model is trained and saved: mend the {part} rows, then hinet evaluate {} --data FILES", path.display()
    )]
    NotEvaluated {
        /// The run folder, which holds the model.
        path: PathBuf,
        /// `valid` or `test`.
        part: &'static str,
        /// What went wrong.
        source: Box<TrainError>,
    },
    /// A loss that is no number any more.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}, batch {batch}, task `{task}`): lower `train.dense.learning_rate` or `train.sparse.learning_rate`, set `train.dense.clip` to 1, or look for huge values in numeric columns without a bounded transform (`quantile` bounds them) and in the weight column"
    )]
    LossNotFinite {
        /// NaN or an infinity.
        loss: f32,
        /// Step, from 1.
        step: u64,
        /// Epoch, from 1.
        epoch: u64,
        /// Batch within the epoch, from 1.
        batch: u64,
        /// The first task whose loss is not finite.
        task: String,
    },
    /// Gradients that are no numbers any more.
    #[error(
        "the gradients became {norm} at step {step} (epoch {epoch}, batch {batch}): lower `train.dense.learning_rate` or `train.sparse.learning_rate`, set `train.dense.clip` to 1, or look for huge values in numeric columns without a bounded transform (`quantile` bounds them) and in the weight column"
    )]
    GradientNotFinite {
        /// Their norm: NaN or infinity.
        norm: f64,
        /// Step, from 1.
        step: u64,
        /// Epoch, from 1.
        epoch: u64,
        /// Batch within the epoch, from 1.
        batch: u64,
    },
    /// The caller asked to stop.
    #[error("stopped at step {step}; continue with --resume --out {}", path.display())]
    Interrupted {
        /// Steps done.
        step: u64,
        /// The run folder, which holds a checkpoint.
        path: PathBuf,
    },
    /// A comparison that cannot be.
    #[error("{problem}")]
    Comparison {
        /// What is in its way, and what to do.
        problem: String,
    },
    /// A run of a comparison that failed.
    #[error("{model}, seed {seed}: {source}")]
    Compared {
        /// The model.
        model: String,
        /// The seed.
        seed: u64,
        /// What went wrong.
        source: Box<TrainError>,
    },
    /// The caller asked to stop a comparison.
    #[error("stopped after {done} of {runs} runs; continue with --resume --out {}", path.display())]
    ComparisonStopped {
        /// Runs that have ended.
        done: usize,
        /// Runs in all.
        runs: usize,
        /// The comparison's folder.
        path: PathBuf,
    },
    /// The caller asked to stop before there was anything to keep.
    #[error("stopped before the first step; nothing was written")]
    InterruptedEarly,
    /// An output file whose ending says no format.
    #[error("{}: the ending must be .parquet, .csv or .jsonl", path.display())]
    OutputFormat {
        /// The file.
        path: PathBuf,
    },
    /// An output file in a folder that is not there.
    #[error("{}: there is no folder {}: make it, or name another", path.display(), folder.display())]
    OutputFolder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// An output column that would be there twice.
    #[error("the output would have two columns `{column}`: leave it out of --keep, or rename it in the data")]
    OutputColumn {
        /// The column.
        column: String,
    },
    /// Predictions that could not be written.
    #[error("{}: {reason}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the writer says.
        reason: String,
    },
}

/// What an error is about, for callers that tell kinds apart without knowing every variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What the experiment says.
    Config,
    /// A row, a column, or a file of rows that is not what it should be.
    Data,
    /// The files of a trained model, or what cannot be done with it.
    Model,
    /// A run folder: there already, of another experiment, not finished, damaged.
    Run,
    /// Training came to nothing: a task of one class, a loss that is no number.
    Training,
    /// The system: a file that cannot be read or written, threads that cannot be had.
    System,
    /// The caller asked to stop.
    Interrupted,
}

impl TrainError {
    /// What the error is about.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            TrainError::Compared { source, .. }
            | TrainError::Trial { source, .. }
            | TrainError::NotEvaluated { source, .. } => source.kind(),
            TrainError::Data(error) => of_data(error),
            TrainError::Model(error) => of_model(error),
            TrainError::Optimiser(_)
            | TrainError::Comparison { .. }
            | TrainError::Experiment(_)
            | TrainError::WarmStart { .. }
            | TrainError::Tuning { .. }
            | TrainError::OutputFormat { .. }
            | TrainError::OutputColumn { .. } => ErrorKind::Config,
            TrainError::NoRows { .. } | TrainError::TooFewToCalibrate { .. } => ErrorKind::Data,
            TrainError::RunExists { .. }
            | TrainError::NotARun { .. }
            | TrainError::NotFinished { .. }
            | TrainError::NoPart { .. }
            | TrainError::ConfigChanged { .. }
            | TrainError::DataChanged { .. }
            | TrainError::Damaged { .. } => ErrorKind::Run,
            TrainError::Metrics(_)
            | TrainError::OneClass { .. }
            | TrainError::LossNotFinite { .. }
            | TrainError::GradientNotFinite { .. } => ErrorKind::Training,
            TrainError::Io { .. }
            | TrainError::Threads { .. }
            | TrainError::OutputFolder { .. }
            | TrainError::Output { .. } => ErrorKind::System,
            TrainError::Interrupted { .. }
            | TrainError::InterruptedEarly
            | TrainError::ComparisonStopped { .. }
            | TrainError::TuningStopped { .. } => ErrorKind::Interrupted,
        }
    }

    /// The error about data that this one is, or was caused by.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others say nothing of data")]
    pub fn about_data(&self) -> Option<&DataError> {
        match self {
            TrainError::Data(error) | TrainError::Model(ModelError::Data(error)) => Some(error),
            TrainError::Compared { source, .. }
            | TrainError::Trial { source, .. }
            | TrainError::NotEvaluated { source, .. } => source.about_data(),
            _ => None,
        }
    }

    /// Whether the user asked for something impossible (exit code 2), rather than something failing (exit code 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            TrainError::Data(error) => error.is_usage(),
            TrainError::Model(error) => error.is_usage(),
            TrainError::Compared { source, .. }
            | TrainError::Trial { source, .. }
            | TrainError::NotEvaluated { source, .. } => source.is_usage(),
            TrainError::Optimiser(_)
            | TrainError::Comparison { .. }
            | TrainError::Experiment(_)
            | TrainError::WarmStart { .. }
            | TrainError::RunExists { .. }
            | TrainError::NotARun { .. }
            | TrainError::NotFinished { .. }
            | TrainError::NoPart { .. }
            | TrainError::ConfigChanged { .. }
            | TrainError::OutputFormat { .. }
            | TrainError::OutputFolder { .. }
            | TrainError::OutputColumn { .. } => true,
            TrainError::Metrics(_)
            | TrainError::Io { .. }
            | TrainError::Threads { .. }
            | TrainError::DataChanged { .. }
            | TrainError::Damaged { .. }
            | TrainError::NoRows { .. }
            | TrainError::TooFewToCalibrate { .. }
            | TrainError::OneClass { .. }
            | TrainError::LossNotFinite { .. }
            | TrainError::GradientNotFinite { .. }
            | TrainError::Interrupted { .. }
            | TrainError::InterruptedEarly
            | TrainError::ComparisonStopped { .. }
            | TrainError::Tuning { .. }
            | TrainError::TuningStopped { .. }
            | TrainError::Output { .. } => false,
        }
    }

    /// Whether the caller asked to stop (exit code 130).
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        matches!(
            self,
            TrainError::Interrupted { .. }
                | TrainError::InterruptedEarly
                | TrainError::ComparisonStopped { .. }
                | TrainError::TuningStopped { .. }
        )
    }

    /// For `map_err`: an [`TrainError::Io`] about this file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> TrainError + '_ {
        |source| TrainError::Io { path: path.to_owned(), source }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others are about rows, columns and files of rows")]
fn of_data(error: &DataError) -> ErrorKind {
    match error {
        DataError::Config { .. } | DataError::Expression { .. } => ErrorKind::Config,
        DataError::Io { .. } | DataError::NotFound { .. } => ErrorKind::System,
        _ => ErrorKind::Data,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others are about the model and its files")]
fn of_model(error: &ModelError) -> ErrorKind {
    match error {
        ModelError::UnknownOption { .. } | ModelError::BadOption { .. } => ErrorKind::Config,
        ModelError::Data(error) => of_data(error),
        ModelError::Io(_) => ErrorKind::System,
        _ => ErrorKind::Model,
    }
}
