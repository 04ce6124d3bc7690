//! The truth: which logit a user and an item have in each cell.
//!
//! A row has a latent vector `a` of its user and hour, and `b` of its item, both white (mean 0, covariance 1) over the rows that occur.
//! The products `a_i b_j`, the `a_i` and the `b_j` are then uncorrelated features of variance 1. Each cell prefers a direction of
//! length 1 among them; the correlation of two cells' preferences is the scalar product of their directions, so the directions are
//! chosen as a factor of the correlations asked for, in a random orthonormal basis. Two thirds of the basis and more are products, which
//! no additive model of the columns can follow.

use rand::Rng;
use rand_distr::StandardNormal;

use super::config::SynthConfig;
use super::linear::{cholesky, dot, moments, normals, orthonormal_rows, solve_lower};
use super::side::{Side, pick, running_sum, stream};

/// Hours of the day, part of the user's side of a row.
pub(super) const HOURS: usize = 24;
/// Variance of the hour's part beside the user's, which is 1.
const HOUR_VARIANCE: f64 = 0.2;
/// Rows over which base rates are set and correlations measured.
const SAMPLE: usize = 40_000;
/// Logits held at once for that.
const SAMPLE_LOGITS: usize = 4_000_000;

/// Everything that is true about the data.
pub(super) struct World {
    pub(super) config: SynthConfig,
    pub(super) users: Side,
    pub(super) items: Side,
    /// Base rate of each cell; in a funnel, among the rows where the task before happened.
    pub(super) rates: Vec<f64>,
    width: usize,
    hours: Vec<f64>,
    scenarios: Vec<f64>,
    /// `[cells, width * width + 2 width]`: factors of the products, of `a`, of `b`.
    directions: Vec<f64>,
    intercepts: Vec<f64>,
}

/// Who meets what, when.
#[derive(Clone, Copy)]
pub(super) struct Encounter {
    pub(super) user: u32,
    pub(super) item: u32,
    pub(super) hour: u8,
}

impl World {
    /// `config` must have been checked.
    pub(super) fn new(config: &SynthConfig) -> World {
        let cells = config.scenario_sizes.len() * config.tasks.len();
        let width = latent_width(config, cells);
        let mut users = Side::users(config, width);
        let mut items = Side::items(config, width);
        let mut hours = normals(HOURS * width, &mut stream(config.seed, "synth hours", 0));
        hours.iter_mut().for_each(|value| *value *= HOUR_VARIANCE.sqrt());
        whiten(&mut users, Some(&mut hours), width);
        whiten(&mut items, None, width);
        let mut world = World {
            config: config.clone(),
            users,
            items,
            rates: rates(config),
            width,
            hours,
            scenarios: running_sum(&shares(config)),
            directions: directions(config, width),
            intercepts: vec![0.0; cells],
        };
        world.intercepts = world.fitted_intercepts();
        world
    }

    pub(super) fn tasks(&self) -> usize {
        self.config.tasks.len()
    }

    pub(super) fn draw_scenario(&self, rng: &mut impl Rng) -> u16 {
        pick(&self.scenarios, rng) as u16
    }

    pub(super) fn draw_encounter(&self, rng: &mut impl Rng) -> Encounter {
        let hour = rng.random_range(0..HOURS as u8);
        Encounter { user: self.users.draw(rng), hour, item: self.items.draw(rng) }
    }

    /// Features of an encounter, `[width * width + 2 width]`, into `features`.
    pub(super) fn features(&self, encounter: Encounter, features: &mut Vec<f64>) {
        let row = |values: &[f64], index: usize, into: &mut Vec<f64>| {
            into.extend_from_slice(&values[index * self.width..(index + 1) * self.width]);
        };
        features.clear();
        row(&self.users.latent, encounter.user as usize, features);
        let hour = &self.hours[usize::from(encounter.hour) * self.width..];
        features.iter_mut().zip(hour).for_each(|(user, hour)| *user += hour);
        row(&self.items.latent, encounter.item as usize, features);
        for left in 0..self.width {
            for right in 0..self.width {
                features.push(features[left] * features[self.width + right]);
            }
        }
    }

    /// True logit in a cell, before any replacement of labels.
    pub(super) fn logit(&self, cell: usize, features: &[f64]) -> f64 {
        self.intercepts[cell] + self.config.signal * self.preference(cell, features)
    }

    /// Probability that the task happens, given that the one before it in a funnel did.
    pub(super) fn probability(&self, cell: usize, features: &[f64]) -> f64 {
        let noise = self.config.label_noise;
        (1.0 - noise) * sigmoid(self.logit(cell, features)) + noise * self.rates[cell]
    }

    /// Correlations of the true logits of every two cells over rows that occur, `[cells, cells]`; scenarios vary slower than tasks.
    /// A logit that never changes correlates 0 with others.
    pub(super) fn logit_correlation(&self) -> Vec<f64> {
        let cells = self.rates.len();
        let sample = self.sample("synth correlation");
        let values: Vec<f64> =
            sample.iter().flat_map(|features| (0..cells).map(|cell| self.logit(cell, features))).collect();
        let (_, covariance) = moments(&values, &vec![1.0 / sample.len() as f64; sample.len()], cells);
        let deviation: Vec<f64> = (0..cells).map(|cell| covariance[cell * cells + cell].sqrt()).collect();
        let correlate = |(index, &value): (usize, &f64)| {
            let (row, column) = (index / cells, index % cells);
            let scale = deviation[row] * deviation[column];
            if row == column {
                1.0
            } else if scale > 0.0 {
                value / scale
            } else {
                0.0
            }
        };
        covariance.iter().enumerate().map(correlate).collect()
    }

    fn preference(&self, cell: usize, features: &[f64]) -> f64 {
        let count = features.len();
        dot(&self.directions[cell * count..(cell + 1) * count], features)
    }

    fn sample(&self, purpose: &str) -> Vec<Vec<f64>> {
        let mut rng = stream(self.config.seed, purpose, 0);
        let mut draw = || {
            let mut features = Vec::new();
            self.features(self.draw_encounter(&mut rng), &mut features);
            features
        };
        let rows = SAMPLE.min(SAMPLE_LOGITS / self.rates.len());
        (0..rows).map(|_| draw()).collect()
    }

    /// Intercepts with which each cell has its base rate.
    fn fitted_intercepts(&self) -> Vec<f64> {
        let sample = self.sample("synth intercepts");
        let mut intercepts = Vec::with_capacity(self.rates.len());
        let mut weights = vec![1.0; sample.len()];
        for (cell, &rate) in self.rates.iter().enumerate() {
            if cell.is_multiple_of(self.tasks()) {
                weights.fill(1.0);
            }
            let logits: Vec<f64> =
                sample.iter().map(|features| self.config.signal * self.preference(cell, features)).collect();
            let intercept = intercept_for(&logits, &weights, rate);
            if self.config.funnel {
                let noise = self.config.label_noise;
                for (weight, logit) in weights.iter_mut().zip(&logits) {
                    *weight *= (1.0 - noise) * sigmoid(logit + intercept) + noise * rate;
                }
            }
            intercepts.push(intercept);
        }
        intercepts
    }
}

/// Relative sizes of scenarios as shares that add up to 1.
pub(super) fn shares(config: &SynthConfig) -> Vec<f64> {
    let total: f64 = config.scenario_sizes.iter().sum();
    config.scenario_sizes.iter().map(|size| size / total).collect()
}

pub(super) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// Features must be at least as many as cells, so that directions of any correlations exist.
fn latent_width(config: &SynthConfig, cells: usize) -> usize {
    let mut width = config.latent as usize;
    while width * width + 2 * width < cells {
        width += 1;
    }
    width
}

/// Makes what a row's latent vector can be white over the rows that occur. `partner` varies independently and is added to it.
fn whiten(side: &mut Side, partner: Option<&mut Vec<f64>>, width: usize) {
    let (mean, mut covariance) = moments(&side.latent, &side.probability, width);
    let mut parts: Vec<(&mut [f64], Vec<f64>)> = vec![(&mut side.latent, mean)];
    if let Some(partner) = partner {
        let rows = partner.len() / width;
        let (mean, more) = moments(partner, &vec![1.0 / rows as f64; rows], width);
        covariance.iter_mut().zip(more).for_each(|(sum, value)| *sum += value);
        parts.push((partner, mean));
    }
    let lower = cholesky(&covariance, width);
    for (values, mean) in parts {
        for row in values.chunks_exact_mut(width) {
            row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
            solve_lower(&lower, row);
        }
    }
}

/// `[cells, features]`: unit vectors whose scalar products are the correlations asked for.
fn directions(config: &SynthConfig, width: usize) -> Vec<f64> {
    let tasks = config.tasks.len();
    let cells = config.scenario_sizes.len() * tasks;
    let features = width * width + 2 * width;
    let asked: Vec<f64> = (0..cells * cells)
        .map(|index| {
            let (one, other) = (index / cells, index % cells);
            asked_correlation(config, (one / tasks, one % tasks), (other / tasks, other % tasks))
        })
        .collect();
    let factor = cholesky(&asked, cells);
    let basis = orthonormal_rows(cells, features, &mut stream(config.seed, "synth directions", 0));
    let mut directions = vec![0.0; cells * features];
    for (into, factors) in directions.chunks_exact_mut(features).zip(factor.chunks_exact(cells)) {
        for (axis, factor) in basis.chunks_exact(features).zip(factors) {
            into.iter_mut().zip(axis).for_each(|(sum, value)| *sum += factor * value);
        }
    }
    directions
}

/// `(1 - seesaw) * scenarios' * tasks' correlation + seesaw * (1 or -1)`, the sign as on a chequerboard of (scenario, task).
pub(super) fn asked_correlation(config: &SynthConfig, one: (usize, usize), other: (usize, usize)) -> f64 {
    let sign = |odd: usize| if odd.is_multiple_of(2) { 1.0 } else { -1.0 };
    let tasks = match (one.1 == other.1, config.task_correlation < 0.0) {
        (true, _) => 1.0,
        (false, false) => config.task_correlation,
        (false, true) => config.task_correlation.abs() * sign(one.1 + other.1),
    };
    let scenarios = if one.0 == other.0 { 1.0 } else { config.scenario_correlation };
    (1.0 - config.seesaw) * scenarios * tasks + config.seesaw * sign(one.0 + one.1 + other.0 + other.1)
}

/// Base rate of each cell: the task's logit with a draw per scenario, moved so that the task's rate over all rows is as asked.
fn rates(config: &SynthConfig) -> Vec<f64> {
    let (shares, tasks) = (shares(config), config.tasks.len());
    let mut rates = vec![0.0; shares.len() * tasks];
    for (index, task) in config.tasks.iter().enumerate() {
        let mut rng = stream(config.seed, "synth base rates", index as u64);
        let logits: Vec<f64> =
            shares.iter().map(|_| config.base_rate_spread * rng.sample::<f64, _>(StandardNormal)).collect();
        let shift = intercept_for(&logits, &shares, task.base_rate);
        for (scenario, logit) in logits.iter().enumerate() {
            rates[scenario * tasks + index] = sigmoid(logit + shift);
        }
    }
    rates
}

/// The number to add to all logits so that their weighted mean probability is `rate`.
fn intercept_for(logits: &[f64], weights: &[f64], rate: f64) -> f64 {
    let total: f64 = weights.iter().sum();
    let (mut low, mut high) = (-200.0, 200.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        let mean: f64 = logits.iter().zip(weights).map(|(logit, weight)| weight * sigmoid(logit + middle)).sum();
        if mean < rate * total {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::SynthTask;

    fn measured(config: &SynthConfig) -> Vec<f64> {
        config.check().unwrap();
        World::new(config).logit_correlation()
    }

    #[test]
    fn logits_correlate_between_scenarios_as_asked_from_nothing_to_identity() {
        for asked in [0.0, 0.4, 1.0] {
            let config = SynthConfig { scenario_correlation: asked, task_correlation: 0.5, ..SynthConfig::default() };
            let correlation = measured(&config);
            let (cells, tasks) = (6, 2);
            for one in 0..3 {
                for other in 0..one {
                    let same_task = correlation[one * tasks * cells + other * tasks];
                    let crossed = correlation[one * tasks * cells + other * tasks + 1];
                    assert!((same_task - asked).abs() < 0.03, "{asked}: {same_task}");
                    assert!((crossed - asked * 0.5).abs() < 0.03, "{asked}: {crossed}");
                }
            }
        }
    }

    #[test]
    fn tasks_can_be_opposites() {
        let tasks = ["a", "b", "c"].map(|name| SynthTask::new(name, 0.4)).to_vec();
        let correlation = measured(&SynthConfig { tasks, task_correlation: -1.0, ..SynthConfig::default() });
        assert!(correlation[1] < -0.99 && correlation[2] > 0.99, "{:?}", &correlation[..3]);
    }

    #[test]
    fn a_seesaw_turns_neighbouring_cells_against_each_other() {
        let config = SynthConfig { scenario_correlation: 0.6, task_correlation: 0.3, ..SynthConfig::default() };
        let before = measured(&config);
        let after = measured(&SynthConfig { seesaw: 0.6, ..config });
        assert!(before[1] > 0.25 && before[2] > 0.55, "{:?}", &before[..3]);
        assert!(after[1] < -0.4 && after[2] < -0.3, "{:?}", &after[..3]);
        assert!(after[3] > 0.6, "diagonal neighbours agree: {}", after[3]);
    }

    #[test]
    fn the_directions_stay_exact_where_cells_outnumber_the_default_features() {
        let config = SynthConfig { scenario_sizes: vec![1.0; 10], ..SynthConfig::default() };
        let correlation = measured(&config);
        assert!((correlation[2] - 0.8).abs() < 0.03, "{}", correlation[2]);
    }

    #[test]
    fn intercepts_meet_the_rate() {
        let intercept = intercept_for(&[-1.0, 0.0, 3.0], &[1.0, 1.0, 2.0], 0.2);
        let mean = (sigmoid(intercept - 1.0) + sigmoid(intercept) + 2.0 * sigmoid(intercept + 3.0)) / 4.0;
        assert!((mean - 0.2).abs() < 1e-9);
    }
}
