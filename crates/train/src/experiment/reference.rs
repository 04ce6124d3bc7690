//! The reference of the experiment file as Markdown, from the JSON Schema and so from the structs' doc comments.

use std::collections::VecDeque;
use std::fmt::Write;

use serde_json::Value as Json;

use super::json_schema;
use super::strict::{Schema, expected, join};

/// Text of `docs/config.md`: every key with its type, default and meaning, table by table.
pub fn config_reference() -> String {
    let head = "# The experiment file, key by key\n\n\
         Generated from the doc comments of the config's structs; a test compares. `hinet schema` prints the same as a \
         JSON Schema (draft 7) for editors.\nA key that is not listed here is refused.\n";
    reference_of(head, &json_schema())
}

/// Every key of a configuration with this JSON Schema, table by table, behind `head`.
pub fn reference_of(head: &str, schema: &Json) -> String {
    let mut text = String::from(head);
    let mut tables = VecDeque::from([Table { key: String::new(), heading: None, schema: Schema::new(schema) }]);
    while let Some(table) = tables.pop_front() {
        table.write(&mut text, &mut tables);
    }
    text
}

/// A table of the file, still to be described.
struct Table<'a> {
    /// Dotted key, empty for the file itself.
    key: String,
    heading: Option<String>,
    schema: Schema<'a>,
}

impl<'a> Table<'a> {
    fn write(&self, text: &mut String, tables: &mut VecDeque<Table<'a>>) {
        let heading = self.heading.clone().unwrap_or_else(|| "The file".to_owned());
        let _ = write!(text, "\n## {heading}\n\n");
        if let Some(variants) = self.schema.variants() {
            return self.write_variants(&variants, text, tables);
        }
        if let Some(about) = description(self.schema).filter(|_| self.heading.is_some()) {
            let _ = write!(text, "{about}\n\n");
        }
        text.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        let hidden = self.options_of_slots();
        let mut inner = Vec::new();
        let mut keys = self.schema.keys();
        let required = self.schema.required();
        keys.sort_by_key(|key| !required.contains(key));
        for key in keys.into_iter().filter(|key| !hidden.contains(key)) {
            let Some(property) = self.schema.raw_property(key) else { continue };
            self.write_row(key, property, text);
            inner.extend(self.inner_table(key, property.resolved()));
        }
        // Depth first, so that a table is followed by its own tables.
        for table in inner.into_iter().rev() {
            tables.push_front(table);
        }
    }

    fn write_variants(&self, variants: &[Schema<'a>], text: &mut String, tables: &mut VecDeque<Table<'a>>) {
        if let Some(about) = description(self.schema) {
            let _ = write!(text, "{about}\n\n");
        }
        let Some(tag) = Schema::tag(variants) else { return };
        let word = |variant: &Schema<'a>| variant.property(tag).and_then(Schema::words).unwrap_or_default().concat();
        let _ = write!(text, "| `{tag}` | meaning |\n| --- | --- |\n");
        for variant in variants {
            let _ = writeln!(text, "| `{}` | {} |", word(variant), cell(&description(*variant).unwrap_or_default()));
        }
        for variant in variants.iter().rev() {
            let heading = format!("{} with `{tag} = \"{}\"`", self.heading.clone().unwrap_or_default(), word(variant));
            tables.push_front(Table { key: self.key.clone(), heading: Some(heading), schema: *variant });
        }
    }

    fn write_row(&self, key: &str, property: Schema<'a>, text: &mut String) {
        let resolved = property.resolved();
        let default = match property.node.get("default") {
            _ if self.schema.required().contains(&key) => "required".to_owned(),
            Some(value) if is_inner(resolved) || value.is_null() => {
                if value.is_null() { "" } else { "see below" }.to_owned()
            }
            Some(value) => format!("`{}`", toml(value, resolved)),
            None => String::new(),
        };
        let mut meaning = description(property).or_else(|| description(resolved)).unwrap_or_default();
        for (word, about) in documented_words(resolved) {
            let _ = write!(meaning, " `{word}`: {about}");
        }
        let kind = expected(property);
        let _ = writeln!(text, "| `{key}` | {} | {} | {} |", cell(&kind), cell(&default), cell(&meaning));
    }

    /// The table that stands below this key, if one does.
    fn inner_table(&self, key: &str, property: Schema<'a>) -> Option<Table<'a>> {
        let path = join(&self.key, key);
        if is_inner(property) {
            return Some(Table { heading: Some(format!("`[{path}]`")), key: path, schema: property });
        }
        if let Some(items) = property.items().filter(|items| is_inner(*items)) {
            return Some(Table { heading: Some(format!("`[[{path}]]`")), key: path, schema: items });
        }
        // Values that are described elsewhere already are not named, so they are written out in place.
        let named = property.node.get("additionalProperties").is_some_and(|values| values.get("$ref").is_some());
        let values = property.values().filter(|_| named)?;
        Some(Table { heading: Some(format!("A value of `[{path}]`")), key: path, schema: values })
    }

    /// `[model]` takes the options of its layers beside a preset; they are described with the layers.
    fn options_of_slots(&self) -> Vec<&'a str> {
        if self.key != "model" {
            return Vec::new();
        }
        let slots = ["scenario", "task"].into_iter().filter_map(|slot| self.schema.property(slot)?.variants());
        slots.flatten().flat_map(Schema::keys).collect()
    }
}

/// Whether a value of this schema is a table with keys of its own.
fn is_inner(schema: Schema<'_>) -> bool {
    !schema.keys().is_empty() || schema.variants().is_some_and(|variants| Schema::tag(&variants).is_some())
}

fn description(schema: Schema<'_>) -> Option<String> {
    let text = schema.node.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The words of an enum with what they mean.
fn documented_words(schema: Schema<'_>) -> Vec<(String, String)> {
    let variants = schema.variants().unwrap_or_default().into_iter();
    variants
        .filter_map(|variant| Some((variant.node.get("const")?.as_str()?.to_owned(), description(variant)?)))
        .collect()
}

fn toml(value: &Json, schema: Schema<'_>) -> String {
    let single = schema.node.get("format").and_then(Json::as_str) == Some("float");
    match value.as_f64().filter(|_| single) {
        Some(number) => format!("{:?}", number as f32),
        None => value.to_string(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
