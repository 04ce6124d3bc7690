//! An experiment file as TOML text.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml_edit::{Array, InlineTable, Key, Value as Toml};

/// A value with the order of its keys kept. It comes by way of JSON text, where a number in single precision is as
/// short as it was written; serde's data model alone would make 0.001 into 0.0010000000474974513.
#[derive(Debug)]
enum Ordered {
    Null,
    Scalar(Toml),
    List(Vec<Ordered>),
    Table(Vec<(String, Ordered)>),
}

/// One table per top-level key, lists of tables as `[[key]]`, everything deeper on one line.
pub(super) fn to_toml(file: &impl Serialize) -> String {
    let json = serde_json::to_string(file).expect("config structs hold texts, finite numbers and flags");
    let tree: Ordered = serde_json::from_str(&json).expect("serde_json reads what it wrote");
    let Ordered::Table(entries) = tree else { return String::new() };
    let mut text = String::new();
    for (key, value) in &entries {
        if let Some(value) = inline(value).filter(|_| !is_table(value)) {
            line(&mut text, key, value);
        }
    }
    for (key, value) in &entries {
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
