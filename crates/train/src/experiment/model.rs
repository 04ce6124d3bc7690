//! The table `[model]`: a preset with options beside it, or the two slots themselves.

use hinet_data::{Encoder, FeatureConfig, TaskConfig, TaskSpec};
use hinet_model::{ModelConfig, ModelError, ScenarioLayerConfig, TaskLayerConfig, zoo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json, json};

use super::strict::{Mismatch, did_you_mean, join};
use super::tree::{Entry, Node, Value, to_map};

/// The preset of an experiment that has no table `[model]`, or an empty one.
pub(super) const DEFAULT_PRESET: &str = "hinet";

/// A model and the preset it came from.
#[derive(Debug)]
pub(super) struct Expanded {
    pub(super) preset: Option<String>,
    pub(super) config: ModelConfig,
}

/// Schema of `[model]`: `preset`, the slots, and every option that some preset takes.
pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let slots = [ScenarioLayerConfig::json_schema(generator), TaskLayerConfig::json_schema(generator)];
    let presets: Vec<Json> = zoo::PRESETS
        .iter()
        .flat_map(|preset| {
            let names = std::iter::once(&preset.name).chain(preset.aliases);
            let about = format!("{} Recipe: {}.", preset.about, preset.recipe);
            names.map(move |name| json!({ "const": name, "type": "string", "description": about }))
        })
        .collect();
    let mut properties = Map::new();
    properties.insert(
        "preset".to_owned(),
        json!({
            "description": "A model by name. Options of its layers stand beside it. Default: `hinet`, unless `scenario` and `task` are given. The recipe is how a model made for many tasks only, or many scenarios only, serves both: R1 each task of each scenario counts as a task; R2 one network of the scenarios under heads of the tasks; R3 the scenarios' network once per task; R4 the scenario conditions a network of many tasks; native: made for both.",
            "oneOf": presets,
        }),
    );
    let own = ModelConfig::json_schema(generator);
    if let Some(own) = own.get("properties").and_then(Json::as_object) {
        properties.extend(own.clone());
    }
    let variants = slots.iter().filter_map(|slot| slot.get("oneOf")?.as_array()).flatten();
    for options in variants.filter_map(|variant| variant.get("properties")?.as_object()) {
        for (key, option) in options.iter().filter(|(key, _)| *key != "kind") {
            properties.entry(key.clone()).or_insert_with(|| option.clone());
        }
    }
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Reads `[model]`, and puts what its preset asks of training into `[train]` where nothing is written.
pub(super) fn expand(tree: &mut Node) -> Result<Expanded, Mismatch> {
    let mut table = tree.get("model").map(table_of).unwrap_or_default();
    if table.is_empty() {
        table.insert("preset".to_owned(), DEFAULT_PRESET.into());
    }
    let written = table.get("preset").and_then(Json::as_str).map(str::to_owned);
    let mut preset = None;
    if let Some(name) = written {
        let found = zoo::find(&name).map_err(|error| mismatch(tree, &error))?;
        let defaults = zoo::train_defaults(found.name).map_err(|error| mismatch(tree, &error))?;
        preset = Some(found.name.to_owned());
        add_train_defaults(tree, defaults);
    }
    let config = zoo::expand(&table).map_err(|error| mismatch(tree, &error))?;
    Ok(Expanded { preset, config })
}

/// Checks options that only the layers know the limits of.
pub(super) fn check(
    config: &ModelConfig,
    tasks: &[TaskConfig],
    features: &[FeatureConfig],
) -> Result<(), (String, String)> {
    let tasks = tasks.iter().map(|task| TaskSpec { weight: task.weight, ..TaskSpec::new(&task.name) });
    // Features that contradict one another are told by what reads them.
    let Ok(layout) = Encoder::layout_of(features, tasks.collect()) else { return Ok(()) };
    config.check(&layout).map_err(|error| (join("model", key_of(&error)), message_of(&error)))
}

/// The place of a model's option (without `model.`), wherever in `[model]` it was written.
pub(super) fn place<'a>(tree: &'a Node, key: &str) -> Option<(&'a Entry, String)> {
    ["model", "model.scenario", "model.task"].into_iter().find_map(|table| {
        let path = join(table, key);
        let (owner, option) = path.rsplit_once('.')?;
        Some((tree.find(owner)?.entry(option)?, path.clone()))
    })
}

fn mismatch(tree: &Node, error: &ModelError) -> Mismatch {
    let key = key_of(error);
    let is_key = matches!(error, ModelError::UnknownOption { .. });
    let message = message_of(error);
    match place(tree, key) {
        Some((entry, key)) => {
            let at = if is_key { entry.key_at.clone() } else { entry.node.at.clone() };
            Mismatch { at, key, message }
        }
        None => Mismatch { at: tree.deepest("model").at.clone(), key: join("model", key), message },
    }
}

fn message_of(error: &ModelError) -> String {
    if let ModelError::UnknownOption { key, owner, suggestion, known } = error {
        return match suggestion {
            Some(name) => format!("no option of {owner}; did you mean `{name}`?"),
            None => format!("no option of {owner}{}; it has: {known}", did_you_mean(key, known.split(", "))),
        };
    }
    if let ModelError::BadOption { value, expected, .. } = error {
        return format!("expected {expected}, found {value}");
    }
    error.to_string()
}

fn key_of(error: &ModelError) -> &str {
    if let ModelError::UnknownOption { key, .. } | ModelError::BadOption { key, .. } = error { key } else { "" }
}

fn table_of(node: &Node) -> Map<String, Json> {
    match &node.value {
        Value::Table(entries) => to_map(entries),
        Value::Array(_) | Value::Text(_) | Value::Integer(_) | Value::Number(_) | Value::Flag(_) | Value::Date(_) => {
            Map::new()
        }
    }
}

fn add_train_defaults(tree: &mut Node, defaults: Map<String, Json>) {
    if defaults.is_empty() {
        return;
    }
    let at = tree.deepest("model.preset").at.clone();
    let Value::Table(entries) = &mut tree.value else { return };
    let index = entries.iter().position(|entry| entry.key == "train").unwrap_or_else(|| {
        let node = Node { value: Value::Table(Vec::new()), at: at.clone() };
        entries.push(Entry { key: "train".to_owned(), key_at: at.clone(), node });
        entries.len() - 1
    });
    let Value::Table(train) = &mut entries[index].node.value else { return };
    for (key, value) in defaults {
        if train.iter().all(|entry| entry.key != key) {
            train.push(Entry { key, key_at: at.clone(), node: Node::from_json(&value, &at) });
        }
    }
}
