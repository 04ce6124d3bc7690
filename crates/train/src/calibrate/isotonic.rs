//! The isotonic curve: the one that never descends and is nearest to the labels, by pooling neighbours that descend.
//!
//! Zadrozny and Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates"; pooling by Ayer
//! et al. 1955, "An Empirical Distribution Function for Sampling with Incomplete Information". Rows of equal scores are one block from the
//! start. A block's value is its share of positives; its first and last score are knots of that value, so that rows that were
//! fitted on keep the pooled value, and between blocks the curve is a line.
//!
//! Departure: a step between two blocks whose scores are nearly equal is made a line of slope 20 that reaches into both; a
//! block without room for that is joined with a neighbour. Two right ways of computing a score, such as ours and ONNX
//! Runtime's, differ by 1e-7, and a step would make any difference of it.

use hinet_model::{Curve, MAX_KNOTS};

use crate::metrics::{is_positive, score};

/// Largest slope of the curve.
const MAX_SLOPE: f64 = 20.0;

/// Neighbouring rows of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Block {
    first: f32,
    last: f32,
    rows: u64,
    positives: u64,
}

/// The curve of packed rows of both classes, in ascending order.
pub(super) fn fit(rows: &[u64]) -> Curve {
    let mut blocks = at_most(MAX_KNOTS / 2, pooled(rows));
    loop {
        let values = values(&blocks);
        let reaches = reaches(&blocks, &values);
        match blocks.iter().enumerate().position(|(at, block)| !block.has_room(&reaches[at])) {
            Some(at) => join(&mut blocks, at, &values),
            None => return Curve::Isotonic { knots: knots(&blocks, &values, &reaches) },
        }
    }
}

/// How far the lines to its neighbours reach into a block, from below and from above.
type Reach = (f64, f64);

/// The reaches of all blocks that slopes of at most [`MAX_SLOPE`] need.
fn reaches(blocks: &[Block], values: &[f64]) -> Vec<Reach> {
    let mut reaches = vec![(0.0, 0.0); blocks.len()];
    for (at, pair) in blocks.windows(2).enumerate() {
        let gap = f64::from(pair[1].first) - f64::from(pair[0].last);
        let lacks = (values[at + 1] - values[at]) / MAX_SLOPE - gap;
        let reach = lacks.max(0.0) / 2.0;
        reaches[at].1 = reach;
        reaches[at + 1].0 = reach;
    }
    reaches
}

/// Joins a block with the neighbour of the nearer value.
fn join(blocks: &mut Vec<Block>, at: usize, values: &[f64]) {
    let below = at.checked_sub(1).map_or(f64::INFINITY, |before| values[at] - values[before]);
    let above = values.get(at + 1).map_or(f64::INFINITY, |value| value - values[at]);
    let first = if below < above { at - 1 } else { at };
    let next = blocks.remove(first + 1);
    blocks[first] = blocks[first].and(&next);
}

fn knots(blocks: &[Block], values: &[f64], reaches: &[Reach]) -> Vec<(f64, f64)> {
    let mut knots: Vec<(f64, f64)> = Vec::with_capacity(2 * blocks.len());
    for ((block, &value), (below, above)) in blocks.iter().zip(values).zip(reaches) {
        for at in [f64::from(block.first) + below, f64::from(block.last) - above] {
            // Where the lines meet in the middle of a block, it is one knot.
            if knots.last().is_none_or(|&(before, _)| before < at) {
                knots.push((at, value));
            }
        }
    }
    knots
}

/// Blocks whose shares of positives ascend.
fn pooled(rows: &[u64]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for equal in rows.chunk_by(|&a, &b| score(a) == score(b)) {
        let at = score(equal[0]);
        let positives = equal.iter().filter(|&&row| is_positive(row)).count() as u64;
        let mut block = Block { first: at, last: at, rows: equal.len() as u64, positives };
        while let Some(before) = blocks.last().filter(|before| !before.is_below(&block)) {
            block = before.and(&block);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks
}

impl Block {
    /// Whether its share of positives is less, exactly.
    fn is_below(&self, other: &Block) -> bool {
        u128::from(self.positives) * u128::from(other.rows) < u128::from(other.positives) * u128::from(self.rows)
    }

    /// Whether the lines to its neighbours reach no further than each other. A block that is alone has none.
    fn has_room(&self, &(below, above): &Reach) -> bool {
        below + above <= f64::from(self.last) - f64::from(self.first)
    }

    fn and(&self, next: &Block) -> Block {
        let (rows, positives) = (self.rows + next.rows, self.positives + next.positives);
        Block { first: self.first, last: next.last, rows, positives }
    }

    fn share(&self) -> f64 {
        self.positives as f64 / self.rows as f64
    }
}

/// Joins neighbours into blocks of about equal rows where there are more than `most`. Shares still ascend: the mean of
/// higher ones is higher.
fn at_most(most: usize, blocks: Vec<Block>) -> Vec<Block> {
    if blocks.len() <= most {
        return blocks;
    }
    let total: u64 = blocks.iter().map(|block| block.rows).sum();
    let part = |done: u64| u128::from(done) * most as u128 / u128::from(total);
    let mut joined: Vec<Block> = Vec::with_capacity(most);
    let (mut done, mut begun) = (0, None);
    for block in blocks {
        match joined.last_mut() {
            Some(last) if begun == Some(part(done)) => *last = last.and(&block),
            _ => {
                begun = Some(part(done));
                joined.push(block);
            }
        }
        done += block.rows;
    }
    joined
}

/// The blocks' shares of positives. The lowest may be 0 and the highest 1, which nothing but rows without end would show:
/// they become Platt's targets `1 / (rows + 2)` and `(rows + 1) / (rows + 2)`, but do not pass their neighbour.
fn values(blocks: &[Block]) -> Vec<f64> {
    let mut values: Vec<f64> = blocks.iter().map(Block::share).collect();
    let shares = values.clone();
    if let (Some(value), Some(block)) = (values.first_mut(), blocks.first())
        && block.positives == 0
    {
        *value = (1.0 / (block.rows as f64 + 2.0)).min(shares.get(1).copied().unwrap_or(1.0));
    }
    if let (Some(value), Some(block)) = (values.last_mut(), blocks.last())
        && block.positives == block.rows
    {
        let before = shares.len().checked_sub(2).map_or(0.0, |before| shares[before]);
        *value = ((block.rows as f64 + 1.0) / (block.rows as f64 + 2.0)).max(before);
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::pack;

    fn packed(rows: &[(f32, bool)]) -> Vec<u64> {
        let mut packed: Vec<u64> = rows.iter().map(|&(score, label)| pack(score, label)).collect();
        packed.sort_unstable();
        packed
    }

    fn knots_of(rows: &[u64]) -> Vec<(f64, f64)> {
        match fit(rows) {
            Curve::Isotonic { knots } => knots,
            other @ (Curve::Identity | Curve::Platt { .. }) => panic!("{other:?}"),
        }
    }

    /// The fitted value of each distinct score by the definition: the greatest over what begins at or before it of the
    /// least over what ends at or after it of the mean label (Barlow et al. 1972, max-min formula).
    fn by_definition(rows: &[u64]) -> Vec<(f32, f64)> {
        let groups: Vec<&[u64]> = rows.chunk_by(|&a, &b| score(a) == score(b)).collect();
        let mean = |from: usize, to: usize| {
            let (mut count, mut positives) = (0.0, 0.0);
            for row in groups[from..=to].iter().flat_map(|group| group.iter()) {
                count += 1.0;
                positives += f64::from(u8::from(is_positive(*row)));
            }
            positives / count
        };
        let value = |at: usize| {
            let least = |from| (at..groups.len()).map(|to| mean(from, to)).fold(f64::INFINITY, f64::min);
            (0..=at).map(least).fold(f64::NEG_INFINITY, f64::max)
        };
        groups.iter().enumerate().map(|(at, group)| (score(group[0]), value(at))).collect()
    }

    proptest! {
        #[test]
        fn pooling_gives_what_the_definition_says(rows in prop::collection::vec((0_u8..30, any::<bool>()), 1..80)) {
            let rows: Vec<(f32, bool)> = rows.iter().map(|&(at, label)| (f32::from(at) / 30.0, label)).collect();
            let rows = packed(&rows);
            let blocks = pooled(&rows);
            prop_assert!(blocks.is_sorted_by(Block::is_below));
            for (at, expected) in by_definition(&rows) {
                let block = blocks.iter().find(|block| block.first <= at && at <= block.last).unwrap();
                prop_assert!((block.share() - expected).abs() < 1e-12, "{} {:?} {}", at, block, expected);
            }
        }

        #[test]
        fn knots_ascend_and_are_few_whatever_the_rows(
            rows in prop::collection::vec((0.0_f32..=1.0, 0.0_f32..1.0), 1..3000),
        ) {
            // The higher the score, the more positives: many blocks.
            let rows: Vec<(f32, bool)> = rows.iter().map(|&(score, draw)| (score, draw < score)).collect();
            let rows = packed(&rows);
            let knots = knots_of(&rows);
            let slope = |pair: &[(f64, f64)]| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0);
            prop_assert!(knots.windows(2).all(|pair| slope(pair) <= MAX_SLOPE * (1.0 + 1e-9)), "{:?}", knots);
            prop_assert!((1..=MAX_KNOTS).contains(&knots.len()));
            prop_assert!(knots.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{:?}", knots);
            prop_assert!(knots.iter().all(|(x, y)| (0.0..=1.0).contains(x) && *y > 0.0 && *y < 1.0));
            let blocks = at_most(4, pooled(&rows));
            prop_assert!(blocks.len() <= 4 && blocks.is_sorted_by(Block::is_below));
            prop_assert_eq!(blocks.iter().map(|block| block.rows).sum::<u64>(), rows.len() as u64);
        }
    }

    #[test]
    fn a_step_between_nearly_equal_scores_becomes_a_line_around_it() {
        // A thousand rows to either side of .5, of which a fifth and then four fifths are positive.
        let row = |at: usize| {
            (
                if at < 1000 { at as f32 / 2001.0 } else { (at + 1) as f32 / 2001.0 },
                at % 5 < if at < 1000 { 1 } else { 4 },
            )
        };
        let rows: Vec<(f32, bool)> = (0..2000).map(row).collect();
        let knots = knots_of(&packed(&rows));
        let steep = knots.windows(2).max_by(|a, b| (a[1].1 - a[0].1).total_cmp(&(b[1].1 - b[0].1))).unwrap();
        let [(from, low), (to, high)] = [steep[0], steep[1]];
        assert!(high - low > 0.4, "{knots:?}");
        assert!(
            ((high - low) / (to - from) - MAX_SLOPE).abs() < 1e-6 && ((from + to) / 2.0 - 0.5).abs() < 0.002,
            "{knots:?}"
        );
    }

    #[test]
    fn many_blocks_become_few_of_about_equal_rows() {
        let block = |at: u64| Block { first: at as f32 / 1000.0, last: at as f32 / 1000.0, rows: 1000, positives: at };
        let joined = at_most(10, (0..1000).map(block).collect());
        assert!(joined.len() == 10 && joined.iter().all(|block| block.rows == 100_000), "{joined:?}");
        assert_eq!(joined[3], Block { first: 0.3, last: 0.399, rows: 100_000, positives: (300..400).sum() });
    }

    #[test]
    fn a_block_of_one_class_is_not_taken_for_certain() {
        let rows: Vec<(f32, bool)> =
            (0..40).map(|row| (row as f32 / 40.0, row >= 30 || (row >= 10 && row % 2 == 1))).collect();
        let knots = knots_of(&packed(&rows));
        assert_eq!((knots[0].1, knots[knots.len() - 1].1), (1.0 / 13.0, 12.0 / 13.0), "{knots:?}");
    }
}
