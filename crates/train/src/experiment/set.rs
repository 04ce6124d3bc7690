//! `--set a.b=c`: one key of the experiment file from the command line.

use toml_edit::Key;

use super::strict::did_you_mean;
use super::tree::{Entry, Node, Origin, Value};

/// Puts the value of `--set` number `index` into the tree, making tables on the way as needed.
///
/// A list is entered by index, or by the `name` of an entry. The error is a message for the user.
pub(super) fn apply(root: &mut Node, key: &str, value: &str, index: usize) -> Result<(), String> {
    let path = Key::parse(key).map_err(|_| format!("{key:?} is not a key; expected one such as `train.epochs`"))?;
    let mut node = root;
    let mut walked = String::new();
    for part in &path {
        let part = part.get();
        let found = node.describe();
        node = match &mut node.value {
            Value::Table(entries) => child(entries, part, index),
            Value::Array(nodes) => element(nodes, part, &walked)?,
            Value::Text(_) | Value::Integer(_) | Value::Number(_) | Value::Flag(_) | Value::Date(_) => {
                return Err(format!("`{walked}` is {found}, which has no key `{part}`"));
            }
        };
        walked = if walked.is_empty() { part.to_owned() } else { format!("{walked}.{part}") };
    }
    *node = Node::from_set(value, index);
    Ok(())
}

fn child<'a>(entries: &'a mut Vec<Entry>, key: &str, index: usize) -> &'a mut Node {
    let at = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let node = Node { value: Value::Table(Vec::new()), at: Origin::Set(index) };
        entries.push(Entry { key: key.to_owned(), key_at: Origin::Set(index), node });
        entries.len() - 1
    });
    &mut entries[at].node
}

fn element<'a>(nodes: &'a mut [Node], part: &str, walked: &str) -> Result<&'a mut Node, String> {
    let name = |node: &Node| match node.get("name").map(|name| &name.value) {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    let names: Vec<Option<String>> = nodes.iter().map(name).collect();
    let by_name = names.iter().position(|name| name.as_deref() == Some(part));
    let by_index = part.parse().ok().filter(|&index: &usize| index < nodes.len());
    if let Some(at) = by_name.or(by_index) {
        return Ok(&mut nodes[at]);
    }
    let known: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    let entries = match nodes.len() {
        0 => "no entry".to_owned(),
        1 => "one entry, 0".to_owned(),
        count => format!("the entries 0 to {}", count - 1),
    };
    let named = if known.is_empty() { String::new() } else { format!(", by name {}", known.join(", ")) };
    Err(format!(
        "`{walked}` has no entry `{part}`{}; it has {entries}{named}",
        did_you_mean(part, known.iter().copied())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, key: &str, value: &str) -> Result<serde_json::Value, String> {
        let mut root = Node::parse(text).unwrap();
        apply(&mut root, key, value, 0)?;
        Ok(root.to_json())
    }

    #[test]
    fn values_are_toml_where_they_are_and_texts_else() {
        for (value, json) in [
            ("3", serde_json::json!(3)),
            ("0.5", serde_json::json!(0.5)),
            ("true", serde_json::json!(true)),
            ("[1, 2]", serde_json::json!([1, 2])),
            ("{ a = 1 }", serde_json::json!({"a": 1})),
            ("\"3\"", serde_json::json!("3")),
            ("/data/a b.parquet", serde_json::json!("/data/a b.parquet")),
            ("adam", serde_json::json!("adam")),
            ("", serde_json::json!("")),
        ] {
            assert_eq!(set("", "a.b", value).unwrap(), serde_json::json!({"a": {"b": json}}), "{value}");
        }
    }

    #[test]
    fn tables_are_made_on_the_way_and_kept_where_they_are() {
        let found = set("[train]\nepochs = 1", "train.dense.clip", "2").unwrap();
        assert_eq!(found, serde_json::json!({"train": {"epochs": 1, "dense": {"clip": 2}}}));
    }

    #[test]
    fn lists_are_entered_by_index_and_by_name() {
        let text = "[[task]]\nname = \"click\"\n[[task]]\nname = \"order\"";
        let expected = serde_json::json!({"task": [{"name": "click"}, {"name": "order", "weight": 2}]});
        assert_eq!(set(text, "task.1.weight", "2").unwrap(), expected);
        assert_eq!(set(text, "task.order.weight", "2").unwrap(), expected);
        let message = set(text, "task.clik.weight", "2").unwrap_err();
        assert_eq!(
            message,
            "`task` has no entry `clik`; did you mean `click`?; it has the entries 0 to 1, by name click, order"
        );
        assert!(set(text, "task.2.weight", "2").is_err());
    }

    #[test]
    fn what_has_no_keys_and_what_is_no_key_are_refused() {
        assert_eq!(set("a = 1", "a.b", "2").unwrap_err(), "`a` is the whole number 1, which has no key `b`");
        assert!(set("", "a..b", "2").is_err());
        assert!(set("", "", "2").is_err());
    }
}
