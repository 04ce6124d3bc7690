//! The test rows as they were: labels, scenarios, and what is resampled together.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hinet_data::{Encoder, Need, Source, in_order};

use crate::TrainError;
use crate::evaluate::{SCORED_ROWS, is_stopped};
use crate::scores::{Fingerprint, Fingerprinter, file_order, label};

/// The test rows, in the order of the files.
pub(super) struct Truth {
    /// Names of the scenarios; rows of scenarios that train did not have are a group after them.
    pub(super) scenarios: Vec<String>,
    /// Names of the tasks.
    pub(super) tasks: Vec<String>,
    /// Scenario of each row.
    pub(super) scenario: Vec<u16>,
    /// By task: the label of each row, where it was observed.
    pub(super) labels: Vec<Vec<Option<bool>>>,
    /// What each row is drawn with: its user, or itself.
    pub(super) unit: Vec<u32>,
    /// How many such there are.
    pub(super) units: usize,
    /// Whether units are users.
    pub(super) by_user: bool,
    /// Scenarios, and one more where there are rows of unknown ones: as [`SplitMetrics`](crate::SplitMetrics) has them.
    pub(super) groups: usize,
    /// Whose rows these are, for messages.
    pub(super) of: String,
    /// What tells these rows from others.
    pub(super) fingerprint: Fingerprint,
}

impl Truth {
    /// Reads the test rows. `None` if the caller asked to stop.
    pub(super) fn read(
        source: &Source,
        encoder: &Arc<Encoder>,
        stop: &AtomicBool,
    ) -> Result<Option<Truth>, TrainError> {
        let layout = encoder.layout();
        let tasks = layout.tasks.len();
        let mut print = Fingerprinter::new(layout);
        let (mut scenario, mut labels, mut users) = (Vec::new(), vec![Vec::new(); tasks], Vec::new());
        for batch in in_order(source, Arc::clone(encoder), Need::Labels, SCORED_ROWS) {
            if is_stopped(stop) {
                return Ok(None);
            }
            let batch = batch?;
            let order = file_order(&batch);
            print.push(&batch, &order);
            let rows = || order.iter().map(|&row| row as usize);
            scenario.extend(rows().map(|row| batch.scenario[row]));
            for (task, labels) in labels.iter_mut().enumerate() {
                labels.extend(rows().map(|row| label(&batch, row * tasks + task)));
            }
            if !batch.user.is_empty() {
                users.extend(rows().map(|row| batch.user[row]));
            }
        }
        let (unit, units) = units(&users, scenario.len());
        Ok(Some(Truth {
            scenarios: layout.scenarios.clone(),
            tasks: layout.tasks.iter().map(|task| task.name.clone()).collect(),
            groups: groups(layout.scenarios.len(), &scenario),
            scenario,
            labels,
            unit,
            units,
            by_user: !users.is_empty(),
            of: "this comparison".to_owned(),
            fingerprint: print.finish(),
        }))
    }

    /// Rows.
    pub(super) fn rows(&self) -> usize {
        self.scenario.len()
    }
}

pub(super) fn groups(known: usize, scenario: &[u16]) -> usize {
    known + usize::from(scenario.iter().any(|&scenario| usize::from(scenario) >= known))
}

/// Numbers users in the order in which they first appear; without users every row is its own.
fn units(users: &[u64], rows: usize) -> (Vec<u32>, usize) {
    if users.is_empty() {
        return ((0..rows as u32).collect(), rows);
    }
    let mut numbers = std::collections::HashMap::new();
    let unit = users.iter().map(|user| {
        let next = numbers.len() as u32;
        *numbers.entry(user).or_insert(next)
    });
    (unit.collect(), numbers.len())
}

#[cfg(test)]
pub(super) mod tests {
    use hinet_data::{Layout, UnknownScenario};

    use super::*;

    /// Rows of at most two scenarios, `a` and `b`.
    pub(in super::super) fn truth(scenario: Vec<u16>, labels: Vec<Vec<Option<bool>>>, users: &[u64]) -> Truth {
        let (unit, units) = units(users, scenario.len());
        let layout = Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: Vec::new(),
            scenarios: Vec::new(),
            scenario_rows: Vec::new(),
            tasks: Vec::new(),
            unknown: UnknownScenario::Error,
        };
        Truth {
            scenarios: vec!["a".into(), "b".into()],
            tasks: (0..labels.len()).map(|task| format!("t{task}")).collect(),
            groups: groups(2, &scenario),
            scenario,
            labels,
            unit,
            units,
            by_user: !users.is_empty(),
            of: String::new(),
            fingerprint: Fingerprinter::new(&layout).finish(),
        }
    }

    #[test]
    fn rows_of_one_user_are_one_unit_and_without_users_each_row_is() {
        assert_eq!(units(&[7, 9, 7], 3), (vec![0, 1, 0], 2));
        assert_eq!(units(&[], 3), (vec![0, 1, 2], 3));
    }

    #[test]
    fn unknown_scenarios_are_a_group_only_where_there_are_rows_of_them() {
        assert_eq!((groups(2, &[0, 1]), groups(2, &[0, 2])), (2, 3));
    }
}
