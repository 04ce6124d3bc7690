//! DBMTL, deep Bayesian multi-target learning (Wang et al., 2019, arXiv 1902.09154): the tasks as a Bayesian network. A
//! task that depends on others reads, beside its own tower, what their relation networks give.
//!
//! | paper | here | shape, of each view |
//! | --- | --- | --- |
//! | shared layer | `task.bottom` | `[batch, width]` |
//! | specific layer of target l | `task.tower` | `[batch, h]` |
//! | Bayesian layer: P(l given the targets it depends on, x) = f(own, theirs) | `task.relation0`, ... | `[batch, h']` |
//! | sigmoid of a linear layer | `task.tower.logit` | `[batch, 1]` |
//!
//! The chain rule of probability holds for any order of the targets, and the paper lets the network be any without a
//! cycle: here `depends` says it, and without it each task depends on all before it in the data. What is passed is hidden
//! layers, not sampled labels, so that training and inference compute the same, and a later task trains the towers that
//! it reads. The paper has one scenario; here each scenario has a network of its own (`task_scope`) above a bottom that all share.

use hinet_data::Layout;
use hinet_tape::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::{LOGIT, bottom};
use crate::config::{bad, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Reads, Recorder, Stack};

/// DBMTL. The paper does not give its sizes; those here are those of `shared_bottom`, and of its tower once more for the
/// relations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DbmtlConfig {
    /// Who owns the towers, the relation networks and the bottom.
    pub task_scope: TaskScope,
    /// What tasks depend on; tasks that are not named depend on none. Where it is left out, each task depends on all that
    /// stand before it in the data.
    pub depends: Vec<DependsConfig>,
    /// Widths of the layers of the bottom that towers share, ReLU after each; none: towers share embeddings alone.
    pub bottom_units: Vec<usize>,
    /// Dropout after each layer of the bottom, while training.
    pub bottom_dropout: f64,
    /// Widths of the layers of a tower, ReLU after each.
    pub tower_units: Vec<usize>,
    /// Dropout after each layer of a tower, while training.
    pub tower_dropout: f64,
    /// Widths of the layers of a relation network, ReLU after each. A layer of width 1 follows.
    pub relation_units: Vec<usize>,
    /// Dropout after each layer of a relation network, while training.
    pub relation_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

/// The tasks that a task depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DependsConfig {
    /// The task.
    pub task: String,
    /// The tasks whose relation networks it reads, one or more.
    pub on: Vec<String>,
}

impl Default for DbmtlConfig {
    fn default() -> DbmtlConfig {
        DbmtlConfig {
            task_scope: TaskScope::ScenarioTask,
            depends: Vec::new(),
            bottom_units: vec![128, 64],
            bottom_dropout: 0.0,
            tower_units: vec![32],
            tower_dropout: 0.0,
            relation_units: vec![32],
            relation_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl DbmtlConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        self.check_depends(layout)?;
        check_units("bottom_units", &self.bottom_units, 0)?;
        check_rate("bottom_dropout", self.bottom_dropout)?;
        check_units("tower_units", &self.tower_units, 1)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_units("relation_units", &self.relation_units, 1)?;
        check_rate("relation_dropout", self.relation_dropout)?;
        check_products(layout, &self.product)
    }

    /// Tasks of the data, each once, and none that depends on itself in the end.
    fn check_depends(&self, layout: &Layout) -> Result<(), ModelError> {
        let names: Vec<&str> = layout.tasks.iter().map(|task| task.name.as_str()).collect();
        for (number, DependsConfig { task, on }) in self.depends.iter().enumerate() {
            let unknown = std::iter::once(task).chain(on).find(|name| !names.contains(&name.as_str()));
            if let Some(name) = unknown {
                return Err(bad("depends", name, format!("one of the tasks {}", names.join(", "))));
            }
            if self.depends[..number].iter().any(|earlier| earlier.task == *task) {
                return Err(bad("depends", format!("twice of the task {task}"), "once per task"));
            }
            let distinct = on.iter().enumerate().all(|(place, name)| !on[..place].contains(name));
            if on.is_empty() || !distinct {
                return Err(bad("depends", format!("{task} on {on:?}"), "one or more different tasks"));
            }
        }
        let ordered = order(&self.parents(layout));
        match names.iter().enumerate().find(|(task, _)| !ordered.contains(task)) {
            Some((_, name)) => Err(bad("depends", format!("a circle through {name}"), "an order of the tasks")),
            None => Ok(()),
        }
    }

    /// The tasks that each task depends on.
    fn parents(&self, layout: &Layout) -> Vec<Vec<usize>> {
        let tasks = &layout.tasks;
        if self.depends.is_empty() {
            return (0..tasks.len()).map(|task| (0..task).collect()).collect();
        }
        let position = |name: &String| tasks.iter().position(|task| task.name == *name);
        let of = |task: &str| self.depends.iter().find(|depends| depends.task == task);
        let parents = tasks.iter().map(|task| of(&task.name).map_or(&[][..], |depends| &depends.on[..]));
        parents.map(|on| on.iter().filter_map(position).collect()).collect()
    }
}

/// Tasks so that each stands behind all that it depends on. Those in a circle, or behind one, are left out.
fn order(parents: &[Vec<usize>]) -> Vec<usize> {
    let mut ordered: Vec<usize> = Vec::new();
    while let Some(next) = (0..parents.len())
        .find(|task| !ordered.contains(task) && parents[*task].iter().all(|parent| ordered.contains(parent)))
    {
        ordered.push(next);
    }
    ordered
}

pub(super) fn record(config: &DbmtlConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let below = Stack { units: &config.bottom_units, dropout: config.bottom_dropout };
    let (input, reads) = bottom(r, &heads, input, below);
    let bank = Bank::one("task.tower", heads.owner()).routed(heads.routing());
    let towers = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let towers = r.mlp(&bank, input, reads, towers);
    let parents = config.parents(r.layout());
    let relation = Stack { units: &config.relation_units, dropout: config.relation_dropout };
    let mut related: Vec<Option<Value>> = vec![None; r.tasks()];
    for task in order(&parents) {
        // A task without a head (a product of others) has nothing to say.
        let Some(head) = heads.head_of(task) else { continue };
        let mut reads = vec![heads.of_head(r, towers, head)];
        reads.extend(parents[task].iter().filter_map(|&parent| related[parent]));
        let reads = r.interleave(&reads, heads.views());
        let name = format!("task.relation{head}");
        let bank = Bank::one(&name, heads.view_owner()).routed(heads.routing());
        related[task] = Some(r.mlp(&bank, reads, Reads::Own, relation));
    }
    if parents.iter().any(|parents| !parents.is_empty()) {
        for layer in 0..config.tower_units.len() {
            r.crosses_tasks(&format!("task.tower.{layer}."));
        }
    }
    let related: Vec<Value> = related.into_iter().flatten().collect();
    let related = r.interleave(&related, heads.views());
    let logits = r.linear(&bank, "logit", related, (Reads::Own, LOGIT));
    heads.finish(r, logits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_ordered_behind_what_they_depend_on_and_circles_are_left_out() {
        assert_eq!(order(&[vec![2], vec![], vec![1]]), [1, 2, 0]);
        assert_eq!(order(&[vec![1], vec![0], vec![]]), [2]);
        assert_eq!(order(&[vec![0]]), [0_usize; 0]);
    }
}
