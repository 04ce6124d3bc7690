//! Does a column tell a label by itself? A column that does is usually known only after the label.
//!
//! The first rows of train are cut in two by turns. One half learns the share of positive rows for each value of a
//! feature; the other half is ranked by it. Values the first half does not have get the overall share. An AUC near 1
//! on rows that the shares were not learnt from means that the feature gives the label away. A number that enters as it
//! is ranks by itself, upwards or downwards.

use std::collections::HashMap;

use hinet_data::{Batch, Column, Layout, Slot};

use super::{Finding, Severity, finding};
use crate::metrics::auc_of_sorted;

/// Rows of train that are looked at: the first ones.
const ROWS: usize = 200_000;
/// Fewest rows of either class that are ranked.
const MIN_ROWS: usize = 20;
/// A feature that ranks better than this by itself is suspicious.
const SUSPICIOUS_AUC: f64 = 0.99;

/// Encoded values and labels of the first rows of train.
pub(super) struct Leaks {
    tasks: usize,
    rows: usize,
    /// By slot.
    values: Vec<Vec<Value>>,
    /// `[rows * tasks]`.
    labels: Vec<Option<bool>>,
}

/// What stands for a feature's value in one row: a table row, the hash of several, or the bits of a number in single precision.
type Value = u32;

impl Leaks {
    pub(super) fn new(layout: &Layout) -> Leaks {
        let values = vec![Vec::new(); layout.slots.len()];
        Leaks { tasks: layout.tasks.len(), rows: 0, values, labels: Vec::new() }
    }

    pub(super) fn add(&mut self, batch: &Batch) {
        let rows = batch.rows.min(ROWS - self.rows);
        self.rows += rows;
        for (values, column) in self.values.iter_mut().zip(&batch.features) {
            values.extend((0..rows).map(|row| value(column, row, batch.rows)));
        }
        let labels = batch.labels.iter().zip(&batch.observed).take(rows * self.tasks);
        self.labels.extend(labels.map(|(&label, &observed)| observed.then_some(label > 0.5)));
    }

    pub(super) fn judge(&self, layout: &Layout, findings: &mut Vec<Finding>) {
        for (slot, values) in layout.slots.iter().zip(&self.values) {
            for (task, spec) in layout.tasks.iter().enumerate() {
                let auc = match slot {
                    Slot::Lookup { .. } | Slot::Bag { .. } => self.auc_by_shares(values, task),
                    Slot::Dense { .. } => self.auc_of_numbers(values, task),
                };
                let Some(auc) = auc.filter(|auc| *auc > SUSPICIOUS_AUC) else { continue };
                let message = format!(
                    "predicts task `{}` by itself (AUC {auc:.4} over the first {} rows of train): is it known before the label?",
                    spec.name, self.rows
                );
                findings.push(finding(Severity::Warning, format!("feature `{}`", slot.feature()), message));
            }
        }
    }

    /// Rows `first`, `first + 2`, ... whose label is observed.
    fn known<'a>(&'a self, values: &'a [Value], task: usize, first: usize) -> impl Iterator<Item = (Value, bool)> + 'a {
        let label = move |row: usize| self.labels[row * self.tasks + task];
        (first..self.rows).step_by(2).filter_map(move |row| Some((values[row], label(row)?)))
    }

    fn auc_of_numbers(&self, values: &[Value], task: usize) -> Option<f64> {
        let rows = self.known(values, task, 0).chain(self.known(values, task, 1));
        let auc = auc_of(rows.map(|(value, positive)| (f64::from(f32::from_bits(value)), positive)).collect())?;
        Some(auc.max(1.0 - auc))
    }

    /// AUC of the shares of one feature for one task; `None` where there are too few rows to say.
    fn auc_by_shares(&self, values: &[Value], task: usize) -> Option<f64> {
        // Looked up only, never walked through: its order cannot matter.
        let mut shares: HashMap<Value, (u32, u32)> = HashMap::new();
        let (mut rows, mut positives) = (0_u32, 0_u32);
        for (value, positive) in self.known(values, task, 0) {
            let share = shares.entry(value).or_default();
            *share = (share.0 + 1, share.1 + u32::from(positive));
            (rows, positives) = (rows + 1, positives + u32::from(positive));
        }
        let overall = f64::from(positives) / f64::from(rows.max(1));
        let score = |value: Value| {
            let (rows, positives) = shares.get(&value).copied().unwrap_or_default();
            (f64::from(positives) + overall) / (f64::from(rows) + 1.0)
        };
        auc_of(self.known(values, task, 1).map(|(value, positive)| (score(value), positive)).collect())
    }
}

/// AUC of (score, label); `None` with too few rows of a class.
fn auc_of(mut scored: Vec<(f64, bool)>) -> Option<f64> {
    let positives = scored.iter().filter(|row| row.1).count();
    if positives.min(scored.len() - positives) < MIN_ROWS {
        return None;
    }
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    auc_of_sorted(scored.into_iter())
}

fn value(column: &Column, row: usize, rows: usize) -> Value {
    match column {
        Column::Ids(ids) => ids[row],
        Column::Bag { offsets, ids, .. } => {
            let items = &ids[offsets[row] as usize..offsets[row + 1] as usize];
            xxhash_rust::xxh3::xxh3_64(bytemuck::cast_slice(items)) as u32
        }
        // The first number: all there is, but for vectors.
        Column::Dense(numbers) => numbers[row * (numbers.len() / rows)].to_bits(),
    }
}
