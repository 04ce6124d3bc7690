//! Links between the Markdown documents of the repository lead somewhere, and the book says what is true.

#[path = "documents/book.rs"]
mod book;
#[path = "../../../tests/support/skip.rs"]
mod skip;
#[path = "documents/tutorial.rs"]
mod tutorial;

use std::path::{Path, PathBuf};

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's folder")
}

#[test]
fn every_relative_link_and_anchor_of_the_documents_leads_somewhere() {
    let root = root();
    let mut documents = Vec::new();
    find_documents(&root, &mut documents);
    assert!(documents.iter().any(|path| path.ends_with("README.md")), "no README.md under {}", root.display());
    let mut broken = Vec::new();
    for document in &documents {
        let text = fs_err::read_to_string(document).expect("a readable document");
        for target in links(&text) {
            if let Some(reason) = fault(document, &target) {
                broken.push(format!("{}: {target}: {reason}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// With `HINET_UPDATE=1` the file is written instead.
#[test]
fn the_reference_of_the_servers_settings_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/serve-config.md");
    let head = "# serve.toml, key by key\n\n\
        Generated from the doc comments of the structs; a test compares. `hinet schema serve` prints the same as a JSON \
        Schema (draft 7) for editors.\nA key that is not listed here is refused. Paths are those of the file's folder.\n";
    let generated = hinet_train::reference_of(head, &hinet_train::schema_of::<hinet_serve::ServeConfig>());
    if std::env::var_os("HINET_UPDATE").is_some() {
        fs_err::write(&path, &generated).expect("a writable document");
    }
    let committed = fs_err::read_to_string(&path).expect("a readable document");
    assert!(committed == generated, "docs/serve-config.md is old: run this test with HINET_UPDATE=1");
}

#[test]
fn paths_that_documents_name_in_code_spans_exist() {
    let root = root();
    let mut missing = Vec::new();
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/decisions/0001-an-engine-of-our-own.md"] {
        let text = fs_err::read_to_string(root.join(name)).expect("a readable document");
        for span in prose(&text).split('`').skip(1).step_by(2) {
            let is_path = span.starts_with("crates/") || span.starts_with("tests/") || span.starts_with("docs/");
            if is_path && !span.contains(['*', '{', '<', ' ']) && !root.join(span).exists() {
                missing.push(format!("{name}: {span}"));
            }
        }
    }
    assert!(missing.is_empty(), "no such path:\n{}", missing.join("\n"));
}

fn find_documents(folder: &Path, documents: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // The book's links are those of its built pages: `book.rs` looks at them.
        if path.is_dir() && !name.starts_with('.') && !["target", "runs", "node_modules", "book"].contains(&name) {
            find_documents(&path, documents);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            documents.push(path);
        }
    }
}

/// Targets of `[text](target)` outside code.
fn links(text: &str) -> Vec<String> {
    let text: String = prose(text).split('`').step_by(2).collect();
    text.match_indices("](")
        .filter_map(|(at, _)| text[at + 2..].split_once(')').map(|(target, _)| target.to_owned()))
        .collect()
}

/// The text without fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn fault(document: &Path, target: &str) -> Option<&'static str> {
    if target.starts_with("https://") || target.starts_with("http://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let file = if path.is_empty() { document.to_owned() } else { document.with_file_name(path) };
    if !file.exists() {
        return Some("no such file");
    }
    let anchor = anchor?;
    let text = fs_err::read_to_string(file).ok()?;
    let known = prose(&text).lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
    (!known).then_some("no such heading")
}

/// A heading as the hosting sites turn it into an anchor.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
