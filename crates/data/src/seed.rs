//! One number from the user, and a stream of its own for everyone who draws.

use serde::{Deserialize, Serialize};

/// The one number that a run's random draws come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of one consumer's own stream, told apart by what it is for and by a counter such as the epoch.
    /// A new consumer changes no other stream.
    ///
    /// ```
    /// # use hinet_data::Seed;
    /// assert_eq!(Seed(7).stream("shuffle", 0), Seed(7).stream("shuffle", 0));
    /// assert_ne!(Seed(7).stream("shuffle", 0), Seed(7).stream("shuffle", 1));
    /// assert_ne!(Seed(7).stream("shuffle", 0), Seed(7).stream("dropout", 0));
    /// ```
    pub fn stream(self, purpose: &str, index: u64) -> u64 {
        let tag = purpose.bytes().fold(splitmix64(self.0) ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        splitmix64(tag ^ splitmix64(index))
    }
}

/// Steele, Lea and Flood's mixing of 64 bits; a bijection.
pub(crate) fn splitmix64(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Puts `items` into an order that depends on `seed` alone, each order equally likely (Fisher and Yates).
pub fn shuffle<T>(items: &mut [T], seed: u64) {
    for last in (1..items.len()).rev() {
        let draw = splitmix64(seed.wrapping_add(last as u64));
        let other = ((u128::from(draw) * (last as u128 + 1)) >> 64) as usize;
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_pinned_because_runs_are_reproduced_by_them() {
        assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(Seed(7).stream("shuffle", 3), Seed(7).stream("shuffle", 3));
        assert_ne!(Seed(7).stream("shuffle", 3), Seed(8).stream("shuffle", 3));
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_every_place_is_about_equally_likely() {
        let mut landed = [0_u32; 5];
        for seed in 0..5000 {
            let mut items = [0, 1, 2, 3, 4];
            shuffle(&mut items, Seed(seed).stream("test", 0));
            landed[items.iter().position(|&item| item == 0).unwrap()] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        assert!(landed.iter().all(|&count| (900..1100).contains(&count)), "{landed:?}");
    }
}
