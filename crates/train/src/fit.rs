//! The fit: from an experiment to a run folder with a trained, evaluated, saved model.
//!
//! | file | what it does |
//! | --- | --- |
//! | `inputs` | opens the sources, resolves the split, fits the encoder |
//! | `session` | the loop over batches, with evaluations, log lines and checkpoints where they are due |
//! | `state` | the position of the loop, and its way into a checkpoint and back |
//! | `early_stop`, `meter`, `timing` | what is summed up on the way |
//! | `floors` | what another run reached and this one must not lose |
//! | `warm_start` | what a run takes over from another one, for scenarios that are new |
//! | `resume` | whether a run may be continued with this experiment |
//! | `finish` | the last evaluation with the best weights, the artefact, the files of results |

mod early_stop;
mod finish;
mod floors;
mod inputs;
mod meter;
mod observer;
mod resume;
mod session;
mod state;
mod timing;
mod warm_start;
mod warnings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use hinet_data::{Seed, StreamConfig, TrainStream};
use hinet_model::{Model, row_weights};
use hinet_tape::instructions;
use rayon::ThreadPool;

use crate::pool;
use crate::run_folder::{RunFolder, write_whole};
use crate::step::{Step, StepConfig};
use crate::{Experiment, Metrics, TrainError};
pub(crate) use finish::again;
pub(crate) use inputs::{Inputs, Shared, own_rows, part_of_run, test_of_run};
pub(crate) use resume::same_config;
use session::{Session, Start};
use state::State;
use warm_start::WarmStart;
pub use warm_start::{NewScenario, OldCell, WarmStarted};

pub use observer::{Evaluated, Observer, Progress, Quiet, RunSize, Stage, StepDone};
pub use timing::{Seconds, Timing, peak_rss_mb};

/// What surrounds a fit and does not change its result.
pub struct FitOptions<'a> {
    /// Continue the run in the folder, or start it if there is none. Without it an existing folder is refused.
    pub resume: bool,
    /// Set it to stop after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
}

/// What came of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The run folder.
    pub path: PathBuf,
    /// What `metrics.json` holds.
    pub metrics: Metrics,
    /// What `timing.json` holds.
    pub timing: Timing,
    /// Whether the run had ended before, so that nothing was done.
    pub was_finished: bool,
}

/// Trains, evaluates and saves a model into the folder `out`.
///
/// The same experiment on the same data with the same seed gives the same bytes in `model/`, `metrics.json` and
/// `history.jsonl`, whether or not it was interrupted and resumed in between.
///
/// # Errors
/// If the folder is there already (without `resume`), or holds a run of another experiment or other data (with it); if
/// the data cannot be read or encoded, a task has one class only, or the loss stops being a number; if a file cannot be
/// written; [`TrainError::Interrupted`] if the caller asked to stop.
pub fn fit(experiment: &Experiment, out: &Path, options: FitOptions<'_>) -> Result<Summary, TrainError> {
    fit_with(experiment, out, options, None)
}

/// Like [`fit`], with the data that several runs share. The scores of the test rows, where there are such, are kept then.
pub(crate) fn fit_with(
    experiment: &Experiment,
    out: &Path,
    options: FitOptions<'_>,
    shared: Option<&Shared>,
) -> Result<Summary, TrainError> {
    let folder = RunFolder::at(out);
    if folder.path().exists() {
        if !options.resume {
            return Err(TrainError::RunExists { path: out.to_owned() });
        }
        resume::check(&folder, experiment)?;
        if folder.is_finished() {
            return again(&folder, experiment.train.keep_checkpoint);
        }
    }
    let pool = Arc::new(pool::pool(experiment.train.threads)?);
    pool.install(|| run((experiment, shared), &folder, options, Arc::clone(&pool)))
}

fn run(
    (experiment, shared): (&Experiment, Option<&Shared>),
    folder: &RunFolder,
    options: FitOptions<'_>,
    pool: Arc<ThreadPool>,
) -> Result<Summary, TrainError> {
    options.observer.stage(Stage::Preparing);
    let begin = Instant::now();
    let warm = WarmStart::open(experiment)?;
    if let (Some(_), Some(warm)) = (shared, &experiment.train.warm_start) {
        let problem =
            "runs of a comparison or a search start from nothing: train it with `hinet train`, then compare the runs";
        return Err(TrainError::WarmStart { path: warm.run.clone(), problem: problem.to_owned() });
    }
    let (inputs, stream) = match shared {
        Some(shared) => (shared.inputs(folder)?, shared.stream.reconfigured(stream_config(experiment))),
        None => {
            let prepare = || Inputs::prepare(experiment)?.warm(warm.as_ref());
            let inputs = Inputs::resume(experiment, folder)?.map_or_else(prepare, Ok)?;
            let stream = inputs.stream(experiment)?;
            (Arc::new(inputs), stream)
        }
    };
    inputs.check_classes()?;
    let (step, starts) = new_step(experiment, &inputs, warm.as_ref(), pool)?;
    if crate::evaluate::is_stopped(options.stop) {
        return Err(TrainError::InterruptedEarly);
    }
    let is_new = !folder.path().exists();
    if is_new {
        folder.create()?;
    }
    let warm = warm.map(|warm| (warm, starts));
    let opened = Opened { experiment, folder, inputs: &inputs, stream, warm, keep_scores: shared.is_some(), begin };
    let result = opened.train(step, options);
    if is_new && result.is_err() {
        folder.discard_unless_resumable();
    }
    result
}

/// A run with its data at hand and its folder in place.
struct Opened<'a> {
    experiment: &'a Experiment,
    folder: &'a RunFolder,
    inputs: &'a Inputs,
    stream: TrainStream,
    /// The run it goes on from, and where new scenarios start.
    warm: Option<(WarmStart<'a>, Vec<NewScenario>)>,
    /// Whether the scores of the test rows stay in the folder.
    keep_scores: bool,
    begin: Instant,
}

impl Opened<'_> {
    fn train(&self, mut step: Step, mut options: FitOptions<'_>) -> Result<Summary, TrainError> {
        let &Opened { experiment, folder, inputs, ref stream, ref warm, keep_scores, begin } = self;
        write_whole(&folder.config(), experiment.to_toml().as_bytes())?;
        inputs.save(folder)?;
        let size = size_of(experiment, step.model());
        let loaded = State::load(&folder.checkpoint(), &mut step)?;
        let resumed_at = loaded.as_ref().map(|state| state.step);
        let mut state = loaded.unwrap_or_else(|| State::new(size.tasks.len()));
        state.timing.sessions += 1;
        state.timing.threads = rayon::current_num_threads();
        state.timing.instructions = instructions().unwrap_or_default().to_owned();
        state.timing.seconds.preparing += begin.elapsed().as_secs_f64();
        options.observer.stage(Stage::Training { size: &size, resumed_at });
        let mut session = Session::open(experiment, folder, inputs, &mut options, Start { step, state, size })?;
        if resumed_at.is_none() {
            warn_at_start(&mut session)?;
        }
        session.train(stream)?;
        finish::finish(session, warm.as_ref(), keep_scores)
    }
}

fn new_step(
    experiment: &Experiment,
    inputs: &Inputs,
    warm: Option<&WarmStart<'_>>,
    pool: Arc<ThreadPool>,
) -> Result<(Step, Vec<NewScenario>), TrainError> {
    let train = &experiment.train;
    let seed = Seed(train.seed);
    let (model, starts) = match warm {
        Some(warm) => warm.model(inputs, seed)?,
        None => (Model::new(inputs.encoder.layout().clone(), experiment.model.clone(), seed)?, Vec::new()),
    };
    let trained = warm.and_then(|warm| warm.trained(&model));
    let config = StepConfig {
        dense: train.dense.clone(),
        sparse: train.sparse.clone(),
        scenario_weight_power: train.scenario_weight_power,
        mask_loss: train.mask_loss,
        weighting: train.weighting.clone(),
        seed,
    };
    let mut step = Step::new(model, &config, Some(pool))?;
    if let Some(trained) = trained {
        step.freeze_all_but(trained);
    }
    Ok((step, starts))
}

fn stream_config(experiment: &Experiment) -> StreamConfig {
    StreamConfig {
        batch_rows: experiment.train.batch_size,
        shuffle_rows: experiment.data.shuffle_rows,
        cache_mb: experiment.data.cache_mb,
        seed: Seed(experiment.train.seed),
    }
}

fn size_of(experiment: &Experiment, model: &Model) -> RunSize {
    let train = &experiment.train;
    let rows = model.layout.train_rows();
    let steps = rows.div_ceil(train.batch_size.max(1) as u64) * train.epochs;
    RunSize {
        rows,
        scenarios: model.layout.scenarios.len(),
        tasks: model.layout.tasks.iter().map(|task| task.name.clone()).collect(),
        dense_parameters: model.dense_parameters(),
        embedding_parameters: model.embedding_parameters(),
        steps: train.max_steps.map_or(steps, |most| steps.min(most)),
    }
}

fn warn_at_start(session: &mut Session<'_, '_>) -> Result<(), TrainError> {
    let power = session.experiment.train.scenario_weight_power;
    let layout = &session.step.model().layout;
    let of_weights = warnings::of_weights(layout, &row_weights(layout, power), power);
    let of_parts = warnings::of_missing_parts(session.inputs.valid.is_some(), session.inputs.test.is_some());
    for warning in of_weights.into_iter().chain(of_parts.map(str::to_owned)) {
        session.warn(&warning)?;
    }
    Ok(())
}
