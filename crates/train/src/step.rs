//! One training step: embeddings, forward, backward, optimisers. After the largest batch was seen it allocates nothing.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use hinet_data::{Batch, Seed};
use hinet_model::{CellLosses, Form, LossInputs, Model, Network, Objective, SparseOptimiser, SparseOptimiserConfig};
use hinet_tape::{
    DenseOptimiser, DenseOptimiserConfig, Feed, Gradients, Mode, Schedule, ScheduleState, Tape, clip_global_norm,
};
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::weighting::{self, Forwarded, WeigherState, Weighted, WeightingConfig};

/// What a step needs to know besides the model.
#[derive(Clone, Debug)]
pub struct StepConfig {
    /// Optimiser of everything but the embedding tables.
    pub dense: DenseOptimiserConfig,
    /// Optimiser of the embedding tables.
    pub sparse: SparseOptimiserConfig,
    /// Rows of scenario s weigh `(N / (S N_s))^power`.
    pub scenario_weight_power: f64,
    /// Each row trains the heads of its own scenario only.
    pub mask_loss: bool,
    /// How the losses of tasks or scenarios become one step.
    pub weighting: WeightingConfig,
    /// Where the streams of dropout come from.
    pub seed: Seed,
}

/// A model that is being trained.
///
/// Run the whole loop inside the `install` of the pool that the step was made with; see [`Tape`].
pub struct Step {
    model: Model,
    network: Network,
    objective: Objective,
    tape: Tape,
    loss_inputs: LossInputs,
    weighted: Option<Weighted>,
    gradients: Gradients,
    dense: DenseOptimiser,
    sparse: SparseOptimiser,
    schedule: Schedule,
    clip: f32,
    seed: Seed,
    buffers: Buffers,
    cells: CellLosses,
    losses: Vec<TaskLoss>,
    gradient_norm: f64,
    seconds: StepSeconds,
    frozen: Option<Frozen>,
}

/// Dense parameters as they stay, but for these ranges; tables stay too.
struct Frozen {
    values: Vec<f32>,
    trained: Vec<Range<usize>>,
}

#[derive(Default)]
struct Buffers {
    /// `[rows, width]`
    x: Vec<f32>,
    /// `[rows, columns]`
    targets: Vec<f32>,
    /// `[rows, columns]`
    weights: Vec<f32>,
    /// The gradient of `x` where some rows took no part.
    gradient: Vec<f32>,
}

/// Loss of one task over a batch: the weighted sum of its cross-entropies, and of the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskLoss {
    /// Sum of row weight times cross-entropy.
    pub sum: f64,
    /// Sum of the row weights; 0 where no label was observed.
    pub weight: f64,
}

/// Seconds spent in the parts of the steps so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepSeconds {
    /// Gathering embeddings, targets and weights.
    pub embedding: f64,
    /// The forward pass.
    pub forward: f64,
    /// The backward pass.
    pub backward: f64,
    /// Clipping and both optimisers.
    pub update: f64,
}

impl TaskLoss {
    /// The mean cross-entropy; `None` where no label was observed.
    #[must_use]
    pub fn mean(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

impl Step {
    /// A model before its first step. `pool` is the one the loop will run in.
    ///
    /// # Errors
    /// If an optimiser refuses its settings, or the model has no heads that `mask_loss = false` could train.
    pub fn new(model: Model, config: &StepConfig, pool: Option<Arc<ThreadPool>>) -> Result<Step, TrainError> {
        let form = if config.mask_loss { Form::Own } else { Form::Every };
        let mut network = Network::record(&model.layout, &model.config, form)?;
        let objective = network.add_loss();
        Ok(Step {
            weighted: Weighted::new(&config.weighting, &model),
            tape: Tape::with_pool(network.graph.clone(), pool),
            network,
            objective,
            loss_inputs: LossInputs::new(&model.layout, config.scenario_weight_power, form),
            gradients: Gradients::new(&model.params),
            dense: DenseOptimiser::new(&config.dense, &model.params)?,
            sparse: SparseOptimiser::new(&config.sparse, &model.embeddings)?,
            schedule: Schedule::new(&config.dense)?,
            clip: config.dense.clip,
            seed: config.seed,
            buffers: Buffers::default(),
            cells: CellLosses::new(&model.layout),
            losses: vec![TaskLoss::default(); model.layout.tasks.len()],
            gradient_norm: 0.0,
            seconds: StepSeconds::default(),
            frozen: None,
            model,
        })
    }

    /// Trains on one batch, grouped by scenario; `step` counts from 0. Rows of an unknown scenario take no part.
    /// Returns the loss with scenario, task and row weights and any auxiliary loss in it, before the factors of
    /// [`WeightingConfig`].
    ///
    /// # Panics
    /// If the batch is not grouped, or comes from an encoder of another layout: a bug of the caller.
    pub fn run(&mut self, batch: &Batch, step: u64) -> f32 {
        let begin = Instant::now();
        let groups = self.network.graph.groups();
        let rows = batch.offsets[groups];
        let width = self.model.embeddings.width();
        let Buffers { x, targets, weights, gradient } = &mut self.buffers;
        x.resize(batch.rows * width, 0.0);
        self.model.embeddings.gather(batch, x);
        self.loss_inputs.fill(batch, targets, weights);
        let inputs = known_rows([x, targets, weights], batch.rows, rows);
        let feed = Feed { rows, offsets: &batch.offsets[..=groups], inputs: &inputs, indices: &[] };
        let embedded = Instant::now();
        let seed = self.seed.stream("dropout", step);
        self.tape.forward(&self.model.params, &feed, Mode::Train { seed });
        let loss = self.tape.value(self.objective.loss)[0];
        note_losses((&mut self.cells, &mut self.losses), &self.network, &self.tape, batch);
        let forward = Instant::now();
        let pass = Forwarded {
            model: &self.model,
            network: &self.network,
            objective: &self.objective,
            batch,
            feed,
            cells: &self.cells,
            loss_inputs: &self.loss_inputs,
            seed: Seed(self.seed.stream("weighting", step)),
        };
        let x_gradient = weighting::backward(self.weighted.as_mut(), &pass, &mut self.tape, &mut self.gradients);
        let backward = Instant::now();
        self.gradient_norm = clip_global_norm(&mut self.gradients, self.clip);
        self.dense.step(&mut self.model.params, &self.gradients, self.schedule.rate(step));
        if self.frozen.is_none() {
            let x_gradient = padded(x_gradient, batch.rows * width, gradient);
            self.sparse.step(&mut self.model.embeddings, batch, x_gradient);
        }
        self.tape.update_statistics(&mut self.model.params);
        if let Some(frozen) = &self.frozen {
            frozen.restore(self.model.params.values_mut());
        }
        self.look_back(batch, (rows, seed));
        self.seconds.embedding += (embedded - begin).as_secs_f64();
        self.seconds.forward += (forward - embedded).as_secs_f64();
        self.seconds.backward += (backward - forward).as_secs_f64();
        self.seconds.update += backward.elapsed().as_secs_f64();
        loss
    }

    /// Shows a weighting that asks for it what the step did to the losses of its batch.
    fn look_back(&mut self, batch: &Batch, (rows, seed): (usize, u64)) {
        let Some(weighted) = self.weighted.as_mut().filter(|weighted| weighted.weigher.looks_back()) else { return };
        let Buffers { x, targets, weights, .. } = &mut self.buffers;
        self.model.embeddings.gather(batch, x);
        let inputs = known_rows([x, targets, weights], batch.rows, rows);
        let offsets = &batch.offsets[..=self.network.graph.groups()];
        let feed = Feed { rows, offsets, inputs: &inputs, indices: &[] };
        self.tape.forward(&self.model.params, &feed, Mode::Train { seed });
        self.cells.clear();
        self.cells.add(&self.network, &self.tape, batch);
        weighted.weigher.after(&weighted.losses(&self.cells, &self.loss_inputs, batch));
    }

    /// From now on only these ranges of the dense parameters move, and no table.
    pub(crate) fn freeze_all_but(&mut self, trained: Vec<Range<usize>>) {
        self.frozen = Some(Frozen { values: self.model.params.values().to_vec(), trained });
    }

    /// Names of the objectives with their mean factors since the last call; `None` without weighting.
    pub(crate) fn take_factors(&mut self) -> Option<Vec<(&str, f64)>> {
        self.weighted.as_mut().map(|weighted| weighted.weigher.take())
    }

    /// What to tell of factors that never moved.
    pub(crate) fn stillness(&self) -> Option<String> {
        self.weighted.as_ref().and_then(|weighted| weighted.weigher.stillness())
    }

    /// Loss of each task over the last batch.
    #[must_use]
    pub fn losses(&self) -> &[TaskLoss] {
        &self.losses
    }

    /// Norm of all dense gradients of the last batch, before clipping. Where weights have grown beyond all bounds it is
    /// not finite, even though the loss may be: ReLU makes 0 of what is not a number.
    #[must_use]
    pub fn gradient_norm(&self) -> f64 {
        self.gradient_norm
    }

    /// The first task whose loss over the last batch is not finite.
    #[must_use]
    pub fn broken_task(&self) -> Option<usize> {
        self.losses.iter().position(|loss| !loss.sum.is_finite())
    }

    /// The model as it is now.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Ends training.
    #[must_use]
    pub fn into_model(self) -> Model {
        self.model
    }

    /// Learning rate of the dense parameters at a step, counted from 0.
    #[must_use]
    pub fn learning_rate(&self, step: u64) -> f32 {
        self.schedule.rate(step)
    }

    /// Tells a plateau schedule the newest metric, of which more is better.
    pub fn report(&mut self, metric: f64) {
        self.schedule.report(metric);
    }

    /// Seconds spent since the last call.
    pub fn take_seconds(&mut self) -> StepSeconds {
        std::mem::take(&mut self.seconds)
    }
}

/// Fills in the array of a name.
pub(crate) type ReadInto<'a> = dyn FnMut(&str, &mut [f32]) -> Result<(), TrainError> + 'a;

/// What a checkpoint keeps.
impl Step {
    /// All weights by name.
    pub(crate) fn weights(&self) -> Vec<(String, &[f32])> {
        let dense = std::iter::once(("dense".to_owned(), self.model.params.values()));
        let embeddings = &self.model.embeddings;
        let tables = embeddings.specs().enumerate().map(|(i, spec)| (table_name(&spec.name), embeddings.table(i)));
        dense.chain(tables).collect()
    }

    /// Takes up all weights; `read` fills in the array of a name.
    pub(crate) fn load_weights(&mut self, read: &mut ReadInto<'_>) -> Result<(), TrainError> {
        read("dense", self.model.params.values_mut())?;
        let embeddings = &mut self.model.embeddings;
        let names: Vec<String> = embeddings.specs().map(|spec| table_name(&spec.name)).collect();
        names.iter().enumerate().try_for_each(|(table, name)| read(name, embeddings.table_mut(table)))
    }

    /// The state of both optimisers by name.
    pub(crate) fn optimiser_arrays(&self) -> Vec<(String, &[f32])> {
        let dense = self.dense.state().into_iter().map(|(name, values)| (format!("dense optimiser/{name}"), values));
        let sparse = self.sparse.state().into_iter().map(|(name, values)| (format!("sparse optimiser/{name}"), values));
        dense.chain(sparse).collect()
    }

    /// Takes up the state of both optimisers after (dense, sparse) steps; `read` gives the array of a name.
    pub(crate) fn load_optimisers(
        &mut self,
        (dense_steps, sparse_steps): (u64, u64),
        read: &mut dyn FnMut(&str) -> Result<Vec<f32>, TrainError>,
    ) -> Result<(), TrainError> {
        let names: Vec<&str> = self.dense.state().into_iter().map(|(name, _)| name).collect();
        let arrays = read_all(&names, "dense optimiser", read)?;
        self.dense.load_state(dense_steps, &named(&names, &arrays))?;
        let names: Vec<String> = self.sparse.state().into_iter().map(|(name, _)| name.to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let arrays = read_all(&names, "sparse optimiser", read)?;
        Ok(self.sparse.load_state(sparse_steps, &named(&names, &arrays))?)
    }

    /// Steps of the (dense, sparse) optimiser.
    pub(crate) fn optimiser_steps(&self) -> (u64, u64) {
        (self.dense.steps(), self.sparse.steps())
    }

    pub(crate) fn schedule_state(&self) -> ScheduleState {
        self.schedule.state()
    }

    pub(crate) fn weighting_state(&self) -> Option<&WeigherState> {
        self.weighted.as_ref().map(|weighted| weighted.weigher.state())
    }

    pub(crate) fn load_weighting(&mut self, state: WeigherState) {
        if let Some(weighted) = &mut self.weighted {
            weighted.weigher.load_state(state);
        }
    }

    pub(crate) fn load_schedule(&mut self, state: ScheduleState) {
        self.schedule.load_state(state);
    }
}

impl Frozen {
    fn restore(&self, values: &mut [f32]) {
        let mut from = 0;
        for range in &self.trained {
            values[from..range.start].copy_from_slice(&self.values[from..range.start]);
            from = range.end;
        }
        values[from..].copy_from_slice(&self.values[from..]);
    }
}

/// The first `known` of `rows` rows of each: those of an unknown scenario stand behind them.
fn known_rows(inputs: [&[f32]; 3], rows: usize, known: usize) -> [&[f32]; 3] {
    inputs.map(|input| &input[..input.len() / rows.max(1) * known])
}

/// Losses of the cells and the tasks over a batch.
fn note_losses((cells, losses): (&mut CellLosses, &mut [TaskLoss]), network: &Network, tape: &Tape, batch: &Batch) {
    cells.clear();
    cells.add(network, tape, batch);
    for (task, loss) in losses.iter_mut().enumerate() {
        let (sum, weight) = cells.task_sum(task);
        *loss = TaskLoss { sum, weight };
    }
}

fn table_name(table: &str) -> String {
    format!("table/{table}")
}

fn read_all(
    names: &[&str],
    owner: &str,
    read: &mut dyn FnMut(&str) -> Result<Vec<f32>, TrainError>,
) -> Result<Vec<Vec<f32>>, TrainError> {
    names.iter().map(|name| read(&format!("{owner}/{name}"))).collect()
}

fn named<'a>(names: &[&'a str], arrays: &'a [Vec<f32>]) -> Vec<(&'a str, &'a [f32])> {
    names.iter().copied().zip(arrays.iter().map(Vec::as_slice)).collect()
}

/// `gradient`, followed by zeros for the rows that took no part.
fn padded<'a>(gradient: &'a [f32], len: usize, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    if gradient.len() == len {
        return gradient;
    }
    buffer.clear();
    buffer.extend_from_slice(gradient);
    buffer.resize(len, 0.0);
    buffer
}
