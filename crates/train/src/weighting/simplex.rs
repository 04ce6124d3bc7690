//! The smallest value of a smooth convex function over weights that are not negative and sum to 1.

/// Steps, at most.
const MOST: usize = 5_000;
/// A move shorter than this ends it.
const SMALL: f64 = 1e-13;

/// Goes down the gradient, back onto the simplex after every step (projected gradient descent with backtracking). `at` gives
/// value and gradient.
pub(super) fn minimise(count: usize, at: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Vec<f64> {
    let mut weights = vec![1.0 / count as f64; count];
    let (mut value, mut gradient) = at(&weights);
    let mut rate = 1.0 / gradient.iter().map(|slope| slope.abs()).fold(f64::MIN_POSITIVE, f64::max);
    for _ in 0..MOST {
        let moved: Vec<f64> = weights.iter().zip(&gradient).map(|(weight, slope)| weight - rate * slope).collect();
        let moved = projected(&moved);
        let (next, slopes) = at(&moved);
        let change: Vec<f64> = moved.iter().zip(&weights).map(|(after, before)| after - before).collect();
        let length: f64 = change.iter().map(|change| change * change).sum();
        if length < SMALL * SMALL {
            break;
        }
        let along: f64 = change.iter().zip(&gradient).map(|(change, slope)| change * slope).sum();
        // The step is right where the function lies below its parabola of curvature 1 / rate.
        if next <= value + along + length / (2.0 * rate) {
            (weights, value, gradient) = (moved, next, slopes);
            rate *= 2.0;
        } else {
            rate /= 2.0;
        }
    }
    weights
}

/// The nearest point of the simplex (Held et al. 1974).
fn projected(point: &[f64]) -> Vec<f64> {
    let mut falling = point.to_vec();
    falling.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut cut) = (0.0, 0.0);
    for (count, value) in (1..).zip(&falling) {
        sum += value;
        let shift = (sum - 1.0) / f64::from(count);
        if value - shift > 0.0 {
            cut = shift;
        }
    }
    point.iter().map(|value| (value - cut).max(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_has_its_smallest_value_at_the_nearest_point() {
        for (centre, expected) in [
            ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
            ([2.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
            ([0.9, 0.9, -5.0], [0.5, 0.5, 0.0]),
        ] {
            let at = |w: &[f64]| {
                let apart: Vec<f64> = w.iter().zip(centre).map(|(w, centre)| w - centre).collect();
                (apart.iter().map(|d| d * d).sum(), apart.iter().map(|d| 2.0 * d).collect())
            };
            let found = minimise(3, at);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{centre:?}: {found:?}");
        }
    }
}
