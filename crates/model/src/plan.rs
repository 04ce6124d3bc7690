//! Inference without the tape: from an encoded batch to probabilities.
//!
//! Weights are packed and constants folded once. Rows are scored in blocks of a fixed size, each row through the experts
//! and heads of its own scenario; those of other scenarios' heads are not in the graph of that row at all. Rows of an
//! unknown scenario go through the mean over scenarios.

use std::borrow::Cow;

use hinet_data::{Batch, UnknownScenario};
use hinet_tape::{Evaluator, Feed, Value, Workspace};
use rayon::prelude::*;

use crate::{Embeddings, Form, Model, Network};

/// Rows that are scored at once: enough to keep products busy, few enough that their values stay in the cache.
const BLOCK: usize = 128;

/// A model made ready for inference. Scoring does not change it: threads share one, each with a [`PlanWorkspace`].
#[derive(Debug)]
pub struct Plan<'a> {
    embeddings: Cow<'a, Embeddings>,
    own: Part,
    /// Only where the layout sends rows of unknown scenarios here.
    unknown: Option<Unknown>,
    scenarios: usize,
    tasks: usize,
}

/// How rows of an unknown scenario are scored.
#[derive(Debug)]
enum Unknown {
    /// By the network that takes the mean over scenarios.
    Mean(Box<Part>),
    /// By the mean of their scores in each scenario: where scenarios have tables of their own.
    InTurn,
}

/// One form of the network.
#[derive(Debug)]
struct Part {
    evaluator: Evaluator,
    form: Form,
    scores: Value,
}

impl Part {
    fn new(network: Network, model: &Model) -> Part {
        let Network { graph, form, scores, .. } = network;
        Part { evaluator: Evaluator::new(graph, model.params.clone(), &[scores]), form, scores }
    }
}

/// The buffers of one thread that scores, or of one call that scores on a pool. They grow to what is needed and stay.
#[derive(Debug, Default)]
pub struct PlanWorkspace {
    spans: Vec<Span>,
    /// Scores in one scenario of rows of an unknown one.
    turn: Vec<f32>,
}

/// The buffers of a run of blocks.
#[derive(Debug, Default)]
struct Span {
    x: Vec<f32>,
    offsets: Vec<usize>,
    own: Workspace,
    mean: Workspace,
}

impl<'a> Plan<'a> {
    /// A plan that reads the tables of `model` where they are.
    #[must_use]
    pub fn new(model: &'a Model) -> Plan<'a> {
        Plan::assemble(model, Cow::Borrowed(&model.embeddings))
    }

    fn assemble(model: &Model, embeddings: Cow<'a, Embeddings>) -> Plan<'a> {
        let unknown = (model.layout.unknown == UnknownScenario::Mean).then(|| {
            if model.config.tables.per_scenario() {
                return Unknown::InTurn;
            }
            let network = Network::record(&model.layout, &model.config, Form::Mean);
            Unknown::Mean(Box::new(Part::new(network.expect("the model was recorded before"), model)))
        });
        Plan {
            embeddings,
            own: Part::new(model.network.clone(), model),
            unknown,
            scenarios: model.layout.scenarios.len(),
            tasks: model.layout.tasks.len(),
        }
    }

    /// Scores a batch grouped by scenario: probabilities, `[rows, tasks]`, row r of `out` being row r of the batch.
    /// (`batch.position[r]` is its place before grouping.)
    ///
    /// Runs on the threads of the pool it is called in. Scores do not depend on that, nor on the other rows.
    ///
    /// # Panics
    /// If the batch is not grouped or comes from another encoder: bugs of the caller.
    pub fn score(&self, workspace: &mut PlanWorkspace, batch: &Batch, out: &mut Vec<f32>) {
        assert_eq!(batch.offsets.len(), self.scenarios + 2, "score: the batch is not grouped by scenario");
        out.resize(batch.rows * self.tasks, 0.0);
        let known = batch.offsets[self.scenarios];
        let (own, unknown) = out.split_at_mut(known * self.tasks);
        self.score_part(workspace, batch, (&self.own, 0, None), own);
        if unknown.is_empty() {
            return;
        }
        let how = self.unknown.as_ref().expect("an encoder gives unknown scenarios only where the layout says `mean`");
        match how {
            Unknown::Mean(mean) => self.score_part(workspace, batch, (mean, known, None), unknown),
            Unknown::InTurn => self.score_in_turn(workspace, batch, known, unknown),
        }
    }

    /// Scores the rows from `first` on as rows of each scenario in turn, and takes the mean.
    fn score_in_turn(&self, workspace: &mut PlanWorkspace, batch: &Batch, first: usize, out: &mut [f32]) {
        let mut turn = std::mem::take(&mut workspace.turn);
        turn.resize(out.len(), 0.0);
        out.fill(0.0);
        for scenario in 0..self.scenarios as u16 {
            self.score_part(workspace, batch, (&self.own, first, Some(scenario)), &mut turn);
            out.iter_mut().zip(&turn).for_each(|(sum, score)| *sum += score);
        }
        out.iter_mut().for_each(|sum| *sum /= self.scenarios as f32);
        workspace.turn = turn;
    }

    /// Tasks: columns of the scores.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// Scores the rows from `first` on, as many as `out` has, with one form of the network; where told so, as if all were
    /// of one scenario.
    fn score_part(
        &self,
        workspace: &mut PlanWorkspace,
        batch: &Batch,
        (part, first, as_if): (&Part, usize, Option<u16>),
        out: &mut [f32],
    ) {
        let blocks = (out.len() / self.tasks).div_ceil(BLOCK);
        let threads = if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 };
        let spans = threads.min(blocks).max(1);
        let span_rows = blocks.div_ceil(spans) * BLOCK;
        if workspace.spans.len() < spans {
            workspace.spans.resize_with(spans, Span::default);
        }
        let score = |(index, (span, out)): (usize, (&mut Span, &mut [f32]))| {
            for (block, out) in out.chunks_mut(BLOCK * self.tasks).enumerate() {
                self.score_block(span, batch, (part, first + index * span_rows + block * BLOCK, as_if), out);
            }
        };
        let size = (span_rows * self.tasks).max(1);
        if spans > 1 {
            let pairs = workspace.spans.par_iter_mut().zip(out.par_chunks_mut(size));
            pairs.enumerate().with_max_len(1).for_each(score);
        } else {
            workspace.spans.iter_mut().zip(out.chunks_mut(size)).enumerate().for_each(score);
        }
    }

    fn score_block(
        &self,
        span: &mut Span,
        batch: &Batch,
        (part, first, as_if): (&Part, usize, Option<u16>),
        out: &mut [f32],
    ) {
        let rows = out.len() / self.tasks;
        span.x.resize(rows * self.embeddings.width(), 0.0);
        self.embeddings.gather_rows(batch, first, as_if, &mut span.x);
        span.offsets.clear();
        let values = match (part.form, as_if) {
            (Form::Own | Form::Every, Some(scenario)) => {
                let rows_up_to = |scenarios: usize| if scenarios > usize::from(scenario) { rows } else { 0 };
                span.offsets.extend((0..=self.scenarios).map(rows_up_to));
                &mut span.own
            }
            (Form::Own | Form::Every, None) => {
                let within = |&offset: &usize| offset.clamp(first, first + rows) - first;
                span.offsets.extend(batch.offsets[..=self.scenarios].iter().map(within));
                &mut span.own
            }
            (Form::Mean, _) => {
                span.offsets.extend([0, rows]);
                &mut span.mean
            }
        };
        let feed = Feed { rows, offsets: &span.offsets, inputs: &[&span.x], indices: &[] };
        part.evaluator.run(values, &feed);
        out.copy_from_slice(part.evaluator.value(values, part.scores));
    }
}

impl Plan<'static> {
    /// A plan that owns its tables: for a server, which keeps no model beside it.
    #[must_use]
    pub fn owning(mut model: Model) -> Plan<'static> {
        let embeddings = std::mem::replace(&mut model.embeddings, Embeddings::empty());
        Plan::assemble(&model, Cow::Owned(embeddings))
    }
}
