//! Runs that were trained elsewhere: which of them are one model, and their scores.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use hinet_data::Source;
use toml::{Table, Value};

use super::assemble::{Member, Scores, Trained};
use super::truth::Truth;
use super::{Group, NO_TEST, comparison};
use crate::evaluate::{Scorer, is_stopped};
use crate::fit::{again, test_of_run};
use crate::scores::{RowScores, RowScoresBuilder};
use crate::{MetricsOptions, Run, RunFolder, TrainError};

/// Keys of `[train]` that runs of one model may differ in.
const FREE: [&str; 5] = ["seed", "threads", "checkpoint_every", "keep_checkpoint", "example_rows"];

/// A finished run with what tells its model.
struct Opened {
    /// Its config, without what may differ within a model.
    config: Table,
    name: String,
    trained: Trained,
}

/// Opens the runs, groups them by model, and reads the test rows of the first.
pub(super) fn open(paths: &[PathBuf], stop: &AtomicBool) -> Result<Group, TrainError> {
    let Some(first) = paths.first() else { return Err(comparison("there is no run to compare")) };
    let opened = paths.iter().map(|path| opened(path)).collect::<Result<Vec<_>, _>>()?;
    let members = grouped(opened)?;
    let run = Run::open(first)?;
    let truth = Truth::read(&test_source(first)?, &run.artefact.encoder, stop)?.ok_or(TrainError::InterruptedEarly)?;
    let truth = Truth { of: first.display().to_string(), ..truth };
    Ok(Group { name: "runs".to_owned(), members, truth })
}

/// Scores the test rows of a run that has no file of their scores.
pub(super) fn score(path: &Path, stop: &AtomicBool) -> Result<RowScores, TrainError> {
    let mut run = Run::open(path)?;
    // As `metrics.json` has them, whether the run was calibrated since or not.
    run.artefact.model.set_calibration(None)?;
    let layout = &run.artefact.model.layout;
    let options = MetricsOptions::new(layout, run.ndcg_k, run.min_positives);
    let mut scores = RowScoresBuilder::new(layout);
    let mut each = |batch: &hinet_data::Batch, found: &[f32]| {
        scores.push(batch, found);
        !is_stopped(stop)
    };
    let scored =
        Scorer::new(&run.artefact.model).metrics(&test_source(path)?, &run.artefact.encoder, options, &mut each)?;
    scored.map(|_| scores.finish()).ok_or(TrainError::InterruptedEarly)
}

fn test_source(path: &Path) -> Result<Source, TrainError> {
    let folder = RunFolder::at(path);
    test_of_run(&folder.experiment()?, &folder)?.ok_or_else(|| comparison(format!("{}: {NO_TEST}", path.display())))
}

fn opened(path: &Path) -> Result<Opened, TrainError> {
    let folder = RunFolder::at(path);
    let config = folder.config();
    if !config.is_file() {
        return Err(TrainError::NotARun { path: path.to_owned(), missing: "config.toml" });
    }
    if !folder.is_finished() {
        return Err(TrainError::NotFinished { path: path.to_owned() });
    }
    let summary = again(&folder, true)?;
    let text = std::fs::read_to_string(&config).map_err(TrainError::io(&config))?;
    let mut config: Table = text.parse().map_err(|error: toml::de::Error| TrainError::Damaged {
        path: folder.config(),
        reason: error.message().to_owned(),
    })?;
    let name = config.get("name").and_then(Value::as_str).unwrap_or("model").to_owned();
    if let Some(Value::Table(train)) = config.get_mut("train") {
        FREE.iter().for_each(|key| drop(train.remove(*key)));
    }
    let seed = summary.metrics.about.get("seed").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let file = folder.test_scores();
    let scores = if file.is_file() { Scores::File(file) } else { Scores::OfRun(path.to_owned()) };
    let trained = Trained { seed, place: path.to_owned(), scores, metrics: summary.metrics, timing: summary.timing };
    Ok(Opened { config, name, trained })
}

/// Runs of the same config are one model. Models of one name are told apart by the folder of their first run.
fn grouped(opened: Vec<Opened>) -> Result<Vec<Member>, TrainError> {
    let mut groups: Vec<(Table, Member)> = Vec::new();
    for Opened { config, name, trained } in opened {
        let at = groups.iter().position(|(other, _)| *other == config).unwrap_or_else(|| {
            groups.push((config, Member { name, width_factor: None, runs: Vec::new() }));
            groups.len() - 1
        });
        let runs = &mut groups[at].1.runs;
        if let Some(other) = runs.iter().find(|other| other.seed == trained.seed) {
            let (one, other, seed) = (trained.place.display(), other.place.display(), trained.seed);
            return Err(comparison(format!("{other} and {one} are the same config with the same seed {seed}")));
        }
        runs.push(trained);
    }
    let mut members: Vec<Member> = groups.into_iter().map(|(_, member)| member).collect();
    members.iter_mut().for_each(|member| member.runs.sort_by_key(|run| run.seed));
    let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    for member in &mut members {
        if names.iter().filter(|name| **name == member.name).count() > 1 {
            let folder = member.runs[0].place.file_name().unwrap_or_default().to_string_lossy().into_owned();
            member.name = format!("{} ({folder})", member.name);
        }
    }
    Ok(members)
}
