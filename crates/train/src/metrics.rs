//! Metrics per cell (scenario x task), per task over all scenarios, and their means.
//!
//! | metric | file | undefined (`None`, `null`, a dash) when |
//! | --- | --- | --- |
//! | AUC | `auc` | the rows are of one class |
//! | GAUC: mean of the users' AUC weighted by their rows | `gauc` | no user has rows of both classes |
//! | log loss | `log_loss` | there are no rows |
//! | PCOC, ECE | `calibration` | there is no positive row; there are no rows |
//! | NDCG@k, MRR | `ranking` | no request has a positive row |
//!
//! Row weights of training have no part in them: every observed row counts once. No metric depends on the order of
//! rows, not even in its last bit: rows are sorted before anything is added up.

mod auc;
mod builder;
mod calibration;
mod csv;
mod gauc;
mod log_loss;
mod ranking;
mod scored;

pub(crate) use auc::auc_of_sorted;
pub use builder::{MetricsBuilder, MetricsError, MetricsOptions};
pub use calibration::ReliabilityBin;
pub(crate) use csv::{number, quoted};
pub(crate) use log_loss::loss_of;
#[cfg(test)]
pub(crate) use scored::pack;
pub(crate) use scored::{is_positive, score};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::WarmStarted;
use crate::run_folder::pretty;

/// Name of the cell of rows whose scenario was not seen in train.
pub const UNKNOWN_SCENARIO: &str = "(unknown)";

/// What `metrics.json` holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// By the name of the split: `valid`, `test`, or what the caller names it.
    pub splits: BTreeMap<String, SplitMetrics>,
    /// Further facts of the run that are the same whenever it is repeated: the model's size, the seed, ...
    #[serde(flatten)]
    pub about: BTreeMap<String, serde_json::Value>,
}

/// The metrics of one set of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitMetrics {
    /// Rows, observed or not.
    pub rows: u64,
    /// One cell per scenario and task, scenario by scenario; the scenario `(unknown)` last, where there is such a row.
    pub cells: Vec<Cell>,
    /// One per task, over the rows of all scenarios.
    pub overall: Vec<Cell>,
    /// Mean over tasks of the overall AUC, over the tasks where it is defined.
    pub mean_auc: Option<f64>,
    /// How many tasks `mean_auc` covers.
    pub mean_auc_tasks: u64,
    /// Mean of the cells' AUC, over cells with at least `min_positives` rows of either class; without `(unknown)`.
    pub mean_cell_auc: Option<f64>,
    /// How many cells `mean_cell_auc` covers.
    pub mean_cell_auc_cells: u64,
    /// Mean over tasks of the overall GAUC, over the tasks where it is defined.
    pub mean_gauc: Option<f64>,
    /// How many tasks `mean_gauc` covers.
    pub mean_gauc_tasks: u64,
    /// Mean over tasks of the overall log loss, over the tasks where it is defined.
    pub mean_logloss: Option<f64>,
    /// How many tasks `mean_logloss` covers.
    pub mean_logloss_tasks: u64,
    /// Fewest rows of either class for a cell to enter `mean_cell_auc`.
    pub min_positives: u64,
    /// The k of `ndcg`.
    pub ndcg_k: usize,
}

/// The metrics of one task in one scenario, or over all scenarios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The scenario's name; absent over all scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The task's name.
    pub task: String,
    /// Rows whose label was observed.
    pub rows: u64,
    /// Rows whose label is 1.
    pub positives: u64,
    /// Probability that a positive row is scored above a negative one; ties count one half.
    pub auc: Option<f64>,
    /// Mean of the AUC within each user, weighted by the user's rows.
    pub gauc: Option<f64>,
    /// Users with rows of both classes: those `gauc` covers.
    pub users: u64,
    /// Mean of minus the logarithm of the probability given to what happened.
    pub logloss: Option<f64>,
    /// Mean prediction over mean label: 1 where calibrated, above 1 where too high.
    pub pcoc: Option<f64>,
    /// Expected calibration error over 20 bins of equal width.
    pub ece: Option<f64>,
    /// Mean NDCG@k of the requests with a positive row.
    pub ndcg: Option<f64>,
    /// Mean reciprocal rank of the first positive row in the requests that have one.
    pub mrr: Option<f64>,
    /// Requests with a positive row: those `ndcg` and `mrr` cover.
    pub requests: u64,
}

/// What a reliability diagram shows of one cell, or of one task over all scenarios.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The scenario's name; absent over all scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The task's name.
    pub task: String,
    /// Rows of neighbouring predictions, in ascending order; about as many in each.
    pub bins: Vec<ReliabilityBin>,
}

/// Whether there are at least so many rows of either class: with fewer an AUC is chance.
pub(crate) fn has_enough(rows: u64, positives: u64, least: u64) -> bool {
    positives.min(rows - positives) >= least
}

impl SplitMetrics {
    /// AUC of each cell, where it has `min_positives` rows of either class; without `(unknown)`.
    pub(crate) fn large_cells(&self) -> Vec<Option<f64>> {
        let known = self.cells.iter().filter(|cell| cell.scenario.as_deref() != Some(UNKNOWN_SCENARIO));
        let is_large = |cell: &Cell| has_enough(cell.rows, cell.positives, self.min_positives);
        known.map(|cell| cell.auc.filter(|_| is_large(cell))).collect()
    }
}

impl Metrics {
    /// What the run took over from another one, if it did.
    #[must_use]
    pub fn warm_start(&self) -> Option<WarmStarted> {
        serde_json::from_value(self.about.get("warm_start")?.clone()).ok()
    }

    /// The text of `metrics.json`: keys in a fixed order, every number the shortest that reads back the same.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// Reads what [`Metrics::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is not such JSON.
    pub fn from_json(text: &str) -> Result<Metrics, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// One line per split and cell, the overall ones with the scenario left empty; an undefined metric is empty.
    pub fn to_csv(&self) -> String {
        csv::csv(&self.splits)
    }
}

impl SplitMetrics {
    /// The metrics of one task in one scenario, or without one over all scenarios.
    pub fn cell(&self, scenario: Option<&str>, task: &str) -> Option<&Cell> {
        let cells = if scenario.is_some() { &self.cells } else { &self.overall };
        cells.iter().find(|cell| cell.scenario.as_deref() == scenario && cell.task == task)
    }

    /// The metrics of one task over all scenarios.
    pub fn task(&self, name: &str) -> Option<&Cell> {
        self.overall.iter().find(|cell| cell.task == name)
    }
}
