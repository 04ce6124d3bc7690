//! Elementwise functions, arithmetic with broadcasting, dropout and other noise.

#![expect(clippy::wildcard_enum_match_arm, reason = "activations without a copy of the loop of their own share one")]

use super::{Context, Output, RowMap, Sink};
use crate::graph::{Activation, Binary, Node};
use crate::kernel::math::{apply, slope};
use crate::kernel::{axpy, vectorised};
use crate::tape::Mode;
use crate::value::Value;

/// Elements that one task takes.
const PIECE: usize = 16 * 1024;

pub(super) fn activate(activation: Activation, node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let x = context.view(node.inputs[0]);
    context.parallel.chunks(out, PIECE, |i, out| apply_to(activation, &x[i * PIECE..][..out.len()], out));
}

pub(super) fn activate_back(
    activation: Activation,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    let x = context.view(node.inputs[0]);
    let Output { value, gradient } = output;
    let Some(target) = sink.added(node.inputs[0]) else { return };
    context.parallel.chunks(target, PIECE, |i, target| {
        let part = i * PIECE..i * PIECE + target.len();
        add_slope(activation, (&x[part.clone()], &value[part.clone()]), &gradient[part], target);
    });
}

pub(super) fn affine((scale, offset): (f32, f32), node: &Node, context: &Context<'_>, out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(context.view(node.inputs[0])) {
        *out = scale * x + offset;
    }
}

pub(super) fn affine_back(scale: f32, (node, _): (&Node, &Context<'_>), output: Output<'_>, sink: &mut Sink<'_>) {
    if let Some(target) = sink.added(node.inputs[0]) {
        axpy(target, scale, output.gradient);
    }
}

/// One side of a binary operator: its elements, how its rows stand beside the result's, and its width.
#[derive(Clone, Copy)]
struct Side<'a> {
    data: &'a [f32],
    rows: RowMap<'a>,
    width: usize,
}

impl<'a> Side<'a> {
    fn new(value: Value, node: &Node, context: &Context<'a>) -> Side<'a> {
        let shape = context.graph.shape(value);
        Side { data: context.view(value), rows: context.row_map(shape.rows, node.shape.rows), width: shape.width }
    }

    #[inline(always)]
    fn row(&self, row: usize) -> &'a [f32] {
        &self.data[self.rows.at(row) * self.width..][..self.width]
    }
}

/// Element `column` of a row that may be one column wide.
#[inline(always)]
fn at(row: &[f32], column: usize) -> f32 {
    if row.len() == 1 { row[0] } else { row[column] }
}

pub(super) fn binary(op: Binary, node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let (a, b) = (Side::new(node.inputs[0], node, context), Side::new(node.inputs[1], node, context));
    let width = node.shape.width;
    let rows = (PIECE / width).max(1);
    context.parallel.chunks(out, rows * width, |i, out| combine(op, (a, b), (i * rows, width), out));
}

pub(super) fn binary_back(op: Binary, (node, context): (&Node, &Context<'_>), output: Output<'_>, sink: &mut Sink<'_>) {
    let sides = (Side::new(node.inputs[0], node, context), Side::new(node.inputs[1], node, context));
    let width = node.shape.width;
    let gradient: &[f32] = output.gradient;
    for (left, input) in [(true, node.inputs[0]), (false, node.inputs[1])] {
        let Some(target) = sink.added(input) else { continue };
        let side = if left { sides.0 } else { sides.1 };
        if side.rows.is_same() {
            let rows = (PIECE / width).max(1);
            context.parallel.chunks(target, rows * side.width, |i, target| {
                let place = Place { first: i * rows, rows: RowMap::Same, width };
                combine_back((op, left), sides, place, gradient, target);
            });
        } else {
            let place = Place { first: 0, rows: side.rows, width };
            combine_back((op, left), sides, place, gradient, target);
        }
    }
}

/// Where the gradient of one side goes.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// First row of the result that counts.
    first: usize,
    /// Row of the target for each row of the result, counted from `first` where they are the same.
    rows: RowMap<'a>,
    /// Columns of the result.
    width: usize,
}

vectorised! {
    fn combine<'a>(op: Binary, sides: (Side<'a>, Side<'a>), place: (usize, usize), out: &'a mut [f32]) {
        let (first, width) = place;
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            let (a, b) = (sides.0.row(first + i), sides.1.row(first + i));
            for (column, out) in out.iter_mut().enumerate() {
                let (a, b) = (at(a, column), at(b, column));
                *out = match op {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::Div => a / b,
                };
            }
        }
    }
}

vectorised! {
    fn combine_back<'a>(
        op: (Binary, bool),
        sides: (Side<'a>, Side<'a>),
        place: Place<'a>,
        gradient: &'a [f32],
        target: &'a mut [f32],
    ) {
        let (op, left) = op;
        let own = if left { sides.0.width } else { sides.1.width };
        let count = if place.rows.is_same() { target.len() / own } else { gradient.len() / place.width };
        for i in 0..count {
            let row = place.first + i;
            let (a, b) = (sides.0.row(row), sides.1.row(row));
            let gradient = &gradient[row * place.width..][..place.width];
            let target = &mut target[place.rows.at(i) * own..][..own];
            for (column, gradient) in gradient.iter().enumerate() {
                let (a, b) = (at(a, column), at(b, column));
                let factor = match (op, left) {
                    (Binary::Add, _) | (Binary::Sub, true) => 1.0,
                    (Binary::Sub, false) => -1.0,
                    (Binary::Mul, true) => b,
                    (Binary::Mul, false) => a,
                    (Binary::Div, true) => 1.0 / b,
                    (Binary::Div, false) => -a / (b * b),
                };
                target[if own == 1 { 0 } else { column }] += gradient * factor;
            }
        }
    }
}

pub(super) fn dropout((rate, name): (f32, &str), node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let (x, width) = (context.view(node.inputs[0]), node.shape.width);
    let Mode::Train { seed } = context.mode else { return out.copy_from_slice(x) };
    let key = key(seed, name);
    let rows = (PIECE / width).max(1);
    context.parallel.chunks(out, rows * width, |i, out| {
        let x = &x[i * rows * width..][..out.len()];
        drop_rows((key, rate), (i * rows, width), x, out);
    });
}

pub(super) fn dropout_back(
    (rate, name): (f32, &str),
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    let Mode::Train { seed } = context.mode else {
        if let Some(target) = sink.added(node.inputs[0]) {
            axpy(target, 1.0, output.gradient);
        }
        return;
    };
    let (key, width) = (key(seed, name), node.shape.width);
    let rows = (PIECE / width).max(1);
    let Some(target) = sink.added(node.inputs[0]) else { return };
    let gradient: &[f32] = output.gradient;
    context.parallel.chunks(target, rows * width, |i, target| {
        let gradient = &gradient[i * rows * width..][..target.len()];
        add_dropped((key, rate), (i * rows, width), gradient, target);
    });
}

pub(super) fn concrete((temperature, name): (f32, &str), node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let (x, width) = (context.view(node.inputs[0]), node.shape.width);
    let Mode::Train { seed } = context.mode else { return out.copy_from_slice(x) };
    let key = key(seed, name);
    for (row, (x, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
        let row_key = mix64(key ^ row as u64);
        for (column, (x, out)) in x.iter().zip(out).enumerate() {
            // Never 0 or 1: 23 bits and a half.
            let u = ((hash(row_key, column as u32) >> 9) as f32 + 0.5) * (1.0 / 8_388_608.0);
            *out = (x + (u / (1.0 - u)).ln()) / temperature;
        }
    }
}

pub(super) fn concrete_back(
    temperature: f32,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    let factor = if matches!(context.mode, Mode::Train { .. }) { 1.0 / temperature } else { 1.0 };
    if let Some(target) = sink.added(node.inputs[0]) {
        axpy(target, factor, output.gradient);
    }
}

/// One number per (seed of the step, name of the stream).
fn key(seed: u64, name: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix64(name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, fold))
}

fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Factor of one element: 0 where it is dropped, else `1 / (1 - rate)`. Depends on nothing but its arguments.
#[inline(always)]
fn factor(row_key: u64, column: u32, rate: f32) -> f32 {
    let uniform = (hash(row_key, column) >> 8) as f32 * (1.0 / 16_777_216.0);
    if uniform < rate { 0.0 } else { 1.0 / (1.0 - rate) }
}

/// 32 random bits of one element.
#[inline(always)]
fn hash(row_key: u64, column: u32) -> u32 {
    let mut h = (row_key as u32) ^ column.wrapping_mul(0x9e37_79b1);
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13) ^ ((row_key >> 32) as u32)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

vectorised! {
    fn drop_rows<'a>(stream: (u64, f32), place: (usize, usize), x: &'a [f32], out: &'a mut [f32]) {
        let ((key, rate), (first, width)) = (stream, place);
        for (i, (x, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
            let row_key = mix64(key ^ (first + i) as u64);
            for (column, (x, out)) in x.iter().zip(out).enumerate() {
                *out = x * factor(row_key, column as u32, rate);
            }
        }
    }
}

vectorised! {
    fn add_dropped<'a>(stream: (u64, f32), place: (usize, usize), gradient: &'a [f32], target: &'a mut [f32]) {
        let ((key, rate), (first, width)) = (stream, place);
        for (i, (gradient, target)) in gradient.chunks_exact(width).zip(target.chunks_exact_mut(width)).enumerate() {
            let row_key = mix64(key ^ (first + i) as u64);
            for (column, (gradient, target)) in gradient.iter().zip(target).enumerate() {
                *target += gradient * factor(row_key, column as u32, rate);
            }
        }
    }
}

vectorised! {
    fn apply_to<'a>(activation: Activation, x: &'a [f32], out: &'a mut [f32]) {
        // One loop per function that vectorises, so that the choice stays outside of it.
        macro_rules! each {
            ($activation:expr) => {
                for (out, x) in out.iter_mut().zip(x) {
                    *out = apply($activation, *x);
                }
            };
        }
        match activation {
            Activation::Relu => each!(Activation::Relu),
            Activation::Sigmoid => each!(Activation::Sigmoid),
            Activation::Tanh => each!(Activation::Tanh),
            Activation::Gelu => each!(Activation::Gelu),
            Activation::Silu => each!(Activation::Silu),
            Activation::Exp => each!(Activation::Exp),
            other => each!(other),
        }
    }
}

vectorised! {
    fn add_slope<'a>(activation: Activation, at: (&'a [f32], &'a [f32]), gradient: &'a [f32], target: &'a mut [f32]) {
        macro_rules! each {
            ($activation:expr) => {
                for (((target, g), x), y) in target.iter_mut().zip(gradient).zip(at.0).zip(at.1) {
                    // No gradient stays none, even where the slope is infinite.
                    *target += if *g == 0.0 { 0.0 } else { g * slope($activation, *x, *y) };
                }
            };
        }
        match activation {
            Activation::Relu => each!(Activation::Relu),
            Activation::Sigmoid => each!(Activation::Sigmoid),
            Activation::Tanh => each!(Activation::Tanh),
            Activation::Gelu => each!(Activation::Gelu),
            Activation::Silu => each!(Activation::Silu),
            Activation::Exp => each!(Activation::Exp),
            other => each!(other),
        }
    }
}
