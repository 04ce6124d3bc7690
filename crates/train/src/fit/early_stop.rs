//! When to stop early and which weights to keep.

use serde::{Deserialize, Serialize};

/// The best evaluation so far and how many came after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Steps done at the best evaluation.
    pub(crate) step: Option<u64>,
    /// Its metric, of which more is better.
    pub(crate) metric: Option<f64>,
    /// Evaluations since then.
    pub(crate) stale: u64,
}

impl Best {
    /// Takes an evaluation in, and says whether its weights are to be kept: those of the best, and while no metric was
    /// defined, the newest. Beside a defined metric an undefined one is never better.
    pub(crate) fn report(&mut self, step: u64, metric: Option<f64>) -> bool {
        let metric = metric.filter(|metric| metric.is_finite());
        let better = match (metric, self.metric) {
            (Some(metric), Some(best)) => metric > best,
            (Some(_), None) => true,
            (None, known) => known.is_none(),
        };
        if better {
            *self = Best { step: Some(step), metric, stale: 0 };
        } else {
            self.stale += 1;
        }
        better
    }

    /// Whether `patience` evaluations in a row brought nothing better; a patience of 0 never ends.
    pub(crate) fn is_exhausted(&self, patience: u64) -> bool {
        patience > 0 && self.stale >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(metrics: &[Option<f64>]) -> Best {
        let mut best = Best::default();
        for (step, metric) in (1..).zip(metrics) {
            best.report(step, *metric);
        }
        best
    }

    #[test]
    fn the_first_of_equal_metrics_stays_the_best() {
        let best = after(&[Some(0.5), Some(0.7), Some(0.7), Some(0.6)]);
        assert_eq!(best, Best { step: Some(2), metric: Some(0.7), stale: 2 });
        assert!(best.is_exhausted(2) && !best.is_exhausted(3) && !best.is_exhausted(0));
    }

    #[test]
    fn while_no_metric_is_defined_the_newest_weights_are_kept_and_nothing_stops() {
        let best = after(&[None, None]);
        assert_eq!(best, Best { step: Some(2), metric: None, stale: 0 });
        assert!(!best.is_exhausted(1));
        assert_eq!(after(&[None, Some(0.4)]), Best { step: Some(2), metric: Some(0.4), stale: 0 });
        assert_eq!(after(&[Some(0.4), None, Some(f64::NAN)]), Best { step: Some(1), metric: Some(0.4), stale: 2 });
    }
}
