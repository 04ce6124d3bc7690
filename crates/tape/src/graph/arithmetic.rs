//! Recording of elementwise operators, columns, rows and reductions.

use super::{Activation, Binary, Graph, Op, Reduction};
use crate::value::{Block, IndexInput, Rows, Shape, Value};

impl Graph {
    /// Applies a function to each element; same shape.
    pub fn activate(&mut self, x: Value, activation: Activation) -> Value {
        let shape = self.shape(x);
        self.push(Op::Activate(activation), vec![x], shape.rows, shape.width)
    }

    /// a + b. Widths are equal or one of them is 1. Rows are equal, or `Fixed(1)` with any, or `Fixed(groups)` with
    /// `Batch` (the row of the row's own group), or `Fixed(n)` with a multiple of n fixed rows (repeated beside them).
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.binary("add", Binary::Add, a, b)
    }

    /// a - b, broadcast as [`Graph::add`].
    pub fn sub(&mut self, a: Value, b: Value) -> Value {
        self.binary("sub", Binary::Sub, a, b)
    }

    /// a * b elementwise, broadcast as [`Graph::add`].
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        self.binary("mul", Binary::Mul, a, b)
    }

    /// a / b elementwise, broadcast as [`Graph::add`].
    pub fn div(&mut self, a: Value, b: Value) -> Value {
        self.binary("div", Binary::Div, a, b)
    }

    /// `scale * x + offset`; same shape.
    pub fn affine(&mut self, x: Value, scale: f32, offset: f32) -> Value {
        let shape = self.shape(x);
        self.push(Op::Affine { scale, offset }, vec![x], shape.rows, shape.width)
    }

    /// The same numbers, through which no gradient flows.
    pub fn stop_gradient(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        let value = self.push(Op::StopGradient, vec![x], shape.rows, shape.width);
        self.nodes[value.index()].needs_gradient = false;
        value
    }

    /// While training, zeros each element with probability `rate` and divides the others by `1 - rate`. The choice
    /// depends on the seed of the step, `name`, row and column alone.
    pub fn dropout(&mut self, x: Value, rate: f32, name: &str) -> Value {
        assert!((0.0..1.0).contains(&rate), "dropout `{name}`: a rate is at least 0 and below 1, got {rate}");
        if rate == 0.0 {
            return x;
        }
        let shape = self.shape(x);
        self.push(Op::Dropout { rate, name: name.to_owned() }, vec![x], shape.rows, shape.width)
    }

    /// While training, `(x + log u - log(1 - u)) / temperature` with u uniform between 0 and 1: through a sigmoid, a draw
    /// of the binary concrete distribution whose logit is x. Otherwise x itself. The draw depends on the seed of the step,
    /// `name`, row and column alone.
    pub fn concrete(&mut self, x: Value, temperature: f32, name: &str) -> Value {
        let fits = temperature.is_finite() && temperature > 0.0;
        assert!(fits, "concrete `{name}`: a temperature is above 0, got {temperature}");
        let shape = self.shape(x);
        self.push(Op::Concrete { temperature, name: name.to_owned() }, vec![x], shape.rows, shape.width)
    }

    /// Columns of all values side by side; they agree in rows.
    pub fn concat(&mut self, values: &[Value]) -> Value {
        let rows = self.common_rows("concat", values);
        if let [single] = values {
            return *single;
        }
        let width = values.iter().map(|&value| self.width(value)).sum();
        self.push(Op::Concat, values.to_vec(), rows, width)
    }

    /// Columns `start..start + width` of x.
    pub fn slice(&mut self, x: Value, start: usize, width: usize) -> Value {
        let shape = self.shape(x);
        assert!(width > 0 && start + width <= shape.width, "slice: columns {start}..{} of {shape}", start + width);
        self.push(Op::Slice { start }, vec![x], shape.rows, width)
    }

    /// For each row of the batch the block of its own group, `[batch, width]`. One block per group.
    pub fn select(&mut self, blocks: Vec<Block>, width: usize) -> Value {
        assert_eq!(blocks.len(), self.groups, "select: {} blocks for {} groups", blocks.len(), self.groups);
        blocks.iter().for_each(|&block| self.check_block("select", block, width));
        let inputs = distinct(&blocks);
        let rows = self.common_rows("select", &inputs);
        assert!(
            rows == Rows::Batch || rows == Rows::Fixed(self.groups),
            "select: rows must be the batch or one per group, got {}",
            self.shape(inputs[0])
        );
        self.push(Op::Select { blocks, width }, inputs, rows, width)
    }

    /// Row `index[r]` of `table` (fixed rows) for each row `r` of the batch: `[batch, width]`.
    pub fn gather_rows(&mut self, table: Value, index: IndexInput) -> Value {
        let shape = self.shape(table);
        assert!(matches!(shape.rows, Rows::Fixed(_)), "gather_rows: the table must have fixed rows, got {shape}");
        self.check_index("gather_rows", index);
        self.push(Op::GatherRows { index }, vec![table], Rows::Batch, shape.width)
    }

    /// Adds each row of x (`Batch`) to row `index[r]` of a result of `rows` rows: `[rows, width]`.
    pub fn scatter_rows(&mut self, x: Value, index: IndexInput, rows: usize) -> Value {
        let shape = self.shape(x);
        assert!(shape.rows == Rows::Batch && rows > 0, "scatter_rows: from {shape} to {rows} rows");
        self.check_index("scatter_rows", index);
        self.push(Op::ScatterRows { index }, vec![x], Rows::Fixed(rows), shape.width)
    }

    /// For each row of the batch the row of its own group: `[batch, width]` from one row per group.
    pub fn rows_of_group(&mut self, table: Value) -> Value {
        let shape = self.shape(table);
        assert_eq!(shape.rows, Rows::Fixed(self.groups), "rows_of_group: {shape} for {} groups", self.groups);
        self.push(Op::RowsOfGroup, vec![table], Rows::Batch, shape.width)
    }

    /// The elements of x, whose rows are fixed, in their order, as rows of `width` columns.
    pub fn reshape(&mut self, x: Value, width: usize) -> Value {
        let shape = self.shape(x);
        assert!(
            shape.rows != Rows::Batch && width > 0 && shape.len(0).is_multiple_of(width),
            "reshape: {shape} to rows of {width}"
        );
        self.push(Op::Reshape, vec![x], Rows::Fixed(shape.len(0) / width), width)
    }

    /// Sum over the columns of each row: `[rows, 1]`.
    pub fn sum_columns(&mut self, x: Value) -> Value {
        self.reduce(Reduction::SumColumns, x)
    }

    /// Mean over the columns of each row: `[rows, 1]`.
    pub fn mean_columns(&mut self, x: Value) -> Value {
        self.reduce(Reduction::MeanColumns, x)
    }

    /// Sum over all rows: `[1, width]`.
    pub fn sum_rows(&mut self, x: Value) -> Value {
        self.reduce(Reduction::SumRows, x)
    }

    /// Mean over all rows: `[1, width]`; zeros for a batch of no rows.
    pub fn mean_rows(&mut self, x: Value) -> Value {
        self.reduce(Reduction::MeanRows, x)
    }

    fn reduce(&mut self, reduction: Reduction, x: Value) -> Value {
        let shape = self.shape(x);
        let (rows, width) = match reduction {
            Reduction::SumColumns | Reduction::MeanColumns => (shape.rows, 1),
            Reduction::SumRows | Reduction::MeanRows => (Rows::Fixed(1), shape.width),
        };
        self.push(Op::Reduce(reduction), vec![x], rows, width)
    }

    fn binary(&mut self, name: &str, op: Binary, a: Value, b: Value) -> Value {
        let (left, right) = (self.shape(a), self.shape(b));
        let shape = self.broadcast(left, right);
        let shape = shape.unwrap_or_else(|| panic!("{name}: {left} and {right} do not broadcast"));
        self.push(Op::Binary(op), vec![a, b], shape.rows, shape.width)
    }

    fn broadcast(&self, a: Shape, b: Shape) -> Option<Shape> {
        let width = match (a.width, b.width) {
            (left, right) if left == right => left,
            (1, width) | (width, 1) => width,
            _ => return None,
        };
        let rows = match (a.rows, b.rows) {
            (left, right) if left == right => left,
            (Rows::Fixed(1), rows) | (rows, Rows::Fixed(1)) => rows,
            (Rows::Fixed(rows), Rows::Batch) | (Rows::Batch, Rows::Fixed(rows)) if rows == self.groups => Rows::Batch,
            (Rows::Fixed(left), Rows::Fixed(right)) if left.max(right).is_multiple_of(left.min(right)) => {
                Rows::Fixed(left.max(right))
            }
            _ => return None,
        };
        Some(Shape { rows, width })
    }

    fn check_index(&self, op: &str, index: IndexInput) {
        assert!(index.index() < self.index_names.len(), "{op}: the index input is of another graph");
    }
}

/// The values of some blocks, each once, in order of first use.
pub(super) fn distinct(blocks: &[Block]) -> Vec<Value> {
    let mut values = Vec::new();
    for block in blocks {
        if !values.contains(&block.value) {
            values.push(block.value);
        }
    }
    values
}
