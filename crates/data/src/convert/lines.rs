//! Published files line by line, and their values with the place they stand at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::DataError;
use crate::source::{DataFile, Format, Packing, Window, nearest_file};

/// Bytes of a line: the lists of a user in Ali-CCP are long.
const LINE_BYTES: usize = 16 << 20;
/// Endings that a published file may bear besides its own name.
const PACKINGS: [(&str, Packing); 3] = [("", Packing::Plain), (".gz", Packing::Gzip), (".zst", Packing::Zstd)];

/// A file that was found, plain or packed.
#[derive(Clone, Debug)]
pub(super) struct FoundFile {
    file: DataFile,
    /// Of a packed file a guess.
    pub(super) bytes: u64,
}

impl FoundFile {
    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn lines(&self) -> Result<Lines, DataError> {
        let path: Arc<Path> = self.path().into();
        let window = Window::open(&self.file, &path, LINE_BYTES)?;
        Ok(Lines { window, path, taken: 0 })
    }
}

/// The file of this name in `folder` or one folder below it, plain, `.gz` or `.zst`.
pub(super) fn find(folder: &Path, name: &str) -> Result<Option<FoundFile>, DataError> {
    let mut found = Vec::new();
    for place in folder_and_below(folder)? {
        for (ending, packing) in PACKINGS {
            let path = place.join(format!("{name}{ending}"));
            let Ok(meta) = path.metadata() else { continue };
            if meta.is_file() {
                let bytes = if packing == Packing::Plain { meta.len() } else { meta.len().saturating_mul(8) };
                found.push(FoundFile { file: DataFile { path, format: Format::Csv, packing }, bytes });
            }
        }
    }
    if let [first, second, ..] = found.as_slice() {
        let (first, second) = (first.path().display(), second.path().display());
        return Err(DataError::config("FOLDER", format!("both `{first}` and `{second}` are there: leave one of them")));
    }
    Ok(found.pop())
}

/// As [`find`], for a file that cannot be done without.
pub(super) fn need(folder: &Path, name: &str) -> Result<FoundFile, DataError> {
    find(folder, name)?.ok_or_else(|| missing(folder, name))
}

/// That a file is not there.
pub(super) fn missing(folder: &Path, name: &str) -> DataError {
    let path = folder.join(name);
    let near = nearest_file(&path);
    DataError::NotFound { path, near }
}

fn folder_and_below(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !folder.exists() {
        return Err(DataError::NotFound { path: folder.to_owned(), near: nearest_file(folder) });
    }
    let unlisted = |error| DataError::io("list", folder, error);
    let mut below = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unlisted)? {
        let path = entry.map_err(unlisted)?.path();
        if path.is_dir() {
            below.push(path);
        }
    }
    below.sort();
    below.insert(0, folder.to_owned());
    Ok(below)
}

/// A file that is read once, from its first line to its last.
pub(super) struct Lines {
    window: Window,
    path: Arc<Path>,
    /// Bytes of the line that was handed over last.
    taken: usize,
}

impl Lines {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The next line that is not blank, without what ends it.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, DataError> {
        loop {
            let taken = std::mem::take(&mut self.taken);
            self.window.take(taken, u64::from(taken > 0))?;
            self.taken = self.window.line_length()?;
            if self.taken == 0 {
                return Ok(None);
            }
            if !self.window.bytes()[..self.taken].trim_ascii().is_empty() {
                break;
            }
        }
        let bytes = &self.window.bytes()[..self.taken];
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(Line { at: At { file: &self.path, line: self.window.line() }, bytes }))
    }
}

/// A line and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) at: At<'a>,
    pub(super) bytes: &'a [u8],
}

impl<'a> Line<'a> {
    /// The values between separators; exactly as many as there are names for.
    pub(super) fn split(self, separator: &[u8], count: usize) -> Result<Vec<&'a [u8]>, DataError> {
        let mut values = Vec::with_capacity(count);
        let mut rest = self.bytes;
        while let Some(place) = rest.windows(separator.len()).position(|part| part == separator) {
            values.push(&rest[..place]);
            rest = &rest[place + separator.len()..];
        }
        values.push(rest);
        self.counted(values, count)
    }

    /// The cells of a line of CSV. A quoted cell may hold commas; quotes within quotes do not occur in these files.
    pub(super) fn cells(self, count: usize) -> Result<Vec<&'a [u8]>, DataError> {
        if !self.bytes.contains(&b'"') {
            let mut values = Vec::with_capacity(count);
            values.extend(self.bytes.split(|byte| *byte == b','));
            return self.counted(values, count);
        }
        let (mut values, mut rest) = (Vec::with_capacity(count), self.bytes);
        loop {
            let (cell, after) = match rest.strip_prefix(b"\"") {
                Some(quoted) => {
                    let end = quoted.iter().position(|byte| *byte == b'"');
                    let end = end.ok_or_else(|| self.at.bad_line("a quote is opened and never closed"))?;
                    (&quoted[..end], &quoted[end + 1..])
                }
                None => rest.split_at(rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len())),
            };
            values.push(cell);
            match after.split_first() {
                None => return self.counted(values, count),
                Some((b',', more)) => rest = more,
                Some(_) => {
                    return Err(self.at.bad_line("something stands between a closing quote and the next comma"));
                }
            }
        }
    }

    fn counted(self, values: Vec<&'a [u8]>, count: usize) -> Result<Vec<&'a [u8]>, DataError> {
        if values.len() == count {
            return Ok(values);
        }
        Err(self.at.bad_line(format!("it has {} values, expected {count}", values.len())))
    }
}

/// A place in a published file.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) file: &'a Path,
    pub(super) line: u64,
}

impl At<'_> {
    pub(super) fn bad_line(self, problem: impl Into<String>) -> DataError {
        DataError::bad_line(self.file, self.line, problem)
    }

    pub(super) fn bad_field(self, column: &str, value: &[u8], expected: impl Into<String>) -> DataError {
        DataError::bad_field(self.file, self.line, column, &String::from_utf8_lossy(value), expected)
    }

    /// A text; blanks around it do not count.
    pub(super) fn text<'b>(self, column: &str, value: &'b [u8]) -> Result<&'b str, DataError> {
        str::from_utf8(value.trim_ascii()).map_err(|_| self.bad_field(column, value, "a text in UTF-8"))
    }

    /// A text that is there.
    pub(super) fn some_text<'b>(self, column: &str, value: &'b [u8]) -> Result<&'b str, DataError> {
        match self.text(column, value)? {
            "" => Err(self.bad_field(column, value, "a text of one character or more")),
            text => Ok(text),
        }
    }

    /// A whole number, also one that a table of floating-point numbers has written as `9.0`.
    pub(super) fn whole(self, column: &str, value: &[u8]) -> Result<i64, DataError> {
        let text = str::from_utf8(value.trim_ascii()).unwrap_or_default();
        let digits = match text.split_once('.') {
            Some((digits, zeros)) if zeros.bytes().all(|byte| byte == b'0') => digits,
            Some(_) | None => text,
        };
        digits.parse().map_err(|_| self.bad_field(column, value, "a whole number"))
    }

    /// A finite number.
    pub(super) fn number(self, column: &str, value: &[u8]) -> Result<f64, DataError> {
        let number = str::from_utf8(value.trim_ascii()).ok().and_then(|text| text.parse().ok());
        number.filter(|number: &f64| number.is_finite()).ok_or_else(|| self.bad_field(column, value, "a finite number"))
    }

    /// A label.
    pub(super) fn flag(self, column: &str, value: &[u8]) -> Result<i64, DataError> {
        match self.whole(column, value) {
            Ok(flag @ (0 | 1)) => Ok(flag),
            Ok(_) | Err(_) => Err(self.bad_field(column, value, "0 or 1")),
        }
    }
}

/// Where the columns that are wanted stand in a file with a header.
pub(super) struct Header {
    /// Columns of the file.
    names: Vec<String>,
    /// Parallel to what was wanted.
    places: Vec<usize>,
}

impl Header {
    /// Reads the first line.
    pub(super) fn read(lines: &mut Lines, wanted: &[impl AsRef<str>]) -> Result<Header, DataError> {
        let path = Arc::clone(&lines.path);
        let line = lines.next()?.ok_or_else(|| no_header(&path))?;
        let count = line.bytes.split(|byte| *byte == b',').count();
        let names = line.cells(count)?;
        let name = |name| line.at.text("header", name).map(str::to_owned);
        let names = names.into_iter().map(name).collect::<Result<Vec<_>, _>>()?;
        let place = |name: &str| {
            let found = names.iter().position(|known| known == name);
            found.ok_or_else(|| DataError::missing_column(&path, name, names.iter().map(String::as_str)))
        };
        let places = wanted.iter().map(|name| place(name.as_ref())).collect::<Result<_, _>>()?;
        Ok(Header { names, places })
    }

    /// Wants one more column, if the file has it.
    pub(super) fn want(&mut self, name: &str) -> bool {
        let found = self.names.iter().position(|known| known == name);
        self.places.extend(found);
        found.is_some()
    }

    /// The wanted cells of a line, in the order in which they were wanted.
    pub(super) fn cells<'a>(&self, line: Line<'a>) -> Result<Vec<&'a [u8]>, DataError> {
        let cells = line.cells(self.names.len())?;
        Ok(self.places.iter().map(|place| cells[*place]).collect())
    }
}

fn no_header(path: &Path) -> DataError {
    DataError::Empty { file: path.to_owned(), problem: "has no header and no rows" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> At<'static> {
        At { file: Path::new("a"), line: 3 }
    }

    #[test]
    fn lines_are_handed_over_with_their_numbers_and_blank_ones_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "\u{feff}one\r\n\n  \ntwo").unwrap();
        let mut lines = need(folder.path(), "a").unwrap().lines().unwrap();
        let mut seen = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            seen.push((line.at.line, line.bytes.to_vec()));
        }
        assert_eq!(seen, [(1, b"one".to_vec()), (4, b"two".to_vec())]);
    }

    #[test]
    fn a_file_is_found_one_folder_below_and_twice_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        assert!(find(folder.path(), "a.csv").unwrap().is_none());
        std::fs::write(folder.path().join("data/a.csv"), "1").unwrap();
        assert!(find(folder.path(), "a.csv").unwrap().is_some());
        std::fs::write(folder.path().join("a.csv.gz"), "1").unwrap();
        let error = find(folder.path(), "a.csv").unwrap_err().to_string();
        assert!(error.contains("a.csv.gz") && error.contains("leave one"), "{error}");
    }

    #[test]
    fn quoted_cells_hold_commas() {
        let cells = |text: &'static str, count| Line { at: at(), bytes: text.as_bytes() }.cells(count);
        assert_eq!(cells("1,\"2,3\",", 3).unwrap(), [&b"1"[..], b"2,3", b""]);
        assert_eq!(cells("\"\"", 1).unwrap(), [b""]);
        for (text, problem) in
            [("1,\"2", "never closed"), ("\"1\"2,3", "closing quote"), ("1,2", "2 values, expected 3")]
        {
            let error = cells(text, 3).unwrap_err().to_string();
            assert!(error.contains(problem) && error.starts_with("a, line 3: "), "{error}");
        }
    }

    #[test]
    fn values_are_taken_strictly() {
        assert_eq!(at().whole("x", b" 9.0").unwrap(), 9);
        assert_eq!(at().whole("x", b"-124").unwrap(), -124);
        for bad in [&b"9.5"[..], b"", b"nine", b"1e3", b"99999999999999999999", b"."] {
            assert!(at().whole("x", bad).is_err(), "{bad:?}");
        }
        assert!(at().number("x", b"inf").is_err() && at().number("x", b"").is_err());
        assert!(
            at().flag("x", b"2").is_err() && at().text("x", b"\xff").is_err() && at().some_text("x", b" ").is_err()
        );
        assert_eq!(at().flag("y", b"2").unwrap_err().to_string(), "a, line 3, column `y`: `2` is not 0 or 1");
    }
}
