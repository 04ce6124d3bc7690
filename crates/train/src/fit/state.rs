//! Where a fit stands: all that a checkpoint keeps besides the arrays.

use std::path::Path;

use hinet_tape::ScheduleState;
use serde::{Deserialize, Serialize};

use super::early_stop::{Best, CellBests};
use super::meter::LossMeter;
use super::timing::Timing;
use crate::TrainError;
use crate::checkpoint::{self, Checkpoint, STATE};
use crate::step::Step;
use crate::weighting::WeigherState;

/// The position of a fit and what it has summed up so far. Everything random is drawn from streams named by the seed
/// of the config and the numbers here, so no generator needs saving.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// Steps done.
    pub(crate) step: u64,
    /// Epochs done.
    pub(crate) epoch: u64,
    /// Batches done in the epoch after those.
    pub(crate) batch: u64,
    /// Rows trained on.
    pub(crate) rows: u64,
    /// An evaluation is due at this step and not done.
    pub(crate) evaluation_due: bool,
    /// The step of the last evaluation.
    pub(crate) evaluated: Option<u64>,
    /// Training is over; what follows are the final evaluation and saving.
    pub(crate) done: bool,
    /// The best evaluation so far; its weights lie beside.
    pub(crate) best: Best,
    /// The best of each cell so far.
    #[serde(default)]
    pub(crate) cells: CellBests,
    /// Losses since the last line of the history.
    pub(crate) losses: LossMeter,
    /// Bytes of `history.jsonl`.
    pub(crate) history: u64,
    /// Bytes of TensorBoard's event file.
    pub(crate) tensorboard: u64,
    /// Time spent so far.
    pub(crate) timing: Timing,
    schedule: Option<ScheduleState>,
    #[serde(default)]
    weighting: Option<WeigherState>,
    dense_steps: u64,
    sparse_steps: u64,
}

const BEST: &str = "best";

impl State {
    pub(crate) fn new(tasks: usize) -> State {
        State {
            step: 0,
            epoch: 0,
            batch: 0,
            rows: 0,
            evaluation_due: false,
            evaluated: None,
            done: false,
            best: Best::default(),
            cells: CellBests::default(),
            losses: LossMeter::new(tasks),
            history: 0,
            tensorboard: 0,
            timing: Timing::start(),
            schedule: None,
            weighting: None,
            dense_steps: 0,
            sparse_steps: 0,
        }
    }

    /// Writes this state with all arrays of the step; then removes older checkpoints, and best weights that are not the
    /// best any more.
    pub(crate) fn save(&mut self, folder: &Path, step: &Step) -> Result<(), TrainError> {
        (self.dense_steps, self.sparse_steps) = step.optimiser_steps();
        self.schedule = Some(step.schedule_state());
        self.weighting = step.weighting_state().cloned();
        let mut arrays = step.weights();
        arrays.extend(step.optimiser_arrays());
        checkpoint::write(&checkpoint::path(folder, STATE, self.step), self, &arrays)?;
        checkpoint::remove_others(folder, STATE, Some(self.step))?;
        checkpoint::remove_others(folder, BEST, self.best.step)
    }

    /// Takes the newest complete checkpoint up into the step. `None` if there is none.
    pub(crate) fn load(folder: &Path, step: &mut Step) -> Result<Option<State>, TrainError> {
        let Some(&newest) = checkpoint::steps(folder, STATE)?.last() else { return Ok(None) };
        let mut file = Checkpoint::<State>::open(&checkpoint::path(folder, STATE, newest))?;
        step.load_weights(&mut |name, values| file.read(name, values))?;
        let state = file.state.clone();
        step.load_optimisers((state.dense_steps, state.sparse_steps), &mut |name| file.read_vec(name))?;
        if let Some(schedule) = state.schedule {
            step.load_schedule(schedule);
        }
        if let Some(weighting) = state.weighting.clone() {
            step.load_weighting(weighting);
        }
        Ok(Some(state))
    }

    /// Keeps the weights of the step as the best ones, until [`State::save`] finds others noted as such.
    pub(crate) fn save_best(&self, folder: &Path, step: &Step) -> Result<(), TrainError> {
        checkpoint::write(&checkpoint::path(folder, BEST, self.step), &(), &step.weights())
    }

    /// Takes the best weights up into the step, if there was an evaluation and they are not the present ones.
    pub(crate) fn load_best(&self, folder: &Path, step: &mut Step) -> Result<(), TrainError> {
        let Some(best) = self.best.step.filter(|best| *best != self.step) else { return Ok(()) };
        let mut file = Checkpoint::<()>::open(&checkpoint::path(folder, BEST, best))?;
        step.load_weights(&mut |name, values| file.read(name, values))
    }
}
