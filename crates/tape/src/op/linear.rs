//! Linear layers: one matrix, many experts at once, routed by group.
//!
//! Forward: `y = activation(x * W + b)` per block. Backward, with `dz = dy * activation'(y)`:
//! `dx = dz * W^T`, `dW = x^T * dz`, `db = sum of the rows of dz`.

#![expect(clippy::wildcard_enum_match_arm, reason = "activations without a copy of the loop of their own share one")]

use std::ops::Range;

mod backward;
mod mask;
mod pack;
pub(crate) mod request;
pub(crate) mod stack;

pub(super) use backward::backward;

use super::{Context, Scratch};
use crate::buffer::Buffer;
use crate::graph::{Activation, LinearOp, Node, Routing, Source};
use crate::kernel::math::apply;
use crate::kernel::product::{Finish, Left, Out, Packed, Start, TILE, multiply, packed_len, tiles_len, tiles_of_rows};
use crate::kernel::vectorised;
use crate::value::Rows;

/// Columns of a result from which on it pays to pack x for its product.
const WIDE: usize = 128;

/// The blocks of a linear operator as products see them.
///
/// A *unit* is what one product covers: with a shared source all blocks of a segment side by side, else one block.
struct Blocks {
    inner: usize,
    outer: usize,
    experts: usize,
    groups: usize,
    shared: bool,
    own: bool,
    rows: Rows,
    /// Runs of columns of a row that go through the block one after the other. Products take them for rows: side by side in
    /// memory they are.
    runs: usize,
}

/// Rows that go through the same blocks.
struct Segment {
    rows: Range<usize>,
    blocks: Range<usize>,
}

/// One product: which blocks, and where its columns lie in x and y.
struct Unit {
    index: usize,
    blocks: Range<usize>,
    column_in: usize,
    column_out: usize,
}

impl Blocks {
    fn new(op: &LinearOp, node: &Node, context: &Context<'_>) -> Blocks {
        let all = op.groups * op.experts;
        let weight = context.graph.shape(op.weight);
        Blocks {
            inner: weight.rows.count(0) / all,
            outer: weight.width,
            experts: op.experts,
            groups: op.groups,
            shared: op.source != Source::PerExpert,
            own: op.routing == Routing::Own && op.groups > 1,
            rows: node.shape.rows,
            runs: if let Source::EachRun(runs) = op.source { runs } else { 1 },
        }
    }

    fn all(&self) -> usize {
        self.groups * self.experts
    }

    /// Blocks that one row goes through.
    fn taken(&self) -> usize {
        if self.own { self.experts } else { self.all() }
    }

    fn segments<'c>(&'c self, context: &'c Context<'_>) -> impl Iterator<Item = Segment> + 'c {
        (0..if self.own { self.groups } else { 1 }).map(move |group| {
            if self.own {
                let first = group * self.experts;
                Segment { rows: self.group_rows(group, context), blocks: first..first + self.experts }
            } else {
                Segment { rows: 0..self.row_count(context), blocks: 0..self.all() }
            }
        })
    }

    /// Rows, each as many times as it has runs.
    fn row_count(&self, context: &Context<'_>) -> usize {
        self.rows.count(context.feed.rows) * self.runs
    }

    /// The rows of a group, counted likewise.
    fn group_rows(&self, group: usize, context: &Context<'_>) -> Range<usize> {
        let rows = context.group_rows(self.rows, group);
        rows.start * self.runs..rows.end * self.runs
    }

    fn units(&self, segment: &Segment) -> impl Iterator<Item = Unit> + use<'_> {
        let blocks = segment.blocks.clone();
        let count = if self.shared { 1 } else { blocks.len() };
        (0..count).map(move |i| {
            if self.shared {
                Unit { index: blocks.start / self.taken(), blocks: blocks.clone(), column_in: 0, column_out: 0 }
            } else {
                let block = blocks.start + i;
                let (column_in, column_out) = (i * self.inner, i * self.outer);
                Unit { index: block, blocks: block..block + 1, column_in, column_out }
            }
        })
    }

    /// Rows that go through a block, and its place among the blocks of its segment.
    fn rows_of(&self, block: usize, context: &Context<'_>) -> (Range<usize>, usize) {
        if self.own {
            (self.group_rows(block / self.experts, context), block % self.experts)
        } else {
            (0..self.row_count(context), block)
        }
    }

    fn unit_blocks(&self) -> usize {
        if self.shared { self.taken() } else { 1 }
    }

    fn unit_count(&self) -> usize {
        self.all() / self.unit_blocks()
    }

    /// Columns of y that one unit makes.
    fn unit_width(&self) -> usize {
        self.unit_blocks() * self.outer
    }

    /// Columns of x.
    fn width_in(&self) -> usize {
        if self.shared { self.inner } else { self.taken() * self.inner }
    }

    /// Columns of y.
    fn width_out(&self) -> usize {
        self.taken() * self.outer
    }
}

/// What a linear operator computes with.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    pub(crate) x: &'a [f32],
    /// Depth of the product with one block of the weight.
    pub(crate) inner: usize,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) packed: &'a [f32],
}

impl<'a> Operands<'a> {
    /// All that the operator reads.
    pub(crate) fn all(op: &LinearOp, node: &Node, context: &Context<'a>, packed: &'a [f32]) -> Operands<'a> {
        let Blocks { inner, .. } = Blocks::new(op, node, context);
        Operands { x: context.view(node.inputs[0]), inner, bias: op.bias.map(|bias| context.view(bias)), packed }
    }
}

pub(super) fn forward(op: &LinearOp, node: &Node, context: &Context<'_>, out: &mut [f32], scratch: &mut Scratch) {
    pack(op, node, context, &mut scratch.packed);
    run((op, node), context, (out, &mut scratch.tiles), Operands::all(op, node, context, &scratch.packed));
}

/// Packs the weight for [`run`].
pub(crate) fn pack(op: &LinearOp, node: &Node, context: &Context<'_>, packed: &mut Buffer) {
    pack::forward(&Blocks::new(op, node, context), context.view(op.weight), context, packed);
}

/// The forward pass over a packed weight; `tiles` is room to work in.
pub(crate) fn run(
    (op, node): (&LinearOp, &Node),
    context: &Context<'_>,
    (out, tiles): (&mut [f32], &mut Buffer),
    operands: Operands<'_>,
) {
    let blocks = Blocks { inner: operands.inner, ..Blocks::new(op, node, context) };
    let forward = Forward { op, blocks: &blocks, context, operands };
    let rows = context.parallel.row_block(blocks.row_count(context));
    let room = if blocks.unit_width() >= WIDE { tiles_len(rows, blocks.inner) } else { 1 };
    let chunk = rows * blocks.width_out();
    tiles.resize(out.len().div_ceil(chunk) * room);
    context.parallel.chunks2((out, chunk), (tiles, room), |i, out, tiles| {
        forward.rows(i * rows, out, tiles);
        if !matches!(op.activation, Activation::Identity | Activation::Relu) {
            activate(op.activation, out);
        }
    });
}

/// What the forward pass of a block of rows reads.
struct Forward<'a> {
    op: &'a LinearOp,
    blocks: &'a Blocks,
    context: &'a Context<'a>,
    operands: Operands<'a>,
}

impl Forward<'_> {
    fn rows(&self, first: usize, out: &mut [f32], tiles: &mut [f32]) {
        let width = self.blocks.width_out();
        let last = first + out.len() / width;
        for segment in self.blocks.segments(self.context) {
            let (from, to) = (segment.rows.start.max(first), segment.rows.end.min(last));
            if from < to {
                for unit in self.blocks.units(&segment) {
                    self.unit(&unit, from..to, &mut out[(from - first) * width..], tiles);
                }
            }
        }
    }

    /// Some rows of one product.
    fn unit(&self, unit: &Unit, rows: Range<usize>, out: &mut [f32], tiles: &mut [f32]) {
        let Blocks { inner, outer, .. } = *self.blocks;
        let (width_in, unit_width) = (self.blocks.width_in(), self.blocks.unit_width());
        let Operands { x, bias, packed, .. } = self.operands;
        let x = &x[rows.start * width_in + unit.column_in..];
        let left = if unit_width >= WIDE && rows.len() >= TILE {
            tiles_of_rows(tiles, x, width_in, (rows.len(), inner));
            Left::Tiles(tiles)
        } else {
            Left::Rows { data: x, stride: width_in }
        };
        let size = packed_len(inner, unit_width);
        let right = Packed::all(&packed[unit.index * size..][..size], inner, unit_width);
        let start =
            bias.map_or(Start::Zero, |bias| Start::Bias(&bias[unit.blocks.start * outer..unit.blocks.end * outer]));
        let out = &mut out[unit.column_out..];
        let mut out = Out { data: out, stride: self.blocks.width_out(), rows: rows.len() };
        multiply(left, right, &mut out, Finish { start, relu: self.op.activation == Activation::Relu });
    }
}

vectorised! {
    /// Applies an activation in place.
    fn activate<'a>(activation: Activation, values: &'a mut [f32]) {
        match activation {
            Activation::Sigmoid => values.iter_mut().for_each(|v| *v = apply(Activation::Sigmoid, *v)),
            Activation::Tanh => values.iter_mut().for_each(|v| *v = apply(Activation::Tanh, *v)),
            Activation::Exp => values.iter_mut().for_each(|v| *v = apply(Activation::Exp, *v)),
            other => values.iter_mut().for_each(|v| *v = apply(other, *v)),
        }
    }
}
