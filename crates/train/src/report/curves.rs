//! Learning curves: losses of train, and how validation went, per task and scenario.

use serde::Serialize;

use super::chart::{Axes, Chart, Dot, Series, path};
use super::files::{Files, Line};
use super::format::{UNDEFINED, at, decimals};
use crate::metrics::SplitMetrics;

#[derive(Default, Serialize)]
pub(super) struct Curves {
    note: String,
    part: String,
    panels: Vec<Chart>,
    tasks: Vec<String>,
    sparks: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    all: bool,
    cells: Vec<Spark>,
}

/// A small curve of one cell.
#[derive(Default, Serialize)]
struct Spark {
    path: String,
    title: String,
    text: String,
    dot: Option<Dot>,
}

/// Points of a curve at most: more cannot be seen.
const POINTS: usize = 240;

/// The share of the steps whose loss may lie above the drawing.
const FIRST: f64 = 0.08;

/// Kinds of lines that can be told apart. More scenarios than this are drawn as thin lines without names.
pub(super) const KINDS: usize = 6;

/// An evaluation while training.
struct Seen<'a> {
    step: u64,
    metrics: &'a SplitMetrics,
}

impl Curves {
    pub(super) fn of(files: &Files) -> Curves {
        let mut evaluations = Vec::new();
        let mut part = String::new();
        for line in &files.history {
            if let Line::Evaluation { step, part: of, metrics } = line {
                part.clone_from(of);
                evaluations.push(Seen { step: *step, metrics });
            }
        }
        let Some((_, split)) = files.main_split() else { return Curves::default() };
        let tasks: Vec<String> = split.overall.iter().map(|task| task.task.clone()).collect();
        let best = files.metrics.about.get("best_step").and_then(serde_json::Value::as_u64);
        let mut panels = Vec::new();
        for task in &tasks {
            panels.extend(loss_panel(files, &evaluations, task, best));
            panels.extend(auc_panel(&evaluations, &part, task, best));
        }
        panels.extend(factor_panel(files, best));
        let sparks = if evaluations.len() > 1 { sparks(&evaluations, &tasks, best) } else { Vec::new() };
        let note = "Upright: the step whose weights were kept. Losses of train are means between log lines.".to_owned();
        Curves { note, part, panels, tasks, sparks }
    }
}

fn loss_panel(files: &Files, evaluations: &[Seen<'_>], task: &str, best: Option<u64>) -> Option<Chart> {
    let losses = files.history.iter().filter_map(|line| match line {
        Line::Loss { step, losses, .. } => Some((*step as f64, (*losses.get(task)?)?)),
        Line::Evaluation { .. } | Line::Warning { .. } | Line::Other => None,
    });
    let train = thinned(losses.collect());
    let valid = points(evaluations, |metrics| metrics.task(task)?.logloss);
    let line = |name: &str, kind: usize, points| Series {
        name: name.to_owned(),
        class: format!("c{kind}"),
        label: Some(format!("t{kind}")),
        points,
    };
    // The first steps would press the rest of the curve flat: they are drawn along the upper edge.
    let steps = train.last().map_or(0.0, |point| point.0);
    let later = train.iter().filter(|point| point.0 > FIRST * steps).chain(&valid).map(|point| point.1);
    let most = later.fold(0.0, f64::max);
    let above = train.iter().any(|point| point.1 > most);
    let train = train.into_iter().map(|(step, loss)| (step, loss.min(most))).collect();
    let series = [line("train", 1, train), line("valid", 2, valid)];
    let series: Vec<Series> = series.into_iter().filter(|line| !line.points.is_empty()).collect();
    let note = if above { "the first steps lie above" } else { "" };
    panel(format!("{task}, log loss"), note.to_owned(), series, best)
}

/// What each objective weighed, where `[train.weighting]` moves that.
fn factor_panel(files: &Files, best: Option<u64>) -> Option<Chart> {
    let lines = files.history.iter().filter_map(|line| match line {
        Line::Loss { step, weights, .. } => Some((*step as f64, weights)),
        Line::Evaluation { .. } | Line::Warning { .. } | Line::Other => None,
    });
    let lines: Vec<_> = lines.collect();
    let objectives: Vec<&String> = lines.first()?.1.keys().collect();
    let named = objectives.len() <= KINDS;
    let series = objectives.iter().enumerate().map(|(number, objective)| {
        let points = lines.iter().filter_map(|(step, weights)| Some((*step, *weights.get(*objective)?)));
        Series {
            name: (*objective).clone(),
            class: if named { format!("c{}", number + 1) } else { "faint".to_owned() },
            label: named.then(|| format!("t{}", number + 1)),
            points: thinned(points.collect()),
        }
    });
    let note = if named { String::new() } else { format!("thin: the {} objectives", objectives.len()) };
    panel("factors of the losses".to_owned(), note, series.collect(), best)
}

fn auc_panel(evaluations: &[Seen<'_>], part: &str, task: &str, best: Option<u64>) -> Option<Chart> {
    let metrics = evaluations.first()?.metrics;
    let scenarios: Vec<&str> = names(metrics, task);
    let named = scenarios.len() <= KINDS;
    let mut series = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let kind = number + 1;
        series.push(Series {
            name: (*scenario).to_owned(),
            class: if named { format!("c{kind}") } else { "faint".to_owned() },
            label: named.then(|| format!("t{kind}")),
            points: points(evaluations, |metrics| metrics.cell(Some(scenario), task)?.auc),
        });
    }
    // One scenario is all rows.
    if scenarios.len() != 1 {
        series.push(Series {
            name: "all rows".to_owned(),
            class: "c0".to_owned(),
            label: Some("t0".to_owned()),
            points: points(evaluations, |metrics| metrics.task(task)?.auc),
        });
    }
    let note = if named { String::new() } else { format!("thin: the {} scenarios", scenarios.len()) };
    panel(format!("{task}, AUC on {part}"), note, series, best)
}

fn panel(title: String, note: String, series: Vec<Series>, best: Option<u64>) -> Option<Chart> {
    let points = || series.iter().flat_map(|line| &line.points);
    let steps = points().map(|point| point.0).fold(1.0, f64::max);
    let (low, high) = super::heat::range(points().map(|point| point.1));
    points().next()?;
    let room = if high > low { ((high - low) * 0.06).max(1e-4) } else { 0.01 };
    let axes = Axes { x: (0.0, steps), y: (low - room, high + room) };
    let chart = Chart::lines(title, note, axes, series);
    let best = best.map(|best| best as f64).filter(|best| *best <= steps);
    Some(match best {
        Some(best) => chart.with_mark(axes, best, "kept"),
        None => chart,
    })
}

fn sparks(evaluations: &[Seen<'_>], tasks: &[String], best: Option<u64>) -> Vec<Row> {
    let metrics = evaluations[0].metrics;
    let scenarios = tasks.first().map_or_else(Vec::new, |task| names(metrics, task));
    let spark = |read: &dyn Fn(&SplitMetrics) -> Option<f64>| {
        let points = points(evaluations, read);
        let Some(&(_, last)) = points.last() else { return Spark { text: UNDEFINED.to_owned(), ..Spark::default() } };
        let kept = points.iter().find(|(step, _)| Some(*step as u64) == best);
        let (low, high) = super::heat::range(points.iter().map(|point| point.1));
        let steps = points.iter().map(|point| point.0).fold(1.0, f64::max);
        let share = |value: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
        let place = |&(step, value): &(f64, f64)| (at(3.0 + 113.0 * step / steps), at(23.0 - 20.0 * share(value)));
        let places: Vec<(f64, f64)> = points.iter().map(place).collect();
        let told = decimals(Some(kept.map_or(last, |point| point.1)), 4);
        let title = format!("from {} to {}", decimals(Some(low), 4), decimals(Some(high), 4));
        let dot = kept.map(|point| Dot { x: place(point).0, y: place(point).1, title: String::new() });
        Spark { path: path(&places), title, text: told, dot }
    };
    let mut rows: Vec<Row> = scenarios
        .iter()
        .map(|scenario| {
            let cells = tasks.iter().map(|task| spark(&|metrics| metrics.cell(Some(scenario), task)?.auc));
            Row { name: (*scenario).to_owned(), all: false, cells: cells.collect() }
        })
        .collect();
    let cells = tasks.iter().map(|task| spark(&|metrics| metrics.task(task)?.auc)).collect();
    rows.push(Row { name: "all rows".to_owned(), all: true, cells });
    rows
}

fn names<'a>(metrics: &'a SplitMetrics, task: &str) -> Vec<&'a str> {
    let own = metrics.cells.iter().filter(|cell| cell.task == task);
    own.filter_map(|cell| cell.scenario.as_deref()).collect()
}

fn points(evaluations: &[Seen<'_>], read: impl Fn(&SplitMetrics) -> Option<f64>) -> Vec<(f64, f64)> {
    let seen = evaluations.iter().filter_map(|seen| Some((seen.step as f64, read(seen.metrics)?)));
    thinned(seen.collect())
}

/// Means of neighbouring points, where there are too many.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let run = points.len().div_ceil(POINTS).max(1);
    if run == 1 {
        return points;
    }
    let mean = |points: &[(f64, f64)]| {
        let sum = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / points.len() as f64, sum.1 / points.len() as f64)
    };
    points.chunks(run).map(mean).collect()
}
