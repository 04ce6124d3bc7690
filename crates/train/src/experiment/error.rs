//! What is wrong with an experiment file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::strict::Mismatch;
use super::tree::Origin;

/// An experiment file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The file cannot be read.
    #[error("{}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A model of a comparison that nothing has the name of.
    #[error("no model `{name}`{hint}; there are {known}, the names of `[compare.models]`, and files that end in .toml")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// A name that is near.
        hint: String,
        /// The names that there are.
        known: String,
    },
    /// A model of a comparison whose runs could have no folder.
    #[error("`[compare.models.{name:?}]`: {expected}")]
    ModelName {
        /// Its name.
        name: String,
        /// What was expected.
        expected: String,
    },
    /// A model of a comparison that says options and not of what.
    #[error(
        "`[compare.models.{name}]` does not say what it is made from, and `{name}` is no preset: add `preset = \"hinet\"` or another"
    )]
    NoPreset {
        /// Its name.
        name: String,
    },
    /// The file, or a `--set`, says something that cannot be meant. At least one problem.
    #[error("{}", list(.problems))]
    Invalid {
        /// All that was found, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the `--set` that said it.
    pub source: String,
    /// Line in the file, from 1; `None` for a `--set`.
    pub line: Option<usize>,
    /// Column in the line, in characters, from 1; `None` for a `--set`.
    pub column: Option<usize>,
    /// The key, dotted, such as `train.epochs` or `task.0.weight`; empty where the text is no TOML.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
    /// The line with a mark below, for people; empty for a `--set`.
    pub excerpt: String,
}

/// The texts that an experiment comes from, to tell places in them.
pub(super) struct Sources<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    pub(super) sets: &'a [(String, String)],
    /// How many of `sets`, at their end, are put over a model of a comparison; the others are put under it.
    pub(super) late: usize,
    /// The file of one model of a comparison.
    pub(super) fragment: Option<(&'a Path, &'a str)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": `{}`", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if self.excerpt.is_empty() { Ok(()) } else { write!(f, "\n{}", self.excerpt) }
    }
}

impl Sources<'_> {
    pub(super) fn invalid(&self, found: Vec<Mismatch>) -> ExperimentError {
        let problems = found.into_iter().map(|one| self.problem(&one.at, &one.key, one.message)).collect();
        ExperimentError::Invalid { problems }
    }

    pub(super) fn problem(&self, at: &Origin, key: &str, message: impl Into<String>) -> Problem {
        let (key, message) = (key.to_owned(), message.into());
        match at {
            Origin::File(span) => in_file(self.file, &Place::of(self.text, span), key, message),
            Origin::Fragment(span) => {
                let (file, text) = self.fragment.expect("what stands in a fragment came from one");
                in_file(file, &Place::of(text, span), key, message)
            }
            Origin::Set(index) => {
                let (path, value) = &self.sets[*index];
                let source = format!("--set {path}={value}");
                Problem { source, line: None, column: None, key, message, excerpt: String::new() }
            }
        }
    }
}

fn in_file(file: &Path, place: &Place<'_>, key: String, message: String) -> Problem {
    Problem {
        source: file.display().to_string(),
        line: Some(place.line),
        column: Some(place.column),
        key,
        message,
        excerpt: place.excerpt(),
    }
}

/// A span of a text as people count.
struct Place<'a> {
    line: usize,
    column: usize,
    text: &'a str,
    /// Characters to mark.
    width: usize,
}

/// Longer lines are cut in excerpts.
const EXCERPT_WIDTH: usize = 160;

impl Place<'_> {
    fn of<'a>(text: &'a str, span: &Range<usize>) -> Place<'a> {
        // A place behind the last line break of a file is shown at the end of the last line.
        let end = text.trim_end_matches(['\n', '\r']).len();
        let start = floor_char_boundary(text, span.start.min(end));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let marked_end = floor_char_boundary(text, span.end.clamp(start, line_end));
        Place {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: text[line_start..line_end].trim_end_matches('\r'),
            width: text[start..marked_end].chars().count().max(1),
        }
    }

    fn excerpt(&self) -> String {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // Long lines are shown around the mark.
        let skip = if self.column > EXCERPT_WIDTH / 2 { self.column - EXCERPT_WIDTH / 4 } else { 0 };
        let shown: String = self.text.chars().skip(skip).take(EXCERPT_WIDTH).map(visible).collect();
        let before = " ".repeat(self.column - 1 - skip);
        let mark = "^".repeat(self.width.min((EXCERPT_WIDTH + 1).saturating_sub(before.len()).max(1)));
        format!("{margin} |\n{number} | {shown}\n{margin} | {before}{mark}")
    }
}

/// Tabs and control characters would move the mark.
fn visible(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        let sources = Sources { file: Path::new("a.toml"), text, sets: &[], late: 0, fragment: None };
        sources.problem(&Origin::File(span), "a.b", "is wrong").to_string()
    }

    #[test]
    fn a_problem_shows_its_line_with_a_mark_below() {
        let expected = "a.toml:2:5: `a.b`: is wrong\n  |\n2 | b = 17\n  |     ^^";
        assert_eq!(shown("[a]\nb = 17\nc = 1\n", 8..10), expected);
    }

    #[test]
    fn a_place_behind_the_end_is_shown_at_the_end() {
        assert_eq!(shown("a =\n", 4..4), "a.toml:1:4: `a.b`: is wrong\n  |\n1 | a =\n  |    ^");
        assert_eq!(shown("", 0..0), "a.toml:1:1: `a.b`: is wrong\n  |\n1 | \n  | ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("a = \"{}\" b", "x".repeat(100_000));
        let message = shown(&text, 100_007..100_008);
        assert!(message.len() < 600, "{}", message.len());
        assert!(message.contains("a.toml:1:100008"), "{message}");
    }

    proptest! {
        #[test]
        fn no_text_and_no_span_makes_it_panic(text: String, start in 0_usize..60, length in 0_usize..60) {
            let message = shown(&text, start..start + length);
            prop_assert!(message.starts_with("a.toml:"));
        }
    }
}
