//! Labels: what is 0 or 1, what was not observed, and which rows a task is about.

use arrow::array::{Array, BooleanArray, Float64Array};
use serde::{Deserialize, Serialize};

use super::key::map_valid;
use crate::schema::{all_negatives, is_all, is_negative_rate};
use crate::{DataError, Expression, Rows, TaskConfig, TaskSpec};

/// A task with its expressions read.
#[derive(Clone, Debug)]
pub(super) struct Task {
    saved: SavedTask,
    label: Expression,
    filter: Option<Expression>,
}

/// A task as the encoder's file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedTask {
    name: String,
    label: String,
    #[serde(rename = "where")]
    filter: Option<String>,
    weight: f64,
    #[serde(default = "all_negatives", skip_serializing_if = "is_all")]
    negative_rate: f64,
}

impl Task {
    /// Checks the tasks of the config. Keys of errors are `task[0].label`, counted from 0.
    pub(super) fn check(configs: &[TaskConfig]) -> Result<Vec<Task>, DataError> {
        if configs.is_empty() {
            return Err(DataError::config("task", "there must be at least one [[task]]"));
        }
        for (index, config) in configs.iter().enumerate() {
            let key = |option: &str| format!("task[{index}].{option}");
            if config.name.trim().is_empty() {
                return Err(DataError::config(&key("name"), "must not be empty"));
            }
            if configs[..index].iter().any(|other| other.name == config.name) {
                let problem = format!("`{}` is the name of a task already", config.name);
                return Err(DataError::config(&key("name"), problem));
            }
            if !(config.weight.is_finite() && config.weight >= 0.0) {
                return Err(DataError::config(&key("weight"), "must be a finite number of zero or more"));
            }
            if !is_negative_rate(config.negative_rate) {
                return Err(DataError::config(&key("negative_rate"), "must be a share above 0, and 1 at most"));
            }
        }
        configs.iter().map(|config| Task::new(SavedTask::of(config))).collect()
    }

    pub(super) fn new(saved: SavedTask) -> Result<Task, DataError> {
        if !is_negative_rate(saved.negative_rate) {
            let problem = format!("is {}, expected a share above 0, and 1 at most", saved.negative_rate);
            return Err(DataError::config(&format!("task.{}.negative_rate", saved.name), problem));
        }
        let label = Expression::parse(&saved.label)?;
        let filter = saved.filter.as_deref().map(Expression::parse).transpose()?;
        Ok(Task { saved, label, filter })
    }

    pub(super) fn saved(&self) -> &SavedTask {
        &self.saved
    }

    pub(super) fn spec(&self) -> TaskSpec {
        let SavedTask { name, weight, negative_rate, .. } = &self.saved;
        TaskSpec { name: name.clone(), weight: *weight, negative_rate: *negative_rate }
    }

    pub(super) fn columns(&self) -> Vec<String> {
        let filter = self.filter.as_ref().map(Expression::columns).unwrap_or_default();
        self.label_columns().into_iter().chain(filter).collect()
    }

    pub(super) fn label_columns(&self) -> Vec<String> {
        self.label.columns()
    }

    /// The label of each row; not-a-number where it was not observed or the row is none of the task's.
    pub(super) fn labels(&self, rows: &Rows) -> Result<Vec<f32>, DataError> {
        let values = self.label.eval(rows)?;
        let applies = self.filter.as_ref().map(|filter| filter.keeps(rows)).transpose()?;
        if let Some(row) = wrong(&values, applies.as_ref()) {
            let (column, value) = (self.label.text(), values.value(row).to_string());
            let expected = format!("a label of task `{}`: 0, 1 or nothing (not observed)", self.saved.name);
            return Err(DataError::bad_value(&rows.file, rows.number(row), column, &value, expected));
        }
        let mut labels = map_valid(values.values(), values.nulls(), f32::NAN, |value| value as f32);
        if let Some(applies) = &applies {
            for (label, applies) in labels.iter_mut().zip(applies.values()) {
                *label = if applies { *label } else { f32::NAN };
            }
        }
        Ok(labels)
    }
}

/// The first row that has a value, is of the task, and is no label.
fn wrong(values: &Float64Array, applies: Option<&BooleanArray>) -> Option<usize> {
    let fits = |value: f64| value == 0.0 || value == 1.0;
    // Most often all do, those of no row of the task too.
    if values.values().iter().all(|&value| fits(value)) {
        return None;
    }
    let counts = |row: usize| values.is_valid(row) && applies.is_none_or(|applies| applies.value(row));
    (0..values.len()).find(|&row| counts(row) && !fits(values.value(row)))
}

impl SavedTask {
    fn of(config: &TaskConfig) -> SavedTask {
        SavedTask {
            name: config.name.clone(),
            label: config.label.clone(),
            filter: config.filter.clone(),
            weight: config.weight,
            negative_rate: config.negative_rate,
        }
    }

    /// What labels depend on: all but the weight.
    pub(super) fn rule(&self) -> (&str, &str, Option<&str>) {
        (&self.name, &self.label, self.filter.as_deref())
    }
}
