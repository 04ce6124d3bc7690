//! Rows that come in a request and not in a file: JSON objects, or lists of values by column.
//!
//! Cells mean what they mean in a file of JSON lines, with one difference: a name that no column has is refused, since in a
//! request it is a mistake and not a column that this model does not need.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use hashbrown::HashMap;

use super::builder::{Cell, ColumnBuilder};
use super::json::{first_elements, parse};
use super::rows::Rows;
use crate::encoder::{Encoder, InputColumn, InputKind};
use crate::error::{DataError, nearest};

/// Bytes that what is said once for all rows may take beside every one of them: a small request must not become a large one.
const SHARED_BYTES: usize = 64 << 20;
const NO_OBJECT: &str = "a single value or a list, not an object";

/// The columns that a model reads, ready to take rows out of requests.
///
/// Refusals name a part of the request where those of files name the file.
#[derive(Debug)]
pub struct RequestColumns {
    inputs: Vec<InputColumn>,
    positions: HashMap<String, usize, foldhash::fast::FixedState>,
}

impl RequestColumns {
    /// The columns that this encoder reads.
    #[must_use]
    pub fn new(encoder: &Encoder) -> RequestColumns {
        let inputs = encoder.inputs();
        let positions = inputs.iter().enumerate().map(|(place, input)| (input.name.clone(), place)).collect();
        RequestColumns { inputs, positions }
    }

    /// The columns, the scenario's first.
    #[must_use]
    pub fn inputs(&self) -> &[InputColumn] {
        &self.inputs
    }

    /// The column of this name.
    #[must_use]
    pub fn input(&self, name: &str) -> Option<&InputColumn> {
        self.positions.get(name).map(|&place| &self.inputs[place])
    }

    /// What is wrong with a name that no column has.
    #[must_use]
    pub fn unknown(&self, name: &str) -> String {
        let names = || self.inputs.iter().map(|input| input.name.as_str());
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it reads {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        format!("`{}` is no column that the model reads; {hint}", name.chars().take(80).collect::<String>())
    }

    /// Rows from JSON objects, one each: the part `name` of a request. What the objects `common` say, each with the name of
    /// its part, holds for every row; a key of `passed_over` is none of a column, whatever the columns are called.
    ///
    /// # Errors
    /// [`DataError::Format`] and [`DataError::BadRow`] for what is no object, has an unknown key, says the same thing twice, or
    /// says once what would take more than 64 MB beside all rows; [`DataError::BadValue`] for a value that its column cannot hold.
    pub fn of_objects(
        &self,
        name: &str,
        common: &[(&str, &str)],
        objects: &[&str],
        passed_over: &[&str],
    ) -> Result<Rows, DataError> {
        let shared = self.shared(common)?;
        check_size(&shared, objects.len())?;
        let mut columns: Vec<Vec<Cell>> = self.inputs.iter().map(|_| Vec::with_capacity(objects.len())).collect();
        let mut cells = Vec::new();
        for (row, object) in objects.iter().enumerate() {
            let bad_row = |problem| DataError::BadRow { file: name.into(), row: row as u64 + 1, problem };
            self.object(object, passed_over, &mut cells).map_err(bad_row)?;
            for (place, (column, cell)) in columns.iter_mut().zip(&mut cells).enumerate() {
                let cell = std::mem::replace(cell, Cell::Missing);
                column.push(match &shared[place] {
                    None => cell,
                    Some((_, shared)) if cell == Cell::Missing => shared.clone(),
                    Some((part, _)) => {
                        return Err(bad_row(format!("`{}` stands here and in `{part}`", self.inputs[place].name)));
                    }
                });
            }
        }
        self.rows(name, objects.len(), &columns)
    }

    /// Rows from JSON lists of values, one for each column that is there: the part `name` of a request. Of more than `most`
    /// rows one more than that is taken, by which the caller sees that there are too many.
    ///
    /// # Errors
    /// [`DataError::Format`] for an unknown column, what is no list, and lists of different lengths; [`DataError::BadValue`] for a
    /// value that its column cannot hold.
    pub fn of_lists<'a>(
        &self,
        name: &str,
        lists: impl IntoIterator<Item = (&'a str, &'a str)>,
        most: usize,
    ) -> Result<Rows, DataError> {
        let refused = |problem| DataError::Format { file: name.into(), format: "lists of values by column", problem };
        let mut columns: Vec<Vec<Cell>> = vec![Vec::new(); self.inputs.len()];
        let mut first: Option<(&str, usize)> = None;
        for (column, list) in lists {
            let place = *self.positions.get(column).ok_or_else(|| refused(self.unknown(column)))?;
            let cells: Vec<Cell> = first_elements(list, most.saturating_add(1))
                .map_err(|error| refused(format!("`{column}` is no list of values: {error}")))?;
            match first {
                Some((other, rows)) if rows != cells.len() => {
                    let problem = format!("`{column}` has {} values, while `{other}` has {rows}", cells.len());
                    return Err(refused(problem));
                }
                _ => first = Some((column, cells.len())),
            }
            columns[place] = cells;
        }
        let rows = first.map_or(0, |(_, rows)| rows);
        columns.iter_mut().for_each(|column| column.resize(rows, Cell::Missing));
        self.rows(name, rows, &columns)
    }

    /// Rows from columns that are Arrow arrays already, such as tensors: the part `name` of a request. Columns that are not
    /// there are missing in every row.
    ///
    /// # Errors
    /// [`DataError::Format`] for an unknown column, or two of one name, or arrays that do not have `rows` values.
    pub fn of_arrays(
        &self,
        name: &str,
        rows: usize,
        arrays: impl IntoIterator<Item = (String, ArrayRef)>,
    ) -> Result<Rows, DataError> {
        let refused = |problem| DataError::Format { file: name.into(), format: "columns of one length", problem };
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.inputs.len()];
        for (column, array) in arrays {
            let place = *self.positions.get(&column).ok_or_else(|| refused(self.unknown(&column)))?;
            if array.len() != rows {
                return Err(refused(format!("`{column}` has {} rows, while others have {rows}", array.len())));
            }
            if columns[place].replace(array).is_some() {
                return Err(refused(format!("`{column}` stands there twice")));
            }
        }
        let absent =
            |array: Option<ArrayRef>| array.unwrap_or_else(|| arrow::array::new_null_array(&DataType::Utf8, rows));
        Ok(self.assemble(name, rows, columns.into_iter().map(absent).collect()))
    }

    /// The reverse of [`RequestColumns::of_objects`]: rows of a file as the JSON objects that a request would hold. Missing
    /// cells are left out.
    ///
    /// # Errors
    /// If a column is not among those of the rows, or holds what JSON cannot say.
    pub fn objects(&self, rows: &Rows) -> Result<Vec<String>, DataError> {
        let refused = |problem: ArrowError| DataError::Format {
            file: rows.file.to_path_buf(),
            format: "JSON",
            problem: problem.to_string(),
        };
        let columns = self.inputs.iter().map(|input| Ok((&input.name, Arc::clone(rows.column(&input.name)?), true)));
        let batch = RecordBatch::try_from_iter_with_nullable(columns.collect::<Result<Vec<_>, DataError>>()?);
        let mut writer = LineDelimitedWriter::new(Vec::new());
        let written = batch.and_then(|batch| writer.write(&batch)).and_then(|()| writer.finish());
        written.map_err(refused)?;
        let text = String::from_utf8(writer.into_inner()).expect("JSON is text");
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What is said for every row, parallel to the inputs, with the part that says it.
    fn shared<'p>(&self, common: &[(&'p str, &str)]) -> Result<Vec<Option<(&'p str, Cell)>>, DataError> {
        let mut shared: Vec<Option<(&str, Cell)>> = vec![None; self.inputs.len()];
        let mut cells = Vec::new();
        for &(part, object) in common {
            let refused =
                |problem| DataError::Format { file: part.into(), format: "a JSON object of features", problem };
            self.object(object, &[], &mut cells).map_err(refused)?;
            for (place, cell) in cells.iter_mut().enumerate().filter(|(_, cell)| **cell != Cell::Missing) {
                if let Some((other, _)) = &shared[place] {
                    return Err(refused(format!("`{}` stands in `{other}` too", self.inputs[place].name)));
                }
                shared[place] = Some((part, std::mem::replace(cell, Cell::Missing)));
            }
        }
        Ok(shared)
    }

    /// Reads one object into `cells`, parallel to the inputs.
    fn object(&self, text: &str, passed_over: &[&str], cells: &mut Vec<Cell>) -> Result<(), String> {
        let (mut unknown, mut seen) = (None, vec![false; self.inputs.len()]);
        let mut twice = None;
        let find = |key: &str| {
            let place = self.positions.get(key).copied().filter(|_| !passed_over.contains(&key));
            match place {
                Some(place) if std::mem::replace(&mut seen[place], true) => twice = Some(place),
                None if unknown.is_none() && !passed_over.contains(&key) => unknown = Some(key.to_owned()),
                Some(_) | None => {}
            }
            place
        };
        cells.resize(self.inputs.len(), Cell::Missing);
        parse(text.as_bytes(), find, cells)?;
        match (unknown, twice) {
            (Some(key), _) => Err(self.unknown(&key)),
            (None, Some(place)) => Err(format!("`{}` stands there twice", self.inputs[place].name)),
            (None, None) => Ok(()),
        }
    }

    fn rows(&self, name: &str, rows: usize, columns: &[Vec<Cell>]) -> Result<Rows, DataError> {
        let arrays = self.inputs.iter().zip(columns).map(|(input, cells)| {
            let mut builder = ColumnBuilder::new(&data_type(input.kind, cells));
            for (row, cell) in cells.iter().enumerate() {
                let pushed = if cell.holds_object() { Err(NO_OBJECT) } else { builder.push_cell(cell) };
                pushed.map_err(|expected| {
                    DataError::bad_value(Path::new(name), row as u64 + 1, &input.name, &cell.text(), expected)
                })?;
            }
            Ok(builder.finish())
        });
        let arrays = arrays.collect::<Result<_, DataError>>()?;
        Ok(self.assemble(name, rows, arrays))
    }

    fn assemble(&self, name: &str, rows: usize, arrays: Vec<ArrayRef>) -> Rows {
        let field =
            |(input, array): (&InputColumn, &ArrayRef)| Field::new(&input.name, array.data_type().clone(), true);
        let schema = Schema::new(self.inputs.iter().zip(&arrays).map(field).collect::<Vec<_>>());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options);
        Rows::new(Path::new(name).into(), 1, batch.expect("the columns have one length and the types of their arrays"))
    }
}

/// Refuses what is said for all of so many rows, where it would be large beside them.
fn check_size(shared: &[Option<(&str, Cell)>], rows: usize) -> Result<(), DataError> {
    let (mut bytes, mut part) = (0, "");
    for (said, cell) in shared.iter().flatten() {
        bytes += cell.bytes();
        part = said;
    }
    if bytes.saturating_mul(rows) <= SHARED_BYTES {
        return Ok(());
    }
    let problem = format!("{bytes} bytes of values for each of {rows} rows, more than {SHARED_BYTES} in all");
    Err(DataError::Format { file: part.into(), format: "values that all rows share", problem })
}

/// The type that a column's cells are read as: numbers stay numbers, categories are texts unless all are whole numbers.
fn data_type(kind: InputKind, cells: &[Cell]) -> DataType {
    let items = || cells.iter().filter_map(|cell| if let Cell::List(items) = cell { Some(items) } else { None });
    if kind == InputKind::Number {
        return DataType::Float64;
    }
    if kind.is_list() && items().next().is_some() {
        let item = single_type(kind, items().flatten());
        return DataType::List(Arc::new(Field::new_list_field(item, true)));
    }
    single_type(kind, cells.iter())
}

fn single_type<'a>(kind: InputKind, cells: impl Iterator<Item = &'a Cell>) -> DataType {
    let (mut whole, mut number) = (true, true);
    for cell in cells.filter(|cell| **cell != Cell::Missing) {
        whole &= matches!(cell, Cell::Integer(_));
        number &= matches!(cell, Cell::Integer(_) | Cell::Large(_) | Cell::Number(_));
    }
    let numbers = match kind {
        InputKind::Weights | InputKind::Vector(_) => number,
        InputKind::Scenario | InputKind::Category | InputKind::Number | InputKind::Items => false,
    };
    match (whole, numbers) {
        (_, true) => DataType::Float64,
        (true, false) => DataType::Int64,
        (false, false) => DataType::Utf8,
    }
}
