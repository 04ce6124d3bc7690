//! Rows and positive rows per cell, and what they say about training and evaluation.

use hinet_data::{Batch, Layout, UnknownConfig};

use super::{CellCount, Finding, PartReport, Severity, counted, finding};
use crate::Experiment;
use crate::metrics::UNKNOWN_SCENARIO;

/// Counts by scenario and task.
pub(super) struct Cells {
    tasks: usize,
    /// (rows, positives), `[scenarios + 1, tasks]`.
    counts: Vec<(u64, u64)>,
}

impl Cells {
    pub(super) fn new(layout: &Layout) -> Cells {
        Cells { tasks: layout.tasks.len(), counts: vec![(0, 0); layout.groups() * layout.tasks.len()] }
    }

    pub(super) fn add(&mut self, batch: &Batch) {
        for (place, (&label, &observed)) in batch.labels.iter().zip(&batch.observed).enumerate() {
            let (row, task) = (place / self.tasks, place % self.tasks);
            let (rows, positives) = &mut self.counts[usize::from(batch.scenario[row]) * self.tasks + task];
            *rows += u64::from(observed);
            *positives += u64::from(observed && label > 0.5);
        }
    }

    pub(super) fn counts(&self, layout: &Layout) -> Vec<CellCount> {
        let name = |group: usize| layout.scenarios.get(group).map_or(UNKNOWN_SCENARIO, String::as_str).to_owned();
        let counts = self.counts.iter().enumerate().map(|(place, &(rows, positives))| CellCount {
            scenario: name(place / self.tasks),
            task: layout.tasks[place % self.tasks].name.clone(),
            rows,
            positives,
        });
        counts.filter(|cell| cell.rows > 0 || cell.scenario != UNKNOWN_SCENARIO).collect()
    }
}

/// Tasks of one class, empty cells, cells of one class, scenarios that are missing or unknown.
pub(super) fn judge(part: &PartReport, experiment: &Experiment, findings: &mut Vec<Finding>) {
    for task in &experiment.tasks {
        judge_task(part, &task.name, findings);
    }
    if part.unknown_scenario_rows > 0 {
        let rows = part.unknown_scenario_rows;
        let (severity, effect) = match experiment.scenario.unknown {
            UnknownConfig::Error => (Severity::Error, "they would be refused; set `scenario.unknown` to take them"),
            UnknownConfig::Mean => (Severity::Note, "they are scored by the mean over scenarios"),
            UnknownConfig::Scenario(_) => {
                (Severity::Note, "they count as rows of the scenario that `scenario.unknown` names")
            }
        };
        let message = format!("{rows} rows of {} have a scenario that train does not: {effect}", part.part);
        findings.push(finding(severity, "scenario", message));
    }
    if part.part != "train" {
        let scenarios: Vec<&[CellCount]> = part.cells.chunk_by(|a, b| a.scenario == b.scenario).collect();
        let absent = scenarios.iter().filter(|cells| cells.iter().all(|cell| cell.rows == 0));
        let names: Vec<&str> = absent.map(|cells| cells[0].scenario.as_str()).collect();
        if !names.is_empty() {
            let message = format!(
                "{} of train without rows in {}: {}",
                counted(names.len(), "scenario"),
                part.part,
                names.join(", ")
            );
            findings.push(finding(Severity::Warning, "scenario", message));
        }
    }
}

fn judge_task(part: &PartReport, task: &str, findings: &mut Vec<Finding>) {
    let cells: Vec<&CellCount> = part.cells.iter().filter(|cell| cell.task == task).collect();
    let rows: u64 = cells.iter().map(|cell| cell.rows).sum();
    let positives: u64 = cells.iter().map(|cell| cell.positives).sum();
    let about = format!("task `{task}`");
    if positives == 0 || positives == rows {
        let what = match (rows, positives) {
            (0, _) => "no label is observed".to_owned(),
            (_, 0) => format!("all {rows} labels are 0"),
            _ => format!("all {rows} labels are 1"),
        };
        let severity = if part.part == "train" { Severity::Error } else { Severity::Warning };
        return findings.push(finding(severity, about, format!("{what} in {}", part.part)));
    }
    let known = cells.iter().filter(|cell| cell.scenario != UNKNOWN_SCENARIO);
    let one_class = known.filter(|cell| cell.rows > 0 && (cell.positives == 0 || cell.positives == cell.rows));
    let names: Vec<String> =
        one_class.map(|cell| format!("{} ({} rows, {} positive)", cell.scenario, cell.rows, cell.positives)).collect();
    if !names.is_empty() {
        let effect = if part.part == "train" { "nothing to tell apart there" } else { "no AUC there" };
        let message = format!(
            "one class only in {} of {}, so {effect}: {}",
            counted(names.len(), "scenario"),
            part.part,
            names.join(", ")
        );
        findings.push(finding(Severity::Warning, about, message));
    }
}
