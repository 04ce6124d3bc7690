//! Are probabilities right on average? PCOC and the expected calibration error.

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

    proptest! {
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
