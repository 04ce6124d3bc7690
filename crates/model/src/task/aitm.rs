//! AITM, adaptive information transfer (Xi et al., KDD 2021): along a funnel, each task takes in what the task before it
//! hands on, as much of it as an attention of its own lets through.
//!
//! | paper | here | shape, of each view |
//! | --- | --- | --- |
//! | q_t = f_t(x): tower of task t | `task.tower` | `[batch, h]` |
//! | p_{t-1} = g(z_{t-1}): what the task before hands on | `task.transfer0.pass`, ... | `[batch, h]` |
//! | h_1, h_2, h_3: value, key and query of both, without bias | `task.transfer0.value`, `.key`, `.query` | `[batch, h]` |
//! | w = softmax over p_{t-1}, q_t of (h_2(u) . h_3(u) / sqrt(k)) | probe `gate.transfer0` | `[batch, 2]` |
//! | z_t = sum of w_u h_1(u); z_1 = q_1 | [`transfer`] | `[batch, h]` |
//! | y_t = sigmoid(MLP(z_t)) | `task.tower.logit`, a single layer | `[batch, 1]` |
//! | a mean of max(y_t - y_{t-1}, 0): the calibrator | `calibrator` | |
//!
//! The calibrator charges for a later task that is more probable than the one before it. Each row counts in it as it does
//! in the loss of the later task: its weights make a mean over the batch, and rows without that label are masked. The paper
//! has one scenario; here each scenario has a chain of its own (`task_scope`). Tasks beside the funnel have a plain tower.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::funnel::{check_funnel, tasks_of};
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::{LOGIT, bottom};
use crate::config::{bad, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Auxiliary, Bank, Form, Layer, Reads, Recorder, Stack};

/// AITM. The paper's towers are `[128, 64, 32]`, for other data; those here are those of the preset `towers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AitmConfig {
    /// Who owns the towers, the transfers between them and the bottom.
    pub task_scope: TaskScope,
    /// Tasks in the order that users go through them, such as `["click", "order"]`. Where it is left out, the data must
    /// have two tasks, in their order.
    pub funnel: Vec<String>,
    /// Weight of the calibrator, which charges for a task that is more probable than the one before it; 0 for none. The
    /// paper's is 0.6.
    pub calibrator: f64,
    /// Widths of the layers of the bottom that towers share, ReLU after each; none: they share embeddings alone, as in the
    /// paper.
    pub bottom_units: Vec<usize>,
    /// Dropout after each layer of the bottom, while training.
    pub bottom_dropout: f64,
    /// Widths of the layers of a tower, ReLU after each; the last is that of what is transferred. A layer of width 1
    /// follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each layer of a tower and of what it hands on, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for AitmConfig {
    fn default() -> AitmConfig {
        AitmConfig {
            task_scope: TaskScope::ScenarioTask,
            funnel: Vec::new(),
            calibrator: 0.6,
            bottom_units: Vec::new(),
            bottom_dropout: 0.0,
            tower_units: vec![64, 32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl AitmConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_funnel(layout, &self.funnel)?;
        if !(0.0..=1e3).contains(&self.calibrator) {
            return Err(bad("calibrator", self.calibrator.to_string(), "a weight from 0 to 1000"));
        }
        check_units("bottom_units", &self.bottom_units, 0)?;
        check_rate("bottom_dropout", self.bottom_dropout)?;
        check_units("tower_units", &self.tower_units, 1)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }
}

pub(super) fn record(config: &AitmConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let funnel = tasks_of(r.layout(), &config.funnel);
    let below = Stack { units: &config.bottom_units, dropout: config.bottom_dropout };
    let (input, reads) = bottom(r, &heads, input, below);
    let bank = Bank::one("task.tower", heads.owner()).routed(heads.routing());
    let towers = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let q = r.mlp(&bank, input, reads, towers);
    let mut z: Vec<Value> = (0..heads.count()).map(|head| heads.of_head(r, q, head)).collect();
    let chain: Vec<usize> = funnel.iter().filter_map(|&task| heads.head_of(task)).collect();
    for (number, pair) in chain.windows(2).enumerate() {
        z[pair[1]] = transfer(config, r, (&heads, number), (z[pair[0]], z[pair[1]]));
    }
    for layer in 0..config.tower_units.len() {
        r.crosses_tasks(&format!("task.tower.{layer}."));
    }
    let z = r.interleave(&z, heads.views());
    let logits = r.linear(&bank, "logit", z, (Reads::Own, LOGIT));
    let mut output = heads.finish(r, logits);
    if config.calibrator > 0.0 && r.form() != Form::Mean {
        r.crosses_tasks("task.tower.logit.");
        output.auxiliary.push(calibrator(config, r, (&heads, &funnel), output.scores));
    }
    output
}

/// z_t of a task, from z_{t-1} of the task before it and its own q_t; number `number` along the funnel.
///
/// # Shapes
/// - all: `[batch, views * h]`
fn transfer(config: &AitmConfig, r: &mut Recorder<'_>, at: (&Heads, usize), (before, own): (Value, Value)) -> Value {
    let (heads, number) = at;
    let (views, name) = (heads.views(), format!("task.transfer{number}"));
    let bank = Bank::one(&name, heads.view_owner()).routed(heads.routing());
    let width = r.width(own) / views;
    let plain = Layer { outer: width, bias: false, activation: Activation::Identity };
    let pass = Layer { bias: true, activation: Activation::Relu, ..plain };
    let passed = r.linear(&bank, "pass", before, (Reads::Own, pass));
    let passed = r.graph.dropout(passed, config.tower_dropout as f32, &format!("{name}.pass"));
    let [of_passed, of_own] = [passed, own].map(|u| {
        let [value, key, query] = ["value", "key", "query"].map(|part| r.linear(&bank, part, u, (Reads::Own, plain)));
        (value, r.scaled_products(key, query, views))
    });
    let weights = r.interleave(&[of_passed.1, of_own.1], views);
    let weights = r.graph.softmax(weights, 2, None);
    r.probe(&format!("gate.transfer{number}"), weights);
    r.probe(&format!("block.transfer{number}.passed"), of_passed.0);
    r.probe(&format!("block.transfer{number}.own"), of_own.0);
    let outputs = (0..views).map(|view| vec![Block::new(of_passed.0, view), Block::new(of_own.0, view)]);
    r.graph.mixture(weights, outputs.collect(), width)
}

/// How much more probable each task of the funnel is than the one before it.
///
/// # Shapes
/// - `scores`: `[batch, views * tasks]`
fn calibrator(
    config: &AitmConfig,
    r: &mut Recorder<'_>,
    (heads, funnel): (&Heads, &[usize]),
    scores: Value,
) -> Auxiliary {
    let tasks = r.tasks();
    // The first task, and those beside the funnel, stand beside themselves and exceed nothing.
    let before = |task: usize| match funnel.iter().position(|&known| known == task) {
        Some(place) if place > 0 => funnel[place - 1],
        Some(_) | None => task,
    };
    let outputs =
        (0..heads.views() * tasks).map(|at| vec![Block::new(scores, at / tasks * tasks + before(at % tasks))]);
    let before = r.sum_of_blocks(outputs.collect(), 1);
    let excess = r.graph.sub(scores, before);
    let excess = r.graph.activate(excess, Activation::Relu);
    Auxiliary::PerScore(r.graph.affine(excess, config.calibrator as f32, 0.0))
}
