//! Runs a graph: forward, then backward.

#![expect(clippy::wildcard_enum_match_arm, reason = "all but constants keep their elements in the same place")]

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::buffer::Buffer;
use crate::graph::{Graph, Op};
use crate::op::linear::stack::{self, Place};
use crate::op::{self, Context, Scratch, Sink};
use crate::parallel::Parallel;
use crate::parameter::{Gradients, Params};
use crate::value::{Rows, Value};

/// One batch as the tape reads it.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// Rows of the batch.
    pub rows: usize,
    /// Rows of group `g` are `offsets[g]..offsets[g + 1]`; `groups + 1` numbers from 0 to `rows`.
    pub offsets: &'a [usize],
    /// The dense inputs in the order they were recorded, each `rows * width`.
    pub inputs: &'a [&'a [f32]],
    /// The index inputs in the order they were recorded, each `rows` long.
    pub indices: &'a [&'a [u32]],
}

/// Whether a pass trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout drops, noise is drawn and batch norm uses the statistics of the batch.
    Train {
        /// Seed of this step (already mixed with the step number).
        seed: u64,
    },
    /// Dropout and noise do nothing and batch norm uses the saved statistics.
    Infer,
}

/// Runs one graph over batches of any size. Buffers grow to the largest batch and are then reused: a step allocates
/// nothing.
///
/// With more than one thread the tape owns a pool. A caller who wants no allocation at all, or who has work of its
/// own for the threads, runs its whole loop inside [`Tape::pool`]'s `install`.
#[derive(Debug)]
pub struct Tape {
    graph: Graph,
    pool: Option<Arc<ThreadPool>>,
    state: State,
}

#[derive(Debug)]
struct State {
    values: Vec<Buffer>,
    gradients: Vec<Buffer>,
    written: Vec<bool>,
    scratch: Vec<Scratch>,
    places: Vec<Place>,
    row_group: Vec<u32>,
    mode: Mode,
    parallel: Parallel,
}

impl Tape {
    /// A tape for this graph on `threads` threads (at least one).
    ///
    /// # Panics
    /// If the system refuses to start the threads.
    #[must_use]
    pub fn new(graph: Graph, threads: usize) -> Tape {
        let build = || ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("tape-{i}")).build();
        let pool = (threads > 1).then(|| Arc::new(build().expect("the system starts threads")));
        Tape::assemble(graph, pool)
    }

    /// A tape that shares a pool. `None` is one thread: the caller's.
    #[must_use]
    pub fn with_pool(graph: Graph, pool: Option<Arc<ThreadPool>>) -> Tape {
        Tape::assemble(graph, pool)
    }

    fn assemble(graph: Graph, pool: Option<Arc<ThreadPool>>) -> Tape {
        let nodes = graph.nodes().len();
        let parallel = Parallel(pool.as_ref().is_some_and(|pool| pool.current_num_threads() > 1));
        let state = State {
            values: vec![Buffer::default(); nodes],
            gradients: vec![Buffer::default(); nodes],
            written: vec![false; nodes],
            scratch: (0..nodes).map(|_| Scratch::default()).collect(),
            places: stack::places(&graph, |value| trains(&graph, value)),
            row_group: Vec::new(),
            mode: Mode::Infer,
            parallel,
        };
        Tape { graph, pool, state }
    }

    /// The graph that is run.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The pool, where there is more than one thread.
    #[must_use]
    pub fn pool(&self) -> Option<Arc<ThreadPool>> {
        self.pool.clone()
    }

    /// Computes every value of the graph for one batch.
    ///
    /// # Panics
    /// If the feed does not fit the graph: a bug of the caller.
    pub fn forward(&mut self, params: &Params, feed: &Feed<'_>, mode: Mode) {
        check_feed(&self.graph, params, feed);
        let Tape { graph, pool, state } = self;
        match pool {
            Some(pool) => pool.install(|| state.forward(graph, params, feed, mode)),
            None => state.forward(graph, params, feed, mode),
        }
    }

    /// The elements of a value after [`Tape::forward`], row-major. Inputs and parameters are not copied: they are
    /// where the caller keeps them, and empty here.
    ///
    /// # Panics
    /// If the value is hidden in a [stack](Graph::stack).
    #[must_use]
    pub fn value(&self, value: Value) -> &[f32] {
        assert!(!self.graph.is_hidden(value), "value: it lies between the layers of a stack");
        match &self.graph.node(value).op {
            Op::Constant { data } => data,
            _ => &self.state.values[value.index()],
        }
    }

    /// Adds to `gradients` the gradient of `sum of factor * value` over the seeds (every element of a seed counts).
    /// May run several times after one forward pass, with the same parameters and feed.
    pub fn backward(&mut self, params: &Params, feed: &Feed<'_>, seeds: &[(Value, f32)], gradients: &mut Gradients) {
        check_feed(&self.graph, params, feed);
        assert_eq!(gradients.fresh.len(), self.graph.params().len(), "gradients of another graph");
        let Tape { graph, pool, state } = self;
        match pool {
            Some(pool) => pool.install(|| state.backward(graph, (params, feed), seeds, gradients)),
            None => state.backward(graph, (params, feed), seeds, gradients),
        }
    }

    /// Gradient of an input that asked for one, after [`Tape::backward`]: `rows * width`. Zeros where none arrived.
    ///
    /// # Panics
    /// If the value is not an input recorded with `gradient`.
    #[must_use]
    pub fn input_gradient(&self, value: Value) -> &[f32] {
        let node = self.graph.node(value);
        let asked = matches!(node.op, Op::Input { .. }) && node.needs_gradient;
        assert!(asked, "input_gradient: the value is not an input recorded with a gradient");
        &self.state.gradients[value.index()]
    }

    /// Moves the saved statistics of every moving batch norm by the last training forward pass.
    pub fn update_statistics(&self, params: &mut Params) {
        if matches!(self.state.mode, Mode::Train { .. }) {
            for (node, scratch) in self.graph.nodes().iter().zip(&self.state.scratch) {
                if let Op::BatchNorm(batch_norm) = &node.op {
                    op::batch_norm::update(batch_norm, &self.graph, scratch, params);
                }
            }
        }
    }
}

impl State {
    fn forward(&mut self, graph: &Graph, params: &Params, feed: &Feed<'_>, mode: Mode) {
        self.mode = mode;
        fill_groups(&mut self.row_group, feed);
        for (index, node) in graph.nodes().iter().enumerate() {
            let held = matches!(node.op, Op::Input { .. } | Op::Parameter { .. } | Op::Constant { .. });
            if held || self.places[index] == Place::First {
                continue;
            }
            let (before, rest) = self.values.split_at_mut(index);
            rest[0].resize(node.shape.len(feed.rows));
            let context = Context {
                graph,
                params,
                feed: *feed,
                mode,
                values: before,
                fixed: &[],
                row_group: &self.row_group,
                parallel: self.parallel,
            };
            let (rooms, room) = self.scratch.split_at_mut(index);
            match self.places[index] {
                Place::Second(first) => op::stack_forward((first, node), &context, &mut rest[0], rooms, &mut room[0]),
                Place::Alone | Place::First => op::forward(node, &context, &mut rest[0], &mut room[0]),
            }
        }
    }

    fn backward(
        &mut self,
        graph: &Graph,
        (params, feed): (&Params, &Feed<'_>),
        seeds: &[(Value, f32)],
        gradients: &mut Gradients,
    ) {
        for (index, node) in graph.nodes().iter().enumerate() {
            let parameter = matches!(node.op, Op::Parameter { .. });
            let kept = node.needs_gradient && !parameter && self.places[index] != Place::First;
            self.gradients[index].resize(if kept { node.shape.len(feed.rows) } else { 0 });
        }
        self.written.fill(false);
        for &(value, factor) in seeds {
            if let Some(target) = sink(graph, &mut self.gradients, &mut self.written, gradients).added(value) {
                target.iter_mut().for_each(|gradient| *gradient += factor);
            }
        }
        for (index, node) in graph.nodes().iter().enumerate().rev() {
            if !self.written[index] || matches!(node.op, Op::Input { .. } | Op::Parameter { .. }) {
                continue;
            }
            let context = Context {
                graph,
                params,
                feed: *feed,
                mode: self.mode,
                values: &self.values,
                fixed: &[],
                row_group: &self.row_group,
                parallel: self.parallel,
            };
            let (below, rest) = self.gradients.split_at_mut(index);
            let mut sink = sink(graph, below, &mut self.written, gradients);
            let output = op::Output { value: &self.values[index], gradient: &mut rest[0] };
            let (rooms, room) = self.scratch.split_at_mut(index);
            match self.places[index] {
                Place::Second(first) => {
                    op::stack_backward((first, node), &context, &output, &mut sink, (rooms, &mut room[0]));
                }
                Place::Alone | Place::First => op::backward(node, &context, output, &mut sink, &mut room[0]),
            }
        }
        for &input in graph.inputs() {
            if !self.written[input.index()] {
                self.gradients[input.index()].fill(0.0);
            }
        }
    }
}

/// Whether an operator trains its weight, as those must that the backward pass runs together.
fn trains(graph: &Graph, value: Value) -> bool {
    matches!(&graph.node(value).op, Op::Linear(op) if graph.node(op.weight).needs_gradient)
}

fn sink<'a>(
    graph: &'a Graph,
    values: &'a mut [Buffer],
    written: &'a mut [bool],
    params: &'a mut Gradients,
) -> Sink<'a> {
    Sink { graph, values, written, params }
}

/// Writes the group of each row.
pub(crate) fn fill_groups(row_group: &mut Vec<u32>, feed: &Feed<'_>) {
    row_group.resize(feed.rows, 0);
    for (group, range) in feed.offsets.windows(2).enumerate() {
        row_group[range[0]..range[1]].fill(u32::try_from(group).expect("fewer than 2^32 groups"));
    }
}

pub(crate) fn check_feed(graph: &Graph, params: &Params, feed: &Feed<'_>) {
    assert_eq!(params.specs().len(), graph.params().len(), "parameters of another graph");
    let offsets = feed.offsets;
    assert!(
        offsets.len() == graph.groups() + 1
            && offsets.first() == Some(&0)
            && offsets.last() == Some(&feed.rows)
            && offsets.is_sorted(),
        "feed: offsets {offsets:?} for {} rows in {} groups",
        feed.rows,
        graph.groups()
    );
    assert_eq!(feed.inputs.len(), graph.inputs().len(), "feed: number of inputs");
    for ((&input, name), data) in graph.inputs().iter().zip(graph.input_names()).zip(feed.inputs) {
        let shape = graph.shape(input);
        debug_assert_eq!(shape.rows, Rows::Batch);
        assert_eq!(data.len(), feed.rows * shape.width, "feed: input `{name}` for {} rows of {shape}", feed.rows);
    }
    assert_eq!(feed.indices.len(), graph.index_names().len(), "feed: number of index inputs");
    for (name, data) in graph.index_names().iter().zip(feed.indices) {
        assert_eq!(data.len(), feed.rows, "feed: index input `{name}`");
    }
}
