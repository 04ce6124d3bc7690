//! Both corrections of every cell, as a plan applies them.

use super::Curve;
use crate::Model;

/// What becomes of the network's probabilities, by the group of their row: its scenario, or last the unknown ones.
#[derive(Clone, Debug)]
pub(crate) struct Correction {
    tasks: usize,
    /// `[scenarios + 1, tasks]`.
    cells: Vec<CellCorrection>,
}

#[derive(Clone, Debug)]
struct CellCorrection {
    negative_rate: f64,
    curve: Curve,
}

impl Correction {
    /// `None` where scores stay as they are.
    pub(crate) fn of(model: &Model) -> Option<Correction> {
        let rates = model.layout.tasks.iter().map(|task| task.negative_rate);
        let cells = model.layout.groups() * rates.len();
        let curve = |cell: usize| model.calibration().map_or(&Curve::Identity, |found| &found.cells[cell].curve);
        let changes = rates.clone().any(|rate| rate != 1.0) || (0..cells).any(|cell| *curve(cell) != Curve::Identity);
        changes.then(|| Correction {
            tasks: rates.len(),
            cells: rates
                .cycle()
                .zip(0..cells)
                .map(|(negative_rate, cell)| CellCorrection { negative_rate, curve: curve(cell).clone() })
                .collect(),
        })
    }

    /// The share of negatives that train kept, of a task.
    pub(crate) fn negative_rate(&self, task: usize) -> f64 {
        self.cells[task].negative_rate
    }

    /// The curves of a task, `[scenarios + 1]`.
    pub(crate) fn curves(&self, task: usize) -> impl ExactSizeIterator<Item = &Curve> + Clone {
        self.cells[task..].iter().step_by(self.tasks).map(|cell| &cell.curve)
    }

    /// Corrects the scores of rows of one group, `[rows, tasks]`.
    pub(crate) fn apply(&self, group: usize, scores: &mut [f32]) {
        let cells = &self.cells[group * self.tasks..][..self.tasks];
        for row in scores.chunks_exact_mut(self.tasks) {
            for (score, cell) in row.iter_mut().zip(cells) {
                *score = cell.curve.apply(with_all_negatives(*score, cell.negative_rate));
            }
        }
    }
}

/// What a score, learnt where a share of the negatives was kept, is where all are: its odds times that share.
fn with_all_negatives(p: f32, rate: f64) -> f32 {
    if rate == 1.0 {
        return p;
    }
    let p = f64::from(p);
    let positive = rate * p;
    (positive / (positive + (1.0 - p))) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odds_shrink_by_the_rate_and_certainty_stays() {
        assert_eq!(with_all_negatives(0.3, 1.0).to_bits(), 0.3_f32.to_bits());
        assert_eq!([0.0, 1.0].map(|p| with_all_negatives(p, 0.1)), [0.0, 1.0]);
        // 1,000 rows, 10 of them positive: of the negatives 99 are kept.
        assert!((with_all_negatives(10.0 / 109.0, 0.1) - 0.01).abs() < 1e-8);
        assert!(with_all_negatives(f32::NAN, 0.1).is_nan());
    }

    proptest! {
        #[test]
        fn the_order_of_scores_stays(a in 0.0_f32..=1.0, b in 0.0_f32..=1.0, rate in 1e-6_f64..=1.0) {
            let (low, high) = (with_all_negatives(a.min(b), rate), with_all_negatives(a.max(b), rate));
            prop_assert!(low <= high && (0.0..=1.0).contains(&low) && high <= a.max(b));
        }
    }
}
