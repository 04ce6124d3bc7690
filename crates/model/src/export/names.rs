//! What the inputs of an exported model are called. `hinet encode` calls its columns the same.

use std::collections::HashSet;

use hinet_data::{Layout, Slot};

use crate::ModelError;
use crate::config::bad;

/// The scenario's id of each row.
pub const SCENARIO: &str = "scenario";
/// The dense input of the dense form.
pub(super) const DENSE: &str = "x";

/// Names of the inputs of a model in its full form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputNames {
    /// One per slot of the layout, in its order.
    pub slots: Vec<SlotNames>,
}

/// Names of what one slot reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotNames {
    /// Ids or numbers.
    pub values: String,
    /// Weights of ids, where the slot has them.
    pub weights: Option<String>,
}

impl InputNames {
    /// A slot is called after its feature's column, and its weights `<column>.weights`. Where that name is another
    /// input's or a task's, or begins with `/` as all inner names do, it is called `feature.<column>`. `weighted` says of
    /// each slot whether its ids have weights.
    ///
    /// # Errors
    /// [`ModelError::BadOption`] where a task has the name of an input that every model has, or begins with `/`.
    pub fn new(layout: &Layout, weighted: &[bool]) -> Result<InputNames, ModelError> {
        assert_eq!(layout.slots.len(), weighted.len(), "a flag per slot");
        let mut taken: HashSet<String> = [SCENARIO, DENSE].map(str::to_owned).into();
        for task in &layout.tasks {
            if task.name.starts_with('/') || !taken.insert(task.name.clone()) {
                let expected = format!("another name than `{SCENARIO}` and `{DENSE}`, not beginning with `/`");
                return Err(bad("task.name", format!("`{}`", task.name), expected));
            }
        }
        let mut free = |wanted: String| {
            let mut name = wanted;
            while name.starts_with('/') || !taken.insert(name.clone()) {
                name = format!("feature.{name}");
            }
            name
        };
        let slots = layout.slots.iter().zip(weighted).map(|(slot, &weighted)| SlotNames {
            values: free(slot.feature().to_owned()),
            weights: weighted.then(|| free(format!("{}.weights", slot.feature()))),
        });
        Ok(InputNames { slots: slots.collect() })
    }

    /// Checks that a slot's flag makes sense.
    pub(super) fn weights_of(&self, slot: usize, kind: &Slot) -> Option<&str> {
        match kind {
            Slot::Bag { .. } => self.slots[slot].weights.as_deref(),
            Slot::Lookup { .. } | Slot::Dense { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hinet_data::{TaskSpec, UnknownScenario};

    use super::*;

    fn layout(features: &[&str], tasks: &[&str]) -> Layout {
        Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: features.iter().map(|feature| Slot::Dense { feature: (*feature).into(), width: 1 }).collect(),
            scenarios: vec!["home".into()],
            scenario_rows: vec![1],
            tasks: tasks.iter().map(|name| TaskSpec::new(*name)).collect(),
            unknown: UnknownScenario::Error,
        }
    }

    #[test]
    fn names_that_would_clash_get_a_word_before_them() {
        let features = ["age", "scenario", "click", "age.weights", "/age", "age"];
        let names =
            InputNames::new(&layout(&features, &["click"]), &[true, false, false, false, false, false]).unwrap();
        let values: Vec<&str> = names.slots.iter().map(|slot| slot.values.as_str()).collect();
        assert_eq!(
            values,
            ["age", "feature.scenario", "feature.click", "feature.age.weights", "feature./age", "feature.age"]
        );
        assert_eq!(names.slots[0].weights.as_deref(), Some("age.weights"));
    }

    #[test]
    fn a_task_cannot_be_called_as_an_input_of_every_model() {
        for name in ["scenario", "x", "/click"] {
            let error = InputNames::new(&layout(&["age"], &[name]), &[false]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
