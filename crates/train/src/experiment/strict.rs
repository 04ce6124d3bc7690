//! Strict reading: a tree against the JSON Schema of the experiment file, every difference with its place.
//!
//! serde alone stops at the first difference and, within tagged enums, does not know where it is. The schema comes from
//! the same structs, so the two cannot disagree; what only serde knows is still asked of it afterwards.

use serde_json::Value as Json;

use super::tree::{Entry, Node, Origin, Value};

/// Something that does not fit the schema.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mismatch {
    pub(super) at: Origin,
    pub(super) key: String,
    pub(super) message: String,
}

/// A schema with the definitions that its `$ref`s name.
#[derive(Clone, Copy)]
pub(super) struct Schema<'a> {
    pub(super) root: &'a Json,
    pub(super) node: &'a Json,
}

/// All that does not fit, in the order of the schema's keys.
pub(super) fn check(node: &Node, schema: Schema<'_>, key: &str) -> Vec<Mismatch> {
    let mut found = Vec::new();
    walk(node, schema, key, &mut found);
    found
}

impl<'a> Schema<'a> {
    pub(super) fn new(root: &'a Json) -> Schema<'a> {
        Schema { root, node: root }
    }

    fn at(self, node: &'a Json) -> Schema<'a> {
        Schema { node, ..self }.resolved()
    }

    /// Follows `$ref`, an `allOf` of one, and an `anyOf` of one thing or null.
    pub(super) fn resolved(self) -> Schema<'a> {
        let mut schema = self;
        // Definitions do not nest this deep; a cycle of references ends here.
        for _ in 0..64 {
            let only = schema.node.get("allOf").and_then(Json::as_array).filter(|all| all.len() == 1);
            if let Some(name) = schema.node.get("$ref").and_then(Json::as_str) {
                let pointer = name.trim_start_matches('#');
                match schema.root.pointer(pointer) {
                    Some(node) => schema.node = node,
                    None => break,
                }
            } else if let Some(only) = only {
                schema.node = &only[0];
            } else if let Some(only) = schema.option() {
                schema.node = only;
            } else {
                break;
            }
        }
        schema
    }

    /// What an option holds.
    fn option(self) -> Option<&'a Json> {
        let is_null = |node: &&Json| node.get("type").and_then(Json::as_str) == Some("null");
        match self.node.get("anyOf")?.as_array()?.as_slice() {
            [only, null] if is_null(&null) && !is_null(&only) => Some(only),
            _ => None,
        }
    }

    fn list(self, key: &str) -> Option<Vec<Schema<'a>>> {
        let nodes = self.node.get(key)?.as_array()?;
        Some(nodes.iter().map(|node| self.at(node)).collect())
    }

    /// The alternatives of an enum or an option, without null; `None` if there are none.
    pub(super) fn variants(self) -> Option<Vec<Schema<'a>>> {
        let variants = self.list("oneOf").or_else(|| self.list("anyOf"))?;
        Some(variants.into_iter().filter(|variant| variant.types() != ["null"]).collect())
    }

    /// Names of the types it allows, without null where there are others.
    pub(super) fn types(self) -> Vec<&'a str> {
        match self.node.get("type") {
            Some(Json::String(name)) => vec![name],
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).filter(|name| *name != "null").collect(),
            _ => Vec::new(),
        }
    }

    /// The texts it allows, where it lists them.
    pub(super) fn words(self) -> Option<Vec<&'a str>> {
        if let Some(word) = self.node.get("const") {
            return Some(vec![word.as_str()?]);
        }
        if let Some(words) = self.node.get("enum").and_then(Json::as_array) {
            return Some(words.iter().filter_map(Json::as_str).collect());
        }
        let words: Option<Vec<_>> = self.variants()?.into_iter().map(Schema::words).collect();
        Some(words?.concat())
    }

    pub(super) fn property(self, key: &str) -> Option<Schema<'a>> {
        Some(self.at(self.node.get("properties")?.get(key)?))
    }

    /// The property as it is written, with its own description and default.
    pub(super) fn raw_property(self, key: &str) -> Option<Schema<'a>> {
        let node = self.node.get("properties")?.get(key)?;
        Some(Schema { node, ..self })
    }

    pub(super) fn items(self) -> Option<Schema<'a>> {
        Some(self.at(self.node.get("items")?))
    }

    pub(super) fn keys(self) -> Vec<&'a str> {
        let properties = self.node.get("properties").and_then(Json::as_object);
        properties.map_or_else(Vec::new, |properties| properties.keys().map(String::as_str).collect())
    }

    pub(super) fn required(self) -> Vec<&'a str> {
        let names = self.node.get("required").and_then(Json::as_array);
        names.map_or_else(Vec::new, |names| names.iter().filter_map(Json::as_str).collect())
    }

    /// What every value is, of a table whose keys are names.
    pub(super) fn values(self) -> Option<Schema<'a>> {
        Some(self.at(self.node.get("additionalProperties").filter(|node| node.is_object())?))
    }

    fn is_open(self) -> bool {
        self.node.get("additionalProperties") != Some(&Json::Bool(false))
    }

    /// The key that tells the variants of a tagged enum apart.
    pub(super) fn tag(variants: &[Schema<'a>]) -> Option<&'a str> {
        let first = variants.first()?;
        let is_tag =
            |schema: &Schema<'a>, key: &str| schema.property(key).is_some_and(|tag| tag.node.get("const").is_some());
        first.keys().into_iter().find(|key| variants.iter().all(|variant| is_tag(variant, key)))
    }
}

fn walk(node: &Node, schema: Schema<'_>, key: &str, found: &mut Vec<Mismatch>) {
    let schema = schema.resolved();
    if let Some(words) = schema.words() {
        return check_word(node, &words, key, found);
    }
    if let Some(variants) = schema.variants() {
        return match Schema::tag(&variants) {
            Some(tag) => check_tagged(node, (tag, &variants), key, found),
            None => check_untagged(node, &variants, key, found),
        };
    }
    if !fits(node, schema) {
        return found.push(mismatch(node, key, format!("expected {}, found {}", expected(schema), node.describe())));
    }
    match &node.value {
        Value::Table(entries) => check_table(node, entries, (schema, None), key, found),
        Value::Array(nodes) => {
            if let Some(items) = schema.node.get("items") {
                for (index, node) in nodes.iter().enumerate() {
                    walk(node, schema.at(items), &join(key, &index.to_string()), found);
                }
            }
        }
        Value::Integer(_) | Value::Number(_) => {
            if let Some(message) = out_of_range(node, schema) {
                found.push(mismatch(node, key, message));
            }
        }
        Value::Text(_) | Value::Flag(_) | Value::Date(_) => {}
    }
}

fn check_table(
    node: &Node,
    entries: &[Entry],
    (schema, tag): (Schema<'_>, Option<&str>),
    key: &str,
    found: &mut Vec<Mismatch>,
) {
    for entry in entries.iter().filter(|entry| Some(entry.key.as_str()) != tag) {
        let path = join(key, &entry.key);
        match schema.property(&entry.key) {
            Some(property) => walk(&entry.node, property, &path, found),
            None if schema.values().is_some() => {
                if let Some(values) = schema.values() {
                    walk(&entry.node, values, &path, found);
                }
            }
            None if schema.is_open() => {}
            None => {
                let known = schema.keys();
                let hint = did_you_mean(&entry.key, known.iter().copied());
                let hint = if hint.is_empty() { format!("; it may have: {}", listed(&known)) } else { hint };
                let owner = if key.is_empty() { "unknown key".to_owned() } else { format!("`{key}` has no such key") };
                found.push(Mismatch { at: entry.key_at.clone(), key: path, message: format!("{owner}{hint}") });
            }
        }
    }
    for name in schema.required() {
        if Some(name) != tag && node.get(name).is_none() {
            let description = schema.property(name).map(|property| format!(", expected {}", expected(property)));
            let message = format!("missing{}", description.unwrap_or_default());
            found.push(mismatch(node, &join(key, name), message));
        }
    }
}

fn check_tagged(node: &Node, (tag, variants): (&str, &[Schema<'_>]), key: &str, found: &mut Vec<Mismatch>) {
    let Value::Table(entries) = &node.value else {
        return found.push(mismatch(node, key, format!("expected a table with a `{tag}`, found {}", node.describe())));
    };
    let words: Vec<&str> = variants.iter().flat_map(|variant| tag_words(*variant, tag)).collect();
    let path = join(key, tag);
    let Some(kind) = node.get(tag) else {
        return found.push(mismatch(node, &path, format!("missing, expected one of {}", quoted(&words))));
    };
    let before = found.len();
    check_word(kind, &words, &path, found);
    if let (Value::Text(kind), true) = (&kind.value, found.len() == before) {
        let variant = variants.iter().find(|variant| tag_words(**variant, tag).contains(&kind.as_str()));
        if let Some(&variant) = variant {
            check_table(node, entries, (variant, Some(tag)), key, found);
        }
    }
}

/// What the tag of a variant may say.
fn tag_words<'a>(variant: Schema<'a>, tag: &str) -> Vec<&'a str> {
    variant.property(tag).and_then(Schema::words).unwrap_or_default()
}

fn check_untagged(node: &Node, variants: &[Schema<'_>], key: &str, found: &mut Vec<Mismatch>) {
    match variants.iter().find(|variant| fits(node, **variant)) {
        Some(&variant) => walk(node, variant, key, found),
        None => {
            let expected: Vec<String> = variants.iter().map(|variant| expected(*variant)).collect();
            found.push(mismatch(node, key, format!("expected {}, found {}", expected.join(" or "), node.describe())));
        }
    }
}

fn check_word(node: &Node, words: &[&str], key: &str, found: &mut Vec<Mismatch>) {
    let Value::Text(word) = &node.value else {
        return found.push(mismatch(
            node,
            key,
            format!("expected one of {}, found {}", quoted(words), node.describe()),
        ));
    };
    if !words.contains(&word.as_str()) {
        let hint = did_you_mean(word, words.iter().copied());
        let message = format!("{word:?} is not one of {}{hint}", quoted(words));
        found.push(mismatch(node, key, message));
    }
}

/// Whether the kind of value is one the schema allows. A whole number may stand for any number.
fn fits(node: &Node, schema: Schema<'_>) -> bool {
    if schema.words().is_some() {
        return matches!(node.value, Value::Text(_));
    }
    if let Some(variants) = schema.variants() {
        return variants.into_iter().any(|variant| fits(node, variant));
    }
    let types = schema.types();
    let allows = |name: &str| types.is_empty() || types.contains(&name);
    match &node.value {
        Value::Table(_) => allows("object"),
        Value::Array(_) => allows("array"),
        Value::Text(_) => allows("string"),
        Value::Integer(_) => allows("integer") || allows("number"),
        Value::Number(_) => allows("number"),
        Value::Flag(_) => allows("boolean"),
        Value::Date(_) => false,
    }
}

/// What is wrong with a number whose kind is right.
fn out_of_range(node: &Node, schema: Schema<'_>) -> Option<String> {
    let value = match &node.value {
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        Value::Table(_) | Value::Array(_) | Value::Text(_) | Value::Flag(_) | Value::Date(_) => return None,
    };
    let format = schema.node.get("format").and_then(Json::as_str).unwrap_or("");
    let limit = |key: &str| schema.node.get(key).and_then(Json::as_f64);
    let largest = limit("maximum").or(match format {
        "uint8" => Some(f64::from(u8::MAX)),
        "uint16" => Some(f64::from(u16::MAX)),
        "uint32" => Some(f64::from(u32::MAX)),
        "int32" => Some(f64::from(i32::MAX)),
        "float" => Some(f64::from(f32::MAX)),
        _ => None,
    });
    let found = node.describe();
    if !value.is_finite() {
        return Some(format!("expected a finite number, found {found}"));
    }
    if let Some(least) = limit("minimum").filter(|least| value < *least) {
        return Some(format!("expected at least {least}, found {found}"));
    }
    let largest = largest.filter(|largest| value > *largest)?;
    Some(format!("expected at most {largest}, found {found}"))
}

/// What a schema wants, in words.
pub(super) fn expected(schema: Schema<'_>) -> String {
    let schema = schema.resolved();
    match schema.words().as_deref() {
        Some([word]) => return format!("{word:?}"),
        Some(words) => return format!("one of {}", quoted(words)),
        None => {}
    }
    if let Some(variants) = schema.variants() {
        if let Some(tag) = Schema::tag(&variants) {
            return format!("a table with a `{tag}`");
        }
        let mut kinds: Vec<String> = variants.iter().map(|variant| expected(*variant)).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    let kinds = schema.types().into_iter().map(|name| match name {
        "object" => "a table".to_owned(),
        "array" => match schema.node.get("items") {
            Some(items) => format!("a list of {}", plural(schema.at(items))),
            None => "a list".to_owned(),
        },
        "string" => "a text".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        name => name.to_owned(),
    });
    kinds.collect::<Vec<_>>().join(" or ")
}

fn plural(schema: Schema<'_>) -> String {
    match schema.types().as_slice() {
        ["object"] => "tables".to_owned(),
        ["string"] => "texts".to_owned(),
        ["integer"] => "whole numbers".to_owned(),
        ["number"] => "numbers".to_owned(),
        _ => match schema.words() {
            Some(words) => quoted(&words),
            None if schema.variants().is_some_and(|variants| Schema::tag(&variants).is_some()) => "tables".to_owned(),
            None => "values".to_owned(),
        },
    }
}

/// `; did you mean ...?` where a known name is near.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let scored = known.into_iter().map(|other| (likeness(other), other));
    let best = scored.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(String::new, |(_, other)| format!("; did you mean `{other}`?"))
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")
}

fn listed(words: &[&str]) -> String {
    words.join(", ")
}

fn mismatch(node: &Node, key: &str, message: String) -> Mismatch {
    Mismatch { at: node.at.clone(), key: key.to_owned(), message }
}

pub(super) fn join(key: &str, part: &str) -> String {
    if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") }
}
