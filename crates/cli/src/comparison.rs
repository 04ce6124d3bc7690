//! A comparison for reading, and its progress.

use std::collections::BTreeSet;
use std::io::{IsTerminal, stderr};

use comfy_table::Table;
use hinet_train::{
    CellSpread, CompareObserver, CompareTiming, Comparison, Contrast, Difference, ParetoRow, RunEvent, RunLine, Spread,
    Verdict,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Talk, grouped};
use crate::progress::clock;
use crate::table::{self, UNDEFINED, USUAL_WIDTH, decimals};

/// A table whose first column names its lines.
struct Grid {
    title: String,
    header: Vec<String>,
    lines: Vec<Vec<String>>,
    /// Lines below a rule of their own, at the end.
    below: usize,
}

/// All tables, the notes and the legend.
pub(crate) fn tables(comparison: &Comparison, timing: &CompareTiming) -> String {
    within(Table::new().width().map_or(USUAL_WIDTH, usize::from), comparison, timing)
}

fn within(width: usize, comparison: &Comparison, timing: &CompareTiming) -> String {
    let seeds = comparison.models.iter().map(|model| model.runs.len()).max().unwrap_or_default();
    let mut text = format!(
        "{}: {} models, {} seed{}, {} test rows; AUC, mean ± deviation over seeds\n",
        comparison.name,
        comparison.models.len(),
        seeds,
        if seeds == 1 { "" } else { "s" },
        grouped(comparison.rows),
    );
    let mut grids = vec![sizes(comparison, timing), overall(comparison)];
    grids.extend((0..comparison.tasks.len()).map(|task| cells(comparison, task)));
    grids.extend((comparison.models.len() > 1).then(|| pareto(comparison)));
    grids.extend(comparison.seesaw.as_ref().map(|_| seesaw(comparison)));
    for grid in grids {
        text.push('\n');
        text.push_str(&grid.render(width));
    }
    text.push('\n');
    text.push_str(&legend(comparison));
    for note in &comparison.notes {
        text.push_str(note);
        text.push('\n');
    }
    text
}

fn sizes(comparison: &Comparison, timing: &CompareTiming) -> Grid {
    let line = |model: &hinet_train::ModelResult| {
        let speed = timing.models.iter().find(|one| one.model == model.name).map(|one| one.rows_per_second);
        vec![
            model.name.clone(),
            model.recipe.clone().unwrap_or_else(|| UNDEFINED.to_owned()),
            grouped(model.dense_parameters),
            model.width_factor.map_or_else(String::new, |factor| format!("x {factor:.3}")),
            grouped(model.embedding_parameters),
            format!("{:.3}", model.flops_per_row as f64 / 1e6),
            speed.map_or_else(|| UNDEFINED.to_owned(), |speed| grouped(speed as u64)),
        ]
    };
    let header = ["model", "recipe", "dense", "widths", "in tables", "MFLOP/row", "rows/s"].map(str::to_owned);
    let mut grid = Grid {
        title: "parameters and cost".to_owned(),
        header: header.into(),
        lines: comparison.models.iter().map(line).collect(),
        below: 0,
    };
    if comparison.models.iter().all(|model| model.width_factor.is_none()) {
        grid.remove(3);
    }
    grid
}

/// Every model's AUC of each task, and how it stands against the one chosen.
fn overall(comparison: &Comparison) -> Grid {
    let mut header = vec!["model".to_owned()];
    header.extend(comparison.tasks.iter().cloned());
    header.extend(["mean AUC", "valid"].map(str::to_owned));
    header.push(format!("against {}", comparison.against));
    let line = |model: &hinet_train::ModelResult| {
        let contrast = against(comparison, &model.name);
        let mut line = vec![model.name.clone()];
        let marks = (0..comparison.tasks.len()).map(|task| contrast.map(|contrast| &contrast.overall[task]));
        line.extend(model.overall.iter().zip(marks).map(|(cell, mark)| marked(&cell.auc, mark)));
        line.push(marked(&model.mean_auc, contrast.map(|contrast| &contrast.mean_auc)));
        line.push(spread(&model.valid_mean_auc));
        line.push(contrast.map_or_else(String::new, |contrast| interval(&contrast.mean_auc)));
        line
    };
    let lines = comparison.models.iter().map(line).collect();
    Grid { title: "all scenarios".to_owned(), header, lines, below: 0 }
}

/// The cells of one task: a line per scenario, a column per model.
fn cells(comparison: &Comparison, task: usize) -> Grid {
    let tasks = comparison.tasks.len();
    let of = |cells: &[CellSpread]| -> Vec<CellSpread> { cells.iter().skip(task).step_by(tasks).cloned().collect() };
    let counts = comparison.models.first().map(|model| of(&model.cells)).unwrap_or_default();
    let mut header = vec!["scenario".to_owned(), "rows".to_owned(), "positive".to_owned()];
    header.extend(comparison.models.iter().map(|model| model.name.clone()));
    let lines = counts.iter().enumerate().map(|(scenario, count)| {
        let name = count.scenario.clone().unwrap_or_default();
        let mut line = vec![name, grouped(count.rows), grouped(count.positives)];
        line.extend(comparison.models.iter().map(|model| {
            let at = scenario * tasks + task;
            let mark = against(comparison, &model.name).map(|contrast| &contrast.cells[at]);
            marked(&model.cells[at].auc, mark)
        }));
        line
    });
    Grid { title: comparison.tasks[task].clone(), header, lines: lines.collect(), below: 0 }
}

/// Which models another one beats in every cell.
fn pareto(comparison: &Comparison) -> Grid {
    let line = |row: &ParetoRow| {
        let beaten = if row.beaten_by.is_empty() { "none".to_owned() } else { row.beaten_by.join(", ") };
        vec![row.model.clone(), format!("{} of {}", row.best_cells, row.cells), beaten]
    };
    let header = ["model", "best in cells", "beaten in every cell by"].map(str::to_owned);
    let lines = comparison.pareto.iter().map(line).collect();
    Grid { title: "pareto: mean AUC of every cell".to_owned(), header: header.into(), lines, below: 0 }
}

/// What each model gains and loses beside the reference: a line per cell, a column per model.
fn seesaw(comparison: &Comparison) -> Grid {
    let seesaw = comparison.seesaw.as_ref().expect("only asked for where there is one");
    let mut header = vec!["cell".to_owned()];
    header.extend(seesaw.rows.iter().map(|row| row.contrast.model.clone()));
    let family = |of: fn(&Contrast) -> &[Difference]| -> Vec<Vec<String>> {
        let Some(first) = seesaw.rows.first() else { return Vec::new() };
        let named = of(&first.contrast).iter().enumerate();
        let line = |(at, cell): (usize, &Difference)| {
            let scenario = cell.scenario.as_deref().unwrap_or("all");
            let name = format!("{scenario} · {}", cell.task.as_deref().unwrap_or_default());
            let changes = seesaw.rows.iter().map(|row| change(&of(&row.contrast)[at]));
            std::iter::once(name).chain(changes).collect()
        };
        named.map(line).collect()
    };
    let mut lines = family(|contrast| &contrast.cells);
    lines.extend(family(|contrast| &contrast.overall));
    let mut count = |name: &str, of: fn(&hinet_train::SeesawRow) -> u64| {
        let counts = seesaw.rows.iter().map(|row| of(row).to_string());
        lines.push(std::iter::once(name.to_owned()).chain(counts).collect());
    };
    count("cells gained", |row| row.gained);
    count("cells lost", |row| row.lost);
    count("seesaws, cells", |row| row.seesaws);
    count("seesaws, tasks", |row| row.task_seesaws);
    Grid { title: format!("seesaw: change of AUC beside {}", seesaw.reference), header, lines, below: 4 }
}

fn against<'a>(comparison: &'a Comparison, model: &str) -> Option<&'a Contrast> {
    comparison.contrasts.iter().find(|contrast| contrast.model == model)
}

fn legend(comparison: &Comparison) -> String {
    let resampling = &comparison.resampling;
    format!(
        "{} better, {} worse than {}{} beyond noise; {} within noise; {UNDEFINED} not tested\n\
         by {} draws of {} {}s and of the seeds, corrected for the number of cells (Holm, 5%)\n",
        mark(Verdict::Better),
        mark(Verdict::Worse),
        comparison.against,
        comparison
            .seesaw
            .as_ref()
            .map_or_else(String::new, |seesaw| format!(" (in the seesaw matrix: {})", seesaw.reference)),
        mark(Verdict::WithinNoise),
        grouped(resampling.draws),
        grouped(resampling.units),
        resampling.unit,
    )
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "▲",
        Verdict::Worse => "▼",
        Verdict::WithinNoise => "≈",
        Verdict::Untested => UNDEFINED,
    }
}

fn marked(auc: &Spread, difference: Option<&Difference>) -> String {
    let mark = difference.map_or(" ", |difference| mark(difference.verdict));
    format!("{} {mark}", spread(auc))
}

fn spread(value: &Spread) -> String {
    let deviation = value.deviation.map_or_else(String::new, |deviation| format!(" ±{deviation:.4}"));
    format!("{}{deviation}", decimals(value.mean, 4))
}

fn change(difference: &Difference) -> String {
    let change = difference.change.map_or_else(|| UNDEFINED.to_owned(), |change| format!("{change:+.4}"));
    format!("{change} {}", mark(difference.verdict))
}

fn interval(difference: &Difference) -> String {
    let Some(interval) = difference.bootstrap else { return change(difference) };
    format!("{} [{:+.4}, {:+.4}]", change(difference), interval.low, interval.high)
}

impl Grid {
    fn remove(&mut self, column: usize) {
        self.header.remove(column);
        self.lines.iter_mut().for_each(|line| drop(line.remove(column)));
    }

    /// As many columns side by side as fit; the first one stands at the left of each part.
    fn render(&self, width: usize) -> String {
        let mut text = String::new();
        let mut from = 1;
        while from < self.header.len() {
            let fits = |to: &usize| self.part(from, *to).lines().all(|line| line.chars().count() <= width);
            let to = (from + 2..=self.header.len()).rev().find(fits).unwrap_or(from + 1);
            if from > 1 {
                text.push('\n');
            }
            text.push_str(&self.part(from, to));
            from = to;
        }
        text
    }

    fn part(&self, from: usize, to: usize) -> String {
        let pick = |line: &[String]| -> Vec<String> { line.iter().take(1).chain(&line[from..to]).cloned().collect() };
        let text = table::plain(&pick(&self.header), self.lines.iter().map(|line| pick(line)));
        let mut lines: Vec<&str> = text.lines().collect();
        if self.below > 0 {
            let rule = lines[1];
            lines.insert(lines.len() - self.below, rule);
        }
        format!("{}\n{}\n", self.title, lines.join("\n"))
    }
}

/// Shows a comparison to whoever sits before it: a line per run, and on a terminal what goes on.
pub(crate) struct CompareWatcher {
    talk: Talk,
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    /// What several runs would say alike is said once.
    said: BTreeSet<String>,
}

impl CompareWatcher {
    pub(crate) fn new(talk: Talk) -> CompareWatcher {
        let shown = !talk.is_quiet() && stderr().is_terminal();
        let bar = if shown { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} runs  {msg}");
        bar.set_style(style.expect("a template known to be right").progress_chars("━╸─"));
        CompareWatcher { talk, bar, said: BTreeSet::new() }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| self.talk.say(line));
    }
}

impl CompareObserver for CompareWatcher {
    fn event(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Reading => self.talk.say("reading the data"),
            RunEvent::Training { runs, jobs } => {
                self.bar.set_length(runs as u64);
                self.say(&format!("{runs} runs, {jobs} at a time"));
            }
            RunEvent::Step { model, seed, step, steps } => {
                self.bar.set_message(format!("{model}, seed {seed}: step {} of {}", grouped(step), grouped(steps)));
            }
            RunEvent::Warning { model, seed, text } => {
                if self.said.insert(text.to_owned()) {
                    self.say(&format!("warning: {model}, seed {seed}: {text}"));
                }
            }
            RunEvent::Done(line) => {
                self.bar.set_position(line.done as u64);
                self.say(&run_line(line));
            }
            RunEvent::Testing => self.say("resampling users and seeds"),
        }
    }
}

fn run_line(line: &RunLine) -> String {
    let width = line.runs.to_string().len();
    let mut text = format!(
        "[{:>width$}/{}] {}, seed {}: mean AUC valid {}, test {}; {} rows/s",
        line.done,
        line.runs,
        line.model,
        line.seed,
        decimals(line.valid, 4),
        decimals(line.test, 4),
        grouped(line.rows_per_second as u64),
    );
    if line.was_finished {
        text.push_str("; had ended before");
    } else if let Some(left) = line.seconds_left.filter(|_| line.done < line.runs) {
        text.push_str(&format!("; {} left", clock(left)));
    }
    text
}
