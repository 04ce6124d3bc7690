//! What a model does inside, for reading in a terminal: heat maps of numbers with shades, and columns of numbers.

use std::env;
use std::io::{IsTerminal, stdout};

use comfy_table::Table;
use hinet_train::{Gate, GateLine, Importance, ImportanceCell, Inspection};

use crate::output::grouped;
use crate::table::{UNDEFINED, USUAL_WIDTH, decimals};

/// Longest name of a row or column; longer ones are cut.
const LONGEST: usize = 24;

/// Features that are shown.
const FEATURES: usize = 20;

/// How a heat map is drawn.
#[derive(Clone, Copy)]
struct Style {
    /// Columns of text there is room for.
    width: usize,
    /// Whether cells have coloured ground; else a shade before the number.
    colour: bool,
}

/// Numbers in rows and columns.
struct Map {
    title: String,
    corner: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<f64>>)>,
    places: usize,
}

/// All of an inspection, as wide and as colourful as the terminal allows.
pub(crate) fn inspection(seen: &Inspection) -> String {
    let width = Table::new().width().map_or(USUAL_WIDTH, usize::from);
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    drawn(seen, Style { width, colour: !plain && stdout().is_terminal() })
}

fn drawn(seen: &Inspection, style: Style) -> String {
    let rows: u64 = seen.scenarios.iter().map(|scenario| scenario.rows).sum();
    let scenarios = seen.scenarios.len();
    let mut text = format!("{} rows of {} in {scenarios} scenarios; weights in percent\n", grouped(rows), seen.part);
    for attention in &seen.attention {
        let names: Vec<String> = seen.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        let rows = names.iter().cloned().zip(attention.weights.iter().map(|weights| percents(weights)));
        let title = format!("attention {}: a scenario (row) listens to others (columns)", attention.name);
        let map = Map { title, corner: "scenario".into(), rows: rows.collect(), columns: names, places: 0 };
        text.push_str(&map.drawn(style));
    }
    text.extend(seen.gates.iter().map(|gate| of_gate(gate).drawn(style)));
    text.push_str(&experts(seen));
    if let Some(importance) = &seen.importance {
        text.extend(of_importance(importance, seen).iter().map(|map| map.drawn(style)));
    }
    text.push_str(&tables(seen));
    if !seen.warnings.is_empty() {
        text.push_str("\nlook at\n");
        text.extend(seen.warnings.iter().map(|warning| format!("  {warning}\n")));
    }
    text
}

fn percents(weights: &[f64]) -> Vec<Option<f64>> {
    weights.iter().map(|weight| Some(100.0 * weight)).collect()
}

fn of_gate(gate: &Gate) -> Map {
    let name = |line: &GateLine| match &line.task {
        Some(task) => format!("{} {task}", line.scenario),
        None => line.scenario.clone(),
    };
    let weights = |line: &GateLine| {
        if line.weights.is_empty() { vec![None; gate.experts.len()] } else { percents(&line.weights) }
    };
    Map {
        title: format!("gate {}", gate.name),
        corner: if gate.lines.iter().any(|line| line.task.is_some()) { "scenario, task" } else { "scenario" }.into(),
        columns: gate.experts.clone(),
        rows: gate.lines.iter().map(|line| (name(line), weights(line))).collect(),
        places: 0,
    }
}

/// The tasks over all rows; then the scenarios of each task, on a scale of their own.
fn of_importance(importance: &Importance, seen: &Inspection) -> Vec<Map> {
    let map = |title: String, columns: Vec<String>, shown: &dyn Fn(&ImportanceCell) -> bool| {
        let drops = |cells: &[ImportanceCell]| {
            cells.iter().filter(|cell| shown(cell)).map(|cell| cell.drop.map(|drop| 1000.0 * drop)).collect()
        };
        let rows = importance.features.iter().take(FEATURES);
        let rows = rows.map(|feature| (feature.feature.clone(), drops(&feature.cells))).collect();
        Map { title, corner: "feature".into(), columns, rows, places: 1 }
    };
    let title = "features: AUC lost, in thousandths, when shuffled among the rows of a scenario";
    let mut maps = vec![map(title.to_owned(), seen.tasks.clone(), &|cell| cell.scenario.is_none())];
    if seen.scenarios.len() > 1 {
        let names: Vec<String> = seen.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        maps.extend(seen.tasks.iter().map(|task| {
            let title = format!("features for {task} by scenario");
            map(title, names.clone(), &|cell| cell.scenario.is_some() && cell.task == *task)
        }));
    }
    maps
}

impl Map {
    fn drawn(&self, style: Style) -> String {
        let heads: Vec<String> = self.columns.iter().map(|name| cut(name)).collect();
        let names: Vec<String> = self.rows.iter().map(|(name, _)| cut(name)).collect();
        let first = names.iter().chain([&self.corner]).map(|name| letters(name)).max().unwrap_or(0);
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|(_, values)| values.iter().map(|value| self.number(*value)).collect()).collect();
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| {
                let numbers = cells.iter().map(|cells| letters(&cells[column]) + 2);
                numbers.chain([letters(&heads[column])]).max().unwrap_or(0)
            })
            .collect();
        let most = self.rows.iter().flat_map(|(_, values)| values.iter().flatten()).copied().fold(0.0, f64::max);
        let mut text = format!("\n{}\n", self.title);
        for page in pages(&widths, style.width.saturating_sub(first)) {
            let heads = page.clone().map(|column| format!(" {:>width$}", heads[column], width = widths[column]));
            text.push_str(&format!("{:first$}{}\n", self.corner, heads.collect::<String>()));
            for ((name, cells), (_, values)) in names.iter().zip(&cells).zip(&self.rows) {
                let cell = |column: usize| shaded(&cells[column], values[column], (most, widths[column]), style.colour);
                let line = format!("{name:first$}{}", page.clone().map(cell).collect::<String>());
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        text
    }

    fn number(&self, value: Option<f64>) -> String {
        decimals(value, self.places)
    }
}

/// Runs of columns that fit side by side; never an empty one.
fn pages(widths: &[usize], room: usize) -> Vec<std::ops::Range<usize>> {
    let mut pages = Vec::new();
    let mut start = 0;
    while start < widths.len() {
        let mut used = widths[start] + 1;
        let mut end = start + 1;
        while end < widths.len() && used + widths[end] < room {
            used += widths[end] + 1;
            end += 1;
        }
        pages.push(start..end);
        start = end;
    }
    pages
}

/// A cell: its number to the right, and how large it is beside the largest.
fn shaded(text: &str, value: Option<f64>, (most, width): (f64, usize), colour: bool) -> String {
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    /// From pale to deep blue, with black or white letters: colours 0 to 255 of terminals.
    const GROUNDS: [(u8, u8); 5] = [(255, 16), (153, 16), (75, 16), (26, 231), (18, 231)];
    let share = value.filter(|_| most > 0.0).map_or(0.0, |value| (value / most).clamp(0.0, 1.0));
    let step = ((share * 5.0) as usize).min(4);
    if colour && value.is_some() {
        let (ground, letter) = GROUNDS[step];
        return format!(" \x1b[48;5;{ground}m\x1b[38;5;{letter}m{text:>width$}\x1b[0m");
    }
    let shade = if value.is_some() { SHADES[step] } else { ' ' };
    let gap = width.saturating_sub(letters(text) + 1);
    format!(" {:gap$}{shade}{text}", "")
}

/// Experts that belong to nobody one by one, those of scenarios and tasks together.
fn experts(seen: &Inspection) -> String {
    let mut lines =
        vec![["experts of", "count", "lowest", "highest", "fair", "zeros", "dead units"].map(str::to_owned)];
    let percent = |value: Option<f64>| value.map_or(UNDEFINED.to_owned(), |value| format!("{:.1}%", 100.0 * value));
    lines.extend(seen.expert_use().into_iter().map(|of| {
        [
            of.name,
            of.experts.to_string(),
            percent(of.lowest),
            percent(of.highest),
            percent(Some(of.fair)),
            percent(of.zeros),
            of.zeros.map_or(UNDEFINED.to_owned(), |_| format!("{} of {}", of.dead_units, of.units)),
        ]
    }));
    if lines.len() > 1 {
        format!("\nexpert use: share of the gates' weight\n{}", aligned(&lines))
    } else {
        String::new()
    }
}

fn tables(seen: &Inspection) -> String {
    let mut lines = vec![["table", "rows", "width", "MB", "mean norm"].map(str::to_owned)];
    lines.extend(seen.tables.iter().map(|table| {
        [
            table.name.clone(),
            grouped(table.rows as u64),
            table.dim.to_string(),
            format!("{:.3}", table.megabytes),
            format!("{:.3}", table.norm),
        ]
    }));
    if lines.len() > 1 { format!("\nembedding tables\n{}", aligned(&lines)) } else { String::new() }
}

/// Columns of text: the first to the left, the others to the right.
fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| lines.iter().map(|line| letters(&line[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |line: &[String; N]| {
        let rest = (1..N).map(|column| format!("  {:>width$}", line[column], width = widths[column]));
        format!("{:first$}{}\n", line[0], rest.collect::<String>(), first = widths[0])
    };
    lines.iter().map(line).collect()
}

fn cut(name: &str) -> String {
    if letters(name) <= LONGEST { name.to_owned() } else { name.chars().take(LONGEST - 1).chain(['…']).collect() }
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(columns: usize) -> Map {
        Map {
            title: "gate".into(),
            corner: "scenario".into(),
            columns: (1..=columns).map(|number| format!("shared {number}")).collect(),
            rows: vec![("home".into(), vec![Some(100.0); columns]), ("search".into(), vec![None; columns])],
            places: 0,
        }
    }

    #[test]
    fn a_heat_map_has_its_numbers_with_shades_or_colours_and_a_dash_for_nothing() {
        let plain = map(1).drawn(Style { width: 80, colour: false });
        assert_eq!(plain, "\ngate\nscenario shared 1\nhome         █100\nsearch          –\n");
        let colourful = map(1).drawn(Style { width: 80, colour: true });
        assert!(colourful.contains("\x1b[48;5;18m\x1b[38;5;231m     100\x1b[0m"), "{colourful:?}");
    }

    #[test]
    fn columns_that_do_not_fit_stand_below_each_other_and_none_is_lost() {
        let text = map(20).drawn(Style { width: 60, colour: false });
        assert!(text.lines().all(|line| letters(line) <= 60), "{text}");
        assert!((1..=20).all(|number| text.contains(&format!("shared {number}"))), "{text}");
    }
}
