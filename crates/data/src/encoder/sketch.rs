//! Quantiles of a stream in bounded memory, without chance.

/// A hierarchy of compactors after Karnin, Lang and Liberty (2016), with two departures: every level holds as many numbers, and what a full
/// level passes on is every second number in order of size, by turns the first or the second of each pair, where the paper tosses a coin.
/// The same numbers in the same order always give the same quantiles.
///
/// Up to [`LEVEL`] numbers the quantiles are exact. Beyond, with n numbers, the rank of a quantile is wrong by at most
/// n log2(n / LEVEL) / LEVEL: half a percent of a billion numbers, in less than a megabyte.
#[derive(Clone, Debug)]
pub(crate) struct Sketch {
    /// A number in `levels[h]` stands for 2^h numbers. They are held as [`key`]s, which sort faster.
    levels: Vec<Vec<i64>>,
    /// Which number of each pair the level passes on next.
    second: Vec<bool>,
    least: f64,
}

/// Numbers a level holds; even.
const LEVEL: usize = 4096;

impl Default for Sketch {
    fn default() -> Self {
        Sketch { levels: vec![Vec::new()], second: vec![false], least: f64::INFINITY }
    }
}

impl Sketch {
    /// Takes in a number; not-a-number must be kept out.
    pub(crate) fn add(&mut self, number: f64) {
        self.least = self.least.min(number);
        self.levels[0].push(key(number));
        if self.levels[0].len() == LEVEL {
            self.compact();
        }
    }

    /// Where buckets begin so that about equally many numbers fall in each: at most `buckets - 1` ascending finite numbers, all above the least
    /// number. A number so frequent that it fills a bucket alone gets one alone.
    pub(crate) fn boundaries(&self, buckets: usize) -> Vec<f64> {
        let sorted = self.weighted();
        let total: u64 = sorted.iter().map(|(_, weight)| weight).sum();
        let mut boundaries = Vec::new();
        let mut previous = self.least;
        let (mut place, mut below) = (0, 0);
        for bucket in 1..buckets as u64 {
            let rank = (u128::from(total) * u128::from(bucket) / buckets as u128) as u64;
            while place < sorted.len() && below + sorted[place].1 <= rank {
                below += sorted[place].1;
                place += 1;
            }
            let Some(&(cut, _)) = sorted.get(place) else { break };
            let boundary = if cut > previous { Some(cut) } else { next_above(&sorted[place..], previous) };
            let Some(boundary) = boundary.filter(|boundary| boundary.is_finite()) else { continue };
            if boundaries.last().is_none_or(|&last| boundary > last) {
                boundaries.push(boundary);
            }
            previous = cut;
        }
        boundaries
    }

    fn compact(&mut self) {
        let mut level = 0;
        while self.levels[level].len() == LEVEL {
            let mut full = std::mem::take(&mut self.levels[level]);
            if level == 0 {
                full.sort_unstable();
            } else {
                // Two sorted halves, which a stable sort finds and merges.
                full.sort();
            }
            if level + 1 == self.levels.len() {
                self.levels.push(Vec::with_capacity(LEVEL));
                self.second.push(false);
            }
            let first = usize::from(self.second[level]);
            self.second[level] = !self.second[level];
            self.levels[level + 1].extend(full.iter().skip(first).step_by(2));
            full.clear();
            self.levels[level] = full;
            level += 1;
        }
    }

    /// The numbers kept, ascending, each with how many it stands for.
    fn weighted(&self) -> Vec<(f64, u64)> {
        let levels = self.levels.iter().enumerate();
        let mut all: Vec<(f64, u64)> =
            levels.flat_map(|(level, keys)| keys.iter().map(move |&key| (number(key), 1 << level))).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        all
    }
}

/// A whole number that sorts as [`f64::total_cmp`] does.
fn key(number: f64) -> i64 {
    flipped(number.to_bits().cast_signed())
}

/// The number with that [`key`].
fn number(key: i64) -> f64 {
    f64::from_bits(flipped(key).cast_unsigned())
}

/// All bits but the sign turned round where it is set: negative numbers grow with the rest of their bits.
fn flipped(bits: i64) -> i64 {
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

fn next_above(sorted: &[(f64, u64)], bound: f64) -> Option<f64> {
    let above = sorted.partition_point(|&(number, _)| number <= bound);
    sorted.get(above).map(|&(number, _)| number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(numbers: impl IntoIterator<Item = f64>) -> Sketch {
        let mut sketch = Sketch::default();
        numbers.into_iter().for_each(|number| sketch.add(number));
        sketch
    }

    #[test]
    fn a_million_numbers_in_any_order_are_cut_within_the_stated_rank_error() {
        let count = 1_000_000_u64;
        let orders: [fn(u64) -> u64; 3] = [|i| i, |i| 999_999 - i, |i| i * 700_001 % 1_000_000];
        for order in orders {
            let boundaries = sketch((0..count).map(|i| order(i) as f64)).boundaries(20);
            assert_eq!(boundaries.len(), 19);
            let bound = count as f64 * (count as f64 / LEVEL as f64).log2() / LEVEL as f64;
            for (cut, boundary) in (1..).zip(boundaries) {
                let exact = f64::from(cut) * count as f64 / 20.0;
                assert!((boundary - exact).abs() <= bound, "cut {cut} at {boundary}, more than {bound} off");
            }
        }
    }

    #[test]
    fn few_numbers_are_cut_exactly() {
        assert_eq!(sketch([4.0, 1.0, 3.0, 2.0]).boundaries(2), [3.0]);
        assert_eq!(sketch((0..100).map(f64::from)).boundaries(4), [25.0, 50.0, 75.0]);
    }

    #[test]
    fn a_frequent_number_has_its_bucket_alone() {
        let zeros = (0..90).map(|_| 0.0);
        assert_eq!(sketch(zeros.chain((1..=10).map(f64::from))).boundaries(5), [1.0]);
        let middle = [1.0, 2.0].into_iter().chain((0..20).map(|_| 5.0)).chain([8.0, 9.0]);
        assert_eq!(sketch(middle).boundaries(4), [5.0, 8.0]);
    }

    #[test]
    fn a_constant_needs_no_boundary_and_nothing_needs_none() {
        assert!(sketch([3.0; 50]).boundaries(20).is_empty());
        assert!(sketch([]).boundaries(20).is_empty());
        assert!(sketch([f64::NEG_INFINITY, f64::INFINITY]).boundaries(2).is_empty());
    }

    #[test]
    fn keys_sort_as_their_numbers_do_and_lead_back_to_them() {
        let numbers = [f64::NEG_INFINITY, -2.5, -1e-300, -0.0, 0.0, 1e-300, 2.5, f64::INFINITY];
        let keys = numbers.map(key);
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(keys.map(|key| number(key).to_bits()), numbers.map(f64::to_bits));
    }

    proptest! {
        #[test]
        fn boundaries_ascend_stay_few_and_lie_above_the_least(numbers in prop::collection::vec(-20_i32..20, 1..300), buckets in 1_usize..30) {
            let least = *numbers.iter().min().unwrap();
            let boundaries = sketch(numbers.into_iter().map(f64::from)).boundaries(buckets);
            prop_assert!(boundaries.len() < buckets);
            prop_assert!(boundaries.iter().all(|&boundary| boundary > f64::from(least)));
            prop_assert!(boundaries.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
