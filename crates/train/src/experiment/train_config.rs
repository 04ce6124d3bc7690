//! How the model is trained: the table `[train]`.

use std::path::PathBuf;

use hinet_model::SparseOptimiserConfig;
use hinet_tape::DenseOptimiserConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::weighting::WeightingConfig;

/// How the model is trained, watched and saved: the table `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training rows.
    pub epochs: u64,
    /// Stop after this many steps, even within an epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Rows of one step.
    pub batch_size: usize,
    /// The number every random draw comes from.
    pub seed: u64,
    /// Threads that compute; 0 takes as many as the machine has cores. Results do not depend on it.
    pub threads: usize,
    /// What early stopping and the choice of the best weights look at, on the validation rows: `mean_auc`, `mean_cell_auc`, `mean_gauc`,
    /// `mean_logloss`, or one task's own, such as `click.auc`, `click.gauc` or `click.logloss`. Without it: `mean_auc` where there
    /// are validation rows, else the weights of the last step are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// `mean_cell_auc` is the mean over the cells (scenario x task) with at least this many positive and as many negative rows.
    pub min_positives: u64,
    /// Stop when this many evaluations in a row brought nothing better. Without it: all epochs are run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// What `patience` counts: evaluations in which the monitor was not better than ever (`monitor`), or in which the AUC of no cell
    /// (scenario x task) was (`cells`); cells with fewer than `min_positives` rows of either class say nothing.
    pub patience_over: PatienceOver,
    /// Cells that must not lose against another run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floors: Option<FloorsConfig>,
    /// The run that this one goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_start: Option<WarmStartConfig>,
    /// Evaluate on the validation rows every so many steps. Without it: after every epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<u64>,
    /// Rows of scenario s weigh `(N / (S N_s))^power` in the loss: 0 weighs all rows alike, 1 all scenarios.
    pub scenario_weight_power: f64,
    /// Each row trains the heads of its own scenario only. `false`: every head learns from every row, rows of other scenarios included.
    pub mask_loss: bool,
    /// How the losses of tasks or scenarios become one step. Without it: their sum.
    pub weighting: WeightingConfig,
    /// Optimiser of everything but the embedding tables.
    pub dense: DenseOptimiserConfig,
    /// Optimiser of the embedding tables: touched rows only.
    pub sparse: SparseOptimiserConfig,
    /// Write a checkpoint every so many steps; 0 writes one only when interrupted.
    pub checkpoint_every: u64,
    /// Keep the newest checkpoint after training has ended.
    pub keep_checkpoint: bool,
    /// Raw training rows that the artefact holds with their scores, by which a server tries what it loaded: the first of each
    /// scenario, then the second, ...; 0 keeps none.
    pub example_rows: usize,
    /// Where to write curves besides `history.jsonl`.
    pub track: Vec<Tracker>,
    /// The k of NDCG@k.
    pub ndcg_k: usize,
    /// Write a line of losses to `history.jsonl` every so many steps.
    pub log_every: u64,
}

/// What evaluations must improve for training to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PatienceOver {
    /// The monitor.
    #[default]
    Monitor,
    /// The AUC of any cell.
    Cells,
}

/// Cells that must not lose against another run: the table `[train.floors]`. Weights below a floor are kept only while none
/// are above all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FloorsConfig {
    /// The folder of that run; it must have been evaluated on the same validation rows.
    pub run: PathBuf,
    /// How much AUC each cell may lose on them. Default: 0.001.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
}

fn tolerance() -> f64 {
    0.001
}

/// The run that this one goes on from: the table `[train.warm_start]`. Features, tasks and model must be the same; scenarios and
/// ids may be more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmStartConfig {
    /// The folder of that run.
    pub run: PathBuf,
    /// How what a new scenario owns starts: `nearest` as that of the old scenario whose parts fit its rows best, `mean` as their mean,
    /// `fresh` as in a new model. Default: nearest.
    #[serde(default)]
    pub new_scenarios: NewScenarios,
    /// Train nothing but what new scenarios own; tables stay as they are too. Default: false.
    #[serde(default)]
    pub freeze: bool,
}

/// How what a new scenario owns starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewScenarios {
    /// As that of the old scenario whose parts fit its rows best.
    #[default]
    Nearest,
    /// As the mean over old scenarios.
    Mean,
    /// As in a new model.
    Fresh,
}

/// A place for curves besides `history.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tracker {
    /// Event files in the run folder's `tensorboard/`.
    Tensorboard,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            epochs: 3,
            max_steps: None,
            batch_size: 1024,
            seed: 0,
            threads: 0,
            monitor: None,
            min_positives: 10,
            patience: None,
            patience_over: PatienceOver::Monitor,
            floors: None,
            warm_start: None,
            evaluate_every: None,
            scenario_weight_power: 1.0,
            mask_loss: true,
            weighting: WeightingConfig::default(),
            dense: DenseOptimiserConfig::default(),
            sparse: SparseOptimiserConfig::default(),
            checkpoint_every: 1000,
            keep_checkpoint: false,
            example_rows: 16,
            track: Vec::new(),
            ndcg_k: 10,
            log_every: 100,
        }
    }
}
