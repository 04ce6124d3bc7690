//! Weights that losses decide, and GradNorm's, which the norms of gradients decide too.
//!
//! An objective of which a batch has no label keeps its weight and moves nothing.

use serde::{Deserialize, Serialize};

/// Losses below this count as it: their logarithms and quotients stay finite.
const SMALLEST: f64 = 1e-8;

/// Adam (Kingma and Ba, ICLR 2015) over a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Adam {
    mean: Vec<f64>,
    square: Vec<f64>,
    steps: u64,
}

impl Adam {
    pub(super) fn new(count: usize) -> Adam {
        Adam { mean: vec![0.0; count], square: vec![0.0; count], steps: 0 }
    }

    fn step(&mut self, values: &mut [f64], gradient: &[f64], rate: f64) {
        self.steps += 1;
        let correction = |beta: f64| 1.0 - beta.powf(self.steps as f64);
        let (of_mean, of_square) = (correction(0.9), correction(0.999));
        let state = self.mean.iter_mut().zip(&mut self.square);
        for ((value, slope), (mean, square)) in values.iter_mut().zip(gradient).zip(state) {
            *mean = 0.9 * *mean + 0.1 * slope;
            *square = 0.999 * *square + 0.001 * slope * slope;
            *value -= rate * (*mean / of_mean) / ((*square / of_square).sqrt() + 1e-8);
        }
    }
}

/// Kendall et al., CVPR 2018: `sum_k exp(-s_k) L_k + s_k / 2`, with `s_k = log sigma_k^2` learnt. At rest the weight
/// `exp(-s_k)` is `1 / (2 L_k)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Uncertainty {
    s: Vec<f64>,
    adam: Adam,
}

impl Uncertainty {
    pub(super) fn new(count: usize) -> Uncertainty {
        Uncertainty { s: vec![0.0; count], adam: Adam::new(count) }
    }

    /// Factors of this batch; then `s` moves.
    pub(super) fn factors(&mut self, losses: &[Option<f64>], rate: f64) -> Vec<f64> {
        let factors: Vec<f64> = self.s.iter().map(|s| (-s).exp()).collect();
        let slope = |(loss, factor): (&Option<f64>, &f64)| loss.map_or(0.0, |loss| 0.5 - factor * loss);
        let gradient: Vec<f64> = losses.iter().zip(&factors).map(slope).collect();
        self.adam.step(&mut self.s, &gradient, rate);
        factors
    }
}

/// Liu et al., CVPR 2019: `w_k = K softmax_k(r_k / T)`, `r_k` the mean loss of a window over that of the window before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Dwa {
    factors: Vec<f64>,
    /// Sum and number of losses of the window.
    sums: Vec<(f64, u64)>,
    before: Vec<Option<f64>>,
    steps: u64,
}

impl Dwa {
    pub(super) fn new(count: usize) -> Dwa {
        Dwa { factors: vec![1.0; count], sums: vec![(0.0, 0); count], before: vec![None; count], steps: 0 }
    }

    pub(super) fn factors(&mut self, losses: &[Option<f64>], temperature: f64, window: u64) -> Vec<f64> {
        let factors = self.factors.clone();
        for (sum, loss) in self.sums.iter_mut().zip(losses) {
            if let Some(loss) = loss {
                *sum = (sum.0 + loss, sum.1 + 1);
            }
        }
        self.steps += 1;
        if self.steps.is_multiple_of(window) {
            self.end_window(temperature);
        }
        factors
    }

    fn end_window(&mut self, temperature: f64) {
        let means: Vec<Option<f64>> =
            self.sums.iter().map(|&(sum, count)| (count > 0).then(|| sum / count as f64)).collect();
        // What was not seen twice counts as standing still.
        let rates = means.iter().zip(&self.before).map(|(now, before)| match (now, before) {
            (Some(now), Some(before)) => now / before.max(SMALLEST),
            _ => 1.0,
        });
        let rates: Vec<f64> = rates.map(|rate| rate / temperature).collect();
        if self.before.iter().any(Option::is_some) {
            self.factors = softmax(&rates);
            self.factors.iter_mut().for_each(|factor| *factor *= means.len() as f64);
        }
        for (before, mean) in self.before.iter_mut().zip(means) {
            *before = mean.or(*before);
        }
        self.sums.fill((0.0, 0));
    }
}

/// Liu et al., NeurIPS 2023: steps down `sum_k z_k log L_k`, `z = softmax(xi)`; `xi` moves so that the logarithms of all
/// losses fall alike, by what one step changed them. The paper's `c = 1 / sum_k (z_k / L_k)` makes the weights sum to 1, here
/// to the number of objectives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Famo {
    xi: Vec<f64>,
    adam: Adam,
    before: Vec<Option<f64>>,
}

impl Famo {
    pub(super) fn new(count: usize) -> Famo {
        Famo { xi: vec![0.0; count], adam: Adam::new(count), before: Vec::new() }
    }

    pub(super) fn factors(&mut self, losses: &[Option<f64>]) -> Vec<f64> {
        let z = softmax(&self.xi);
        self.before = losses.to_vec();
        let share = |(z, loss): (&f64, &Option<f64>)| loss.map_or(0.0, |loss| z / loss.max(SMALLEST));
        let shares: Vec<f64> = z.iter().zip(losses).map(share).collect();
        let sum: f64 = shares.iter().sum();
        let scale = if sum > 0.0 { losses.iter().flatten().count() as f64 / sum } else { 0.0 };
        shares.iter().map(|share| share * scale).collect()
    }

    /// Takes in the losses of the same batch after the step.
    pub(super) fn after(&mut self, losses: &[Option<f64>], rate: f64, weight_decay: f64) {
        let z = softmax(&self.xi);
        let fall = |(before, after): (&Option<f64>, &Option<f64>)| match (before, after) {
            (Some(before), Some(after)) => before.max(SMALLEST).ln() - after.max(SMALLEST).ln(),
            _ => 0.0,
        };
        let falls: Vec<f64> = self.before.iter().zip(losses).map(fall).collect();
        let mean: f64 = z.iter().zip(&falls).map(|(z, fall)| z * fall).sum();
        // The derivative of softmax: z_k (fall_k - sum_j z_j fall_j).
        let slope = |((z, fall), xi): ((&f64, &f64), &f64)| z * (fall - mean) + weight_decay * xi;
        let gradient: Vec<f64> = z.iter().zip(&falls).zip(&self.xi).map(slope).collect();
        self.adam.step(&mut self.xi, &gradient, rate);
    }
}

/// Chen et al., ICML 2018, algorithm 1: `G_k = w_k |g_k|` is pulled towards `mean(G) r_k^alpha`, with `r_k` the loss as a
/// share of the first one, over the mean of those shares. The paper takes g_k at the last shared layer; here it is the
/// gradient of all that is shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct GradNorm {
    weights: Vec<f64>,
    first: Vec<Option<f64>>,
    adam: Adam,
}

/// Weights stay above this share of the mean weight.
const LEAST: f64 = 1e-3;

impl GradNorm {
    pub(super) fn new(count: usize) -> GradNorm {
        GradNorm { weights: vec![1.0; count], first: vec![None; count], adam: Adam::new(count) }
    }

    /// Factors of this batch; then the weights move. `norms` are those of the gradients without factors.
    pub(super) fn factors(&mut self, losses: &[Option<f64>], norms: &[f64], (alpha, rate): (f64, f64)) -> Vec<f64> {
        let factors = self.weights.clone();
        for (first, loss) in self.first.iter_mut().zip(losses) {
            *first = first.or(*loss);
        }
        let shares = losses.iter().zip(&self.first);
        let shares: Vec<Option<f64>> = shares.map(|(loss, first)| Some((*loss)? / (*first)?.max(SMALLEST))).collect();
        let seen = shares.iter().flatten().count() as f64;
        if seen == 0.0 {
            return factors;
        }
        let mean_share = shares.iter().flatten().sum::<f64>() / seen;
        let scaled: Vec<f64> = factors.iter().zip(norms).map(|(weight, norm)| weight * norm).collect();
        let present = scaled.iter().zip(&shares).filter(|(_, share)| share.is_some());
        let mean: f64 = present.map(|(scaled, _)| scaled).sum::<f64>() / seen;
        let slope = |((scaled, norm), share): ((&f64, &f64), &Option<f64>)| {
            let Some(share) = share else { return 0.0 };
            let target = mean * (share / mean_share.max(SMALLEST)).powf(alpha);
            norm * (scaled - target).signum()
        };
        let gradient: Vec<f64> = scaled.iter().zip(norms).zip(&shares).map(slope).collect();
        self.adam.step(&mut self.weights, &gradient, rate);
        self.weights.iter_mut().for_each(|weight| *weight = weight.max(LEAST));
        let scale = self.weights.len() as f64 / self.weights.iter().sum::<f64>();
        self.weights.iter_mut().for_each(|weight| *weight *= scale);
        factors
    }
}

fn softmax(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = values.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slopes of a function by differences.
    fn slopes(at: &[f64], value: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let moved = |k: usize, by: f64| {
            let mut moved = at.to_vec();
            moved[k] += by;
            value(&moved)
        };
        (0..at.len()).map(|k| (moved(k, 1e-6) - moved(k, -1e-6)) / 2e-6).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}, expected {expected:?}");
    }

    /// Losses of two objectives, step by step; the second misses in some batches.
    fn losses(step: u64) -> Vec<Option<f64>> {
        let wave = (step as f64 / 3.0).sin();
        vec![Some(0.7 + 0.1 * wave), (step % 5 != 4).then_some(0.05 - 0.01 * wave)]
    }

    #[test]
    fn uncertainty_goes_down_the_slope_of_its_paper_s_loss() {
        let mut rule = Uncertainty::new(2);
        let (mut s, mut adam) = (vec![0.0; 2], Adam::new(2));
        for step in 0..40 {
            let losses = losses(step);
            let loss = |s: &[f64]| {
                let of = |(loss, s): (&Option<f64>, &f64)| loss.map_or(0.0, |loss| (-s).exp() * loss + s / 2.0);
                losses.iter().zip(s).map(of).sum()
            };
            close(&rule.factors(&losses, 0.02), &s.iter().map(|s: &f64| (-s).exp()).collect::<Vec<f64>>());
            let slopes = slopes(&s, loss);
            adam.step(&mut s, &slopes, 0.02);
        }
    }

    #[test]
    fn uncertainty_comes_to_rest_at_half_of_one_over_the_loss() {
        let mut rule = Uncertainty::new(2);
        let factors = (0..2000).map(|_| rule.factors(&[Some(0.7), Some(0.05)], 0.02)).last().unwrap();
        assert!((factors[0] - 0.5 / 0.7).abs() < 0.02 && (factors[1] - 10.0).abs() < 0.2, "{factors:?}");
    }

    #[test]
    fn famo_goes_down_the_slope_of_what_a_step_changed() {
        let mut rule = Famo::new(2);
        let (mut xi, mut adam) = (vec![0.0; 2], Adam::new(2));
        for step in 0..40 {
            let (before, after) = (losses(step), losses(step + 1));
            let z = softmax(&xi);
            let factors = rule.factors(&before);
            let seen = before.iter().flatten().count() as f64;
            let c = 1.0 / z.iter().zip(&before).map(|(z, loss)| loss.map_or(0.0, |loss| z / loss)).sum::<f64>();
            let expected = z.iter().zip(&before).map(|(z, loss)| loss.map_or(0.0, |loss| seen * c * z / loss));
            close(&factors, &expected.collect::<Vec<f64>>());
            rule.after(&after, 0.05, 1e-3);
            let change = |(before, after): (&Option<f64>, &Option<f64>)| match (before, after) {
                (Some(before), Some(after)) => before.ln() - after.ln(),
                _ => 0.0,
            };
            let falls: Vec<f64> = before.iter().zip(&after).map(change).collect();
            let value = |xi: &[f64]| {
                let pull: f64 = xi.iter().map(|xi| 5e-4 * xi * xi).sum();
                pull + softmax(xi).iter().zip(&falls).map(|(z, fall)| z * fall).sum::<f64>()
            };
            let slopes = slopes(&xi, value);
            adam.step(&mut xi, &slopes, 0.05);
        }
    }

    #[test]
    fn famo_gives_more_to_the_loss_that_falls_less() {
        let mut rule = Famo::new(2);
        for _ in 0..100 {
            rule.factors(&[Some(0.5), Some(0.5)]);
            rule.after(&[Some(0.4), Some(0.49)], 0.025, 1e-3);
        }
        let factors = rule.factors(&[Some(0.5), Some(0.5)]);
        assert!(factors[1] > 5.0 * factors[0] && (factors[0] + factors[1] - 2.0).abs() < 1e-9, "{factors:?}");
    }

    #[test]
    fn gradnorm_goes_down_the_slope_of_its_paper_s_distance() {
        let mut rule = GradNorm::new(2);
        let (mut weights, mut adam) = (vec![1.0; 2], Adam::new(2));
        let (alpha, rate) = (1.5, 0.025);
        for step in 0..40 {
            let losses = losses(step);
            let norms = [0.3, 2.0 + 0.01 * step as f64];
            close(&rule.factors(&losses, &norms, (alpha, rate)), &weights);
            let first = [0.7, 0.05];
            let present: Vec<usize> = (0..2).filter(|&k| losses[k].is_some()).collect();
            let count = present.len() as f64;
            let share = |k: usize| losses[k].unwrap() / first[k];
            let mean_share = present.iter().map(|&k| share(k)).sum::<f64>() / count;
            let mean = present.iter().map(|&k| weights[k] * norms[k]).sum::<f64>() / count;
            let distance = |w: &[f64]| {
                let of = |&k: &usize| (w[k] * norms[k] - mean * (share(k) / mean_share).powf(alpha)).abs();
                present.iter().map(of).sum()
            };
            // An objective alone has no distance; differences would see the tip of the absolute value.
            let slopes = if count < 2.0 { vec![norms[0], 0.0] } else { slopes(&weights, distance) };
            adam.step(&mut weights, &slopes, rate);
            let scale = 2.0 / weights.iter().sum::<f64>();
            weights.iter_mut().for_each(|weight| *weight *= scale);
        }
    }

    #[test]
    fn gradnorm_brings_gradients_of_unlike_size_to_like_size() {
        let mut rule = GradNorm::new(2);
        let factors = (0..400).map(|_| rule.factors(&[Some(0.5), Some(0.5)], &[1.0, 3.0], (1.5, 0.01))).last().unwrap();
        assert!((factors[0] - 1.5).abs() < 0.05 && (factors[1] - 0.5).abs() < 0.05, "{factors:?}");
    }

    #[test]
    fn dwa_weighs_by_the_quotient_of_two_windows() {
        let mut rule = Dwa::new(2);
        let mut factors = Vec::new();
        for step in 0..30 {
            let fall = if step < 10 { [0.8, 0.8] } else { [0.4, 0.8] };
            factors.push(rule.factors(&[Some(fall[0]), Some(fall[1])], 2.0, 10));
        }
        assert!(factors[..20].iter().all(|factors| factors == &[1.0, 1.0]), "two windows are needed");
        let raised = [(0.5_f64 / 2.0).exp(), (1.0_f64 / 2.0).exp()];
        let sum = raised[0] + raised[1];
        close(&factors[29], &[2.0 * raised[0] / sum, 2.0 * raised[1] / sum]);
    }
}
