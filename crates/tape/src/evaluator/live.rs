//! Which columns of a value matter to the rows of each group. What a mixture weighs by a fixed 0 does not, nor does what
//! goes into that and nothing else.

use std::ops::Range;

use crate::graph::{Graph, LinearOp, Node, Op, Routing, Source};
use crate::value::{Block, Rows, Shape, Value};

/// For each value, `[groups, columns]` flags.
pub(super) struct Live {
    groups: usize,
    flags: Vec<Vec<bool>>,
}

impl Live {
    /// What matters to the outputs; `fixed` gives the elements of a value that the batch cannot change.
    pub(super) fn new<'f>(graph: &Graph, outputs: &[Value], fixed: impl Fn(Value) -> Option<&'f [f32]>) -> Live {
        let groups = graph.groups();
        let flags = graph.nodes().iter().map(|node| vec![false; groups * node.shape.width]).collect();
        let mut live = Live { groups, flags };
        for &output in outputs {
            (0..groups).for_each(|group| live.mark(output, group, 0..graph.shape(output).width));
        }
        for (index, node) in graph.nodes().iter().enumerate().rev() {
            let width = node.shape.width;
            let mut flags = std::mem::take(&mut live.flags[index]);
            // Rows of any group may have gone into it, a sum over rows for one, and any may read it.
            if node.shape.rows != Rows::Batch && flags.contains(&true) {
                flags.fill(true);
            }
            for group in 0..groups {
                let of_group = &flags[group * width..(group + 1) * width];
                if of_group.contains(&true) {
                    live.pass_on((graph, node), (group, of_group), &fixed);
                }
            }
            live.flags[index] = flags;
        }
        live
    }

    /// For each block that rows go through, the first group's, then the second's, ...: whether its result is not needed.
    /// Empty where all are.
    pub(super) fn unneeded(&self, graph: &Graph, (value, op): (Value, &LinearOp)) -> Vec<bool> {
        let outer = graph.shape(op.weight).width;
        let unneeded: Vec<bool> = self.flags[value.index()].chunks(outer).map(|block| !block.contains(&true)).collect();
        if unneeded.contains(&true) { unneeded } else { Vec::new() }
    }

    fn mark(&mut self, value: Value, group: usize, columns: Range<usize>) {
        let flags = &mut self.flags[value.index()];
        let width = flags.len() / self.groups;
        flags[group * width + columns.start..group * width + columns.end].fill(true);
    }

    /// Marks what the live columns of an operator's result are made from.
    fn pass_on<'f>(
        &mut self,
        (graph, node): (&Graph, &Node),
        (group, live): (usize, &[bool]),
        fixed: &impl Fn(Value) -> Option<&'f [f32]>,
    ) {
        let runs = |size: usize| (0..live.len() / size).filter(move |run| live[run * size..][..size].contains(&true));
        match &node.op {
            Op::Mixture { outputs, width } => {
                let weights = fixed(node.inputs[0]).map(|weights| row_of(graph.shape(node.inputs[0]), group, weights));
                for output in runs(*width) {
                    self.mixture((node.inputs[0], weights), (outputs, output), (group, *width));
                }
            }
            Op::Select { blocks, width } => {
                let Block { value, index } = blocks[group];
                self.mark(value, group, index * width..(index + 1) * width);
            }
            Op::Concat => {
                let mut start = 0;
                for &input in &node.inputs {
                    let width = graph.shape(input).width;
                    for column in (0..width).filter(|column| live[start + column]) {
                        self.mark(input, group, column..column + 1);
                    }
                    start += width;
                }
            }
            Op::Slice { start } => {
                runs(1).for_each(|column| self.mark(node.inputs[0], group, start + column..start + column + 1));
            }
            Op::Softmax { size, .. } => {
                runs(*size).for_each(|run| self.mark(node.inputs[0], group, run * size..(run + 1) * size));
            }
            Op::Linear(op) if op.source == Source::PerExpert => {
                let outer = graph.shape(op.weight).width;
                let taken = op.experts * if op.routing == Routing::All { op.groups } else { 1 };
                let inner = graph.shape(node.inputs[0]).width / taken;
                runs(outer).for_each(|run| self.mark(node.inputs[0], group, run * inner..(run + 1) * inner));
                node.inputs[1..].iter().for_each(|&input| self.mark(input, group, 0..graph.shape(input).width));
            }
            _ => node.inputs.iter().for_each(|&input| self.mark(input, group, 0..graph.shape(input).width)),
        }
    }

    /// Marks what one output of a mixture is made from.
    fn mixture(
        &mut self,
        (gate, weights): (Value, Option<&[f32]>),
        (outputs, output): (&[Vec<Block>], usize),
        (group, width): (usize, usize),
    ) {
        let first: usize = outputs[..output].iter().map(Vec::len).sum();
        self.mark(gate, group, first..first + outputs[output].len());
        for (place, &block) in outputs[output].iter().enumerate() {
            if weights.is_none_or(|weights| weights[first + place] != 0.0) {
                self.mark(block.value, group, block.index * width..(block.index + 1) * width);
            }
        }
    }
}

/// The row of a group, in a value of one row per group or one for all.
fn row_of(shape: Shape, group: usize, elements: &[f32]) -> &[f32] {
    let row = if shape.rows == Rows::Fixed(1) { 0 } else { group };
    &elements[row * shape.width..][..shape.width]
}
