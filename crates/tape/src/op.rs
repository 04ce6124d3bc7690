//! The operators: forward and backward side by side, one file per family.

#![expect(clippy::wildcard_enum_match_arm, reason = "what the arms do not name is computed by its own file")]

pub(crate) mod batch_norm;
mod columns;
mod elementwise;
mod layer_norm;
pub(crate) mod linear;
mod loss;
mod mixture;
mod reduce;
mod rows;
mod softmax;

use std::ops::Range;

use crate::buffer::Buffer;
use crate::graph::{Graph, Node, Op};
use crate::kernel::add_to;
use crate::parallel::Parallel;
use crate::parameter::{Gradients, Params};
use crate::tape::{Feed, Mode};
use crate::value::{Rows, Value};

/// What an operator keeps from forward to backward, and room to work in.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Written by forward, read by backward (statistics of a normalisation).
    pub(crate) saved: Buffer,
    /// Packed weights.
    pub(crate) packed: Buffer,
    /// Packed rows of the batch.
    pub(crate) tiles: Buffer,
    /// Partial sums.
    pub(crate) partial: Buffer,
    /// Rows that go through a stack of layers together.
    pub(crate) chunks: Vec<linear::stack::Chunk>,
}

/// What an operator may read.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) params: &'a Params,
    pub(crate) feed: Feed<'a>,
    pub(crate) mode: Mode,
    pub(crate) values: &'a [Buffer],
    /// Values computed before, where not empty.
    pub(crate) fixed: &'a [Buffer],
    pub(crate) row_group: &'a [u32],
    pub(crate) parallel: Parallel,
}

impl<'a> Context<'a> {
    /// The elements of a value.
    #[inline]
    pub(crate) fn view(&self, value: Value) -> &'a [f32] {
        match &self.graph.node(value).op {
            Op::Input { slot } => self.feed.inputs[*slot],
            Op::Parameter { index } => self.params.at(*index),
            Op::Constant { data } => data,
            _ => match self.fixed.get(value.index()) {
                Some(fixed) if !fixed.is_empty() => fixed,
                _ => &self.values[value.index()],
            },
        }
    }

    /// Columns of a value.
    #[inline]
    pub(crate) fn width(&self, value: Value) -> usize {
        self.graph.shape(value).width
    }

    /// Rows that belong to a group, in a value of these rows.
    pub(crate) fn group_rows(&self, rows: Rows, group: usize) -> Range<usize> {
        match rows {
            Rows::Batch => self.feed.offsets[group]..self.feed.offsets[group + 1],
            Rows::Fixed(_) => group..group + 1,
        }
    }

    /// Which row of a value of `from` rows stands beside each row of a value of `to` rows.
    pub(crate) fn row_map(&self, from: Rows, to: Rows) -> RowMap<'a> {
        match (from, to) {
            (from, to) if from == to => RowMap::Same,
            (Rows::Fixed(1), _) => RowMap::One,
            (Rows::Fixed(_), Rows::Batch) => RowMap::Group(self.row_group),
            (Rows::Fixed(rows), Rows::Fixed(_)) => RowMap::Repeated(rows),
            (Rows::Batch, _) => unreachable!("the graph refuses other rows"),
        }
    }
}

/// Which row of another value stands beside row r.
#[derive(Clone, Copy)]
pub(crate) enum RowMap<'a> {
    /// Row r.
    Same,
    /// Row 0.
    One,
    /// The row of r's group.
    Group(&'a [u32]),
    /// Row r of that many rows, repeated over and over.
    Repeated(usize),
}

impl RowMap<'_> {
    #[inline(always)]
    pub(crate) fn at(self, row: usize) -> usize {
        match self {
            RowMap::Same => row,
            RowMap::One => 0,
            RowMap::Group(groups) => groups[row] as usize,
            RowMap::Repeated(rows) => row % rows,
        }
    }

    /// Whether every row has a row of its own.
    pub(crate) fn is_same(self) -> bool {
        matches!(self, RowMap::Same)
    }
}

/// What an operator made, and the gradient that arrived for it (which the operator may overwrite).
pub(crate) struct Output<'a> {
    pub(crate) value: &'a [f32],
    pub(crate) gradient: &'a mut [f32],
}

/// Where gradients of inputs go.
pub(crate) struct Sink<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) values: &'a mut [Buffer],
    pub(crate) written: &'a mut [bool],
    pub(crate) params: &'a mut Gradients,
}

impl Sink<'_> {
    /// The gradient of a value, and whether the operator must overwrite it (true) or add to it. None where no
    /// gradient is needed. What is taken counts as written.
    pub(crate) fn target(&mut self, value: Value) -> Option<(&mut [f32], bool)> {
        let node = self.graph.node(value);
        if !node.needs_gradient {
            return None;
        }
        if let Op::Parameter { index } = node.op {
            let fresh = std::mem::replace(&mut self.params.fresh[index], false);
            return Some((self.params.at_mut(index), fresh));
        }
        let fresh = !std::mem::replace(&mut self.written[value.index()], true);
        Some((&mut self.values[value.index()], fresh))
    }

    /// The gradients of two values, as [`Sink::target`]. None where one needs none, is a parameter, or both are the same.
    pub(crate) fn both(&mut self, a: Value, b: Value) -> Option<[(&mut [f32], bool); 2]> {
        let held = |value: Value| {
            let node = self.graph.node(value);
            node.needs_gradient && !matches!(node.op, Op::Parameter { .. })
        };
        if !held(a) || !held(b) {
            return None;
        }
        let [first, second] = self.values.get_disjoint_mut([a.index(), b.index()]).ok()?;
        let mut fresh = |value: Value| !std::mem::replace(&mut self.written[value.index()], true);
        Some([(&mut first[..], fresh(a)), (&mut second[..], fresh(b))])
    }

    /// As [`Sink::target`], set to zero where it is fresh: the operator always adds.
    pub(crate) fn added(&mut self, value: Value) -> Option<&mut [f32]> {
        let (target, fresh) = self.target(value)?;
        if fresh {
            target.fill(0.0);
        }
        Some(target)
    }
}

/// Computes one operator.
pub(crate) fn forward(node: &Node, context: &Context<'_>, out: &mut [f32], scratch: &mut Scratch) {
    match &node.op {
        Op::Input { .. } | Op::Parameter { .. } | Op::Constant { .. } => {}
        Op::Linear(op) => linear::forward(op, node, context, out, scratch),
        Op::Activate(activation) => elementwise::activate(*activation, node, context, out),
        Op::Affine { scale, offset } => elementwise::affine((*scale, *offset), node, context, out),
        Op::Binary(op) => elementwise::binary(*op, node, context, out),
        Op::Dropout { rate, name } => elementwise::dropout((*rate, name), node, context, out),
        Op::Concrete { temperature, name } => elementwise::concrete((*temperature, name), node, context, out),
        Op::StopGradient | Op::Reshape => out.copy_from_slice(context.view(node.inputs[0])),
        Op::Softmax { size, mask } => softmax::forward((*size, mask.as_deref()), node, context, out),
        Op::Mixture { outputs, width } => mixture::forward((outputs, *width), node, context, out),
        Op::Select { blocks, width } => mixture::select((blocks, *width), node, context, out),
        Op::Concat => columns::concat(node, context, out),
        Op::Slice { start } => columns::slice(*start, node, context, out),
        Op::GatherRows { index } => rows::gather(context.feed.indices[index.index()], node, context, out),
        Op::ScatterRows { index } => rows::scatter(context.feed.indices[index.index()], node, context, out),
        Op::RowsOfGroup => rows::gather(context.row_group, node, context, out),
        Op::Reduce(reduction) => reduce::forward(*reduction, node, context, out),
        Op::LayerNorm { gain, bias, size } => {
            layer_norm::forward(layer_norm::Op { gain: *gain, bias: *bias, size: *size }, node, context, out, scratch);
        }
        Op::BatchNorm(op) => batch_norm::forward(op, node, context, out, scratch),
        Op::BceWithLogits => loss::bce(node, context, out),
        Op::Nll => loss::nll(node, context, out),
    }
}

/// Computes a stack of two linear operators: the second one, and the first one that makes its input.
pub(crate) fn stack_forward(
    (first, node): (Value, &Node),
    context: &Context<'_>,
    out: &mut [f32],
    rooms: &mut [Scratch],
    room: &mut Scratch,
) {
    let stack = stack_of((first, node), context.graph);
    let before = &mut rooms[first.index()];
    linear::stack::pack(stack.first, context, &mut before.packed);
    linear::stack::pack(stack.second.expect("there are two"), context, &mut room.packed);
    let Scratch { chunks, saved: hidden, tiles, packed, .. } = before;
    let keep = linear::stack::Room { chunks, hidden, tiles, keep: true };
    let operands = linear::Operands::all(stack.first.0, stack.first.1, context, packed);
    linear::stack::forward(stack, context, (out, keep), (operands, (&room.packed, &[])));
}

/// Sends the gradient of a stack's output to its inputs.
pub(crate) fn stack_backward(
    (first, node): (Value, &Node),
    context: &Context<'_>,
    output: &Output<'_>,
    sink: &mut Sink<'_>,
    (rooms, room): (&mut [Scratch], &mut Scratch),
) {
    let stack = stack_of((first, node), context.graph);
    linear::stack::backward(stack, context, output, sink, (&mut rooms[first.index()], room));
}

/// The stack that ends in this operator.
pub(crate) fn stack_of<'a>((first, node): (Value, &'a Node), graph: &'a Graph) -> linear::stack::Stack<'a> {
    let before = graph.node(first);
    let (Op::Linear(one), Op::Linear(two)) = (&before.op, &node.op) else {
        unreachable!("a stack is made of linear operators")
    };
    linear::stack::Stack { first: (one, before), second: Some((two, node)) }
}

/// Sends the gradient of one operator's output to its inputs.
pub(crate) fn backward(
    node: &Node,
    context: &Context<'_>,
    output: Output<'_>,
    sink: &mut Sink<'_>,
    scratch: &mut Scratch,
) {
    match &node.op {
        Op::Input { .. } | Op::Parameter { .. } | Op::Constant { .. } | Op::StopGradient => {}
        Op::Linear(op) => linear::backward(op, (node, context), output, sink, scratch),
        Op::Activate(activation) => elementwise::activate_back(*activation, (node, context), output, sink),
        Op::Affine { scale, .. } => elementwise::affine_back(*scale, (node, context), output, sink),
        Op::Binary(op) => elementwise::binary_back(*op, (node, context), output, sink),
        Op::Dropout { rate, name } => elementwise::dropout_back((*rate, name), (node, context), output, sink),
        Op::Concrete { temperature, .. } => elementwise::concrete_back(*temperature, (node, context), output, sink),
        Op::Softmax { size, .. } => softmax::backward(*size, (node, context), output, sink),
        Op::Mixture { outputs, width } => mixture::backward((outputs, *width), (node, context), output, sink),
        Op::Select { blocks, width } => mixture::select_back((blocks, *width), (node, context), output, sink),
        Op::Concat => columns::concat_back((node, context), output, sink),
        Op::Slice { start } => columns::slice_back(*start, (node, context), output, sink),
        Op::GatherRows { index } => rows::gather_back(context.feed.indices[index.index()], node, output, sink),
        Op::ScatterRows { index } => {
            rows::scatter_back(context.feed.indices[index.index()], (node, context), output, sink);
        }
        Op::RowsOfGroup => rows::gather_back(context.row_group, node, output, sink),
        Op::Reshape => {
            if let Some(target) = sink.added(node.inputs[0]) {
                add_to(target, output.gradient);
            }
        }
        Op::Reduce(reduction) => reduce::backward(*reduction, (node, context), output, sink),
        Op::LayerNorm { gain, bias, size } => {
            let op = layer_norm::Op { gain: *gain, bias: *bias, size: *size };
            layer_norm::backward(op, (node, context), output, sink, scratch);
        }
        Op::BatchNorm(op) => batch_norm::backward(op, (node, context), output, sink, scratch),
        Op::BceWithLogits => loss::bce_back((node, context), output, sink),
        Op::Nll => loss::nll_back((node, context), output, sink),
    }
}
