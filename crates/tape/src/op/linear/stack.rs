//! Banks of blocks that read the same x, with the layer that follows within each block: one pass over rows and blocks.
//!
//! What lies between the two layers, `h`, is as wide as all hidden layers of all experts together: the largest value of
//! a network. It is made and used block by block, in an order that is read and written straight through:
//!
//! | what | layout |
//! | --- | --- |
//! | rows of the batch | chunks of at most [`ROWS`] rows of one segment |
//! | h | `[chunks][blocks][rows of the chunk][width]` |
//! | dz of either layer | `[chunks][blocks]`, each packed as the right side of a product |
//! | columns of x | `[chunks]`, each packed as the left side of a product |
//!
//! The forward pass makes h and the result of a block while both are in the cache. The backward pass does the same
//! for the gradients of h and x, chunks side by side, and then sums up the gradients of weights, blocks side by side.
//! Chunks do not depend on the number of threads, so no result does.

mod backward;
mod chunks;
mod forward;

pub(in crate::op) use backward::backward;
pub(crate) use chunks::Chunk;
pub(crate) use forward::{Room, forward, pack};

use super::Blocks;
use crate::graph::{Graph, LinearOp, Node, Op, Source};
use crate::op::Context;
use crate::value::Value;

/// Most rows of a chunk. More of them read weights less often; fewer stay in the cache.
const ROWS: usize = 132;
/// Columns of a block from which on it is worth a product of its own.
const NARROW: usize = 32;
/// Blocks that a row goes through, from which on this way pays.
const FEW: usize = 4;

/// One layer, or two.
#[derive(Clone, Copy)]
pub(crate) struct Stack<'a> {
    pub(crate) first: (&'a LinearOp, &'a Node),
    pub(crate) second: Option<(&'a LinearOp, &'a Node)>,
}

/// How the tape runs a linear operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// By itself.
    Alone,
    /// Together with the one that follows.
    First,
    /// Together with the one that makes its input.
    Second(Value),
}

/// How each operator is run: [`Graph::stack`](crate::Graph::stack) says which ones may be run together.
pub(crate) fn places(graph: &Graph, may: impl Fn(Value) -> bool) -> Vec<Place> {
    let mut places = vec![Place::Alone; graph.nodes().len()];
    for value in graph.values() {
        if let Some(first) = first_of(graph, value)
            && may(first)
            && may(value)
        {
            places[first.index()] = Place::First;
            places[value.index()] = Place::Second(first);
        }
    }
    places
}

fn first_of(graph: &Graph, value: Value) -> Option<Value> {
    let Op::Linear(second) = &graph.node(value).op else { return None };
    let input = graph.node(value).inputs[0];
    let Op::Linear(first) = &graph.node(input).op else { return None };
    let alike = (first.groups, first.experts, first.routing) == (second.groups, second.experts, second.routing);
    let together = graph.is_hidden(input) && alike && second.source == Source::PerExpert;
    let wide = graph.shape(first.weight).width >= NARROW && graph.shape(second.weight).width >= NARROW;
    (together && first.source == Source::Shared && wide).then_some(input)
}

/// Whether the backward pass of a linear operator that stands alone goes this way.
pub(super) fn fits(op: &LinearOp, blocks: &Blocks, context: &Context<'_>) -> bool {
    let trains = context.graph.node(op.weight).needs_gradient;
    blocks.shared && blocks.taken() >= FEW && blocks.outer >= NARROW && trains
}

/// The blocks of a layer, each a unit of its own.
pub(super) fn apart(op: &LinearOp, node: &Node, context: &Context<'_>) -> Blocks {
    Blocks { shared: false, ..Blocks::new(op, node, context) }
}
