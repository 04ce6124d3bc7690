//! Runs a graph for inference: what the batch cannot change is computed once, weights are packed once, and only what
//! the outputs need is run.

#![expect(clippy::wildcard_enum_match_arm, reason = "operators without packed weights all run the same way")]

use crate::buffer::Buffer;
use crate::graph::{Graph, Op};
use crate::op::linear::stack::{self, Place};
use crate::op::{self, Context, Scratch};
use crate::parallel::Parallel;
use crate::parameter::Params;
use crate::tape::{Feed, Mode, check_feed, fill_groups};
use crate::value::Value;

/// A graph made ready for inference. It is not changed by running: threads share one, each with a [`Workspace`].
///
/// Runs on the threads of the pool it is called in; outside of a pool on the caller's. Scores do not depend on that.
#[derive(Debug)]
pub struct Evaluator {
    graph: Graph,
    params: Params,
    /// Values that the batch cannot change; empty for the others.
    fixed: Vec<Buffer>,
    /// Packed weights, per linear operator.
    packed: Vec<Scratch>,
    /// How linear operators are run.
    places: Vec<Place>,
    /// Operators to run for every batch.
    order: Vec<usize>,
}

/// The values of one batch. Buffers grow to the largest batch and are reused.
#[derive(Debug, Default)]
pub struct Workspace {
    values: Vec<Buffer>,
    scratch: Scratch,
    row_group: Vec<u32>,
}

impl Evaluator {
    /// Makes a graph ready to compute these outputs with these parameters.
    #[must_use]
    pub fn new(graph: Graph, params: Params, outputs: &[Value]) -> Evaluator {
        assert_eq!(params.specs().len(), graph.params().len(), "parameters of another graph");
        let nodes = graph.nodes().len();
        let moving = depends_on_batch(&graph);
        let needed = needed(&graph, outputs);
        let read = |value: Value| outputs.contains(&value);
        let known = |value| matches!(&graph.node(value).op, Op::Linear(op) if !moving[op.weight.index()]);
        let places = stack::places(&graph, |value| known(value) && !(graph.is_hidden(value) && read(value)));
        let order = (0..nodes).filter(|&index| {
            needed[index] && moving[index] && !is_input(&graph, index) && places[index] != Place::First
        });
        let mut evaluator = Evaluator {
            order: order.collect(),
            places,
            fixed: vec![Buffer::default(); nodes],
            packed: (0..nodes).map(|_| Scratch::default()).collect(),
            graph,
            params,
        };
        for index in (0..nodes).filter(|&index| needed[index] && !moving[index]) {
            evaluator.fold(index);
        }
        evaluator.pack();
        evaluator
    }

    /// The graph that is run.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Computes the outputs for one batch.
    ///
    /// # Panics
    /// If the feed does not fit the graph: a bug of the caller.
    pub fn run(&self, workspace: &mut Workspace, feed: &Feed<'_>) {
        check_feed(&self.graph, &self.params, feed);
        let Workspace { values, scratch, row_group } = workspace;
        values.resize_with(self.graph.nodes().len(), Buffer::default);
        fill_groups(row_group, feed);
        let parallel = Parallel::here();
        for &index in &self.order {
            let node = &self.graph.nodes()[index];
            let (before, rest) = values.split_at_mut(index);
            rest[0].resize(node.shape.len(feed.rows));
            let context = Context {
                graph: &self.graph,
                params: &self.params,
                feed: *feed,
                mode: Mode::Infer,
                values: before,
                fixed: &self.fixed,
                row_group,
                parallel,
            };
            match &node.op {
                Op::Linear(_) if let Place::Second(first) = self.places[index] => {
                    let Scratch { chunks, saved: hidden, tiles, .. } = &mut *scratch;
                    let room = stack::Room { chunks, hidden, tiles, keep: false };
                    let packed = (&self.packed[first.index()].packed[..], &self.packed[index].packed[..]);
                    stack::forward(op::stack_of((first, node), &self.graph), &context, (&mut rest[0], room), packed);
                }
                Op::Linear(op) if !self.packed[index].packed.is_empty() => {
                    op::linear::run(op, node, &context, (&mut rest[0], &mut scratch.tiles), &self.packed[index].packed);
                }
                _ => op::forward(node, &context, &mut rest[0], scratch),
            }
        }
    }

    /// The elements of an output after [`Evaluator::run`], row-major.
    ///
    /// # Panics
    /// If the value is an input: the caller has it.
    #[must_use]
    pub fn value<'a>(&'a self, workspace: &'a Workspace, value: Value) -> &'a [f32] {
        match &self.graph.node(value).op {
            Op::Input { .. } => panic!("value: an input is where the caller keeps it"),
            Op::Parameter { index } => self.params.at(*index),
            Op::Constant { data } => data,
            _ if !self.fixed[value.index()].is_empty() => &self.fixed[value.index()],
            _ => &workspace.values[value.index()],
        }
    }

    /// Computes a value that the batch cannot change.
    fn fold(&mut self, index: usize) {
        let node = &self.graph.nodes()[index];
        if matches!(node.op, Op::Parameter { .. } | Op::Constant { .. }) {
            return;
        }
        let (before, rest) = self.fixed.split_at_mut(index);
        rest[0].resize(node.shape.len(0));
        let offsets = [];
        let feed = Feed { rows: 0, offsets: &offsets, inputs: &[], indices: &[] };
        let context = Context {
            graph: &self.graph,
            params: &self.params,
            feed,
            mode: Mode::Infer,
            values: before,
            fixed: &[],
            row_group: &[],
            parallel: Parallel(false),
        };
        op::forward(node, &context, &mut rest[0], &mut Scratch::default());
    }

    /// Packs the weights of the linear operators, where they are known.
    fn pack(&mut self) {
        let feed = Feed { rows: 0, offsets: &[], inputs: &[], indices: &[] };
        let Evaluator { graph, params, fixed, packed, places, order } = self;
        let context = Context {
            graph,
            params,
            feed,
            mode: Mode::Infer,
            values: &[],
            fixed,
            row_group: &[],
            parallel: Parallel(false),
        };
        for &index in order.iter() {
            let node = &graph.nodes()[index];
            let Op::Linear(op) = &node.op else { continue };
            if let Place::Second(first) = places[index] {
                let stack = op::stack_of((first, node), graph);
                stack::pack(stack.first, &context, &mut packed[first.index()].packed);
                stack::pack((op, node), &context, &mut packed[index].packed);
                continue;
            }
            let weight = &graph.node(op.weight).op;
            let known = matches!(weight, Op::Parameter { .. } | Op::Constant { .. });
            if known || !fixed[op.weight.index()].is_empty() {
                op::linear::pack(op, node, &context, &mut packed[index].packed);
            }
        }
    }
}

fn is_input(graph: &Graph, index: usize) -> bool {
    matches!(graph.nodes()[index].op, Op::Input { .. })
}

/// Which values the batch can change.
fn depends_on_batch(graph: &Graph) -> Vec<bool> {
    let mut moving: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let own = matches!(node.op, Op::Input { .. } | Op::GatherRows { .. } | Op::RowsOfGroup);
        moving.push(own || node.inputs.iter().any(|input| moving[input.index()]));
    }
    moving
}

/// Which values the outputs need.
fn needed(graph: &Graph, outputs: &[Value]) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes().len()];
    for output in outputs {
        needed[output.index()] = true;
    }
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if needed[index] {
            node.inputs.iter().for_each(|input| needed[input.index()] = true);
        }
    }
    needed
}
