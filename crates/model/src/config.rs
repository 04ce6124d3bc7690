//! What a model is made of: how its input is normalised, and a layer in each of its two slots.

use hinet_data::Layout;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::embedding::{Columns, EmbeddingConfig, Tables};
use crate::error::ModelError;
use crate::network::{AttentionConfig, CrossConfig, check_fm};
use crate::scenario::ScenarioLayerConfig;
use crate::task::TaskLayerConfig;

/// A model: the scenario layer reads the dense input, the task layer reads the scenario layer.
///
/// Any scenario layer goes with any task layer, but for `linear`, which reads none. The names of the options of both are distinct, so that a
/// [preset](crate::zoo) can take the options of both side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// How the dense input (the features' embeddings and numbers side by side) is normalised.
    #[serde(default)]
    pub input_norm: InputNorm,
    /// How embedding tables start.
    #[serde(default)]
    pub embedding: EmbeddingConfig,
    /// Who has embedding tables of its own.
    #[serde(default)]
    pub tables: Tables,
    /// Whether each id and each number has a weight for each task, added to the task's logit before the sigmoid: the
    /// terms of a logistic regression beside the layers. They start at 0. Weights of several ids of a row are pooled as
    /// their embeddings are; numbers count as the layers read them, after `input_norm`.
    #[serde(default)]
    pub first_order: bool,
    /// Whether each pair of features has a term in each task's logit, the product of their embeddings: a factorisation machine beside the
    /// layers. All embeddings must be as wide; numbers have vectors of their own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fm: bool,
    /// Cross layers between the dense input and the layers (DCN-v2).
    #[serde(default, skip_serializing_if = "CrossConfig::is_default")]
    pub cross: CrossConfig,
    /// Sequences that are read item by item, with attention; others are pooled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequence: Vec<AttentionConfig>,
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
        self.embedding.check()?;
        self.scenario.check()?;
        self.task.check(layout)?;
        self.check_pairing()?;
        self.check_input(layout)?;
        let rows = self.columns(layout).specs(layout).into_iter().map(|spec| (spec.name, spec.rows));
        match rows.into_iter().find(|(_, rows)| *rows > u32::MAX as usize) {
            Some((name, rows)) => {
                Err(bad("tables", format!("{rows} rows in `{name}`"), format!("at most {} rows", u32::MAX)))
            }
            None => Ok(()),
        }
    }

    /// What reads no scenario layer, or an input per task, wants the dense input as it is.
    fn check_pairing(&self) -> Result<(), ModelError> {
        let plain = matches!(self.scenario, ScenarioLayerConfig::Identity(_));
        if !self.task.reads_layers() && !plain {
            return Err(bad("scenario.kind", self.scenario.kind(), "`identity`: the task layer `linear` reads none"));
        }
        if self.tables.per_task() && !(plain && self.task.reads_per_task()) {
            let expected = "`shared` or `scenario`: tasks share layers of this model; tables of a task's own need the \
                            scenario layer `identity` and the task layer `tower` without a bottom";
            let value = if self.tables.per_scenario() { "scenario_task" } else { "task" };
            return Err(bad("tables", value, expected));
        }
        Ok(())
    }

    /// What stands between the features and the layers.
    fn check_input(&self, layout: &Layout) -> Result<(), ModelError> {
        if self.cross.layers > 0 && !self.task.reads_layers() {
            return Err(bad("cross.layers", self.cross.layers.to_string(), "0: this model has no layers"));
        }
        if self.fm {
            check_fm(self, layout)?;
        }
        for (place, attention) in self.sequence.iter().enumerate() {
            attention.check(layout, place)?;
            let (feature, key) = (&attention.feature, format!("sequence.{place}.feature"));
            if self.sequence[..place].iter().any(|other| other.feature == *feature) {
                return Err(bad(&key, format!("`{feature}` twice"), "each sequence once"));
            }
            if self.tables.per_task() || !self.task.reads_layers() {
                let expected = "a model whose tasks share embeddings: this one reads sequences pooled";
                return Err(bad(&key, format!("`{feature}`"), expected));
            }
        }
        self.cross.check(self.dense_width(layout))
    }

    /// Columns of what the layers read, in one copy: each list of a sequence is one embedding there.
    fn dense_width(&self, layout: &Layout) -> usize {
        let columns = self.columns(layout);
        let lists = columns.sequences.iter().flat_map(|sequence| &sequence.slots);
        columns.deep(layout) / columns.copies(layout)
            + lists.map(|&slot| layout.slot_width(&layout.slots[slot])).sum::<usize>()
    }

    /// What the model reads of the features.
    pub(crate) fn columns(&self, layout: &Layout) -> Columns {
        let embeddings = self.task.reads_layers();
        let sequences = self.sequence.iter().filter_map(|attention| layout.sequence(&attention.feature).cloned());
        Columns {
            tables: self.tables,
            embeddings,
            first_order: self.first_order || !embeddings,
            sequences: sequences.collect(),
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn check_layout(layout: &Layout) -> Result<(), ModelError> {
    let (scenarios, tasks) = (layout.scenarios.len(), layout.tasks.len());
    match () {
        () if layout.width() == 0 => Err(bad("feature", "missing", "at least one feature")),
        () if tasks == 0 => Err(bad("task", "missing", "at least one task")),
        () if scenarios == 0 => Err(bad("scenario", "a column without a value", "at least one scenario")),
        () if scenarios > MAX_SCENARIOS || scenarios * tasks > MAX_CELLS => Err(bad(
            "scenario",
            format!("a column of {scenarios} values, with {tasks} tasks"),
            format!("at most {MAX_SCENARIOS} scenarios, and {MAX_CELLS} scenarios times tasks"),
        )),
        () => Ok(()),
    }
}

/// Most scenarios: attention is a matrix of scenarios times scenarios.
const MAX_SCENARIOS: usize = 4096;
/// Most scenarios times tasks: each may have a head of its own.
const MAX_CELLS: usize = 65_536;
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

/// Checks a number of experts to select from, within 1 and 64: each is compared with each.
pub(crate) fn check_selectable(key: &str, count: usize) -> Result<(), ModelError> {
    let fits = (1..=64).contains(&count);
    fits.then_some(()).ok_or_else(|| bad(key, count.to_string(), "a number from 1 to 64"))
}

/// Checks a rate of dropout, within 0 and 0.99.
pub(crate) fn check_rate(key: &str, rate: f64) -> Result<(), ModelError> {
    let fits = (0.0..=0.99).contains(&rate);
    fits.then_some(()).ok_or_else(|| bad(key, rate.to_string(), "a rate from 0 to 0.99"))
}

/// Checks the weight of a new batch in saved statistics, above 0 and up to 1.
pub(crate) fn check_momentum(key: &str, momentum: f32) -> Result<(), ModelError> {
    let fits = momentum > 0.0 && momentum <= 1.0;
    fits.then_some(()).ok_or_else(|| bad(key, momentum.to_string(), "a number above 0, up to 1"))
}

/// Checks the weight of a part of the loss, 0 or above.
pub(crate) fn check_weight(key: &str, weight: f32) -> Result<(), ModelError> {
    let fits = weight.is_finite() && weight >= 0.0;
    fits.then_some(()).ok_or_else(|| bad(key, weight.to_string(), "a finite number of 0 or more"))
}

/// Checks a factor: a finite number above 0.
pub(crate) fn check_positive(key: &str, value: f32) -> Result<(), ModelError> {
    let fits = value.is_finite() && value > 0.0;
    fits.then_some(()).ok_or_else(|| bad(key, value.to_string(), "a finite number above 0"))
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

#[cfg(test)]
mod tests {
    use hinet_data::{Slot, TaskSpec, UnknownScenario};
    use serde_json::{Value, json};

    use super::*;
    use crate::{Form, Network, zoo};

    fn layout(width: usize, scenarios: usize, tasks: usize) -> Layout {
        let task = |task: usize| TaskSpec::new(format!("t{task}"));
        Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: vec![Slot::Dense { feature: "numbers".into(), width }],
            scenarios: (0..scenarios).map(|scenario| scenario.to_string()).collect(),
            scenario_rows: vec![1; scenarios],
            tasks: (0..tasks).map(task).collect(),
            unknown: UnknownScenario::Error,
        }
    }

    fn message(layout: &Layout, options: Value, form: Form) -> String {
        let config = zoo::expand(options.as_object().unwrap()).unwrap();
        Network::record(layout, &config, form).unwrap_err().to_string()
    }

    #[test]
    fn an_option_that_cannot_be_is_refused_by_name() {
        let refused = [
            json!({ "sub_experts": 0, "shared_sub_experts": 0 }),
            json!({ "tables": "task" }),
            json!({ "tables": "scenario_task" }),
            json!({ "shared_sub_experts": 257 }),
            json!({ "units": [] }),
            json!({ "units": [64, 0] }),
            json!({ "units": [20_000] }),
            json!({ "sei_dropout": 1.0 }),
            json!({ "scenario_dim": 0 }),
            json!({ "san_hidden": [0] }),
            json!({ "specific": 0, "shared": 0 }),
            json!({ "expert_units": [] }),
            json!({ "expert_dropout": -0.1 }),
            json!({ "cgc_levels": 0 }),
            json!({ "tower_units": [0] }),
            json!({ "tower_dropout": 2 }),
            json!({ "product": [{ "task": "t0", "of": ["t0", "t7"] }] }),
            json!({ "product": [{ "task": "t0", "of": ["t0"] }] }),
            json!({ "product": [{ "task": "t0", "of": ["t1", "t1"] }] }),
            json!({ "product": [{ "task": "t0", "of": ["t0", "t1"] }, { "task": "t0", "of": ["t0", "t1"] }] }),
        ];
        refused.into_iter().for_each(|options| check_refused("hinet", options));
    }

    #[test]
    fn an_option_of_a_layer_that_is_told_the_scenario_is_refused_by_name() {
        let refused = [
            ("pepnet", json!({ "ep_gate_width": 0 })),
            ("pepnet", json!({ "pp_gate_width": 0 })),
            ("pepnet", json!({ "priors": ["nobody"] })),
            ("pepnet", json!({ "priors": ["numbers", "numbers"] })),
            ("sarnet", json!({ "scenario_experts": 0, "shared_experts": 0 })),
            ("m2m", json!({ "m2m_attention_units": [] })),
            ("m2m", json!({ "m2m_task_dim": 0 })),
            ("adasparse", json!({ "prune_alpha": 0.0 })),
            ("adasparse", json!({ "prune_threshold": -0.1 })),
            ("apg", json!({ "apg_rank": 0 })),
            ("apg", json!({ "apg_condition_units": [] })),
            ("hamur", json!({ "adapter_rank": 0 })),
            ("hamur", json!({ "norm_momentum": 0.0 })),
            ("m3oe", json!({ "transform_width": 0 })),
            ("m3oe", json!({ "experts": 0 })),
            ("aesm2", json!({ "select_experts": 65 })),
            ("aesm2", json!({ "select_specific": 9 })),
            ("aesm2", json!({ "select_specific": 0, "select_shared": 0 })),
            ("aesm2", json!({ "task_shared": 9 })),
            ("aesm2", json!({ "task_divergence": -1.0 })),
        ];
        refused.into_iter().for_each(|(preset, options)| check_refused(preset, options));
    }

    fn check_refused(preset: &str, mut options: Value) {
        let keys: Vec<String> = options.as_object().unwrap().keys().cloned().collect();
        options["preset"] = json!(preset);
        let message = message(&layout(4, 2, 2), options, Form::Own);
        assert!(keys.iter().any(|key| message.starts_with(&format!("`{key}` is "))), "{keys:?}: {message}");
    }

    #[test]
    fn data_that_no_model_fits_is_refused() {
        let own = |layout: &Layout| message(layout, json!({}), Form::Own);
        assert!(own(&layout(0, 2, 1)).starts_with("`feature` is missing"));
        assert!(own(&layout(3, 2, 0)).starts_with("`task` is missing"));
        assert!(own(&layout(3, 0, 1)).starts_with("`scenario` is a column without"));
        assert!(own(&layout(3, 60_000, 1)).starts_with("`scenario` is a column of 60000 values"));
        let wide = json!({ "preset": "hinet", "units": [16384, 16384], "sub_experts": 256 });
        assert!(message(&layout(3, 3000, 2), wide, Form::Own).contains("dense parameters, expected at most"));
    }

    #[test]
    fn an_unmasked_loss_needs_heads_of_each_scenario() {
        let shared = json!({ "preset": "hinet", "task_scope": "task" });
        assert!(message(&layout(3, 2, 1), shared, Form::Every).starts_with("`mask_loss` is false, expected true"));
    }

    #[test]
    fn misspelt_keys_are_refused_by_strict_reading_too() {
        for scenario in [json!({ "kind": "identity", "x": 1 }), json!({ "kind": "hinet", "unit": [1] })] {
            let text = json!({ "scenario": scenario, "task": { "kind": "tower" } });
            assert!(serde_json::from_value::<ModelConfig>(text).is_err());
        }
        let text = json!({ "scenario": { "kind": "identity" }, "task": { "kind": "tower" }, "norm": "none" });
        assert!(serde_json::from_value::<ModelConfig>(text).is_err());
    }
}
