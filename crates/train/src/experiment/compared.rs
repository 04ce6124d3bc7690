//! `[compare]`, and the experiment of one model of a comparison: the file's own, with another `[model]` and what that
//! model asks of `[train]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hinet_model::zoo;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::error::Sources;
use super::strict::{self, Mismatch, did_you_mean};
use super::tree::{Entry, Node, Origin, Value};
use super::{ExperimentError, TrainConfig, json_schema, model, text_of};

/// What `hinet compare` does otherwise for some models: the table `[compare]`. Nothing else reads it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompareConfig {
    /// By the model's name in `--models`: any key of `[model]` and of `[train]` but `seed` and `threads`, such as
    /// `[compare.models.ple]` with `expert_units = [64]` and `dense = { learning_rate = 3e-3 }`. A name that is no
    /// preset says which one it is made from: `preset = "hinet"`.
    #[schemars(schema_with = "models_schema")]
    pub models: BTreeMap<String, Map<String, Json>>,
}

/// Keys of `[train]` that a comparison sets itself.
const COMMON: [&str; 2] = ["seed", "threads"];
/// Tables that are merged key by key.
const MERGED: [&str; 3] = ["embedding", "dense", "sparse"];
/// What every model takes over from the file's `[model]`.
const KEPT: [&str; 2] = ["input_norm", "embedding"];

fn models_schema(generator: &mut SchemaGenerator) -> Schema {
    let of = |schema: Schema| schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
    let mut properties = of(model::schema(generator));
    let train = of(TrainConfig::json_schema(generator)).into_iter();
    properties.extend(train.filter(|(key, _)| !COMMON.contains(&key.as_str())));
    schemars::json_schema!({
        "type": "object",
        "default": {},
        "additionalProperties": { "type": "object", "properties": properties, "additionalProperties": false },
    })
}

/// What was typed for one model.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A preset, or a name of `[compare.models]`.
    Named(String),
    /// A file of TOML, of which `[model]` and `[train]` count.
    File(PathBuf, String),
}

impl Item {
    /// Reads the file, if it is one.
    pub(super) fn read(typed: &str) -> Result<Item, ExperimentError> {
        if !typed.ends_with(".toml") {
            return Ok(Item::Named(typed.to_owned()));
        }
        let path = PathBuf::from(typed);
        let text = text_of(&path)?;
        Ok(Item::File(path, text))
    }

    /// What the model is called.
    pub(super) fn name(&self) -> String {
        match self {
            Item::Named(name) => name.clone(),
            Item::File(path, _) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// The file and its text, to tell places in it.
    pub(super) fn fragment(&self) -> Option<(&Path, &str)> {
        match self {
            Item::Named(_) => None,
            Item::File(path, text) => Some((path, text)),
        }
    }

    /// What it says for `[model]` and for `[train]`.
    pub(super) fn says(&self, tree: &Node, sources: &Sources<'_>) -> Result<[Vec<Entry>; 2], ExperimentError> {
        match self {
            Item::Named(name) => named(tree, name),
            Item::File(_, text) => fragment(text).map_err(|found| sources.invalid(found)),
        }
    }
}

/// `[model]` and `[train]` of a file that may hold whatever a whole experiment does.
fn fragment(text: &str) -> Result<[Vec<Entry>; 2], Vec<Mismatch>> {
    let node = Node::parse_fragment(text).map_err(|error| {
        let at = Origin::Fragment(error.span().unwrap_or(0..0));
        vec![Mismatch { at, key: String::new(), message: error.message().to_owned() }]
    })?;
    let mut schema = json_schema();
    schema.as_object_mut().map(|schema| schema.remove("required"));
    let found = strict::check(&node, strict::Schema::new(&schema), "");
    if !found.is_empty() {
        return Err(found);
    }
    Ok(["model", "train"].map(|table| entries_of(node.get(table))))
}

/// Values of the command line with those for `train` once more at the end, and how many these are: they are put over
/// what each model says of itself.
pub(super) fn for_all_models(sets: &[(String, String)]) -> (Vec<(String, String)>, usize) {
    let again = sets.iter().filter(|(key, _)| key == "train" || key.starts_with("train."));
    let all: Vec<(String, String)> = sets.iter().chain(again).cloned().collect();
    let late = all.len() - sets.len();
    (all, late)
}

fn named(tree: &Node, name: &str) -> Result<[Vec<Entry>; 2], ExperimentError> {
    let written = tree.find("compare.models").and_then(|models| models.get(name));
    if !is_model(tree, name) {
        return Err(unknown_model(tree, name));
    }
    if let Err(expected) = super::meaning::name_of_folder(name) {
        return Err(ExperimentError::ModelName { name: name.to_owned(), expected });
    }
    let of_train = |entry: &Entry| train_keys().contains(&entry.key);
    let (train, mut model): (Vec<Entry>, Vec<Entry>) = entries_of(written).into_iter().partition(of_train);
    let says_which = model.iter().any(|entry| ["preset", "scenario", "task"].contains(&entry.key.as_str()));
    if !says_which {
        if zoo::find(name).is_err() {
            return Err(ExperimentError::NoPreset { name: name.to_owned() });
        }
        let at = written.map_or_else(|| tree.at.clone(), |node| node.at.clone());
        model.insert(0, entry("preset", Value::Text(name.to_owned()), &at));
    }
    Ok([model, train])
}

/// Whether a preset or an entry of `[compare.models]` is called so.
pub(super) fn is_model(tree: &Node, name: &str) -> bool {
    zoo::find(name).is_ok() || tree.find("compare.models").is_some_and(|models| models.get(name).is_some())
}

pub(super) fn unknown_model(tree: &Node, name: &str) -> ExperimentError {
    let presets = zoo::PRESETS.iter().map(|preset| preset.name.to_owned());
    let own = entries_of(tree.find("compare.models")).into_iter().map(|entry| entry.key);
    let known: Vec<String> = presets.chain(own).collect();
    let hint = did_you_mean(name, known.iter().map(String::as_str));
    ExperimentError::UnknownModel { name: name.to_owned(), hint, known: known.join(", ") }
}

/// Puts a model in the place of the file's own. A model of the file's own preset keeps its options; any other starts
/// from its preset's, with the file's `input_norm` and `embedding`.
pub(super) fn put(tree: &mut Node, [model, train]: [Vec<Entry>; 2]) {
    let own = entries_of(tree.get("model"));
    let mut table: Vec<Entry> = if is_same_model(&own, &model) {
        own
    } else {
        own.into_iter().filter(|entry| KEPT.contains(&entry.key.as_str())).collect()
    };
    model.into_iter().for_each(|entry| merge(&mut table, entry));
    replace(tree, "model", table);
    let mut table = entries_of(tree.get("train"));
    train.into_iter().for_each(|entry| merge(&mut table, entry));
    replace(tree, "train", table);
}

fn is_same_model(own: &[Entry], model: &[Entry]) -> bool {
    let preset = |entries: &[Entry]| {
        let written = entries.iter().find(|entry| entry.key == "preset").map(|entry| &entry.node.value);
        let Some(Value::Text(name)) = written else { return None };
        zoo::find(name).ok()
    };
    let own = if own.is_empty() { zoo::find(model::DEFAULT_PRESET).ok() } else { preset(own) };
    let unsaid = model.iter().all(|entry| !["preset", "scenario", "task"].contains(&entry.key.as_str()));
    unsaid || (own.is_some() && own == preset(model))
}

fn merge(table: &mut Vec<Entry>, new: Entry) {
    let Some(old) = table.iter_mut().find(|old| old.key == new.key) else { return table.push(new) };
    match (&mut old.node.value, new.node.value) {
        (Value::Table(old), Value::Table(new_entries)) if MERGED.contains(&new.key.as_str()) => {
            new_entries.into_iter().for_each(|entry| merge(old, entry));
        }
        (_, value) => *old = Entry { node: Node { value, at: new.node.at }, ..new },
    }
}

fn replace(tree: &mut Node, key: &str, table: Vec<Entry>) {
    let at = tree.get(key).map_or_else(|| tree.at.clone(), |node| node.at.clone());
    let Value::Table(entries) = &mut tree.value else { return };
    entries.retain(|entry| entry.key != key);
    entries.push(entry(key, Value::Table(table), &at));
}

fn entry(key: &str, value: Value, at: &Origin) -> Entry {
    Entry { key: key.to_owned(), key_at: at.clone(), node: Node { value, at: at.clone() } }
}

fn entries_of(node: Option<&Node>) -> Vec<Entry> {
    node.map_or_else(Vec::new, |node| node.entries().to_vec())
}

/// Keys of `[train]`.
fn train_keys() -> Vec<String> {
    let schema = schemars::schema_for!(TrainConfig);
    let properties = schema.get("properties").and_then(Json::as_object);
    properties.map_or_else(Vec::new, |properties| properties.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_one_of_model_and_of_train() {
        let schema = json_schema();
        let model = schema["properties"]["model"]["properties"].as_object().unwrap();
        assert!(model.contains_key("units"), "the schema of `[model]` lists its options");
        let both: Vec<String> = train_keys().into_iter().filter(|key| model.contains_key(key)).collect();
        assert!(both.is_empty(), "`[compare.models]` could not tell whose these are: {both:?}");
    }
}
