//! `hinet check`: what can be said of an experiment and its data without training.
//!
//! | question | file |
//! | --- | --- |
//! | which cells have rows, which of them one class; which scenarios are missing where | `cells` |
//! | does a column tell a label by itself | `leaks` |
//! | labels outside their task's rows, unused columns, missing and unseen values, size | here |

mod cells;
mod leaks;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hinet_data::{EncodeCounts, Encoder, Expression, Need, Order, Seed, Source, UnknownConfig, in_order};
use hinet_model::Model;
use serde::Serialize;

use crate::fit::Inputs;
use crate::run_folder::pretty;
use crate::{Experiment, TrainError};
use cells::Cells;
use leaks::Leaks;

/// Rows encoded at once.
const BATCH_ROWS: usize = 8192;
/// A feature that is missing this often says little.
const MOSTLY_MISSING: f64 = 0.95;
/// Values unseen this often leave most rows to the row of unseen values.
const MOSTLY_UNSEEN: f64 = 0.5;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// Name of the experiment.
    pub name: String,
    /// The parts of the data: train, and valid and test where there are such.
    pub parts: Vec<PartReport>,
    /// The model.
    pub model: ModelReport,
    /// What deserves a look, the worst first.
    pub findings: Vec<Finding>,
}

/// One part of the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartReport {
    /// `train`, `valid` or `test`.
    pub part: String,
    /// Its rows.
    pub rows: u64,
    /// Rows whose scenario train does not have, or that have none.
    pub unknown_scenario_rows: u64,
    /// Rows and positive rows of each scenario and task.
    pub cells: Vec<CellCount>,
    /// Missing and unseen values of each feature.
    pub features: Vec<FeatureCount>,
}

/// Labels of one cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CellCount {
    /// The scenario; `(unknown)` for those that train does not have.
    pub scenario: String,
    /// The task.
    pub task: String,
    /// Rows whose label is observed.
    pub rows: u64,
    /// Rows whose label is 1.
    pub positives: u64,
}

/// Values of one feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureCount {
    /// The feature's column.
    pub feature: String,
    /// Share of rows where it is missing.
    pub missing: f64,
    /// Values that train does not have, or too rarely, per row. For train: those below `min_count`.
    pub unseen: f64,
}

/// Size and cost of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelReport {
    /// Numbers learnt outside the embedding tables.
    pub dense_parameters: u64,
    /// Numbers in embedding tables.
    pub embedding_parameters: u64,
    /// Their size in single precision, in megabytes of 1,000,000 bytes.
    pub megabytes: f64,
    /// Floating-point operations to score a row.
    pub flops_per_row: u64,
    /// Width of the dense input.
    pub input_width: usize,
    /// Scenarios of train.
    pub scenarios: usize,
}

/// Something that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, such as "task `order`".
    pub about: String,
    /// What was found and what it means.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Training or evaluation would refuse.
    Error,
    /// Results would mislead or something is wasted.
    Warning,
    /// Good to know.
    Note,
}

/// Reads the experiment's data and reports what deserves a look. Trains nothing.
///
/// Memory: the encoder and the model, and for the search for leaks 4 bytes for each feature of at most 200,000 rows.
///
/// # Errors
/// Whatever reading and encoding refuse: a missing column, a cell that does not fit, a label that is neither 0 nor 1.
pub fn check(experiment: &Experiment) -> Result<CheckReport, TrainError> {
    // Rows of unknown scenarios are to be counted here, not to end the check.
    let mut lenient = experiment.clone();
    if lenient.scenario.unknown == UnknownConfig::Error {
        lenient.scenario.unknown = UnknownConfig::Mean;
    }
    let inputs = Inputs::prepare(&lenient)?;
    let mut findings = Vec::new();
    let mut leaks = Leaks::new(inputs.encoder.layout());
    let mut parts = Vec::new();
    let sources = [("train", Some(&inputs.train)), ("valid", inputs.valid.as_ref()), ("test", inputs.test.as_ref())];
    for (name, source) in sources {
        if let Some(source) = source {
            let watch = (name == "train").then_some(&mut leaks);
            let part = read_part(name, source, &inputs.encoder, watch)?;
            cells::judge(&part, experiment, &mut findings);
            judge_features(&part, &mut findings);
            judge_labels(name, source, experiment, &mut findings)?;
            parts.push(part);
        }
    }
    leaks.judge(inputs.encoder.layout(), &mut findings);
    judge_columns(experiment, &inputs, &mut findings);
    let model = Model::new(inputs.encoder.layout().clone(), experiment.model.clone(), Seed(experiment.train.seed))?;
    findings.sort_by_key(|finding| finding.severity);
    Ok(CheckReport { name: experiment.name.clone(), parts, model: ModelReport::of(&model), findings })
}

impl CheckReport {
    /// Whether training or evaluation would refuse.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The report as JSON.
    pub fn to_json(&self) -> String {
        pretty(self)
    }
}

impl ModelReport {
    fn of(model: &Model) -> ModelReport {
        let (dense, embedding) = (model.dense_parameters(), model.embedding_parameters());
        ModelReport {
            dense_parameters: dense as u64,
            embedding_parameters: embedding as u64,
            megabytes: (dense + embedding) as f64 * 4.0 / 1e6,
            flops_per_row: model.flops_per_row(),
            input_width: model.embeddings.width(),
            scenarios: model.layout.scenarios.len(),
        }
    }
}

/// One line each: the parts, the model, the findings.
impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            let cells = part.cells.iter().filter(|cell| cell.rows > 0).count();
            writeln!(f, "{}: {} rows, {cells} of {} cells with labels", part.part, part.rows, part.cells.len())?;
        }
        let model = &self.model;
        writeln!(
            f,
            "model: {} scenarios, {} columns of input, {} dense and {} embedding parameters ({:.1} MB), {:.2} MFLOP to score a row",
            model.scenarios,
            model.input_width,
            model.dense_parameters,
            model.embedding_parameters,
            model.megabytes,
            model.flops_per_row as f64 / 1e6
        )?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.findings.is_empty() { writeln!(f, "nothing stands out") } else { Ok(()) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}: {}: {}", self.about, self.message)
    }
}

fn finding(severity: Severity, about: impl Into<String>, message: impl Into<String>) -> Finding {
    Finding { severity, about: about.into(), message: message.into() }
}

fn read_part(
    name: &str,
    source: &Source,
    encoder: &Arc<Encoder>,
    mut leaks: Option<&mut Leaks>,
) -> Result<PartReport, TrainError> {
    let layout = encoder.layout();
    let mut cells = Cells::new(layout);
    let mut batches = in_order(source, Arc::clone(encoder), Need::Labels, BATCH_ROWS);
    for batch in batches.by_ref() {
        let batch = batch?;
        cells.add(&batch);
        if let Some(leaks) = &mut leaks {
            leaks.add(&batch);
        }
    }
    let counts: EncodeCounts = batches.counts();
    let share = |count: u64| if counts.rows == 0 { 0.0 } else { count as f64 / counts.rows as f64 };
    let features = counts.features.iter().map(|feature| FeatureCount {
        feature: feature.feature.clone(),
        missing: share(feature.missing),
        unseen: share(feature.unseen),
    });
    Ok(PartReport {
        part: name.to_owned(),
        rows: counts.rows,
        unknown_scenario_rows: counts.unknown_scenarios,
        cells: cells.counts(layout),
        features: features.collect(),
    })
}

fn judge_features(part: &PartReport, findings: &mut Vec<Finding>) {
    for feature in &part.features {
        let about = format!("feature `{}`", feature.feature);
        if feature.missing > MOSTLY_MISSING {
            let message = format!("missing in {} of {}", percent(feature.missing), part.part);
            findings.push(finding(Severity::Warning, about.clone(), message));
        }
        if part.part != "train" && feature.unseen > MOSTLY_UNSEEN {
            let message = format!(
                "{} of its values in {} were not seen often enough in train: such rows are scored without it",
                percent(feature.unseen.min(1.0)),
                part.part
            );
            findings.push(finding(Severity::Warning, about, message));
        }
    }
}

/// Positive labels of rows that are not the task's.
fn judge_labels(
    name: &str,
    source: &Source,
    experiment: &Experiment,
    findings: &mut Vec<Finding>,
) -> Result<(), TrainError> {
    for task in &experiment.tasks {
        let Some(filter) = &task.filter else { continue };
        let (label, filter) = (Expression::parse(&task.label)?, Expression::parse(filter)?);
        let mut columns = label.columns();
        columns.extend(filter.columns().into_iter().filter(|column| !label.columns().contains(column)));
        let mut outside = 0_u64;
        for rows in source.read(&columns, Order::InFile)? {
            let rows = rows?;
            let (labels, kept) = (label.eval(&rows)?, filter.keeps(&rows)?);
            outside += labels
                .iter()
                .zip(kept.iter())
                .filter(|(label, kept)| *label == Some(1.0) && *kept != Some(true))
                .count() as u64;
        }
        if outside > 0 {
            let message =
                format!("{outside} rows of {name} are positive although `{filter}` leaves them out: they are masked");
            findings.push(finding(Severity::Warning, format!("task `{}`", task.name), message));
        }
    }
    Ok(())
}

/// Columns of the files that nothing reads.
fn judge_columns(experiment: &Experiment, inputs: &Inputs, findings: &mut Vec<Finding>) {
    let mut used: BTreeSet<String> = inputs.encoder.columns(Need::Labels).into_iter().collect();
    used.extend(experiment.data.split.as_ref().and_then(|split| split.column.clone()));
    let fields = inputs.train.schema().fields().iter();
    let unused: Vec<&str> = fields.map(|field| field.name().as_str()).filter(|name| !used.contains(*name)).collect();
    if !unused.is_empty() {
        let message = format!("{} of the data not used: {}", counted(unused.len(), "column"), unused.join(", "));
        findings.push(finding(Severity::Note, "columns", message));
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
