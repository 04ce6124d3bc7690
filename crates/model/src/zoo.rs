//! Named models: which layers they are made of, and their options side by side.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::{ModelConfig, bad};
use crate::error::ModelError;
use crate::scenario::ScenarioLayerConfig;
use crate::task::TaskLayerConfig;

/// A model under the name that the field knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Other names that mean it.
    pub aliases: &'static [&'static str],
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The slots as the experiment file would say them.
    json: &'static str,
    /// What it asks of training, likewise.
    train: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "hinet",
        aliases: &[],
        about: "HiNet (ICDE 2023) as its paper describes it.",
        json: r#"{ "scenario": { "kind": "hinet" }, "task": { "kind": "cgc" } }"#,
        train: "{}",
    },
    Preset {
        name: "hinet_official",
        aliases: &["official_compat"],
        about: "HiNet as its authors' code computes it, with that code's sizes and departures from the paper.",
        json: r#"{
            "input_norm": "frozen_affine",
            "scenario": {
                "kind": "hinet", "sub_experts": 5, "shared_sub_experts": 5, "units": [128, 64], "sei_dropout": 0.5,
                "gate_relu": true, "scenario_dim": 64, "san_hidden": [128, 64, 1], "san_relu": true,
                "san_renorm": false, "concat_order": "asg"
            },
            "task": {
                "kind": "cgc", "task_scope": "scenario_task", "shared": 2, "specific": 2, "expert_units": [128, 64],
                "cgc_gate": "sum", "tower_units": [128, 64]
            }
        }"#,
        train: r#"{ "scenario_weight_power": 0.0, "mask_loss": false }"#,
    },
    Preset {
        name: "towers",
        aliases: &[],
        about: "A tower for each task of each scenario over shared embeddings; nothing else is shared.",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "tower" } }"#,
        train: "{}",
    },
    Preset {
        name: "logistic_regression",
        aliases: &[],
        about: "A linear function of the embeddings for each task: logistic regression where dims are at least the number of tasks.",
        json: r#"{
            "scenario": { "kind": "identity" },
            "task": { "kind": "tower", "task_scope": "task", "tower_units": [] }
        }"#,
        train: "{}",
    },
];

/// The model that a `[model]` table says: a preset with options of both slots beside it, or the two slots themselves.
/// An empty table is the preset `hinet`.
///
/// # Errors
/// [`ModelError::UnknownOption`] with the nearest name, [`ModelError::BadOption`] for a value of the wrong type.
pub fn expand(model: &Map<String, Value>) -> Result<ModelConfig, ModelError> {
    match model.get("preset") {
        Some(Value::String(name)) => with_options(find(name)?, model),
        Some(other) => Err(bad("preset", other.to_string(), "the name of a preset")),
        None if model.is_empty() => Ok(ModelConfig::default()),
        None => from_slots(model),
    }
}

/// What a preset asks of training: keys of `[train]` with their values, to be taken where the experiment says nothing.
///
/// # Errors
/// [`ModelError::BadOption`] for an unknown preset.
pub fn train_defaults(preset: &str) -> Result<Map<String, Value>, ModelError> {
    Ok(parse(find(preset)?.train))
}

/// The preset of this name or alias.
///
/// # Errors
/// [`ModelError::BadOption`] with the nearest name.
pub fn find(name: &str) -> Result<&'static Preset, ModelError> {
    let found = PRESETS.iter().find(|preset| preset.name == name || preset.aliases.contains(&name));
    found.ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        unknown(name, "the presets", &names)
    })
}

impl Preset {
    /// The model with every option as the preset has it.
    #[must_use]
    pub fn config(&self) -> ModelConfig {
        serde_json::from_str(self.json).expect("a test reads every preset")
    }
}

/// Options that stand beside `preset` go to the slot that has them.
fn with_options(preset: &Preset, model: &Map<String, Value>) -> Result<ModelConfig, ModelError> {
    let mut config = preset.config();
    let (scenario, task) = (options(&config.scenario), options(&config.task));
    for (key, value) in model.iter().filter(|(key, _)| *key != "preset") {
        if key == "input_norm" {
            config.input_norm = read(key, value)?;
        } else if scenario.contains(key) {
            config.scenario = with_option(&config.scenario, (key, key), value)?;
        } else if task.contains(key) {
            config.task = with_option(&config.task, (key, key), value)?;
        } else {
            let known = scenario.iter().chain(&task).map(String::as_str).chain(["input_norm"]);
            return Err(unknown(key, &format!("preset `{}`", preset.name), &known.collect::<Vec<_>>()));
        }
    }
    Ok(config)
}

fn from_slots(model: &Map<String, Value>) -> Result<ModelConfig, ModelError> {
    let known = ["preset", "input_norm", "scenario", "task"];
    if let Some(key) = model.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(unknown(key, "a model without preset", &known));
    }
    Ok(ModelConfig {
        input_norm: model.get("input_norm").map_or(Ok(Default::default()), |value| read("input_norm", value))?,
        scenario: slot("scenario", model.get("scenario"), ScenarioLayerConfig::one_of_each())?,
        task: slot("task", model.get("task"), TaskLayerConfig::one_of_each())?,
    })
}

/// A slot as written, over the defaults of its kind.
fn slot<T>(name: &str, written: Option<&Value>, kinds: Vec<T>) -> Result<T, ModelError>
where
    T: serde::Serialize + DeserializeOwned,
{
    let expected = "a table with `kind`; or use `preset`";
    let written = written.ok_or_else(|| bad(name, "missing", expected))?;
    let table = written.as_object().ok_or_else(|| bad(name, written.to_string(), expected))?;
    let kind = table.get("kind").ok_or_else(|| bad(&format!("{name}.kind"), "missing", "the kind of layer"))?;
    let kind_of = |layer: &T| to_map(layer).remove("kind").unwrap_or_default();
    let names: Vec<Value> = kinds.iter().map(kind_of).collect();
    let Some(mut layer) = kinds.into_iter().find(|layer| kind_of(layer) == *kind) else {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        return Err(unknown(kind.as_str().unwrap_or("?"), &format!("the kinds of {name} layer"), &names));
    };
    for (key, value) in table.iter().filter(|(key, _)| *key != "kind") {
        let known = options(&layer);
        if !known.contains(key) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(unknown(&format!("{name}.{key}"), &format!("kind {kind}"), &known));
        }
        layer = with_option(&layer, (key, &format!("{name}.{key}")), value)?;
    }
    Ok(layer)
}

/// A layer with one option changed; `shown` is the key as the user wrote it.
fn with_option<T>(layer: &T, (key, shown): (&str, &str), value: &Value) -> Result<T, ModelError>
where
    T: serde::Serialize + DeserializeOwned,
{
    let mut map = to_map(layer);
    map.insert(key.to_owned(), value.clone());
    serde_json::from_value(Value::Object(map)).map_err(|error| wrong_type(shown, value, &error))
}

fn read<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, ModelError> {
    serde_json::from_value(value.clone()).map_err(|error| wrong_type(key, value, &error))
}

/// Names of a layer's options.
fn options<T: serde::Serialize>(layer: &T) -> Vec<String> {
    to_map(layer).into_iter().map(|(key, _)| key).filter(|key| key != "kind").collect()
}

fn to_map<T: serde::Serialize>(layer: &T) -> Map<String, Value> {
    match serde_json::to_value(layer) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn parse(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).expect("a test reads every preset")
}

fn wrong_type(key: &str, value: &Value, error: &serde_json::Error) -> ModelError {
    let text = error.to_string();
    let expected = text.rsplit_once("expected ").map_or(text.as_str(), |(_, expected)| expected);
    let expected = match expected {
        "usize" => "a whole number",
        "f32" => "a number",
        "a sequence" => "a list",
        other => other,
    };
    bad(key, value.to_string(), expected)
}

fn unknown(key: &str, owner: &str, known: &[&str]) -> ModelError {
    let last = key.rsplit('.').next().unwrap_or(key);
    let nearest = known.iter().map(|name| (strsim::damerau_levenshtein(last, name), *name)).min();
    let suggestion =
        nearest.filter(|(distance, name)| *distance <= 1 + name.len() / 4).map(|(_, name)| name.to_owned());
    ModelError::UnknownOption { key: key.to_owned(), owner: owner.to_owned(), suggestion, known: known.join(", ") }
}
