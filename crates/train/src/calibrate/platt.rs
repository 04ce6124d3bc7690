//! Platt's curve `p' = sigmoid(a x + b)` of a score's logit x, by the most likely a and b.
//!
//! Platt 1999, "Probabilistic Outputs for Support Vector Machines"; Newton's method with backtracking by Lin, Lin and Weng
//! 2007, "A Note on Platt's Probabilistic Outputs for Support Vector Machines". With N+ positive and N- negative rows, what
//! is minimised is
//!
//! ```text
//! L(a, b) = sum over rows of  ln(1 + exp(z)) - t z,    z = a x + b
//! t = (N+ + 1) / (N+ + 2) for a positive row, 1 / (N- + 2) for a negative one
//! ```
//!
//! | theirs | here |
//! | --- | --- |
//! | f, the margin of a support vector machine | x, the logit of the score |
//! | A, B | -a, -b |
//! | t+, t- | [`Targets`] |
//!
//! t in place of 1 and 0 keeps a and b finite where x parts the classes. L is convex. Where its least a is not above 0, the
//! scores tell nothing of the labels, or the opposite of what they should: then a is 1 and b alone is fitted, which makes the
//! mean right and leaves the ranking as it is. (A negative a would turn it around, 0 would end it.)

use hinet_model::{Curve, logit};

use crate::metrics::{is_positive, score};

/// What is fitted to in place of 1 and 0.
struct Targets {
    positive: f64,
    negative: f64,
}

/// The value, gradient and second derivatives of L.
#[derive(Default)]
struct Loss {
    value: f64,
    /// By a and by b.
    gradient: [f64; 2],
    /// By a twice, by a and b, by b twice.
    second: [f64; 3],
}

/// Which numbers move.
#[derive(Clone, Copy, PartialEq)]
enum Free {
    Both,
    Shift,
}

/// Newton's method needs about ten.
const MOST_STEPS: usize = 100;
/// Mean gradient at which it is done.
const DONE: f64 = 1e-11;
/// A step brings at least this share of what the gradient promises, or is halved.
const PROGRESS: f64 = 1e-4;
const SHORTEST: f64 = 1e-10;
/// Below it, relative to their size, second derivatives do not tell a from b: all scores are nearly one.
const SINGULAR: f64 = 1e-9;

/// The curve of packed rows of both classes.
pub(super) fn fit(rows: &[u64]) -> Curve {
    let positives = rows.iter().filter(|&&row| is_positive(row)).count() as f64;
    let negatives = rows.len() as f64 - positives;
    let targets = Targets { positive: (positives + 1.0) / (positives + 2.0), negative: 1.0 / (negatives + 2.0) };
    let points: Vec<(f64, f64)> = rows.iter().map(|&row| (logit(score(row)), targets.of(row))).collect();
    let (a, b) = newton(&points, Free::Both).filter(|(a, _)| *a > 0.0).unwrap_or_else(|| {
        newton(&points, Free::Shift).expect("the second derivative by b alone is a sum of positive numbers")
    });
    Curve::Platt { a, b }
}

impl Targets {
    fn of(&self, row: u64) -> f64 {
        if is_positive(row) { self.positive } else { self.negative }
    }
}

/// The least of L from a = 1, b = 0 on; `None` where it has no one place.
fn newton(points: &[(f64, f64)], free: Free) -> Option<(f64, f64)> {
    let mut at = (1.0, 0.0);
    let mut loss = Loss::at(points, at);
    for _ in 0..MOST_STEPS {
        let [by_a, by_b] = loss.gradient;
        let by_a = if free == Free::Both { by_a } else { 0.0 };
        if by_a.abs().max(by_b.abs()) <= DONE * points.len() as f64 {
            break;
        }
        let step = loss.step(free)?;
        let promised = by_a * step.0 + by_b * step.1;
        let mut length = 1.0;
        let (next, found) = loop {
            let next = (at.0 + length * step.0, at.1 + length * step.1);
            let found = Loss::at(points, next);
            if found.value <= loss.value + PROGRESS * length * promised {
                break (next, found);
            }
            length /= 2.0;
            if length < SHORTEST {
                // Rounding is all that is left of L.
                return Some(at);
            }
        };
        (at, loss) = (next, found);
    }
    Some(at)
}

impl Loss {
    fn at(points: &[(f64, f64)], (a, b): (f64, f64)) -> Loss {
        let mut loss = Loss::default();
        for &(x, t) in points {
            let z = a * x + b;
            let small = (-z.abs()).exp();
            let p = if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
            let weight = small / ((1.0 + small) * (1.0 + small));
            loss.value += z.max(0.0) + small.ln_1p() - t * z;
            let gradient = p - t;
            loss.gradient[0] += gradient * x;
            loss.gradient[1] += gradient;
            loss.second[0] += weight * x * x;
            loss.second[1] += weight * x;
            loss.second[2] += weight;
        }
        loss
    }

    /// Newton's step; `None` where second derivatives do not tell a from b.
    fn step(&self, free: Free) -> Option<(f64, f64)> {
        let ([by_a, by_b], [aa, ab, bb]) = (self.gradient, self.second);
        if free == Free::Shift {
            return Some((0.0, -by_b / bb.max(f64::MIN_POSITIVE)));
        }
        let determinant = aa * bb - ab * ab;
        let tells = determinant > SINGULAR * aa * bb;
        tells.then(|| (-(bb * by_a - ab * by_b) / determinant, -(aa * by_b - ab * by_a) / determinant))
    }
}

#[cfg(test)]
mod tests {
    use hinet_data::Seed;

    use super::*;
    use crate::metrics::pack;

    /// A number from 0 to 1.
    fn draw(purpose: &str, row: u64) -> f64 {
        (Seed(3).stream(purpose, row) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Rows whose probability is `sigmoid(a logit(score) + b)`, with scores over (0, `most`).
    fn rows(count: u64, most: f64, (a, b): (f64, f64)) -> Vec<u64> {
        let row = |row| {
            let score = (most * draw("score", row)).max(1e-6) as f32;
            let p = 1.0 / (1.0 + (-(a * logit(score) + b)).exp());
            pack(score, draw("label", row) < p)
        };
        (0..count).map(row).collect()
    }

    fn platt(rows: &[u64]) -> (f64, f64) {
        match fit(rows) {
            Curve::Platt { a, b } => (a, b),
            other @ (Curve::Identity | Curve::Isotonic { .. }) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_numbers_that_made_the_rows_are_found() {
        for (truth, most) in [((1.0, 0.0), 1.0), ((0.5, -1.0), 1.0), ((2.0, 1.5), 0.3), ((1.0, -2.3), 1.0)] {
            let (a, b) = platt(&rows(200_000, most, truth));
            assert!((a - truth.0).abs() < 0.03 && (b - truth.1).abs() < 0.06, "{truth:?}: {a}, {b}");
        }
    }

    #[test]
    fn the_gradient_vanishes_so_the_mean_is_that_of_the_targets() {
        let rows = rows(5_000, 0.2, (0.7, 0.4));
        let curve = fit(&rows);
        let positives = rows.iter().filter(|&&row| is_positive(row)).count() as f64;
        let predicted: f64 = rows.iter().map(|&row| f64::from(curve.apply(score(row)))).sum();
        assert!((predicted / positives - 1.0).abs() < 1e-3, "{predicted} of {positives}");
    }

    #[test]
    fn classes_that_are_parted_give_finite_numbers() {
        let rows: Vec<u64> = (0..400).map(|row| pack(if row < 200 { 0.1 } else { 0.9 }, row >= 200)).collect();
        let (a, b) = platt(&rows);
        assert!(a > 1.0 && a < 10.0 && b.abs() < 1e-6, "{a}, {b}");
        let certain: Vec<u64> = (0..400).map(|row| pack((row / 200) as f32, row >= 200)).collect();
        let (a, b) = platt(&certain);
        assert!(a > 0.0 && a.is_finite() && b.is_finite(), "{a}, {b}");
    }

    #[test]
    fn scores_that_rank_the_wrong_way_or_not_at_all_are_only_shifted() {
        let wrong = rows(20_000, 1.0, (-0.5, -1.0));
        let one_score: Vec<u64> = (0..1000).map(|row| pack(0.5, row < 100)).collect();
        for rows in [wrong, one_score] {
            let (a, b) = platt(&rows);
            let positives = rows.iter().filter(|&&row| is_positive(row)).count() as f64;
            let predicted: f64 = rows.iter().map(|&row| f64::from(Curve::Platt { a, b }.apply(score(row)))).sum();
            assert!(a == 1.0 && (predicted / positives - 1.0).abs() < 0.02, "{a}, {b}: {predicted} of {positives}");
        }
    }
}
