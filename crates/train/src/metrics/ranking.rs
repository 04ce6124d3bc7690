//! Is the good near the top of its request? NDCG@k and the mean reciprocal rank.
//!
//! Rows of equal score have no order of their own: both metrics take the expectation over all orders of them, so that
//! the order of rows cannot matter. Gains are 0 and 1.

use super::scored::{groups, is_positive, score, ungroup};

/// NDCG@k and MRR, and how many requests they cover.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ranking {
    pub(super) ndcg: Option<f64>,
    pub(super) mrr: Option<f64>,
    pub(super) requests: u64,
}

/// Means over the requests that have a positive row, each request alike; rows sorted by request and score.
pub(super) fn ranking(rows: &[u128], k: usize) -> Ranking {
    let discounts: Vec<f64> = (0..k).map(|rank| 1.0 / (rank as f64 + 2.0).log2()).collect();
    let (mut requests, mut ndcg, mut mrr) = (0, 0.0, 0.0);
    for request in groups(rows) {
        let positives = request.iter().filter(|&&row| is_positive(ungroup(row))).count();
        if positives > 0 {
            let (gain, reciprocal) = of_request(request, &discounts);
            let ideal: f64 = discounts.iter().take(positives).sum();
            ndcg += gain / ideal;
            mrr += reciprocal;
            requests += 1;
        }
    }
    let mean = |sum: f64| (requests > 0).then(|| sum / requests as f64);
    Ranking { ndcg: mean(ndcg), mrr: mean(mrr), requests }
}

/// Expected discounted gain and expected reciprocal rank of the first positive row of one request.
fn of_request(rows: &[u128], discounts: &[f64]) -> (f64, f64) {
    let (mut gain, mut reciprocal, mut rank) = (0.0, None, 0);
    let mut end = rows.len();
    while end > 0 && (rank < discounts.len() || reciprocal.is_none()) {
        let same = |row: &&u128| score(ungroup(**row)) == score(ungroup(rows[end - 1]));
        let tied = rows[..end].iter().rev().take_while(same).count();
        let positives = rows[end - tied..end].iter().filter(|&&row| is_positive(ungroup(row))).count();
        if positives > 0 {
            let share = positives as f64 / tied as f64;
            gain += share * discounts.iter().skip(rank).take(tied).sum::<f64>();
            reciprocal.get_or_insert_with(|| expected_reciprocal(rank, tied, positives));
        }
        rank += tied;
        end -= tied;
    }
    (gain, reciprocal.unwrap_or(0.0))
}

/// Expectation of 1 / (rank of the first positive row), of `tied` rows in random order after `rank` others.
fn expected_reciprocal(rank: usize, tied: usize, positives: usize) -> f64 {
    let mut none_yet = 1.0;
    let mut sum = 0.0;
    for place in 0..=tied - positives {
        let now = positives as f64 / (tied - place) as f64;
        sum += none_yet * now / (rank + place + 1) as f64;
        none_yet *= 1.0 - now;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scored::{pack, pack_group};
    use super::*;

    fn sorted(rows: &[(u64, f32, bool)]) -> Vec<u128> {
        let mut packed: Vec<u128> =
            rows.iter().map(|&(request, score, label)| pack_group(request, pack(score, label))).collect();
        packed.sort_unstable();
        packed
    }

    /// Every order of the labels, by Heap's algorithm.
    fn orders(labels: &mut Vec<(u8, bool)>, count: usize, found: &mut Vec<Vec<(u8, bool)>>) {
        if count <= 1 {
            found.push(labels.clone());
            return;
        }
        for place in 0..count {
            orders(labels, count - 1, found);
            labels.swap(if count.is_multiple_of(2) { place } else { 0 }, count - 1);
        }
    }

    /// The metrics of one request as the mean over all orders that its scores allow.
    fn by_all_orders(rows: &[(u8, bool)], k: usize) -> (f64, f64) {
        let mut all = Vec::new();
        orders(&mut rows.to_vec(), rows.len(), &mut all);
        all.retain(|order| order.is_sorted_by(|a, b| a.0 >= b.0));
        let discount = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
        let positives = rows.iter().filter(|row| row.1).count();
        let ideal: f64 = (0..positives.min(k)).map(discount).sum();
        let (mut ndcg, mut mrr) = (0.0, 0.0);
        for order in &all {
            ndcg += (0..k.min(order.len())).filter(|&rank| order[rank].1).map(discount).sum::<f64>() / ideal;
            mrr += 1.0 / (order.iter().position(|row| row.1).unwrap() + 1) as f64;
        }
        (ndcg / all.len() as f64, mrr / all.len() as f64)
    }

    #[test]
    fn a_request_without_a_positive_row_is_left_out() {
        let rows = [(1, 0.9, false), (2, 0.9, false), (2, 0.3, true)];
        let found = ranking(&sorted(&rows), 10);
        assert_eq!((found.mrr, found.requests), (Some(0.5), 1));
        assert!((found.ndcg.unwrap() - 1.0 / 3_f64.log2()).abs() < 1e-15);
        assert_eq!(ranking(&sorted(&rows[..1]), 10), Ranking::default());
    }

    #[test]
    fn what_stands_below_k_gains_nothing_but_counts_for_the_reciprocal_rank() {
        let rows = [(1, 0.9, false), (1, 0.8, false), (1, 0.7, true)];
        let found = ranking(&sorted(&rows), 2);
        assert_eq!(found.ndcg, Some(0.0));
        assert!((found.mrr.unwrap() - 1.0 / 3.0).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn ties_are_the_mean_over_all_orders(
            rows in prop::collection::vec((0_u8..3, any::<bool>()), 1..7),
            k in 1_usize..5,
        ) {
            let packed: Vec<_> = rows.iter().map(|&(score, label)| (1, f32::from(score) / 2.0, label)).collect();
            let found = ranking(&sorted(&packed), k);
            if rows.iter().any(|row| row.1) {
                let (ndcg, mrr) = by_all_orders(&rows, k);
                prop_assert!((found.ndcg.unwrap() - ndcg).abs() < 1e-12);
                prop_assert!((found.mrr.unwrap() - mrr).abs() < 1e-12);
            } else {
                prop_assert_eq!(found, Ranking::default());
            }
        }
    }
}
