//! Means, Student's t and Holm's correction.

use crate::compare::{PairedT, Spread};

/// Degrees of freedom beyond which t is as good as normal.
const MANY: f64 = 1e5;

impl Spread {
    /// Mean and deviation of what is defined.
    pub(crate) fn of(values: Vec<Option<f64>>) -> Spread {
        let defined: Vec<f64> = values.iter().flatten().copied().collect();
        Spread { mean: mean(&defined), deviation: variance(&defined).map(f64::sqrt), values }
    }
}

pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Of a sample: the sum of squares over `n - 1`.
pub(crate) fn variance(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    Some(values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64)
}

/// Whether the mean of paired differences is 0, by Student's t on both sides. `None` for fewer than two: one
/// difference has no spread. `p_holm` is `p` until [`holm`] has seen the others.
pub(crate) fn paired_t(differences: &[f64]) -> Option<PairedT> {
    let (mean, variance) = (mean(differences)?, variance(differences)?);
    let degrees = differences.len() as u64 - 1;
    let error = (variance / differences.len() as f64).sqrt();
    let t = (error > 0.0).then(|| mean / error);
    let p = match t {
        Some(t) => two_sided(t, degrees as f64),
        None if mean == 0.0 => 1.0,
        None => 0.0,
    };
    Some(PairedT { degrees, t, p, p_holm: p })
}

/// Holm's correction: the probability, for each, that any of those tested would be as small if no difference were real.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![1.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max(p[at] * (p.len() - rank) as f64).min(1.0);
        corrected[at] = largest;
    }
    corrected
}

/// Probability that Student's t is at least this far from 0 on either side.
pub(crate) fn two_sided(t: f64, degrees: f64) -> f64 {
    let degrees = degrees.min(MANY);
    incomplete_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5)
}

/// The t that [`two_sided`] gives this probability, which is above 0.
pub(crate) fn quantile(p: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while two_sided(high, degrees) > p {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if two_sided(middle, degrees) > p { low = middle } else { high = middle }
    }
    high
}

/// The regularised incomplete beta function, by the continued fraction (DLMF 8.17.22) on the side where it converges.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    front.exp() / (a * beta_fraction(x, a, b))
}

/// The continued fraction by Lentz's method.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let above_tiny = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 1..100_000_u32 {
        let m = f64::from(step / 2);
        let term = if step % 2 == 1 {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        } else {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        };
        d = 1.0 / above_tiny(1.0 + term * d);
        c = above_tiny(1.0 + term / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// Logarithm of the gamma function above 0 (Lanczos, g = 7, 9 terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let sum = (1..9).fold(TERMS[0], |sum, i| sum + TERMS[i] / (x + i as f64));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, expected: f64, within: f64) {
        assert!((found - expected).abs() <= within, "{found} is not {expected}");
    }

    #[test]
    fn probabilities_of_student_are_those_of_the_tables() {
        // Critical values of t at 5%, two-sided, for 1, 2, 4, 9, 30 degrees of freedom, and of the normal distribution.
        for (degrees, t) in [(1.0, 12.706_205), (2.0, 4.302_653), (4.0, 2.776_445), (9.0, 2.262_157), (30.0, 2.042_272)]
        {
            close(two_sided(t, degrees), 0.05, 1e-7);
            close(quantile(0.05, degrees), t, 1e-5);
        }
        close(quantile(0.05, f64::INFINITY), 1.959_964, 1e-4);
        close(two_sided(3.0, f64::INFINITY), 0.002_699_796, 1e-6);
        close(two_sided(0.0, 3.0), 1.0, 1e-15);
        // One degree of freedom has a closed form: 1 - 2 atan(t) / pi.
        for t in [0.3_f64, 1.0, 40.0] {
            close(two_sided(t, 1.0), 1.0 - 2.0 * t.atan() / std::f64::consts::PI, 1e-12);
        }
    }

    #[test]
    fn a_paired_t_is_that_of_students_sleep_data() {
        // Student 1908, the extra hours of sleep of ten patients with the second drug less the first: t = 4.0621, p = 0.002833.
        let differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let test = paired_t(&differences).unwrap();
        close(test.t.unwrap(), 4.062_128, 1e-6);
        close(test.p, 0.002_833, 1e-6);
        assert_eq!(test.degrees, 9);
        assert_eq!(paired_t(&[0.3]), None, "one seed tells nothing of seeds");
        assert_eq!(paired_t(&[0.5, 0.5]).unwrap().p, 0.0);
        assert_eq!(paired_t(&[0.0, 0.0]).unwrap().p, 1.0);
    }

    #[test]
    fn holm_is_the_textbooks_and_never_below_what_it_corrects() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(*found, expected, 1e-12);
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn spreads_leave_out_what_is_undefined() {
        let spread = Spread::of(vec![Some(1.0), None, Some(3.0)]);
        assert_eq!((spread.mean, spread.deviation), (Some(2.0), Some(2.0_f64.sqrt())));
        assert_eq!(Spread::of(vec![Some(1.0)]).deviation, None);
        assert_eq!(Spread::of(vec![None]).mean, None);
    }
}
