//! Sums over steps: losses and classes per task, and the clock.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::step::TaskLoss;

/// Mean loss of each task over some steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossMeter {
    sums: Vec<TaskLoss>,
    means: Vec<Option<f64>>,
}

impl LossMeter {
    pub(crate) fn new(tasks: usize) -> LossMeter {
        LossMeter { sums: vec![TaskLoss::default(); tasks], means: vec![None; tasks] }
    }

    /// Takes the losses of one step in.
    pub(crate) fn add(&mut self, losses: &[TaskLoss]) {
        for (sum, loss) in self.sums.iter_mut().zip(losses) {
            sum.sum += loss.sum;
            sum.weight += loss.weight;
        }
    }

    /// The mean of each task since the last call, `None` where no label was observed; then starts anew.
    pub(crate) fn take(&mut self) -> &[Option<f64>] {
        for (mean, sum) in self.means.iter_mut().zip(&mut self.sums) {
            *mean = sum.mean();
            *sum = TaskLoss::default();
        }
        &self.means
    }
}

/// Rates since the last report and over the session.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    last: Instant,
    rows: u64,
    /// Seconds of training before this session.
    before: f64,
    training: f64,
    steps: u64,
}

impl Pace {
    /// Begins a session after `before` seconds of training in earlier ones.
    pub(crate) fn new(before: f64) -> Pace {
        Pace { last: Instant::now(), rows: 0, before, training: 0.0, steps: 0 }
    }

    /// Counts a step.
    pub(crate) fn step(&mut self, rows: usize) {
        self.rows += rows as u64;
        self.steps += 1;
    }

    /// Whether a person has waited long enough for news.
    pub(crate) fn is_due(&self) -> bool {
        self.last.elapsed().as_secs_f64() > 0.2
    }

    /// Whether there was no step since the last lap.
    pub(crate) fn is_idle(&self) -> bool {
        self.rows == 0
    }

    /// Rows per second since the last call, and starts anew.
    pub(crate) fn lap(&mut self) -> f64 {
        let passed = self.last.elapsed().as_secs_f64();
        self.training += passed;
        let rate = self.rows as f64 / passed.max(1e-9);
        (self.last, self.rows) = (Instant::now(), 0);
        rate
    }

    /// Forgets the time since the last [`Pace::lap`]: it was not spent training.
    pub(crate) fn skip(&mut self) {
        (self.last, self.rows) = (Instant::now(), 0);
    }

    /// Seconds of training up to the last lap, earlier sessions included.
    pub(crate) fn seconds(&self) -> f64 {
        self.before + self.training
    }

    /// Estimate of the seconds that `steps` more steps take.
    pub(crate) fn seconds_for(&self, steps: u64) -> f64 {
        self.training / self.steps.max(1) as f64 * steps as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_means_over_what_was_observed() {
        let mut meter = LossMeter::new(2);
        meter.add(&[TaskLoss { sum: 3.0, weight: 4.0 }, TaskLoss::default()]);
        meter.add(&[TaskLoss { sum: 1.0, weight: 4.0 }, TaskLoss::default()]);
        assert_eq!(meter.take(), [Some(0.5), None]);
        assert_eq!(meter.take(), [None, None]);
    }
}
