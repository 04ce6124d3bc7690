//! The walk-through for a new layer quotes code that exists.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Lines without their indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn the_walk_through_quotes_code_that_is_compiled() {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, section) = text.split_once("### Add a layer").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let mut seen = 0;
    for part in section.split("```rust\n").collect::<Vec<_>>().windows(2) {
        let file = part[0].trim_end().lines().last().unwrap().trim_matches('`');
        let quote = lines(part[1].split_once("\n```").unwrap().0);
        let code = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("`{file}`: {error}"));
        let stands = lines(&code).windows(quote.len()).any(|run| run == quote);
        assert!(stands, "`{file}` does not hold this any more:\n{}", quote.join("\n"));
        seen += 1;
    }
    assert_eq!(seen, 7, "blocks of code in the walk-through");
}
