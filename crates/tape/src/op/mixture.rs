//! Weighted mixtures of blocks, and the block of a row's own group.
//!
//! Mixture backward: `dgate[r, k] = <dout[r], block_k[r]>`, `dblock_k[r] = gate[r, k] * dout[r]`.

use super::{Context, Output, RowMap, Sink};
use crate::graph::Node;
use crate::kernel::{LANES, add_to, axpy, dot, fold, vectorised};
use crate::value::{Block, Value};

const ROWS: usize = 32;
/// Blocks that are added up at a time.
const GROUP: usize = 8;

/// A mixture as its loops see it.
#[derive(Clone, Copy)]
struct Mix<'a> {
    outputs: &'a [Vec<Block>],
    width: usize,
    gate: &'a [f32],
    gate_width: usize,
    gate_rows: RowMap<'a>,
    context: &'a Context<'a>,
}

impl<'a> Mix<'a> {
    fn new((outputs, width): (&'a [Vec<Block>], usize), node: &Node, context: &'a Context<'a>) -> Mix<'a> {
        let gate = node.inputs[0];
        let shape = context.graph.shape(gate);
        let gate_rows = context.row_map(shape.rows, node.shape.rows);
        Mix { outputs, width, gate: context.view(gate), gate_width: shape.width, gate_rows, context }
    }

    /// Row `row` of a block.
    #[inline(always)]
    fn block(&self, block: Block, row: usize) -> &'a [f32] {
        let start = row * self.context.width(block.value) + block.index * self.width;
        &self.context.view(block.value)[start..start + self.width]
    }

    /// The gate of a row.
    #[inline(always)]
    fn gate(&self, row: usize) -> &'a [f32] {
        &self.gate[self.gate_rows.at(row) * self.gate_width..][..self.gate_width]
    }

    fn out_width(&self) -> usize {
        self.outputs.len() * self.width
    }

    /// Whether the mixtures take every block of a value that is `width` wide, and none twice.
    fn takes_each_block_once(&self, width: usize) -> bool {
        let all = self.outputs.iter().flatten().map(|block| block.index);
        let count = self.outputs.iter().map(Vec::len).sum::<usize>();
        count * self.width == width && (0..count).all(|index| all.clone().any(|other| other == index))
    }
}

pub(super) fn forward(op: (&Vec<Vec<Block>>, usize), node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let mix = Mix::new((op.0, op.1), node, context);
    let size = ROWS * mix.out_width();
    context.parallel.chunks(out, size, |i, chunk| mix_rows(mix, i * ROWS, chunk));
}

pub(super) fn backward(
    op: (&Vec<Vec<Block>>, usize),
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    let mix = Mix::new((op.0, op.1), node, context);
    let gradient: &[f32] = output.gradient;
    if let &[gate, value] = &node.inputs[..]
        && mix.gate_rows.is_same()
        && let Some([gates, (blocks, fresh)]) = sink.both(gate, value)
    {
        let untouched = fresh && mix.takes_each_block_once(context.width(value));
        let sizes = (ROWS * mix.gate_width, ROWS * context.width(value));
        context.parallel.chunks2((gates.0, sizes.0), (blocks, sizes.1), |i, gates_of, blocks| {
            if fresh && !untouched {
                blocks.fill(0.0);
            }
            both_rows(mix, (i * ROWS, gates.1, untouched), gradient, gates_of, (blocks, context.width(value)));
        });
        return;
    }
    if let Some((target, fresh)) = sink.target(node.inputs[0]) {
        if mix.gate_rows.is_same() {
            context.parallel.chunks(target, ROWS * mix.gate_width, |i, chunk| {
                gate_rows(mix, (i * ROWS, fresh), gradient, chunk);
            });
        } else {
            if fresh {
                target.fill(0.0);
            }
            gate_shared(mix, gradient, target);
        }
    }
    for &value in &node.inputs[1..] {
        if let Some((target, fresh)) = sink.target(value) {
            context.parallel.chunks(target, ROWS * context.width(value), |i, chunk| {
                block_rows(mix, value, (i * ROWS, fresh), gradient, chunk);
            });
        }
    }
}

vectorised! {
    fn mix_rows<'a>(mix: Mix<'a>, first: usize, out: &'a mut [f32]) {
        for (i, out) in out.chunks_exact_mut(mix.out_width()).enumerate() {
            let row = first + i;
            let mut gates = mix.gate(row);
            for (blocks, out) in mix.outputs.iter().zip(out.chunks_exact_mut(mix.width)) {
                let (own, rest) = gates.split_at(blocks.len());
                gates = rest;
                for (some, (blocks, gates)) in blocks.chunks(GROUP).zip(own.chunks(GROUP)).enumerate() {
                    mix_group(mix, row, (blocks, gates), (out, some > 0));
                }
            }
        }
    }
}

/// Adds a few blocks, or begins with them: columns stay in registers from the first block to the last.
#[inline(always)]
fn mix_group(mix: Mix<'_>, row: usize, (blocks, gates): (&[Block], &[f32]), (out, add): (&mut [f32], bool)) {
    let mut of_gate = [0.0; GROUP];
    let count = blocks.len().min(GROUP);
    let mut slices: [&[f32]; GROUP] = [&[]; GROUP];
    for k in 0..count {
        slices[k] = mix.block(blocks[k], row);
        of_gate[k] = gates[k];
    }
    let (columns, rest) = out.as_chunks_mut::<LANES>();
    for (at, out) in columns.iter_mut().enumerate() {
        let mut sums = if add { *out } else { [0.0; LANES] };
        for k in 0..count {
            let x = &slices[k][at * LANES..][..LANES];
            for lane in 0..LANES {
                sums[lane] += of_gate[k] * x[lane];
            }
        }
        *out = sums;
    }
    for (at, out) in (columns.len() * LANES..).zip(rest) {
        let mut sum = if add { *out } else { 0.0 };
        for k in 0..count {
            sum += of_gate[k] * slices[k][at];
        }
        *out = sum;
    }
}

vectorised! {
    /// Gradients of gates and blocks in one pass over both.
    fn both_rows<'a>(
        mix: Mix<'a>,
        at: (usize, bool, bool),
        gradient: &'a [f32],
        gates: &'a mut [f32],
        targets: (&'a mut [f32], usize),
    ) {
        let (first, gates_fresh, untouched) = at;
        let (targets, width) = targets;
        for (i, (gates, target)) in gates.chunks_exact_mut(mix.gate_width).zip(targets.chunks_exact_mut(width)).enumerate() {
            let row = first + i;
            let gradient = &gradient[row * mix.out_width()..][..mix.out_width()];
            let mut pairs = mix.gate(row).iter().zip(gates);
            for (blocks, gradient) in mix.outputs.iter().zip(gradient.chunks_exact(mix.width)) {
                for (&block, (&gate, of_gate)) in blocks.iter().zip(&mut pairs) {
                    let target = &mut target[block.index * mix.width..][..mix.width];
                    let product = both(gate, gradient, mix.block(block, row), (target, !untouched));
                    *of_gate = if gates_fresh { product } else { *of_gate + product };
                }
            }
        }
    }
}

/// `target (+)= gate * gradient`; returns `<gradient, x>`.
#[inline(always)]
fn both(gate: f32, gradient: &[f32], x: &[f32], (target, add): (&mut [f32], bool)) -> f32 {
    let mut sums = [0.0; LANES];
    let ((g, g_rest), (x, x_rest)) = (gradient.as_chunks::<LANES>(), x.as_chunks::<LANES>());
    let (t, t_rest) = target.as_chunks_mut::<LANES>();
    for ((g, x), t) in g.iter().zip(x).zip(t) {
        for lane in 0..LANES {
            sums[lane] += g[lane] * x[lane];
            t[lane] = if add { t[lane] + gate * g[lane] } else { gate * g[lane] };
        }
    }
    let mut tail = 0.0;
    for ((g, x), t) in g_rest.iter().zip(x_rest).zip(t_rest) {
        tail += g * x;
        *t = if add { *t + gate * g } else { gate * g };
    }
    fold(sums) + tail
}

vectorised! {
    fn gate_rows<'a>(mix: Mix<'a>, at: (usize, bool), gradient: &'a [f32], target: &'a mut [f32]) {
        let (first, fresh) = at;
        for (i, target) in target.chunks_exact_mut(mix.gate_width).enumerate() {
            let row = first + i;
            let gradient = &gradient[row * mix.out_width()..][..mix.out_width()];
            let mut targets = target.iter_mut();
            for (blocks, gradient) in mix.outputs.iter().zip(gradient.chunks_exact(mix.width)) {
                for (&block, target) in blocks.iter().zip(&mut targets) {
                    let product = dot(gradient, mix.block(block, row));
                    *target = if fresh { product } else { *target + product };
                }
            }
        }
    }
}

vectorised! {
    fn gate_shared<'a>(mix: Mix<'a>, gradient: &'a [f32], target: &'a mut [f32]) {
        for (row, gradient) in gradient.chunks_exact(mix.out_width()).enumerate() {
            let target = &mut target[mix.gate_rows.at(row) * mix.gate_width..][..mix.gate_width];
            let mut targets = target.iter_mut();
            for (blocks, gradient) in mix.outputs.iter().zip(gradient.chunks_exact(mix.width)) {
                for (&block, target) in blocks.iter().zip(&mut targets) {
                    *target += dot(gradient, mix.block(block, row));
                }
            }
        }
    }
}

vectorised! {
    fn block_rows<'a>(mix: Mix<'a>, value: Value, at: (usize, bool), gradient: &'a [f32], target: &'a mut [f32]) {
        let (first, fresh) = at;
        let width = mix.context.width(value);
        for (i, target) in target.chunks_exact_mut(width).enumerate() {
            let row = first + i;
            if fresh {
                target.fill(0.0);
            }
            let gradient = &gradient[row * mix.out_width()..][..mix.out_width()];
            let mut gates = mix.gate(row).iter();
            for (blocks, gradient) in mix.outputs.iter().zip(gradient.chunks_exact(mix.width)) {
                for (block, &gate) in blocks.iter().zip(&mut gates) {
                    if block.value == value {
                        axpy(&mut target[block.index * mix.width..][..mix.width], gate, gradient);
                    }
                }
            }
        }
    }
}

pub(super) fn select((blocks, width): (&Vec<Block>, usize), node: &Node, context: &Context<'_>, out: &mut [f32]) {
    for (group, block) in blocks.iter().enumerate() {
        let (from, stride) = (context.view(block.value), context.width(block.value));
        for row in context.group_rows(node.shape.rows, group) {
            let block = &from[row * stride + block.index * width..][..width];
            out[row * width..][..width].copy_from_slice(block);
        }
    }
}

pub(super) fn select_back(
    (blocks, width): (&Vec<Block>, usize),
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    for &value in &node.inputs {
        let Some(target) = sink.added(value) else { continue };
        let stride = context.width(value);
        for (group, block) in blocks.iter().enumerate().filter(|(_, block)| block.value == value) {
            for row in context.group_rows(node.shape.rows, group) {
                let target = &mut target[row * stride + block.index * width..][..width];
                add_to(target, &output.gradient[row * width..][..width]);
            }
        }
    }
}
