//! `hinet check`: what can be said without training.

use std::fmt::Write;

use hinet_train::{CheckReport, PartReport, check};

use super::train::{load, quoted, quoted_sets};
use crate::args::{CheckArguments, Format, ThreadArguments};
use crate::failure::failed;
use crate::output::{Talk, grouped, print};

pub(crate) fn run(arguments: &CheckArguments, talk: Talk) -> anyhow::Result<()> {
    let experiment = load(&arguments.config, ThreadArguments { threads: None })?;
    talk.say("reading the data");
    let report = check(&experiment)?;
    match arguments.format.format {
        Format::Table => print(&text(&report))?,
        Format::Json => print(&report.to_json())?,
        Format::Csv => print(&csv(&report))?,
    }
    if report.has_errors() {
        return Err(failed("training or evaluation would be refused, see the lines that begin with `error`"));
    }
    let mut next = vec![format!("hinet train {}", quoted(&arguments.config.config))];
    next.extend(quoted_sets(&arguments.config.sets));
    talk.say(format_args!("\nnothing stops training; next:\n  {}", next.join(" ")));
    Ok(())
}

fn text(report: &CheckReport) -> String {
    let tables: String = report.parts.iter().map(|part| part_table(part) + "\n").collect();
    // What the report says first of each part, its table says better.
    let rest = report.to_string().lines().skip(report.parts.len()).map(|line| format!("{line}\n")).collect::<String>();
    tables + &rest
}

/// Rows and share of positives per scenario and task.
fn part_table(part: &PartReport) -> String {
    let tasks: Vec<&str> = tasks(part);
    let name = part.cells.iter().map(|cell| cell.scenario.chars().count()).max().unwrap_or_default().max(8);
    let mut text =
        format!("{}, {} rows, share of positive labels\n{:name$}", part.part, grouped(part.rows), "scenario");
    let widths: Vec<usize> = tasks.iter().map(|task| task.chars().count().max(20)).collect();
    for (task, width) in tasks.iter().zip(&widths) {
        let _ = write!(text, "  {task:>width$}");
    }
    text.push('\n');
    for line in part.cells.chunks(tasks.len().max(1)) {
        let _ = write!(text, "{:name$}", line[0].scenario);
        for (cell, width) in line.iter().zip(&widths) {
            let share = if cell.rows == 0 {
                "–".to_owned()
            } else {
                format!("{:.4}", cell.positives as f64 / cell.rows as f64)
            };
            let shown = format!("{share} of {}", grouped(cell.rows));
            let _ = write!(text, "  {shown:>width$}");
        }
        text.push('\n');
    }
    text
}

fn tasks(part: &PartReport) -> Vec<&str> {
    let first = part.cells.first().map(|cell| cell.scenario.as_str());
    part.cells.iter().take_while(|cell| Some(cell.scenario.as_str()) == first).map(|cell| cell.task.as_str()).collect()
}

fn csv(report: &CheckReport) -> String {
    let mut text = "part,scenario,task,rows,positives\n".to_owned();
    for part in &report.parts {
        for cell in &part.cells {
            let (scenario, task) = (escaped(&cell.scenario), escaped(&cell.task));
            let _ = writeln!(text, "{},{scenario},{task},{},{}", part.part, cell.rows, cell.positives);
        }
    }
    text
}

/// A cell of CSV.
fn escaped(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
