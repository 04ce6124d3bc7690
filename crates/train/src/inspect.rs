//! What a trained model does inside, on rows: attention between scenarios, gates over experts, experts that no gate
//! uses or whose units are dead, sizes of tables, and which features its ranking needs.
//!
//! | file | what it does |
//! | --- | --- |
//! | `sample` | the first rows of each scenario of a source, in memory |
//! | `gates` | runs the graph on the sample: mean weights of gates, units of experts that never fire; which gates weigh which experts comes from `hinet_model::mixtures` |
//! | `expert_use` | experts that all share one by one, those of scenarios and tasks together |
//! | `collapse` | what of that a user should be warned of |
//! | `importance` | how much AUC is lost when a feature is shuffled among the rows of a scenario |
//! | `csv` | all of it, one number a line |

mod collapse;
mod csv;
mod expert_use;
mod gates;
mod importance;
mod sample;

use std::sync::Arc;

use hinet_data::{Encoder, Need, Source};
use hinet_model::Model;
use serde::{Deserialize, Serialize};

use crate::fit::own_rows;
use crate::pool::pool;
use crate::run_folder::{pretty, write_whole};
use crate::{Run, RunFolder, ScoreOptions, TrainError};
use sample::Sample;

pub use expert_use::ExpertUse;
pub use importance::{FeatureImportance, Importance, ImportanceCell};

/// What was seen inside a model. The same model and rows give the same bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Which rows were looked at: `test`, `valid`, `train`, or what the caller names them.
    pub part: String,
    /// The scenarios, with the rows looked at.
    pub scenarios: Vec<ScenarioRows>,
    /// The tasks.
    pub tasks: Vec<String>,
    /// Attention of scenarios to one another; HiNet's SAN has one such matrix.
    pub attention: Vec<Attention>,
    /// Gates over experts.
    pub gates: Vec<Gate>,
    /// Experts that gates weigh.
    pub experts: Vec<Expert>,
    /// Embedding tables.
    pub tables: Vec<TableFacts>,
    /// What to look at: gates and experts that collapsed.
    pub warnings: Vec<String>,
    /// Which features the ranking needs, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importance: Option<Importance>,
}

/// A scenario with the rows looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioRows {
    /// The scenario's name.
    pub name: String,
    /// Rows looked at.
    pub rows: u64,
}

/// A matrix of weights between scenarios.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// What it is in the network.
    pub name: String,
    /// `[scenarios][scenarios]`: `weights[i][m]` is how much of scenario m scenario i takes in (the paper's alpha_im).
    pub weights: Vec<Vec<f64>>,
}

/// A gate over experts: mean weights per scenario, and per task where each task has its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// What it is in the network.
    pub name: String,
    /// What it weighs.
    pub experts: Vec<String>,
    /// Scenario by scenario, task by task.
    pub lines: Vec<GateLine>,
}

/// The mean weights of one gate over the rows of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateLine {
    /// The scenario.
    pub scenario: String,
    /// Whose mixture it is, where the gate makes one per task; absent where tasks share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Parallel to [`Gate::experts`]; empty without rows.
    pub weights: Vec<f64>,
}

/// An expert, or a sub-expert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expert {
    /// The experts it belongs to, by their name in the network.
    pub bank: String,
    /// Whose it is, where each scenario has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Whose it is, where each task has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Which of its kind, from 1.
    pub number: usize,
    /// Rows looked at that go through it.
    pub rows: u64,
    /// Mean weight over the rows and gates that see it; absent without rows.
    pub weight: Option<f64>,
    /// The weight it would have, did its gates weigh all experts alike.
    pub fair: f64,
    /// Share of its outputs that are 0, over the rows it is for; absent where it does not end in a ReLU, or without rows.
    pub zeros: Option<f64>,
    /// Units of its last layer that are 0 on every row.
    pub dead_units: usize,
    /// Units of its last layer.
    pub units: usize,
}

/// An embedding table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub name: String,
    /// Rows, the reserved ones for missing and unseen values included.
    pub rows: usize,
    /// Width.
    pub dim: usize,
    /// Megabytes (millions of bytes) in memory, as 4-byte floats.
    pub megabytes: f64,
    /// Mean over rows of their Euclidean norm.
    pub norm: f64,
}

/// How a run is looked into.
pub struct InspectOptions<'a> {
    /// Most rows of each scenario to look at.
    pub rows_per_scenario: usize,
    /// Whether to find out which features the ranking needs; this needs labels.
    pub importance: bool,
    /// Threads, and what surrounds the scoring.
    pub score: ScoreOptions<'a>,
}

/// Rows of each scenario that are looked at when a fit ends.
const ROWS_AT_END: usize = 4096;

/// Looks into a run on the rows of `data`, or without it on its own test rows (valid, or train, where there are none).
///
/// # Errors
/// If the rows cannot be read or encoded, or the run's own data is not there any more.
pub fn inspect(run: &Run, data: Option<&Source>, options: InspectOptions<'_>) -> Result<Inspection, TrainError> {
    let own;
    let (part, source) = match data {
        Some(source) => ("data", source),
        None => {
            own = own_rows(&run.folder.experiment()?, &run.folder)?;
            (own.0, &own.1)
        }
    };
    let need = if options.importance { Need::Labels } else { Need::Features };
    let InspectOptions { rows_per_scenario, importance, mut score } = options;
    pool(score.threads)?.install(|| {
        let sample = Sample::read(source, &run.artefact.encoder, need, rows_per_scenario)?;
        let model = &run.artefact.model;
        let mut seen = look(model, part, &sample);
        if importance {
            seen.importance = Some(importance::importance(model, &sample, &mut score)?);
        }
        Ok(seen)
    })
}

/// What a fit writes down at its end: a look at a sample of some rows, without importance.
pub(crate) fn at_end(
    model: &Model,
    encoder: &Arc<Encoder>,
    (part, source): (&str, &Source),
) -> Result<Inspection, TrainError> {
    let sample = Sample::read(source, encoder, Need::Features, ROWS_AT_END)?;
    Ok(look(model, part, &sample))
}

impl Inspection {
    /// Reads what stands in a run folder; `None` if it has none.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn load(folder: &RunFolder) -> Result<Option<Inspection>, TrainError> {
        let path = folder.inspection();
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|error| TrainError::Damaged { path, reason: error.to_string() })
    }

    /// Writes it into a run folder.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn save(&self, folder: &RunFolder) -> Result<(), TrainError> {
        write_whole(&folder.inspection(), self.to_json().as_bytes())
    }

    /// The text of `inspection.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// One number a line: `kind,name,scenario,task,item,measure,value`.
    #[must_use]
    pub fn to_csv(&self) -> String {
        csv::csv(self)
    }
}

fn look(model: &Model, part: &str, sample: &Sample) -> Inspection {
    let layout = &model.layout;
    let rows = layout.scenarios.iter().zip(&sample.rows);
    let mut seen = Inspection {
        part: part.to_owned(),
        scenarios: rows.map(|(name, &rows)| ScenarioRows { name: name.clone(), rows }).collect(),
        tasks: layout.tasks.iter().map(|task| task.name.clone()).collect(),
        tables: tables(model),
        ..Inspection::default()
    };
    gates::look(model, sample, &mut seen);
    seen.warnings = collapse::warnings(&seen);
    seen
}

fn tables(model: &Model) -> Vec<TableFacts> {
    let tables = model.embeddings.specs().enumerate().map(|(index, spec)| {
        let values = model.embeddings.table(index);
        let norm = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let norms: f64 = values.chunks_exact(spec.dim.max(1)).map(norm).sum();
        TableFacts {
            name: spec.name.clone(),
            rows: spec.rows,
            dim: spec.dim,
            megabytes: values.len() as f64 * 4.0 / 1e6,
            norm: norms / spec.rows.max(1) as f64,
        }
    });
    tables.collect()
}
