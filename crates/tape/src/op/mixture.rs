//! Weighted mixtures of blocks, and the block of a row's own group.
//!
//! Mixture backward: `dgate[r, k] = <dout[r], block_k[r]>`, `dblock_k[r] = gate[r, k] * dout[r]`.

use super::{Context, Output, RowMap, Sink};
use crate::graph::Node;
use crate::kernel::{add_to, axpy, dot, vectorised};
use crate::value::{Block, Value};

const ROWS: usize = 32;

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
            let mut gates = mix.gate(row).iter();
            for (blocks, out) in mix.outputs.iter().zip(out.chunks_exact_mut(mix.width)) {
                for (k, (&block, &gate)) in blocks.iter().zip(&mut gates).enumerate() {
                    let block = mix.block(block, row);
                    if k == 0 {
                        for (out, x) in out.iter_mut().zip(block) {
                            *out = gate * x;
                        }
                    } else {
                        axpy(out, gate, block);
                    }
                }
            }
        }
    }
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
