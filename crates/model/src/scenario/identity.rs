//! The scenario layer that is none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hands the dense input on. For models whose paper has one layer, which then is the task layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityConfig {}
