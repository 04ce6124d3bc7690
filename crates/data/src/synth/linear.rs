//! The little linear algebra the truth needs; matrices are row-major slices.

use rand::Rng;
use rand_distr::StandardNormal;

/// Below this a pivot counts as zero.
const TINY: f64 = 1e-10;

/// Lower triangle `L` with `L L^T = matrix` for a symmetric, positive semi-definite `[size, size]` matrix. Directions without extent
/// get a column of zeros.
pub(super) fn cholesky(matrix: &[f64], size: usize) -> Vec<f64> {
    let mut lower = vec![0.0; size * size];
    for column in 0..size {
        let known = |row: usize, lower: &[f64]| -> f64 {
            (0..column).map(|k| lower[row * size + k] * lower[column * size + k]).sum()
        };
        let pivot = matrix[column * size + column] - known(column, &lower);
        if pivot <= TINY {
            continue;
        }
        let root = pivot.sqrt();
        lower[column * size + column] = root;
        for row in column + 1..size {
            lower[row * size + column] = (matrix[row * size + column] - known(row, &lower)) / root;
        }
    }
    lower
}

/// Solves `L x = vector` in place; where `L` has a zero pivot, `x` is zero.
pub(super) fn solve_lower(lower: &[f64], vector: &mut [f64]) {
    let size = vector.len();
    for row in 0..size {
        let pivot = lower[row * size + row];
        let known: f64 = (0..row).map(|k| lower[row * size + k] * vector[k]).sum();
        vector[row] = if pivot == 0.0 { 0.0 } else { (vector[row] - known) / pivot };
    }
}

/// `[rows, width]` with orthonormal rows in random directions; `rows <= width`.
pub(super) fn orthonormal_rows(rows: usize, width: usize, rng: &mut impl Rng) -> Vec<f64> {
    let mut basis: Vec<f64> = Vec::with_capacity(rows * width);
    while basis.len() < rows * width {
        let mut row = normals(width, rng);
        // Twice is enough: once leaves rounding errors of the subtraction.
        for _ in 0..2 {
            for earlier in basis.chunks_exact(width) {
                let along = dot(earlier, &row);
                row.iter_mut().zip(earlier).for_each(|(value, base)| *value -= along * base);
            }
        }
        let length = dot(&row, &row).sqrt();
        if length > 1e-6 {
            basis.extend(row.iter().map(|value| value / length));
        }
    }
    basis
}

pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// Independent draws of the standard normal distribution.
pub(super) fn normals(count: usize, rng: &mut impl Rng) -> Vec<f64> {
    (0..count).map(|_| rng.sample(StandardNormal)).collect()
}

/// Mean `[width]` and covariance `[width, width]` of the rows of `values`, row `n` having weight `weights[n]`; weights add up to 1.
pub(super) fn moments(values: &[f64], weights: &[f64], width: usize) -> (Vec<f64>, Vec<f64>) {
    let mut mean = vec![0.0; width];
    for (row, weight) in values.chunks_exact(width).zip(weights) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
    }
    let mut covariance = vec![0.0; width * width];
    for (row, weight) in values.chunks_exact(width).zip(weights) {
        for (left, into) in covariance.chunks_exact_mut(width).enumerate() {
            let scaled = weight * (row[left] - mean[left]);
            into.iter_mut().zip(row.iter().zip(&mean)).for_each(|(sum, (value, mean))| *sum += scaled * (value - mean));
        }
    }
    (mean, covariance)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn a_factor_gives_its_matrix_back_even_where_it_is_singular() {
        // The last row is the sum of the first two: rank 2.
        let matrix = [2.0, 1.0, 3.0, 1.0, 2.0, 3.0, 3.0, 3.0, 6.0];
        let lower = cholesky(&matrix, 3);
        for row in 0..3 {
            for column in 0..3 {
                let product = dot(&lower[row * 3..row * 3 + 3], &lower[column * 3..column * 3 + 3]);
                assert!((product - matrix[row * 3 + column]).abs() < 1e-9, "{row} {column}: {product}");
            }
        }
    }

    #[test]
    fn whitened_rows_have_unit_covariance() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut values: Vec<f64> = Vec::new();
        for _ in 0..50 {
            let draw = normals(2, &mut rng);
            values.extend([draw[0] + 3.0, 2.0 * draw[0] + draw[1]]);
        }
        let weights: Vec<f64> = (1..=50).map(|rank| f64::from(rank) / 1275.0).collect();
        let (mean, covariance) = moments(&values, &weights, 2);
        let lower = cholesky(&covariance, 2);
        for row in values.chunks_exact_mut(2) {
            row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
            solve_lower(&lower, row);
        }
        let (mean, covariance) = moments(&values, &weights, 2);
        for (got, want) in mean.iter().chain(&covariance).zip([0.0, 0.0, 1.0, 0.0, 0.0, 1.0]) {
            assert!((got - want).abs() < 1e-9, "{mean:?} {covariance:?}");
        }
    }

    #[test]
    fn random_directions_are_orthonormal() {
        let basis = orthonormal_rows(5, 7, &mut Xoshiro256PlusPlus::seed_from_u64(2));
        for (a, left) in basis.chunks_exact(7).enumerate() {
            for (b, right) in basis.chunks_exact(7).enumerate() {
                let want = if a == b { 1.0 } else { 0.0 };
                assert!((dot(left, right) - want).abs() < 1e-12);
            }
        }
    }
}
