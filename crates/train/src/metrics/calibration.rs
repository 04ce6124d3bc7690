//! Are probabilities right on average? PCOC, the expected calibration error, and the bins of reliability diagrams.

use serde::{Deserialize, Serialize};

use super::scored::{is_positive, score};

/// Bins of the expected calibration error, of equal width over [0, 1]; bin b holds `[b / 20, (b + 1) / 20)`, the last one 1 as well.
pub(super) const BINS: usize = 20;

/// Predicted clicks over clicks: the sum of predictions over the number of positive rows. `None` without a positive row.
pub(super) fn pcoc(rows: &[u64]) -> Option<f64> {
    let positives = rows.iter().filter(|&&row| is_positive(row)).count();
    (positives > 0).then(|| rows.iter().map(|&row| f64::from(score(row))).sum::<f64>() / positives as f64)
}

/// Sum over bins of (rows of the bin / rows) times |mean prediction - mean label|. `None` without rows.
pub(super) fn ece(rows: &[u64]) -> Option<f64> {
    let mut gap = [0.0_f64; BINS];
    for &row in rows {
        let p = f64::from(score(row));
        gap[((p * BINS as f64) as usize).min(BINS - 1)] += p - f64::from(u8::from(is_positive(row)));
    }
    (!rows.is_empty()).then(|| gap.iter().map(|gap| gap.abs()).sum::<f64>() / rows.len() as f64)
}

/// Bins of a reliability diagram, of about equal numbers of rows: bins of equal width would hold all rows of a rare
/// task in one.
const DIAGRAM_BINS: usize = 10;

/// Rows of neighbouring predictions: what was predicted of them, and what happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Rows in the bin.
    pub rows: u64,
    /// Those whose label is 1.
    pub positives: u64,
    /// Mean prediction.
    pub prediction: f64,
}

/// The bins of a reliability diagram from rows in ascending order: at most ten, equal predictions never parted.
pub(super) fn reliability(rows: &[u64]) -> Vec<ReliabilityBin> {
    let mut bins = Vec::with_capacity(DIAGRAM_BINS);
    let mut start = 0;
    for bin in 1..=DIAGRAM_BINS {
        let mut end = (rows.len() * bin / DIAGRAM_BINS).max(start);
        while end > start && end < rows.len() && score(rows[end]) == score(rows[end - 1]) {
            end += 1;
        }
        if end == start {
            continue;
        }
        let within = &rows[start..end];
        bins.push(ReliabilityBin {
            rows: within.len() as u64,
            positives: within.iter().filter(|&&row| is_positive(row)).count() as u64,
            prediction: within.iter().map(|&row| f64::from(score(row))).sum::<f64>() / within.len() as f64,
        });
        start = end;
    }
    bins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scored::pack;
    use super::*;

    #[test]
    fn calibration_without_rows_is_undefined() {
        assert_eq!(pcoc(&[]), None);
        assert_eq!(pcoc(&[pack(0.5, false)]), None);
        assert_eq!(ece(&[]), None);
    }

    #[test]
    fn twice_as_many_predicted_as_happened_is_two() {
        assert_eq!(pcoc(&[pack(0.5, true), pack(0.75, false), pack(0.75, false)]), Some(2.0));
    }

    #[test]
    fn a_certain_prediction_falls_into_the_last_bin() {
        assert_eq!(ece(&[pack(1.0, true)]), Some(0.0));
        assert_eq!(ece(&[pack(1.0, false)]), Some(1.0));
    }

    #[test]
    fn equal_predictions_share_a_bin() {
        let rows: Vec<u64> = (0..40).map(|row| pack(0.5, row >= 30)).collect();
        assert_eq!(reliability(&rows), [ReliabilityBin { rows: 40, positives: 10, prediction: 0.5 }]);
        assert_eq!(reliability(&[]), []);
    }

    proptest! {
        #[test]
        fn the_bins_of_a_diagram_hold_every_row_once_in_ascending_order(rows in prop::collection::vec((0_u8..40, any::<bool>()), 0..200)) {
            let mut packed: Vec<u64> = rows.iter().map(|&(score, label)| pack(f32::from(score) / 40.0, label)).collect();
            packed.sort_unstable();
            let bins = reliability(&packed);
            prop_assert!(bins.len() <= DIAGRAM_BINS && bins.iter().all(|bin| bin.rows > 0));
            prop_assert!(bins.is_sorted_by(|a, b| a.prediction < b.prediction));
            prop_assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), rows.len() as u64);
            prop_assert_eq!(bins.iter().map(|bin| bin.positives).sum::<u64>(), rows.iter().filter(|row| row.1).count() as u64);
        }

        #[test]
        fn ece_is_what_the_definition_says(rows in prop::collection::vec((0.0_f32..=1.0, any::<bool>()), 1..100)) {
            let mut expected = 0.0;
            for bin in 0..BINS {
                let (from, to) = (bin as f64 / 20.0, (bin + 1) as f64 / 20.0);
                let inside = |p: f64| p >= from && (p < to || bin == BINS - 1);
                let own: Vec<_> = rows.iter().filter(|row| inside(f64::from(row.0))).collect();
                if own.is_empty() {
                    continue;
                }
                let count = own.len() as f64;
                let prediction = own.iter().map(|row| f64::from(row.0)).sum::<f64>() / count;
                let label = own.iter().filter(|row| row.1).count() as f64 / count;
                expected += count / rows.len() as f64 * (prediction - label).abs();
            }
            let packed: Vec<u64> = rows.iter().map(|&(score, label)| pack(score, label)).collect();
            prop_assert!((ece(&packed).unwrap() - expected).abs() < 1e-6);
        }
    }
}
