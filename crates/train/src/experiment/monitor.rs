//! What early stopping and the choice of the best weights look at.

use std::fmt;

use hinet_data::TaskConfig;

use super::strict::did_you_mean;
use crate::metrics::{Cell, SplitMetrics};

/// A metric to watch: of one task over all scenarios, or a mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// The task; `None` for the mean over tasks (over cells for [`MonitoredMetric::CellAuc`]).
    pub task: Option<String>,
    /// The metric.
    pub metric: MonitoredMetric,
}

/// Metrics that may be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonitoredMetric {
    /// AUC.
    Auc,
    /// Mean over cells of the AUC.
    CellAuc,
    /// AUC within users.
    Gauc,
    /// Log loss: smaller is better.
    Logloss,
}

impl MonitoredMetric {
    const ALL: [MonitoredMetric; 4] =
        [MonitoredMetric::Auc, MonitoredMetric::CellAuc, MonitoredMetric::Gauc, MonitoredMetric::Logloss];

    fn name(self) -> &'static str {
        match self {
            MonitoredMetric::Auc => "auc",
            MonitoredMetric::CellAuc => "cell_auc",
            MonitoredMetric::Gauc => "gauc",
            MonitoredMetric::Logloss => "logloss",
        }
    }

    fn of_task(self) -> bool {
        self != MonitoredMetric::CellAuc
    }
}

impl Monitor {
    /// Reads `mean_auc`, `click.logloss` and the like; the error is a message for the user.
    pub(super) fn parse(text: &str, tasks: &[TaskConfig]) -> Result<Monitor, String> {
        let metrics = MonitoredMetric::ALL.into_iter();
        let means = metrics.clone().map(|metric| Monitor { task: None, metric });
        let of_tasks = tasks.iter().flat_map(|task| {
            let metrics = metrics.clone().filter(|metric| metric.of_task());
            metrics.map(|metric| Monitor { task: Some(task.name.clone()), metric })
        });
        let all: Vec<Monitor> = means.chain(of_tasks).collect();
        if let Some(found) = all.iter().find(|monitor| monitor.to_string() == text) {
            return Ok(found.clone());
        }
        let names: Vec<String> = all.iter().map(Monitor::to_string).collect();
        let hint = did_you_mean(text, names.iter().map(String::as_str));
        Err(format!("{text:?} is not one of {}{hint}", names.join(", ")))
    }

    /// Its value; `None` where it is undefined.
    pub fn value(&self, split: &SplitMetrics) -> Option<f64> {
        let of_task = |value: fn(&Cell) -> Option<f64>| self.task.as_deref().and_then(|task| value(split.task(task)?));
        match (self.metric, &self.task) {
            (MonitoredMetric::Auc, None) => split.mean_auc,
            (MonitoredMetric::CellAuc, _) => split.mean_cell_auc,
            (MonitoredMetric::Gauc, None) => split.mean_gauc,
            (MonitoredMetric::Logloss, None) => split.mean_logloss,
            (MonitoredMetric::Auc, Some(_)) => of_task(|cell| cell.auc),
            (MonitoredMetric::Gauc, Some(_)) => of_task(|cell| cell.gauc),
            (MonitoredMetric::Logloss, Some(_)) => of_task(|cell| cell.logloss),
        }
    }

    /// Whether the larger of two values is the better one.
    pub fn larger_is_better(&self) -> bool {
        self.metric != MonitoredMetric::Logloss
    }

    /// Whether `value` is better than the best so far. Equal is not better.
    pub fn is_better(&self, value: f64, best: f64) -> bool {
        if self.larger_is_better() { value > best } else { value < best }
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "{task}.{}", self.metric.name()),
            None => write!(f, "mean_{}", self.metric.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> Vec<TaskConfig> {
        vec![TaskConfig::new("click", "a"), TaskConfig::new("long.view", "b")]
    }

    #[test]
    fn every_monitor_reads_back_from_its_name() {
        for name in ["mean_auc", "mean_cell_auc", "mean_gauc", "mean_logloss", "click.auc", "long.view.logloss"] {
            assert_eq!(Monitor::parse(name, &tasks()).unwrap().to_string(), name);
        }
        assert!(Monitor::parse("click.cell_auc", &tasks()).is_err());
        assert!(Monitor::parse("mean_acu", &tasks()).unwrap_err().ends_with("did you mean `mean_auc`?"));
    }

    #[test]
    fn a_monitor_finds_its_value() {
        let overall = vec![Cell { task: "click".into(), auc: Some(0.75), logloss: Some(0.5), ..Cell::default() }];
        let split =
            SplitMetrics { overall, mean_auc: Some(0.25), mean_cell_auc: Some(0.125), ..SplitMetrics::default() };
        let value = |name| Monitor::parse(name, &tasks()).unwrap().value(&split);
        assert_eq!(value("mean_auc"), Some(0.25));
        assert_eq!(value("mean_cell_auc"), Some(0.125));
        assert_eq!(value("click.auc"), Some(0.75));
        assert_eq!(value("click.logloss"), Some(0.5));
        assert_eq!(value("long.view.auc"), None);
    }

    #[test]
    fn a_smaller_loss_is_better() {
        let better = |name, value, best| Monitor::parse(name, &tasks()).unwrap().is_better(value, best);
        assert!(better("mean_logloss", 0.1, 0.2) && !better("mean_logloss", 0.2, 0.2));
        assert!(better("click.auc", 0.2, 0.1) && !better("click.auc", 0.1, 0.1));
    }
}
