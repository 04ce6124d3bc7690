//! The page of a comparison.

use serde::Serialize;

use super::forest::{self, Forest};
use super::format::{UNDEFINED, counted, decimals, fixed, grouped, short, signed};
use super::heat::{self, Heat};
use super::table::{self, Column, Table};
use super::{Fact, Head, Section};
use crate::compare::{
    CellSpread, Comparison, Difference, Interval, ModelResult, ParetoRow, Seesaw, SeesawRow, Spread, Verdict,
};
use crate::{CompareTiming, ModelTiming};

#[derive(Serialize)]
pub(super) struct Page {
    #[serde(flatten)]
    head: Head,
    models: Models,
    tasks: Shown,
    forest: Option<Forest>,
    pareto: Models,
    seesaw: Option<Counted>,
    cells: Many,
}

#[derive(Serialize)]
struct Models {
    note: String,
    table: Table,
}

#[derive(Serialize)]
struct Shown {
    note: String,
    heat: Heat,
}

#[derive(Serialize)]
struct Many {
    note: String,
    heats: Vec<Heat>,
}

/// The seesaw matrix with its counts.
#[derive(Serialize)]
struct Counted {
    note: String,
    counts: Table,
    heats: Vec<Heat>,
}

impl Page {
    pub(super) fn of(comparison: &Comparison, timing: &CompareTiming) -> Page {
        Page {
            head: head(comparison),
            models: models(comparison, timing),
            tasks: tasks(comparison),
            forest: forest::of(comparison),
            pareto: pareto(comparison),
            seesaw: seesaw(comparison),
            cells: cells(comparison),
        }
    }
}

/// The model to ship: the best on valid, which test had no part in choosing.
fn chosen(comparison: &Comparison) -> Option<&ModelResult> {
    let defined = comparison.models.iter().filter(|model| model.valid_mean_auc.mean.is_some());
    defined.max_by(|a, b| {
        let [a, b] = [a, b].map(|model| model.valid_mean_auc.mean.unwrap_or(f64::NEG_INFINITY));
        a.total_cmp(&b)
    })
}

fn head(comparison: &Comparison) -> Head {
    let seeds = comparison.models.iter().map(|model| model.runs.len()).max().unwrap_or(0);
    let subtitle = [
        counted(comparison.models.len(), "model"),
        counted(seeds, "seed"),
        format!("{} × {}", counted(comparison.scenarios.len(), "scenario"), counted(comparison.tasks.len(), "task")),
        format!("{} rows of test", grouped(comparison.rows)),
    ];
    let mut facts = Vec::new();
    if let Some(model) = chosen(comparison) {
        let lead = Fact::new(&format!("mean AUC on test of {}, best on valid", model.name), spread(&model.mean_auc));
        facts.push(Fact { lead: true, ..lead });
        let tasks = model.overall.iter().take(5);
        facts.extend(tasks.map(|task| Fact::new(&task.task, decimals(task.auc.mean, 4))));
    }
    let sections = [
        ("models", "Models", true),
        ("tasks", "Tasks", true),
        ("differences", "Differences", !comparison.contrasts.is_empty()),
        ("pareto", "Pareto", comparison.pareto.len() > 1),
        ("seesaw", "Seesaw", comparison.seesaw.is_some()),
        ("cells", "Cells", true),
    ];
    let sections = sections.into_iter().filter(|(_, _, there)| *there);
    Head {
        version: env!("CARGO_PKG_VERSION"),
        title: format!("{}, compared", comparison.name),
        subtitle: subtitle.join(" · "),
        facts,
        look: comparison.notes.clone(),
        sections: sections.map(|(id, title, _)| Section { id, title }).collect(),
    }
}

/// Mean and deviation over seeds. Where room is short, a line ends between the two and nowhere else.
fn spread(spread: &Spread) -> String {
    marked(spread, "")
}

/// The same with a mark beside the mean, where both lines of a narrow cell are equally long.
fn marked(spread: &Spread, mark: &str) -> String {
    let mark = if mark.is_empty() { String::new() } else { format!("\u{a0}{mark}") };
    match (spread.mean, spread.deviation) {
        (Some(mean), Some(deviation)) => format!("{mean:.4}{mark} ±\u{a0}{deviation:.4}"),
        (Some(mean), None) => format!("{mean:.4}{mark}"),
        (None, _) => UNDEFINED.to_owned(),
    }
}

fn models(comparison: &Comparison, timing: &CompareTiming) -> Models {
    let columns =
        ["mean AUC", "of cells", "on valid", "dense parameters", "in tables", "operations per row", "rows/s", "seeds"];
    let columns = columns.map(Column::number);
    let columns = [Column::text("model"), Column::text("recipe")].into_iter().chain(columns).collect();
    let best = chosen(comparison).map(|model| &model.name);
    let row = |model: &ModelResult| {
        let recipe = [model.preset.clone().filter(|preset| *preset != model.name), model.recipe.clone()];
        let mut recipe = recipe.into_iter().flatten().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
        if let Some(factor) = model.width_factor {
            recipe.push_str(&format!(" widths × {factor:.2}"));
        }
        let numbers = [
            spread(&model.mean_auc),
            spread(&model.mean_cell_auc),
            spread(&model.valid_mean_auc),
            short(model.dense_parameters),
            short(model.embedding_parameters),
            short(model.flops_per_row),
            rows_per_second(timing.models.iter().find(|one| one.model == model.name)),
            grouped(model.runs.len() as u64),
        ];
        let mark = if best == Some(&model.name) { " ◆" } else { "" };
        let cells = [table::Cell::text(recipe)].into_iter().chain(numbers.map(table::Cell::number)).collect();
        table::Row { name: format!("{}{mark}", model.name), all: false, cells }
    };
    let rows = comparison.models.iter().map(row).collect();
    let note = "AUC on test, mean ± standard deviation over seeds. ◆ marks the best on valid, the one to choose. Recipe: \
                how a model serves many scenarios and many tasks. Rows/s: of training. k, M, G: thousand, million, billion."
        .to_owned();
    Models { note, table: Table { id: "models".into(), columns, rows, ..Table::default() } }
}

fn rows_per_second(timing: Option<&ModelTiming>) -> String {
    timing.map_or_else(|| UNDEFINED.to_owned(), |timing| grouped(timing.rows_per_second.round() as u64))
}

/// The sign of a verdict: never colour alone.
pub(super) fn glyph(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "▲",
        Verdict::Worse => "▼",
        Verdict::WithinNoise => "≈",
        Verdict::Untested => UNDEFINED,
    }
}

fn tasks(comparison: &Comparison) -> Shown {
    let columns: Vec<String> = ["mean".to_owned()].into_iter().chain(comparison.tasks.iter().cloned()).collect();
    let values = |model: &ModelResult| -> Vec<Spread> {
        [model.mean_auc.clone()].into_iter().chain(model.overall.iter().map(|task| task.auc.clone())).collect()
    };
    let range = |column: usize| {
        let means = comparison.models.iter().filter_map(|model| values(model).get(column)?.mean);
        heat::range(means)
    };
    let ranges: Vec<(f64, f64)> = (0..columns.len()).map(range).collect();
    let row = |model: &ModelResult| {
        let contrast = comparison.contrasts.iter().find(|contrast| contrast.model == model.name);
        let verdict = |column: usize| {
            let difference =
                contrast.and_then(|of| if column == 0 { Some(&of.mean_auc) } else { of.overall.get(column - 1) });
            difference.map_or("", |difference| glyph(difference.verdict))
        };
        let cells = values(model).into_iter().enumerate().map(|(column, value)| {
            let text = format!("{}\u{a0}{}", spread(&value), verdict(column)).trim_end().to_owned();
            heat::Cell { text, ..heat::Cell::shaded(value.mean, ranges[column], |_| String::new()) }
        });
        heat::Row { name: model.name.clone(), cells: cells.collect(), ..heat::Row::default() }
    };
    let rows = comparison.models.iter().map(row).collect();
    let heat = Heat { id: "overall".into(), corner: "model".into(), rows, ..Heat::default() };
    let note = format!(
        "AUC over all rows of test; the stronger the shade, the higher within its column. ▲ better and ▼ worse than {}, beyond noise: 5% \
         by bootstrap, corrected for the number of tasks (Holm). ≈ within noise.",
        comparison.against
    );
    Shown { note, heat: heat.with_columns(&[String::new()], &columns) }
}

fn pareto(comparison: &Comparison) -> Models {
    let columns = vec![Column::text("model"), Column::number("best in cells"), Column::text("beaten in every cell by")];
    let row = |row: &ParetoRow| {
        let best = table::Cell::number(format!("{} of {}", grouped(row.best_cells), grouped(row.cells)));
        let beaten = if row.beaten_by.is_empty() { "none".to_owned() } else { row.beaten_by.join(", ") };
        let mark = if row.beaten_by.is_empty() { " ◆" } else { "" };
        let cells = vec![best, table::Cell::text(beaten)];
        table::Row { name: format!("{}{mark}", row.model), all: false, cells }
    };
    let rows = comparison.pareto.iter().map(row).collect();
    let note = "By mean AUC over seeds, of every cell with enough rows of either class. ◆: no other model is better somewhere and worse \
                nowhere, so that the model is a choice. Noise has no say here: models that are alike do not beat each other."
        .to_owned();
    Models { note, table: Table { id: "pareto".into(), columns, rows, ..Table::default() } }
}

fn seesaw(comparison: &Comparison) -> Option<Counted> {
    let seesaw = comparison.seesaw.as_ref()?;
    let columns = ["cells gained", "cells lost", "seesaws", "tasks gained", "tasks lost", "task seesaws"];
    let columns = [Column::text("model")].into_iter().chain(columns.map(Column::number)).collect();
    let row = |row: &SeesawRow| {
        let counts = [row.gained, row.lost, row.seesaws, row.gained_tasks, row.lost_tasks, row.task_seesaws];
        let cells = counts.map(|count| table::Cell::number(grouped(count))).into();
        table::Row { name: row.contrast.model.clone(), all: false, cells }
    };
    let rows = seesaw.rows.iter().map(row).collect();
    let note = format!(
        "Change of AUC, in thousandths, beside {}; below it, on paper or under a pointer, its interval and corrected p. ▲ on blue: better beyond noise; ▼ on orange: worse beyond noise; ≈ without \
         a shade: within noise; – hatched: too few rows of either class to tell. A seesaw is a loss beyond noise in a model \
         that gains elsewhere beyond noise.",
        seesaw.reference
    );
    Some(Counted {
        note,
        counts: Table { id: "seesaw-counts".into(), columns, rows, ..Table::default() },
        heats: (0..comparison.tasks.len()).map(|task| seesaw_heat(comparison, seesaw, task)).collect(),
    })
}

/// The changes of one task: scenarios by models.
fn seesaw_heat(comparison: &Comparison, seesaw: &Seesaw, task: usize) -> Heat {
    let changes = seesaw.rows.iter().flat_map(|row| row.contrast.cells.iter().chain(&row.contrast.overall));
    let most = changes.filter_map(|difference| difference.change).fold(0.0, |most: f64, change| most.max(change.abs()));
    let cell = |row: &SeesawRow, scenario: Option<usize>| {
        let place = |scenario: usize| row.contrast.cells.get(scenario * comparison.tasks.len() + task);
        let difference = scenario.map_or_else(|| row.contrast.overall.get(task), place);
        difference.map_or_else(undefined, |difference| change_cell(difference, most))
    };
    let row = |(scenario, name): (Option<usize>, &str)| heat::Row {
        name: name.to_owned(),
        all: scenario.is_none(),
        cells: seesaw.rows.iter().map(|row| cell(row, scenario)).collect(),
        ..heat::Row::default()
    };
    let scenarios = comparison.scenarios.iter().enumerate().map(|(place, name)| (Some(place), name.as_str()));
    let names: Vec<String> = seesaw.rows.iter().map(|row| row.contrast.model.clone()).collect();
    let heat = Heat {
        id: format!("seesaw-{task}"),
        title: comparison.tasks[task].clone(),
        corner: "scenario".into(),
        rows: scenarios.chain([(None, "all rows")]).map(row).collect(),
        ..Heat::default()
    };
    heat.with_columns(&[String::new()], &names)
}

fn undefined() -> heat::Cell {
    heat::Cell::shaded(None, (0.0, 1.0), |_| String::new())
}

/// A change with its sign, its verdict, and colour where it is beyond noise.
fn change_cell(difference: &Difference, most: f64) -> heat::Cell {
    const BETTER: [&str; 4] = ["b1", "b2", "b3", "b4"];
    const WORSE: [&str; 4] = ["w1", "w2", "w3", "w4"];
    let Some(change) = difference.change else { return undefined() };
    let step = if most > 0.0 { ((change.abs() / most * 4.0) as usize).min(3) } else { 0 };
    let class = match difference.verdict {
        Verdict::Better => BETTER[step],
        Verdict::Worse => WORSE[step],
        Verdict::WithinNoise => "z",
        Verdict::Untested => "undefined",
    };
    let text = format!("{}\u{a0}{}", signed(1000.0 * change, 1), glyph(difference.verdict));
    let title = counts(difference.rows, difference.positives);
    heat::Cell { text, class, title, aside: difference.bootstrap.as_ref().map_or_else(String::new, interval) }
}

fn cells(comparison: &Comparison) -> Many {
    let names: Vec<String> = comparison.models.iter().map(|model| model.name.clone()).collect();
    let heat = |(task, name): (usize, &String)| {
        let of_scenario = |scenario: Option<usize>| -> Vec<Option<&CellSpread>> {
            let place = |scenario: usize| scenario * comparison.tasks.len() + task;
            let models = comparison.models.iter();
            models
                .map(|model| scenario.map_or(model.overall.get(task), |scenario| model.cells.get(place(scenario))))
                .collect()
        };
        let verdicts = |scenario: Option<usize>| -> Vec<&'static str> {
            let place = |scenario: usize| scenario * comparison.tasks.len() + task;
            let of_model = |model: &ModelResult| {
                let contrast = comparison.contrasts.iter().find(|contrast| contrast.model == model.name)?;
                scenario.map_or(contrast.overall.get(task), |scenario| contrast.cells.get(place(scenario)))
            };
            let mark = |model| of_model(model).map_or("", |difference| glyph(difference.verdict));
            comparison.models.iter().map(mark).collect()
        };
        let places = (0..comparison.scenarios.len()).map(Some).chain([None]);
        let rows = places.map(|place| {
            let cells = of_scenario(place);
            let range = heat::range(cells.iter().filter_map(|cell| (*cell)?.auc.mean));
            heat::Row {
                name: place.map_or_else(|| "all rows".to_owned(), |place| comparison.scenarios[place].clone()),
                // The test rows are the same for every model.
                note: cells.iter().flatten().next().map_or_else(String::new, |cell| counts(cell.rows, cell.positives)),
                all: place.is_none(),
                cells: cells
                    .into_iter()
                    .zip(&verdicts(place))
                    .map(|(cell, mark)| spread_cell(cell, mark, range))
                    .collect(),
            }
        });
        let rows = rows.collect();
        let heat = Heat {
            id: format!("cells-{task}"),
            title: name.clone(),
            corner: "scenario".into(),
            rows,
            ..Heat::default()
        };
        heat.with_columns(&[String::new()], &names)
    };
    let note = format!(
        "AUC on test, mean ± standard deviation over seeds; the stronger the shade, the higher within its row. ▲ better and ▼ worse \
         than {}, beyond noise; ≈ within noise; – too few rows of either class to tell.",
        comparison.against
    );
    Many { note, heats: comparison.tasks.iter().enumerate().map(heat).collect() }
}

/// Where a difference may lie, in thousandths, and its p.
pub(super) fn interval(interval: &Interval) -> String {
    let [low, high] = [interval.low, interval.high].map(|end| signed(1000.0 * end, 1));
    let p = if interval.p_holm < 0.0005 { "< 0.001".to_owned() } else { fixed(interval.p_holm, 3) };
    format!("{low} to\u{a0}{high}, p\u{a0}{p}")
}

fn spread_cell(cell: Option<&CellSpread>, mark: &str, range: (f64, f64)) -> heat::Cell {
    cell.map_or_else(undefined, |cell| heat::Cell::shaded(cell.auc.mean, range, |_| marked(&cell.auc, mark)))
}

fn counts(rows: u64, positives: u64) -> String {
    format!("{} rows, {} positive", grouped(rows), grouped(positives))
}
