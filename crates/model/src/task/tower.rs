//! A tower per task: an MLP that ends in a logit; below the towers a bottom that they share, if any.
//!
//! With a bottom this is Shared-Bottom (Caruana 1997): `h = MLP(x)`, `logit_ij = tower_ij(h)`.

use hinet_data::Layout;
use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use crate::config::{check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Reads, Recorder, Stack};

/// A tower per task on what the scenario layer gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TowerConfig {
    /// Who owns the towers and the bottom: `per_scenario` gives each scenario a bottom of its own.
    pub task_scope: TaskScope,
    /// Widths of the layers of the bottom that towers share, ReLU after each; none: towers share nothing.
    pub bottom_units: Vec<usize>,
    /// Dropout after each layer of the bottom, while training.
    pub bottom_dropout: f64,
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
            bottom_units: Vec::new(),
            bottom_dropout: 0.0,
            tower_units: vec![64, 32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl TowerConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_units("bottom_units", &self.bottom_units, 0)?;
        check_rate("bottom_dropout", self.bottom_dropout)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }
}

pub(super) fn record(config: &TowerConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let input = if r.input_per_task() {
        (heads.of_tasks(r, input), Reads::Owners)
    } else {
        bottom(r, &heads, input, Stack { units: &config.bottom_units, dropout: config.bottom_dropout })
    };
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let logits = towers(r, &heads, input, hidden);
    heads.finish(r, logits)
}

/// What heads read above the bottom of their pool; the input itself, where there is no bottom.
///
/// # Shapes
/// - `input`: `[batch, width]`
/// - returns: `[batch, width]`, or with [`Reads::Owners`] `[batch, views * heads * width]`
pub(super) fn bottom(r: &mut Recorder<'_>, heads: &Heads, input: Value, stack: Stack<'_>) -> (Value, Reads) {
    if stack.units.is_empty() {
        return (input, Reads::Everything);
    }
    let bank = Bank::one("task.bottom", heads.pool_owner()).routed(heads.routing());
    let bottom = r.mlp(&bank, input, Reads::Everything, stack);
    heads.hand_out(r, bottom)
}

/// The layer that ends a tower.
pub(super) const LOGIT: Layer = Layer { outer: 1, bias: true, activation: Activation::Identity };

/// The tower of every head.
///
/// # Shapes
/// - `input`: `[batch, width]`, or with [`Reads::Owners`] `[batch, views * heads * width]`
/// - returns: logits, `[batch, views * heads]`
pub(super) fn towers(r: &mut Recorder<'_>, heads: &Heads, (input, reads): (Value, Reads), hidden: Stack<'_>) -> Value {
    towers_named("task.tower", r, heads, (input, reads), hidden)
}

/// As [`towers`], under another name.
pub(super) fn towers_named(
    name: &str,
    r: &mut Recorder<'_>,
    heads: &Heads,
    (input, reads): (Value, Reads),
    hidden: Stack<'_>,
) -> Value {
    let bank = Bank::one(name, heads.owner()).routed(heads.routing());
    let top = r.mlp(&bank, input, reads, hidden);
    let reads = if hidden.units.is_empty() { reads } else { Reads::Own };
    r.linear(&bank, "logit", top, (reads, LOGIT))
}
