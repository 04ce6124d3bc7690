//! Relative paths become absolute: from the folder of the file, or from the working directory where `--set` gave them. What stands for
//! a table in memory is no path.

use std::path::{Path, PathBuf};

use hinet_data::Tables;

use super::strict::Mismatch;
use super::tree::{Node, Origin, Value};

/// Tables with paths, and the keys of these.
const PATHS: [(&str, &[&str]); 3] =
    [("data", &["train", "valid", "test", "cache_dir"]), ("train.floors", &["run"]), ("train.warm_start", &["run"])];

/// Makes all paths absolute.
pub(super) fn resolve(tree: &mut Node, file: &Path) -> Result<(), Vec<Mismatch>> {
    let mut found = Vec::new();
    for (table, keys) in PATHS {
        let node = table.split('.').try_fold(&mut *tree, |node, key| child(node, key));
        if let Some(node) = node {
            resolve_table(node, file, (table, keys), &mut found);
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn child<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let Value::Table(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
}

fn resolve_table(node: &mut Node, file: &Path, (table, keys): (&str, &[&str]), found: &mut Vec<Mismatch>) {
    let Value::Table(entries) = &mut node.value else { return };
    for entry in entries.iter_mut().filter(|entry| keys.contains(&entry.key.as_str())) {
        let key = format!("{table}.{}", entry.key);
        if let Value::Array(nodes) = &mut entry.node.value {
            for (index, node) in nodes.iter_mut().enumerate() {
                found.extend(absolute(node, file, &format!("{key}.{index}")).err());
            }
        } else {
            found.extend(absolute(&mut entry.node, file, &key).err());
        }
    }
}

fn absolute(node: &mut Node, file: &Path, key: &str) -> Result<(), Mismatch> {
    let Value::Text(path) = &mut node.value else { return Ok(()) };
    if Tables::is_table(path) {
        return Ok(());
    }
    let refused = |message: String| Mismatch { at: node.at.clone(), key: key.to_owned(), message };
    if path.is_empty() {
        return Err(refused("expected a path, found an empty text".to_owned()));
    }
    let base = match node.at {
        Origin::File(_) => file.parent().unwrap_or(Path::new("")),
        // A model of a comparison has no `[data]` of its own.
        Origin::Set(_) | Origin::Fragment(_) => Path::new(""),
    };
    let resolved: PathBuf =
        std::path::absolute(base.join(&*path)).map_err(|error| refused(format!("{path:?}: {error}")))?;
    let Some(text) = resolved.to_str() else {
        return Err(refused(format!("{} is not Unicode; name a path that is", resolved.display())));
    };
    *path = text.to_owned();
    Ok(())
}
