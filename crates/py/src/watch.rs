//! Work on a thread of its own, while the thread that Python called looks after Ctrl-C and callbacks.
//!
//! Python runs handlers of signals on its main thread alone, and callbacks belong to the thread of their caller. So that thread waits
//! for events without the interpreter's lock; the worker waits for the answer to each event, so that what a callback decides holds for
//! the very next step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use hinet_train::{
    CompareObserver, Evaluated, Observer, Progress, RunEvent, ScoreOptions, Stage, StepDone, TrainError,
};
use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use crate::error::raised;

/// How long Ctrl-C may wait.
const TICK: Duration = Duration::from_millis(50);

/// What the worker tells, and where it waits for the answer.
struct Event {
    kind: &'static str,
    told: Value,
    answer: Sender<bool>,
}

/// The worker's end: tells events, and knows whether to stop.
pub(crate) struct Worker<'a> {
    events: Sender<Event>,
    stop: &'a AtomicBool,
    tasks: Vec<String>,
    /// Whether anybody wants to be told.
    is_heard: bool,
    wants_steps: bool,
    threads: usize,
    is_enough: bool,
}

/// What Python wants to be told: `tell(kind, json) -> bool`, where true ends training as if its epochs were over.
#[derive(Default, FromPyObject)]
pub(crate) struct Watch {
    /// Called for each event.
    tell: Option<Py<PyAny>>,
    /// Whether for each step, too.
    steps: bool,
    /// Threads that score; 0 takes as many as the machine has cores.
    threads: usize,
}

/// Runs `work`. An exception of Ctrl-C or of a callback stops it, and is raised once it has stopped.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    watch: &Watch,
    work: impl FnOnce(&mut Worker<'_>) -> Result<T, TrainError> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let (events, received) = channel();
    let mut worker = Worker {
        events,
        stop: &stop,
        tasks: Vec::new(),
        is_heard: watch.tell.is_some(),
        wants_steps: watch.steps,
        threads: watch.threads,
        is_enough: false,
    };
    let stop = &stop;
    let (outcome, exception) = py.detach(move || {
        thread::scope(|scope| {
            // The worker goes in, so that the channel closes when the work is done.
            let working = scope.spawn(move || work(&mut worker));
            let exception = attend(&received, watch, stop);
            (working.join(), exception)
        })
    });
    if let Some(exception) = exception {
        return Err(exception);
    }
    match outcome {
        Ok(done) => done.map_err(|error| raised(py, error)),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Answers events until the worker has none left; the exception that stopped it, if any.
fn attend(events: &Receiver<Event>, watch: &Watch, stop: &AtomicBool) -> Option<PyErr> {
    let mut exception = None;
    loop {
        let event = match events.recv_timeout(TICK) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return exception,
        };
        let answered =
            if exception.is_none() { Python::attach(|py| attended(py, event.as_ref(), watch)) } else { Ok(false) };
        let is_enough = answered.unwrap_or_else(|raised| {
            exception = Some(raised);
            stop.store(true, Ordering::Relaxed);
            false
        });
        if let Some(event) = event {
            // A worker that panicked meanwhile does not listen any more.
            let _ = event.answer.send(is_enough);
        }
    }
}

fn attended(py: Python<'_>, event: Option<&Event>, watch: &Watch) -> PyResult<bool> {
    py.check_signals()?;
    match (event, &watch.tell) {
        (Some(event), Some(tell)) => tell.bind(py).call1((event.kind, event.told.to_string()))?.is_truthy(),
        _ => Ok(false),
    }
}

impl<'a> Worker<'a> {
    /// Set once the work shall stop.
    pub(crate) fn stop(&self) -> &'a AtomicBool {
        self.stop
    }

    /// What there is to read, until the work shall stop.
    pub(crate) fn until_stopped<T>(&self, items: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        let stop = self.stop;
        items.take_while(move |_| !stop.load(Ordering::Relaxed))
    }

    /// What came of reading, unless it was stopped on the way.
    pub(crate) fn unless_stopped<T>(&self, outcome: Result<T, TrainError>) -> Result<T, TrainError> {
        if self.stop.load(Ordering::Relaxed) { Err(TrainError::InterruptedEarly) } else { outcome }
    }

    /// Options for scoring, whose progress is told.
    pub(crate) fn scoring<T>(&mut self, work: impl FnOnce(ScoreOptions<'_>) -> T) -> T {
        let (threads, stop) = (self.threads, self.stop);
        work(ScoreOptions { threads, stop, progress: &mut |rows| self.tell("scored", json!({ "rows": rows })) })
    }

    fn tell(&mut self, kind: &'static str, told: Value) {
        if !self.is_heard {
            return;
        }
        let (answer, answered) = channel();
        if self.events.send(Event { kind, told, answer }).is_ok() {
            self.is_enough |= answered.recv().unwrap_or(false);
        }
    }

    /// Losses by task.
    fn losses(&self, losses: impl Iterator<Item = Option<f64>>) -> Map<String, Value> {
        self.tasks.iter().cloned().zip(losses.map(Value::from)).collect()
    }
}

impl Observer for Worker<'_> {
    fn stage(&mut self, stage: Stage<'_>) {
        match stage {
            Stage::Preparing => self.tell("preparing", json!({})),
            Stage::Training { size, resumed_at } => {
                self.tasks.clone_from(&size.tasks);
                self.tell(
                    "training",
                    json!({
                        "rows": size.rows, "scenarios": size.scenarios, "tasks": size.tasks, "steps": size.steps,
                        "dense_parameters": size.dense_parameters, "embedding_parameters": size.embedding_parameters,
                        "resumed_at": resumed_at,
                    }),
                );
            }
            Stage::Evaluating { part, step } => self.tell("evaluating", json!({ "part": part, "step": step })),
            Stage::Evaluated(evaluated) => self.tell("evaluated", of_evaluation(evaluated)),
            Stage::Saving => self.tell("saving", json!({})),
        }
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        let losses = self.losses(progress.losses.iter().copied());
        self.tell(
            "progress",
            json!({
                "step": progress.step, "steps": progress.steps, "epoch": progress.epoch, "epochs": progress.epochs,
                "losses": losses, "learning_rate": progress.learning_rate,
                "rows_per_second": progress.rows_per_second, "seconds": progress.seconds,
                "seconds_left": progress.seconds_left,
            }),
        );
    }

    fn warn(&mut self, warning: &str) {
        self.tell("warning", json!({ "text": warning }));
    }

    fn step(&mut self, done: &StepDone<'_>) {
        if self.wants_steps {
            let losses = self.losses(done.losses.iter().map(|loss| loss.mean()));
            let told = json!({
                "step": done.step, "epoch": done.epoch, "rows": done.rows, "losses": losses,
                "learning_rate": done.learning_rate,
            });
            self.tell("step", told);
        }
    }

    fn is_enough(&mut self) -> bool {
        self.is_enough
    }
}

fn of_evaluation(evaluated: &Evaluated<'_>) -> Value {
    let Evaluated { part, step, monitor, metric, best, metrics } = *evaluated;
    json!({ "part": part, "step": step, "monitor": monitor, "metric": metric, "best": best, "metrics": metrics })
}

impl CompareObserver for Worker<'_> {
    fn event(&mut self, event: RunEvent<'_>) {
        match event {
            RunEvent::Reading => self.tell("preparing", json!({})),
            RunEvent::Training { runs, jobs } => self.tell("comparing", json!({ "runs": runs, "jobs": jobs })),
            RunEvent::Step { .. } => {}
            RunEvent::Warning { model, seed, text } => {
                self.tell("warning", json!({ "text": format!("{model}, seed {seed}: {text}") }));
            }
            RunEvent::Done(line) => self.tell(
                "compared",
                json!({
                    "done": line.done, "runs": line.runs, "model": line.model, "seed": line.seed, "valid": line.valid,
                    "test": line.test, "seconds_left": line.seconds_left,
                }),
            ),
            RunEvent::Testing => self.tell("testing", json!({})),
        }
    }
}
