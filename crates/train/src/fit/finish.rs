//! The end of a fit: the best weights, evaluated once more and saved.

use std::collections::BTreeMap;
use std::time::Instant;

use hinet_model::{Artefact, zoo};
use serde_json::{Value, json};

use super::floors::BelowFloor;
use super::session::Session;
use super::warm_start::{NewScenario, WarmStart, WarmStarted};
use super::{Stage, Summary, warnings};
use crate::run_folder::{RunFolder, pretty, write_whole};
use crate::scores::RowScoresBuilder;
use crate::{Metrics, TrainError, inspect, write_report};

/// Saves the artefact, evaluates the best weights on valid and test, and writes the results, with the scores of test row
/// by row if they are to be kept; `metrics.json` comes last and marks the run as finished, and the page is made from all of
/// them. The artefact comes first: a row of test that cannot be read must not cost the training.
pub(crate) fn finish(
    mut session: Session<'_, '_>,
    warm: Option<&(WarmStart<'_>, Vec<NewScenario>)>,
    keep_scores: bool,
) -> Result<Summary, TrainError> {
    let folder = session.folder;
    if session.experiment.train.keep_checkpoint {
        session.checkpoint()?;
    }
    session.load_best()?;
    session.options.observer.stage(Stage::Saving);
    let begin = Instant::now();
    let model = (&*session.inputs.encoder, session.step.model());
    Artefact::save(&folder.model(), &session.experiment.name, model, &session.examples)?;
    let saving = begin.elapsed().as_secs_f64();
    let mut metrics = Metrics { splits: BTreeMap::new(), about: about(&session) };
    let inputs = session.inputs;
    let mut scores = keep_scores.then(|| RowScoresBuilder::new(inputs.encoder.layout()));
    let mut reliability = BTreeMap::new();
    for (part, source) in [("valid", &inputs.valid), ("test", &inputs.test)] {
        let Some(source) = source else { continue };
        let kept = scores.as_mut().filter(|_| part == "test");
        let gathered = session.gather(part, source, kept).map_err(|source| not_evaluated(folder, part, source))?;
        let Some(gathered) = gathered else { return Err(session.interrupt()) };
        reliability.insert(part, gathered.reliability());
        metrics.splits.insert(part.to_owned(), gathered.finish());
    }
    let below = beside_others(&session, warm, &mut metrics)?;
    // Logged only now: had the caller asked to stop before, the lines would be written twice.
    for (part, split) in &metrics.splits {
        session.log_final(part, split)?;
    }
    if !below.is_empty() {
        session.warn(&warnings::of_floors(&below))?;
    }
    let begin = Instant::now();
    if let Some(scores) = scores.filter(|_| inputs.test.is_some()) {
        scores.finish().write(&folder.test_scores())?;
    }
    write_whole(&folder.calibration(), pretty(&reliability).as_bytes())?;
    write_inspection(&session)?;
    session.note_seconds();
    let mut timing = session.state.timing.clone();
    timing.seconds.saving += saving + begin.elapsed().as_secs_f64();
    timing.finish(session.state.rows);
    write_whole(&folder.timing(), pretty(&timing).as_bytes())?;
    write_whole(&folder.metrics(), metrics.to_json().as_bytes())?;
    write_report(folder)?;
    if !session.experiment.train.keep_checkpoint {
        remove_checkpoint(folder)?;
    }
    Ok(Summary { path: folder.path().to_owned(), metrics, timing, was_finished: false })
}

/// Notes how the run stands beside the one that it goes on from, and the one whose cells are its floors; gives the cells below
/// theirs.
fn beside_others(
    session: &Session<'_, '_>,
    warm: Option<&(WarmStart<'_>, Vec<NewScenario>)>,
    metrics: &mut Metrics,
) -> Result<Vec<BelowFloor>, TrainError> {
    if let Some(warm) = warm {
        let warm = about_warm_start(session, warm, metrics)?;
        metrics.about.insert("warm_start".to_owned(), json!(warm));
    }
    let Some(floors) = &session.floors else { return Ok(Vec::new()) };
    let below = metrics.splits.get("valid").map_or_else(Vec::new, |valid| floors.below(valid));
    metrics.about.insert("below_floor".to_owned(), json!(below));
    Ok(below)
}

/// Where new scenarios started, and what became of the cells of old ones.
fn about_warm_start(
    session: &Session<'_, '_>,
    (warm, starts): &(WarmStart<'_>, Vec<NewScenario>),
    metrics: &Metrics,
) -> Result<WarmStarted, TrainError> {
    let inputs = session.inputs;
    let parts = [("test", inputs.test.as_ref()), ("valid", inputs.valid.as_ref())];
    let found = parts.into_iter().find_map(|(part, source)| Some((part, source?, metrics.splits.get(part)?)));
    let (part, cells) = match found {
        Some((part, source, after)) => (Some(part.to_owned()), warm.cells((source, &inputs.encoder), after)?),
        None => (None, Vec::new()),
    };
    Ok(WarmStarted { config: warm.config().clone(), new_scenarios: starts.clone(), part, cells })
}

/// The model is safe, though `part` could not be evaluated.
fn not_evaluated(folder: &RunFolder, part: &'static str, source: TrainError) -> TrainError {
    TrainError::NotEvaluated { path: folder.path().to_owned(), part, source: Box::new(source) }
}

/// A look inside on the rows that the run is measured on.
fn write_inspection(session: &Session<'_, '_>) -> Result<(), TrainError> {
    let inputs = session.inputs;
    let parts = [("test", inputs.test.as_ref()), ("valid", inputs.valid.as_ref())];
    let found = parts.into_iter().find_map(|(part, source)| Some((part, source?)));
    let rows = found.unwrap_or(("train", &inputs.train));
    inspect::at_end(session.step.model(), &inputs.encoder, rows)?.save(session.folder)
}

/// The summary of a run that ended before; writes its page if a kill had prevented that, and removes the checkpoint if a kill had left it.
pub(crate) fn again(folder: &RunFolder, keep_checkpoint: bool) -> Result<Summary, TrainError> {
    let damaged = |path, error: serde_json::Error| TrainError::Damaged { path, reason: error.to_string() };
    let text = |path| std::fs::read_to_string(&path).map_err(|source| TrainError::Io { path, source });
    let metrics = Metrics::from_json(&text(folder.metrics())?).map_err(|error| damaged(folder.metrics(), error))?;
    let timing = serde_json::from_str(&text(folder.timing())?).map_err(|error| damaged(folder.timing(), error))?;
    if !folder.report().is_file() {
        write_report(folder)?;
    }
    if !keep_checkpoint {
        remove_checkpoint(folder)?;
    }
    Ok(Summary { path: folder.path().to_owned(), metrics, timing, was_finished: true })
}

fn remove_checkpoint(folder: &RunFolder) -> Result<(), TrainError> {
    let path = folder.checkpoint();
    if path.exists() { std::fs::remove_dir_all(&path).map_err(TrainError::io(&path)) } else { Ok(()) }
}

/// Facts of the run that are the same whenever it is repeated.
fn about(session: &Session<'_, '_>) -> BTreeMap<String, Value> {
    let (experiment, state, model) = (session.experiment, &session.state, session.step.model());
    let best = state.best.step.unwrap_or(state.step);
    let preset = experiment.preset.as_deref().and_then(|name| zoo::find(name).ok());
    let recipe = preset.map_or("-", |preset| preset.recipe);
    let model = json!({
        "preset": experiment.preset,
        "recipe": recipe,
        "scenario_layer": model.config.scenario.kind(),
        "task_layer": model.config.task.kind(),
        "dense_parameters": model.dense_parameters(),
        "embedding_parameters": model.embedding_parameters(),
        "flops_per_row": model.flops_per_row(),
    });
    let facts = [
        ("name", json!(experiment.name)),
        ("model", model),
        ("seed", json!(experiment.train.seed)),
        ("train_rows", json!(session.size.rows)),
        ("rows_trained", json!(state.rows)),
        ("steps", json!(state.step)),
        ("epochs", json!(state.epoch)),
        ("best_step", json!(best)),
        ("monitor", json!(experiment.monitor.as_ref().map(ToString::to_string))),
    ];
    facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
