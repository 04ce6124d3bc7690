//! Moves the rows of the tables that a batch touched.

use hinet_data::Batch;
use hinet_tape::{AdamRowStep, Buffer, OptimiserError, RowStep, adagrad_row, adam_row, row_wise_adagrad_row, sgd_row};
use rayon::prelude::*;

use super::config::{SparseOptimiserConfig, SparseOptimiserKind};
use super::touched::{Entry, Touched};
use super::{Embeddings, Placed, Table};
use crate::ModelError;

/// Touched rows that one task moves.
const RUN: usize = 256;
/// Rows whose memory is asked for at once.
const AHEAD: usize = 32;
/// Numbers in a cache line.
const LINE: usize = 16;

/// Sums the gradients of each table row that a batch touched and moves it; leaves all other rows alone.
///
/// A step runs on the threads of the pool it is called in, and gives the same bits on any number. It allocates nothing
/// once the largest batch was seen.
#[derive(Clone, Debug)]
pub struct SparseOptimiser {
    config: SparseOptimiserConfig,
    steps: u64,
    states: Vec<State>,
    touched: Vec<Touched>,
    scratch: Vec<Vec<f32>>,
}

/// What the rule remembers of one table; a part that it does not need is empty.
#[derive(Clone, Debug)]
struct State {
    names: [String; 2],
    parts: [Buffer; 2],
}

impl SparseOptimiser {
    /// An optimiser at its start.
    ///
    /// # Errors
    /// If the settings are refused by [`SparseOptimiserConfig::check`].
    pub fn new(config: &SparseOptimiserConfig, embeddings: &Embeddings) -> Result<SparseOptimiser, OptimiserError> {
        config.check()?;
        let tables = embeddings.tables.len();
        Ok(SparseOptimiser {
            config: config.clone(),
            steps: 0,
            states: embeddings.tables.iter().map(|table| State::new(config, table)).collect(),
            touched: vec![Touched::default(); tables],
            scratch: vec![Vec::new(); tables],
        })
    }

    /// Moves the rows that a batch touched against the gradient of the dense input, `[rows, width]`.
    ///
    /// # Panics
    /// If the embeddings or the batch are not those of this model, or the gradient has another size, or 2^32 numbers
    /// or more: bugs of the caller.
    pub fn step(&mut self, embeddings: &mut Embeddings, batch: &Batch, gradient: &[f32]) {
        assert_eq!(batch.features.len(), embeddings.features, "update: a batch of another encoder");
        assert_eq!(gradient.len(), batch.rows * embeddings.width, "update: {} rows", batch.rows);
        assert!(u32::try_from(gradient.len()).is_ok(), "update: a gradient of {} numbers", gradient.len());
        assert_eq!(embeddings.tables.len(), self.states.len(), "update: other tables");
        self.steps += 1;
        let rule = Rule::new(&self.config, self.steps);
        let slots = &embeddings.slots;
        let each = |(((table, state), touched), scratch): TableWork<'_>| {
            move_table(&rule, (table, state), (touched, scratch), (slots, batch, gradient));
        };
        let states = self.states.iter_mut();
        if super::in_pool() {
            let tables = embeddings.tables.par_iter_mut().zip(&mut self.states);
            tables.zip(&mut self.touched).zip(&mut self.scratch).with_max_len(1).for_each(each);
        } else {
            let tables = embeddings.tables.iter_mut().zip(states);
            tables.zip(&mut self.touched).zip(&mut self.scratch).for_each(each);
        }
    }

    /// Steps taken so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The state by name (`<table>/<part>`), for a checkpoint: `[rows, dim]` each, `[rows]` for row-wise Adagrad.
    #[must_use]
    pub fn state(&self) -> Vec<(&str, &[f32])> {
        let parts = self.states.iter().flat_map(|state| state.names.iter().zip(&state.parts));
        parts.filter(|(_, part)| !part.is_empty()).map(|(name, part)| (name.as_str(), &**part)).collect()
    }

    /// Takes up a state that [`SparseOptimiser::state`] gave, after `steps` steps.
    ///
    /// # Errors
    /// If a name or a length is not what this optimiser has.
    pub fn load_state(&mut self, steps: u64, state: &[(&str, &[f32])]) -> Result<(), ModelError> {
        for mine in &mut self.states {
            for (name, part) in mine.names.iter().zip(&mut mine.parts).filter(|(_, part)| !part.is_empty()) {
                let given = state.iter().find(|(other, _)| other == name).map(|(_, values)| *values);
                let found = given.map_or(0, <[f32]>::len);
                match given {
                    Some(values) if found == part.len() => part.copy_from_slice(values),
                    _ => return Err(ModelError::State { name: name.clone(), found, expected: part.len() }),
                }
            }
        }
        self.steps = steps;
        Ok(())
    }
}

type TableWork<'a> = (((&'a mut Table, &'a mut State), &'a mut Touched), &'a mut Vec<f32>);

impl State {
    fn new(config: &SparseOptimiserConfig, table: &Table) -> State {
        let (rows, all) = (table.spec.rows, table.values.len());
        let (names, lengths) = match config.optimiser {
            SparseOptimiserKind::Sgd => (["", ""], [0, 0]),
            SparseOptimiserKind::Adagrad => (["squares", ""], [all, 0]),
            SparseOptimiserKind::RowWiseAdagrad => (["squares", ""], [rows, 0]),
            SparseOptimiserKind::Adam => (["mean", "square"], [all, all]),
        };
        let mut parts = lengths.map(Buffer::zeros);
        if let Some(start) = config.initial_accumulator.filter(|&start| start != 0.0) {
            parts[0].fill(start);
        }
        State { names: names.map(|name| format!("{}/{name}", table.spec.name)), parts }
    }
}

/// One step's rule with its numbers.
enum Rule {
    Sgd(RowStep),
    Adagrad(RowStep),
    RowWise(RowStep),
    Adam(AdamRowStep),
}

impl Rule {
    fn new(config: &SparseOptimiserConfig, steps: u64) -> Rule {
        let step = RowStep { learning_rate: config.learning_rate, l2: config.l2, epsilon: config.epsilon() };
        match config.optimiser {
            SparseOptimiserKind::Sgd => Rule::Sgd(step),
            SparseOptimiserKind::Adagrad => Rule::Adagrad(step),
            SparseOptimiserKind::RowWiseAdagrad => Rule::RowWise(step),
            SparseOptimiserKind::Adam => {
                let (beta1, beta2) = (config.beta1.unwrap_or(0.9), config.beta2.unwrap_or(0.999));
                Rule::Adam(AdamRowStep::new(step, beta1, beta2, steps))
            }
        }
    }

    /// Moves one row, counted within the given run.
    fn apply(&self, row: usize, dim: usize, rows: &mut Rows<'_>, gradient: &[f32]) {
        let range = row * dim..(row + 1) * dim;
        let values = &mut rows.values[range.clone()];
        match self {
            Rule::Sgd(step) => sgd_row(step, values, gradient),
            Rule::Adagrad(step) => adagrad_row(step, values, &mut rows.first[range], gradient),
            Rule::RowWise(step) => row_wise_adagrad_row(step, values, &mut rows.first[row], gradient),
            Rule::Adam(step) => {
                adam_row(step, values, (&mut rows.first[range.clone()], &mut rows.second[range]), gradient);
            }
        }
    }
}

/// A run of rows of a table with their states.
struct Rows<'a> {
    /// The table's row that the run begins with.
    base: usize,
    count: usize,
    values: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Rows<'_> {
    /// The table's rows before `id`, and those from it on.
    fn split(self, id: usize) -> (Self, Self) {
        let before = id - self.base;
        let at = |part: &[f32]| part.len() / self.count * before;
        let (values_at, first_at, second_at) = (at(self.values), at(self.first), at(self.second));
        let (values, values_rest) = self.values.split_at_mut(values_at);
        let (first, first_rest) = self.first.split_at_mut(first_at);
        let (second, second_rest) = self.second.split_at_mut(second_at);
        let rest = self.count - before;
        (
            Rows { base: self.base, count: before, values, first, second },
            Rows { base: id, count: rest, values: values_rest, first: first_rest, second: second_rest },
        )
    }
}

fn move_table(
    rule: &Rule,
    (table, state): (&mut Table, &mut State),
    (touched, scratch): (&mut Touched, &mut Vec<f32>),
    (slots, batch, gradient): (&[Placed], &Batch, &[f32]),
) {
    touched.find(table, slots, batch, gradient);
    let dim = table.spec.dim;
    scratch.resize(touched.most.div_ceil(RUN) * dim, 0.0);
    let [first, second] = &mut state.parts;
    let rows = Rows { base: 0, count: table.spec.rows, values: &mut table.values, first, second };
    Pass { rule, touched, gradient, dim }.move_rows(&touched.starts, rows, scratch);
}

/// One pass over the touched rows of a table.
struct Pass<'a> {
    rule: &'a Rule,
    touched: &'a Touched,
    gradient: &'a [f32],
    dim: usize,
}

impl Pass<'_> {
    /// Moves the rows whose entries begin at `starts`, which has one more for the end. Halves share the work between
    /// threads; `scratch` has `dim` numbers per started run.
    fn move_rows(&self, starts: &[u32], mut rows: Rows<'_>, scratch: &mut [f32]) {
        let count = starts.len() - 1;
        if count > RUN && super::in_pool() {
            let middle = (count / 2).next_multiple_of(RUN);
            let (left, right) = rows.split(self.touched.entries[starts[middle] as usize].id as usize);
            let (left_scratch, right_scratch) = scratch.split_at_mut(middle / RUN * self.dim);
            rayon::join(
                || self.move_rows(&starts[..=middle], left, left_scratch),
                || self.move_rows(&starts[middle..], right, right_scratch),
            );
            return;
        }
        for from in (0..count).step_by(AHEAD) {
            let to = count.min(from + AHEAD);
            self.fetch(&starts[from..to], &rows);
            for range in starts[from..=to].windows(2) {
                let entries = &self.touched.entries[range[0] as usize..range[1] as usize];
                let row = entries[0].id as usize - rows.base;
                self.rule.apply(row, self.dim, &mut rows, self.sum(entries, scratch));
            }
        }
    }

    /// Reads a number of each cache line of some rows and their states, so that the waits for memory overlap; the rows'
    /// arithmetic in between would leave room for a few at a time.
    fn fetch(&self, starts: &[u32], rows: &Rows<'_>) {
        let mut sum = 0.0;
        let parts = [&*rows.values, &*rows.first, &*rows.second].map(|part| (part, part.len() / rows.count));
        for &start in starts {
            let row = self.touched.entries[start as usize].id as usize - rows.base;
            for (part, width) in parts {
                sum += part[row * width..(row + 1) * width].iter().step_by(LINE).sum::<f32>();
            }
        }
        std::hint::black_box(sum);
    }

    /// The gradient of one row: that of each of its entries, in the order of the batch.
    fn sum<'s>(&'s self, entries: &[Entry], scratch: &'s mut [f32]) -> &'s [f32] {
        let (first, rest) = entries.split_first().expect("a touched row has an entry");
        if rest.is_empty() && first.factor == 1.0 {
            return self.source(first);
        }
        let sum = &mut scratch[..self.dim];
        sum.iter_mut().zip(self.source(first)).for_each(|(sum, value)| *sum = first.factor * value);
        for entry in rest {
            sum.iter_mut().zip(self.source(entry)).for_each(|(sum, value)| *sum += entry.factor * value);
        }
        sum
    }

    fn source(&self, entry: &Entry) -> &[f32] {
        self.touched.gradient_of(entry, self.gradient, self.dim)
    }
}
