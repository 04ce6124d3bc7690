//! Tables of numbers.

use serde::Serialize;

/// A table; its first column names the rows.
#[derive(Default, Serialize)]
pub(super) struct Table {
    pub(super) id: String,
    pub(super) caption: String,
    /// The task that the numbers are of, if it is one.
    pub(super) task: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

#[derive(Serialize)]
pub(super) struct Column {
    name: String,
    /// Whether it holds words rather than numbers.
    text: bool,
}

#[derive(Default, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// Whether it sums up the rows above.
    pub(super) all: bool,
    pub(super) cells: Vec<Cell>,
}

#[derive(Default, Serialize)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) class: &'static str,
    /// The name of the number in `metrics.json`.
    pub(super) metric: &'static str,
    /// The length of a bar before the number, in percent.
    pub(super) share: Option<f64>,
}

impl Column {
    pub(super) fn number(name: impl Into<String>) -> Column {
        Column { name: name.into(), text: false }
    }

    pub(super) fn text(name: impl Into<String>) -> Column {
        Column { name: name.into(), text: true }
    }
}

impl Cell {
    pub(super) fn number(text: String) -> Cell {
        Cell { text, ..Cell::default() }
    }

    pub(super) fn text(text: String) -> Cell {
        Cell { text, class: "text", ..Cell::default() }
    }
}
