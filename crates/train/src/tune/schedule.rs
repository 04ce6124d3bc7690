//! Which settings train for how long: rungs, and who goes on to the next one.

use super::TrialResult;
use crate::experiment::{TuneConfig, TuneStrategy};

/// Rungs, each training `eta` times as long as the one before; the last one as long as the experiment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) rungs: u32,
    eta: u32,
}

impl Schedule {
    pub(super) fn new(config: &TuneConfig) -> Schedule {
        match config.strategy {
            TuneStrategy::Random | TuneStrategy::Grid => Schedule { rungs: 1, eta: 1 },
            TuneStrategy::Halving => Schedule { rungs: config.rungs, eta: config.eta },
        }
    }

    /// Steps of a rung, counted from 0, where the last one has `full`.
    pub(super) fn steps(&self, rung: u32, full: u64) -> u64 {
        let share = u64::from(self.eta).saturating_pow(self.rungs - 1 - rung);
        full.div_ceil(share).max(1)
    }

    /// How many of `count` settings go on.
    fn kept(&self, count: usize) -> usize {
        (count / self.eta as usize).max(1)
    }

    /// The trials that go on from a rung, ascending. Those without a metric never do before others.
    pub(super) fn survivors(&self, results: &[TrialResult], larger_is_better: bool) -> Vec<usize> {
        let mut ranked: Vec<&TrialResult> = results.iter().collect();
        ranked.sort_by(|a, b| best_first(a, b, larger_is_better));
        let mut kept: Vec<usize> = ranked.iter().take(self.kept(results.len())).map(|result| result.trial).collect();
        kept.sort_unstable();
        kept
    }
}

/// The better of two results first: longer trained, then the better metric, then the earlier trial.
pub(super) fn best_first(a: &TrialResult, b: &TrialResult, larger_is_better: bool) -> std::cmp::Ordering {
    let quality = |result: &TrialResult| {
        let metric = result.metric.filter(|metric| metric.is_finite());
        metric.map_or(f64::NEG_INFINITY, |metric| if larger_is_better { metric } else { -metric })
    };
    let longer = b.rung.cmp(&a.rung);
    longer.then(quality(b).total_cmp(&quality(a))).then(a.trial.cmp(&b.trial))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(metrics: &[Option<f64>]) -> Vec<TrialResult> {
        let result = |(trial, &metric)| TrialResult { trial, metric, ..TrialResult::default() };
        metrics.iter().enumerate().map(result).collect()
    }

    #[test]
    fn each_rung_trains_eta_times_as_long_and_the_last_one_in_full() {
        let schedule = Schedule { rungs: 3, eta: 3 };
        assert_eq!([0, 1, 2].map(|rung| schedule.steps(rung, 900)), [100, 300, 900]);
        assert_eq!([0, 1, 2].map(|rung| schedule.steps(rung, 4)), [1, 2, 4]);
    }

    #[test]
    fn the_better_third_goes_on_and_what_has_no_metric_does_not() {
        let schedule = Schedule { rungs: 3, eta: 3 };
        let metrics = [Some(0.5), None, Some(0.7), Some(0.6), Some(f64::NAN), Some(0.7)];
        assert_eq!(schedule.survivors(&results(&metrics), true), [2, 5]);
        assert_eq!(schedule.survivors(&results(&metrics), false), [0, 3]);
        assert_eq!(schedule.survivors(&results(&metrics[..2]), true), [0], "one goes on however few there are");
    }
}
