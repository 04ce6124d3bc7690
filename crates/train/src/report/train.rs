//! The page of a run.

use serde::Serialize;
use serde_json::Value;

use super::cost::Cost;
use super::curves::Curves;
use super::files::{Files, Line};
use super::format::{about, counted, decimals, duration, grouped};
use super::heat::{self, Heat};
use super::inside::Inside;
use super::reliability::Diagrams;
use super::table::{self, Column, Table};
use super::warm::Warm;
use super::{Fact, Head, Section};
use crate::metrics::{Cell, SplitMetrics};

#[derive(Serialize)]
pub(super) struct Page {
    #[serde(flatten)]
    head: Head,
    cells: Cells,
    curves: Curves,
    warm: Option<Warm>,
    reliability: Option<Diagrams>,
    inside: Option<Inside>,
    cost: Cost,
    config: String,
}

/// The section of cells.
#[derive(Default, Serialize)]
struct Cells {
    note: String,
    /// The ends of the scale, written out; empty without a defined cell.
    low: String,
    high: String,
    heat: Heat,
    tables: Vec<Table>,
}

impl Page {
    pub(super) fn of(files: &Files) -> Page {
        let inside = files.inspection.as_ref().map(Inside::of);
        Page {
            cells: files.main_split().map(|(name, split)| Cells::of(files, name, split)).unwrap_or_default(),
            curves: Curves::of(files),
            warm: files.metrics.warm_start().map(|warm| Warm::of(&warm)),
            reliability: Diagrams::of(files),
            cost: Cost::of(files),
            config: files.config.clone(),
            head: head(files, inside.as_ref()),
            inside,
        }
    }
}

fn head(files: &Files, inside: Option<&Inside>) -> Head {
    let about = &files.metrics.about;
    let text = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| about.get(key).and_then(Value::as_u64).unwrap_or_default();
    let of_model = |key: &str| about.get("model").map_or(&Value::Null, |model| &model[key]);
    let split = files.main_split().map(|(_, split)| split);
    let tasks = split.map_or(0, |split| split.overall.len());
    let scenarios = split.map_or(0, |split| split.cells.len().checked_div(tasks).unwrap_or(0));
    let preset = of_model("preset").as_str();
    let layers = ["scenario_layer", "task_layer"].map(|key| of_model(key).as_str().unwrap_or("?"));
    let model = preset.map_or_else(|| format!("layers {} and {}", layers[0], layers[1]), str::to_owned);
    let subtitle = [
        format!("Model {model}"),
        of_model("recipe")
            .as_str()
            .filter(|recipe| !recipe.is_empty())
            .map_or(String::new(), |r| format!("recipe {r}")),
        format!("{} × {}", counted(scenarios, "scenario"), counted(tasks, "task")),
        format!("{} rows of train", grouped(number("train_rows"))),
        format!("best of {} steps: {}", grouped(number("steps")), grouped(number("best_step"))),
        format!("seed {}", number("seed")),
    ];
    let subtitle: Vec<String> = subtitle.into_iter().filter(|part| !part.is_empty()).collect();
    let warned = files.history.iter().filter_map(|line| match line {
        Line::Warning { text } => Some(text.clone()),
        Line::Loss { .. } | Line::Evaluation { .. } | Line::Other => None,
    });
    Head {
        version: env!("CARGO_PKG_VERSION"),
        title: text("name"),
        subtitle: subtitle.join(" · "),
        facts: facts(files),
        look: warned.chain(files.inspection.iter().flat_map(|seen| seen.warnings.iter().cloned())).collect(),
        sections: sections(inside, files.metrics.warm_start().is_some()),
    }
}

fn sections(inside: Option<&Inside>, is_warm: bool) -> Vec<Section> {
    let sections = [
        ("cells", "Cells", true),
        ("curves", "Learning curves", true),
        ("warm", "Taken over", is_warm),
        ("reliability", "Reliability", true),
        ("inside", "Attention and gates", inside.is_some()),
        ("experts", "Expert use", inside.is_some_and(Inside::has_experts)),
        ("importance", "Features", inside.is_some_and(Inside::has_importance)),
        ("tables", "Embedding tables", inside.is_some()),
        ("cost", "Cost", true),
    ];
    sections.into_iter().filter(|(_, _, there)| *there).map(|(id, title, _)| Section { id, title }).collect()
}

fn facts(files: &Files) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some((name, split)) = files.main_split() {
        let lead = Fact::new(&format!("mean AUC on {name}"), decimals(split.mean_auc, 4));
        let note = format!("over {} of {}", split.mean_auc_tasks, counted(split.overall.len(), "task"));
        facts.push(Fact { lead: true, ..lead.with_note(note) });
        // More than that does not stay in the eye.
        for task in split.overall.iter().take(5) {
            facts.push(Fact::new(&task.task, decimals(task.auc, 4)));
        }
        let covered = format!("over {} of {}", split.mean_cell_auc_cells, split.cells.len());
        facts.push(Fact::new("mean AUC of cells", decimals(split.mean_cell_auc, 4)).with_note(covered));
    }
    let parameters = |key: &str| files.metrics.about.get("model").and_then(|model| model[key].as_u64()).unwrap_or(0);
    let note = format!("and {} in tables", about(parameters("embedding_parameters")));
    facts.push(Fact::new("dense parameters", about(parameters("dense_parameters"))).with_note(note));
    facts
}

/// A metric's column: its head, its name in `metrics.json`, its places, and how to read it.
type Metric = (&'static str, &'static str, usize, fn(&Cell) -> Option<f64>);

const METRICS: [Metric; 7] = [
    ("AUC", "auc", 4, |cell| cell.auc),
    ("GAUC", "gauc", 4, |cell| cell.gauc),
    ("log loss", "logloss", 4, |cell| cell.logloss),
    ("PCOC", "pcoc", 3, |cell| cell.pcoc),
    ("ECE", "ece", 4, |cell| cell.ece),
    ("NDCG", "ndcg", 4, |cell| cell.ndcg),
    ("MRR", "mrr", 4, |cell| cell.mrr),
];

impl Cells {
    fn of(files: &Files, name: &str, split: &SplitMetrics) -> Cells {
        let values = || split.cells.iter().chain(&split.overall).filter_map(|cell| cell.auc);
        let (low, high) = heat::range(values());
        let others = files.metrics.splits.iter().filter(|(other, _)| *other != name);
        let others =
            others.map(|(other, split)| format!(" On {other} the mean AUC is {}.", decimals(split.mean_auc, 4)));
        let note = format!("AUC on {name}, {} rows.{}", grouped(split.rows), others.collect::<String>());
        let end = |end: f64| if values().next().is_some() { decimals(Some(end), 4) } else { String::new() };
        Cells {
            note,
            low: end(low),
            high: end(high),
            heat: auc_heat(split, (low, high)),
            tables: split.overall.iter().map(|task| task_table(split, task)).collect(),
        }
    }
}

fn auc_heat(split: &SplitMetrics, range: (f64, f64)) -> Heat {
    let tasks: Vec<String> = split.overall.iter().map(|task| task.task.clone()).collect();
    let row = |name: &str, cells: &[Cell]| heat::Row {
        name: name.to_owned(),
        all: cells.iter().all(|cell| cell.scenario.is_none()),
        cells: cells.iter().map(|cell| auc_cell(name, cell, range)).collect(),
        ..heat::Row::default()
    };
    let scenarios = split.cells.chunks(tasks.len().max(1));
    let mut rows: Vec<heat::Row> =
        scenarios.map(|cells| row(cells[0].scenario.as_deref().unwrap_or_default(), cells)).collect();
    rows.push(row("all rows", &split.overall));
    let heat = Heat { id: "auc".into(), corner: "scenario".into(), rows, ..Heat::default() };
    heat.with_columns(&[String::new()], &tasks)
}

fn auc_cell(name: &str, cell: &Cell, range: (f64, f64)) -> heat::Cell {
    let (rows, positives) = (grouped(cell.rows), grouped(cell.positives));
    let title = format!("{name}, {}: {rows} rows, {positives} positive", cell.task);
    heat::Cell::shaded(cell.auc, range, |auc| decimals(Some(auc), 4)).with_title(title)
}

fn task_table(split: &SplitMetrics, task: &Cell) -> Table {
    let shown: Vec<&Metric> = METRICS
        .iter()
        .filter(|(_, name, _, read)| match *name {
            "gauc" | "ndcg" | "mrr" => split.cells.iter().chain(&split.overall).any(|cell| read(cell).is_some()),
            _ => true,
        })
        .collect();
    let head = |(head, name, ..): &&Metric| match *name {
        "ndcg" => format!("NDCG@{}", split.ndcg_k),
        _ => (*head).to_owned(),
    };
    let mut columns: Vec<Column> = [Column::text("scenario")].into();
    columns.extend(["rows", "positive", "rate"].map(Column::number));
    columns.extend(shown.iter().map(head).map(Column::number));
    let row = |name: &str, cell: &Cell| {
        let rate = (cell.rows > 0).then(|| 100.0 * cell.positives as f64 / cell.rows as f64);
        let count = |metric, count| table::Cell { metric, ..table::Cell::number(grouped(count)) };
        let mut cells = vec![count("rows", cell.rows), count("positives", cell.positives)];
        cells.push(table::Cell::number(rate.map_or_else(|| decimals(None, 0), |rate| format!("{rate:.1}%"))));
        cells.extend(shown.iter().map(|(_, metric, places, read)| {
            let class = if read(cell).is_none() { "none" } else { "" };
            table::Cell { metric, class, ..table::Cell::number(decimals(read(cell), *places)) }
        }));
        table::Row { name: name.to_owned(), all: cell.scenario.is_none(), cells }
    };
    let own = split.cells.iter().filter(|cell| cell.task == task.task);
    let mut rows: Vec<table::Row> = own.map(|cell| row(cell.scenario.as_deref().unwrap_or_default(), cell)).collect();
    rows.push(row("all rows", task));
    Table { task: task.task.clone(), columns, rows, ..Table::default() }
}

/// How long a run took, in words.
pub(super) fn took(files: &Files) -> String {
    let seconds = &files.timing.seconds;
    duration(seconds.preparing + seconds.training + seconds.evaluating + seconds.saving)
}
