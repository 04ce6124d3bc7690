//! CSV with a header: commas, double quotes (doubled inside), a cell may hold line breaks. An empty cell is missing; blank lines are
//! passed over where there is more than one column.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::builder::{ColumnBuilder, finish_batch};
use super::kind::{Kind, Single, of_text};
use super::paths::DataFile;
use super::text::Window;
use super::{BATCH_BYTES, BATCH_ROWS, Limits};
use crate::error::DataError;

/// Names and kinds of a file's columns, judged by its first rows, and whether there are any rows.
pub(super) fn columns(file: &DataFile, limits: &Limits) -> Result<(Vec<(String, Kind)>, bool), DataError> {
    let path: Arc<Path> = file.path.as_path().into();
    let mut rows = CsvRows::open(file, &path, limits)?;
    let mut kinds = vec![Single::Unknown; rows.names.len()];
    let mut bytes = 0;
    while rows.row < limits.sample_rows && bytes < limits.sample_bytes {
        let Some(length) = rows.next_row()? else { break };
        bytes += length;
        for (kind, field) in kinds.iter_mut().zip(&rows.fields) {
            *kind = kind.join(of_text(&rows.window.bytes()[field.start..field.end]));
        }
        rows.advance()?;
    }
    Ok((rows.names.into_iter().zip(kinds.into_iter().map(Kind::One)).collect(), rows.row > 0))
}

/// A CSV file as batches.
pub(super) struct CsvReader {
    rows: CsvRows,
    columns: SchemaRef,
    /// Where each column stands in the file.
    positions: Vec<usize>,
    builders: Vec<ColumnBuilder>,
    cell: Vec<u8>,
}

impl CsvReader {
    pub(super) fn open(
        file: &DataFile,
        path: &Arc<Path>,
        columns: &SchemaRef,
        limits: &Limits,
    ) -> Result<CsvReader, DataError> {
        let rows = CsvRows::open(file, path, limits)?;
        let find = |name: &String| {
            let names = rows.names.iter().map(String::as_str);
            rows.names
                .iter()
                .position(|known| known == name)
                .ok_or_else(|| DataError::missing_column(path, name, names))
        };
        let positions = columns.fields().iter().map(|field| find(field.name())).collect::<Result<_, _>>()?;
        let builders = columns.fields().iter().map(|field| ColumnBuilder::new(field.data_type())).collect();
        Ok(CsvReader { rows, columns: Arc::clone(columns), positions, builders, cell: Vec::new() })
    }

    /// The next few thousand rows.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, DataError> {
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(length) = self.rows.next_row()? else { break };
            self.push_row()?;
            self.rows.advance()?;
            (count, bytes) = (count + 1, bytes + length);
        }
        Ok(finish_batch(&self.columns, &mut self.builders, count))
    }

    fn push_row(&mut self) -> Result<(), DataError> {
        let bytes = self.rows.window.bytes();
        for (column, (builder, position)) in self.builders.iter_mut().zip(&self.positions).enumerate() {
            let field = self.rows.fields[*position];
            let mut cell = &bytes[field.start..field.end];
            if field.doubled {
                undouble(cell, &mut self.cell);
                cell = &self.cell;
            }
            builder.push_text(cell).map_err(|expected| {
                let (file, row) = (&self.rows.path, self.rows.row + 1);
                let name = self.columns.field(column).name();
                DataError::bad_value(file, row, name, &String::from_utf8_lossy(cell), expected)
            })?;
        }
        Ok(())
    }
}

/// The rows of a file as places of their fields in the window.
struct CsvRows {
    window: Window,
    path: Arc<Path>,
    names: Vec<String>,
    /// Rows taken so far.
    row: u64,
    /// The fields of the row at the window's beginning.
    fields: Vec<Field>,
    length: usize,
    breaks: u64,
}

/// A cell's content, without the quotes around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    start: usize,
    end: usize,
    /// Whether it has doubled quotes.
    doubled: bool,
}

impl CsvRows {
    fn open(file: &DataFile, path: &Arc<Path>, limits: &Limits) -> Result<CsvRows, DataError> {
        let window = Window::open(file, path, limits.line_bytes)?;
        let (names, fields) = (Vec::new(), Vec::new());
        let mut rows = CsvRows { window, path: Arc::clone(path), names, row: 0, fields, length: 0, breaks: 0 };
        if rows.scan()?.is_none() {
            return Err(DataError::Empty { file: path.to_path_buf(), problem: "has no header and no rows" });
        }
        let bytes = rows.window.bytes();
        for field in &rows.fields {
            let mut name = Vec::new();
            undouble(&bytes[field.start..field.end], &mut name);
            let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
            if rows.names.contains(&name) {
                return Err(DataError::DuplicateColumn { file: path.to_path_buf(), column: name });
            }
            rows.names.push(name);
        }
        rows.window.take(rows.length, rows.breaks)?;
        Ok(rows)
    }

    /// Finds the next row and returns its length in bytes; `advance` takes it.
    fn next_row(&mut self) -> Result<Option<usize>, DataError> {
        loop {
            if self.scan()?.is_none() {
                return Ok(None);
            }
            let blank = self.fields.len() == 1 && self.fields[0].start == self.fields[0].end;
            if !blank || self.names.len() == 1 {
                break;
            }
            self.window.take(self.length, self.breaks)?;
        }
        if self.fields.len() != self.names.len() {
            let (found, expected) = (self.fields.len(), self.names.len());
            return Err(self.bad_row(format!("it has {found} fields, the header has {expected}")));
        }
        Ok(Some(self.length))
    }

    fn advance(&mut self) -> Result<(), DataError> {
        self.row += 1;
        self.window.take(self.length, self.breaks)
    }

    fn scan(&mut self) -> Result<Option<()>, DataError> {
        loop {
            match scan(self.window.bytes(), self.window.ended(), &mut self.fields) {
                Scan::Row { length, breaks } => {
                    (self.length, self.breaks) = (length, breaks);
                    return Ok(Some(()));
                }
                Scan::Nothing => return Ok(None),
                Scan::More => self.window.more()?,
                Scan::Bad(problem) => return Err(self.bad_row(problem)),
            }
        }
    }

    fn bad_row(&self, problem: impl Into<String>) -> DataError {
        let (row, line) = (self.row + 1, self.window.line());
        DataError::BadRow { file: self.path.to_path_buf(), row, problem: format!("{} (line {line})", problem.into()) }
    }
}

enum Scan {
    Row { length: usize, breaks: u64 },
    Nothing,
    More,
    Bad(&'static str),
}

/// Finds the fields of the row at the beginning of `bytes`.
fn scan(bytes: &[u8], ended: bool, fields: &mut Vec<Field>) -> Scan {
    fields.clear();
    if bytes.is_empty() {
        return if ended { Scan::Nothing } else { Scan::More };
    }
    let (mut at, mut breaks) = (0, 0);
    loop {
        let (field, after) = if bytes.get(at) == Some(&b'"') {
            match quoted(bytes, at + 1, &mut breaks) {
                Some(found) => found,
                None if ended => return Scan::Bad("a quote is opened and never closed"),
                None => return Scan::More,
            }
        } else {
            let end = bytes[at..]
                .iter()
                .position(|byte| matches!(byte, b',' | b'\n'))
                .map_or(bytes.len(), |found| at + found);
            (Field { start: at, end, doubled: false }, end)
        };
        fields.push(field);
        match bytes.get(after) {
            Some(b',') => at = after + 1,
            Some(b'\n') => {
                drop_carriage_return(bytes, fields);
                return Scan::Row { length: after + 1, breaks: breaks + 1 };
            }
            Some(b'\r') if bytes.get(after + 1) == Some(&b'\n') => {
                return Scan::Row { length: after + 2, breaks: breaks + 1 };
            }
            Some(b'\r') if after + 1 == bytes.len() && !ended => return Scan::More,
            Some(_) => return Scan::Bad("something stands between a closing quote and the next comma"),
            None if ended => {
                drop_carriage_return(bytes, fields);
                return Scan::Row { length: after, breaks };
            }
            None => return Scan::More,
        }
    }
}

/// A field from behind its opening quote to its closing one, and the place behind that; nothing where it does not close.
fn quoted(bytes: &[u8], start: usize, breaks: &mut u64) -> Option<(Field, usize)> {
    let mut doubled = false;
    let mut at = start;
    loop {
        at += bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\n'))?;
        match (bytes[at], bytes.get(at + 1)) {
            (b'\n', _) => {
                *breaks += 1;
                at += 1;
            }
            (_, Some(b'"')) => {
                doubled = true;
                at += 2;
            }
            _ => return Some((Field { start, end: at, doubled }, at + 1)),
        }
    }
}

fn drop_carriage_return(bytes: &[u8], fields: &mut [Field]) {
    if let Some(last) = fields.last_mut()
        && last.end > last.start
        && bytes[last.end - 1] == b'\r'
        && bytes.get(last.end) != Some(&b'"')
    {
        last.end -= 1;
    }
}

/// `content` with each doubled quote written once.
fn undouble(content: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = content;
    while let Some(place) = rest.windows(2).position(|pair| pair == b"\"\"") {
        out.extend_from_slice(&rest[..=place]);
        rest = &rest[place + 2..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<Vec<String>> {
        let (mut rest, mut rows, mut fields) = (text.as_bytes(), Vec::new(), Vec::new());
        while let Scan::Row { length, .. } = scan(rest, true, &mut fields) {
            let cell = |field: &Field| {
                let mut out = Vec::new();
                undouble(&rest[field.start..field.end], &mut out);
                String::from_utf8(out).unwrap()
            };
            rows.push(fields.iter().map(cell).collect());
            rest = &rest[length..];
        }
        rows
    }

    #[test]
    fn quotes_hold_commas_line_breaks_and_doubled_quotes() {
        assert_eq!(split("a,\"b,\n\"\"c\"\"\",d\r\ne,,\n"), [["a", "b,\n\"c\"", "d"], ["e", "", ""]]);
        assert_eq!(split("\"a\"\r\n\"b\r\"\n\"\""), [["a"], ["b\r"], [""]]);
        assert_eq!(split("5\" pipe,x"), [["5\" pipe", "x"]]);
    }

    #[test]
    fn a_row_cut_anywhere_asks_for_more() {
        let text = b"a,\"b\"\"\nc\",d\r\n";
        let mut fields = Vec::new();
        for length in 0..text.len() {
            assert!(matches!(scan(&text[..length], false, &mut fields), Scan::More), "{length}");
        }
        assert!(matches!(scan(text, false, &mut fields), Scan::Row { length: 13, breaks: 2 }));
    }

    #[test]
    fn an_open_quote_and_text_behind_a_quote_are_refused() {
        let mut fields = Vec::new();
        assert!(matches!(scan(b"a,\"b\nc", true, &mut fields), Scan::Bad(_)));
        assert!(matches!(scan(b"\"a\"b,c\n", true, &mut fields), Scan::Bad(_)));
    }
}
