//! Runs, tests and counts as a [`Comparison`], and as CSV.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use hinet_data::Seed;
use rayon::prelude::*;
use serde_json::Value;

use super::bootstrap::Draws;
use super::contrast::{Columns, Side, contrast};
use super::result::{
    CellSpread, Comparison, Contrast, Difference, ModelResult, Resampling, RunResult, Seesaw, SeesawRow, Spread,
    Verdict,
};
use super::truth::Truth;
use super::{CompareOptions, Group, HINET, LEVEL, ModelTiming, SINGLE, comparison as refused};
use super::{finished, pareto};
use crate::evaluate::is_stopped;
use crate::metrics::{has_enough, number, quoted};
use crate::scores::RowScores;
use crate::{Cell, Metrics, SplitMetrics, Timing, TrainError, UNKNOWN_SCENARIO};

/// Every resampling comes from this number, so that the same runs give the same intervals.
const SEED: Seed = Seed(0);
/// Fewer draws tell nothing of the deviation that they are for.
const FEWEST_DRAWS: usize = 100;

/// What is compared with what.
pub(super) struct Settings {
    against: String,
    reference: Option<String>,
    draws: usize,
}

/// One model with its runs.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) width_factor: Option<f64>,
    pub(super) runs: Vec<Trained>,
}

/// A run that has ended.
pub(super) struct Trained {
    pub(super) seed: u64,
    /// Its folder as it is shown.
    pub(super) place: PathBuf,
    pub(super) scores: Scores,
    pub(super) metrics: Metrics,
    pub(super) timing: Timing,
}

/// Where the scores of a run's test rows are.
pub(super) enum Scores {
    /// In a file.
    File(PathBuf),
    /// Nowhere: the run in this folder has to score them.
    OfRun(PathBuf),
}

impl Settings {
    /// Checks the names.
    pub(super) fn new(names: Vec<String>, options: &CompareOptions<'_>) -> Result<Settings, TrainError> {
        let Some(first) = names.first() else { return Err(refused("there is no model to compare")) };
        if let Some((at, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(refused(format!("model {} is called `{name}` like one before it", at + 1)));
        }
        let strange = |name: &&String| name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']);
        if let Some(name) = names.iter().find(strange) {
            return Err(refused(format!("{name:?} cannot be a folder's name: call the model something else")));
        }
        let there = |option: &str, name: &Option<String>| match name {
            Some(name) if !names.contains(name) => {
                Err(refused(format!("{option} names `{name}`, which is not compared; there are {}", names.join(", "))))
            }
            name => Ok(name.clone()),
        };
        let usual = |name: &str| names.iter().find(|other| *other == name).cloned();
        let against = there("--against", &options.against)?.or_else(|| usual(HINET)).unwrap_or_else(|| first.clone());
        let reference = there("--reference", &options.reference)?.or_else(|| usual(SINGLE));
        if options.draws < FEWEST_DRAWS {
            return Err(refused(format!("expected at least {FEWEST_DRAWS} draws, found {}", options.draws)));
        }
        Ok(Settings { against, reference, draws: options.draws })
    }
}

impl Member {
    pub(super) fn timing(&self) -> ModelTiming {
        let timings = || self.runs.iter().map(|run| &run.timing);
        ModelTiming {
            model: self.name.clone(),
            rows_per_second: timings().map(|timing| timing.rows_per_second).sum::<f64>() / self.runs.len() as f64,
            training: timings().map(|timing| timing.seconds.training).sum(),
            threads: timings().next_back().map_or(0, |timing| timing.threads),
        }
    }
}

impl Trained {
    /// The metrics of the test rows.
    fn test(&self) -> Result<&SplitMetrics, TrainError> {
        let missing = || refused(format!("{}: it was not tested: it has no test rows", self.place.display()));
        self.metrics.splits.get("test").ok_or_else(missing)
    }
}

/// Everything that is the same whenever the comparison is repeated.
pub(super) fn comparison(group: &Group, settings: &Settings, stop: &AtomicBool) -> Result<Comparison, TrainError> {
    let Group { name, members, truth } = group;
    let first = members[0].runs[0].test()?;
    let columns = columns(first, truth, settings.draws);
    let sides = members.iter().map(|member| side(member, &columns, truth, stop)).collect::<Result<Vec<_>, _>>()?;
    let against = |base: &str| -> Vec<Contrast> {
        let base = sides.iter().find(|side| side.name == base).expect("settings name models that are there");
        sides.par_iter().filter(|side| side.name != base.name).map(|side| contrast(side, base, &columns)).collect()
    };
    let contrasts = against(&settings.against);
    let seesaw = settings.reference.as_ref().map(|reference| Seesaw {
        reference: reference.clone(),
        rows: against(reference).into_iter().map(SeesawRow::new).collect(),
    });
    let notes = notes(settings, truth, &columns, &contrasts);
    let models: Vec<ModelResult> = members.iter().map(|member| model(member, &columns)).collect::<Result<_, _>>()?;
    Ok(Comparison {
        name: name.clone(),
        rows: truth.rows() as u64,
        scenarios: truth.scenarios.clone(),
        tasks: truth.tasks.clone(),
        pareto: pareto::rows(&models, columns.min_positives),
        models,
        resampling: Resampling {
            unit: if truth.by_user { "user" } else { "row" }.to_owned(),
            units: truth.units as u64,
            draws: settings.draws as u64,
            level: LEVEL,
            min_positives: columns.min_positives,
        },
        against: settings.against.clone(),
        contrasts,
        seesaw,
        notes,
    })
}

/// The cells and tasks, in the order of the truth.
fn columns(first: &SplitMetrics, truth: &Truth, draws: usize) -> Columns {
    let names = truth.scenarios.iter().map(String::as_str).chain([UNKNOWN_SCENARIO]).take(truth.groups);
    let names: Vec<Option<&str>> = names.map(Some).chain([None]).collect();
    let column = |scenario: Option<&str>, task: &String| {
        let cell = first.cell(scenario, task).cloned().unwrap_or_default();
        Difference {
            scenario: scenario.map(str::to_owned),
            task: Some(task.clone()),
            rows: cell.rows,
            positives: cell.positives,
            ..Difference::default()
        }
    };
    let columns = names.iter().flat_map(|scenario| truth.tasks.iter().map(|task| column(*scenario, task)));
    Columns {
        columns: columns.collect(),
        cells: truth.groups * truth.tasks.len(),
        min_positives: first.min_positives.max(1),
        draws,
        seed: SEED,
    }
}

/// The AUC of every column of one run.
fn aucs(run: &Trained, columns: &Columns) -> Result<Vec<Option<f64>>, TrainError> {
    let test = run.test()?;
    let auc = |column: &Difference| {
        test.cell(column.scenario.as_deref(), column.task.as_deref().unwrap_or_default()).and_then(|cell| cell.auc)
    };
    Ok(columns.columns.iter().map(auc).collect())
}

/// Counts all draws of a model's runs.
fn side(member: &Member, columns: &Columns, truth: &Truth, stop: &AtomicBool) -> Result<Side, TrainError> {
    let mut draws = Vec::new();
    for run in &member.runs {
        if is_stopped(stop) {
            return Err(TrainError::InterruptedEarly);
        }
        let RowScores { fingerprint, tasks } = match &run.scores {
            Scores::File(path) => RowScores::read(path)?,
            Scores::OfRun(path) => finished::score(path, stop)?,
        };
        if let Some(difference) = truth.fingerprint.difference(&fingerprint) {
            let (first, other) = (&truth.of, run.place.display());
            return Err(refused(format!("{first} and {other} were not tested on the same rows: {difference}")));
        }
        let scores = truth.tasks.iter().map(|task| {
            let found = tasks.iter().find(|(name, _)| name == task);
            found.map(|(_, scores)| scores.as_slice()).expect("the fingerprint names the same tasks")
        });
        draws.push(Draws::count(truth, &scores.collect::<Vec<_>>(), columns.draws, columns.seed));
    }
    Ok(Side {
        name: member.name.clone(),
        seeds: member.runs.iter().map(|run| run.seed).collect(),
        aucs: member.runs.iter().map(|run| aucs(run, columns)).collect::<Result<_, _>>()?,
        draws,
    })
}

fn model(member: &Member, columns: &Columns) -> Result<ModelResult, TrainError> {
    let runs = &member.runs;
    let aucs = runs.iter().map(|run| aucs(run, columns)).collect::<Result<Vec<_>, _>>()?;
    let cell = |(at, column): (usize, &Difference)| CellSpread {
        scenario: column.scenario.clone(),
        task: column.task.clone().unwrap_or_default(),
        rows: column.rows,
        positives: column.positives,
        auc: Spread::of(aucs.iter().map(|run| run[at]).collect()),
    };
    let mut cells: Vec<CellSpread> = columns.columns.iter().enumerate().map(cell).collect();
    let overall = cells.split_off(columns.cells);
    let about = |key: &str| runs[0].metrics.about.get("model").and_then(|model| model.get(key));
    let count = |key: &str| about(key).and_then(Value::as_u64).unwrap_or_default();
    let text = |key: &str| about(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let spread = |part: &str, value: fn(&SplitMetrics) -> Option<f64>| {
        Spread::of(runs.iter().map(|run| run.metrics.splits.get(part).and_then(value)).collect())
    };
    Ok(ModelResult {
        name: member.name.clone(),
        preset: text("preset"),
        recipe: text("recipe"),
        dense_parameters: count("dense_parameters"),
        embedding_parameters: count("embedding_parameters"),
        flops_per_row: count("flops_per_row"),
        width_factor: member.width_factor,
        valid_mean_auc: spread("valid", |split| split.mean_auc),
        mean_auc: spread("test", |split| split.mean_auc),
        mean_cell_auc: spread("test", |split| split.mean_cell_auc),
        overall,
        cells,
        runs: runs.iter().map(run_result).collect(),
    })
}

fn run_result(run: &Trained) -> RunResult {
    let best_step = run.metrics.about.get("best_step").and_then(Value::as_u64);
    RunResult { seed: run.seed, path: run.place.clone(), best_step }
}

impl SeesawRow {
    fn new(contrast: Contrast) -> SeesawRow {
        let count = |family: &[Difference], verdict: Verdict| {
            family.iter().filter(|difference| difference.verdict == verdict).count() as u64
        };
        let [gained, lost] = [Verdict::Better, Verdict::Worse].map(|verdict| count(&contrast.cells, verdict));
        let [gained_tasks, lost_tasks] =
            [Verdict::Better, Verdict::Worse].map(|verdict| count(&contrast.overall, verdict));
        let paid = |gained: u64, lost: u64| if gained > 0 { lost } else { 0 };
        let (seesaws, task_seesaws) = (paid(gained, lost), paid(gained_tasks, lost_tasks));
        SeesawRow { contrast, gained, lost, seesaws, gained_tasks, lost_tasks, task_seesaws }
    }
}

fn notes(settings: &Settings, truth: &Truth, columns: &Columns, contrasts: &[Contrast]) -> Vec<String> {
    let mut notes = Vec::new();
    if !truth.by_user {
        notes.push(
            "Every row is resampled for itself, because `data.user` names no column: where rows of one user depend on \
             each other, intervals are narrower than they should be."
                .to_owned(),
        );
    }
    if contrasts.iter().any(|contrast| contrast.pairs < 2) {
        notes.push(
            "With one seed there is no test over seeds: intervals say what other users would do to these trained models, \
             not what training them anew would."
                .to_owned(),
        );
    }
    let cells = &columns.columns[..columns.cells];
    let few = cells.iter().filter(|cell| !has_enough(cell.rows, cell.positives, columns.min_positives));
    let few = few.count();
    if few > 0 {
        let least = columns.min_positives;
        let all = columns.cells;
        notes.push(format!("{few} of {all} cells have fewer than {least} rows of either class: they are not tested."));
    }
    if settings.reference.is_none() {
        notes.push(format!(
            "There is no seesaw matrix, because `{SINGLE}` (a network for each cell) is not among the models: add it, or \
             name another with --reference."
        ));
    }
    notes
}

/// One line per model, seed, scenario, task and metric of the test rows; the scenario is empty over all scenarios, the
/// task too for means.
pub(super) fn csv(members: &[Member]) -> String {
    let mut text = String::from("model,seed,scenario,task,metric,value\n");
    for member in members {
        for run in &member.runs {
            let mut line = |scenario: &str, task: &str, metric: &str, value: Option<f64>| {
                let names = [quoted(&member.name), run.seed.to_string(), quoted(scenario), quoted(task)].join(",");
                text.push_str(&format!("{names},{metric},{}\n", number(value)));
            };
            for (part, split) in &run.metrics.splits {
                let prefix = if part == "test" { String::new() } else { format!("{part}_") };
                line("", "", &format!("{prefix}mean_auc"), split.mean_auc);
                line("", "", &format!("{prefix}mean_cell_auc"), split.mean_cell_auc);
            }
            let Some(split) = run.metrics.splits.get("test") else { continue };
            for cell in split.cells.iter().chain(&split.overall) {
                for (metric, value) in numbers(cell) {
                    line(cell.scenario.as_deref().unwrap_or(""), &cell.task, metric, value);
                }
            }
        }
    }
    text
}

fn numbers(cell: &Cell) -> [(&'static str, Option<f64>); 9] {
    [
        ("rows", Some(cell.rows as f64)),
        ("positives", Some(cell.positives as f64)),
        ("auc", cell.auc),
        ("gauc", cell.gauc),
        ("logloss", cell.logloss),
        ("pcoc", cell.pcoc),
        ("ece", cell.ece),
        ("ndcg", cell.ndcg),
        ("mrr", cell.mrr),
    ]
}
