//! Area under the ROC curve, exact, ties counted one half.

use super::scored::{is_positive, score};

/// AUC of packed rows in ascending order. `None` when they are of one class.
pub(super) fn auc(rows: &[u64]) -> Option<f64> {
    auc_of_sorted(rows.iter().map(|&row| (score(row), is_positive(row))))
}

/// AUC of (value, positive) in ascending order of value. `None` when all are of one class.
///
/// Counts pairs in whole numbers, so it is exact for up to six billion rows.
pub(crate) fn auc_of_sorted<V: PartialEq>(rows: impl Iterator<Item = (V, bool)>) -> Option<f64> {
    // Twice the pairs won, so that a tie is a whole number.
    let (mut positives, mut negatives, mut wins) = (0_u64, 0_u64, 0_u64);
    let (mut tied, mut tied_positives, mut tied_negatives) = (None, 0_u64, 0_u64);
    for (value, positive) in rows {
        if tied.as_ref() != Some(&value) {
            wins += tied_positives * (2 * negatives + tied_negatives);
            (positives, negatives) = (positives + tied_positives, negatives + tied_negatives);
            (tied, tied_positives, tied_negatives) = (Some(value), 0, 0);
        }
        tied_positives += u64::from(positive);
        tied_negatives += u64::from(!positive);
    }
    wins += tied_positives * (2 * negatives + tied_negatives);
    (positives, negatives) = (positives + tied_positives, negatives + tied_negatives);
    (positives > 0 && negatives > 0).then(|| wins as f64 / (2.0 * positives as f64 * negatives as f64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scored::pack;
    use super::*;

    fn sorted(rows: &[(f32, bool)]) -> Vec<u64> {
        let mut packed: Vec<u64> = rows.iter().map(|&(score, positive)| pack(score, positive)).collect();
        packed.sort_unstable();
        packed
    }

    fn by_pairs(rows: &[(f32, bool)]) -> Option<f64> {
        let (mut pairs, mut wins) = (0.0, 0.0);
        for &(above, _) in rows.iter().filter(|row| row.1) {
            for &(below, _) in rows.iter().filter(|row| !row.1) {
                pairs += 1.0;
                wins += if above > below {
                    1.0
                } else if above == below {
                    0.5
                } else {
                    0.0
                };
            }
        }
        (pairs > 0.0).then(|| wins / pairs)
    }

    #[test]
    fn the_auc_of_one_class_is_undefined() {
        assert_eq!(auc(&sorted(&[])), None);
        assert_eq!(auc(&sorted(&[(0.1, true), (0.2, true)])), None);
        assert_eq!(auc(&sorted(&[(0.1, false)])), None);
    }

    #[test]
    fn a_known_case() {
        let rows = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        assert_eq!(auc(&sorted(&rows)), Some(0.75));
    }

    proptest! {
        #[test]
        fn auc_is_the_share_of_pairs_won(rows in prop::collection::vec((0_u8..12, any::<bool>()), 0..80)) {
            let rows: Vec<(f32, bool)> = rows.into_iter().map(|(score, label)| (f32::from(score) / 11.0, label)).collect();
            let (found, expected) = (auc(&sorted(&rows)), by_pairs(&rows));
            prop_assert_eq!(found.is_some(), expected.is_some());
            prop_assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12);
        }

        #[test]
        fn turning_labels_around_turns_the_auc_around(rows in prop::collection::vec((0_u8..12, any::<bool>()), 0..80)) {
            let rows: Vec<(f32, bool)> = rows.into_iter().map(|(score, label)| (f32::from(score) / 11.0, label)).collect();
            let turned: Vec<(f32, bool)> = rows.iter().map(|&(score, label)| (score, !label)).collect();
            if let (Some(one), Some(other)) = (auc(&sorted(&rows)), auc(&sorted(&turned))) {
                prop_assert!((one + other - 1.0).abs() < 1e-12);
            }
        }
    }
}
