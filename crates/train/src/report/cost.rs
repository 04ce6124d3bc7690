//! What a run took: the one section that differs when a run is repeated.

use serde::Serialize;
use serde_json::Value;

use super::Fact;
use super::files::Files;
use super::format::{about, counted, duration, grouped};
use super::table::{self, Column, Table};
use super::train::took;
use crate::fit::Timing;

#[derive(Serialize)]
pub(super) struct Cost {
    facts: Vec<Fact>,
    parts: Table,
    note: String,
}

/// Threads, and instructions where they are known.
fn on(timing: &Timing) -> String {
    let threads = counted(timing.threads, "thread");
    if timing.instructions.is_empty() {
        format!("on {threads}")
    } else {
        format!("on {threads}, {}", timing.instructions)
    }
}

impl Cost {
    pub(super) fn of(files: &Files) -> Cost {
        let timing = &files.timing;
        let model = |key: &str| files.metrics.about.get("model").and_then(|model| model[key].as_u64()).unwrap_or(0);
        let mut facts = vec![
            Fact::new("time", took(files)),
            Fact::new("training", format!("{} rows/s", grouped(timing.rows_per_second.round() as u64)))
                .with_note(on(timing)),
        ];
        facts.extend(
            timing
                .peak_rss_mb
                .map(|mb| Fact::new("memory, most at once", format!("{} MB", grouped(mb.round() as u64)))),
        );
        facts.push(Fact::new("to score one row", format!("{} operations", about(model("flops_per_row")))));
        let rows = files.metrics.about.get("rows_trained").and_then(Value::as_u64).unwrap_or(0);
        let note = format!(
            "{} rows trained on in {}; begun {}, ended {}. This box reads timing.json and is all that differs when the run is repeated.",
            grouped(rows),
            if timing.sessions == 1 { "one sitting".to_owned() } else { format!("{} sittings", timing.sessions) },
            timing.started,
            timing.finished,
        );
        Cost { facts, parts: parts(files), note }
    }
}

/// What the time was spent on, with bars: side by side in one bar, eight shades could not be told apart.
fn parts(files: &Files) -> Table {
    let seconds = &files.timing.seconds;
    let inner = seconds.embedding + seconds.forward + seconds.backward + seconds.update;
    let parts = [
        ("preparing", seconds.preparing),
        ("embeddings", seconds.embedding),
        ("forward", seconds.forward),
        ("backward", seconds.backward),
        ("update", seconds.update),
        ("reading and the rest", (seconds.training - inner).max(0.0)),
        ("evaluating", seconds.evaluating),
        ("saving", seconds.saving),
    ];
    let most = parts.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let row = |(name, seconds): &(&str, f64)| {
        let share = Some((1000.0 * seconds / most).round() / 10.0);
        let cell = table::Cell { share, ..table::Cell::number(duration(*seconds)) };
        table::Row { name: (*name).to_owned(), all: false, cells: vec![cell] }
    };
    let rows = parts.iter().filter(|(_, seconds)| *seconds > 0.0).map(row).collect();
    Table { id: "time".into(), columns: vec![Column::text("part"), Column::number("time")], rows, ..Table::default() }
}
