//! From an experiment file to a trained, evaluated and saved model: the config, the fit loop, metrics and run folders.

mod calibrate;
mod check;
mod checkpoint;
mod compare;
mod encode;
mod error;
mod evaluate;
mod experiment;
mod export;
mod fit;
mod history;
mod inspect;
mod metrics;
mod pool;
mod predict;
mod queue;
mod report;
mod run_folder;
mod scores;
mod statistics;
mod step;
mod tensorboard;
mod tune;
mod weighting;

pub use calibrate::{Calibrated, CalibrationData, calibrate, uncalibrate};
pub use check::{CellCount, CheckReport, FeatureCount, Finding, ModelReport, PartReport, Severity, check};
pub use compare::{
    CellSpread, CompareObserver, CompareOptions, CompareRuns, CompareTiming, Compared, Comparison, Contrast,
    Difference, Interval, ModelResult, ModelTiming, PairedT, ParetoRow, Resampling, RunEvent, RunLine, RunResult,
    Seesaw, SeesawRow, Spread, Verdict, compare, compare_runs,
};
pub use encode::encode;
pub use error::{ErrorKind, TrainError};
pub use evaluate::{Run, ScoreOptions, evaluate};
pub use experiment::{
    CONFIG_VERSION, CompareConfig, Experiment, ExperimentError, ExperimentFile, FloorsConfig, Monitor, MonitoredMetric,
    NewScenarios, PatienceOver, Problem, Setting, Tracker, TrainConfig, TuneConfig, TuneRange, TuneStrategy, Tuning,
    WarmStartConfig, config_reference, json_schema, read_config, reference_of, schema_of, toml_of,
};
pub use export::{RunExport, export_run};
pub use fit::{
    Evaluated, FitOptions, NewScenario, Observer, OldCell, Progress, Quiet, RunSize, Seconds, Stage, StepDone, Summary,
    Timing, WarmStarted, fit, peak_rss_mb,
};
pub use hinet_tape::{InstructionsError, instructions};
pub use inspect::{
    Attention, Expert, ExpertUse, FeatureImportance, Gate, GateLine, Importance, ImportanceCell, InspectOptions,
    Inspection, ScenarioRows, TableFacts, inspect,
};
pub use metrics::{
    Cell, Metrics, MetricsBuilder, MetricsError, MetricsOptions, Reliability, ReliabilityBin, SplitMetrics,
    UNKNOWN_SCENARIO,
};
pub use predict::{Predicted, predict, score};
pub use report::{comparison_page, grouped, write_report};
pub use run_folder::RunFolder;
pub use step::{Step, StepConfig, StepSeconds, TaskLoss};
pub use tune::{TrialLine, TrialResult, TuneEvent, TuneObserver, TuneOptions, TuneResult, Tuned, tune, tune_models};
pub use weighting::{Objectives, WeightingConfig, WeightingKind};
