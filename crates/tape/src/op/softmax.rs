//! Softmax over runs of columns. Backward: `dx = y * (dy - <dy, y>)`.

use super::{Context, Output, RowMap, Sink};
use crate::graph::Node;
use crate::kernel::math::exp;
use crate::kernel::{dot, sum, vectorised};
use crate::value::Rows;

const ROWS: usize = 64;

pub(super) fn forward((size, mask): (usize, Option<&[bool]>), node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let x = context.view(node.inputs[0]);
    let width = node.shape.width;
    let grouped = mask.is_some_and(|mask| mask.len() != size);
    let rows = match node.shape.rows {
        _ if !grouped => RowMap::One,
        Rows::Batch => RowMap::Group(context.row_group),
        Rows::Fixed(_) => RowMap::Same,
    };
    context.parallel.chunks(out, ROWS * width, |i, chunk| {
        let x = &x[i * ROWS * width..][..chunk.len()];
        match mask {
            None => free((size, width), x, chunk),
            Some(mask) => masked((size, width), (mask, rows, i * ROWS), x, chunk),
        }
    });
}

pub(super) fn backward(size: usize, (node, context): (&Node, &Context<'_>), output: Output<'_>, sink: &mut Sink<'_>) {
    let Output { value, gradient } = output;
    let Some((target, fresh)) = sink.target(node.inputs[0]) else { return };
    let chunk = ROWS * node.shape.width;
    context.parallel.chunks(target, chunk, |i, target| {
        let part = i * chunk..i * chunk + target.len();
        back(size, (&value[part.clone()], &gradient[part]), fresh, target);
    });
}

vectorised! {
    fn free<'a>(shape: (usize, usize), x: &'a [f32], out: &'a mut [f32]) {
        for (x, out) in x.chunks_exact(shape.0).zip(out.chunks_exact_mut(shape.0)) {
            let mut highest = f32::NEG_INFINITY;
            for &x in x {
                highest = if x > highest { x } else { highest };
            }
            for (out, x) in out.iter_mut().zip(x) {
                *out = exp(x - highest);
            }
            let factor = 1.0 / sum(out);
            for out in out {
                *out *= factor;
            }
        }
    }
}

vectorised! {
    fn masked<'a>(shape: (usize, usize), mask: (&'a [bool], RowMap<'a>, usize), x: &'a [f32], out: &'a mut [f32]) {
        let ((size, width), (mask, rows, first)) = (shape, mask);
        for (i, (x, out)) in x.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate() {
            let keep = &mask[rows.at(first + i * size / width) * size..][..size];
            let mut highest = f32::NEG_INFINITY;
            for (&x, &keep) in x.iter().zip(keep) {
                highest = if keep && x > highest { x } else { highest };
            }
            for ((out, &x), &keep) in out.iter_mut().zip(x).zip(keep) {
                *out = if keep { exp(x - highest) } else { 0.0 };
            }
            let total = sum(out);
            if keep.contains(&true) {
                let factor = 1.0 / total;
                for out in out {
                    *out *= factor;
                }
            }
        }
    }
}

vectorised! {
    fn back<'a>(size: usize, output: (&'a [f32], &'a [f32]), fresh: bool, target: &'a mut [f32]) {
        let outputs = output.0.chunks_exact(size).zip(output.1.chunks_exact(size));
        for ((y, dy), target) in outputs.zip(target.chunks_exact_mut(size)) {
            let inner = dot(y, dy);
            for ((target, y), dy) in target.iter_mut().zip(y).zip(dy) {
                let gradient = y * (dy - inner);
                *target = if fresh { gradient } else { *target + gradient };
            }
        }
    }
}
