//! Second slot: layers that turn what is known of a row into a probability per task.

mod cgc;
mod heads;
mod tower;

use hinet_data::Layout;
use hinet_tape::Value;

pub use cgc::{CgcConfig, CgcGate};
pub use heads::{ProductConfig, TaskScope};
pub use tower::TowerConfig;

use crate::config::slot;
use crate::error::ModelError;
use crate::network::{Output, Recorder};

slot! {
    /// The task layer: `[batch, scenario width]` to a probability per task.
    TaskLayerConfig, default Cgc {
        /// Customised gate control: experts of each task beside shared ones, and a gate per task; towers on top.
        Cgc(CgcConfig) = "cgc",
        /// A tower per task, and nothing shared between them.
        Tower(TowerConfig) = "tower",
    }
}

/// What a task layer makes.
pub(crate) struct TaskOutput {
    /// `[batch, columns]`; see [`Form`](crate::Form) for the columns.
    pub(crate) output: Output,
    /// The same as probabilities.
    pub(crate) scores: Value,
    /// What it adds to the loss, `[1, 1]`.
    pub(crate) auxiliary: Option<Value>,
}

impl TaskLayerConfig {
    pub(crate) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        match self {
            TaskLayerConfig::Cgc(config) => config.check(layout),
            TaskLayerConfig::Tower(config) => config.check(layout),
        }
    }

    /// Whether each scenario has heads of its own.
    #[must_use]
    pub fn has_heads_per_scenario(&self) -> bool {
        let scope = match self {
            TaskLayerConfig::Cgc(config) => config.task_scope,
            TaskLayerConfig::Tower(config) => config.task_scope,
        };
        scope != TaskScope::Task
    }

    /// Records the layer.
    ///
    /// # Shapes
    /// - `input`: `[batch, scenario width]`
    /// - returns: `[batch, columns]`; see [`Form`](crate::Form)
    pub(crate) fn record(&self, recorder: &mut Recorder<'_>, input: Value) -> TaskOutput {
        match self {
            TaskLayerConfig::Cgc(config) => cgc::record(config, recorder, input),
            TaskLayerConfig::Tower(config) => tower::record(config, recorder, input),
        }
    }
}
