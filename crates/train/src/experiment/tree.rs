//! A TOML document as a tree whose every key and value knows where it was written.

use std::ops::Range;

use serde_json::{Map, Value as Json};
use toml_edit::{Document, Item, TomlError, Value as Toml};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Origin,
}

/// What TOML can hold.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Table(Vec<Entry>),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
    Date(String),
}

/// A key of a table with its value; in the order of the document.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Origin,
    pub(super) node: Node,
}

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the file, these bytes.
    File(Range<usize>),
    /// In the `--set` of this index.
    Set(usize),
    /// In the file of one model of a comparison, these bytes.
    Fragment(Range<usize>),
}

impl Node {
    /// Reads a document.
    pub(super) fn parse(text: &str) -> Result<Node, TomlError> {
        let document = Document::parse(text)?;
        let origin = |span: Option<Range<usize>>| Origin::File(span.unwrap_or(0..0));
        Ok(from_item(document.as_item(), &origin))
    }

    /// Reads the file of one model of a comparison.
    pub(super) fn parse_fragment(text: &str) -> Result<Node, TomlError> {
        let document = Document::parse(text)?;
        let origin = |span: Option<Range<usize>>| Origin::Fragment(span.unwrap_or(0..0));
        Ok(from_item(document.as_item(), &origin))
    }

    /// The value of a `--set`: TOML where it is, else the text itself.
    pub(super) fn from_set(text: &str, index: usize) -> Node {
        let origin = |_| Origin::Set(index);
        match text.trim().parse::<Toml>() {
            Ok(value) => from_value(&value, &origin),
            Err(_) => Node { value: Value::Text(text.to_owned()), at: Origin::Set(index) },
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.entry(key)?.node)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// What a table holds; nothing where it is none.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            Value::Array(_)
            | Value::Text(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Flag(_)
            | Value::Date(_) => &[],
        }
    }

    /// A value that nobody wrote, at the place that it follows from.
    pub(super) fn from_json(json: &Json, at: &Origin) -> Node {
        let value = match json {
            Json::Null => Value::Table(Vec::new()),
            Json::Bool(flag) => Value::Flag(*flag),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Value::Integer(number),
                None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::Array(items.iter().map(|item| Node::from_json(item, at)).collect()),
            Json::Object(map) => {
                let entry = |(key, value): (&String, &Json)| {
                    let node = Node::from_json(value, at);
                    Entry { key: key.clone(), key_at: at.clone(), node }
                };
                Value::Table(map.iter().map(entry).collect())
            }
        };
        Node { value, at: at.clone() }
    }

    /// The node that a path such as `task.0.name` names.
    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, Node::step)
    }

    /// The node that a path names, or the deepest one on the way there.
    pub(super) fn deepest(&self, path: &str) -> &Node {
        let mut node = self;
        for part in path.split('.') {
            match node.step(part) {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    fn step(&self, part: &str) -> Option<&Node> {
        match &self.value {
            Value::Array(nodes) => nodes.get(part.parse::<usize>().ok()?),
            Value::Table(_)
            | Value::Text(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Flag(_)
            | Value::Date(_) => self.get(part),
        }
    }

    /// What it is, in words.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Table(_) => "a table".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Text(text) => format!("the text {text:?}"),
            Value::Integer(number) => format!("the whole number {number}"),
            Value::Number(number) => format!("the number {number:?}"),
            Value::Flag(flag) => flag.to_string(),
            Value::Date(date) => format!("the date {date}"),
        }
    }

    /// As JSON. Numbers that are not finite become null: a check before has refused them.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Table(entries) => Json::Object(to_map(entries)),
            Value::Array(nodes) => Json::Array(nodes.iter().map(Node::to_json).collect()),
            Value::Text(text) | Value::Date(text) => Json::String(text.clone()),
            Value::Integer(number) => Json::from(*number),
            Value::Number(number) => Json::from(*number),
            Value::Flag(flag) => Json::Bool(*flag),
        }
    }
}

pub(super) fn to_map(entries: &[Entry]) -> Map<String, Json> {
    entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect()
}

fn from_item(item: &Item, origin: &dyn Fn(Option<Range<usize>>) -> Origin) -> Node {
    match item {
        Item::None => Node { value: Value::Table(Vec::new()), at: origin(None) },
        Item::Value(value) => from_value(value, origin),
        Item::Table(table) => {
            let entries = table.iter().map(|(key, item)| {
                let span = table.key(key).and_then(toml_edit::Key::span);
                Entry { key: key.to_owned(), key_at: origin(span), node: from_item(item, origin) }
            });
            Node { value: Value::Table(entries.collect()), at: origin(table.span()) }
        }
        Item::ArrayOfTables(tables) => {
            let nodes = tables.iter().map(|table| from_item(&Item::Table(table.clone()), origin));
            Node { value: Value::Array(nodes.collect()), at: origin(tables.span()) }
        }
    }
}

fn from_value(value: &Toml, origin: &dyn Fn(Option<Range<usize>>) -> Origin) -> Node {
    let at = origin(value.span());
    let value = match value {
        Toml::String(text) => Value::Text(text.value().clone()),
        Toml::Integer(number) => Value::Integer(*number.value()),
        Toml::Float(number) => Value::Number(*number.value()),
        Toml::Boolean(flag) => Value::Flag(*flag.value()),
        Toml::Datetime(date) => Value::Date(date.value().to_string()),
        Toml::Array(array) => Value::Array(array.iter().map(|value| from_value(value, origin)).collect()),
        Toml::InlineTable(table) => {
            let entries = table.iter().map(|(key, value)| {
                let span = table.key(key).and_then(toml_edit::Key::span);
                Entry { key: key.to_owned(), key_at: origin(span), node: from_value(value, origin) }
            });
            Value::Table(entries.collect())
        }
    };
    Node { value, at }
}
