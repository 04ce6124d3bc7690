//! AUC within each user, averaged by the users' rows.

use super::auc::auc_of_sorted;
use super::scored::{groups, is_positive, score, ungroup};

/// GAUC of rows sorted by user and score, and how many users it covers.
///
/// Sum over users with rows of both classes of (rows times AUC) over the sum of their rows; `None` without such a user.
pub(super) fn gauc(rows: &[u128]) -> (Option<f64>, u64) {
    let (mut users, mut impressions, mut sum) = (0, 0, 0.0);
    for user in groups(rows) {
        let packed = user.iter().map(|&row| ungroup(row));
        if let Some(auc) = auc_of_sorted(packed.map(|row| (score(row), is_positive(row)))) {
            users += 1;
            impressions += user.len();
            sum += user.len() as f64 * auc;
        }
    }
    ((users > 0).then(|| sum / impressions as f64), users)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::auc::auc;
    use super::super::scored::{pack, pack_group};
    use super::*;

    fn sorted(rows: &[(u64, f32, bool)]) -> Vec<u128> {
        let mut packed: Vec<u128> =
            rows.iter().map(|&(user, score, label)| pack_group(user, pack(score, label))).collect();
        packed.sort_unstable();
        packed
    }

    #[test]
    fn users_of_one_class_are_left_out() {
        let rows = [(1, 0.2, false), (1, 0.9, true), (2, 0.5, true), (3, 0.6, false), (3, 0.4, true), (3, 0.3, true)];
        // User 1: 1 over 2 rows; user 3: 0 over 3 rows.
        assert_eq!(gauc(&sorted(&rows)), (Some(0.4), 2));
        assert_eq!(gauc(&sorted(&rows[2..4])), (None, 0));
        assert_eq!(gauc(&[]), (None, 0));
    }

    proptest! {
        #[test]
        fn gauc_is_the_mean_over_users_one_by_one(rows in prop::collection::vec((0_u64..6, 0_u8..8, any::<bool>()), 0..80)) {
            let rows: Vec<(u64, f32, bool)> =
                rows.into_iter().map(|(user, score, label)| (user, f32::from(score) / 7.0, label)).collect();
            let (mut sum, mut weight, mut users) = (0.0, 0.0, 0);
            for user in 0..6 {
                let own = rows.iter().filter(|row| row.0 == user);
                let mut packed: Vec<u64> = own.map(|&(_, score, label)| pack(score, label)).collect();
                packed.sort_unstable();
                if let Some(auc) = auc(&packed) {
                    sum += auc * packed.len() as f64;
                    weight += packed.len() as f64;
                    users += 1;
                }
            }
            let (found, covered) = gauc(&sorted(&rows));
            prop_assert_eq!(covered, users);
            prop_assert_eq!(found.is_some(), users > 0);
            prop_assert!(found.is_none_or(|found| (found - sum / weight).abs() < 1e-12));
        }
    }
}
