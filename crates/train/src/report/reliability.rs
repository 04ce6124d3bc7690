//! Reliability diagrams: what was predicted against what happened.

use serde::Serialize;

use super::chart::{Binned, Chart, Dot, path};
use super::files::Files;
use super::format::{UNDEFINED, at, decimals, grouped};
use crate::metrics::{Reliability, ReliabilityBin};

#[derive(Serialize)]
pub(super) struct Diagrams {
    part: String,
    tasks: Vec<String>,
    panels: Vec<Chart>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    cells: Vec<Tiny>,
}

/// A small diagram of one cell.
#[derive(Default, Serialize)]
struct Tiny {
    path: String,
    dots: Vec<Dot>,
    title: String,
    text: String,
}

impl Diagrams {
    pub(super) fn of(files: &Files) -> Option<Diagrams> {
        let (part, _) = files.main_split()?;
        let diagrams = files.reliability.get(part)?;
        let overall: Vec<&Reliability> = diagrams.iter().filter(|diagram| diagram.scenario.is_none()).collect();
        let tasks: Vec<String> = overall.iter().map(|diagram| diagram.task.clone()).collect();
        let cells: Vec<&Reliability> = diagrams.iter().filter(|diagram| diagram.scenario.is_some()).collect();
        let row = |cells: &[&Reliability]| Row {
            name: cells[0].scenario.clone().unwrap_or_default(),
            cells: cells.iter().map(|diagram| Tiny::of(diagram)).collect(),
        };
        // With one scenario the diagrams above say it all.
        let rows =
            if cells.len() > tasks.len() { cells.chunks(tasks.len().max(1)).map(row).collect() } else { Vec::new() };
        Some(Diagrams { part: part.to_owned(), tasks, panels: overall.into_iter().filter_map(panel).collect(), rows })
    }
}

fn panel(diagram: &Reliability) -> Option<Chart> {
    let most = most(&diagram.bins)?;
    let rows: u64 = diagram.bins.iter().map(|bin| bin.rows).sum();
    let positives: u64 = diagram.bins.iter().map(|bin| bin.positives).sum();
    let binned = |bin: &ReliabilityBin| Binned {
        point: (bin.prediction, happened(bin)),
        interval: wilson(bin.positives as f64, bin.rows as f64),
        title: format!(
            "predicted {}, happened {} ({} of {})",
            decimals(Some(bin.prediction), 4),
            decimals(Some(happened(bin)), 4),
            grouped(bin.positives),
            grouped(bin.rows)
        ),
    };
    let note = format!("{} of {} rows", grouped(positives), grouped(rows));
    Some(Chart::square(diagram.task.clone(), note, most, diagram.bins.iter().map(binned).collect()))
}

impl Tiny {
    fn of(diagram: &Reliability) -> Tiny {
        let Some(most) = most(&diagram.bins) else { return Tiny { text: UNDEFINED.to_owned(), ..Tiny::default() } };
        let place =
            |bin: &ReliabilityBin| (at(2.0 + 86.0 * bin.prediction / most), at(88.0 - 86.0 * happened(bin) / most));
        let places: Vec<(f64, f64)> = diagram.bins.iter().map(place).collect();
        let dots = places.iter().map(|&(x, y)| Dot { x, y, title: String::new() }).collect();
        let scenario = diagram.scenario.as_deref().unwrap_or_default();
        let title = format!("{scenario}, {}, both axes from 0 to {}", diagram.task, decimals(Some(most), 3));
        Tiny { path: path(&places), dots, title, text: decimals(Some(most), 3) }
    }
}

/// The end of both axes: a little above the largest value; `None` without a row.
fn most(bins: &[ReliabilityBin]) -> Option<f64> {
    let largest = bins.iter().map(|bin| bin.prediction.max(happened(bin))).reduce(f64::max)?;
    Some((largest * 1.06).clamp(1e-3, 1.0))
}

fn happened(bin: &ReliabilityBin) -> f64 {
    bin.positives as f64 / bin.rows.max(1) as f64
}

/// Wilson's 95% interval of a share.
fn wilson(positives: f64, rows: f64) -> (f64, f64) {
    const Z: f64 = 1.96;
    let share = positives / rows;
    let centre = (share + Z * Z / (2.0 * rows)) / (1.0 + Z * Z / rows);
    let half = Z / (1.0 + Z * Z / rows) * (share * (1.0 - share) / rows + Z * Z / (4.0 * rows * rows)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_holds_its_share_and_narrows_with_rows() {
        let (low, high) = wilson(10.0, 100.0);
        assert!((low - 0.0552).abs() < 1e-3 && (high - 0.1744).abs() < 1e-3, "{low} {high}");
        let (narrow, wide) = (wilson(1000.0, 10_000.0), wilson(0.0, 5.0));
        assert!(narrow.1 - narrow.0 < high - low);
        assert!(wide.0 == 0.0 && wide.1 > 0.3);
    }
}
