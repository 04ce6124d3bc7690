//! Trains the runs of a comparison, several at a time; what has ended before is taken as it is.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::assemble::{Scores, Trained};
use super::{CompareOptions, CompareRuns};
use crate::fit::{Shared, fit_with};
use crate::{Experiment, FitOptions, Observer, Progress, RunFolder, Stage, Summary, TrainError, pool, queue};

/// Watches a comparison. It is never called from two threads at once.
pub trait CompareObserver: Send {
    /// Something happened.
    fn event(&mut self, event: RunEvent<'_>);
}

/// What happens while models are compared.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// The data is read and the encoder fitted.
    Reading,
    /// Training begins.
    Training {
        /// Runs, those that had ended before included.
        runs: usize,
        /// Runs at a time.
        jobs: usize,
    },
    /// A run goes on.
    Step {
        /// Its model.
        model: &'a str,
        /// Its seed.
        seed: u64,
        /// Steps done.
        step: u64,
        /// Steps until its end, unless it stops early.
        steps: u64,
    },
    /// A run says something that the user should know.
    Warning {
        /// Its model.
        model: &'a str,
        /// Its seed.
        seed: u64,
        /// What it says.
        text: &'a str,
    },
    /// A run has ended, now or before.
    Done(&'a RunLine),
    /// Users and seeds are resampled.
    Testing,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunLine {
    /// Runs that have ended, with this one.
    pub done: usize,
    /// Runs in all.
    pub runs: usize,
    /// The model.
    pub model: String,
    /// The seed.
    pub seed: u64,
    /// Mean over tasks of the overall AUC on the validation rows.
    pub valid: Option<f64>,
    /// The same on the test rows.
    pub test: Option<f64>,
    /// Rows trained on per second.
    pub rows_per_second: f64,
    /// Whether it had ended before.
    pub was_finished: bool,
    /// Estimate of the seconds until all runs have ended; unknown before one has.
    pub seconds_left: Option<f64>,
}

/// Trains every model with every seed; the runs of each model, in the order of the seeds.
pub(super) fn train(
    runs: &CompareRuns,
    shared: &Shared,
    options: &mut CompareOptions<'_>,
) -> Result<Vec<Vec<Trained>>, TrainError> {
    let jobs: Vec<Job<'_>> = runs.seeds.iter().flat_map(|&seed| runs.models.iter().map(move |m| (m, seed))).collect();
    let (at_a_time, threads) = pool::shares(options.threads, runs.jobs, jobs.len());
    options.observer.event(RunEvent::Training { runs: jobs.len(), jobs: at_a_time });
    let ended = jobs.iter().map(|_| None).collect();
    let queue = Queue {
        out: &runs.out,
        jobs: &jobs,
        shared,
        threads,
        stop: options.stop,
        progress: Mutex::new(Tally { observer: options.observer, ended, done: 0, trained: 0, begin: Instant::now() }),
    };
    let result = queue::each(jobs.len(), at_a_time, options.stop, |job| queue.work(job));
    let Tally { ended, done, .. } = queue.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    match result {
        Err(error) if !error.is_interrupt() => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if done < jobs.len() {
        return Err(TrainError::ComparisonStopped { done, runs: jobs.len(), path: runs.out.clone() });
    }
    let mut by_model: Vec<Vec<Trained>> = runs.models.iter().map(|_| Vec::new()).collect();
    for (job, trained) in ended.into_iter().flatten().enumerate() {
        by_model[job % runs.models.len()].push(trained);
    }
    Ok(by_model)
}

type Job<'a> = (&'a Experiment, u64);

/// What the workers share.
struct Queue<'a> {
    out: &'a Path,
    jobs: &'a [Job<'a>],
    shared: &'a Shared,
    /// Threads of one run.
    threads: usize,
    stop: &'a AtomicBool,
    progress: Mutex<Tally<'a>>,
}

/// How far all runs are.
struct Tally<'a> {
    observer: &'a mut dyn CompareObserver,
    /// By job.
    ended: Vec<Option<Trained>>,
    done: usize,
    /// Of those done: trained in this session.
    trained: usize,
    begin: Instant,
}

impl<'a> Queue<'a> {
    fn work(&self, job: usize) -> Result<(), TrainError> {
        let (model, seed) = self.jobs[job];
        let trained = self.run(model, seed).map_err(|error| {
            if error.is_interrupt() {
                return error;
            }
            TrainError::Compared { model: model.name.clone(), seed, source: Box::new(error) }
        })?;
        self.tally().ended[job] = Some(trained);
        Ok(())
    }

    fn run(&self, model: &Experiment, seed: u64) -> Result<Trained, TrainError> {
        let mut experiment = model.clone();
        (experiment.train.seed, experiment.train.threads) = (seed, self.threads);
        let place = PathBuf::from(&model.name).join(format!("seed-{seed}"));
        let out = self.out.join(&place);
        let mut observer = RunObserver { queue: self, model: &model.name, seed };
        let options = FitOptions { resume: true, stop: self.stop, observer: &mut observer };
        let summary = fit_with(&experiment, &out, options, Some(self.shared))?;
        self.done(&model.name, seed, &summary);
        let scores = Scores::File(RunFolder::at(&out).test_scores());
        Ok(Trained { seed, place, scores, metrics: summary.metrics, timing: summary.timing })
    }

    fn done(&self, model: &str, seed: u64, summary: &Summary) {
        let mut tally = self.tally();
        tally.done += 1;
        tally.trained += usize::from(!summary.was_finished);
        let (done, runs) = (tally.done, self.jobs.len());
        let each = tally.begin.elapsed().as_secs_f64() / tally.trained as f64;
        let auc = |part: &str| summary.metrics.splits.get(part).and_then(|split| split.mean_auc);
        let line = RunLine {
            done,
            runs,
            model: model.to_owned(),
            seed,
            valid: auc("valid"),
            test: auc("test"),
            rows_per_second: summary.timing.rows_per_second,
            was_finished: summary.was_finished,
            seconds_left: (tally.trained > 0).then(|| each * (runs - done) as f64),
        };
        tally.observer.event(RunEvent::Done(&line));
    }

    fn tally(&self) -> MutexGuard<'_, Tally<'a>> {
        // A panic elsewhere ends the comparison anyway.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells one run's progress to whoever watches the comparison.
struct RunObserver<'q, 'a> {
    queue: &'q Queue<'a>,
    model: &'q str,
    seed: u64,
}

impl Observer for RunObserver<'_, '_> {
    fn stage(&mut self, _stage: Stage<'_>) {}

    fn progress(&mut self, progress: &Progress<'_>) {
        let event = RunEvent::Step { model: self.model, seed: self.seed, step: progress.step, steps: progress.steps };
        self.queue.tally().observer.event(event);
    }

    fn warn(&mut self, text: &str) {
        self.queue.tally().observer.event(RunEvent::Warning { model: self.model, seed: self.seed, text });
    }
}

#[cfg(test)]
mod tests {
    use hinet_data::{Layout, Seed, Slot, TableSpec, TaskSpec, UnknownScenario};
    use hinet_model::{Model, zoo};

    #[test]
    fn models_of_one_seed_start_with_the_same_tables() {
        let layout = Layout {
            sequences: Vec::new(),
            tables: vec![TableSpec { name: "user".into(), rows: 50, dim: 4 }],
            slots: vec![Slot::Lookup { feature: "user".into(), table: 0 }],
            scenarios: vec!["home".into(), "search".into()],
            scenario_rows: vec![1, 1],
            tasks: vec![TaskSpec::new("click")],
            unknown: UnknownScenario::Error,
        };
        let table = |preset: &str, seed: u64| {
            let config = zoo::find(preset).unwrap().config();
            Model::new(layout.clone(), config, Seed(seed)).unwrap().embeddings.table(0).to_vec()
        };
        for preset in ["shared_bottom", "mmoe", "ple", "hmoe", "star"] {
            assert_eq!(table(preset, 3), table("hinet", 3), "{preset}");
        }
        assert_ne!(table("hinet", 4), table("hinet", 3));
    }
}
