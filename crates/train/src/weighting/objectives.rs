//! Which cells make an objective, and what objectives share.

use hinet_data::{Layout, TaskSpec};
use hinet_tape::Scope;

use super::config::Objectives;

/// The objectives of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ObjectiveMap {
    kind: Objectives,
    tasks: usize,
    names: Vec<String>,
}

impl ObjectiveMap {
    pub(crate) fn new(kind: Objectives, layout: &Layout) -> ObjectiveMap {
        let tasks = layout.tasks.iter().map(|task| task.name.clone());
        let names = match kind {
            Objectives::Tasks => tasks.collect(),
            Objectives::Scenarios => layout.scenarios.clone(),
            Objectives::Cells => {
                let cell = |scenario: &String, task: &TaskSpec| format!("{scenario}/{}", task.name);
                let scenarios = layout.scenarios.iter();
                scenarios.flat_map(|scenario| layout.tasks.iter().map(move |task| cell(scenario, task))).collect()
            }
        };
        ObjectiveMap { kind, tasks: layout.tasks.len(), names }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    /// The task, the scenario, or `scenario/task`.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The objective that a cell belongs to.
    pub(crate) fn of(&self, scenario: usize, task: usize) -> usize {
        match self.kind {
            Objectives::Tasks => task,
            Objectives::Scenarios => scenario,
            Objectives::Cells => scenario * self.tasks + task,
        }
    }

    /// Whether objectives share parameters of this scope. With cells, what a scenario's or a task's cells share counts as
    /// theirs: only what all share is weighed.
    pub(crate) fn share(&self, scope: Scope) -> bool {
        match scope {
            Scope::Shared => true,
            Scope::PerScenario => self.kind == Objectives::Tasks,
            Scope::PerTask => self.kind == Objectives::Scenarios,
            Scope::PerScenarioTask => false,
        }
    }

    /// Whether first-order weights, which each task has of its own, are shared.
    pub(crate) fn share_first_order(&self) -> bool {
        self.share(Scope::PerTask)
    }
}
