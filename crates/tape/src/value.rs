//! The small words of a graph: values, shapes, blocks of columns, index inputs.

use std::fmt;

/// Handle of a value in one [`Graph`](crate::Graph). Copy it freely; it means nothing in another graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub(crate) u32);

impl Value {
    /// Position in [`Graph::nodes`](crate::Graph::nodes).
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Handle of an input of row numbers (one `u32` per row of the batch), for gather and scatter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IndexInput(pub(crate) u32);

impl IndexInput {
    /// Position in [`Feed::indices`](crate::Feed::indices).
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How many rows a value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// As many as the batch.
    Batch,
    /// Always this many.
    Fixed(usize),
}

impl Rows {
    /// The number of rows when the batch has `batch` rows.
    #[must_use]
    pub fn count(self, batch: usize) -> usize {
        match self {
            Rows::Batch => batch,
            Rows::Fixed(rows) => rows,
        }
    }
}

/// Rows and columns of a value. Values are row-major: row `r` is `[r * width .. (r + 1) * width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the value.
    pub rows: Rows,
    /// Columns of the value.
    pub width: usize,
}

impl Shape {
    /// Number of elements when the batch has `batch` rows.
    #[must_use]
    pub fn len(self, batch: usize) -> usize {
        self.rows.count(batch) * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows {
            Rows::Batch => write!(f, "[batch, {}]", self.width),
            Rows::Fixed(rows) => write!(f, "[{rows}, {}]", self.width),
        }
    }
}

/// A run of columns of a value: `index * width .. (index + 1) * width`, where the operator gives `width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whose columns.
    pub value: Value,
    /// Which run of columns.
    pub index: usize,
}

impl Block {
    /// The `index`-th run of columns of `value`.
    #[must_use]
    pub fn new(value: Value, index: usize) -> Block {
        Block { value, index }
    }
}
