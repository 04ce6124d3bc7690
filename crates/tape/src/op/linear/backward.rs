//! The backward pass of linear operators of any kind: first rows side by side, then weights side by side.

use std::ops::Range;

use super::mask::{mask, mask_and_sum};
use super::{Blocks, pack, stack};
use crate::graph::{LinearOp, Node};
use crate::kernel::add_to;
use crate::kernel::product::{self, Finish, Left, Out, Packed, Start, multiply, packed_len, tiles_of_columns};
use crate::op::{Context, Output, Scratch, Sink};
use crate::parallel::ROW_BLOCK;

/// Depth of one pass of a weight gradient, in rows of the batch.
const DEPTH: usize = 128;
/// Columns of one pass of a weight gradient.
const COLUMNS: usize = 128;
/// Columns of x in one pass of a weight gradient: whole tiles.
const INPUTS: usize = 132;

pub(in crate::op) fn backward(
    op: &LinearOp,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
    scratch: &mut Scratch,
) {
    let blocks = Blocks::new(op, node, context);
    if stack::fits(op, &blocks, context) {
        let alone = stack::Stack { first: (op, node), second: None };
        return stack::backward(alone, context, &output, sink, (scratch, &mut Scratch::default()));
    }
    let Output { value, gradient } = output;
    input_gradient(op, &blocks, (node, context, value), (gradient, sink), scratch);
    if let Some(bias) = op.bias
        && let Some(target) = sink.added(bias)
    {
        let size = blocks.all() * blocks.outer;
        let chunks = gradient.len().div_ceil(ROW_BLOCK * blocks.width_out());
        for partial in scratch.partial[..chunks * size].chunks_exact(size) {
            add_to(target, partial);
        }
    }
    if let Some((target, fresh)) = sink.target(op.weight) {
        weight_gradient(&blocks, (node, context), gradient, (target, fresh), scratch);
    }
}

/// Turns `dy` into `dz` in place, sums it per column for the bias, and sends `dx` where it is needed. Block by block,
/// so that the product finds `dz` in the cache.
fn input_gradient(
    op: &LinearOp,
    blocks: &Blocks,
    (node, context, value): (&Node, &Context<'_>, &[f32]),
    (gradient, sink): (&mut [f32], &mut Sink<'_>),
    scratch: &mut Scratch,
) {
    let width_in = blocks.width_in();
    let chunk_out = ROW_BLOCK * blocks.width_out();
    let chunks = gradient.len().div_ceil(chunk_out);
    let sums = if op.bias.is_some() { blocks.all() * blocks.outer } else { 1 };
    scratch.partial.resize(chunks * sums);
    let target = sink.target(node.inputs[0]);
    let Scratch { packed, partial, .. } = scratch;
    let size = packed_len(blocks.unit_width(), blocks.inner);
    if target.is_some() {
        pack::backward(blocks, context.view(op.weight), context, packed);
    }
    let back = Back { op, blocks, context, value, packed, size };
    let Some((target, fresh)) = target else {
        context.parallel.chunks2((gradient, chunk_out), (partial, sums), |i, gradient, sums| {
            back.rows(i * ROW_BLOCK, gradient, sums, None);
        });
        return;
    };
    let chunk_in = ROW_BLOCK * width_in;
    context.parallel.chunks3((gradient, chunk_out), (target, chunk_in), (partial, sums), |i, gradient, dx, sums| {
        back.rows(i * ROW_BLOCK, gradient, sums, Some((dx, fresh)));
    });
}

/// What the backward pass of a block of rows reads.
struct Back<'a> {
    op: &'a LinearOp,
    blocks: &'a Blocks,
    context: &'a Context<'a>,
    value: &'a [f32],
    packed: &'a [f32],
    size: usize,
}

impl Back<'_> {
    fn rows(&self, first: usize, gradient: &mut [f32], sums: &mut [f32], mut dx: Option<(&mut [f32], bool)>) {
        let (width_out, outer) = (self.blocks.width_out(), self.blocks.outer);
        let last = first + gradient.len() / width_out;
        sums.fill(0.0);
        for segment in self.blocks.segments(self.context) {
            let (from, to) = (segment.rows.start.max(first), segment.rows.end.min(last));
            if from >= to {
                continue;
            }
            for block in segment.blocks.clone() {
                let place = block - segment.blocks.start;
                let part = (from - first) * width_out..(to - first) * width_out;
                let columns = place * outer..(place + 1) * outer;
                let value = &self.value[from * width_out..to * width_out];
                let gradient = &mut gradient[part];
                if self.op.bias.is_some() {
                    let sums = &mut sums[block * outer..(block + 1) * outer];
                    mask_and_sum(self.op.activation, (value, width_out, columns.clone()), gradient, sums);
                } else {
                    mask(self.op.activation, (value, width_out, columns.clone()), gradient);
                }
                if let Some((dx, fresh)) = &mut dx {
                    let part = (from - first) * self.blocks.width_in()..(to - first) * self.blocks.width_in();
                    self.product(block, place, &gradient[columns.start..], (&mut dx[part], *fresh));
                }
            }
        }
    }

    /// `dx (+)= dz of one block * its weight transposed`.
    fn product(&self, block: usize, place: usize, gradient: &[f32], (dx, fresh): (&mut [f32], bool)) {
        let Blocks { inner, outer, shared, .. } = *self.blocks;
        let (unit, first, column) =
            if shared { (block / self.blocks.taken(), place * outer, 0) } else { (block, 0, place * inner) };
        let left = Left::Rows { data: gradient, stride: self.blocks.width_out() };
        let data = &self.packed[unit * self.size..][..self.size];
        let right = Packed { data, packed: self.blocks.unit_width(), first, depth: outer, width: inner };
        let stride = self.blocks.width_in();
        let rows = dx.len() / stride;
        // With a shared source all blocks add up in the same columns; the first one to come may overwrite.
        let start = if fresh && (place == 0 || !shared) { Start::Zero } else { Start::Add };
        let mut out = Out { data: &mut dx[column..], stride, rows };
        multiply(left, right, &mut out, Finish { start, relu: false });
    }
}

/// `dW (+)= x^T * dz`. Narrow blocks that share a source are taken side by side and parted afterwards.
fn weight_gradient(
    blocks: &Blocks,
    (node, context): (&Node, &Context<'_>),
    gradient: &[f32],
    (target, fresh): (&mut [f32], bool),
    scratch: &mut Scratch,
) {
    let Blocks { inner, outer, shared, .. } = *blocks;
    let x = context.view(node.inputs[0]);
    let together = if shared && !outer.is_multiple_of(COLUMNS / 2) { blocks.unit_blocks() } else { 1 };
    let weights = Weights { blocks, context, x, gradient, together };
    if together == 1 {
        return weights.all(target, fresh);
    }
    scratch.partial.resize(target.len());
    weights.all(&mut scratch.partial, true);
    for (block, target) in target.chunks_exact_mut(inner * outer).enumerate() {
        let from = &scratch.partial[block / together * together * inner * outer..];
        let rows = from.chunks_exact(together * outer).zip(target.chunks_exact_mut(outer));
        for (from, target) in rows {
            let from = &from[block % together * outer..][..outer];
            if fresh { target.copy_from_slice(from) } else { add_to(target, from) }
        }
    }
}

/// What gradients of weights are made from.
struct Weights<'a> {
    blocks: &'a Blocks,
    context: &'a Context<'a>,
    x: &'a [f32],
    gradient: &'a [f32],
    /// Blocks taken as one.
    together: usize,
}

impl Weights<'_> {
    /// All blocks, each split by its rows where there are few.
    fn all(&self, target: &mut [f32], fresh: bool) {
        let Blocks { inner, outer, .. } = *self.blocks;
        let count = self.blocks.all() / self.together;
        let parts = if count >= 8 { 1 } else { (2..=8).rev().find(|p| inner % p == 0).unwrap_or(1) };
        let inputs = inner / parts;
        self.context.parallel.chunks(target, inputs * outer * self.together, |i, chunk| {
            self.part(i / parts * self.together, i % parts * inputs..(i % parts + 1) * inputs, chunk, fresh);
        });
    }

    /// Some rows of one block's gradient.
    fn part(&self, block: usize, inputs: Range<usize>, chunk: &mut [f32], fresh: bool) {
        let blocks = self.blocks;
        let (width, width_in) = (blocks.outer * self.together, blocks.width_in());
        let (rows, place) = blocks.rows_of(block, self.context);
        if rows.is_empty() && fresh {
            chunk.fill(0.0);
        }
        let column = if blocks.shared { 0 } else { place * blocks.inner };
        let mut panels = [0.0; DEPTH * COLUMNS];
        let mut tiles = [0.0; DEPTH * INPUTS];
        for first in rows.clone().step_by(DEPTH) {
            let depth = DEPTH.min(rows.end - first);
            let start = if fresh && first == rows.start { Start::Zero } else { Start::Add };
            for skip in (0..inputs.len()).step_by(INPUTS) {
                let count = INPUTS.min(inputs.len() - skip);
                let x = &self.x[first * width_in + column + inputs.start + skip..];
                tiles_of_columns(&mut tiles, x, width_in, (count, depth));
                for from in (0..width).step_by(COLUMNS) {
                    let taken = (width - from).min(COLUMNS);
                    let right = self.pack_gradient(first, depth, place * blocks.outer + from, taken, &mut panels);
                    let data = &mut chunk[skip * width + from..];
                    let mut out = Out { data, stride: width, rows: count };
                    multiply(Left::Tiles(&tiles), right, &mut out, Finish { start, relu: false });
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "two runs, of rows and of columns, and where they go")]
    fn pack_gradient<'p>(
        &self,
        first: usize,
        depth: usize,
        column: usize,
        width: usize,
        panels: &'p mut [f32],
    ) -> Packed<'p> {
        let stride = self.blocks.width_out();
        let data = &mut panels[..packed_len(depth, width)];
        product::pack(data, depth, width, |k, skip, into| {
            into.copy_from_slice(&self.gradient[(first + k) * stride + column + skip..][..into.len()]);
        });
        Packed::all(data, depth, width)
    }
}
