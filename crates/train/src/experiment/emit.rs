//! An experiment file as TOML text.

use std::fmt;

use hinet_data::{DataConfig, FeatureConfig, ScenarioConfig, TaskConfig};
use hinet_model::ModelConfig;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml_edit::{Array, InlineTable, Key, Value as Toml};

use super::{CONFIG_VERSION, Experiment, TrainConfig};

/// A value with the order of its keys kept. It comes by way of JSON text, where a number in single precision is as
/// short as it was written; serde's data model alone would make 0.001 into 0.0010000000474974513.
#[derive(Debug)]
enum Ordered {
    Null,
    Scalar(Toml),
    List(Vec<Ordered>),
    Table(Vec<(String, Ordered)>),
}

/// What stands in the file, in this order.
#[derive(Serialize)]
struct Written<'a> {
    config_version: u32,
    name: &'a str,
    data: &'a DataConfig,
    scenario: &'a ScenarioConfig,
    task: &'a [TaskConfig],
    feature: &'a [FeatureConfig],
    model: WrittenModel<'a>,
    train: &'a TrainConfig,
}

#[derive(Serialize)]
struct WrittenModel<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<&'a str>,
    #[serde(flatten)]
    config: &'a ModelConfig,
}

/// One table per top-level key, lists of tables as `[[key]]`, everything deeper on one line.
pub(super) fn to_toml(experiment: &Experiment) -> String {
    let written = Written {
        config_version: CONFIG_VERSION,
        name: &experiment.name,
        data: &experiment.data,
        scenario: &experiment.scenario,
        task: &experiment.tasks,
        feature: &experiment.features,
        model: WrittenModel { preset: experiment.preset.as_deref(), config: &experiment.model },
        train: &experiment.train,
    };
    let json = serde_json::to_string(&written).expect("config structs hold texts, finite numbers and flags");
    let tree: Ordered =
        serde_json::from_str(&json).expect("whole numbers came from TOML, and serde_json reads its own");
    let Ordered::Table(mut entries) = tree else { return String::new() };
    for (_, value) in entries.iter_mut().filter(|(key, _)| key == "model") {
        if let (Ordered::Table(model), true) = (value, experiment.preset.is_some()) {
            *model = beside_preset(std::mem::take(model));
        }
    }
    text_of(&entries)
}

/// The TOML that says what a JSON object says, `null` left out.
pub(super) fn from_json(json: &str) -> Result<String, serde_json::Error> {
    let tree: Ordered = serde_json::from_str(json)?;
    match tree {
        Ordered::Table(entries) => Ok(text_of(&entries)),
        Ordered::Null | Ordered::Scalar(_) | Ordered::List(_) => {
            Err(serde::de::Error::custom("expected an object of keys and values"))
        }
    }
}

/// The options of both slots, side by side as they stand beside a preset.
fn beside_preset(model: Vec<(String, Ordered)>) -> Vec<(String, Ordered)> {
    let mut options = Vec::new();
    for (key, mut value) in model {
        let is_slot = key == "scenario" || key == "task";
        if let (Ordered::Table(slot), true) = (&mut value, is_slot) {
            options.extend(std::mem::take(slot).into_iter().filter(|(key, _)| key != "kind"));
        } else {
            options.push((key, value));
        }
    }
    options
}

fn text_of(entries: &[(String, Ordered)]) -> String {
    let mut text = String::new();
    for (key, value) in entries {
        if let Some(value) = inline(value).filter(|_| !is_table(value)) {
            line(&mut text, key, value);
        }
    }
    for (key, value) in entries {
        match value {
            Ordered::Table(entries) => table(&mut text, &format!("[{}]", Key::new(key)), entries),
            Ordered::List(items) if is_table(value) => {
                for item in items {
                    if let Ordered::Table(entries) = item {
                        table(&mut text, &format!("[[{}]]", Key::new(key)), entries);
                    }
                }
            }
            Ordered::List(_) | Ordered::Null | Ordered::Scalar(_) => {}
        }
    }
    text
}

fn is_table(value: &Ordered) -> bool {
    match value {
        Ordered::Table(_) => true,
        Ordered::List(items) => matches!(items.first(), Some(Ordered::Table(_))),
        Ordered::Null | Ordered::Scalar(_) => false,
    }
}

fn table(text: &mut String, head: &str, entries: &[(String, Ordered)]) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(head);
    text.push('\n');
    for (key, value) in entries {
        if let Some(value) = inline(value) {
            line(text, key, value);
        }
    }
}

fn line(text: &mut String, key: &str, value: Toml) {
    text.push_str(&format!("{} = {}\n", Key::new(key), value.decorated("", "")));
}

fn inline(value: &Ordered) -> Option<Toml> {
    match value {
        Ordered::Null => None,
        Ordered::Scalar(value) => Some(value.clone()),
        Ordered::List(items) => Some(Toml::Array(items.iter().filter_map(inline).collect::<Array>())),
        Ordered::Table(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| Some((Key::new(key), inline(value)?)));
            Some(Toml::InlineTable(entries.collect::<InlineTable>()))
        }
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ordered, D::Error> {
        deserializer.deserialize_any(OrderedVisitor)
    }
}

struct OrderedVisitor;

impl<'de> Visitor<'de> for OrderedVisitor {
    type Value = Ordered;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Ordered, E> {
        Ok(Ordered::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Ordered, E> {
        let value = i64::try_from(value).map_err(|_| E::custom("whole numbers of TOML end at 2^63 - 1"))?;
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
        Ok(Ordered::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Ordered, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Ordered::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Ordered, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        Ok(Ordered::Table(table))
    }
}
