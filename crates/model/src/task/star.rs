//! STAR's topology (Sheng et al., CIKM 2021): a network per scenario, each the elementwise product of its own weights
//! with those of a network in the centre that all scenarios train; beside it a small auxiliary network that is told the
//! scenario. Its third part, partitioned normalisation, is the scenario layer `partitioned_norm`.
//!
//! | paper | here |
//! | --- | --- |
//! | W, b: the shared network | `task.centre` |
//! | W_p, b_p: what scenario p adds | `task.star` |
//! | W*_p = W_p . W, b*_p = b_p + b | [`Bank::around`] |
//! | s_m: logit of the star | `task.star.logit` |
//! | s_a: logit of the auxiliary network on [e_p; x] | `task.aux` |
//! | sigmoid(s_m + s_a) | the result |
//!
//! W_p starts as ones and b_p as zeros, so that all scenarios start as the centre; two random factors would shrink what
//! passes through them. The last layer is linear: the logit can have either sign. The paper has one task; here each task
//! has a star of its own, unless `star_per_task` is off and tasks part in the last layer only.

use hinet_data::Layout;
use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::LOGIT;
use crate::config::{bad, check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Stack, Told};

/// STAR's topology. The paper's sizes are not given; those here are those of an expert and a tower of HiNet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StarConfig {
    /// Widths of the hidden layers of the star, ReLU after each. A layer of width 1 follows.
    pub star_units: Vec<usize>,
    /// Dropout after each hidden layer of the star, while training.
    pub star_dropout: f64,
    /// Whether each task has a star of its own. If not, tasks share all but the last layer.
    pub star_per_task: bool,
    /// Width of the hidden layer of the auxiliary network; with 0 there is none.
    pub aux_width: usize,
    /// Width of a scenario's embedding, which the auxiliary network reads beside the row.
    pub aux_scenario_dim: usize,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for StarConfig {
    fn default() -> StarConfig {
        StarConfig {
            star_units: vec![128, 64, 32],
            star_dropout: 0.0,
            star_per_task: true,
            aux_width: 32,
            aux_scenario_dim: 16,
            product: Vec::new(),
        }
    }
}

impl StarConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_units("star_units", &self.star_units, 0)?;
        check_rate("star_dropout", self.star_dropout)?;
        if self.star_units.is_empty() && !self.star_per_task {
            return Err(bad("star_units", "[] beside `star_per_task` = false", "at least one layer to share"));
        }
        if self.aux_width > 0 {
            check_width("aux_width", self.aux_width)?;
        }
        check_width("aux_scenario_dim", self.aux_scenario_dim)?;
        check_products(layout, &self.product)
    }
}

pub(super) fn record(config: &StarConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, TaskScope::ScenarioTask, &config.product);
    let mut logits = star(config, r, &heads, input);
    if config.aux_width > 0 {
        let auxiliary = auxiliary(config, r, &heads, input);
        logits = r.graph.add(logits, auxiliary);
    }
    heads.finish(r, logits)
}

/// The star's logits s_m.
///
/// # Shapes
/// - `input`: `[batch, width]`
/// - returns: `[batch, views * heads]`
fn star(config: &StarConfig, r: &mut Recorder<'_>, heads: &Heads, input: Value) -> Value {
    let hidden = Stack { units: &config.star_units, dropout: config.star_dropout };
    let of = |bank: Bank<'static>| bank.routed(heads.routing()).around("task.centre");
    if config.star_per_task {
        let star = of(Bank::one("task.star", heads.owner()));
        let top = r.mlp(&star, input, Reads::Everything, hidden);
        let reads = if config.star_units.is_empty() { Reads::Everything } else { Reads::Own };
        return r.linear(&star, "logit", top, (reads, LOGIT));
    }
    let top = r.mlp(&of(Bank::one("task.star", Owner::Scenario)), input, Reads::Everything, hidden);
    let logits = of(Bank::many("task.star", Owner::Scenario, heads.count()));
    r.linear(&logits, "logit", top, (Reads::Owners, LOGIT))
}

/// The auxiliary network's logits s_a. Its first layer, a product with [e_p; x], is computed as the sum of a product
/// with e_p, once per scenario, and one with x, once per row.
///
/// # Shapes
/// - `input`: `[batch, width]`
/// - returns: `[batch, views * heads]`
fn auxiliary(config: &StarConfig, r: &mut Recorder<'_>, heads: &Heads, input: Value) -> Value {
    let (owner, logits) = match config.star_per_task {
        true => (Owner::Task(heads.count()), Bank::one("task.aux", Owner::Task(heads.count()))),
        false => (Owner::Everyone, Bank::many("task.aux", Owner::Everyone, heads.count())),
    };
    let reads = if config.star_per_task { Reads::Own } else { Reads::Everything };
    let bank = Bank::one("task.aux", owner);
    let scenarios = r.scenario_embedding("task.aux", config.aux_scenario_dim);
    let hidden = Layer { outer: config.aux_width, bias: true, activation: Activation::Identity };
    let of_row = r.linear(&bank, "0", input, (Reads::Everything, hidden));
    let of_scenario = r.linear(&bank, "scenario", scenarios, (Reads::Everything, Layer { bias: false, ..hidden }));
    let of_view = |r: &mut Recorder<'_>, of_scenario: Value| {
        let sum = r.graph.add(of_row, of_scenario);
        let hidden = r.graph.activate(sum, Activation::Relu);
        r.linear(&logits, "logit", hidden, (reads, LOGIT))
    };
    if heads.views() == 1 {
        return of_view(r, of_scenario);
    }
    let count = heads.views();
    let views: Vec<Value> = (0..count)
        .map(|view| {
            let of_scenario = r.told(of_scenario, Told::Of(view));
            of_view(r, of_scenario)
        })
        .collect();
    r.graph.concat(&views)
}
