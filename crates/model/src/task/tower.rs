//! A tower per task: an MLP that ends in a logit.

use hinet_data::Layout;
use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use crate::config::{check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Reads, Recorder, Stack};

/// A tower per task on what the scenario layer gives, and nothing shared between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TowerConfig {
    /// Whether each scenario has towers of its own. `per_scenario` is the same as `scenario_task` here.
    pub task_scope: TaskScope,
    /// Widths of the hidden layers of a tower, ReLU after each; none makes it linear. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for TowerConfig {
    fn default() -> TowerConfig {
        TowerConfig {
            task_scope: TaskScope::ScenarioTask,
            tower_units: vec![64, 32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl TowerConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }
}

pub(super) fn record(config: &TowerConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let logits = towers(r, &heads, (input, Reads::Everything), hidden);
    heads.finish(r, logits)
}

/// The tower of every head.
///
/// # Shapes
/// - `input`: `[batch, width]`, or with [`Reads::Owners`] `[batch, views * heads * width]`
/// - returns: logits, `[batch, views * heads]`
pub(super) fn towers(r: &mut Recorder<'_>, heads: &Heads, (input, reads): (Value, Reads), hidden: Stack<'_>) -> Value {
    let bank = Bank::one("task.tower", heads.owner()).routed(r.head_routing());
    let top = r.mlp(&bank, input, reads, hidden);
    let reads = if hidden.units.is_empty() { reads } else { Reads::Own };
    let logit = Layer { outer: 1, bias: true, activation: Activation::Identity };
    r.linear(&bank, "logit", top, (reads, logit))
}
