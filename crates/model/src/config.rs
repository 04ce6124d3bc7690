//! What a model is made of: how its input is normalised, and a layer in each of its two slots.

use hinet_data::Layout;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::scenario::ScenarioLayerConfig;
use crate::task::TaskLayerConfig;

/// A model: the scenario layer reads the dense input, the task layer reads the scenario layer.
///
/// Any scenario layer goes with any task layer. The names of the options of both are distinct, so that a
/// [preset](crate::zoo) can take the options of both side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// How the dense input (the features' embeddings and numbers side by side) is normalised.
    #[serde(default)]
    pub input_norm: InputNorm,
    /// First slot: what is learnt about scenarios.
    pub scenario: ScenarioLayerConfig,
    /// Second slot: what is learnt about tasks.
    pub task: TaskLayerConfig,
}

/// How the dense input is normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputNorm {
    /// Not at all.
    #[default]
    None,
    /// Each row to mean 0 and variance 1, then a learnt gain and bias per column.
    LayerNorm,
    /// Each column to mean 0 and variance 1 over the batch, then a learnt gain and bias per column. Inference uses
    /// moving averages (momentum 0.1).
    BatchNorm,
    /// A learnt gain and bias per column, scaled by `1 / sqrt(1.001)`: what the authors' code of HiNet does, whose
    /// batch norm keeps the statistics that it starts with.
    FrozenAffine,
}

impl ModelConfig {
    /// Checks every option, alone and against the data.
    ///
    /// # Errors
    /// [`ModelError::BadOption`] that names the option.
    pub fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_layout(layout)?;
        self.scenario.check()?;
        self.task.check(layout)
    }
}

fn check_layout(layout: &Layout) -> Result<(), ModelError> {
    let parts = [
        ("feature", "features without any column of the dense input", layout.width()),
        ("task", "no task", layout.tasks.len()),
        ("scenario", "a column without a value", layout.scenarios.len()),
    ];
    match parts.into_iter().find(|(_, _, count)| *count == 0) {
        Some((key, found, _)) => Err(bad(key, found, "at least one")),
        None => Ok(()),
    }
}

/// Most columns a layer may have.
const MAX_UNITS: usize = 16_384;
/// Most experts of one kind, and most layers in a row.
const MAX_COUNT: usize = 256;

/// Checks the widths of consecutive layers, each within 1 and 16,384; `least` says how many layers there must be.
pub(crate) fn check_units(key: &str, units: &[usize], least: usize) -> Result<(), ModelError> {
    let fits = (least..=MAX_COUNT).contains(&units.len()) && units.iter().all(|unit| (1..=MAX_UNITS).contains(unit));
    let least = if least == 0 { "" } else { ", at least one" };
    fits.then_some(()).ok_or_else(|| bad(key, format!("{units:?}"), format!("widths from 1 to {MAX_UNITS}{least}")))
}

/// Checks one width, within 1 and 16,384.
pub(crate) fn check_width(key: &str, width: usize) -> Result<(), ModelError> {
    let fits = (1..=MAX_UNITS).contains(&width);
    fits.then_some(()).ok_or_else(|| bad(key, width.to_string(), format!("a width from 1 to {MAX_UNITS}")))
}

/// Checks a number of experts or levels, within `least` and 256.
pub(crate) fn check_count(key: &str, count: usize, least: usize) -> Result<(), ModelError> {
    let fits = (least..=MAX_COUNT).contains(&count);
    fits.then_some(()).ok_or_else(|| bad(key, count.to_string(), format!("a number from {least} to {MAX_COUNT}")))
}

/// Checks a rate of dropout, at least 0 and below 1.
pub(crate) fn check_rate(key: &str, rate: f32) -> Result<(), ModelError> {
    let fits = (0.0..1.0).contains(&rate);
    fits.then_some(()).ok_or_else(|| bad(key, rate.to_string(), "a rate of at least 0 and below 1"))
}

pub(crate) fn bad(key: &str, value: impl Into<String>, expected: impl Into<String>) -> ModelError {
    ModelError::BadOption { key: key.to_owned(), value: value.into(), expected: expected.into() }
}

/// Declares the enum of a slot, and with it the list of its kinds: a layer cannot be in one and not in the other.
macro_rules! slot {
    ($(#[$about:meta])* $slot:ident, default $default:ident { $($(#[$doc:meta])* $layer:ident($config:ty) = $kind:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "kind")]
        pub enum $slot {
            $($(#[$doc])* #[serde(rename = $kind)] $layer($config),)+
        }

        impl $slot {
            /// Names of all kinds, as `kind` spells them.
            pub const KINDS: &'static [&'static str] = &[$($kind),+];

            /// One layer of each kind, with every option at its default.
            #[must_use]
            pub fn one_of_each() -> Vec<$slot> {
                vec![$($slot::$layer(<$config>::default())),+]
            }

            /// Name of the kind.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $($slot::$layer(_) => $kind,)+
                }
            }
        }

        impl Default for $slot {
            fn default() -> $slot {
                $slot::$default(Default::default())
            }
        }
    };
}
pub(crate) use slot;
