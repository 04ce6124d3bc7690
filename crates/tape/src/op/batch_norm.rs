//! Batch norm over all rows, or over the rows of each group, with frozen or moving statistics.
//!
//! With `h = (x - mean) / deviation` and `g` the gradient after the gain: where the statistics are those of the rows,
//! `dx = (g - mean(g) - h * mean(g * h)) / deviation`; where they are saved ones, `dx = g / deviation`.

use std::ops::Range;

use super::{Context, Output, RowMap, Scratch, Sink};
use crate::graph::{BatchNormOp, Graph, Node, Op, Statistics};
use crate::kernel::vectorised;
use crate::parameter::Params;
use crate::tape::Mode;
use crate::value::Value;

/// Kept per part (a group, or the batch): the mean and 1 / deviation that were used, the unbiased variance of the
/// rows, and whether the statistics were those of the rows.
fn kept(width: usize) -> usize {
    3 * width + 1
}

fn parts(op: &BatchNormOp, graph: &Graph) -> usize {
    if op.per_group { graph.groups() } else { 1 }
}

fn part_rows(op: &BatchNormOp, node: &Node, context: &Context<'_>, part: usize) -> Range<usize> {
    if op.per_group { context.group_rows(node.shape.rows, part) } else { 0..context.feed.rows }
}

/// A gain or bias beside x.
#[derive(Clone, Copy)]
struct Side<'a> {
    data: &'a [f32],
    rows: RowMap<'a>,
}

impl<'a> Side<'a> {
    fn new(value: Value, node: &Node, context: &Context<'a>) -> Side<'a> {
        let rows = context.row_map(context.graph.shape(value).rows, node.shape.rows);
        Side { data: context.view(value), rows }
    }

    #[inline(always)]
    fn row(&self, row: usize, width: usize) -> &'a [f32] {
        &self.data[self.rows.at(row) * width..][..width]
    }
}

pub(super) fn forward(op: &BatchNormOp, node: &Node, context: &Context<'_>, out: &mut [f32], scratch: &mut Scratch) {
    let (x, width) = (context.view(node.inputs[0]), node.shape.width);
    let (mean, variance) = (context.view(op.mean), context.view(op.variance));
    let moving = matches!((op.statistics, context.mode), (Statistics::Moving { .. }, Mode::Train { .. }));
    scratch.saved.resize(parts(op, context.graph) * kept(width));
    let gain = op.gain.map(|value| Side::new(value, node, context));
    let bias = op.bias.map(|value| Side::new(value, node, context));
    for (part, saved) in scratch.saved.chunks_exact_mut(kept(width)).enumerate() {
        let rows = part_rows(op, node, context, part);
        let own = moving && rows.len() >= 2;
        if own {
            statistics(&x[rows.start * width..rows.end * width], width, op.epsilon, saved);
        } else {
            saved[..width].copy_from_slice(&mean[part * width..][..width]);
            for (inverse, variance) in saved[width..2 * width].iter_mut().zip(&variance[part * width..]) {
                *inverse = 1.0 / (variance + op.epsilon).sqrt();
            }
        }
        saved[3 * width] = if own { 1.0 } else { 0.0 };
        for row in rows {
            let at = row * width..(row + 1) * width;
            let gain = gain.map(|side| side.row(row, width));
            let bias = bias.map(|side| side.row(row, width));
            normalise(&x[at.clone()], saved, (gain, bias), &mut out[at]);
        }
    }
}

pub(super) fn backward(
    op: &BatchNormOp,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
    scratch: &mut Scratch,
) {
    let (x, width) = (context.view(node.inputs[0]), node.shape.width);
    let gradient = output.gradient;
    let Scratch { saved, partial, .. } = scratch;
    partial.resize(2 * width);
    for (value, is_gain) in [(op.gain, true), (op.bias, false)] {
        let Some(value) = value else { continue };
        let map = context.row_map(context.graph.shape(value).rows, node.shape.rows);
        let Some(target) = sink.added(value) else { continue };
        for (part, saved) in saved.chunks_exact(kept(width)).enumerate() {
            for row in part_rows(op, node, context, part) {
                let at = row * width..(row + 1) * width;
                let target = &mut target[map.at(row) * width..][..width];
                let saved = is_gain.then_some(saved);
                side_gradient(&x[at.clone()], saved, &gradient[at], target);
            }
        }
    }
    let Some(target) = sink.added(node.inputs[0]) else { return };
    if let Some(gain) = op.gain.map(|value| Side::new(value, node, context)) {
        for (row, gradient) in gradient.chunks_exact_mut(width).enumerate() {
            gradient.iter_mut().zip(gain.row(row, width)).for_each(|(gradient, gain)| *gradient *= gain);
        }
    }
    for (part, saved) in saved.chunks_exact(kept(width)).enumerate() {
        let rows = part_rows(op, node, context, part);
        let at = rows.start * width..rows.end * width;
        input_gradient((&x[at.clone()], saved), &gradient[at.clone()], partial, &mut target[at]);
    }
}

/// Moves the saved statistics after a training forward pass.
pub(crate) fn update(op: &BatchNormOp, graph: &Graph, scratch: &Scratch, params: &mut Params) {
    let Statistics::Moving { momentum } = op.statistics else { return };
    let width = graph.shape(op.mean).width;
    for (value, start) in [(op.mean, 0), (op.variance, 2 * width)] {
        let Op::Parameter { index } = graph.node(value).op else { unreachable!("checked while recording") };
        for (part, moved) in params.at_mut(index).chunks_exact_mut(width).enumerate() {
            let saved = &scratch.saved[part * kept(width)..][..kept(width)];
            if saved[3 * width] != 0.0 {
                for (moved, new) in moved.iter_mut().zip(&saved[start..start + width]) {
                    *moved = (1.0 - momentum) * *moved + momentum * new;
                }
            }
        }
    }
}

vectorised! {
    /// Mean, 1 / deviation and unbiased variance of the rows of x.
    fn statistics<'a>(x: &'a [f32], width: usize, epsilon: f32, saved: &'a mut [f32]) {
        let rows = (x.len() / width) as f32;
        let (mean, rest) = saved.split_at_mut(width);
        let (inverse, variance) = rest.split_at_mut(width);
        mean.fill(0.0);
        for x in x.chunks_exact(width) {
            mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += x);
        }
        mean.iter_mut().for_each(|mean| *mean /= rows);
        let variance = &mut variance[..width];
        variance.fill(0.0);
        for x in x.chunks_exact(width) {
            for ((variance, x), mean) in variance.iter_mut().zip(x).zip(mean.iter()) {
                *variance += (x - mean) * (x - mean);
            }
        }
        for (inverse, variance) in inverse.iter_mut().zip(variance) {
            *inverse = 1.0 / (*variance / rows + epsilon).sqrt();
            *variance /= rows - 1.0;
        }
    }
}

vectorised! {
    fn normalise<'a>(x: &'a [f32], saved: &'a [f32], sides: (Option<&'a [f32]>, Option<&'a [f32]>), out: &'a mut [f32]) {
        let (mean, rest) = saved.split_at(x.len());
        for (((out, x), mean), inverse) in out.iter_mut().zip(x).zip(mean).zip(rest) {
            *out = (x - mean) * inverse;
        }
        if let Some(gain) = sides.0 {
            out.iter_mut().zip(gain).for_each(|(out, gain)| *out *= gain);
        }
        if let Some(bias) = sides.1 {
            out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
        }
    }
}

vectorised! {
    /// One row's part of the gradient of a gain (with the statistics) or of a bias (without).
    fn side_gradient<'a>(x: &'a [f32], saved: Option<&'a [f32]>, gradient: &'a [f32], target: &'a mut [f32]) {
        let Some(saved) = saved else {
            target.iter_mut().zip(gradient).for_each(|(target, g)| *target += g);
            return;
        };
        let (mean, rest) = saved.split_at(x.len());
        for ((((target, g), x), mean), inverse) in target.iter_mut().zip(gradient).zip(x).zip(mean).zip(rest) {
            *target += g * (x - mean) * inverse;
        }
    }
}

vectorised! {
    fn input_gradient<'a>(
        input: (&'a [f32], &'a [f32]),
        gradient: &'a [f32],
        partial: &'a mut [f32],
        target: &'a mut [f32],
    ) {
        let (x, saved) = input;
        let width = partial.len() / 2;
        let (mean, inverse) = (&saved[..width], &saved[width..2 * width]);
        let (total, along) = partial.split_at_mut(width);
        total.fill(0.0);
        along.fill(0.0);
        let rows = x.len() / width;
        if saved[3 * width] != 0.0 {
            for (x, g) in x.chunks_exact(width).zip(gradient.chunks_exact(width)) {
                for c in 0..width {
                    total[c] += g[c];
                    along[c] += g[c] * (x[c] - mean[c]) * inverse[c];
                }
            }
            for c in 0..width {
                total[c] /= rows as f32;
                along[c] /= rows as f32;
            }
        }
        let pairs = x.chunks_exact(width).zip(gradient.chunks_exact(width));
        for ((x, g), target) in pairs.zip(target.chunks_exact_mut(width)) {
            for c in 0..width {
                target[c] += inverse[c] * (g[c] - total[c] - (x[c] - mean[c]) * inverse[c] * along[c]);
            }
        }
    }
}
