//! Differences with their intervals, one below the other.

use serde::Serialize;

use super::chart::{Tick, shortened, ticks};
use super::comparison::{glyph, interval};
use super::format::{UNDEFINED, at, fixed, signed};
use crate::compare::{Comparison, Contrast, Difference, Verdict};

#[derive(Serialize)]
pub(super) struct Forest {
    note: String,
    panels: Vec<Panel>,
}

/// One number of all models, against one of them.
#[derive(Serialize)]
struct Panel {
    title: String,
    width: f64,
    height: f64,
    /// Where names end, changes begin, and intervals begin.
    names: f64,
    changes: f64,
    intervals: f64,
    zero: f64,
    ticks: Vec<Tick>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    y: f64,
    x: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    class: &'static str,
    text_class: &'static str,
    shape: String,
    shape_class: &'static str,
    text: String,
    interval: String,
}

/// Room for a letter of a name; for the drawing; for a change; for an interval.
const LETTER: f64 = 7.4;
const PLOT: f64 = 190.0;
const CHANGE: f64 = 72.0;
const INTERVAL: f64 = 150.0;
/// Letters of a name at most: its whole stands in the table of models.
const LETTERS: usize = 24;
const TOP: f64 = 26.0;
const STEP: f64 = 20.0;

/// `None` where nothing is compared.
pub(super) fn of(comparison: &Comparison) -> Option<Forest> {
    let contrasts = &comparison.contrasts;
    contrasts.first()?;
    let mut panels = vec![panel("mean over tasks".to_owned(), contrasts, |contrast| Some(&contrast.mean_auc))];
    for (place, task) in comparison.tasks.iter().enumerate() {
        panels.push(panel(task.clone(), contrasts, |contrast| contrast.overall.get(place)));
    }
    let resampling = &comparison.resampling;
    let note = format!(
        "AUC of each model less that of {}, in thousandths, over all rows of test, with {}% intervals from {} draws of \
         {}s and seeds (not corrected for their number; marks and p are). ▲ better, ▼ worse, ≈ (a ring) within noise.",
        comparison.against,
        fixed(100.0 * resampling.level, 0),
        resampling.draws,
        resampling.unit,
    );
    Some(Forest { note, panels })
}

fn panel<'a>(title: String, contrasts: &'a [Contrast], of: impl Fn(&'a Contrast) -> Option<&'a Difference>) -> Panel {
    let found: Vec<(&Contrast, Option<&Difference>)> =
        contrasts.iter().map(|contrast| (contrast, of(contrast))).collect();
    let ends = found.iter().filter_map(|(_, difference)| *difference).flat_map(|difference| {
        let interval = difference.bootstrap.map(|interval| [interval.low, interval.high]);
        difference.change.into_iter().chain(interval.into_iter().flatten())
    });
    let (low, high) =
        ends.fold((0.0, 0.0), |(low, high): (f64, f64), end| (low.min(1000.0 * end), high.max(1000.0 * end)));
    let room = ((high - low) * 0.05).max(0.05);
    let (low, high) = (low - room, high + room);
    let longest = contrasts.iter().map(|contrast| contrast.model.chars().count().min(LETTERS)).max().unwrap_or(0);
    let left = at(16.0 + LETTER * longest as f64);
    let right = left + PLOT;
    let place = |value: f64| at(left + (1000.0 * value - low) / (high - low) * PLOT);
    let tick = |(value, places): (f64, usize)| Tick { at: place(value / 1000.0), label: fixed(value, places) };
    let rows = found.iter().enumerate();
    let rows = rows
        .map(|(number, (contrast, difference))| row(&contrast.model, TOP + STEP * number as f64, *difference, place));
    Panel {
        title,
        width: right + CHANGE + INTERVAL,
        height: TOP + STEP * found.len() as f64 + 14.0,
        names: left - 8.0,
        changes: right + 8.0,
        intervals: right + CHANGE,
        zero: place(0.0),
        ticks: ticks((low, high), 4).into_iter().map(tick).collect(),
        rows: rows.collect(),
    }
}

fn row(model: &str, y: f64, difference: Option<&Difference>, place: impl Fn(f64) -> f64) -> Row {
    let change = difference.and_then(|difference| difference.change);
    let found = difference.and_then(|difference| difference.bootstrap);
    let verdict = difference.map_or(Verdict::Untested, |difference| difference.verdict);
    let x = change.map(&place);
    let (class, text_class, shape_class) = match verdict {
        Verdict::Better => ("c1", "t1", "solid better"),
        Verdict::Worse => ("c2 unbroken", "t2", "solid worse"),
        Verdict::WithinNoise | Verdict::Untested => ("faint", "", "hollow"),
    };
    let told = |change: f64| format!("{} {}", signed(1000.0 * change, 1), glyph(verdict));
    Row {
        name: shortened(model, LETTERS),
        y,
        x,
        low: found.map(|interval| place(interval.low)),
        high: found.map(|interval| place(interval.high)),
        class,
        text_class,
        shape: x.map_or_else(String::new, |x| shape(verdict, x, y)),
        shape_class,
        text: change.map_or_else(|| UNDEFINED.to_owned(), told),
        interval: found.as_ref().map_or_else(String::new, interval),
    }
}

/// A triangle up or down, or a ring.
fn shape(verdict: Verdict, x: f64, y: f64) -> String {
    match verdict {
        Verdict::Better => format!("M{} {}h10L{x} {}z", at(x - 5.0), at(y + 4.0), at(y - 5.0)),
        Verdict::Worse => format!("M{} {}h10L{x} {}z", at(x - 5.0), at(y - 4.0), at(y + 5.0)),
        Verdict::WithinNoise | Verdict::Untested => {
            format!("M{} {y}a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z", at(x - 3.5))
        }
    }
}
