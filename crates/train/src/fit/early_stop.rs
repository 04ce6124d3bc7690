//! When to stop early and which weights to keep.

use serde::{Deserialize, Serialize};

/// The best evaluation so far and how many came after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Steps done at the best evaluation.
    pub(crate) step: Option<u64>,
    /// Its metric, of which more is better.
    pub(crate) metric: Option<f64>,
    /// Whether some cell was below its floor.
    #[serde(default)]
    pub(crate) below_floor: bool,
    /// Evaluations since then.
    pub(crate) stale: u64,
}

impl Best {
    /// Takes an evaluation in, and says whether its weights are to be kept: those of the best, and while no metric was
    /// defined, the newest. Beside a defined metric an undefined one is never better; beside weights that keep all floors,
    /// none that break one are.
    pub(crate) fn report(&mut self, step: u64, metric: Option<f64>, below_floor: bool) -> bool {
        let metric = metric.filter(|metric| metric.is_finite());
        let better = match (metric, self.metric) {
            (Some(metric), Some(best)) if below_floor == self.below_floor => metric > best,
            (Some(_), Some(_)) => self.below_floor,
            (Some(_), None) => true,
            (None, known) => known.is_none(),
        };
        if better {
            *self = Best { step: Some(step), metric, below_floor, stale: 0 };
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

/// The best that each cell ever was, and how many evaluations in a row made none better.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CellBests {
    best: Vec<Option<f64>>,
    stale: u64,
}

impl CellBests {
    /// Takes in the AUC of every cell, of which undefined ones say nothing.
    pub(crate) fn report(&mut self, cells: &[Option<f64>]) {
        self.best.resize(cells.len(), None);
        let mut better = false;
        for (best, cell) in self.best.iter_mut().zip(cells) {
            if let Some(auc) = cell.filter(|auc| best.is_none_or(|best| *auc > best)) {
                (*best, better) = (Some(auc), true);
            }
        }
        self.stale = if better { 0 } else { self.stale + 1 };
    }

    /// Whether `patience` evaluations in a row made no cell better; a patience of 0 never ends.
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
            best.report(step, *metric, false);
        }
        best
    }

    #[test]
    fn the_first_of_equal_metrics_stays_the_best() {
        let best = after(&[Some(0.5), Some(0.7), Some(0.7), Some(0.6)]);
        assert_eq!(best, Best { step: Some(2), metric: Some(0.7), below_floor: false, stale: 2 });
        assert!(best.is_exhausted(2) && !best.is_exhausted(3) && !best.is_exhausted(0));
    }

    #[test]
    fn while_no_metric_is_defined_the_newest_weights_are_kept_and_nothing_stops() {
        let best = after(&[None, None]);
        assert_eq!(best, Best { step: Some(2), metric: None, below_floor: false, stale: 0 });
        assert!(!best.is_exhausted(1));
        let best = after(&[None, Some(0.4)]);
        assert_eq!(best, Best { step: Some(2), metric: Some(0.4), below_floor: false, stale: 0 });
        let best = after(&[Some(0.4), None, Some(f64::NAN)]);
        assert_eq!(best, Best { step: Some(1), metric: Some(0.4), below_floor: false, stale: 2 });
    }

    #[test]
    fn weights_that_keep_the_floors_are_better_than_any_that_do_not() {
        let mut best = Best::default();
        assert!(best.report(1, Some(0.7), true));
        assert!(best.report(2, Some(0.8), true), "while none keeps them, the best is kept");
        assert!(best.report(3, Some(0.5), false));
        assert!(!best.report(4, Some(0.9), true));
        assert!(best.report(5, Some(0.6), false));
        assert_eq!(best, Best { step: Some(5), metric: Some(0.6), below_floor: false, stale: 0 });
    }

    #[test]
    fn it_goes_on_while_any_cell_gets_better() {
        let mut cells = CellBests::default();
        cells.report(&[Some(0.5), None]);
        cells.report(&[Some(0.4), Some(0.6)]);
        assert!(!cells.is_exhausted(1), "the second cell was seen for the first time");
        cells.report(&[Some(0.3), Some(0.7)]);
        assert!(!cells.is_exhausted(1));
        cells.report(&[Some(0.5), None]);
        assert!(cells.is_exhausted(1) && !cells.is_exhausted(2) && !cells.is_exhausted(0));
    }
}
