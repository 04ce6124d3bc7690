//! What task layers share: who owns a head, and how heads become probabilities of tasks.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use crate::config::bad;
use crate::error::ModelError;
use crate::network::{Form, Output, Owner, Recorder};

/// Who owns the heads and the shared experts of a task layer. A head is what is learnt for one task alone: its
/// experts, gate and tower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskScope {
    /// A head for each task of each scenario; one pool of shared experts for all. What the authors of HiNet do.
    #[default]
    ScenarioTask,
    /// A head for each task of each scenario; a pool of shared experts in each scenario.
    PerScenario,
    /// A head for each task, used by every scenario; one pool of shared experts. Cheapest, and best where scenarios
    /// are tiny.
    Task,
}

/// The probability of a task as a product of heads, as in ESMM: with tasks `click` and `order` and the product
/// `{ task = "order", of = ["click", "order"] }`, the head named `order` learns the probability of an order once there
/// was a click, and an order is as probable as both together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductConfig {
    /// The task whose probability is a product.
    pub task: String,
    /// The tasks whose heads are multiplied, two or more; its own may be among them. A head that nothing needs is not
    /// made.
    pub of: Vec<String>,
}

/// The heads of a task layer and what becomes of them. Columns run over *views*, then heads: one view (the row's own
/// scenario) or one per scenario, as the form of the network asks.
pub(super) struct Heads {
    scope: TaskScope,
    /// The task of each head.
    tasks: Vec<usize>,
    /// Per task, the heads that are multiplied; one for a plain task.
    factors: Vec<Vec<usize>>,
    views: usize,
}

impl Heads {
    pub(super) fn new(r: &Recorder<'_>, scope: TaskScope, products: &[ProductConfig]) -> Heads {
        let factors: Vec<Vec<usize>> = (0..r.tasks()).map(|task| factors(r.layout(), products, task)).collect();
        let needed = |task: &usize| factors.iter().any(|factors| factors.contains(task));
        let tasks: Vec<usize> = (0..r.tasks()).filter(needed).collect();
        let head_of = |task: &usize| tasks.iter().position(|known| known == task);
        let factors = factors.iter().map(|factors| factors.iter().filter_map(head_of).collect()).collect();
        let views = match (scope, r.form()) {
            (TaskScope::Task, _) | (_, Form::Own) => 1,
            (TaskScope::ScenarioTask | TaskScope::PerScenario, Form::Every | Form::Mean) => r.scenarios(),
        };
        Heads { scope, tasks, factors, views }
    }

    /// Heads of one view.
    pub(super) fn count(&self) -> usize {
        self.tasks.len()
    }

    /// Scenarios whose heads a row goes through.
    pub(super) fn views(&self) -> usize {
        self.views
    }

    /// Who owns a head.
    pub(super) fn owner(&self) -> Owner {
        match self.scope {
            TaskScope::ScenarioTask | TaskScope::PerScenario => Owner::ScenarioTask(self.count()),
            TaskScope::Task => Owner::Task(self.count()),
        }
    }

    /// From the heads' logits to probabilities of tasks.
    ///
    /// # Shapes
    /// - `logits`: `[batch, views * heads]`
    /// - returns: `[batch, views * tasks]`, or in [`Form::Mean`] `[batch, tasks]`
    pub(super) fn finish(&self, r: &mut Recorder<'_>, logits: Value) -> TaskOutput {
        let plain = self.factors.iter().all(|factors| factors.len() == 1);
        let averaged = r.form() == Form::Mean && self.views > 1;
        if plain && !averaged {
            let scores = r.graph.activate(logits, Activation::Sigmoid);
            return TaskOutput { output: Output::Logits(logits), scores, auxiliary: None };
        }
        let (mut p, mut not_p) = self.log_probabilities(r, logits);
        if averaged {
            p = self.log_of_mean(r, p);
            not_p = self.log_of_mean(r, not_p);
        }
        let scores = r.graph.activate(p, Activation::Exp);
        TaskOutput { output: Output::LogProbabilities { p, not_p }, scores, auxiliary: None }
    }

    /// log p and log (1 - p), `[batch, views * tasks]` each. A product's log p is the sum of its heads'.
    fn log_probabilities(&self, r: &mut Recorder<'_>, logits: Value) -> (Value, Value) {
        let opposite = r.graph.affine(logits, -1.0, 0.0);
        let head_p = r.graph.activate(logits, Activation::LogSigmoid);
        let head_not_p = r.graph.activate(opposite, Activation::LogSigmoid);
        let tasks: Vec<usize> = (0..self.factors.len()).collect();
        let p = self.log_products(r, head_p, &tasks);

        let products: Vec<usize> = tasks.iter().copied().filter(|&task| self.factors[task].len() > 1).collect();
        let product_not_p = (!products.is_empty()).then(|| {
            let product_p = self.log_products(r, head_p, &products);
            // A product that rounds to 1 would have no finite log (1 - p); the offset is below its precision.
            let below_one = r.graph.affine(product_p, 1.0, -1e-7);
            r.graph.activate(below_one, Activation::Log1mExp)
        });
        let not_p = self.views_and(&tasks).map(|(view, task)| {
            let place = products.iter().position(|&product| product == task);
            vec![match (place, product_not_p) {
                (Some(place), Some(value)) => Block::new(value, view * products.len() + place),
                _ => Block::new(head_not_p, view * self.count() + self.factors[task][0]),
            }]
        });
        let not_p = not_p.collect();
        (p, sum_of_blocks(r, not_p))
    }

    /// log p of some tasks from that of heads, `[batch, views * tasks]`.
    fn log_products(&self, r: &mut Recorder<'_>, head_p: Value, tasks: &[usize]) -> Value {
        let factors = self.views_and(tasks).map(|(view, task)| {
            let factors = self.factors[task].iter();
            factors.map(|head| Block::new(head_p, view * self.count() + head)).collect()
        });
        let factors = factors.collect();
        sum_of_blocks(r, factors)
    }

    fn views_and(&self, tasks: &[usize]) -> impl Iterator<Item = (usize, usize)> {
        (0..self.views).flat_map(move |view| tasks.iter().map(move |&task| (view, task)))
    }

    /// Logarithm of the mean over views of what `logs` are logarithms of.
    fn log_of_mean(&self, r: &mut Recorder<'_>, logs: Value) -> Value {
        let probabilities = r.graph.activate(logs, Activation::Exp);
        let mean = r.mean_of_blocks(probabilities, self.views);
        r.graph.activate(mean, Activation::Log)
    }
}

/// Tasks whose heads make up the probability of `task`.
fn factors(layout: &Layout, products: &[ProductConfig], task: usize) -> Vec<usize> {
    let position = |name: &String| layout.tasks.iter().position(|task| task.name == *name);
    let product = products.iter().find(|product| product.task == layout.tasks[task].name);
    product.map_or_else(|| vec![task], |product| product.of.iter().filter_map(position).collect())
}

/// Sums of blocks of one column each: `[batch, outputs]`.
fn sum_of_blocks(r: &mut Recorder<'_>, outputs: Vec<Vec<Block>>) -> Value {
    let count = outputs.iter().map(Vec::len).sum();
    let ones = r.graph.constant(1, count, vec![1.0; count]);
    r.graph.mixture(ones, outputs, 1)
}

/// Checks that products name tasks of the data, each task once.
pub(super) fn check_products(layout: &Layout, products: &[ProductConfig]) -> Result<(), ModelError> {
    let names: Vec<&str> = layout.tasks.iter().map(|task| task.name.as_str()).collect();
    let known = |name: &String| match names.contains(&name.as_str()) {
        true => Ok(()),
        false => Err(bad("product", name, format!("one of the tasks {}", names.join(", ")))),
    };
    for (number, ProductConfig { task, of }) in products.iter().enumerate() {
        known(task)?;
        of.iter().try_for_each(known)?;
        if products[..number].iter().any(|earlier| earlier.task == *task) {
            return Err(bad("product", format!("two products for the task {task}"), "one per task"));
        }
        let distinct = of.iter().enumerate().all(|(place, name)| !of[..place].contains(name));
        if of.len() < 2 || !distinct {
            return Err(bad("product", format!("{task} = product of {of:?}"), "two or more different tasks"));
        }
    }
    Ok(())
}
