//! What task layers share: who owns a head, and how heads become probabilities of tasks.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Routing, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use crate::config::bad;
use crate::error::ModelError;
use crate::network::{Bank, Form, Output, Owner, Reads, Recorder, Stack, Told, blocks};

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
#[derive(Clone, Debug)]
pub(super) struct Heads {
    scope: TaskScope,
    /// The task of each head.
    tasks: Vec<usize>,
    /// Per task, the heads that are multiplied; one for a plain task.
    factors: Vec<Vec<usize>>,
    views: usize,
    routing: Routing,
}

impl Heads {
    pub(super) fn new(r: &Recorder<'_>, scope: TaskScope, products: &[ProductConfig]) -> Heads {
        let factors: Vec<Vec<usize>> = (0..r.tasks()).map(|task| factors(r.layout(), products, task)).collect();
        let needed = |task: &usize| factors.iter().any(|factors| factors.contains(task));
        let tasks: Vec<usize> = (0..r.tasks()).filter(needed).collect();
        let head_of = |task: &usize| tasks.iter().position(|known| known == task);
        let factors = factors.iter().map(|factors| factors.iter().filter_map(head_of).collect()).collect();
        let (views, routing) = match (scope, r.form()) {
            (TaskScope::Task, _) | (_, Form::Own) => (1, Routing::Own),
            (TaskScope::ScenarioTask | TaskScope::PerScenario, Form::Every | Form::Mean) => {
                (r.scenarios(), Routing::All)
            }
        };
        Heads { scope, tasks, factors, views, routing }
    }

    /// The same heads where each row goes through those of every scenario, whatever the form.
    pub(super) fn of_every_scenario(&self, r: &Recorder<'_>) -> Heads {
        Heads { views: r.scenarios(), routing: Routing::All, ..self.clone() }
    }

    /// From the logits of heads that tasks own, in a network that is told the scenario, to probabilities of tasks. A row of
    /// an unknown scenario has the mean of its probabilities in every scenario.
    ///
    /// # Shapes
    /// - `logits`: records `[batch, heads]` for one telling
    pub(super) fn told_each_scenario(
        &self,
        r: &mut Recorder<'_>,
        mut logits: impl FnMut(&mut Recorder<'_>, Told) -> Value,
    ) -> TaskOutput {
        let made: Vec<Value> = r.tellings().into_iter().map(|told| logits(r, told)).collect();
        let heads = Heads { views: made.len(), ..self.clone() };
        let made = r.graph.concat(&made);
        heads.finish(r, made)
    }

    /// Some of these heads alone: networks of their own for each of them, beside its tower.
    pub(super) fn only(&self, heads: &[usize]) -> Heads {
        let tasks = heads.iter().map(|&head| self.tasks[head]).collect();
        Heads { tasks, factors: Vec::new(), ..self.clone() }
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

    /// Who owns what the heads of a pool share.
    pub(super) fn pool_owner(&self) -> Owner {
        match self.scope {
            TaskScope::PerScenario => Owner::Scenario,
            TaskScope::ScenarioTask | TaskScope::Task => Owner::Everyone,
        }
    }

    /// Who owns what all heads of a view share.
    pub(super) fn view_owner(&self) -> Owner {
        match self.scope {
            TaskScope::ScenarioTask | TaskScope::PerScenario => Owner::Scenario,
            TaskScope::Task => Owner::Everyone,
        }
    }

    /// The head of a task; none where nothing needs it.
    pub(super) fn head_of(&self, task: usize) -> Option<usize> {
        self.tasks.iter().position(|&known| known == task)
    }

    /// Which of the blocks private to scenarios a row goes through.
    pub(super) fn routing(&self) -> Routing {
        self.routing
    }

    /// Networks that all heads of a pool read; a pool is one for all, or one per scenario.
    ///
    /// # Shapes
    /// - `input`: `[batch, width]`
    /// - returns: for each view the `copies` of its pool
    pub(super) fn pools(
        &self,
        r: &mut Recorder<'_>,
        (name, copies): (&str, usize),
        input: Value,
        stack: Stack<'_>,
    ) -> Vec<Vec<Block>> {
        if copies == 0 {
            return vec![Vec::new(); self.views];
        }
        let bank = Bank::many(name, self.pool_owner(), copies).routed(self.routing);
        let networks = r.mlp(&bank, input, Reads::Everything, stack);
        match self.pool_owner() {
            Owner::Everyone => vec![blocks(networks, 0..copies); self.views],
            Owner::Scenario | Owner::Task(_) | Owner::ScenarioTask(_) => {
                (0..self.views).map(|view| blocks(networks, view * copies..(view + 1) * copies)).collect()
            }
        }
    }

    /// Hands to each head what the heads of its pool share, with how a bank of heads reads it.
    ///
    /// # Shapes
    /// - `shared`: `[batch, width]`, or `[batch, views * width]` where each scenario has a pool
    pub(super) fn hand_out(&self, r: &mut Recorder<'_>, shared: Value) -> (Value, Reads) {
        if self.views == 1 || self.pool_owner() == Owner::Everyone {
            return (shared, Reads::Everything);
        }
        let width = r.width(shared) / self.views;
        let per_head = (0..self.views * self.count()).map(|head| blocks(shared, [head / self.count()]));
        let per_head: Vec<Vec<Block>> = per_head.collect();
        (r.sum_of_blocks(per_head, width), Reads::Owners)
    }

    /// What all views share, once for each.
    ///
    /// # Shapes
    /// - `(shared, times)`: `[batch, times * heads * width]`; `times` is 1, or the views
    /// - returns: `[batch, views * heads * width]`
    pub(super) fn repeat(&self, r: &mut Recorder<'_>, (shared, times): (Value, usize)) -> Value {
        if times == self.views { shared } else { r.graph.concat(&vec![shared; self.views]) }
    }

    /// What some heads read, of what all read.
    pub(super) fn read_by(
        &self,
        r: &mut Recorder<'_>,
        (input, reads): (Value, Reads),
        heads: &[usize],
    ) -> (Value, Reads) {
        if reads == Reads::Everything {
            return (input, reads);
        }
        let width = r.width(input) / (self.views * self.count());
        let columns = (0..self.views).flat_map(|view| heads.iter().map(move |head| view * self.count() + head));
        let outputs = columns.map(|column| blocks(input, [column])).collect();
        (r.sum_of_blocks(outputs, width), reads)
    }

    /// The columns of one head.
    ///
    /// # Shapes
    /// - `per_head`: `[batch, views * heads * width]`
    /// - returns: `[batch, views * width]`
    pub(super) fn of_head(&self, r: &mut Recorder<'_>, per_head: Value, head: usize) -> Value {
        let width = r.width(per_head) / (self.views * self.count());
        if self.views == 1 {
            return r.graph.slice(per_head, head * width, width);
        }
        let outputs = (0..self.views).map(|view| blocks(per_head, [view * self.count() + head])).collect();
        r.sum_of_blocks(outputs, width)
    }

    /// Hands each head the columns of its task.
    ///
    /// # Shapes
    /// - `per_task`: `[batch, tasks * width]`
    /// - returns: `[batch, views * heads * width]`
    pub(super) fn of_tasks(&self, r: &mut Recorder<'_>, per_task: Value) -> Value {
        if self.views == 1 && self.tasks.len() == r.tasks() {
            return per_task;
        }
        let width = r.width(per_task) / r.tasks();
        let outputs: Vec<Vec<Block>> =
            (0..self.views).flat_map(|_| self.tasks.iter().map(|&task| blocks(per_task, [task]))).collect();
        r.sum_of_blocks(outputs, width)
    }

    /// The heads' logits with their tasks' first-order terms, where the model has them.
    ///
    /// # Shapes
    /// - all: `[batch, views * heads]`
    pub(super) fn with_first_order(&self, r: &mut Recorder<'_>, logits: Value) -> Value {
        let Some(first_order) = r.first_order() else { return logits };
        let first_order = self.of_tasks(r, first_order);
        r.graph.add(logits, first_order)
    }

    /// From what layers give as the heads' logits to probabilities of tasks.
    ///
    /// # Shapes
    /// - `logits`: `[batch, views * heads]`
    /// - returns: `[batch, views * tasks]`, or in [`Form::Mean`] `[batch, tasks]`
    pub(super) fn finish(&self, r: &mut Recorder<'_>, logits: Value) -> TaskOutput {
        let logits = self.with_first_order(r, logits);
        self.finish_complete(r, logits)
    }

    /// As [`Heads::finish`], where first-order terms are in the logits already.
    pub(super) fn finish_complete(&self, r: &mut Recorder<'_>, logits: Value) -> TaskOutput {
        let plain = self.factors.iter().all(|factors| factors.len() == 1);
        if plain && !self.averages(r) {
            let scores = r.graph.activate(logits, Activation::Sigmoid);
            return TaskOutput { output: Output::Logits(logits), scores, auxiliary: Vec::new() };
        }
        let (p, not_p) = logs(r, logits);
        self.finish_logs(r, p, not_p)
    }

    /// As [`Heads::finish`], from log p and log (1 - p) of the heads.
    pub(super) fn finish_logs(&self, r: &mut Recorder<'_>, head_p: Value, head_not_p: Value) -> TaskOutput {
        let (mut p, mut not_p) = self.log_probabilities(r, head_p, head_not_p);
        if self.averages(r) {
            p = self.log_of_mean(r, p);
            not_p = self.log_of_mean(r, not_p);
        }
        let scores = r.graph.activate(p, Activation::Exp);
        TaskOutput { output: Output::LogProbabilities { p, not_p }, scores, auxiliary: Vec::new() }
    }

    /// Whether a row's probability is the mean over views.
    fn averages(&self, r: &Recorder<'_>) -> bool {
        r.form() == Form::Mean && self.views > 1
    }

    /// log p and log (1 - p) of tasks, `[batch, views * tasks]` each. A product's log p is the sum of its heads'.
    fn log_probabilities(&self, r: &mut Recorder<'_>, head_p: Value, head_not_p: Value) -> (Value, Value) {
        let tasks: Vec<usize> = (0..self.factors.len()).collect();
        let products: Vec<usize> = tasks.iter().copied().filter(|&task| self.factors[task].len() > 1).collect();
        if products.is_empty() {
            return (head_p, head_not_p);
        }
        r.crosses_tasks("task.");
        let p = self.log_products(r, head_p, &tasks);
        let product_p = self.log_products(r, head_p, &products);
        // A product that rounds to 1 would have no finite log (1 - p); the offset is below its precision.
        let below_one = r.graph.affine(product_p, 1.0, -1e-7);
        let product_not_p = r.graph.activate(below_one, Activation::Log1mExp);
        let not_p = self.views_and(&tasks).map(|(view, task)| {
            let place = products.iter().position(|&product| product == task);
            vec![match place {
                Some(place) => Block::new(product_not_p, view * products.len() + place),
                None => Block::new(head_not_p, view * self.count() + self.factors[task][0]),
            }]
        });
        let not_p = not_p.collect();
        (p, r.sum_of_blocks(not_p, 1))
    }

    /// log p of some tasks from that of heads, `[batch, views * tasks]`.
    fn log_products(&self, r: &mut Recorder<'_>, head_p: Value, tasks: &[usize]) -> Value {
        let factors = self.views_and(tasks).map(|(view, task)| {
            let factors = self.factors[task].iter();
            factors.map(|head| Block::new(head_p, view * self.count() + head)).collect()
        });
        let factors = factors.collect();
        r.sum_of_blocks(factors, 1)
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

/// log p and log (1 - p) from logits.
pub(super) fn logs(r: &mut Recorder<'_>, logits: Value) -> (Value, Value) {
    let opposite = r.graph.affine(logits, -1.0, 0.0);
    let p = r.graph.activate(logits, Activation::LogSigmoid);
    (p, r.graph.activate(opposite, Activation::LogSigmoid))
}

/// Tasks whose heads make up the probability of `task`.
fn factors(layout: &Layout, products: &[ProductConfig], task: usize) -> Vec<usize> {
    let position = |name: &String| layout.tasks.iter().position(|task| task.name == *name);
    let product = products.iter().find(|product| product.task == layout.tasks[task].name);
    product.map_or_else(|| vec![task], |product| product.of.iter().filter_map(position).collect())
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
