//! Layer norm over runs of columns.
//!
//! With `h = (x - mean) / deviation` and `g` the gradient after the gain:
//! `dx = (g - mean(g) - h * mean(g * h)) / deviation`.

use super::{Context, Output, RowMap, Scratch, Sink};
use crate::graph::Node;
use crate::kernel::{dot, sum, vectorised};
use crate::value::Value;

const EPSILON: f32 = 1e-5;
const ROWS: usize = 64;

/// Settings: which inputs are there, and columns of a run.
#[derive(Clone, Copy)]
pub(super) struct Op {
    pub(super) gain: bool,
    pub(super) bias: bool,
    pub(super) size: usize,
}

impl Op {
    fn gain(self, node: &Node) -> Option<Value> {
        self.gain.then(|| node.inputs[1])
    }

    fn bias(self, node: &Node) -> Option<Value> {
        self.bias.then(|| node.inputs[1 + usize::from(self.gain)])
    }
}

/// A gain or bias beside x; `fallback` where there is none.
#[derive(Clone, Copy)]
struct Side<'a> {
    data: &'a [f32],
    width: usize,
    rows: RowMap<'a>,
    fallback: f32,
}

impl<'a> Side<'a> {
    fn new(value: Option<Value>, fallback: f32, node: &Node, context: &Context<'a>) -> Side<'a> {
        match value {
            None => Side { data: &[], width: 0, rows: RowMap::One, fallback },
            Some(value) => {
                let shape = context.graph.shape(value);
                let rows = context.row_map(shape.rows, node.shape.rows);
                Side { data: context.view(value), width: shape.width, rows, fallback }
            }
        }
    }

    /// Where the part for columns `start..` of a row begins.
    #[inline(always)]
    fn start(&self, row: usize, column: usize, size: usize) -> usize {
        self.rows.at(row) * self.width + if self.width == size { 0 } else { column }
    }

    #[inline(always)]
    fn at(&self, start: usize, i: usize) -> f32 {
        if self.width == 0 { self.fallback } else { self.data[start + i] }
    }
}

#[derive(Clone, Copy)]
struct Frame<'a> {
    gain: Side<'a>,
    bias: Side<'a>,
    size: usize,
    width: usize,
}

impl<'a> Frame<'a> {
    fn new(op: Op, node: &Node, context: &Context<'a>) -> Frame<'a> {
        Frame {
            gain: Side::new(op.gain(node), 1.0, node, context),
            bias: Side::new(op.bias(node), 0.0, node, context),
            size: op.size,
            width: node.shape.width,
        }
    }

    /// Numbers kept per row: mean and 1 / deviation of each run.
    fn kept(&self) -> usize {
        2 * (self.width / self.size)
    }
}

pub(super) fn forward(op: Op, node: &Node, context: &Context<'_>, out: &mut [f32], scratch: &mut Scratch) {
    let (x, frame) = (context.view(node.inputs[0]), Frame::new(op, node, context));
    let (chunk, kept) = (ROWS * frame.width, ROWS * frame.kept());
    scratch.saved.resize(out.len() / frame.width * frame.kept());
    context.parallel.chunks2((out, chunk), (&mut scratch.saved, kept), |i, out, saved| {
        normalise(frame, i * ROWS, &x[i * chunk..][..out.len()], out, saved);
    });
}

pub(super) fn backward(
    op: Op,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
    scratch: &mut Scratch,
) {
    let (x, frame) = (context.view(node.inputs[0]), Frame::new(op, node, context));
    let (saved, gradient): (&[f32], &[f32]) = (&scratch.saved, output.gradient);
    if let Some(target) = sink.added(node.inputs[0]) {
        let chunk = ROWS * frame.width;
        context.parallel.chunks(target, chunk, |i, target| {
            let part = i * chunk..i * chunk + target.len();
            let saved = &saved[i * ROWS * frame.kept()..];
            input_gradient(frame, i * ROWS, (&x[part.clone()], saved), &gradient[part], target);
        });
    }
    for (value, side, is_gain) in [(op.gain(node), frame.gain, true), (op.bias(node), frame.bias, false)] {
        if let Some(target) = value.and_then(|value| sink.added(value)) {
            side_gradient(frame, (side, is_gain), (x, saved), gradient, target);
        }
    }
}

vectorised! {
    fn normalise<'a>(frame: Frame<'a>, first: usize, x: &'a [f32], out: &'a mut [f32], saved: &'a mut [f32]) {
        let (size, runs) = (frame.size, frame.width / frame.size);
        let pieces = x.chunks_exact(size).zip(out.chunks_exact_mut(size)).zip(saved.chunks_exact_mut(2));
        for (i, ((x, out), saved)) in pieces.enumerate() {
            let mean = sum(x) / size as f32;
            for (out, x) in out.iter_mut().zip(x) {
                *out = x - mean;
            }
            let inverse = 1.0 / (dot(out, out) / size as f32 + EPSILON).sqrt();
            saved.copy_from_slice(&[mean, inverse]);
            let (row, column) = (first + i / runs, i % runs * size);
            let (gain, bias) = (frame.gain.start(row, column, size), frame.bias.start(row, column, size));
            for (c, out) in out.iter_mut().enumerate() {
                *out = *out * inverse * frame.gain.at(gain, c) + frame.bias.at(bias, c);
            }
        }
    }
}

vectorised! {
    fn input_gradient<'a>(
        frame: Frame<'a>,
        first: usize,
        input: (&'a [f32], &'a [f32]),
        gradient: &'a [f32],
        target: &'a mut [f32],
    ) {
        let (size, runs) = (frame.size, frame.width / frame.size);
        let pieces = input.0.chunks_exact(size).zip(input.1.chunks_exact(2)).zip(gradient.chunks_exact(size));
        for (i, (((x, saved), gradient), target)) in pieces.zip(target.chunks_exact_mut(size)).enumerate() {
            let (mean, inverse) = (saved[0], saved[1]);
            let gain = frame.gain.start(first + i / runs, i % runs * size, size);
            let (mut total, mut along) = (0.0, 0.0);
            for (c, (x, g)) in x.iter().zip(gradient).enumerate() {
                let g = g * frame.gain.at(gain, c);
                total += g;
                along += g * (x - mean) * inverse;
            }
            let (total, along) = (total / size as f32, along / size as f32);
            for (c, ((x, g), target)) in x.iter().zip(gradient).zip(target).enumerate() {
                let g = g * frame.gain.at(gain, c);
                *target += inverse * (g - total - (x - mean) * inverse * along);
            }
        }
    }
}

vectorised! {
    fn side_gradient<'a>(
        frame: Frame<'a>,
        side: (Side<'a>, bool),
        input: (&'a [f32], &'a [f32]),
        gradient: &'a [f32],
        target: &'a mut [f32],
    ) {
        let (size, runs) = (frame.size, frame.width / frame.size);
        let (side, is_gain) = side;
        let pieces = input.0.chunks_exact(size).zip(input.1.chunks_exact(2)).zip(gradient.chunks_exact(size));
        for (i, ((x, saved), gradient)) in pieces.enumerate() {
            let start = side.start(i / runs, i % runs * size, size);
            for ((target, x), g) in target[start..start + size].iter_mut().zip(x).zip(gradient) {
                *target += if is_gain { g * (x - saved[0]) * saved[1] } else { *g };
            }
        }
    }
}
