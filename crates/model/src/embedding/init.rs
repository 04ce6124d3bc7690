//! First draws of a table: one stream per run of rows, so that threads can share the work and draw the same.

use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

/// Rows that one stream draws.
const RUN: usize = 1024;
/// Rows that start at 0: missing and unseen.
const RESERVED: usize = 2;

/// Fills a table, `[rows, dim]`, with normal draws of this deviation; the reserved rows with 0.
pub(super) fn fill(values: &mut [f32], dim: usize, std: f32, seed: u64) {
    let run = |(index, values): (usize, &mut [f32])| {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(mix(seed ^ mix(index as u64)));
        for value in values {
            let draw: f32 = StandardNormal.sample(&mut rng);
            *value = draw * std;
        }
    };
    if super::in_pool() {
        values.par_chunks_mut(RUN * dim).enumerate().for_each(run);
    } else {
        values.chunks_mut(RUN * dim).enumerate().for_each(run);
    }
    let reserved = values.len().min(RESERVED * dim);
    values[..reserved].fill(0.0);
}

/// One step of splitmix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
