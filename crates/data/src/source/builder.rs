//! Columns that grow cell by cell, for the text formats.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray, NullBufferBuilder, OffsetBufferBuilder,
    RecordBatch, RecordBatchOptions, StringBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};

use super::kind::{parse_flag, parse_integer, parse_number};

/// A column under construction. A cell that does not fit is refused with what was expected.
#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Flag(BooleanBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Text(StringBuilder),
    List(Box<ListBuilder>),
}

#[derive(Debug)]
pub(super) struct ListBuilder {
    items: ColumnBuilder,
    offsets: OffsetBufferBuilder<i32>,
    known: NullBufferBuilder,
}

/// A value of JSON as it stands in a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Missing,
    Flag(bool),
    Integer(i64),
    /// A whole number beyond `i64`.
    Large(u64),
    Number(f64),
    Text(String),
    List(Vec<Cell>),
    /// An object, as its text.
    Object(String),
}

const FLAG: &str = "true or false, as the first rows are";
const INTEGER: &str = "a whole number of at most 64 bits, as the first rows are";
const NUMBER: &str = "a number";
const TEXT: &str = "text in UTF-8";
const LIST: &str = "a list, as the first rows are";
const SINGLE: &str = "a single value, as the first rows are";

/// Floats hold whole numbers exactly below this.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The rows that builders hold, one builder per column of the schema; nothing where there are none.
pub(super) fn finish_batch(columns: &SchemaRef, builders: &mut [ColumnBuilder], rows: usize) -> Option<RecordBatch> {
    if rows == 0 {
        return None;
    }
    let arrays: Vec<ArrayRef> = builders.iter_mut().map(ColumnBuilder::finish).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(columns), arrays, &options);
    Some(batch.expect("builders make the schema's types, one cell per row"))
}

impl ColumnBuilder {
    /// A builder for one of the types that text formats have.
    #[expect(clippy::wildcard_enum_match_arm, reason = "text formats have these five types")]
    pub(super) fn new(kind: &DataType) -> ColumnBuilder {
        match kind {
            DataType::Boolean => ColumnBuilder::Flag(BooleanBuilder::new()),
            DataType::Int64 => ColumnBuilder::Integer(Int64Builder::new()),
            DataType::Float64 => ColumnBuilder::Number(Float64Builder::new()),
            DataType::List(item) => ColumnBuilder::List(Box::new(ListBuilder {
                items: ColumnBuilder::new(item.data_type()),
                offsets: OffsetBufferBuilder::new(0),
                known: NullBufferBuilder::new(0),
            })),
            _ => ColumnBuilder::Text(StringBuilder::new()),
        }
    }

    /// Adds a cell of CSV; an empty one is missing.
    pub(super) fn push_text(&mut self, cell: &[u8]) -> Result<(), &'static str> {
        if cell.is_empty() {
            self.push_missing();
            return Ok(());
        }
        match self {
            ColumnBuilder::Text(builder) => builder.append_value(std::str::from_utf8(cell).map_err(|_| TEXT)?),
            ColumnBuilder::Integer(builder) => builder.append_value(integer_of(cell.trim_ascii()).ok_or(INTEGER)?),
            ColumnBuilder::Number(builder) => builder.append_value(parse_number(cell.trim_ascii()).ok_or(NUMBER)?),
            ColumnBuilder::Flag(builder) => builder.append_value(parse_flag(cell.trim_ascii()).ok_or(FLAG)?),
            ColumnBuilder::List(_) => return Err(LIST),
        }
        Ok(())
    }

    /// Adds a value of JSON.
    #[expect(clippy::wildcard_enum_match_arm, reason = "one fits, the others do not")]
    pub(super) fn push_cell(&mut self, cell: &Cell) -> Result<(), &'static str> {
        if *cell == Cell::Missing {
            self.push_missing();
            return Ok(());
        }
        match self {
            ColumnBuilder::Text(builder) => match cell {
                Cell::List(_) => return Err(SINGLE),
                cell => builder.append_value(cell.text()),
            },
            ColumnBuilder::Integer(builder) => builder.append_value(match cell {
                Cell::Integer(value) => *value,
                Cell::Number(value) => whole(*value).ok_or(INTEGER)?,
                _ => return Err(INTEGER),
            }),
            ColumnBuilder::Number(builder) => builder.append_value(cell.number().ok_or(NUMBER)?),
            ColumnBuilder::Flag(builder) => match cell {
                Cell::Flag(value) => builder.append_value(*value),
                _ => return Err(FLAG),
            },
            ColumnBuilder::List(list) => {
                let Cell::List(cells) = cell else { return Err(LIST) };
                for cell in cells {
                    list.items.push_cell(cell)?;
                }
                list.offsets.push_length(cells.len());
                list.known.append_non_null();
            }
        }
        Ok(())
    }

    pub(super) fn push_missing(&mut self) {
        match self {
            ColumnBuilder::Flag(builder) => builder.append_null(),
            ColumnBuilder::Integer(builder) => builder.append_null(),
            ColumnBuilder::Number(builder) => builder.append_null(),
            ColumnBuilder::Text(builder) => builder.append_null(),
            ColumnBuilder::List(list) => {
                list.offsets.push_length(0);
                list.known.append_null();
            }
        }
    }

    /// The column so far; the builder starts anew.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Flag(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Integer(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Number(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Text(builder) => Arc::new(builder.finish()),
            ColumnBuilder::List(list) => {
                let items = list.items.finish();
                let offsets = std::mem::replace(&mut list.offsets, OffsetBufferBuilder::new(0)).finish();
                let known = std::mem::replace(&mut list.known, NullBufferBuilder::new(0)).finish();
                let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
                Arc::new(ListArray::new(field, offsets, items, known))
            }
        }
    }
}

impl Cell {
    /// What a person reads, and what a column of texts holds. Equal numbers have equal texts.
    pub(super) fn text(&self) -> String {
        match self {
            Cell::Missing => "null".to_owned(),
            Cell::Flag(value) => value.to_string(),
            Cell::Integer(value) => value.to_string(),
            Cell::Large(value) => value.to_string(),
            Cell::Number(value) if *value == 0.0 => "0".to_owned(),
            Cell::Number(value) => value.to_string(),
            Cell::Text(value) | Cell::Object(value) => value.clone(),
            Cell::List(cells) => {
                let texts: Vec<String> = cells.iter().map(Cell::text).collect();
                format!("[{}]", texts.join(","))
            }
        }
    }

    /// Whether it is an object or has one in it.
    pub(super) fn holds_object(&self) -> bool {
        match self {
            Cell::Object(_) => true,
            Cell::List(cells) => cells.iter().any(Cell::holds_object),
            Cell::Missing | Cell::Flag(_) | Cell::Integer(_) | Cell::Large(_) | Cell::Number(_) | Cell::Text(_) => {
                false
            }
        }
    }

    /// Memory that a copy takes.
    pub(super) fn bytes(&self) -> usize {
        let held = match self {
            Cell::Text(text) | Cell::Object(text) => text.len(),
            Cell::List(cells) => cells.iter().map(Cell::bytes).sum(),
            Cell::Missing | Cell::Flag(_) | Cell::Integer(_) | Cell::Large(_) | Cell::Number(_) => 0,
        };
        size_of::<Cell>() + held
    }

    fn number(&self) -> Option<f64> {
        match self {
            Cell::Integer(value) => Some(*value as f64),
            Cell::Large(value) => Some(*value as f64),
            Cell::Number(value) => Some(*value),
            Cell::Text(text) => parse_number(text.trim().as_bytes()),
            Cell::Missing | Cell::Flag(_) | Cell::List(_) | Cell::Object(_) => None,
        }
    }
}

fn integer_of(cell: &[u8]) -> Option<i64> {
    parse_integer(cell).or_else(|| parse_number(cell).and_then(whole))
}

fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as i64)
}
