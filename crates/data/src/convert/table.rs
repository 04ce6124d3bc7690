//! Rows as columns: what a converter hands over cell by cell becomes Arrow batches.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, Float32Builder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// What a column holds; any cell may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Whole,
    Number,
    Text,
    Wholes,
    Numbers,
    Texts,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Missing,
    Whole(i64),
    Number(f64),
    Text(&'a str),
    Wholes(Cow<'a, [i64]>),
    Numbers(Cow<'a, [f32]>),
    Texts(Vec<&'a str>),
}

/// Names and kinds as Arrow has them.
pub(super) fn schema(columns: &[(String, Kind)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Kind {
    fn data_type(self) -> DataType {
        let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
        match self {
            Kind::Whole => DataType::Int64,
            Kind::Number => DataType::Float64,
            Kind::Text => DataType::Utf8,
            Kind::Wholes => list(DataType::Int64),
            Kind::Numbers => list(DataType::Float32),
            Kind::Texts => list(DataType::Utf8),
        }
    }
}

/// Rows that wait to be written.
pub(super) struct Pending {
    schema: SchemaRef,
    builders: Vec<Builder>,
    pub(super) rows: usize,
    /// Cells and items of lists: what memory goes by.
    pub(super) values: usize,
}

enum Builder {
    Whole(Int64Builder),
    Number(Float64Builder),
    Text(StringBuilder),
    Wholes(ListBuilder<Int64Builder>),
    Numbers(ListBuilder<Float32Builder>),
    Texts(ListBuilder<StringBuilder>),
}

impl Pending {
    pub(super) fn new(columns: &[(String, Kind)]) -> Pending {
        let builders = columns.iter().map(|(_, kind)| Builder::new(*kind)).collect();
        Pending { schema: schema(columns), builders, rows: 0, values: 0 }
    }

    /// Appends a row; its cells are in the order of the columns.
    pub(super) fn push(&mut self, cells: &[Cell<'_>]) {
        assert_eq!(cells.len(), self.builders.len(), "a converter gives a cell for each of its columns");
        for (builder, cell) in self.builders.iter_mut().zip(cells) {
            self.values += builder.push(cell);
        }
        self.rows += 1;
    }

    /// What was appended, and begins anew.
    pub(super) fn take(&mut self) -> RecordBatch {
        (self.rows, self.values) = (0, 0);
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).expect("builders follow the schema")
    }
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Whole => Builder::Whole(Int64Builder::new()),
            Kind::Number => Builder::Number(Float64Builder::new()),
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Wholes => Builder::Wholes(ListBuilder::new(Int64Builder::new())),
            Kind::Numbers => Builder::Numbers(ListBuilder::new(Float32Builder::new())),
            Kind::Texts => Builder::Texts(ListBuilder::new(StringBuilder::new())),
        }
    }

    /// Appends a cell and says how many values that were.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        match (self, cell) {
            (Builder::Whole(builder), Cell::Whole(value)) => builder.append_value(*value),
            (Builder::Number(builder), Cell::Number(value)) => builder.append_value(*value),
            (Builder::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Builder::Wholes(builder), Cell::Wholes(values)) => {
                builder.values().append_slice(values);
                builder.append(true);
                return values.len();
            }
            (Builder::Numbers(builder), Cell::Numbers(values)) => {
                builder.values().append_slice(values);
                builder.append(true);
                return values.len();
            }
            (Builder::Texts(builder), Cell::Texts(values)) => {
                values.iter().for_each(|value| builder.values().append_value(value));
                builder.append(true);
                return values.len();
            }
            (builder, Cell::Missing) => builder.push_missing(),
            (_, cell) => unreachable!("a converter gives cells of its columns' kinds, not {cell:?}"),
        }
        1
    }

    fn push_missing(&mut self) {
        match self {
            Builder::Whole(builder) => builder.append_null(),
            Builder::Number(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
            Builder::Wholes(builder) => builder.append_null(),
            Builder::Numbers(builder) => builder.append_null(),
            Builder::Texts(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Whole(builder) => ArrayBuilder::finish(builder),
            Builder::Number(builder) => ArrayBuilder::finish(builder),
            Builder::Text(builder) => ArrayBuilder::finish(builder),
            Builder::Wholes(builder) => ArrayBuilder::finish(builder),
            Builder::Numbers(builder) => ArrayBuilder::finish(builder),
            Builder::Texts(builder) => ArrayBuilder::finish(builder),
        }
    }
}
