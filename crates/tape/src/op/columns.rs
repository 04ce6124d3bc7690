//! Columns side by side, and runs of columns.

use super::{Context, Output, Sink};
use crate::graph::Node;
use crate::kernel::{add_to, vectorised};

pub(super) fn concat(node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let width = node.shape.width;
    let mut start = 0;
    for &input in &node.inputs {
        let (from, part) = (context.view(input), context.width(input));
        for (out, from) in out.chunks_exact_mut(width).zip(from.chunks_exact(part)) {
            out[start..start + part].copy_from_slice(from);
        }
        start += part;
    }
}

pub(super) fn concat_back((node, context): (&Node, &Context<'_>), output: Output<'_>, sink: &mut Sink<'_>) {
    let mut start = 0;
    for &input in &node.inputs {
        let part = context.width(input);
        if let Some(target) = sink.added(input) {
            add_columns(target, (part, 0), output.gradient, (node.shape.width, start), part);
        }
        start += part;
    }
}

pub(super) fn slice(start: usize, node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let (from, stride) = (context.view(node.inputs[0]), context.width(node.inputs[0]));
    let width = node.shape.width;
    for (out, from) in out.chunks_exact_mut(width).zip(from.chunks_exact(stride)) {
        out.copy_from_slice(&from[start..start + width]);
    }
}

pub(super) fn slice_back(
    start: usize,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    let width = node.shape.width;
    if let Some(target) = sink.added(node.inputs[0]) {
        add_columns(target, (context.width(node.inputs[0]), start), output.gradient, (width, 0), width);
    }
}

vectorised! {
    /// Adds `width` columns of one value to columns of another; each comes with its width and its first column.
    fn add_columns<'a>(
        to: &'a mut [f32],
        to_columns: (usize, usize),
        from: &'a [f32],
        from_columns: (usize, usize),
        width: usize,
    ) {
        let rows = to.chunks_exact_mut(to_columns.0).zip(from.chunks_exact(from_columns.0));
        for (to, from) in rows {
            add_to(&mut to[to_columns.1..][..width], &from[from_columns.1..][..width]);
        }
    }
}
