//! Runs a graph for inference: what the batch cannot change is computed once, weights are packed once, and only what
//! the outputs need is run.

#![expect(clippy::wildcard_enum_match_arm, reason = "operators without packed weights all run the same way")]

mod common;
mod live;

use self::live::Live;
use crate::buffer::Buffer;
use crate::graph::{Graph, LinearOp, Op, Source};
use crate::op::linear::Operands;
use crate::op::linear::request::{Part, Split};
use crate::op::linear::stack::{self, Place};
use crate::op::{self, Context, Scratch};
use crate::parallel::Parallel;
use crate::parameter::Params;
use crate::tape::{Feed, Mode, check_feed, fill_groups};
use crate::value::{Rows, Value};

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
    /// Whether batches are requests.
    requests: bool,
    /// Linear operators that compute a part once per request.
    splits: Vec<Option<Split>>,
    /// For each stack, which of the blocks that rows of each group go through they do not need; empty for none.
    unneeded: Vec<Vec<bool>>,
}

/// The values of one batch. Buffers grow to the largest batch and are reused.
#[derive(Debug, Default)]
pub struct Workspace {
    values: Vec<Buffer>,
    scratch: Scratch,
    row_group: Vec<u32>,
    /// What split operators computed of the request at hand.
    parts: Vec<Part>,
}

impl Evaluator {
    /// Makes a graph ready to compute these outputs with these parameters.
    #[must_use]
    pub fn new(graph: Graph, params: Params, outputs: &[Value]) -> Evaluator {
        Evaluator::assemble(graph, params, outputs, None)
    }

    /// As [`Evaluator::new`] for requests: batches whose rows are all of one group, and have the columns of `input` in
    /// common whose flag in `common` is set: those of the user, where rows are items. The part that common columns have in a
    /// product is computed once per request. Other batches are a bug of the caller; what the common columns of a request
    /// hold is read off its first row.
    #[must_use]
    pub fn for_requests(
        graph: Graph,
        params: Params,
        outputs: &[Value],
        (input, common): (Value, &[bool]),
    ) -> Evaluator {
        Evaluator::assemble(graph, params, outputs, Some((input, common)))
    }

    fn assemble(graph: Graph, params: Params, outputs: &[Value], common: Option<(Value, &[bool])>) -> Evaluator {
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
            requests: common.is_some(),
            splits: (0..nodes).map(|_| None).collect(),
            unneeded: vec![Vec::new(); nodes],
            graph,
            params,
        };
        for index in (0..nodes).filter(|&index| needed[index] && !moving[index]) {
            evaluator.fold(index);
        }
        evaluator.find_unneeded(outputs, &moving);
        let common = common.map(|common| common::columns(&evaluator.graph, &moving, common));
        evaluator.pack(common.as_deref().unwrap_or_default());
        evaluator
    }

    /// The graph that is run.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Multiply-adds that each row of a request is spared, because they are done once for all. 0: a request costs what any
    /// other batch does.
    #[must_use]
    pub fn spared(&self) -> usize {
        let context = self.context(NO_ROWS, &[], &[]);
        let splits = self.graph.nodes().iter().zip(&self.splits);
        let spared = splits.filter_map(|(node, split)| match (&node.op, split) {
            (Op::Linear(op), Some(split)) => Some(split.spared((op, node), &context)),
            _ => None,
        });
        spared.sum()
    }

    /// Multiply-adds that a row of a group is spared, because a mixture weighs what they would make by a fixed 0.
    #[must_use]
    pub fn left_out(&self, group: usize) -> usize {
        let stacks = self.graph.values().zip(&self.unneeded).filter(|(_, unneeded)| !unneeded.is_empty());
        let left_out = stacks.map(|(value, unneeded)| {
            let Place::Second(first) = self.places[value.index()] else {
                unreachable!("only stacks have unneeded blocks")
            };
            let taken = unneeded.len() / self.graph.groups();
            let blocks = unneeded[group * taken..][..taken].iter().filter(|&&unneeded| unneeded).count();
            let width = |value: Value| self.graph.shape(value).width;
            let (x, hidden, out) = (self.graph.node(first).inputs[0], width(first) / taken, width(value) / taken);
            blocks * hidden * (width(x) + out)
        });
        left_out.sum()
    }

    /// Computes the outputs for one batch, or for the first rows of a request.
    ///
    /// # Panics
    /// If the feed does not fit the graph, or is to be a request and has rows of several groups: bugs of the caller.
    pub fn run(&self, workspace: &mut Workspace, feed: &Feed<'_>) {
        self.run_rows(workspace, feed, true);
    }

    /// Computes the outputs for more rows of the request whose first rows this workspace was in [`Evaluator::run`] for.
    ///
    /// # Panics
    /// As [`Evaluator::run`].
    pub fn run_more(&self, workspace: &mut Workspace, feed: &Feed<'_>) {
        self.run_rows(workspace, feed, false);
    }

    fn run_rows(&self, workspace: &mut Workspace, feed: &Feed<'_>, first: bool) {
        check_feed(&self.graph, &self.params, feed);
        let groups = feed.offsets.windows(2).filter(|rows| rows[0] < rows[1]).count();
        assert!(!self.requests || groups <= 1, "a request with rows of {groups} groups");
        let Workspace { values, scratch, row_group, parts } = workspace;
        values.resize_with(self.graph.nodes().len(), Buffer::default);
        parts.resize_with(self.graph.nodes().len(), Part::default);
        fill_groups(row_group, feed);
        for &index in &self.order {
            let node = &self.graph.nodes()[index];
            let (before, rest) = values.split_at_mut(index);
            rest[0].resize(node.shape.len(feed.rows));
            let context = self.context(*feed, before, row_group);
            match &node.op {
                Op::Linear(op) if self.is_packed(index) => {
                    self.linear((index, op), &context, (&mut rest[0], scratch), (parts, first && feed.rows > 0));
                }
                _ => op::forward(node, &context, &mut rest[0], scratch),
            }
        }
    }

    /// Computes a linear operator, or the stack of two that ends in it, over packed weights.
    fn linear(
        &self,
        (index, op): (usize, &LinearOp),
        context: &Context<'_>,
        (out, scratch): (&mut Buffer, &mut Scratch),
        (parts, begins): (&mut [Part], bool),
    ) {
        let node = &self.graph.nodes()[index];
        let stack = match self.places[index] {
            Place::Second(first) => Some((op::stack_of((first, node), &self.graph), first.index())),
            Place::Alone | Place::First => None,
        };
        let (reader, at) = stack.map_or(((op, node), index), |(stack, first)| (stack.first, first));
        let packed = &self.packed[at].packed[..];
        let operands = match &self.splits[at] {
            None => Operands::all(reader.0, reader.1, context, packed),
            Some(split) => {
                if begins {
                    split.begin(reader, context, &mut parts[at]);
                }
                split.operands(reader.1, context, &mut parts[at], packed)
            }
        };
        let Scratch { chunks, saved: hidden, tiles, .. } = scratch;
        match stack {
            None => op::linear::run((op, node), context, (out, tiles), operands),
            Some((stack, _)) => {
                let room = stack::Room { chunks, hidden, tiles, keep: false };
                let second = (&self.packed[index].packed[..], &self.unneeded[index][..]);
                stack::forward(stack, context, (out, room), (operands, second));
            }
        }
    }

    fn is_packed(&self, index: usize) -> bool {
        !self.packed[index].packed.is_empty()
    }

    fn context<'a>(&'a self, feed: Feed<'a>, values: &'a [Buffer], row_group: &'a [u32]) -> Context<'a> {
        Context {
            graph: &self.graph,
            params: &self.params,
            feed,
            mode: Mode::Infer,
            values,
            fixed: &self.fixed,
            row_group,
            parallel: Parallel::here(),
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
        let context = Context {
            graph: &self.graph,
            params: &self.params,
            feed: NO_ROWS,
            mode: Mode::Infer,
            values: before,
            fixed: &[],
            row_group: &[],
            parallel: Parallel(false),
        };
        op::forward(node, &context, &mut rest[0], &mut Scratch::default());
    }

    /// Finds the blocks of stacks that rows do not need.
    fn find_unneeded(&mut self, outputs: &[Value], moving: &[bool]) {
        let context = self.context(NO_ROWS, &[], &[]);
        let live = Live::new(&self.graph, outputs, |value| (!moving[value.index()]).then(|| context.view(value)));
        let unneeded =
            self.graph.values().zip(&self.places).map(|(value, place)| match (&self.graph.node(value).op, place) {
                (Op::Linear(op), Place::Second(_)) => live.unneeded(&self.graph, (value, op)),
                _ => Vec::new(),
            });
        self.unneeded = unneeded.collect();
    }

    /// Packs the weights of the linear operators, where they are known. Columns that are `common` to the rows of a request
    /// are packed apart.
    fn pack(&mut self, common: &[Vec<bool>]) {
        let Evaluator { graph, params, fixed, packed, places, order, splits, .. } = self;
        let context = Context {
            graph,
            params,
            feed: NO_ROWS,
            mode: Mode::Infer,
            values: &[],
            fixed,
            row_group: &[],
            parallel: Parallel(false),
        };
        let mut pack = |index: usize, apart: bool| {
            let node = &graph.nodes()[index];
            let Op::Linear(op) = &node.op else { return };
            let packed = &mut packed[index].packed;
            if op.source == Source::Shared && node.shape.rows == Rows::Batch && !common.is_empty() {
                let common = &common[node.inputs[0].index()];
                splits[index] = Split::new((op, node), (common, apart), &context, packed);
            }
            match splits[index] {
                Some(_) => {}
                None if apart => stack::pack((op, node), &context, packed),
                None => op::linear::pack(op, node, &context, packed),
            }
        };
        for &index in order.iter() {
            let Op::Linear(op) = &graph.nodes()[index].op else { continue };
            let weight = &graph.node(op.weight).op;
            let known = matches!(weight, Op::Parameter { .. } | Op::Constant { .. });
            if let Place::Second(first) = places[index] {
                pack(first.index(), true);
                pack(index, true);
            } else if known || !fixed[op.weight.index()].is_empty() {
                pack(index, false);
            }
        }
    }
}

/// For what is computed before there is a batch.
const NO_ROWS: Feed<'static> = Feed { rows: 0, offsets: &[], inputs: &[], indices: &[] };

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
