//! One sitting of a fit: the loop over batches, with evaluations, log lines and checkpoints where they are due.

use std::time::Instant;

use hinet_data::{Batch, TrainStream};
use hinet_model::ExampleRow;
use serde_json::{Map, Value, json};

use super::floors::Floors;
use super::inputs::Inputs;
use super::meter::{LossMeter, Pace};
use super::state::State;
use super::{Evaluated, FitOptions, Progress, RunSize, Stage, StepDone};
use crate::evaluate::{Scorer, is_stopped};
use crate::experiment::PatienceOver;
use crate::history::History;
use crate::metrics::SplitMetrics;
use crate::run_folder::RunFolder;
use crate::scores::RowScoresBuilder;
use crate::step::Step;
use crate::tensorboard::TensorBoard;
use crate::{Experiment, MetricsBuilder, MetricsOptions, Tracker, TrainError};

/// Everything a fit holds while it runs.
pub(crate) struct Session<'a, 'o> {
    pub(crate) experiment: &'a Experiment,
    pub(crate) folder: &'a RunFolder,
    pub(crate) inputs: &'a Inputs,
    pub(crate) options: &'a mut FitOptions<'o>,
    pub(crate) step: Step,
    pub(crate) state: State,
    pub(crate) size: RunSize,
    history: History,
    board: Option<TensorBoard>,
    pace: Pace,
    recent: LossMeter,
    pub(crate) floors: Option<Floors>,
    /// Rows for the artefact; read before training, so that a file that is gone by then costs no training.
    pub(crate) examples: Vec<ExampleRow>,
}

/// What a session begins with.
pub(crate) struct Start {
    pub(crate) step: Step,
    pub(crate) state: State,
    pub(crate) size: RunSize,
}

impl<'a, 'o> Session<'a, 'o> {
    /// Opens the files that the session appends to.
    pub(crate) fn open(
        experiment: &'a Experiment,
        folder: &'a RunFolder,
        inputs: &'a Inputs,
        options: &'a mut FitOptions<'o>,
        start: Start,
    ) -> Result<Session<'a, 'o>, TrainError> {
        let Start { step, state, size } = start;
        let history = History::open(&folder.history(), state.history)?;
        let tracked = experiment.train.track.contains(&Tracker::Tensorboard);
        let board = tracked.then(|| TensorBoard::open(&folder.tensorboard(), state.tensorboard)).transpose()?;
        let pace = Pace::new(state.timing.seconds.training);
        let recent = LossMeter::new(size.tasks.len());
        let examples = inputs.examples(experiment.train.example_rows)?;
        let train = &experiment.train;
        let layout = inputs.encoder.layout();
        let floors =
            train.floors.as_ref().map(|floors| Floors::open(floors, train.min_positives, layout)).transpose()?;
        Ok(Session {
            experiment,
            folder,
            inputs,
            options,
            step,
            state,
            size,
            history,
            board,
            pace,
            recent,
            floors,
            examples,
        })
    }

    /// Trains until the epochs or steps are over, patience ends, or the caller asks to stop.
    pub(crate) fn train(&mut self, stream: &TrainStream) -> Result<(), TrainError> {
        self.pace.skip();
        if self.state.evaluation_due {
            self.evaluate_valid()?;
        }
        self.tell_of_cache(stream);
        while !self.state.done {
            for batch in stream.epoch(self.state.epoch, self.state.batch) {
                self.advance(&batch?)?;
                if self.state.done {
                    break;
                }
            }
            self.tell_of_cache(stream);
            if !self.state.done {
                self.end_epoch()?;
            }
        }
        self.report_progress();
        Ok(())
    }

    /// One step and whatever is due after it.
    fn advance(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let train = &self.experiment.train;
        let loss = self.step.run(batch, self.state.step);
        let state = &mut self.state;
        state.step += 1;
        state.batch += 1;
        state.rows += batch.rows as u64;
        if !loss.is_finite() || !self.step.gradient_norm().is_finite() {
            return Err(self.broken(loss));
        }
        state.losses.add(self.step.losses());
        self.recent.add(self.step.losses());
        self.pace.step(batch.rows);
        let every = |every: u64| every > 0 && state.step.is_multiple_of(every);
        let (log, save) = (every(train.log_every), every(train.checkpoint_every));
        let evaluate = train.evaluate_every.is_some_and(every);
        let over = train.max_steps.is_some_and(|most| state.step >= most);
        let (step, epoch) = (state.step, state.epoch + 1);
        let learning_rate = self.step.learning_rate(step - 1);
        let done = StepDone { step, epoch, rows: batch.rows, losses: self.step.losses(), learning_rate };
        self.options.observer.step(&done);
        let over = over || self.options.observer.is_enough();
        if log {
            self.log_losses()?;
        }
        if log || self.pace.is_due() {
            self.report_progress();
        }
        if over {
            self.end()?;
        } else if evaluate {
            self.evaluate_valid()?;
        }
        if is_stopped(self.options.stop) {
            return Err(self.interrupt());
        }
        if save { self.checkpoint() } else { Ok(()) }
    }

    fn broken(&self, loss: f32) -> TrainError {
        let State { step, epoch, batch, .. } = self.state;
        let (epoch, norm) = (epoch + 1, self.step.gradient_norm());
        if loss.is_finite() {
            return TrainError::GradientNotFinite { norm, step, epoch, batch };
        }
        let task = self.step.broken_task().map_or("all together", |task| &self.size.tasks[task]).to_owned();
        TrainError::LossNotFinite { loss, step, epoch, batch, task }
    }

    fn end_epoch(&mut self) -> Result<(), TrainError> {
        self.state.epoch += 1;
        self.state.batch = 0;
        if self.state.epoch >= self.experiment.train.epochs {
            return self.end();
        }
        if self.experiment.train.evaluate_every.is_none() { self.evaluate_valid() } else { Ok(()) }
    }

    /// Training is over; the last weights are evaluated unless that was just done.
    fn end(&mut self) -> Result<(), TrainError> {
        self.state.done = true;
        if let Some(text) = self.step.stillness() {
            self.warn(&text)?;
        }
        if self.state.evaluated == Some(self.state.step) { Ok(()) } else { self.evaluate_valid() }
    }

    /// Evaluates on the validation rows, keeps the weights if they are the best, and decides whether to go on.
    fn evaluate_valid(&mut self) -> Result<(), TrainError> {
        let Some(valid) = &self.inputs.valid else { return Ok(()) };
        self.state.evaluation_due = true;
        let Some(gathered) = self.gather("valid", valid, None)? else { return Err(self.interrupt()) };
        let metrics = gathered.finish();
        let Some(monitor) = &self.experiment.monitor else { return Ok(()) };
        let metric = monitor.value(&metrics).filter(|metric| metric.is_finite());
        // From here on more is better.
        let quality = metric.map(|metric| if monitor.larger_is_better() { metric } else { -metric });
        let first = self.state.evaluated.is_none();
        let state = &mut self.state;
        let below = self.floors.as_ref().map_or(Vec::new(), |floors| floors.below(&metrics));
        let best = state.best.report(state.step, quality, !below.is_empty());
        state.cells.report(&metrics.large_cells());
        (state.evaluation_due, state.evaluated) = (false, Some(state.step));
        let patience = self.experiment.train.patience.unwrap_or(0);
        state.done |= match self.experiment.train.patience_over {
            PatienceOver::Monitor => state.best.is_exhausted(patience),
            PatienceOver::Cells => state.cells.is_exhausted(patience),
        };
        if best {
            self.state.save_best(&self.folder.checkpoint(), &self.step)?;
        }
        if let Some(quality) = quality {
            self.step.report(quality);
        }
        let (step, name) = (self.state.step, monitor.to_string());
        let evaluated = Evaluated { part: "valid", step, monitor: &name, metric, best, metrics: &metrics };
        self.options.observer.stage(Stage::Evaluated(&evaluated));
        self.state.done |= self.options.observer.is_enough();
        self.log_evaluation(&evaluated)?;
        if first { self.warn_of_validation(&metrics, evaluated) } else { Ok(()) }
    }

    /// Rows scored with the present weights, the scores row by row into `kept` too; `None` if the caller asked to stop
    /// meanwhile.
    pub(crate) fn gather(
        &mut self,
        part: &'static str,
        source: &hinet_data::Source,
        mut kept: Option<&mut RowScoresBuilder>,
    ) -> Result<Option<MetricsBuilder>, TrainError> {
        self.report_progress();
        let begin = Instant::now();
        self.options.observer.stage(Stage::Evaluating { part, step: self.state.step });
        let train = &self.experiment.train;
        let (model, stop) = (self.step.model(), self.options.stop);
        let options = MetricsOptions::new(&model.layout, train.ndcg_k, train.min_positives);
        let mut each = |batch: &Batch, scores: &[f32]| {
            if let Some(kept) = &mut kept {
                kept.push(batch, scores);
            }
            !is_stopped(stop)
        };
        let gathered = Scorer::new(model).gather(source, &self.inputs.encoder, options, &mut each);
        self.state.timing.seconds.evaluating += begin.elapsed().as_secs_f64();
        self.pace.skip();
        gathered
    }

    /// Writes a checkpoint and gives the error that says so.
    pub(crate) fn interrupt(&mut self) -> TrainError {
        let interrupted = TrainError::Interrupted { step: self.state.step, path: self.folder.path().to_owned() };
        self.checkpoint().err().unwrap_or(interrupted)
    }

    /// Writes a checkpoint.
    pub(crate) fn checkpoint(&mut self) -> Result<(), TrainError> {
        self.pace.lap();
        self.history.sync()?;
        self.state.history = self.history.length();
        self.state.tensorboard = self.board.as_ref().map_or(0, TensorBoard::length);
        self.note_seconds();
        self.state.save(&self.folder.checkpoint(), &self.step)
    }

    /// Moves the seconds of this session into the state.
    pub(crate) fn note_seconds(&mut self) {
        let spent = self.step.take_seconds();
        let seconds = &mut self.state.timing.seconds;
        seconds.training = self.pace.seconds();
        seconds.embedding += spent.embedding;
        seconds.forward += spent.forward;
        seconds.backward += spent.backward;
        seconds.update += spent.update;
    }

    /// Tells the observer where the fit stands, if there was a step since the last time.
    fn report_progress(&mut self) {
        if self.pace.is_idle() {
            return;
        }
        let rows_per_second = self.pace.lap();
        let (state, size) = (&self.state, &self.size);
        let progress = Progress {
            step: state.step,
            steps: size.steps,
            epoch: (state.epoch + 1).min(self.experiment.train.epochs),
            epochs: self.experiment.train.epochs,
            losses: self.recent.take(),
            learning_rate: self.step.learning_rate(state.step),
            rows_per_second,
            seconds: self.pace.seconds(),
            seconds_left: self.pace.seconds_for(size.steps.saturating_sub(state.step)),
        };
        self.options.observer.progress(&progress);
    }

    fn log_losses(&mut self) -> Result<(), TrainError> {
        let step = self.state.step;
        let rate = self.step.learning_rate(step - 1);
        let losses = self.state.losses.take().to_vec();
        let by_task: Map<String, Value> =
            self.size.tasks.iter().cloned().zip(losses.iter().map(|x| json!(x))).collect();
        let mut line = json!({
            "kind": "loss", "step": step, "epoch": self.state.epoch + 1, "losses": by_task, "learning_rate": rate,
        });
        let factors = self.step.take_factors().unwrap_or_default();
        let mut scalars: Vec<(String, f64)> =
            factors.iter().map(|(objective, factor)| (format!("weight/{objective}"), *factor)).collect();
        if !factors.is_empty() {
            line["weights"] =
                factors.into_iter().map(|(objective, factor)| (objective.to_owned(), json!(factor))).collect();
        }
        self.history.line(&line)?;
        let Some(board) = &mut self.board else { return Ok(()) };
        let named = self.size.tasks.iter().zip(&losses);
        scalars.extend(named.filter_map(|(task, loss)| Some((format!("loss/{task}"), (*loss)?))));
        scalars.push(("learning_rate".to_owned(), f64::from(rate)));
        board.scalars(step, &scalars)
    }

    /// Writes an evaluation to the history and to TensorBoard.
    fn log_evaluation(&mut self, evaluated: &Evaluated<'_>) -> Result<(), TrainError> {
        let Evaluated { part, step, monitor, metric, best, metrics } = *evaluated;
        self.history.line(&json!({
            "kind": "evaluation", "step": step, "part": part, "monitor": monitor, "metric": metric, "best": best,
            "metrics": metrics,
        }))?;
        match &mut self.board {
            Some(board) => board.scalars(step, &scalars_of(part, metrics)),
            None => Ok(()),
        }
    }

    /// Tells the user, and the history.
    pub(crate) fn warn(&mut self, text: &str) -> Result<(), TrainError> {
        self.options.observer.warn(text);
        self.history.line(&json!({"kind": "warning", "step": self.state.step, "text": text}))
    }

    /// Says what befell the file of encoded rows. Not in the history, which is the same with such a file and without.
    fn tell_of_cache(&mut self, stream: &TrainStream) {
        stream.cache_notes().iter().for_each(|note| self.options.observer.warn(note));
    }

    fn warn_of_validation(&mut self, metrics: &SplitMetrics, evaluated: Evaluated<'_>) -> Result<(), TrainError> {
        for scenario in super::warnings::scenarios_without_rows(metrics) {
            self.warn(&format!("scenario `{scenario}` has no observed row in valid: its cells say nothing"))?;
        }
        if let Some(mismatch) = self.floors.as_ref().and_then(|floors| floors.mismatch(metrics)) {
            self.warn(&format!("`train.floors.run` was evaluated on other rows: {mismatch}"))?;
        }
        if evaluated.metric.is_none() {
            let monitor = evaluated.monitor;
            self.warn(&format!("`{monitor}` is undefined on valid: it cannot choose the best weights or stop early"))?;
        }
        Ok(())
    }

    /// Takes up the best weights.
    pub(crate) fn load_best(&mut self) -> Result<(), TrainError> {
        self.state.load_best(&self.folder.checkpoint(), &mut self.step)
    }

    /// Writes an evaluation of the best weights to the history.
    pub(crate) fn log_final(&mut self, part: &str, metrics: &SplitMetrics) -> Result<(), TrainError> {
        let best = self.state.best.step.unwrap_or(self.state.step);
        self.history.line(&json!({"kind": "final", "step": best, "part": part, "metrics": metrics}))?;
        match &mut self.board {
            Some(board) => board.scalars(best, &scalars_of(&format!("best_{part}"), metrics)),
            None => Ok(()),
        }
    }
}

fn scalars_of(part: &str, metrics: &SplitMetrics) -> Vec<(String, f64)> {
    let means = [
        ("mean_auc", metrics.mean_auc),
        ("mean_cell_auc", metrics.mean_cell_auc),
        ("mean_logloss", metrics.mean_logloss),
    ];
    let mut scalars: Vec<(String, f64)> =
        means.into_iter().filter_map(|(name, value)| Some((format!("{part}/{name}"), value?))).collect();
    for cell in metrics.overall.iter().chain(&metrics.cells) {
        let scenario = cell.scenario.as_ref().map_or(String::new(), |scenario| format!("{scenario}/"));
        for (name, value) in [("auc", cell.auc), ("gauc", cell.gauc), ("logloss", cell.logloss), ("pcoc", cell.pcoc)] {
            scalars.extend(value.map(|value| (format!("{part}_{name}/{scenario}{}", cell.task), value)));
        }
    }
    scalars
}
