//! Gathering rows of a table, and adding rows into one. Each is the other's backward.

use super::{Context, Output, Sink};
use crate::graph::Node;
use crate::kernel::add_to;

/// `out[r] = table[index[r]]`.
///
/// # Panics
/// If an index is outside the table: a bug of the caller, who encodes the indices.
pub(super) fn gather(index: &[u32], node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let (table, width) = (context.view(node.inputs[0]), node.shape.width);
    for (out, &row) in out.chunks_exact_mut(width).zip(index) {
        out.copy_from_slice(&table[row as usize * width..][..width]);
    }
}

pub(super) fn gather_back(index: &[u32], node: &Node, output: Output<'_>, sink: &mut Sink<'_>) {
    if let Some(target) = sink.added(node.inputs[0]) {
        add_rows(index, node.shape.width, output.gradient, target);
    }
}

/// `out[index[r]] += x[r]`, from zero.
pub(super) fn scatter(index: &[u32], node: &Node, context: &Context<'_>, out: &mut [f32]) {
    out.fill(0.0);
    add_rows(index, node.shape.width, context.view(node.inputs[0]), out);
}

pub(super) fn scatter_back(
    index: &[u32],
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    debug_assert_eq!(index.len(), context.feed.rows);
    let width = node.shape.width;
    if let Some(target) = sink.added(node.inputs[0]) {
        for (target, &row) in target.chunks_exact_mut(width).zip(index) {
            add_to(target, &output.gradient[row as usize * width..][..width]);
        }
    }
}

fn add_rows(index: &[u32], width: usize, from: &[f32], to: &mut [f32]) {
    for (from, &row) in from.chunks_exact(width).zip(index) {
        add_to(&mut to[row as usize * width..][..width], from);
    }
}
