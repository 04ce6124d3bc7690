//! JSON lines: one object per line. A key that a line lacks is a missing cell; keys that no column asks for are passed over.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use super::builder::{Cell, ColumnBuilder, finish_batch};
use super::kind::{Kind, Single};
use super::paths::DataFile;
use super::text::Window;
use super::{BATCH_BYTES, BATCH_ROWS, Limits};
use crate::error::DataError;

/// Names and kinds of a file's columns, in order of first appearance in its first rows.
pub(super) fn columns(file: &DataFile, limits: &Limits) -> Result<Vec<(String, Kind)>, DataError> {
    let path: Arc<Path> = file.path.as_path().into();
    let mut lines = Lines::open(file, &path, limits)?;
    let mut columns: Vec<(String, Kind)> = Vec::new();
    let (mut cells, mut bytes) = (Vec::new(), 0);
    while lines.row < limits.sample_rows && bytes < limits.sample_bytes {
        let Some(line) = lines.next_line()? else { break };
        bytes += line.len();
        let find = |key: &str| match columns.iter().position(|(name, _)| name == key) {
            None => {
                columns.push((key.to_owned(), Kind::One(Single::Unknown)));
                Some(columns.len() - 1)
            }
            known => known,
        };
        let parsed = parse(line, find, &mut cells);
        parsed.map_err(|problem| lines.bad_row(problem))?;
        for ((name, kind), cell) in columns.iter_mut().zip(&cells) {
            *kind = kind.join(kind_of(cell)).ok_or_else(|| {
                let expected = "a list in some of the first rows, and a single value in others";
                DataError::bad_value(
                    &path,
                    lines.row + 1,
                    name,
                    &cell.text(),
                    format!("clear: the column holds {expected}"),
                )
            })?;
        }
        lines.advance()?;
    }
    if lines.row == 0 {
        return Err(DataError::Empty { file: file.path.clone(), problem: "has no rows" });
    }
    Ok(columns)
}

/// A file of JSON lines as batches.
pub(super) struct JsonReader {
    lines: Lines,
    columns: SchemaRef,
    positions: hashbrown::HashMap<String, usize, foldhash::fast::FixedState>,
    builders: Vec<ColumnBuilder>,
    cells: Vec<Cell>,
}

impl JsonReader {
    pub(super) fn open(
        file: &DataFile,
        path: &Arc<Path>,
        columns: &SchemaRef,
        limits: &Limits,
    ) -> Result<JsonReader, DataError> {
        let lines = Lines::open(file, path, limits)?;
        let fields = columns.fields();
        let positions = fields.iter().enumerate().map(|(index, field)| (field.name().clone(), index)).collect();
        let builders = fields.iter().map(|field| ColumnBuilder::new(field.data_type())).collect();
        Ok(JsonReader { lines, columns: Arc::clone(columns), positions, builders, cells: Vec::new() })
    }

    /// The next few thousand rows.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>, DataError> {
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(line) = self.lines.next_line()? else { break };
            bytes += line.len();
            let parsed = parse(line, |key| self.positions.get(key).copied(), &mut self.cells);
            parsed.map_err(|problem| self.lines.bad_row(problem))?;
            self.push_row()?;
            self.lines.advance()?;
            count += 1;
        }
        Ok(finish_batch(&self.columns, &mut self.builders, count))
    }

    fn push_row(&mut self) -> Result<(), DataError> {
        self.cells.resize(self.builders.len(), Cell::Missing);
        for (index, (builder, cell)) in self.builders.iter_mut().zip(&self.cells).enumerate() {
            builder.push_cell(cell).map_err(|expected| {
                let (file, row) = (&self.lines.path, self.lines.row + 1);
                DataError::bad_value(file, row, self.columns.field(index).name(), &cell.text(), expected)
            })?;
        }
        Ok(())
    }
}

struct Lines {
    window: Window,
    path: Arc<Path>,
    /// Rows taken so far.
    row: u64,
    length: usize,
}

impl Lines {
    fn open(file: &DataFile, path: &Arc<Path>, limits: &Limits) -> Result<Lines, DataError> {
        Ok(Lines { window: Window::open(file, path, limits.line_bytes)?, path: Arc::clone(path), row: 0, length: 0 })
    }

    /// The next line that is not blank; `advance` takes it.
    fn next_line(&mut self) -> Result<Option<&[u8]>, DataError> {
        loop {
            let length = self.window.line_length()?;
            if length == 0 {
                return Ok(None);
            }
            if !self.window.bytes()[..length].trim_ascii().is_empty() {
                self.length = length;
                return Ok(Some(&self.window.bytes()[..length]));
            }
            self.window.take(length, 1)?;
        }
    }

    fn advance(&mut self) -> Result<(), DataError> {
        self.row += 1;
        self.window.take(self.length, 1)
    }

    fn bad_row(&self, problem: String) -> DataError {
        let (row, line) = (self.row + 1, self.window.line());
        DataError::BadRow { file: self.path.to_path_buf(), row, problem: format!("{problem} (line {line})") }
    }
}

/// Reads an object into `cells`, each where `find` says; keys for which it says nothing are passed over.
pub(super) fn parse(line: &[u8], find: impl FnMut(&str) -> Option<usize>, cells: &mut Vec<Cell>) -> Result<(), String> {
    cells.iter_mut().for_each(|cell| *cell = Cell::Missing);
    let mut reader = serde_json::Deserializer::from_slice(line);
    let outcome = Row { find, cells }.deserialize(&mut reader).and_then(|()| reader.end());
    outcome.map_err(|error| {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or_default();
        format!("it is not one JSON object: {reason} at byte {}", error.column())
    })
}

/// Reads a JSON list, the first `most` of its elements; those beyond are only looked through. So a list of millions takes no
/// memory, and one more than what is allowed tells that it is too long.
///
/// # Errors
/// If the text is no list of such elements, or has something behind it.
pub fn first_elements<'a, T: Deserialize<'a>>(list: &'a str, most: usize) -> serde_json::Result<Vec<T>> {
    let mut reader = serde_json::Deserializer::from_str(list);
    let elements = reader.deserialize_seq(First { most, element: PhantomData })?;
    reader.end().map(|()| elements)
}

struct First<T> {
    most: usize,
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < self.most {
            let Some(element) = list.next_element()? else { return Ok(elements) };
            elements.push(element);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(elements)
    }
}

fn kind_of(cell: &Cell) -> Kind {
    let single = |cell: &Cell| match cell {
        Cell::Missing => Single::Unknown,
        Cell::Flag(_) => Single::Flag,
        Cell::Integer(_) => Single::Integer,
        Cell::Number(_) => Single::Number,
        Cell::Large(_) | Cell::Text(_) | Cell::List(_) | Cell::Object(_) => Single::Text,
    };
    match cell {
        Cell::List(cells) => Kind::List(cells.iter().map(single).fold(Single::Unknown, Single::join)),
        Cell::Missing
        | Cell::Flag(_)
        | Cell::Integer(_)
        | Cell::Large(_)
        | Cell::Number(_)
        | Cell::Text(_)
        | Cell::Object(_) => Kind::One(single(cell)),
    }
}

struct Row<'a, F> {
    find: F,
    cells: &'a mut Vec<Cell>,
}

impl<'de, F: FnMut(&str) -> Option<usize>> DeserializeSeed<'de> for Row<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str) -> Option<usize>> Visitor<'de> for Row<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object such as {\"user\": 7, \"is_click\": 1}")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Key(&mut self.find))? {
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if place >= self.cells.len() {
                self.cells.resize(place + 1, Cell::Missing);
            }
            self.cells[place] = map.next_value()?;
        }
        Ok(())
    }
}

struct Key<'a, F>(&'a mut F);

impl<'de, F: FnMut(&str) -> Option<usize>> DeserializeSeed<'de> for Key<'_, F> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<F: FnMut(&str) -> Option<usize>> Visitor<'_> for Key<'_, F> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok((self.0)(key))
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Missing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Cell, E> {
        Ok(Cell::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Cell, E> {
        Ok(i64::try_from(value).map_or(Cell::Large(value), Cell::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Cell, E> {
        Ok(Cell::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Cell, E> {
        Ok(Cell::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cell, A::Error> {
        let mut cells = Vec::new();
        while let Some(cell) = list.next_element()? {
            cells.push(cell);
        }
        Ok(Cell::List(cells))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cell, A::Error> {
        let value = serde_json::Value::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Cell::Object(value.to_string()))
    }
}
