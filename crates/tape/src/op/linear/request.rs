//! A linear operator over the rows of a request, which have some columns of x in common:
//!
//! ```text
//! y = x W + b = x_own W_own + (x_common W_common + b)
//! ```
//!
//! The term in brackets is the same for all rows. It is computed once, and takes the place of the bias.

use std::ops::Range;

use super::{Blocks, Operands, pack as packing, stack};
use crate::buffer::Buffer;
use crate::graph::{LinearOp, Node};
use crate::kernel::product::{Finish, Left, Out, Packed, Start, multiply, packed_len};
use crate::op::Context;

/// The weight of a linear operator in two parts.
#[derive(Debug)]
pub(crate) struct Split {
    common: Columns,
    own: Columns,
    /// Packed rows of the weight for the common columns.
    packed: Buffer,
    /// Whether blocks are packed one by one, as a stack of layers wants them.
    apart: bool,
}

/// Columns of x, as runs.
#[derive(Debug)]
struct Columns {
    runs: Vec<Range<usize>>,
    count: usize,
}

/// What a split operator computes of a request.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// What every row's product starts from, laid out as the bias is.
    start: Buffer,
    /// The common columns of a row.
    common: Buffer,
    /// The own columns of all rows.
    own: Buffer,
}

impl Split {
    /// Splits a weight by the columns of x that rows have in common; `packed` is for the others. None where rows have no
    /// column in common, or all.
    pub(crate) fn new(
        (op, node): (&LinearOp, &Node),
        (common, apart): (&[bool], bool),
        context: &Context<'_>,
        packed: &mut Buffer,
    ) -> Option<Split> {
        let (own, common) = (Columns::new(common, false), Columns::new(common, true));
        if own.count == 0 || common.count == 0 {
            return None;
        }
        let mut split = Split { common, own, packed: Buffer::default(), apart };
        let blocks = split.blocks(op, node, context);
        let weight = context.view(op.weight);
        for (columns, packed) in [(&split.common, &mut split.packed), (&split.own, packed)] {
            let rows: Vec<usize> = columns.runs.iter().cloned().flatten().collect();
            packing::rows((&blocks, columns.count), |k| rows[k], weight, context, packed);
        }
        Some(split)
    }

    /// Multiply-adds that each row is spared.
    pub(crate) fn spared(&self, (op, node): (&LinearOp, &Node), context: &Context<'_>) -> usize {
        self.common.count * self.blocks(op, node, context).width_out()
    }

    /// Computes what the rows of a request have in common, from the first of them.
    pub(crate) fn begin(&self, (op, node): (&LinearOp, &Node), context: &Context<'_>, part: &mut Part) {
        let blocks = Blocks { inner: self.common.count, ..self.blocks(op, node, context) };
        let width = context.width(node.inputs[0]);
        part.common.resize(self.common.count);
        self.common.copy(&context.view(node.inputs[0])[..width], &mut part.common);
        part.start.resize(blocks.all() * blocks.outer);
        let bias = op.bias.map(|bias| context.view(bias));
        let size = packed_len(blocks.inner, blocks.unit_width());
        for segment in blocks.segments(context).filter(|segment| !segment.rows.is_empty()) {
            for unit in blocks.units(&segment) {
                let columns = unit.blocks.start * blocks.outer..unit.blocks.end * blocks.outer;
                let right = Packed::all(&self.packed[unit.index * size..][..size], blocks.inner, columns.len());
                let start = bias.map_or(Start::Zero, |bias| Start::Bias(&bias[columns.clone()]));
                let mut out = Out { stride: columns.len(), data: &mut part.start[columns], rows: 1 };
                let left = Left::Rows { data: &part.common, stride: blocks.inner };
                multiply(left, right, &mut out, Finish { start, relu: false });
            }
        }
    }

    /// What is left to compute for each row; `packed` is what [`Split::new`] packed.
    pub(crate) fn operands<'a>(
        &self,
        node: &Node,
        context: &Context<'_>,
        part: &'a mut Part,
        packed: &'a [f32],
    ) -> Operands<'a> {
        let width = context.width(node.inputs[0]);
        part.own.resize(context.feed.rows * self.own.count);
        let rows = context.view(node.inputs[0]).chunks_exact(width);
        for (row, own) in rows.zip(part.own.chunks_exact_mut(self.own.count)) {
            self.own.copy(row, own);
        }
        Operands { x: &part.own, inner: self.own.count, bias: Some(&part.start), packed }
    }

    fn blocks(&self, op: &LinearOp, node: &Node, context: &Context<'_>) -> Blocks {
        if self.apart { stack::apart(op, node, context) } else { Blocks::new(op, node, context) }
    }
}

impl Columns {
    /// The columns whose flag is `which`.
    fn new(flags: &[bool], which: bool) -> Columns {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for column in (0..flags.len()).filter(|&column| flags[column] == which) {
            match runs.last_mut() {
                Some(run) if run.end == column => run.end += 1,
                _ => runs.push(column..column + 1),
            }
        }
        Columns { count: runs.iter().map(Range::len).sum(), runs }
    }

    fn copy(&self, row: &[f32], to: &mut [f32]) {
        let mut done = 0;
        for run in &self.runs {
            to[done..done + run.len()].copy_from_slice(&row[run.clone()]);
            done += run.len();
        }
    }
}
