//! Recording of linear layers, gates, mixtures and normalisations.

use super::arithmetic::distinct;
use super::{Activation, BatchNormOp, Graph, LinearOp, Op, Routing, Source, Statistics};
use crate::kernel::math::slope_from_result;
use crate::value::{Block, Rows, Shape, Value};

impl Graph {
    /// Products of x with the blocks of a weight, plus bias, through an activation. See [`LinearOp`] for the shapes.
    ///
    /// Rows of x: the batch; or `Fixed(groups)`, row `r` belonging to group `r`; or, when the operator has one
    /// group, any fixed number.
    pub fn linear(&mut self, x: Value, op: LinearOp) -> Value {
        let (from, weight) = (self.shape(x), self.shape(op.weight));
        self.check_linear_groups(from, op);
        let Rows::Fixed(weight_rows) = weight.rows else {
            panic!("linear: the weight must have fixed rows, got {weight}")
        };
        let all = op.groups * op.experts;
        let taken = if op.routing == Routing::Own { op.experts } else { all };
        let inner = match op.source {
            Source::Shared => from.width,
            Source::PerExpert => from.width / taken,
            Source::EachRun(runs) => from.width / runs,
        };
        let (read, made) = match op.source {
            Source::Shared => (inner, taken),
            Source::PerExpert => (inner * taken, taken),
            Source::EachRun(runs) => (inner * runs, runs),
        };
        assert!(
            inner > 0 && read == from.width && weight_rows == all * inner,
            "linear: x {from} and weight {weight} in {} groups of {} experts ({:?}, {:?})",
            op.groups,
            op.experts,
            op.source,
            op.routing
        );
        let mut inputs = vec![x, op.weight];
        if let Some(bias) = op.bias {
            let shape = self.shape(bias);
            let elements = if let Rows::Fixed(rows) = shape.rows { rows * shape.width } else { 0 };
            assert_eq!(elements, all * weight.width, "linear: bias {shape} for {all} blocks of {}", weight.width);
            inputs.push(bias);
        }
        // The backward pass of a linear operator keeps only its result; other functions stand on their own.
        let fused = slope_from_result(op.activation);
        let linear = LinearOp { activation: if fused { op.activation } else { Activation::Identity }, ..op };
        let value = self.push(Op::Linear(linear), inputs, from.rows, made * weight.width);
        if fused { value } else { self.activate(value, op.activation) }
    }

    /// Linear layers one after the other, as [`Graph::linear`] records them, each reading the result of the one before.
    /// What lies between them is not to be read: it may never be stored row by row.
    ///
    /// # Panics
    /// Without a layer, and as [`Graph::linear`].
    pub fn stack(&mut self, x: Value, layers: &[LinearOp]) -> Value {
        let (last, before) = layers.split_last().expect("a stack needs a layer");
        let mut value = x;
        for &layer in before {
            value = self.linear(value, layer);
            self.hidden.insert(value);
        }
        self.linear(value, *last)
    }

    /// Softmax over each run of `size` columns; same shape. `mask` keeps the columns that are true: `size` flags for
    /// every row, or `groups * size` where the row's own group chooses. A run with nothing kept is all zeros.
    pub fn softmax(&mut self, x: Value, size: usize, mask: Option<Vec<bool>>) -> Value {
        let shape = self.shape(x);
        assert!(size > 0 && shape.width.is_multiple_of(size), "softmax: {shape} is not made of runs of {size}");
        if let Some(mask) = &mask {
            let grouped = mask.len() == self.groups * size && self.has_groups(shape.rows);
            assert!(
                mask.len() == size || grouped,
                "softmax: a mask of {} flags for runs of {size} of {shape}, {} groups",
                mask.len(),
                self.groups
            );
        }
        self.push(Op::Softmax { size, mask }, vec![x], shape.rows, shape.width)
    }

    /// Weighted sums: `out[r, o * width + c] = sum over k of gate[r, col(o, k)] * outputs[o][k][r, c]`, where `col`
    /// counts through the blocks of all outputs in order. Result `[rows, outputs * width]`.
    ///
    /// The gate has the rows of the blocks, or `Fixed(1)`, or `Fixed(groups)` (the row's own group chooses).
    pub fn mixture(&mut self, gate: Value, outputs: Vec<Vec<Block>>, width: usize) -> Value {
        let blocks: Vec<Block> = outputs.iter().flatten().copied().collect();
        assert!(!outputs.is_empty() && outputs.iter().all(|o| !o.is_empty()), "mixture: an output without blocks");
        blocks.iter().for_each(|&block| self.check_block("mixture", block, width));
        let values = distinct(&blocks);
        let rows = self.common_rows("mixture", &values);
        let shape = self.shape(gate);
        assert!(
            shape.width == blocks.len() && self.fits_rows(shape.rows, rows),
            "mixture: gate {shape} for {} blocks of {}",
            blocks.len(),
            self.shape(values[0])
        );
        let width_out = outputs.len() * width;
        let inputs = std::iter::once(gate).chain(values).collect();
        self.push(Op::Mixture { outputs, width }, inputs, rows, width_out)
    }

    /// Normalises each run of `size` columns of each row to mean 0 and variance 1 (epsilon 1e-5), then multiplies by
    /// the gain and adds the bias: one per column of x or one per column of a run; `Fixed(1)` or one row per group.
    pub fn layer_norm(&mut self, x: Value, gain: Option<Value>, bias: Option<Value>, size: usize) -> Value {
        let shape = self.shape(x);
        assert!(size > 0 && shape.width.is_multiple_of(size), "layer_norm: {shape} is not made of runs of {size}");
        for value in [gain, bias].into_iter().flatten() {
            let other = self.shape(value);
            assert!(
                (other.width == shape.width || other.width == size) && self.is_per_group(other.rows, shape.rows),
                "layer_norm: {shape} in runs of {size} with gain or bias {other}"
            );
        }
        let op = Op::LayerNorm { gain: gain.is_some(), bias: bias.is_some(), size };
        let inputs = [Some(x), gain, bias].into_iter().flatten().collect();
        self.push(op, inputs, shape.rows, shape.width)
    }

    /// Normalises each column over the batch, or over the rows of the row's own group; see [`BatchNormOp`].
    pub fn batch_norm(&mut self, x: Value, op: BatchNormOp) -> Value {
        let shape = self.shape(x);
        assert_eq!(shape.rows, Rows::Batch, "batch_norm: x must have the rows of the batch, got {shape}");
        let rows = if op.per_group { self.groups } else { 1 };
        for value in [op.mean, op.variance] {
            let other = self.shape(value);
            assert!(
                other == Shape { rows: Rows::Fixed(rows), width: shape.width },
                "batch_norm: {shape} with statistics {other}, expected {rows} rows"
            );
            let still = matches!(self.node(value).op, Op::Parameter { .. }) && !self.node(value).needs_gradient;
            assert!(still, "batch_norm: statistics must be parameters that are not trainable");
        }
        for value in [op.gain, op.bias].into_iter().flatten() {
            let other = self.shape(value);
            assert!(
                other.width == shape.width && self.is_per_group(other.rows, shape.rows),
                "batch_norm: {shape} with gain or bias {other}"
            );
        }
        if let Statistics::Moving { momentum } = op.statistics {
            assert!((0.0..=1.0).contains(&momentum), "batch_norm: momentum {momentum} is not within 0 and 1");
        }
        let inputs = [Some(x), Some(op.mean), Some(op.variance), op.gain, op.bias];
        self.push(Op::BatchNorm(op), inputs.into_iter().flatten().collect(), shape.rows, shape.width)
    }

    fn check_linear_groups(&self, from: Shape, op: LinearOp) {
        assert!(
            op.groups > 0 && op.experts > 0 && (op.groups == 1 || op.groups == self.groups),
            "linear: {} groups of {} experts in a graph of {} groups",
            op.groups,
            op.experts,
            self.groups
        );
        assert!(
            op.groups == 1 || op.routing == Routing::All || self.has_groups(from.rows),
            "linear: x {from} cannot be routed over {} groups",
            op.groups
        );
        if let Source::EachRun(runs) = op.source {
            let one = op.experts == 1 && (op.groups == 1 || op.routing == Routing::Own);
            assert!(runs > 0 && one, "linear: {runs} runs, {} groups of {} experts", op.groups, op.experts);
        }
    }

    /// Whether each row of such a value belongs to a group.
    fn has_groups(&self, rows: Rows) -> bool {
        rows == Rows::Batch || rows == Rows::Fixed(self.groups)
    }

    /// Whether a value of `other` rows can be read beside one of `rows` rows.
    fn fits_rows(&self, other: Rows, rows: Rows) -> bool {
        other == rows || self.is_per_group(other, rows)
    }

    /// Whether `other` is one row for all, or one per group beside rows that have groups.
    fn is_per_group(&self, other: Rows, rows: Rows) -> bool {
        other == Rows::Fixed(1) || (other == Rows::Fixed(self.groups) && self.has_groups(rows))
    }
}
