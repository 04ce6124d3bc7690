//! ESMM, the entire space multi-task model (Ma et al., SIGIR 2018): a tower for each step of a funnel, and the
//! probability of coming so far as the product of all steps until there. ESCM2 (Wang et al., SIGIR 2022) adds a
//! counterfactual risk of the later steps.
//!
//! | paper | here |
//! | --- | --- |
//! | pCTR, pCVR: towers on shared embeddings | `task.tower` of the tasks of `funnel` |
//! | pCTCVR = pCTR * pCVR | the score of the later task |
//! | L = CE(click, pCTR) + CE(click & order, pCTCVR), over all impressions | the loss; ESCM2's lambda_g is a task's `weight` |
//! | ESCM2: L_CVR, by IPW or DR | `counterfactual`, with the weight `counterfactual_weight` (lambda_c) |
//! | ESCM2: the imputation tower, delta^ | `task.imputation`, through a softplus |
//!
//! The head of a later task says how probable it is once the task before it has happened. In ESMM it has no loss of its own
//! and learns through the product alone, so that it is right for all impressions and not only for those that were clicked.
//! The label of a later task is over all impressions too: an order, not an order among clicks. The papers have two steps and
//! one scenario; here there can be more steps, and tasks beside the funnel have a plain tower.
//!
//! ESCM2 gives the later head a loss over the clicks, each counting `1 / pCTR` times, which makes it a loss over all
//! impressions. No gradient flows through pCTR there: it is a weight, and could otherwise lower the loss by being wrong.
//! It is taken as `propensity_floor` where it is lower, for what divides by nearly nothing drowns all else. The two risks of DR are minimised
//! together, over all parameters, as in the paper.

use hinet_data::Layout;
use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::funnel::{check_funnel, products, tasks_of};
use super::heads::{Heads, TaskScope, logs};
use super::tower::{bottom, towers, towers_named};
use crate::config::{bad, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{self, Auxiliary, Form, Reads, Recorder, Stack, Step};

/// ESMM, and ESCM2. The papers' towers are for other data; those here are those of the preset `towers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EsmmConfig {
    /// Who owns the towers and the bottom.
    pub task_scope: TaskScope,
    /// Tasks in the order that users go through them, such as `["click", "order"]`. Where it is left out, the data must
    /// have two tasks, in their order.
    pub funnel: Vec<String>,
    /// Whether the later heads have a loss of their own, and of which kind.
    pub counterfactual: Counterfactual,
    /// Weight of that loss beside those of the tasks. The paper tunes it.
    pub counterfactual_weight: f64,
    /// The lowest probability of a step that its later head's loss is divided by: a row counts at most as one by this.
    pub propensity_floor: f64,
    /// Widths of the layers of the bottom that towers share, ReLU after each; none: they share embeddings alone, as in the
    /// paper.
    pub bottom_units: Vec<usize>,
    /// Dropout after each layer of the bottom, while training.
    pub bottom_dropout: f64,
    /// Widths of the hidden layers of a tower, ReLU after each; none makes it linear. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
}

/// The loss of a head that says how probable a task is once the one before it has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counterfactual {
    /// None: it learns through the product alone. ESMM.
    #[default]
    None,
    /// Over rows with the task before, by inverse propensity weights. ESCM2-IPW.
    Ipw,
    /// The same beside an imputation tower, doubly robust: it is right where either the propensities or the tower are.
    /// ESCM2-DR.
    Dr,
}

impl Default for EsmmConfig {
    fn default() -> EsmmConfig {
        EsmmConfig {
            task_scope: TaskScope::ScenarioTask,
            funnel: Vec::new(),
            counterfactual: Counterfactual::None,
            counterfactual_weight: 0.1,
            propensity_floor: 0.01,
            bottom_units: Vec::new(),
            bottom_dropout: 0.0,
            tower_units: vec![64, 32],
            tower_dropout: 0.0,
        }
    }
}

impl EsmmConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_funnel(layout, &self.funnel)?;
        if !(0.0..=1e3).contains(&self.counterfactual_weight) {
            let value = self.counterfactual_weight.to_string();
            return Err(bad("counterfactual_weight", value, "a weight from 0 to 1000"));
        }
        if !(1e-6..=1.0).contains(&self.propensity_floor) {
            let value = self.propensity_floor.to_string();
            return Err(bad("propensity_floor", value, "a probability from 0.000001 to 1"));
        }
        check_units("bottom_units", &self.bottom_units, 0)?;
        check_rate("bottom_dropout", self.bottom_dropout)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)
    }

    fn tower(&self) -> Stack<'_> {
        Stack { units: &self.tower_units, dropout: self.tower_dropout }
    }
}

pub(super) fn record(config: &EsmmConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &products(r.layout(), &config.funnel));
    let below = Stack { units: &config.bottom_units, dropout: config.bottom_dropout };
    let read = bottom(r, &heads, input, below);
    let logits = towers(r, &heads, read, config.tower());
    let logits = heads.with_first_order(r, logits);
    let logs = logs(r, logits);
    let mut output = heads.finish_logs(r, logs.0, logs.1);
    if config.counterfactual != Counterfactual::None && r.form() != Form::Mean {
        output.auxiliary.push(counterfactual(config, r, (&heads, read), (output.scores, logs)));
    }
    output
}

/// The loss of the later heads.
fn counterfactual(
    config: &EsmmConfig,
    r: &mut Recorder<'_>,
    (heads, read): (&Heads, (Value, Reads)),
    (scores, logs): (Value, (Value, Value)),
) -> Auxiliary {
    let funnel = tasks_of(r.layout(), &config.funnel);
    let steps = funnel.windows(2).filter_map(|pair| {
        let head = heads.head_of(pair[1])?;
        Some(Step { before: pair[0], after: pair[1], head })
    });
    let steps: Vec<Step> = steps.collect();
    let imputed = (config.counterfactual == Counterfactual::Dr).then(|| {
        let later: Vec<usize> = steps.iter().map(|step| step.head).collect();
        let read = heads.read_by(r, read, &later);
        let z = towers_named("task.imputation", r, &heads.only(&later), read, config.tower());
        // softplus(z) = -log sigmoid(-z): a cross-entropy is never negative.
        let opposite = r.graph.affine(z, -1.0, 0.0);
        let log = r.graph.activate(opposite, Activation::LogSigmoid);
        r.graph.affine(log, -1.0, 0.0)
    });
    Auxiliary::Counterfactual(network::Counterfactual {
        scores,
        heads: logs,
        imputed,
        steps,
        views: heads.views(),
        floor: config.propensity_floor as f32,
        weight: config.counterfactual_weight as f32,
    })
}
