//! Logistic regression: for each task a weight per id and per number, and a bias; nothing else. It is the model's
//! first-order terms alone, and reads no embedding and no other layer.

use hinet_data::Layout;
use hinet_tape::{Init, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use crate::error::ModelError;
use crate::network::Recorder;

/// First-order terms alone: logistic regression. Without embeddings, whatever the features' dims.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LinearConfig {
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl LinearConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_products(layout, &self.product)
    }
}

/// # Shapes
/// - `first_order`: `[batch, tasks]`
pub(super) fn record(config: &LinearConfig, r: &mut Recorder<'_>, first_order: Value) -> TaskOutput {
    let heads = Heads::new(r, TaskScope::Task, &config.product);
    let weights = heads.of_tasks(r, first_order);
    let bias = r.parameter("task.bias", vec![heads.count()], Init::Zeros, Scope::PerTask);
    let logits = r.graph.add(weights, bias);
    heads.finish_complete(r, logits)
}
