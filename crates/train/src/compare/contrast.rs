//! One model against another: the difference of every cell, its interval, its tests, and what they say.

use hinet_data::Seed;

use super::bootstrap::Draws;
use super::result::{Contrast, Difference, Interval, PairedT, Verdict};
use crate::metrics::has_enough;
use crate::statistics::{holm, mean, paired_t, quantile, two_sided, variance};

/// Probability below which a difference is beyond noise.
pub(super) const SIGNIFICANT: f64 = 0.05;
/// Share of the draws that must define a difference.
const DEFINED: f64 = 0.9;

/// One model as the tests see it.
pub(super) struct Side {
    pub(super) name: String,
    /// One per run.
    pub(super) seeds: Vec<u64>,
    /// The AUC by run and column: the cells, then the tasks over all scenarios.
    pub(super) aucs: Vec<Vec<Option<f64>>>,
    /// The same under every draw, by run.
    pub(super) draws: Vec<Draws>,
}

/// What the columns of a comparison are.
pub(super) struct Columns {
    /// The cells, then the tasks over all scenarios: their names and counts, the rest left empty.
    pub(super) columns: Vec<Difference>,
    /// How many of them are cells.
    pub(super) cells: usize,
    /// Fewest rows of either class for a column to be tested.
    pub(super) min_positives: u64,
    /// Draws of the bootstrap.
    pub(super) draws: usize,
    /// Where seeds are drawn from.
    pub(super) seed: Seed,
}

/// Measures `model - base`.
pub(super) fn contrast(model: &Side, base: &Side, columns: &Columns) -> Contrast {
    let pairs = pairs(&model.seeds, &base.seeds);
    let test = Test { model, base, picks: picks(pairs.len(), columns), pairs, columns };
    let (cells, tasks): (Vec<usize>, Vec<usize>) = (0..columns.columns.len()).partition(|&at| at < columns.cells);
    let mut mean_auc = vec![test.difference(&tasks, &Difference::default())];
    let each = |at: &usize| test.difference(&[*at], &columns.columns[*at]);
    let (mut cells, mut overall) = (cells.iter().map(each).collect(), tasks.iter().map(each).collect());
    for family in [&mut mean_auc, &mut overall, &mut cells] {
        correct(family);
    }
    Contrast {
        model: model.name.clone(),
        base: base.name.clone(),
        pairs: test.pairs.len() as u64,
        mean_auc: mean_auc.swap_remove(0),
        overall,
        cells,
    }
}

/// Runs of the same seed; where no seed is common, runs in the order of their seeds.
pub(super) fn pairs(model: &[u64], base: &[u64]) -> Vec<(usize, usize)> {
    let common = |(at, seed): (usize, &u64)| Some((at, base.iter().position(|other| other == seed)?));
    let common: Vec<(usize, usize)> = model.iter().enumerate().filter_map(common).collect();
    if common.is_empty() { (0..model.len().min(base.len())).map(|at| (at, at)).collect() } else { common }
}

/// The pairs of each draw. One fewer than there are, so that the variance of their mean comes out as that of all of them
/// (Rao and Wu 1988); drawing as many as there are would make it too small by one part in that many.
fn picks(pairs: usize, columns: &Columns) -> Vec<Vec<usize>> {
    let pick = |draw: usize, place: usize| {
        let stream = Seed(columns.seed.stream("bootstrap seeds", draw as u64)).stream("pick", place as u64);
        ((u128::from(stream) * pairs as u128) >> 64) as usize
    };
    let count = if pairs > 1 { pairs - 1 } else { pairs };
    (0..columns.draws).map(|draw| (0..count).map(|place| pick(draw, place)).collect()).collect()
}

struct Test<'a> {
    model: &'a Side,
    base: &'a Side,
    pairs: Vec<(usize, usize)>,
    /// By draw: indices into `pairs`.
    picks: Vec<Vec<usize>>,
    columns: &'a Columns,
}

impl Test<'_> {
    /// The difference of the mean over some columns, those left out where the AUC is undefined.
    fn difference(&self, at: &[usize], about: &Difference) -> Difference {
        let defined = |at: &usize| self.pairs.first().is_some_and(|pair| self.model.aucs[pair.0][*at].is_some());
        let at: Vec<usize> = at.iter().copied().filter(defined).collect();
        let change = |&(model, base): &(usize, usize)| {
            let changes: Option<Vec<f64>> =
                at.iter().map(|&at| Some(self.model.aucs[model][at]? - self.base.aucs[base][at]?)).collect();
            mean(&changes?)
        };
        let changes: Option<Vec<f64>> = self.pairs.iter().map(change).collect();
        let Some(changes) = changes.filter(|changes| !changes.is_empty()) else { return about.clone() };
        let tested = at.iter().all(|&at| self.has_enough(at));
        Difference {
            change: mean(&changes),
            bootstrap: if tested { self.interval(&at, &changes) } else { None },
            paired_t: if tested { paired_t(&changes) } else { None },
            ..about.clone()
        }
    }

    fn has_enough(&self, at: usize) -> bool {
        let Difference { rows, positives, .. } = self.columns.columns[at];
        has_enough(rows, positives, self.columns.min_positives.max(1))
    }

    fn interval(&self, at: &[usize], changes: &[f64]) -> Option<Interval> {
        let draws: Vec<f64> = (0..self.picks.len()).filter_map(|draw| self.draw(at, draw)).collect();
        if (draws.len() as f64) < DEFINED * self.picks.len() as f64 {
            return None;
        }
        let (change, error_squared) = (mean(changes)?, variance(&draws)?);
        let error = error_squared.sqrt();
        if error == 0.0 {
            let p = if change == 0.0 { 1.0 } else { 0.0 };
            return Some(Interval { low: change, high: change, p, p_holm: p });
        }
        let of_seeds = variance(changes).unwrap_or(0.0) / changes.len() as f64;
        let degrees = degrees(error_squared, of_seeds, changes.len());
        let (half, p) = (quantile(1.0 - super::LEVEL, degrees) * error, two_sided(change / error, degrees));
        Some(Interval { low: change - half, high: change + half, p, p_holm: p })
    }

    /// The difference under one draw; nothing where a column has one class only.
    fn draw(&self, at: &[usize], draw: usize) -> Option<f64> {
        let of = |draws: &Draws| at.iter().map(|&at| draws.column(at)[draw]).sum::<f64>();
        let sum: f64 = self.picks[draw]
            .iter()
            .map(|&pick| {
                let (model, base) = self.pairs[pick];
                of(&self.model.draws[model]) - of(&self.base.draws[base])
            })
            .sum();
        let difference = sum / (self.picks[draw].len() * at.len()) as f64;
        difference.is_finite().then_some(difference)
    }
}

/// Degrees of freedom of an error of which a part comes from that many seeds, and the rest from so many users that they
/// leave no doubt (Satterthwaite 1946).
fn degrees(error_squared: f64, of_seeds: f64, seeds: usize) -> f64 {
    if seeds < 2 || of_seeds == 0.0 {
        return f64::INFINITY;
    }
    let of_seeds = of_seeds.min(error_squared);
    (error_squared / of_seeds).powi(2) * (seeds - 1) as f64
}

/// Corrects the tests of a family by Holm, and gives the verdicts.
fn correct(family: &mut [Difference]) {
    let intervals: Vec<&mut Interval> = family.iter_mut().filter_map(|one| one.bootstrap.as_mut()).collect();
    let corrected = holm(&intervals.iter().map(|interval| interval.p).collect::<Vec<_>>());
    intervals.into_iter().zip(corrected).for_each(|(interval, p)| interval.p_holm = p);
    let tests: Vec<&mut PairedT> = family.iter_mut().filter_map(|one| one.paired_t.as_mut()).collect();
    let corrected = holm(&tests.iter().map(|test| test.p).collect::<Vec<_>>());
    tests.into_iter().zip(corrected).for_each(|(test, p)| test.p_holm = p);
    for one in family {
        one.verdict = match (one.bootstrap, one.change) {
            (Some(interval), Some(change)) if interval.p_holm < SIGNIFICANT => {
                if change > 0.0 {
                    Verdict::Better
                } else {
                    Verdict::Worse
                }
            }
            (Some(_), Some(_)) => Verdict::WithinNoise,
            _ => Verdict::Untested,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::truth::tests::truth;
    use super::*;
    use crate::statistics::two_sided;

    const USERS: u64 = 60;
    const ROWS: u64 = 360;
    /// How much users differ, seeds, and the runs on each row; the rest of a row's noise is common to all runs.
    const OF_USERS: f64 = 0.7;
    const OF_SEEDS: f64 = 0.08;
    const OF_RUNS: f64 = 0.4;

    /// Normal draws, by Box and Muller, of a world's own stream.
    struct World(u64, u64);

    impl World {
        fn uniform(&mut self) -> f64 {
            self.1 += 1;
            (Seed(self.0).stream("world", self.1) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (radius, angle) = (1.0 - self.uniform(), self.uniform());
            (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
        }
    }

    /// The AUC that scores of this mean distance between the classes have over all users and seeds.
    fn expected_auc(distance: f64) -> f64 {
        let z = distance / (2.0 * (1.0 + OF_USERS * OF_USERS) + OF_SEEDS * OF_SEEDS).sqrt();
        0.5 + z.signum() * (1.0 - two_sided(z, f64::INFINITY)) / 2.0
    }

    /// Two models of these distances in a new world: same users, two scenarios, `seeds` runs each.
    fn contrast_in(world: u64, distances: [f64; 2], seeds: u64) -> Contrast {
        let mut world = World(world, 0);
        let users: Vec<u64> = (0..ROWS).map(|row| row % USERS).collect();
        let labels: Vec<Option<bool>> = (0..ROWS).map(|_| Some(world.uniform() < 0.4)).collect();
        let scenario: Vec<u16> = (0..ROWS).map(|row| u16::from(row % 3 == 0)).collect();
        let truth = truth(scenario, vec![labels.clone()], &users);
        let effects: Vec<f64> = (0..USERS).map(|_| world.normal() * OF_USERS).collect();
        let common: Vec<f64> = (0..ROWS).map(|_| world.normal() * (1.0 - OF_RUNS * OF_RUNS).sqrt()).collect();
        let mut side = |distance: f64, name: &str| {
            let mut side = Side { name: name.into(), seeds: (0..seeds).collect(), aucs: vec![], draws: vec![] };
            for _ in 0..seeds {
                let distance = distance + world.normal() * OF_SEEDS;
                let mut score = |row: usize| {
                    let mean = effects[users[row] as usize] + if labels[row] == Some(true) { distance } else { 0.0 };
                    let logit = mean + common[row] + world.normal() * OF_RUNS;
                    (1.0 / (1.0 + (-logit).exp())) as f32
                };
                let scores: Vec<f32> = (0..ROWS as usize).map(&mut score).collect();
                // A draw of ones is the AUC itself; the tests of the bootstrap see to that.
                side.aucs.push((0..3).map(|column| plain(&truth, &scores, column)).collect());
                side.draws.push(Draws::count(&truth, &[&scores], 200, Seed(5)));
            }
            side
        };
        let [model, base] = [side(distances[0], "model"), side(distances[1], "base")];
        let column = || Difference { rows: ROWS / 3, positives: ROWS / 9, ..Difference::default() };
        let columns = vec![column(), column(), column()];
        contrast(&model, &base, &Columns { columns, cells: 2, min_positives: 10, draws: 200, seed: Seed(5) })
    }

    fn plain(truth: &super::super::truth::Truth, scores: &[f32], column: u16) -> Option<f64> {
        let rows = (0..scores.len()).filter(|&row| column == 2 || truth.scenario[row] == column);
        let mut rows: Vec<(f32, bool)> = rows.map(|row| (scores[row], truth.labels[0][row] == Some(true))).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        crate::metrics::auc_of_sorted(rows.into_iter())
    }

    /// Share of worlds in which something holds.
    fn share(worlds: u64, holds: impl Fn(u64) -> bool) -> f64 {
        (0..worlds).filter(|&world| holds(world)).count() as f64 / worlds as f64
    }

    #[test]
    fn intervals_hold_a_known_difference_as_often_as_they_say() {
        let expected = expected_auc(1.0) - expected_auc(0.8);
        for seeds in [2, 4] {
            let covered = share(250, |world| {
                let interval = contrast_in(world, [1.0, 0.8], seeds).mean_auc.bootstrap.unwrap();
                interval.low <= expected && expected <= interval.high
            });
            // 250 worlds at 95%: a deviation of 1.4 points. What a run does to single rows of its own counts as noise of
            // users and of seeds alike, so intervals are rather too wide.
            assert!(covered >= 0.92, "{seeds} seeds: {covered}");
        }
    }

    #[test]
    fn models_that_are_alike_are_seldom_told_apart_and_better_ones_are() {
        let told_apart = |contrast: &Contrast| {
            contrast.cells.iter().any(|cell| matches!(cell.verdict, Verdict::Better | Verdict::Worse))
        };
        let falsely = share(250, |world| told_apart(&contrast_in(world + 1000, [0.8, 0.8], 3)));
        assert!(falsely <= 0.09, "told apart in {falsely} of the worlds where there is no difference");
        let better = |world| {
            let contrast = contrast_in(world + 2000, [1.6, 0.5], 3);
            contrast.cells.iter().all(|cell| cell.verdict == Verdict::Better)
        };
        let found = share(50, better);
        assert!(found > 0.9, "a large difference is found in {found} of the worlds only");
        assert_eq!(contrast_in(1, [0.5, 1.6], 3).overall[0].verdict, Verdict::Worse);
    }

    #[test]
    fn one_seed_has_no_test_over_seeds_and_few_rows_none_at_all() {
        let one = contrast_in(7, [1.0, 0.8], 1);
        assert!(one.cells.iter().all(|cell| cell.paired_t.is_none() && cell.bootstrap.is_some()));
        assert!(contrast_in(7, [1.0, 0.8], 2).cells.iter().all(|cell| cell.paired_t.is_some()));
    }

    #[test]
    fn runs_are_paired_by_seed_and_else_in_order() {
        assert_eq!(pairs(&[1, 2, 3], &[3, 1]), [(0, 1), (2, 0)]);
        assert_eq!(pairs(&[1, 2], &[8, 9, 10]), [(0, 0), (1, 1)]);
    }

    #[test]
    fn degrees_of_freedom_lie_between_those_of_the_seeds_and_the_users() {
        assert_eq!(degrees(1.0, 1.0, 3), 2.0);
        assert_eq!(degrees(1.0, 2.0, 3), 2.0);
        assert_eq!(degrees(4.0, 1.0, 3), 32.0);
        assert_eq!(degrees(1.0, 0.5, 1), f64::INFINITY);
    }
}
