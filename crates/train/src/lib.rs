//! From an experiment file to a trained, evaluated and saved model: the config, the fit loop, metrics and run folders.

mod experiment;
mod metrics;

pub use experiment::{
    CONFIG_VERSION, Experiment, ExperimentError, ExperimentFile, Monitor, MonitoredMetric, Problem, Tracker,
    TrainConfig, config_reference, json_schema,
};
pub use metrics::{
    Cell, Metrics, MetricsBuilder, MetricsError, MetricsOptions, SplitMetrics, TableView, UNKNOWN_SCENARIO,
};
