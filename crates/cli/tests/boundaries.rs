//! Crates depend on what ARCHITECTURE.md allows, and its invariants name tests that are there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate, and what it must never reach.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("hinet-tape", &["hinet-data", "hinet-model", "hinet-train", "arrow", "parquet", "toml"]),
    ("hinet-data", &["hinet-tape", "hinet-model", "hinet-train"]),
    ("hinet-model", &["hinet-train", "toml", "clap"]),
    ("hinet-train", &["clap", "indicatif", "tokio", "hyper", "axum", "tonic", "pyo3"]),
    ("hinet-serve", &["hinet-train", "toml", "clap", "pyo3"]),
    ("hinet", &["pyo3"]),
    ("hinet-py", &["hinet-serve", "clap", "indicatif", "tokio", "hyper", "axum", "tonic"]),
];

#[test]
fn each_crate_depends_on_what_its_table_allows() {
    for (name, forbidden) in FORBIDDEN {
        let arguments =
            ["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}", "-p", name];
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8_lossy(&output.stdout);
        let reached: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(reached.contains(name), "{name} is not in its own tree:\n{tree}");
        for other in *forbidden {
            assert!(!reached.contains(other), "{name} depends on {other}");
        }
    }
}

#[test]
fn every_invariant_names_a_test_that_is_there() {
    let text = fs_err::read_to_string(root().join("ARCHITECTURE.md")).expect("a readable document");
    let section = text.split("## Invariants").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let mut sources = String::new();
    read_sources(&root().join("crates"), &mut sources);
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| # ")).collect();
    assert!(rows.len() > 8, "{} invariants", rows.len());
    for row in rows.iter().filter(|row| !row.starts_with("| ---")) {
        let held_by = row.trim_end_matches('|').rsplit('|').next().expect("a cell");
        let names: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no test holds: {row}");
        for name in names.iter().filter(|name| !name.contains('/')) {
            assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read_sources(folder: &Path, sources: &mut String) {
    for entry in fs_err::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.push_str(&fs_err::read_to_string(&path).expect("a readable source"));
        }
    }
}
