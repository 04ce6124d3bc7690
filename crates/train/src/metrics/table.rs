//! The cells as a table for people and as CSV.

use std::collections::BTreeMap;

use super::{Cell, SplitMetrics};

/// Formatted cells of a table, for whoever draws its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableView {
    /// Heads of the columns.
    pub columns: Vec<String>,
    /// Columns from this one on hold numbers: align them to the right.
    pub first_number: usize,
    /// The lines, each as long as `columns`. What is undefined is a dash.
    pub rows: Vec<Vec<String>>,
    /// Draw a line above these rows.
    pub rules: Vec<usize>,
}

/// A number of a cell by its name in JSON, CSV and the table.
type Field = (&'static str, fn(&Cell) -> Option<f64>);

const FIELDS: [Field; 7] = [
    ("auc", |cell| cell.auc),
    ("gauc", |cell| cell.gauc),
    ("logloss", |cell| cell.logloss),
    ("pcoc", |cell| cell.pcoc),
    ("ece", |cell| cell.ece),
    ("ndcg", |cell| cell.ndcg),
    ("mrr", |cell| cell.mrr),
];

const DASH: &str = "-";
const ALL: &str = "all";

pub(super) fn view(split: &SplitMetrics) -> TableView {
    let fields: Vec<Field> = FIELDS.into_iter().filter(|(name, _)| is_asked_for(split, name)).collect();
    let mut columns: Vec<String> = ["scenario", "task", "rows", "positives"].map(str::to_owned).into();
    columns.extend(fields.iter().map(|(name, _)| match *name {
        "ndcg" => format!("ndcg@{}", split.ndcg_k),
        name => name.to_owned(),
    }));
    let mut rows: Vec<Vec<String>> = split.cells.iter().chain(&split.overall).map(|cell| line(cell, &fields)).collect();
    let mut rules = vec![split.cells.len()];
    let means = means(split, &fields);
    if split.overall.len() > 1 {
        rules.push(rows.len());
        rows.push(means);
    }
    TableView { columns, first_number: 2, rows, rules }
}

/// GAUC needs users, NDCG and MRR need requests: a table without them has no such columns.
fn is_asked_for(split: &SplitMetrics, name: &str) -> bool {
    match name {
        "gauc" => split.overall.iter().any(|cell| cell.users > 0),
        "ndcg" | "mrr" => split.overall.iter().any(|cell| cell.requests > 0),
        _ => true,
    }
}

fn line(cell: &Cell, fields: &[Field]) -> Vec<String> {
    let scenario = cell.scenario.clone().unwrap_or_else(|| ALL.to_owned());
    let counts = [count(cell.rows), count(cell.positives)];
    let values = fields.iter().map(|(_, value)| number(value(cell)));
    [scenario, cell.task.clone()].into_iter().chain(counts).chain(values).collect()
}

fn means(split: &SplitMetrics, fields: &[Field]) -> Vec<String> {
    let value = |name: &str| match name {
        "auc" => number(split.mean_auc),
        "gauc" => number(split.mean_gauc),
        "logloss" => number(split.mean_logloss),
        _ => String::new(),
    };
    let head = [ALL, "mean", "", ""].map(str::to_owned);
    head.into_iter().chain(fields.iter().map(|(name, _)| value(name))).collect()
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| DASH.to_owned(), |value| format!("{value:.4}"))
}

/// A count with commas between thousands.
fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn csv(splits: &BTreeMap<String, SplitMetrics>) -> String {
    let mut text =
        String::from("split,scenario,task,rows,positives,auc,gauc,users,logloss,pcoc,ece,ndcg,mrr,requests\n");
    for (split, metrics) in splits {
        for cell in metrics.cells.iter().chain(&metrics.overall) {
            let value = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            let fields = [
                quoted(split),
                quoted(cell.scenario.as_deref().unwrap_or("")),
                quoted(&cell.task),
                cell.rows.to_string(),
                cell.positives.to_string(),
                value(cell.auc),
                value(cell.gauc),
                cell.users.to_string(),
                value(cell.logloss),
                value(cell.pcoc),
                value(cell.ece),
                value(cell.ndcg),
                value(cell.mrr),
                cell.requests.to_string(),
            ];
            text.push_str(&fields.join(","));
            text.push('\n');
        }
    }
    text
}

/// A text as CSV wants it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    fn split() -> SplitMetrics {
        let cell = Cell {
            scenario: Some("home, top".into()),
            task: "click".into(),
            rows: 1_234_567,
            positives: 0,
            logloss: Some(0.5),
            ece: Some(0.25),
            ..Cell::default()
        };
        let overall = vec![Cell { scenario: None, ..cell.clone() }, Cell { task: "order".into(), ..Cell::default() }];
        SplitMetrics {
            rows: 1_234_567,
            cells: vec![cell],
            overall,
            mean_logloss: Some(0.5),
            ndcg_k: 10,
            ..SplitMetrics::default()
        }
    }

    #[test]
    fn undefined_metrics_are_dashes_and_columns_nobody_asked_for_are_left_out() {
        let view = split().table();
        assert_eq!(view.columns, ["scenario", "task", "rows", "positives", "auc", "logloss", "pcoc", "ece"]);
        assert_eq!(view.rows[0], ["home, top", "click", "1,234,567", "0", "-", "0.5000", "-", "0.2500"]);
        assert_eq!(view.rows[1][..2], ["all", "click"]);
        assert_eq!(view.rows[3], ["all", "mean", "", "", "-", "0.5000", "", ""]);
        assert_eq!(view.rules, [1, 3]);
        assert!(view.rows.iter().all(|row| row.len() == view.columns.len()));
    }

    #[test]
    fn columns_of_users_and_requests_appear_with_them() {
        let mut split = split();
        split.overall[0] = Cell { users: 2, requests: 3, gauc: Some(0.5), ndcg: Some(0.5), ..split.overall[0].clone() };
        let columns = split.table().columns;
        assert_eq!(columns[4..], ["auc", "gauc", "logloss", "pcoc", "ece", "ndcg@10", "mrr"]);
    }

    #[test]
    fn csv_leaves_what_is_undefined_empty_and_quotes_commas() {
        let metrics = Metrics { splits: [("test".to_owned(), split())].into(), ..Metrics::default() };
        let csv = metrics.to_csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[1], "test,\"home, top\",click,1234567,0,,,0,0.5,,0.25,,,0");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn json_has_null_for_what_is_undefined_and_reads_back_the_same() {
        let mut metrics = Metrics { splits: [("test".to_owned(), split())].into(), ..Metrics::default() };
        metrics.about.insert("seed".into(), 7.into());
        let text = metrics.to_json();
        assert!(text.contains("\"auc\": null"), "{text}");
        assert!(text.contains("\"seed\": 7"), "{text}");
        assert_eq!(Metrics::from_json(&text).unwrap(), metrics);
    }
}
