//! Measures the most `f32` arithmetic that one thread can do: multiply-adds on registers, nothing read and nothing written.

use std::hint::black_box;
use std::time::Instant;

use hinet_train::peak_rss_mb;
use pulp::{Arch, Simd, WithSimd};

use crate::reference::seconds;
use crate::{Outcome, quantile};

/// Sums that do not wait for each other: a multiply-add takes four cycles or five, and a core starts two in each.
const SUMS: usize = 12;
const ROUNDS: usize = 1 << 18;

struct MultiplyAdds;

impl WithSimd for MultiplyAdds {
    /// Floating point operations that were done.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let factor = simd.splat_f32s(black_box(0.999));
        let term = simd.splat_f32s(black_box(0.001));
        let mut sums = [term; SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        black_box(sums.map(|sum| simd.reduce_sum_f32s(sum)));
        2 * SUMS * ROUNDS * S::F32_LANES
    }
}

pub(crate) fn run(words: &[String]) -> Outcome {
    let seconds: f64 = words.first().map_or(Ok(1.0), |word| seconds(word))?;
    let arch = Arch::new();
    arch.dispatch(MultiplyAdds);
    let mut rates = Vec::new();
    let start = Instant::now();
    while rates.len() < 5 || start.elapsed().as_secs_f64() < seconds {
        let begin = Instant::now();
        let operations = arch.dispatch(MultiplyAdds);
        rates.push(operations as f64 / begin.elapsed().as_secs_f64() / 1e9);
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "{{\"gflops\": {:.1}, \"best_gflops\": {:.1}, \"peak_rss_mb\": {:.0}}}",
        quantile(&rates, 0.5),
        quantile(&rates, 1.0),
        peak_rss_mb().unwrap_or(0.0),
    );
    Ok(())
}
