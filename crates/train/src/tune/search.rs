//! The search: rung by rung, each trial once, and what was written down before taken as it is.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::journal::Journal;
use super::schedule::{Schedule, best_first};
use super::{TrialLine, TrialResult, TuneEvent, TuneObserver};
use crate::{TrainError, queue};

/// Trains a trial on a rung.
pub(super) type Train<'a> = &'a (dyn Fn(usize, u32) -> Result<TrialResult, TrainError> + Sync);

/// Does away with what training a trial on a rung has left, once its result is written down.
pub(super) type Forget<'a> = &'a (dyn Fn(usize, u32) -> Result<(), TrainError> + Sync);

/// What is searched, and how far it is.
pub(super) struct Search<'a> {
    pub(super) out: &'a Path,
    pub(super) schedule: Schedule,
    pub(super) trials: usize,
    pub(super) at_a_time: usize,
    pub(super) larger_is_better: bool,
    pub(super) stop: &'a AtomicBool,
    pub(super) state: Mutex<State<'a>>,
}

/// What trials that run side by side share.
pub(super) struct State<'a> {
    pub(super) journal: Journal,
    pub(super) observer: &'a mut dyn TuneObserver,
}

/// How far a rung is.
struct Tally {
    begin: Instant,
    done: usize,
    /// Of those done: trained in this session.
    trained: usize,
}

impl<'a> Search<'a> {
    /// Trains what has not ended yet; the best result.
    pub(super) fn run(&self, train: Train<'_>, forget: Forget<'_>) -> Result<TrialResult, TrainError> {
        let mut alive: Vec<usize> = (0..self.trials).collect();
        let mut results = Vec::new();
        for rung in 0..self.schedule.rungs {
            results = self.rung(rung, &alive, (train, forget))?;
            if rung + 1 < self.schedule.rungs {
                alive = self.schedule.survivors(&results, self.larger_is_better);
            }
        }
        results.sort_by(|a, b| best_first(a, b, self.larger_is_better));
        let best = results.into_iter().next().filter(|best| best.metric.is_some());
        best.ok_or_else(|| TrainError::Tuning { problem: format!("{NO_METRIC} {}", self.out.display()) })
    }

    fn rung(
        &self,
        rung: u32,
        alive: &[usize],
        (train, forget): (Train<'_>, Forget<'_>),
    ) -> Result<Vec<TrialResult>, TrainError> {
        let (rungs, jobs) = (self.schedule.rungs, self.at_a_time);
        self.state().observer.event(TuneEvent::Rung { rung, rungs, trials: alive.len(), jobs });
        let tally = Mutex::new(Tally { begin: Instant::now(), done: 0, trained: 0 });
        let ended = queue::each(alive.len(), jobs, self.stop, |index| {
            let trial = alive[index];
            let known = self.state().journal.find(trial, rung).cloned();
            let was_done = known.is_some();
            let result = known.map_or_else(|| train(trial, rung), Ok)?;
            let mut state = self.state();
            if !was_done {
                state.journal.add(result.clone())?;
            }
            forget(trial, rung)?;
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.done += 1;
            tally.trained += usize::from(!was_done);
            let line = self.line(&tally, alive.len(), (&result, was_done), &state.journal);
            state.observer.event(TuneEvent::Done(&line));
            Ok(())
        });
        match ended {
            Err(error) if !error.is_interrupt() => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let state = self.state();
        let results: Vec<TrialResult> =
            alive.iter().filter_map(|&trial| state.journal.find(trial, rung)).cloned().collect();
        if results.len() < alive.len() {
            let (done, path) = (state.journal.results().len(), self.out.to_owned());
            return Err(TrainError::TuningStopped { done, path });
        }
        Ok(results)
    }

    fn line(
        &self,
        tally: &Tally,
        trials: usize,
        (result, was_done): (&TrialResult, bool),
        journal: &Journal,
    ) -> TrialLine {
        let of_rung = journal.results().iter().filter(|other| other.rung == result.rung);
        let best = of_rung.min_by(|a, b| best_first(a, b, self.larger_is_better)).unwrap_or(result);
        let each = tally.begin.elapsed().as_secs_f64() / tally.trained as f64;
        TrialLine {
            done: tally.done,
            trials,
            is_best: best.trial == result.trial,
            best: best.metric,
            result: result.clone(),
            was_done,
            seconds_left: (tally.trained > 0).then(|| each * (trials - tally.done) as f64),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<'a>> {
        // A panic elsewhere ends the search anyway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NO_METRIC: &str = "no setting of the last rung has a defined metric; the trials and what went wrong stand in";

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::experiment::TuneConfig;

    struct Silent;

    impl TuneObserver for Silent {
        fn event(&mut self, _event: TuneEvent<'_>) {}
    }

    /// Nine trials of which a later one is better when trained long, while short training favours even ones.
    fn objective(trial: usize, rung: u32) -> Option<f64> {
        match (trial, rung) {
            (3, _) => None,
            (trial, 0) => Some(if trial % 2 == 0 { 0.6 } else { 0.5 } + trial as f64 / 1000.0),
            (trial, _) => Some(0.5 + trial as f64 / 100.0),
        }
    }

    fn search<'a>(folder: &'a Path, stop: &'a AtomicBool, observer: &'a mut Silent) -> Search<'a> {
        let config = serde_json::from_str::<TuneConfig>(r#"{ "strategy": "halving", "rungs": 2 }"#).unwrap();
        let state = State { journal: Journal::open(&folder.join("trials.jsonl")).unwrap(), observer };
        let schedule = Schedule::new(&config);
        let state = Mutex::new(state);
        Search { out: folder, schedule, trials: 9, at_a_time: 2, larger_is_better: true, stop, state }
    }

    fn calls_and_best(folder: &Path, stop_after: usize) -> (Vec<(usize, u32)>, Result<TrialResult, TrainError>) {
        let (stop, mut observer) = (AtomicBool::new(false), Silent);
        let calls = Mutex::new(Vec::new());
        let search = search(folder, &stop, &mut observer);
        let best = search.run(
            &|trial, rung| {
                let mut calls = calls.lock().unwrap();
                calls.push((trial, rung));
                stop.fetch_or(calls.len() == stop_after, Ordering::Relaxed);
                Ok(TrialResult { trial, rung, metric: objective(trial, rung), ..TrialResult::default() })
            },
            &|_, _| Ok(()),
        );
        let mut calls = calls.lock().unwrap().clone();
        calls.sort_by_key(|&(trial, rung)| (rung, trial));
        (calls, best)
    }

    #[test]
    fn halving_trains_the_better_third_on_and_takes_the_best_of_the_last_rung() {
        let folder = tempfile::tempdir().unwrap();
        let (calls, best) = calls_and_best(folder.path(), usize::MAX);
        let first: Vec<(usize, u32)> = (0..9).map(|trial| (trial, 0)).collect();
        assert_eq!(calls, [&first[..], &[(4, 1), (6, 1), (8, 1)]].concat());
        assert_eq!(best.unwrap().trial, 8);
    }

    #[test]
    fn a_search_stopped_anywhere_and_continued_trains_each_trial_once_and_ends_with_the_same_best() {
        for stop_after in [1, 5, 9, 10] {
            let folder = tempfile::tempdir().unwrap();
            let (before, stopped) = calls_and_best(folder.path(), stop_after);
            assert!(matches!(stopped, Err(TrainError::TuningStopped { .. })), "after {stop_after}: {stopped:?}");
            let (after, best) = calls_and_best(folder.path(), usize::MAX);
            assert_eq!(before.len() + after.len(), 12, "after {stop_after}");
            assert_eq!(best.unwrap().trial, 8);
        }
    }

    #[test]
    fn a_search_without_any_metric_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, mut observer) = (AtomicBool::new(false), Silent);
        let search = search(folder.path(), &stop, &mut observer);
        let failed = |trial, rung| Ok(TrialResult { trial, rung, ..TrialResult::default() });
        let error = search.run(&failed, &|_, _| Ok(())).unwrap_err();
        assert!(error.to_string().contains("no setting"), "{error}");
    }
}
