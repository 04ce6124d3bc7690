//! Optimisers of dense parameters: settings, state, one fused pass over the arena.

mod clip;
mod config;
mod rows;
mod schedule;
mod update;

pub use clip::clip_global_norm;
pub use config::{DenseOptimiserConfig, OptimiserError, OptimiserKind, ScheduleKind};
pub use rows::{AdamRowStep, RowStep, adagrad_row, adam_row, row_wise_adagrad_row, sgd_row};
pub use schedule::{Schedule, ScheduleState};

use std::ops::Range;

use crate::buffer::Buffer;
use crate::parallel::Parallel;
use crate::parameter::{Gradients, Params};
use update::Rule;

/// Elements that one task takes.
const PIECE: usize = 32 * 1024;

/// Updates the trainable parameters of a graph. Holds up to two numbers per parameter.
///
/// A step runs on the threads of the pool it is called in (see [`Tape::pool`](crate::Tape::pool)); outside of a pool on
/// one. The result does not depend on that.
#[derive(Clone, Debug)]
pub struct DenseOptimiser {
    config: DenseOptimiserConfig,
    runs: Vec<Range<usize>>,
    steps: u64,
    /// Laid out as the arena of the parameters; the second is empty for rules that need one.
    state: [Buffer; 2],
}

impl DenseOptimiser {
    /// An optimiser at its start.
    ///
    /// # Errors
    /// If the settings are refused by [`DenseOptimiserConfig::check`].
    pub fn new(config: &DenseOptimiserConfig, params: &Params) -> Result<DenseOptimiser, OptimiserError> {
        config.check()?;
        let mut optimiser = DenseOptimiser {
            config: config.clone(),
            runs: trainable_runs(params),
            steps: 0,
            state: [Buffer::default(), Buffer::default()],
        };
        let len = params.values().len();
        for (buffer, name) in optimiser.state.iter_mut().zip(config.state_names()) {
            buffer.resize(if name.is_some() { len } else { 0 });
        }
        optimiser.start(params);
        Ok(optimiser)
    }

    fn start(&mut self, params: &Params) {
        let config = &self.config;
        match config.optimiser {
            OptimiserKind::Adagrad => self.state[0].fill(config.initial_accumulator()),
            OptimiserKind::Ftrl => {
                self.state[0].fill(config.initial_accumulator());
                let [squares, linear] = &mut self.state;
                update::ftrl_start(&config.rule(1, config.learning_rate), params.values(), squares, linear);
            }
            OptimiserKind::Sgd | OptimiserKind::Adam | OptimiserKind::Adamw | OptimiserKind::Rmsprop => {}
        }
    }

    /// Moves the trainable parameters one step against their gradients. The learning rate is the caller's, usually
    /// `schedule.rate(..)`.
    pub fn step(&mut self, params: &mut Params, gradients: &Gradients, learning_rate: f32) {
        self.steps += 1;
        let rule = self.config.rule(self.steps, learning_rate);
        let parallel = Parallel::here();
        let [first, second] = &mut self.state;
        let (values, gradients) = (params.values_mut(), gradients.values());
        for run in &self.runs {
            let part = &gradients[run.clone()];
            let a = part_of(first, run);
            let b = part_of(second, run);
            apply(parallel, &rule, (&mut values[run.clone()], part), (a, b));
        }
    }

    /// Steps taken so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The state by name, for a checkpoint; each is laid out as [`Params::values`].
    #[must_use]
    pub fn state(&self) -> Vec<(&'static str, &[f32])> {
        let names = self.config.state_names();
        let pairs = names.into_iter().zip(&self.state);
        pairs.filter_map(|(name, buffer)| Some((name?, &**buffer))).collect()
    }

    /// Takes up a state that [`DenseOptimiser::state`] gave, after `steps` steps.
    ///
    /// # Errors
    /// If a name or a length is not what this optimiser has.
    pub fn load_state(&mut self, steps: u64, state: &[(&str, &[f32])]) -> Result<(), OptimiserError> {
        let names = self.config.state_names();
        for (name, buffer) in names.iter().zip(&mut self.state) {
            let Some(name) = *name else { continue };
            let found = state.iter().find(|(other, _)| *other == name);
            let (_, values) = found.ok_or(OptimiserError::MissingState { name })?;
            if values.len() != buffer.len() {
                return Err(OptimiserError::StateLength { name, expected: buffer.len(), found: values.len() });
            }
            buffer.copy_from_slice(values);
        }
        self.steps = steps;
        Ok(())
    }
}

fn part_of<'a>(state: &'a mut Buffer, run: &Range<usize>) -> &'a mut [f32] {
    if state.is_empty() { &mut [] } else { &mut state[run.clone()] }
}

/// Splits one run of the arena into pieces for the threads.
fn apply(parallel: Parallel, rule: &Rule, (values, gradients): (&mut [f32], &[f32]), (a, b): (&mut [f32], &mut [f32])) {
    let part = |i: usize, len: usize| &gradients[i * PIECE..][..len];
    match (a.is_empty(), b.is_empty()) {
        (true, _) => parallel.chunks(values, PIECE, |i, values| {
            update::update(rule, part(i, values.len()), values, (&mut [], &mut []));
        }),
        (false, true) => parallel.chunks2((values, PIECE), (a, PIECE), |i, values, a| {
            update::update(rule, part(i, values.len()), values, (a, &mut []));
        }),
        (false, false) => parallel.chunks3((values, PIECE), (a, PIECE), (b, PIECE), |i, values, a, b| {
            update::update(rule, part(i, values.len()), values, (a, b));
        }),
    }
}

/// Runs of the arena that hold nothing but trainable parameters and the zeros between them.
fn trainable_runs(params: &Params) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for range in params.trainable_ranges() {
        match runs.last_mut() {
            Some(last) if range.start - last.end < crate::buffer::LANE => last.end = range.end,
            _ => runs.push(range),
        }
    }
    runs
}
