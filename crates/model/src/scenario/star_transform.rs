//! The scenario half of M3oE (Zhang et al., SIGIR 2024): a star-like linear transform of the input, with a projection around it.
//! The other half is the task layer `m3oe`.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | W, b: shared by the domains | `scenario.centre.transform` | `[width, transform_width]` |
//! | W_d, b_d: of domain d | `scenario.star.transform` | the same for each scenario |
//! | x (W . W_d) + b + b_d | [`Bank::around`] | `[batch, transform_width]` |
//! | skip projection | `scenario.skip` | `[batch, transform_width]` |
//! | their sum | the result | `[batch, transform_width]` |
//!
//! W_d starts as ones and b_d as zeros, so that all scenarios start alike (as in `star`).

use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_width;
use crate::error::ModelError;
use crate::network::{Bank, Form, Layer, Owner, Reads, Recorder};

/// M3oE's transform of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StarTransformConfig {
    /// Width of the result: that of the first layer of HiNet's experts.
    pub transform_width: usize,
}

impl Default for StarTransformConfig {
    fn default() -> StarTransformConfig {
        StarTransformConfig { transform_width: 128 }
    }
}

impl StarTransformConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_width("transform_width", self.transform_width)
    }
}

pub(super) fn record(config: &StarTransformConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let layer = Layer { outer: config.transform_width, bias: true, activation: Activation::Identity };
    let star = Bank::one("scenario.star", Owner::Scenario).routed(r.routing()).around("scenario.centre");
    let mut star = r.linear(&star, "transform", x, (Reads::Everything, layer));
    if r.form() == Form::Mean {
        star = r.mean_of_blocks(star, r.scenarios());
    }
    let skip = r.linear(&Bank::one("scenario", Owner::Everyone), "skip", x, (Reads::Everything, layer));
    r.graph.add(star, skip)
}
