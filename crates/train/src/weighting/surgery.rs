//! What to make of gradients that point apart: factors of the objectives' gradients, from their products alone.
//!
//! | paper | here |
//! | --- | --- |
//! | g_i, the gradient of objective i over what is shared | row i of `products`: `G_ij = <g_i, g_j>` |
//! | the direction of the step, d | `sum_i c_i g_i`, with the factors c that are returned |

use hinet_data::{Seed, shuffle};

use super::simplex;

/// `G_ij`, `[objectives, objectives]`, of objectives that all have a gradient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Products<'a> {
    values: &'a [f64],
    pub(super) count: usize,
}

impl<'a> Products<'a> {
    pub(super) fn new(values: &'a [f64], count: usize) -> Products<'a> {
        assert_eq!(values.len(), count * count, "products of other objectives");
        Products { values, count }
    }

    pub(super) fn at(self, i: usize, j: usize) -> f64 {
        self.values[i * self.count + j]
    }

    /// `<g_i, sum of w_j g_j>`.
    fn with(self, i: usize, weights: &[f64]) -> f64 {
        weights.iter().enumerate().map(|(j, weight)| weight * self.at(i, j)).sum()
    }

    /// `<g_i, ..>` for every i.
    fn with_all(self, weights: &[f64]) -> Vec<f64> {
        (0..self.count).map(|i| self.with(i, weights)).collect()
    }
}

/// PCGrad (Yu et al., NeurIPS 2020, algorithm 1): from each gradient g_i, in random order of the others, what points
/// against g_j is taken off, `g_i -= <g_i, g_j> / |g_j|^2 * g_j`; the step is the sum of what is left.
pub(super) fn pcgrad(products: Products<'_>, seed: Seed) -> Vec<f64> {
    let mut factors = vec![0.0; products.count];
    for i in 0..products.count {
        let mut others: Vec<usize> = (0..products.count).filter(|&j| j != i).collect();
        shuffle(&mut others, seed.stream("pcgrad", i as u64));
        let mut own = vec![0.0; products.count];
        own[i] = 1.0;
        for j in others {
            let against = products.with(j, &own);
            if against < 0.0 {
                own[j] -= against / products.at(j, j);
            }
        }
        factors.iter_mut().zip(own).for_each(|(factor, own)| *factor += own);
    }
    factors
}

/// CAGrad (Liu et al., NeurIPS 2021, algorithm 1): `d = g_0 + radius |g_0| / |g_w| * g_w` with the mean gradient g_0, and
/// the w on the simplex that makes `<g_w, g_0> + radius |g_0| |g_w|` least, `g_w = sum of w_i g_i`. Times the number of
/// objectives, so that radius 0 is their sum.
pub(super) fn cagrad(products: Products<'_>, radius: f64) -> Vec<f64> {
    let count = products.count;
    let even = vec![1.0 / count as f64; count];
    let mean = products.with_all(&even);
    let length = mean.iter().sum::<f64>().max(0.0).sqrt() / (count as f64).sqrt();
    let reach = radius * length;
    let norm =
        |weights: &[f64], with: &[f64]| weights.iter().zip(with).map(|(w, g)| w * g).sum::<f64>().max(0.0).sqrt();
    let weights = simplex::minimise(count, |weights| {
        let with = products.with_all(weights);
        let norm = norm(weights, &with);
        let value = weights.iter().zip(&mean).map(|(w, g)| w * g).sum::<f64>() + reach * norm;
        let slope = |(g_mean, g_with): (&f64, &f64)| g_mean + if norm > 0.0 { reach * g_with / norm } else { 0.0 };
        (value, mean.iter().zip(&with).map(slope).collect())
    });
    let norm = norm(&weights, &products.with_all(&weights));
    let pull = if norm > 0.0 { reach / norm } else { 0.0 };
    weights.iter().map(|weight| 1.0 + count as f64 * pull * weight).collect()
}

/// MGDA (Désidéri 2012; Sener and Koltun, NeurIPS 2018, equation 3): the combination on the simplex of least length. Of
/// gradients of length 1 where `normalise` says so. Scaled to a mean of 1.
pub(super) fn mgda(products: Products<'_>, normalise: bool) -> Vec<f64> {
    let length = |i: usize| if normalise { products.at(i, i).sqrt() } else { 1.0 };
    let lengths: Vec<f64> = (0..products.count).map(length).collect();
    let largest = (0..products.count).map(|i| products.at(i, i) / (lengths[i] * lengths[i])).fold(0.0, f64::max);
    let weights = simplex::minimise(products.count, |weights| {
        // Scaled so that the search does not depend on the size of the gradients.
        let shares: Vec<f64> = weights.iter().zip(&lengths).map(|(weight, length)| weight / length).collect();
        let with = products.with_all(&shares);
        let slopes: Vec<f64> = with.iter().zip(&lengths).map(|(with, length)| with / length / largest).collect();
        (weights.iter().zip(&slopes).map(|(weight, slope)| weight * slope).sum::<f64>() / 2.0, slopes)
    });
    let factors: Vec<f64> = weights.iter().zip(&lengths).map(|(weight, length)| weight / length).collect();
    let scale = products.count as f64 / factors.iter().sum::<f64>();
    factors.iter().map(|factor| factor * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gradients of 3 objectives over 6 numbers, some of which conflict.
    fn gradients(case: u64) -> Vec<Vec<f64>> {
        let draw = |i: u64, at: u64| (Seed(case).stream("gradient", 100 * i + at) % 2001) as f64 / 1000.0 - 1.0;
        let size = [1.0, 0.1, 5.0];
        (0..3).map(|i| (0..6).map(|at| draw(i, at) * size[i as usize]).collect()).collect()
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    fn products(gradients: &[Vec<f64>]) -> Vec<f64> {
        gradients.iter().flat_map(|a| gradients.iter().map(move |b| dot(a, b))).collect()
    }

    fn combined(gradients: &[Vec<f64>], factors: &[f64]) -> Vec<f64> {
        let at = |at: usize| gradients.iter().zip(factors).map(|(gradient, factor)| factor * gradient[at]).sum();
        (0..gradients[0].len()).map(at).collect()
    }

    #[test]
    fn pcgrad_takes_off_what_points_against_another_as_its_vectors_do() {
        for case in 0..50 {
            let gradients = gradients(case);
            let mut expected = vec![0.0; 6];
            for i in 0..3 {
                let mut own = gradients[i].clone();
                let mut others: Vec<usize> = (0..3).filter(|&j| j != i).collect();
                shuffle(&mut others, Seed(case).stream("pcgrad", i as u64));
                for j in others {
                    let against = dot(&own, &gradients[j]);
                    if against < 0.0 {
                        let share = against / dot(&gradients[j], &gradients[j]);
                        own.iter_mut().zip(&gradients[j]).for_each(|(own, other)| *own -= share * other);
                    }
                }
                expected.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
            let factors = pcgrad(Products::new(&products(&gradients), 3), Seed(case));
            let found = combined(&gradients, &factors);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?} {expected:?}");
        }
    }

    #[test]
    fn two_gradients_that_agree_are_left_alone_and_of_two_that_conflict_nothing_points_against_the_other() {
        let agree = [1.0, 0.5, 0.5, 1.0];
        assert_eq!(pcgrad(Products::new(&agree, 2), Seed(1)), [1.0, 1.0]);
        // Unit vectors at 120 degrees: each loses its half of the other.
        let conflict = [1.0, -0.5, -0.5, 1.0];
        assert_eq!(pcgrad(Products::new(&conflict, 2), Seed(1)), [1.5, 1.5]);
    }

    #[test]
    fn mgda_finds_the_shortest_combination() {
        for case in 0..50 {
            let gradients = gradients(case);
            for normalise in [false, true] {
                let factors = mgda(Products::new(&products(&gradients), 3), normalise);
                assert!(
                    (factors.iter().sum::<f64>() - 3.0).abs() < 1e-9 && factors.iter().all(|&factor| factor >= 0.0)
                );
                let unit = |gradient: &Vec<f64>| {
                    let length = if normalise { dot(gradient, gradient).sqrt() } else { 1.0 };
                    gradient.iter().map(|value| value / length).collect::<Vec<f64>>()
                };
                let units: Vec<Vec<f64>> = gradients.iter().map(unit).collect();
                let lengths = gradients.iter().zip(&units).map(|(a, b)| (dot(a, a) / dot(b, b)).sqrt());
                let weights: Vec<f64> = factors.iter().zip(lengths).map(|(factor, length)| factor * length).collect();
                let sum: f64 = weights.iter().sum();
                let weights: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
                let shortest = combined(&units, &weights);
                // No point of the hull is behind it: <d, g_i> >= |d|^2 for all i is what the shortest one means.
                let square = dot(&shortest, &shortest);
                let scale = units.iter().map(|unit| dot(unit, unit)).fold(0.0, f64::max);
                assert!(units.iter().all(|unit| dot(&shortest, unit) >= square - 1e-6 * scale), "{case} {normalise}");
            }
        }
    }

    #[test]
    fn mgda_of_opposite_gradients_stands_still_and_the_short_one_decides_without_normalisation() {
        let opposite = mgda(Products::new(&[1.0, -2.0, -2.0, 4.0], 2), false);
        assert!((opposite[0] - 4.0 / 3.0).abs() < 1e-6 && (opposite[1] - 2.0 / 3.0).abs() < 1e-6, "{opposite:?}");
        let across = mgda(Products::new(&[1.0, 0.0, 0.0, 100.0], 2), false);
        assert!((across[0] / across[1] - 100.0).abs() < 1e-3, "{across:?}");
        let across = mgda(Products::new(&[1.0, 0.0, 0.0, 100.0], 2), true);
        assert!((across[0] / across[1] - 10.0).abs() < 1e-3, "{across:?}");
    }

    #[test]
    fn cagrad_makes_the_worst_objective_gain_most_within_its_radius() {
        for case in 0..50 {
            let gradients = gradients(case);
            for radius in [0.2, 0.4, 0.9] {
                let factors = cagrad(Products::new(&products(&gradients), 3), radius);
                let step: Vec<f64> = combined(&gradients, &factors).iter().map(|value| value / 3.0).collect();
                let mean = combined(&gradients, &[1.0 / 3.0; 3]);
                let apart: Vec<f64> = step.iter().zip(&mean).map(|(step, mean)| step - mean).collect();
                let reach = radius * dot(&mean, &mean).sqrt();
                assert!(dot(&apart, &apart).sqrt() <= reach * (1.0 + 1e-6), "{case}: too far");
                // The dual bounds what any step within the radius can reach: equal, so this one is the best.
                let pulls: Vec<f64> = factors.iter().map(|factor| factor - 1.0).collect();
                let sum: f64 = pulls.iter().sum();
                let weights: Vec<f64> = pulls.iter().map(|pull| pull / sum).collect();
                let other = combined(&gradients, &weights);
                let dual = dot(&other, &mean) + reach * dot(&other, &other).sqrt();
                let worst = gradients.iter().map(|gradient| dot(gradient, &step)).fold(f64::INFINITY, f64::min);
                let scale = dot(&mean, &mean).max(1.0);
                assert!(dual - worst < 1e-5 * scale, "{case} {radius}: {worst} of {dual}");
            }
        }
    }

    #[test]
    fn cagrad_of_radius_zero_is_the_sum() {
        let factors = cagrad(Products::new(&products(&gradients(3)), 3), 0.0);
        assert!(factors.iter().all(|factor| (factor - 1.0).abs() < 1e-12), "{factors:?}");
    }
}
