//! What a comparison comes to: plain data, the same bytes for the same input. What differs from run to run is elsewhere
//! (`timing.json`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What `compare.json` holds. All AUCs are those of the test rows, unless a field says `valid`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the experiment.
    pub name: String,
    /// Rows of test, observed or not.
    pub rows: u64,
    /// The scenarios, in the order of the cells.
    pub scenarios: Vec<String>,
    /// The tasks, in the order of the cells.
    pub tasks: Vec<String>,
    /// The models, in the order they were asked for.
    pub models: Vec<ModelResult>,
    /// How rows and seeds were resampled.
    pub resampling: Resampling,
    /// The model that `contrasts` are against.
    pub against: String,
    /// Each other model against that one, in the order of `models`.
    pub contrasts: Vec<Contrast>,
    /// Which models another one beats in every cell, in the order of `models`.
    #[serde(default)]
    pub pareto: Vec<ParetoRow>,
    /// What each model gains and loses beside the reference; absent without a reference, and `notes` says why.
    pub seesaw: Option<Seesaw>,
    /// What a reader must know to read the numbers right, in sentences.
    pub notes: Vec<String>,
}

/// One model over its seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelResult {
    /// The name in this comparison.
    pub name: String,
    /// The preset it was made from, if any.
    pub preset: Option<String>,
    /// How it serves many scenarios and many tasks: `R1` to `R4`, `native`, or nothing where that is no question.
    pub recipe: Option<String>,
    /// Parameters outside the embedding tables.
    pub dense_parameters: u64,
    /// Parameters in the embedding tables.
    pub embedding_parameters: u64,
    /// Floating-point operations to score one row.
    pub flops_per_row: u64,
    /// The factor its widths were scaled by to match parameters; absent where they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_factor: Option<f64>,
    /// Mean over tasks of the overall AUC on the validation rows: what a model is chosen by.
    pub valid_mean_auc: Spread,
    /// Mean over tasks of the overall AUC.
    pub mean_auc: Spread,
    /// Mean of the cells' AUC, over cells with enough rows of either class.
    pub mean_cell_auc: Spread,
    /// One per task, over the rows of all scenarios.
    pub overall: Vec<CellSpread>,
    /// One per scenario and task, scenario by scenario.
    pub cells: Vec<CellSpread>,
    /// One per seed; the values of every [`Spread`] are in this order.
    pub runs: Vec<RunResult>,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Its seed.
    pub seed: u64,
    /// Its folder: below the comparison's where it was made there, else as it was given.
    pub path: PathBuf,
    /// The step of its best weights.
    pub best_step: Option<u64>,
}

/// A number over the seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Its mean over the seeds where it is defined.
    pub mean: Option<f64>,
    /// Its standard deviation over them (`n - 1`); undefined for fewer than two.
    pub deviation: Option<f64>,
    /// One value per run.
    pub values: Vec<Option<f64>>,
}

/// The AUC of one task in one scenario, or over all scenarios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellSpread {
    /// The scenario; absent over all scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The task.
    pub task: String,
    /// Rows whose label was observed.
    pub rows: u64,
    /// Rows whose label is 1.
    pub positives: u64,
    /// The AUC.
    pub auc: Spread,
}

/// How rows and seeds were resampled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resampling {
    /// What is drawn together: `user`, or `row` where no user column is configured.
    pub unit: String,
    /// How many such there are in test.
    pub units: u64,
    /// Draws.
    pub draws: u64,
    /// The share of an interval, such as 0.95.
    pub level: f64,
    /// Fewest rows of either class for a cell to be tested.
    pub min_positives: u64,
}

/// One model against another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The model.
    pub model: String,
    /// What it is measured against: every difference is `model - base`.
    pub base: String,
    /// Seeds that were paired.
    pub pairs: u64,
    /// Of the mean over tasks of the overall AUC.
    pub mean_auc: Difference,
    /// Of the overall AUC, one per task; Holm's correction is over the tasks.
    pub overall: Vec<Difference>,
    /// Of the AUC of each cell, parallel to [`ModelResult::cells`]; Holm's correction is over the cells.
    pub cells: Vec<Difference>,
}

/// The difference of an AUC between two models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The scenario; absent over all scenarios.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The task; absent for the mean over tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Rows whose label was observed.
    pub rows: u64,
    /// Rows whose label is 1.
    pub positives: u64,
    /// The mean difference over the paired seeds; undefined where the rows are of one class.
    pub change: Option<f64>,
    /// From the bootstrap over users and seeds; absent where there are too few rows of either class.
    pub bootstrap: Option<Interval>,
    /// Over the seeds alone; absent with fewer than two, which cannot tell.
    pub paired_t: Option<PairedT>,
    /// What the bootstrap's corrected p says at the 5% level.
    pub verdict: Verdict,
}

/// A bootstrap's interval, and the test that goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end, not corrected for the number of cells.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability of a difference at least as large if there were none.
    pub p: f64,
    /// The same by Holm's correction for all cells tested together.
    pub p_holm: f64,
}

/// A paired t test over seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairedT {
    /// Degrees of freedom: pairs less one.
    pub degrees: u64,
    /// The statistic; absent where all differences are equal, so that there is no spread to measure by.
    pub t: Option<f64>,
    /// Probability of a statistic at least as large if there were no difference.
    pub p: f64,
    /// The same by Holm's correction for all cells tested together.
    pub p_holm: f64,
}

/// What a difference comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Above 0 beyond noise.
    Better,
    /// Below 0 beyond noise.
    Worse,
    /// Not told apart from 0.
    WithinNoise,
    /// Not tested: the rows are of one class, or too few.
    #[default]
    Untested,
}

/// How a model stands among the others over all cells at once, by mean AUC over seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParetoRow {
    /// The model.
    pub model: String,
    /// Cells with enough rows of either class.
    pub cells: u64,
    /// Of these, where its AUC is above every other's.
    pub best_cells: u64,
    /// Models that are worse in none of these cells and better in some: without one, the model is a choice.
    pub beaten_by: Vec<String>,
}

/// The change of every cell beside the reference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seesaw {
    /// The model that every change is measured against.
    pub reference: String,
    /// Each other model, in the order of [`Comparison::models`].
    pub rows: Vec<SeesawRow>,
}

/// What one model gains and loses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeesawRow {
    /// The changes.
    pub contrast: Contrast,
    /// Cells gained beyond noise.
    pub gained: u64,
    /// Cells lost beyond noise.
    pub lost: u64,
    /// Cells lost beyond noise by a model that gains another beyond noise; 0 where nothing is gained.
    pub seesaws: u64,
    /// Tasks, over all scenarios, gained beyond noise.
    pub gained_tasks: u64,
    /// Tasks lost beyond noise.
    pub lost_tasks: u64,
    /// Tasks lost beyond noise by a model that gains another task beyond noise.
    pub task_seesaws: u64,
}
