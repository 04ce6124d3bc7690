//! Inference without the tape: from an encoded batch to probabilities.
//!
//! Weights are packed and constants folded once. Rows are scored in blocks of a fixed size, each row through the experts
//! and heads of its own scenario; those of other scenarios' heads are not in the graph of that row at all. Rows of an
//! unknown scenario go through the mean over scenarios.
//!
//! A [`RequestPlan`] scores many items for one user, and computes once what the items have in common.

mod request;

use std::ops::Deref;
use std::sync::Arc;

use hinet_data::{Batch, UnknownScenario};
use hinet_tape::{Evaluator, Feed, Value, Workspace};
use rayon::prelude::*;

use crate::calibration::Correction;
use crate::{Embeddings, Form, Model, ModelError, Network};

use request::Request;
pub use request::RequestPlan;

/// Most rows that are scored at once: enough to keep products busy, few enough that their values stay in the cache.
const BLOCK: usize = 132;
/// Products take rows by so many at a time.
const TILE: usize = 6;

/// A model made ready for inference. Scoring does not change it: threads share one, each with a [`PlanWorkspace`].
#[derive(Debug)]
pub struct Plan<'a> {
    tables: Tables<'a>,
    own: Part,
    /// Only where the layout sends rows of unknown scenarios here.
    unknown: Option<Unknown>,
    /// Only where it changes scores.
    correction: Option<Correction>,
    scenarios: usize,
    tasks: usize,
}

/// Whose tables a plan reads.
#[derive(Debug)]
enum Tables<'a> {
    Borrowed(&'a Embeddings),
    Shared(Arc<Model>),
}

impl Deref for Tables<'_> {
    type Target = Embeddings;

    fn deref(&self) -> &Embeddings {
        match self {
            Tables::Borrowed(embeddings) => embeddings,
            Tables::Shared(model) => &model.embeddings,
        }
    }
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
    /// `common` are the columns of x that rows have in common, where they are those of requests.
    fn new(network: Network, model: &Model, common: Option<&[bool]>) -> Part {
        let Network { graph, form, scores, x, .. } = network;
        let (params, outputs) = (model.params.clone(), [scores]);
        let evaluator = match common {
            Some(common) => Evaluator::for_requests(graph, params, &outputs, (x, common)),
            None => Evaluator::new(graph, params, &outputs),
        };
        Part { evaluator, form, scores }
    }
}

/// Rows to be scored.
#[derive(Clone, Copy)]
enum Input<'b> {
    /// The rows of a batch; where told so, as if all were of one scenario.
    Rows(&'b Batch, Option<u16>),
    /// The items of a request.
    Items(&'b Request<'b>, Option<u16>),
}

impl Input<'_> {
    /// The scenario that all rows are taken to be of.
    fn as_if(&self) -> Option<u16> {
        match self {
            Input::Rows(_, as_if) | Input::Items(_, as_if) => *as_if,
        }
    }
}

/// What is scored, and by what.
#[derive(Clone, Copy)]
struct Job<'b> {
    part: &'b Part,
    input: Input<'b>,
    /// The first row of the input that is scored.
    first: usize,
    /// Whether scores are to be corrected: not where a mean of them is.
    corrects: bool,
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
    /// The columns of a request's user, in a row of x.
    user: Vec<f32>,
    offsets: Vec<usize>,
    own: Workspace,
    mean: Workspace,
}

impl<'a> Plan<'a> {
    /// A plan that reads the tables of `model` where they are.
    #[must_use]
    pub fn new(model: &'a Model) -> Plan<'a> {
        Plan::assemble(model, Tables::Borrowed(&model.embeddings), None)
    }

    /// A plan for requests: one user, and many items to be ranked for them. What is said of the user by the features of
    /// these names (with whatever else all items of a request share, such as the hour) is looked up and multiplied once per
    /// request, where the layers that read it allow that; see [`RequestPlan`].
    ///
    /// # Errors
    /// [`ModelError::BadOption`] for a name that is no feature of the model.
    pub fn for_requests(model: &'a Model, user_features: &[&str]) -> Result<RequestPlan<'a>, ModelError> {
        RequestPlan::new(model, Tables::Borrowed(&model.embeddings), user_features)
    }

    fn assemble(model: &Model, tables: Tables<'a>, common: Option<&[bool]>) -> Plan<'a> {
        let unknown = (model.layout.unknown == UnknownScenario::Mean).then(|| {
            if model.config.tables.per_scenario() {
                return Unknown::InTurn;
            }
            let network = Network::record(&model.layout, &model.config, Form::Mean);
            Unknown::Mean(Box::new(Part::new(network.expect("the model was recorded before"), model, common)))
        });
        Plan {
            tables,
            own: Part::new(model.network.clone(), model, common),
            unknown,
            correction: Correction::of(model),
            scenarios: model.layout.scenarios.len(),
            tasks: model.layout.tasks.len(),
        }
    }

    /// Scores a batch grouped by scenario: probabilities, `[rows, tasks]`, row r of `out` being row r of the batch.
    /// (`batch.position[r]` is its place before grouping.) They are corrected for negatives that train was spared, and
    /// calibrated where the model is: [`Calibration`](crate::Calibration).
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
        self.score_part(
            workspace,
            Job { part: &self.own, input: Input::Rows(batch, None), first: 0, corrects: true },
            own,
        );
        if !unknown.is_empty() {
            self.score_unknown(workspace, |scenario| Input::Rows(batch, scenario), known, unknown);
        }
    }

    /// Scores the rows from `first` on, whose scenarios are unknown; `input` takes them for rows of one.
    fn score_unknown<'b>(
        &self,
        workspace: &mut PlanWorkspace,
        input: impl Fn(Option<u16>) -> Input<'b>,
        first: usize,
        out: &mut [f32],
    ) {
        let how = self.unknown.as_ref().expect("an encoder gives unknown scenarios only where the layout says `mean`");
        match how {
            Unknown::Mean(mean) => {
                self.score_part(workspace, Job { part: mean, input: input(None), first, corrects: true }, out);
            }
            Unknown::InTurn => self.score_in_turn(workspace, input, first, out),
        }
    }

    /// Scores the rows from `first` on as rows of each scenario in turn, and takes the mean, which is then corrected.
    fn score_in_turn<'b>(
        &self,
        workspace: &mut PlanWorkspace,
        input: impl Fn(Option<u16>) -> Input<'b>,
        first: usize,
        out: &mut [f32],
    ) {
        let mut turn = std::mem::take(&mut workspace.turn);
        turn.resize(out.len(), 0.0);
        out.fill(0.0);
        for scenario in 0..self.scenarios as u16 {
            let job = Job { part: &self.own, input: input(Some(scenario)), first, corrects: false };
            self.score_part(workspace, job, &mut turn);
            out.iter_mut().zip(&turn).for_each(|(sum, score)| *sum += score);
        }
        out.iter_mut().for_each(|sum| *sum /= self.scenarios as f32);
        if let Some(correction) = &self.correction {
            correction.apply(self.scenarios, out);
        }
        workspace.turn = turn;
    }

    /// Multiply-adds that each row of a scenario is spared because of experts that it does not listen to; see
    /// [`Model::prune_san`]. 0 where the experts are single layers: those are computed side by side, for all rows.
    #[must_use]
    pub fn left_out(&self, scenario: usize) -> usize {
        self.own.evaluator.left_out(scenario)
    }

    /// The tables it reads.
    #[must_use]
    pub fn embeddings(&self) -> &Embeddings {
        &self.tables
    }

    /// Tasks: columns of the scores.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// Scores as many rows as `out` has, with one form of the network.
    fn score_part(&self, workspace: &mut PlanWorkspace, job: Job<'_>, out: &mut [f32]) {
        let rows = out.len() / self.tasks;
        let block_rows = block_rows(rows);
        let blocks = rows.div_ceil(block_rows);
        let threads = if rayon::current_thread_index().is_some() { rayon::current_num_threads() } else { 1 };
        let spans = threads.min(blocks).max(1);
        let span_rows = blocks.div_ceil(spans) * block_rows;
        if workspace.spans.len() < spans {
            workspace.spans.resize_with(spans, Span::default);
        }
        let score = |(index, (span, out)): (usize, (&mut Span, &mut [f32]))| {
            for (block, out) in out.chunks_mut(block_rows * self.tasks).enumerate() {
                let first = job.first + index * span_rows + block * block_rows;
                self.score_block(span, Job { first, ..job }, block == 0, out);
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

    /// Scores a block; `begins` says whether the span scored none of its rows before.
    fn score_block(&self, span: &mut Span, job: Job<'_>, begins: bool, out: &mut [f32]) {
        let Job { part, input, first, corrects } = job;
        let rows = out.len() / self.tasks;
        self.gather(span, input, (first, rows), begins);
        let Span { x, offsets, own, mean, .. } = span;
        offsets.clear();
        let values = match (part.form, input) {
            (Form::Mean, _) => {
                offsets.extend([0, rows]);
                mean
            }
            (Form::Own | Form::Every, Input::Rows(batch, None)) => {
                let within = |&offset: &usize| offset.clamp(first, first + rows) - first;
                offsets.extend(batch.offsets[..=self.scenarios].iter().map(within));
                own
            }
            (Form::Own | Form::Every, _) => {
                let scenario = input.as_if().map_or(0, usize::from);
                offsets.extend((0..=self.scenarios).map(|before| if before > scenario { rows } else { 0 }));
                own
            }
        };
        let feed = Feed { rows, offsets, inputs: &[x], indices: &[] };
        if begins {
            part.evaluator.run(values, &feed);
        } else {
            part.evaluator.run_more(values, &feed);
        }
        out.copy_from_slice(part.evaluator.value(values, part.scores));
        if let Some(correction) = self.correction.as_ref().filter(|_| corrects) {
            let first_group = if part.form == Form::Mean { self.scenarios } else { 0 };
            for (group, rows) in offsets.windows(2).enumerate() {
                let scores = &mut out[rows[0] * self.tasks..rows[1] * self.tasks];
                correction.apply(first_group + group, scores);
            }
        }
    }

    /// Looks up the dense input of so many rows.
    fn gather(&self, span: &mut Span, input: Input<'_>, (first, rows): (usize, usize), begins: bool) {
        span.x.resize(rows * self.tables.width(), 0.0);
        match input {
            Input::Rows(batch, as_if) => self.tables.gather_rows(batch, first, as_if, &mut span.x),
            Input::Items(request, as_if) => {
                if begins {
                    span.user.resize(self.tables.width(), 0.0);
                    request.gather_user(&self.tables, as_if, &mut span.user);
                }
                request.gather_items(&self.tables, (first, as_if), &span.user, &mut span.x);
            }
        }
    }
}

/// Rows of a block: blocks of nearly the same size, of whole tiles.
fn block_rows(rows: usize) -> usize {
    let blocks = rows.div_ceil(BLOCK).max(1);
    rows.div_ceil(blocks).next_multiple_of(TILE).max(TILE)
}

impl Plan<'static> {
    /// A plan that shares the tables of a model, and lives as long as it likes: for a server.
    #[must_use]
    pub fn sharing(model: &Arc<Model>) -> Plan<'static> {
        Plan::assemble(model, Tables::Shared(Arc::clone(model)), None)
    }

    /// As [`Plan::for_requests`], sharing the tables of a model.
    ///
    /// # Errors
    /// As [`Plan::for_requests`].
    pub fn sharing_for_requests(
        model: &Arc<Model>,
        user_features: &[&str],
    ) -> Result<RequestPlan<'static>, ModelError> {
        RequestPlan::new(model, Tables::Shared(Arc::clone(model)), user_features)
    }
}
