//! Metrics for reading: scenarios as rows, tasks as groups of columns.

use comfy_table::{Cell as TableCell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use hinet_train::{Cell, SplitMetrics};

use crate::output::grouped;

/// The AUC that no model can beat, of a scenario (or of all: `None`) and a task.
pub(crate) type Bayes<'a> = &'a dyn Fn(Option<&str>, &str) -> Option<f64>;

/// Stands for a metric that its rows cannot define.
pub(crate) const UNDEFINED: &str = "–";

/// Columns of text where nobody says how wide the terminal is.
pub(crate) const USUAL_WIDTH: usize = 120;

/// A line below the header, nothing between columns.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Lines of the header: tasks, then metrics.
const HEADER_LINES: usize = 2;

/// Lines below a head, numbers and texts alike to the right but for the first column.
pub(crate) fn plain(head: &[impl AsRef<str>], lines: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    let head = head.iter().map(AsRef::as_ref);
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled).set_header(head);
    lines.for_each(|line| {
        table.add_row(line);
    });
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index > 0 { 2 } else { 0 }, 0));
        column.set_cell_alignment(if index == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Scenarios, then all rows, then means; as many tasks side by side as fit into the terminal.
pub(crate) fn split(name: &str, metrics: &SplitMetrics, bayes: Option<Bayes<'_>>) -> String {
    split_within(Table::new().width().map_or(USUAL_WIDTH, usize::from), name, metrics, bayes)
}

fn split_within(width: usize, name: &str, metrics: &SplitMetrics, bayes: Option<Bayes<'_>>) -> String {
    let columns = Columns::of(metrics, bayes);
    let mut text = format!("{name}, {} rows\n", grouped(metrics.rows));
    for tasks in columns.in_pages(width) {
        text.push('\n');
        text.push_str(&columns.render(tasks));
    }
    text.push('\n');
    text.push_str(&means(metrics));
    text
}

/// The lines of one split, in the order they are shown, and which metrics are worth a column.
struct Columns<'a> {
    metrics: &'a SplitMetrics,
    bayes: Option<Bayes<'a>>,
    scenarios: Vec<&'a str>,
    shown: Vec<Column>,
    /// Whether all tasks are observed on the same rows, so that one count serves them all.
    one_count: bool,
}

/// A metric's column.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Rows,
    Positives,
    Auc,
    Bayes,
    Gauc,
    LogLoss,
    Pcoc,
    Ndcg,
    Mrr,
}

impl<'a> Columns<'a> {
    fn of(metrics: &'a SplitMetrics, bayes: Option<Bayes<'a>>) -> Columns<'a> {
        let mut scenarios: Vec<&str> = Vec::new();
        for name in metrics.cells.iter().filter_map(|cell| cell.scenario.as_deref()) {
            if scenarios.last() != Some(&name) {
                scenarios.push(name);
            }
        }
        let has = |value: fn(&Cell) -> Option<f64>| metrics.cells.iter().any(|cell| value(cell).is_some());
        let one_count = scenarios.iter().all(|scenario| {
            let mut counts =
                metrics.cells.iter().filter(|cell| cell.scenario.as_deref() == Some(scenario)).map(|c| c.rows);
            let first = counts.next();
            counts.all(|count| Some(count) == first)
        });
        let wanted = [
            (Column::Rows, !one_count),
            (Column::Positives, true),
            (Column::Auc, true),
            (Column::Bayes, bayes.is_some()),
            (Column::Gauc, has(|cell| cell.gauc)),
            (Column::LogLoss, true),
            (Column::Pcoc, true),
            (Column::Ndcg, has(|cell| cell.ndcg)),
            (Column::Mrr, has(|cell| cell.mrr)),
        ];
        let shown = wanted.into_iter().filter(|(_, shown)| *shown).map(|(column, _)| column).collect();
        Columns { metrics, bayes, scenarios, shown, one_count }
    }

    /// Runs of tasks, each as long as fits, and never empty.
    fn in_pages(&self, width: usize) -> Vec<&'a [Cell]> {
        let mut pages = Vec::new();
        let mut rest = self.metrics.overall.as_slice();
        while !rest.is_empty() {
            let fits = |count: &usize| self.render(&rest[..*count]).lines().all(|line| line.chars().count() <= width);
            let count = (2..=rest.len()).rev().find(fits).unwrap_or(1);
            let (page, after) = rest.split_at(count);
            pages.push(page);
            rest = after;
        }
        pages
    }

    fn render(&self, tasks: &[Cell]) -> String {
        let mut table = Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled).set_header(self.header(tasks));
        for scenario in &self.scenarios {
            table.add_row(self.line(scenario, Some(scenario), tasks));
        }
        table.add_row(self.line("all", None, tasks));
        let first = self.first_column();
        for (index, column) in table.column_iter_mut().enumerate() {
            let group_starts = index >= first && (index - first).is_multiple_of(self.shown.len());
            column.set_padding((if group_starts { 3 } else { u16::from(index > 0) }, u16::from(index == 0)));
            let side = if index == 0 { CellAlignment::Left } else { CellAlignment::Right };
            column.set_cell_alignment(side);
        }
        let text = table.to_string();
        let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let rule = lines[HEADER_LINES];
        lines.insert(lines.len() - 1, rule);
        format!("{}\n", lines.join("\n"))
    }

    fn first_column(&self) -> usize {
        if self.one_count { 2 } else { 1 }
    }

    fn header(&self, tasks: &[Cell]) -> Vec<TableCell> {
        let mut header = vec![TableCell::new("\nscenario")];
        if self.one_count {
            header.push(TableCell::new("\nrows"));
        }
        for task in tasks {
            for (index, column) in self.shown.iter().enumerate() {
                let above = if index == 0 { task.task.as_str() } else { "" };
                header.push(TableCell::new(format!("{above}\n{}", column.name())));
            }
        }
        header
    }

    fn line(&self, name: &str, scenario: Option<&str>, tasks: &[Cell]) -> Vec<TableCell> {
        let cells: Vec<Option<&Cell>> = tasks.iter().map(|task| self.metrics.cell(scenario, &task.task)).collect();
        let mut line = vec![TableCell::new(name)];
        if self.one_count {
            let rows = cells.iter().flatten().map(|cell| cell.rows).max().unwrap_or_default();
            line.push(TableCell::new(grouped(rows)));
        }
        for (cell, task) in cells.iter().zip(tasks) {
            for column in &self.shown {
                let text = match (column, cell) {
                    (Column::Bayes, _) => decimals(self.bayes.and_then(|bayes| bayes(scenario, &task.task)), 4),
                    (_, Some(cell)) => column.text(cell),
                    (_, None) => UNDEFINED.to_owned(),
                };
                line.push(TableCell::new(text));
            }
        }
        line
    }
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Column::Rows => "rows",
            Column::Positives => "positive",
            Column::Auc => "AUC",
            Column::Bayes => "Bayes AUC",
            Column::Gauc => "GAUC",
            Column::LogLoss => "log loss",
            Column::Pcoc => "PCOC",
            Column::Ndcg => "NDCG",
            Column::Mrr => "MRR",
        }
    }

    fn text(self, cell: &Cell) -> String {
        match self {
            Column::Rows => grouped(cell.rows),
            Column::Positives => grouped(cell.positives),
            Column::Auc => decimals(cell.auc, 4),
            Column::Gauc => decimals(cell.gauc, 4),
            Column::LogLoss => decimals(cell.logloss, 4),
            Column::Pcoc => decimals(cell.pcoc, 3),
            Column::Ndcg => decimals(cell.ndcg, 4),
            Column::Mrr => decimals(cell.mrr, 4),
            Column::Bayes => UNDEFINED.to_owned(),
        }
    }
}

/// The means in words, with what each covers.
pub(crate) fn means(metrics: &SplitMetrics) -> String {
    let tasks = metrics.overall.len();
    let mut text = format!(
        "mean AUC over tasks {} ({} of {tasks}), over cells {} ({} of {} with at least {} rows of either class)",
        decimals(metrics.mean_auc, 4),
        metrics.mean_auc_tasks,
        decimals(metrics.mean_cell_auc, 4),
        metrics.mean_cell_auc_cells,
        metrics.cells.len(),
        metrics.min_positives,
    );
    if metrics.mean_gauc.is_some() {
        text.push_str(&format!(", mean GAUC {}", decimals(metrics.mean_gauc, 4)));
    }
    text.push('\n');
    text
}

pub(crate) fn decimals(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| format!("{value:.places$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(scenario: Option<&str>, task: &str, rows: u64, auc: Option<f64>) -> Cell {
        Cell {
            scenario: scenario.map(str::to_owned),
            task: task.to_owned(),
            rows,
            positives: rows / 10,
            auc,
            logloss: Some(0.3256),
            pcoc: Some(1.0125),
            ..Cell::default()
        }
    }

    fn metrics(tasks: &[&str], order_rows: u64) -> SplitMetrics {
        let rows = |task: &str| if task == "order" { order_rows } else { 12_000 };
        SplitMetrics {
            rows: 24_000,
            cells: ["home", "search"]
                .iter()
                .flat_map(|scenario| tasks.iter().map(|task| cell(Some(scenario), task, rows(task), Some(0.7012))))
                .collect(),
            overall: tasks.iter().map(|task| cell(None, task, 2 * rows(task), None)).collect(),
            mean_cell_auc: Some(0.7012),
            mean_cell_auc_cells: 4,
            min_positives: 10,
            ..SplitMetrics::default()
        }
    }

    #[test]
    fn tasks_seen_on_the_same_rows_share_one_count_and_undefined_is_a_dash() {
        insta::assert_snapshot!(split_within(USUAL_WIDTH, "test", &metrics(&["click", "order"], 12_000), None));
    }

    #[test]
    fn tasks_seen_on_other_rows_have_their_own_count() {
        insta::assert_snapshot!(split_within(
            USUAL_WIDTH,
            "test",
            &metrics(&["click", "order"], 1_200),
            Some(&|_, _| Some(0.75))
        ));
    }

    #[test]
    fn tasks_that_do_not_fit_side_by_side_stand_below_each_other() {
        let names = ["a", "b", "c", "d", "e"];
        let metrics = metrics(&names, 12_000);
        let pages = Columns::of(&metrics, None).in_pages(80);
        assert!(pages.len() > 1);
        assert_eq!(pages.concat().len(), names.len());
    }
}
