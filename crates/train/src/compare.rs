//! The comparison: several models on the same batches over several seeds, and what of their differences is beyond noise.
//!
//! | file | what it does |
//! | --- | --- |
//! | `result` | what comes out: `compare.json` |
//! | `queue` | trains what is not trained yet, several runs at a time |
//! | `widths` | scales widths until models have the same number of parameters |
//! | `finished` | opens runs that were trained elsewhere |
//! | `truth` | the test rows with their labels and users |
//! | `bootstrap` | AUC of every cell under resampled users |
//! | `contrast` | one model against another: differences, intervals, tests, verdicts |
//! | `pareto` | models that no other beats in every cell |
//! | `assemble` | all that as a [`Comparison`], and `compare.csv` |
//!
//! # How a difference is judged
//!
//! Each draw of the bootstrap resamples users (rows of one user depend on each other) and seeds; the deviation of a
//! difference over the draws is its standard error. It is held against Student's t, whose degrees of freedom follow from
//! how much of the error comes from the seeds (Welch and Satterthwaite), because few seeds tell little about their own
//! spread. The p of all cells is corrected by Holm, and what is below 5% then is better or worse, else within noise.

mod assemble;
mod bootstrap;
mod contrast;
mod finished;
mod pareto;
mod queue;
mod result;
mod truth;
mod widths;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use hinet_data::{replace_folder, write_synced};
use serde::{Deserialize, Serialize};

use crate::fit::{Inputs, Shared};
use crate::run_folder::{pretty, write_whole};
use crate::{Experiment, TrainError, comparison_page, pool};
use assemble::{Member, Settings};
use truth::Truth;

pub use queue::{CompareObserver, RunEvent, RunLine};
pub use result::{
    CellSpread, Comparison, Contrast, Difference, Interval, ModelResult, PairedT, ParetoRow, Resampling, RunResult,
    Seesaw, SeesawRow, Spread, Verdict,
};

/// The reference of the seesaw matrix where nobody names another.
const SINGLE: &str = "single";
/// What others are measured against where nobody names another.
const HINET: &str = "hinet";
/// The share of an interval.
const LEVEL: f64 = 0.95;

/// What to compare by, and what surrounds a comparison.
pub struct CompareOptions<'a> {
    /// The model that the others are tested against. Default: `hinet` if it is there, else the first.
    pub against: Option<String>,
    /// The model that the seesaw matrix is measured against. Default: `single` if it is there; without it there is no
    /// matrix.
    pub reference: Option<String>,
    /// Draws of the bootstrap.
    pub draws: usize,
    /// Threads that compute; 0 takes as many as the machine has cores. Results do not depend on it.
    pub threads: usize,
    /// Set it to stop.
    pub stop: &'a AtomicBool,
    /// Who watches.
    pub observer: &'a mut dyn CompareObserver,
}

/// What is trained, and where.
#[derive(Clone, Debug)]
pub struct CompareRuns {
    /// Name of the experiment.
    pub name: String,
    /// One per model, named after it; each is trained once per seed.
    pub models: Vec<Experiment>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The folder: a run goes to `<model>/seed-<seed>` below it.
    pub out: PathBuf,
    /// Continue what is in the folder.
    pub resume: bool,
    /// Scale the widths of all models but the first until their dense parameters are as many as the first one's.
    pub match_parameters: bool,
    /// Runs at a time; 0 takes as many as there are threads. Results do not depend on it.
    pub jobs: usize,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What `compare.json` holds.
    pub comparison: Comparison,
    /// What `compare.csv` holds: one line per model, seed, cell and metric.
    pub csv: String,
    /// What `timing.json` holds.
    pub timing: CompareTiming,
}

/// What differs whenever a comparison is repeated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompareTiming {
    /// By model, in their order.
    pub models: Vec<ModelTiming>,
    /// Seconds of this session: training, scoring and testing.
    pub seconds: f64,
    /// Of these: the bootstrap and the tests.
    pub testing: f64,
}

/// How fast the runs of one model were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelTiming {
    /// The model.
    pub model: String,
    /// Mean over its runs of the rows trained on per second; other runs may have run beside them.
    pub rows_per_second: f64,
    /// Seconds of training, all runs together.
    pub training: f64,
    /// Threads of the last run.
    pub threads: usize,
}

impl Compared {
    /// The files of a comparison's folder, by name.
    fn files(&self) -> [(&'static str, String); 4] {
        [
            (COMPARISON, self.comparison.to_json()),
            ("compare.csv", self.csv.clone()),
            ("timing.json", pretty(&self.timing)),
            ("report.html", comparison_page(&self.comparison, &self.timing)),
        ]
    }

    fn write_into(&self, folder: &Path) -> io::Result<()> {
        let write =
            |(name, text): (&str, String)| write_synced(&folder.join(name), |file| file.write_all(text.as_bytes()));
        self.files().into_iter().try_for_each(write)
    }
}

impl Comparison {
    /// The text of `compare.json`.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// Reads what [`Comparison::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is not such JSON.
    pub fn from_json(text: &str) -> Result<Comparison, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// Trains every model with every seed on the same batches, and compares them on the test rows.
///
/// A run of the same seed has the same batches whatever its model is (unless the model asks for another `batch_size`),
/// and the same first embeddings where tables have the same shape. All is written below `out`: the runs, `compare.json`,
/// `compare.csv` (the same bytes for the same input, also after a kill and `resume`), `timing.json` and `report.html`.
///
/// # Errors
/// If there are no test rows, a model cannot be matched, names meet, or a run fails;
/// [`TrainError::ComparisonStopped`] if the caller asked to stop.
pub fn compare(mut runs: CompareRuns, mut options: CompareOptions<'_>) -> Result<Compared, TrainError> {
    let begin = Instant::now();
    let settings = Settings::new(runs.models.iter().map(|model| model.name.clone()).collect(), &options)?;
    if runs.out.exists() && !runs.resume {
        return Err(TrainError::RunExists { path: runs.out });
    }
    if runs.seeds.is_empty() {
        return Err(comparison("there is no seed to train with, expected at least one"));
    }
    nothing_is_lost(&runs)?;
    options.observer.event(RunEvent::Reading);
    let (shared, truth) = pool::pool(options.threads)?.install(|| read(&runs.models[0], options.stop))?;
    let factors = widths::matched(&mut runs, shared.inputs.encoder.layout())?;
    let trained = queue::train(&runs, &shared, &mut options)?;
    drop(shared);
    let members = runs.models.iter().zip(factors).zip(trained);
    let members: Vec<Member> =
        members.map(|((model, width_factor), runs)| Member { name: model.name.clone(), width_factor, runs }).collect();
    let compared = judge(Group { name: runs.name, members, truth }, &settings, options, begin)?;
    for (name, text) in compared.files() {
        write_whole(&runs.out.join(name), text.as_bytes())?;
    }
    Ok(compared)
}

/// Refuses to write over a comparison of models or seeds that are not asked for any more.
fn nothing_is_lost(runs: &CompareRuns) -> Result<(), TrainError> {
    let path = runs.out.join(COMPARISON);
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    let Ok(before) = Comparison::from_json(&text) else { return Ok(()) };
    let here = runs.out.display();
    let other = "name all of them, or another folder with --out";
    for model in &before.models {
        if !runs.models.iter().any(|asked| asked.name == model.name) {
            return Err(comparison(format!("{here} compares `{}` too: {other}", model.name)));
        }
        if let Some(run) = model.runs.iter().find(|run| !runs.seeds.contains(&run.seed)) {
            return Err(comparison(format!("{here} compares seed {} too: {other}", run.seed)));
        }
    }
    let was_matched = before.models.iter().any(|model| model.width_factor.is_some());
    if before.models.len() > 1 && runs.match_parameters != was_matched {
        let was = if was_matched { "with" } else { "without" };
        return Err(comparison(format!("{here} was made {was} --match-parameters: name another folder with --out")));
    }
    Ok(())
}

const COMPARISON: &str = "compare.json";

/// Compares finished runs on the test rows that they share; runs that differ in nothing but their seed are one model.
///
/// `out` becomes a folder with what [`compare`] writes beside the runs, there whole or not at all; without it nothing is
/// written.
///
/// # Errors
/// If `out` is there already or cannot be written, if a folder is no finished run, or if the runs were not tested on the
/// same rows.
pub fn compare_runs(
    paths: &[PathBuf],
    out: Option<&Path>,
    options: CompareOptions<'_>,
) -> Result<Compared, TrainError> {
    let begin = Instant::now();
    if let Some(out) = out.filter(|out| out.exists()) {
        return Err(comparison(format!("{} exists already: name another folder with --out", out.display())));
    }
    options.observer.event(RunEvent::Reading);
    let group = pool::pool(options.threads)?.install(|| finished::open(paths, options.stop))?;
    let settings = Settings::new(group.members.iter().map(|member| member.name.clone()).collect(), &options)?;
    let compared = judge(group, &settings, options, begin)?;
    if let Some(out) = out {
        replace_folder(out, |new| compared.write_into(new)).map_err(TrainError::io(out))?;
    }
    Ok(compared)
}

/// Everything of a comparison that needs no more training.
struct Group {
    name: String,
    members: Vec<Member>,
    truth: Truth,
}

fn read(experiment: &Experiment, stop: &AtomicBool) -> Result<(Shared, Truth), TrainError> {
    let inputs = Inputs::prepare(experiment)?;
    let Some(test) = &inputs.test else { return Err(comparison(NO_TEST)) };
    let truth = Truth::read(test, &inputs.encoder, stop)?.ok_or(TrainError::InterruptedEarly)?;
    Ok((Shared::new(inputs, experiment)?, truth))
}

fn judge(
    group: Group,
    settings: &Settings,
    options: CompareOptions<'_>,
    begin: Instant,
) -> Result<Compared, TrainError> {
    options.observer.event(RunEvent::Testing);
    let testing = Instant::now();
    let comparison = pool::pool(options.threads)?.install(|| assemble::comparison(&group, settings, options.stop))?;
    let timing = CompareTiming {
        models: group.members.iter().map(Member::timing).collect(),
        seconds: begin.elapsed().as_secs_f64(),
        testing: testing.elapsed().as_secs_f64(),
    };
    Ok(Compared { comparison, csv: assemble::csv(&group.members), timing })
}

fn comparison(problem: impl Into<String>) -> TrainError {
    TrainError::Comparison { problem: problem.into() }
}

const NO_TEST: &str = "there are no test rows: give `data.test`, or `data.split` with a share for them";
