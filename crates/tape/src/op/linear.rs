//! Linear layers: one matrix, many experts at once, routed by group.
//!
//! Forward: `y = activation(x * W + b)` per block. Backward, with `dz = dy * activation'(y)`:
//! `dx = dz * W^T`, `dW = x^T * dz`, `db = sum of the rows of dz`.

#![expect(clippy::wildcard_enum_match_arm, reason = "activations without a copy of the loop of their own share one")]

use std::ops::Range;

use super::{Context, Output, Scratch, Sink};
use crate::buffer::{Buffer, LANE};
use crate::graph::{Activation, LinearOp, Node, Routing, Source};
use crate::kernel::math::{apply, slope};
use crate::kernel::product::{self, Finish, Left, Out, PAD, Packed, Start, multiply, packed_len, panel};
use crate::kernel::{add_to, vectorised};
use crate::parallel::ROW_BLOCK;
use crate::value::Rows;

/// Depth of one pass of a weight gradient, in rows of the batch.
const DEPTH: usize = 128;
/// Columns of one pass of a weight gradient.
const COLUMNS: usize = 128;
/// Row length of the local copy of up to 128 columns of x, in an odd number of cache lines.
const LOCAL: usize = 144;

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
            shared: op.source == Source::Shared,
            own: op.routing == Routing::Own && op.groups > 1,
            rows: node.shape.rows,
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
                Segment { rows: context.group_rows(self.rows, group), blocks: first..first + self.experts }
            } else {
                Segment { rows: 0..self.rows.count(context.feed.rows), blocks: 0..self.all() }
            }
        })
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
            (context.group_rows(self.rows, block / self.experts), block % self.experts)
        } else {
            (0..self.rows.count(context.feed.rows), block)
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

pub(super) fn forward(op: &LinearOp, node: &Node, context: &Context<'_>, out: &mut [f32], scratch: &mut Scratch) {
    pack(op, node, context, &mut scratch.packed);
    run(op, node, context, out, &scratch.packed);
}

/// Packs the weight for [`run`].
pub(crate) fn pack(op: &LinearOp, node: &Node, context: &Context<'_>, packed: &mut Buffer) {
    pack_forward(&Blocks::new(op, node, context), context.view(op.weight), context, packed);
}

/// The forward pass over a packed weight.
pub(crate) fn run(op: &LinearOp, node: &Node, context: &Context<'_>, out: &mut [f32], packed: &[f32]) {
    let blocks = Blocks::new(op, node, context);
    let x = context.view(node.inputs[0]);
    let bias = op.bias.map(|bias| context.view(bias));
    let size = packed_len(blocks.inner, blocks.unit_width());
    let (width_in, width_out, unit_width) = (blocks.width_in(), blocks.width_out(), blocks.unit_width());
    context.parallel.chunks(out, ROW_BLOCK * width_out, |i, chunk| {
        let first = i * ROW_BLOCK;
        let rows = first..first + chunk.len() / width_out;
        for segment in blocks.segments(context) {
            let (from, to) = (segment.rows.start.max(rows.start), segment.rows.end.min(rows.end));
            if from >= to {
                continue;
            }
            for unit in blocks.units(&segment) {
                let left = Left { data: &x[from * width_in + unit.column_in..], row: width_in, depth: 1 };
                let data = &packed[unit.index * size..][..size];
                let right = Packed::all(data, blocks.inner, unit_width);
                let start = bias.map_or(Start::Zero, |bias| {
                    Start::Bias(&bias[unit.blocks.start * blocks.outer..unit.blocks.end * blocks.outer])
                });
                let data = &mut chunk[(from - first) * width_out + unit.column_out..];
                let mut out = Out { data, stride: width_out, rows: to - from };
                multiply(left, right, &mut out, Finish { start, relu: op.activation == Activation::Relu });
            }
        }
        if !matches!(op.activation, Activation::Identity | Activation::Relu) {
            activate(op.activation, chunk);
        }
    });
}

pub(super) fn backward(
    op: &LinearOp,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
    scratch: &mut Scratch,
) {
    let blocks = Blocks::new(op, node, context);
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
        pack_backward(blocks, context.view(op.weight), context, packed);
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
        let left = Left { data: gradient, row: self.blocks.width_out(), depth: 1 };
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
    let padded = odd_lines(blocks.width_in());
    if shared {
        spread(x, blocks.width_in(), padded, context, &mut scratch.packed);
    }
    let together = if shared && !outer.is_multiple_of(COLUMNS / 2) { blocks.unit_blocks() } else { 1 };
    let weights = Weights { blocks, context, x, padded, spread: &scratch.packed, gradient, together };
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
    /// Row length of `spread`.
    padded: usize,
    /// Copy of a shared x with longer rows.
    spread: &'a [f32],
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
        let width = blocks.outer * self.together;
        let (rows, place) = blocks.rows_of(block, self.context);
        if rows.is_empty() && fresh {
            chunk.fill(0.0);
        }
        let mut panels = [0.0; DEPTH * COLUMNS];
        let mut local = [0.0; DEPTH * LOCAL];
        for first in rows.clone().step_by(DEPTH) {
            let depth = DEPTH.min(rows.end - first);
            let start = if fresh && first == rows.start { Start::Zero } else { Start::Add };
            let step = if blocks.shared { inputs.len() } else { COLUMNS };
            for skip in (0..inputs.len()).step_by(step) {
                let count = step.min(inputs.len() - skip);
                let column = inputs.start + skip;
                let left = if blocks.shared {
                    Left { data: &self.spread[first * self.padded + column..], row: 1, depth: self.padded }
                } else {
                    self.copy_columns(first..first + depth, place * blocks.inner + column, count, &mut local);
                    Left { data: &local, row: 1, depth: LOCAL }
                };
                for from in (0..width).step_by(COLUMNS) {
                    let taken = (width - from).min(COLUMNS);
                    let right = self.pack_gradient(first, depth, place * blocks.outer + from, taken, &mut panels);
                    let data = &mut chunk[skip * width + from..];
                    let mut out = Out { data, stride: width, rows: count };
                    multiply(left, right, &mut out, Finish { start, relu: false });
                }
            }
        }
    }

    fn copy_columns(&self, rows: Range<usize>, column: usize, count: usize, local: &mut [f32]) {
        let width = self.blocks.width_in();
        for (to, row) in local.chunks_exact_mut(LOCAL).zip(rows) {
            to[..count].copy_from_slice(&self.x[row * width + column..][..count]);
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

/// A row length of an odd number of cache lines: rows a power of two apart would all fall into few sets of the cache.
fn odd_lines(width: usize) -> usize {
    width.div_ceil(LANE) / 2 * 2 * LANE + LANE
}

/// Copies x with rows of `padded` elements.
fn spread(x: &[f32], width: usize, padded: usize, context: &Context<'_>, to: &mut Buffer) {
    to.resize(x.len() / width * padded);
    context.parallel.chunks(to, ROW_BLOCK * padded, |i, to| {
        for (to, x) in to.chunks_exact_mut(padded).zip(x[i * ROW_BLOCK * width..].chunks_exact(width)) {
            to[..width].copy_from_slice(x);
        }
    });
}

/// Packs every unit as `[in, columns of y]`.
fn pack_forward(blocks: &Blocks, weight: &[f32], context: &Context<'_>, packed: &mut Buffer) {
    let (inner, outer) = (blocks.inner, blocks.outer);
    pack_units(blocks, (inner, blocks.unit_width()), context, packed, |unit, skip, width, to| {
        product::pack(to, inner, width, |k, first, into| {
            let mut done = 0;
            while done < into.len() {
                let (block, column) = ((skip + first + done) / outer, (skip + first + done) % outer);
                let run = (outer - column).min(into.len() - done);
                let from = ((unit * blocks.unit_blocks() + block) * inner + k) * outer + column;
                into[done..done + run].copy_from_slice(&weight[from..from + run]);
                done += run;
            }
        });
    })
}

/// Packs every unit as `[columns of y, in]`.
fn pack_backward(blocks: &Blocks, weight: &[f32], context: &Context<'_>, packed: &mut Buffer) {
    let Blocks { inner, outer, .. } = *blocks;
    pack_units(blocks, (blocks.unit_width(), inner), context, packed, |unit, skip, width, to| {
        let from = &weight[unit * blocks.unit_blocks() * inner * outer..];
        pack_transposed((from, inner, outer), (skip, width, blocks.unit_blocks()), to);
    })
}

vectorised! {
    /// Packs columns `skip..skip + width` of the transposed blocks, one block below the other. A row of a block is
    /// read at once and spread over the depths.
    fn pack_transposed<'a>(weight: (&'a [f32], usize, usize), part: (usize, usize, usize), to: &'a mut [f32]) {
        let ((from, inner, outer), (skip, width, blocks)) = (weight, part);
        let full = panel();
        let mut rest = to;
        let mut first = 0;
        while first < width {
            let real = (width - first).min(full);
            let padded = real.next_multiple_of(PAD);
            let (panel, after) = rest.split_at_mut(blocks * outer * padded);
            for (block, panel) in panel.chunks_exact_mut(outer * padded).enumerate() {
                for column in 0..padded {
                    let row = (block * inner + skip + first + column) * outer;
                    let row = if column < real { &from[row..row + outer] } else { &[] };
                    for (k, to) in panel[column..].iter_mut().step_by(padded).enumerate() {
                        *to = if column < real { row[k] } else { 0.0 };
                    }
                }
            }
            first += real;
            rest = after;
        }
    }
}

/// Packs all units one after the other, panels in parallel: `part(unit, first column, columns, into)`.
fn pack_units(
    blocks: &Blocks,
    (depth, width): (usize, usize),
    context: &Context<'_>,
    packed: &mut Buffer,
    part: impl Fn(usize, usize, usize, &mut [f32]) + Sync,
) {
    let size = packed_len(depth, width);
    let units = blocks.unit_count();
    packed.resize(units * size);
    // Panels of equal size can be packed apart; else a unit is packed as a whole, unless it is the only one.
    let panel = panel();
    let apart = units == 1 || width.is_multiple_of(panel);
    let (chunk, per_unit) = if apart { (depth * panel, width.div_ceil(panel)) } else { (size, 1) };
    context.parallel.chunks(packed, chunk, |i, to| {
        let (unit, skip) = (i / per_unit, i % per_unit * panel);
        part(unit, skip, if apart { panel.min(width - skip) } else { width }, to);
    });
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

/// Some columns of the rows of a result.
type Columns<'a> = (&'a [f32], usize, Range<usize>);

vectorised! {
    /// `gradient *= activation'` in some columns, from the activation's result.
    fn mask<'a>(activation: Activation, value: Columns<'a>, gradient: &'a mut [f32]) {
        let (value, width, columns) = value;
        if activation == Activation::Identity {
            return;
        }
        for (gradient, value) in gradient.chunks_exact_mut(width).zip(value.chunks_exact(width)) {
            let (gradient, value) = (&mut gradient[columns.clone()], &value[columns.clone()]);
            if activation == Activation::Relu {
                for (g, y) in gradient.iter_mut().zip(value) {
                    *g = if *y > 0.0 { *g } else { 0.0 };
                }
            } else {
                gradient.iter_mut().zip(value).for_each(|(g, y)| *g *= slope(activation, *y, *y));
            }
        }
    }
}

vectorised! {
    /// As [`mask`], and adds each row of the gradient to `sums`.
    fn mask_and_sum<'a>(activation: Activation, value: Columns<'a>, gradient: &'a mut [f32], sums: &'a mut [f32]) {
        let (value, width, columns) = value;
        for (gradient, value) in gradient.chunks_exact_mut(width).zip(value.chunks_exact(width)) {
            let (gradient, value) = (&mut gradient[columns.clone()], &value[columns.clone()]);
            match activation {
                Activation::Identity => add_to(sums, gradient),
                Activation::Relu => {
                    for ((g, y), sum) in gradient.iter_mut().zip(value).zip(sums.iter_mut()) {
                        *g = if *y > 0.0 { *g } else { 0.0 };
                        *sum += *g;
                    }
                }
                other => {
                    for ((g, y), sum) in gradient.iter_mut().zip(value).zip(sums.iter_mut()) {
                        *g *= slope(other, *y, *y);
                        *sum += *g;
                    }
                }
            }
        }
    }
}
