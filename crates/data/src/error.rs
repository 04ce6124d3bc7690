//! What can be wrong with data: every message says where, what was found, and what was expected.

use std::path::{Path, PathBuf};

/// Everything that this crate refuses. Rows are 1-based data rows of their file (a header is no row), lines are 1-based lines of a text file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A path that leads nowhere.
    #[error("`{}` does not exist{}", path.display(), did_you_mean(near))]
    NotFound {
        /// The path as given.
        path: PathBuf,
        /// A name in the same folder that looks like it.
        near: Option<String>,
    },
    /// A folder or glob in which there is nothing to read.
    #[error("`{}` {problem}", path.display())]
    NoFiles {
        /// The folder or glob as given.
        path: PathBuf,
        /// What is the matter with it.
        problem: &'static str,
    },
    /// A file whose ending names no format.
    #[error("`{}`: its ending names no format that can be read; known endings are {}", path.display(), crate::source::KNOWN_ENDINGS)]
    UnknownFormat {
        /// The path as given.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `list`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that is not, or not wholly, what its ending says.
    #[error("{} cannot be read as {format}: {problem}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// `Parquet`, `CSV`, `JSONL`, `gzip` or `zstd`.
        format: &'static str,
        /// What is the matter with it.
        problem: String,
    },
    /// A file or source without rows.
    #[error("{} {problem}", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
        /// What is there instead of rows.
        problem: &'static str,
    },
    /// A row or line that cannot be taken apart.
    #[error("{}, row {row}: {problem}", file.display())]
    BadRow {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// What is the matter with it.
        problem: String,
    },
    /// A line longer than the limit, so that memory stays bounded.
    #[error(
        "{}, line {line}: longer than {limit} bytes ({bytes} read so far without an end); is a line break missing, or a quote never closed?",
        file.display()
    )]
    LineTooLong {
        /// The file.
        file: PathBuf,
        /// The line at which the row begins.
        line: u64,
        /// Bytes seen of it.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A cell that does not fit.
    #[error("{}, row {row}, column `{column}`: `{value}` is not {expected}", file.display())]
    BadValue {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// The column.
        column: String,
        /// The cell's text, shortened where it is long.
        value: String,
        /// What would have fitted, with its article: `a whole number`.
        expected: String,
    },
    /// A line of a published file that cannot be taken apart.
    #[error("{}, line {line}: {problem}", file.display())]
    BadLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1, a header counted.
        line: u64,
        /// What is the matter with it.
        problem: String,
    },
    /// A value in a line of a published file that does not fit.
    #[error("{}, line {line}, column `{column}`: `{value}` is not {expected}", file.display())]
    BadField {
        /// The file.
        file: PathBuf,
        /// The line, from 1, a header counted.
        line: u64,
        /// The column.
        column: String,
        /// The value's text, shortened where it is long.
        value: String,
        /// What would have fitted, with its article: `a whole number`.
        expected: String,
    },
    /// A row whose scenario was not seen in train.
    #[error(
        "{}, row {row}, column `{column}`: scenario `{value}` was not seen in train ({known}); set `unknown` in [scenario] to score such rows",
        file.display()
    )]
    UnknownScenario {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// The scenario column.
        column: String,
        /// The cell's text.
        value: String,
        /// The scenarios of train as a person reads them.
        known: String,
    },
    /// A column that is named and not there.
    #[error("{} has no column `{column}`{}", file.display(), other_columns(near, columns))]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column asked for.
        column: String,
        /// The column whose name is nearest.
        near: Option<String>,
        /// Names of the columns that are there.
        columns: Vec<String>,
    },
    /// A name that two columns of one file bear.
    #[error("{} has two columns named `{column}`", file.display())]
    DuplicateColumn {
        /// The file.
        file: PathBuf,
        /// The name.
        column: String,
    },
    /// Two files that are read as one and differ in their columns.
    #[error("{}, column `{column}`: {problem}; files that are read together must have the same columns", file.display())]
    Disagreement {
        /// The file that differs from the first.
        file: PathBuf,
        /// The column.
        column: String,
        /// How it differs, naming the other file.
        problem: String,
    },
    /// An expression that cannot be read.
    #[error("expected {expected}, found {}\n  {text}\n  {}^", found_at(text, *at), " ".repeat(text.get(..*at).map_or(0, |before| before.chars().count())))]
    Expression {
        /// The expression.
        text: String,
        /// Where reading stopped, in bytes from its beginning.
        at: usize,
        /// What could have stood there.
        expected: String,
    },
    /// A setting that makes no sense, alone or with these data.
    #[error("`{key}`: {problem}")]
    Config {
        /// The setting as the experiment file names it: `data.split.valid`.
        key: String,
        /// What is the matter with it and what would do.
        problem: String,
    },
}

/// Where in the data an error is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file, or what stands for one in memory.
    pub file: Option<&'a Path>,
    /// The row, from 1.
    pub row: Option<u64>,
    /// The column.
    pub column: Option<&'a str>,
    /// The cell's text, shortened where it is long.
    pub value: Option<&'a str>,
}

impl DataError {
    /// Whether the question was wrong rather than the data: a path, column, expression or setting that the user can correct in the
    /// experiment file or on the command line. Programs exit with 2 for these, with 1 for the others.
    pub fn is_usage(&self) -> bool {
        match self {
            DataError::NotFound { .. }
            | DataError::NoFiles { .. }
            | DataError::UnknownFormat { .. }
            | DataError::MissingColumn { .. }
            | DataError::Expression { .. }
            | DataError::Config { .. } => true,
            DataError::Io { .. }
            | DataError::Format { .. }
            | DataError::Empty { .. }
            | DataError::BadRow { .. }
            | DataError::LineTooLong { .. }
            | DataError::BadValue { .. }
            | DataError::BadLine { .. }
            | DataError::BadField { .. }
            | DataError::UnknownScenario { .. }
            | DataError::DuplicateColumn { .. }
            | DataError::Disagreement { .. } => false,
        }
    }

    /// Where in the data it is, as far as it is anywhere.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        let nowhere = Place::default();
        match self {
            DataError::NotFound { path, .. }
            | DataError::NoFiles { path, .. }
            | DataError::UnknownFormat { path }
            | DataError::Io { path, .. } => Place { file: Some(path), ..nowhere },
            DataError::Format { file, .. } | DataError::Empty { file, .. } | DataError::LineTooLong { file, .. } => {
                Place { file: Some(file), ..nowhere }
            }
            // Lines are no rows: a header counts among them.
            DataError::BadLine { file, .. } => Place { file: Some(file), ..nowhere },
            DataError::BadField { file, column, value, .. } => {
                Place { file: Some(file), column: Some(column), value: Some(value), ..nowhere }
            }
            DataError::BadRow { file, row, .. } => Place { file: Some(file), row: Some(*row), ..nowhere },
            DataError::BadValue { file, row, column, value, .. }
            | DataError::UnknownScenario { file, row, column, value, .. } => {
                Place { file: Some(file), row: Some(*row), column: Some(column), value: Some(value) }
            }
            DataError::MissingColumn { file, column, .. }
            | DataError::DuplicateColumn { file, column }
            | DataError::Disagreement { file, column, .. } => {
                Place { file: Some(file), column: Some(column), ..nowhere }
            }
            DataError::Expression { .. } | DataError::Config { .. } => nowhere,
        }
    }

    /// A cell that does not fit; a long `value` is shortened.
    pub fn bad_value(file: &Path, row: u64, column: &str, value: &str, expected: impl Into<String>) -> DataError {
        DataError::BadValue {
            file: file.to_owned(),
            row,
            column: column.to_owned(),
            value: shortened(value),
            expected: expected.into(),
        }
    }

    /// A line of a published file that cannot be taken apart.
    pub(crate) fn bad_line(file: &Path, line: u64, problem: impl Into<String>) -> DataError {
        DataError::BadLine { file: file.to_owned(), line, problem: problem.into() }
    }

    /// A value of a published file that does not fit; a long `value` is shortened.
    pub(crate) fn bad_field(
        file: &Path,
        line: u64,
        column: &str,
        value: &str,
        expected: impl Into<String>,
    ) -> DataError {
        DataError::BadField {
            file: file.to_owned(),
            line,
            column: column.to_owned(),
            value: shortened(value),
            expected: expected.into(),
        }
    }

    /// A column that is not among `columns`, with the nearest name as a hint.
    pub fn missing_column<'a>(file: &Path, column: &str, columns: impl IntoIterator<Item = &'a str>) -> DataError {
        let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
        let near = nearest(column, columns.iter().map(String::as_str)).map(str::to_owned);
        DataError::MissingColumn { file: file.to_owned(), column: column.to_owned(), near, columns }
    }

    /// A setting that makes no sense.
    pub fn config(key: &str, problem: impl Into<String>) -> DataError {
        DataError::Config { key: key.to_owned(), problem: problem.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> DataError {
        DataError::Io { action, path: path.to_owned(), source }
    }
}

/// The name that a person who typed `word` most likely meant, if any is near enough.
pub(crate) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + word.chars().count().max(name.chars().count()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// At most 80 characters of `value`, so that a message stays a message; control characters are written as escapes.
fn shortened(value: &str) -> String {
    let mut text: String = value.chars().take(80).flat_map(readable).collect();
    if value.chars().nth(80).is_some() {
        text.push('…');
    }
    text
}

fn readable(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

fn did_you_mean(near: &Option<String>) -> String {
    near.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn other_columns(near: &Option<String>, columns: &[String]) -> String {
    const SHOWN: usize = 12;
    if near.is_some() {
        return did_you_mean(near);
    }
    let names: Vec<String> = columns.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match columns.len().saturating_sub(SHOWN) {
        0 => format!("; it has {}", names.join(", ")),
        more => format!("; it has {} and {more} more", names.join(", ")),
    }
}

fn found_at(text: &str, at: usize) -> String {
    match text.get(at..).and_then(|rest| rest.split_whitespace().next()) {
        Some(word) => format!("`{}`", shortened(word)),
        None => "the end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_expression_is_shown_with_a_caret_below_the_place() {
        let error = DataError::Expression { text: "é is_click = 1".to_owned(), at: 12, expected: "`==`".to_owned() };
        assert_eq!(error.to_string(), "expected `==`, found `=`\n  é is_click = 1\n             ^");
        let end = DataError::Expression { text: "a +".to_owned(), at: 3, expected: "a value".to_owned() };
        assert_eq!(end.to_string(), "expected a value, found the end\n  a +\n     ^");
    }

    #[test]
    fn long_values_are_shortened_and_control_characters_escaped() {
        let error = DataError::bad_value(Path::new("a.csv"), 3, "age", &"x\t".repeat(200), "a whole number");
        let text = error.to_string();
        assert!(text.len() < 260, "{text}");
        assert!(text.starts_with("a.csv, row 3, column `age`: `x\\tx\\t"), "{text}");
        assert!(text.ends_with("…` is not a whole number"), "{text}");
    }

    #[test]
    fn a_missing_column_suggests_the_nearest_or_lists_what_is_there() {
        let near = DataError::missing_column(Path::new("a.csv"), "is_clik", ["is_click", "user"]);
        assert_eq!(near.to_string(), "a.csv has no column `is_clik`; did you mean `is_click`?");
        let far = DataError::missing_column(Path::new("a.csv"), "price", ["is_click", "user"]);
        assert_eq!(far.to_string(), "a.csv has no column `price`; it has `is_click`, `user`");
        assert!(far.is_usage());
    }
}
