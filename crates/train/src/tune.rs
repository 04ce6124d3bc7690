//! `hinet tune`: many settings of one experiment, chosen by what they reach on the validation rows.
//!
//! | file | what it does |
//! | --- | --- |
//! | `space` | which settings are tried |
//! | `schedule` | which of them train for how long |
//! | `search` | rung by rung, each trial once |
//! | `trainer` | one trial: a fit on the data that trials share |
//! | `journal` | `trials.jsonl`: what has ended, for good |
//! | `result` | `tune.json`, and the same as CSV |

mod journal;
mod result;
mod schedule;
mod search;
mod space;
mod trainer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use hinet_data::Seed;
use serde::Serialize;

use crate::experiment::{Setting, TuneConfig, TuneStrategy, Tuning};
use crate::fit::{Shared, same_config};
use crate::run_folder::{RunFolder, write_whole};
use crate::{Experiment, Monitor, TrainError, pool};
use journal::Journal;
use schedule::Schedule;
use search::{Search, State};
use trainer::{Trainer, remove};

pub use result::{TrialResult, TuneResult};

/// What surrounds a search and does not change its result.
pub struct TuneOptions<'a> {
    /// Continue the search in the folder, or start it if there is none. Without it an existing folder is refused.
    pub resume: bool,
    /// Trials at a time; 0 takes as many as there are threads.
    pub jobs: usize,
    /// Threads that compute; 0 takes as many as the machine has cores.
    pub threads: usize,
    /// Set it to stop: trials under way write a checkpoint.
    pub stop: &'a AtomicBool,
    /// Who watches.
    pub observer: &'a mut dyn TuneObserver,
}

/// Watches a search. It is never called from two threads at once.
pub trait TuneObserver: Send {
    /// Something happened.
    fn event(&mut self, event: TuneEvent<'_>);
}

/// What happens during a search.
#[derive(Clone, Copy, Debug)]
pub enum TuneEvent<'a> {
    /// The data is read and the encoder fitted.
    Reading,
    /// Of several models, the next one is tuned.
    Model {
        /// What it is called.
        name: &'a str,
        /// Its place among them, from 1.
        number: usize,
        /// Models in all.
        models: usize,
    },
    /// Trials begin.
    Rung {
        /// The rung, from 0.
        rung: u32,
        /// Rungs in all.
        rungs: u32,
        /// Trials on it.
        trials: usize,
        /// Trials at a time.
        jobs: usize,
    },
    /// A trial says something that the user should know; each thing is told once.
    Warning(&'a str),
    /// A trial has ended, now or before.
    Done(&'a TrialLine),
}

/// A trial that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialLine {
    /// Trials of this rung that have ended, with this one.
    pub done: usize,
    /// Trials of this rung.
    pub trials: usize,
    /// What came of it.
    pub result: TrialResult,
    /// Whether it is the best of this rung so far.
    pub is_best: bool,
    /// The metric of the best one of this rung so far.
    pub best: Option<f64>,
    /// Whether it had ended before.
    pub was_done: bool,
    /// Estimate of the seconds until this rung ends; unknown before a trial has.
    pub seconds_left: Option<f64>,
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// What `tune.json` holds.
    pub result: TuneResult,
    /// The experiment of the best setting, as `best.toml` has it.
    pub best: Experiment,
    /// Where `best.toml` is.
    pub path: PathBuf,
}

/// Tries settings on the training rows and keeps the one that does best on the validation rows. The test rows are not
/// looked at.
///
/// Below `out`: `config.toml` as resolved, `trials.jsonl`, and at the end `tune.json` and `best.toml`. The same experiment
/// on the same data gives the same bytes in the latter two, whatever runs side by side and however often it was stopped
/// and continued.
///
/// # Errors
/// If the folder is there already (without `resume`) or holds another search (with it), a setting contradicts itself, the
/// data cannot be used, or no trial reaches a defined metric; [`TrainError::TuningStopped`] if the caller asked to stop.
pub fn tune(tuning: &Tuning, out: &Path, mut options: TuneOptions<'_>) -> Result<Tuned, TrainError> {
    let threads = options.threads;
    let read = |observer: &mut dyn TuneObserver| data(&tuning.experiment, threads, observer);
    tune_on(&read, tuning, out, &mut options)
}

/// Tunes several models of one experiment, one after the other and each with what its own [`Tuning`] allows, on data that
/// is read once. Below `out`: what [`tune`] writes, in a folder for each model, and the best setting of each as
/// `<model>.toml`, so that the folder is what a comparison of tuned models takes.
///
/// # Errors
/// Like [`tune`].
pub fn tune_models(tunings: &[Tuning], out: &Path, mut options: TuneOptions<'_>) -> Result<Vec<Tuned>, TrainError> {
    let Some(first) = tunings.first() else { return Ok(Vec::new()) };
    if out.exists() && !options.resume {
        return Err(TrainError::RunExists { path: out.to_owned() });
    }
    let shared = data(&first.experiment, options.threads, options.observer)?;
    options.resume = true;
    let mut all = Vec::new();
    for (index, tuning) in tunings.iter().enumerate() {
        let name = tuning.experiment.name.as_str();
        options.observer.event(TuneEvent::Model { name, number: index + 1, models: tunings.len() });
        let mut tuned =
            tune_on(&|_| Ok(Arc::clone(&shared)), tuning, &out.join(name), &mut options).inspect_err(|_| {
                // Takes it away only if nothing is in it.
                let _ = std::fs::remove_dir(out);
            })?;
        let path = out.join(format!("{name}.toml"));
        write_whole(&path, best_config(&tuned.result, &tuned.best).as_bytes())?;
        tuned.path = path;
        all.push(tuned);
    }
    Ok(all)
}

/// Opens the data of an experiment.
fn data(experiment: &Experiment, threads: usize, observer: &mut dyn TuneObserver) -> Result<Arc<Shared>, TrainError> {
    observer.event(TuneEvent::Reading);
    let shared = pool::pool(threads)?.install(|| Trainer::data(experiment))?;
    shared.inputs.check_classes()?;
    Ok(Arc::new(shared))
}

/// Reads the data once it is known that the folder can be used.
type Read<'a> = &'a dyn Fn(&mut dyn TuneObserver) -> Result<Arc<Shared>, TrainError>;

fn tune_on(read: Read<'_>, tuning: &Tuning, out: &Path, options: &mut TuneOptions<'_>) -> Result<Tuned, TrainError> {
    let experiment = &tuning.experiment;
    let settings = space::settings(&tuning.config, Seed(experiment.train.seed));
    let settings = settings.map_err(|problem| TrainError::Tuning { problem })?;
    let with_experiment = |setting: Setting| Ok((setting.clone(), tuning.experiment(&setting)?));
    let trials: Vec<(Setting, Experiment)> =
        settings.into_iter().map(with_experiment).collect::<Result<_, TrainError>>()?;
    let folder = RunFolder::at(out);
    let is_new = !folder.path().exists();
    if !is_new {
        if !options.resume {
            return Err(TrainError::RunExists { path: out.to_owned() });
        }
        let begun = folder.config().is_file();
        if begun {
            same_config(&folder, &written(tuning), free(&tuning.config))?;
        } else if !folder.is_unbegun()? {
            return Err(TrainError::NotARun { path: out.to_owned(), missing: "config.toml" });
        }
    }
    let shared = read(options.observer)?;
    shared.inputs(&folder)?;
    if is_new {
        folder.create()?;
    }
    let result = search(tuning, &trials, shared, &folder, options);
    let failed = result.as_ref().is_err_and(|error| !error.is_interrupt());
    if is_new && failed {
        discard_unless_begun(&folder);
    }
    result
}

/// The trials themselves, in a folder that is there.
fn search(
    tuning: &Tuning,
    trials: &[(Setting, Experiment)],
    shared: Arc<Shared>,
    folder: &RunFolder,
    options: &mut TuneOptions<'_>,
) -> Result<Tuned, TrainError> {
    let experiment = &tuning.experiment;
    write_whole(&folder.config(), written(tuning).as_bytes())?;
    shared.inputs.save_record(folder)?;
    let (at_a_time, threads) = pool::shares(options.threads, options.jobs, trials.len());
    let schedule = Schedule::new(&tuning.config);
    let trainer = Trainer {
        base: experiment,
        trials,
        schedule,
        shared,
        running: folder.path().join(RUNNING),
        threads,
        stop: options.stop,
    };
    let search = Search {
        out: folder.path(),
        schedule,
        trials: trials.len(),
        at_a_time,
        larger_is_better: monitor(experiment).larger_is_better(),
        stop: options.stop,
        state: Mutex::new(State {
            journal: Journal::open(&folder.path().join(JOURNAL))?,
            observer: &mut *options.observer,
        }),
    };
    let warned = Mutex::new(BTreeSet::new());
    let warn = |warning: &str| {
        if warned.lock().is_ok_and(|mut warned| warned.insert(warning.to_owned())) {
            search.state().observer.event(TuneEvent::Warning(warning));
        }
    };
    let train = |trial, rung| trainer.train((trial, rung), &mut |warning| warn(warning));
    let best = search.run(&train, &|trial, rung| trainer.forget(trial, rung))?;
    remove(&trainer.running)?;
    let results = search.state().journal.results().to_vec();
    conclude(tuning, (&best, results), &trials[best.trial].1, folder)
}

/// Writes down what came of it.
fn conclude(
    tuning: &Tuning,
    (best, mut trials): (&TrialResult, Vec<TrialResult>),
    experiment: &Experiment,
    folder: &RunFolder,
) -> Result<Tuned, TrainError> {
    trials.sort_by_key(|result| (result.trial, result.rung));
    let monitor = monitor(&tuning.experiment);
    let result = TuneResult {
        name: experiment.name.clone(),
        strategy: tuning.config.strategy,
        monitor: monitor.to_string(),
        larger_is_better: monitor.larger_is_better(),
        seed: experiment.train.seed,
        best: best.trial,
        trials,
    };
    let path = folder.path().join("best.toml");
    write_whole(&path, best_config(&result, experiment).as_bytes())?;
    write_whole(&folder.path().join("tune.json"), result.to_json().as_bytes())?;
    Ok(Tuned { result, best: experiment.clone(), path })
}

fn monitor(experiment: &Experiment) -> &Monitor {
    experiment.monitor.as_ref().expect("a search without one is refused when its file is read")
}

const JOURNAL: &str = "trials.jsonl";
const RUNNING: &str = "running";

/// What more may change when a search goes on: more trials of a random search are more of the same draws.
fn free(config: &TuneConfig) -> &'static [&'static str] {
    if config.strategy == TuneStrategy::Random { &["tune.trials"] } else { &[] }
}

/// The experiment as resolved, with what is tried.
fn written(tuning: &Tuning) -> String {
    #[derive(Serialize)]
    struct Tail<'a> {
        tune: &'a TuneConfig,
    }
    let tail = toml::to_string(&Tail { tune: &tuning.config }).expect("it came from TOML");
    format!("{}\n{tail}", tuning.experiment.to_toml())
}

fn best_config(result: &TuneResult, experiment: &Experiment) -> String {
    let TuneResult { best: trial, monitor, .. } = result;
    let best = result.winner();
    let metric = best.metric.map_or_else(|| "undefined".to_owned(), |metric| format!("{metric:.5}"));
    let setting: String = best.setting.keys().map(|key| format!("#   {key} = {}\n", best.value(key))).collect();
    format!("# Chosen by `hinet tune`: trial {trial}, {monitor} {metric} on valid.\n{setting}{}", experiment.to_toml())
}

/// Takes a search's folder away in which no trial has ended or left a checkpoint.
fn discard_unless_begun(folder: &RunFolder) {
    let path = folder.path();
    let running = path.join(RUNNING);
    // Removes what is empty only, since trials without a checkpoint take their folders away.
    let _ = std::fs::remove_dir(&running);
    if running.exists() || std::fs::metadata(path.join(JOURNAL)).is_ok_and(|file| file.len() > 0) {
        return;
    }
    for file in [folder.config(), folder.split(), path.join(JOURNAL)] {
        let _ = std::fs::remove_file(file);
    }
    let _ = std::fs::remove_dir(path);
}
