//! AUC under resampled users: rows are sorted once, then counted again under the weights of every draw.
//!
//! A draw gives each unit (a user; a row where there are no users) a weight that is Poisson with mean 1: what drawing
//! as many units as there are with replacement comes to, without the need to know the others. The weights depend on the
//! draw and the unit alone, so every model meets the same draws, on any number of threads.

use hinet_data::Seed;
use rayon::prelude::*;

use super::truth::Truth;

/// Draws that are counted side by side.
const LANES: usize = 16;

type Lanes<T> = [T; LANES];

/// The AUC of every column (the cells scenario by scenario, then the tasks over all scenarios) under every draw, for one run: `[columns][draws]`, NaN where a draw
/// left one class only.
pub(super) struct Draws {
    columns: Vec<Vec<f64>>,
}

impl Draws {
    /// Counts all draws. `scores` is by task, in the order of the rows.
    pub(super) fn count(truth: &Truth, scores: &[&[f32]], draws: usize, seed: Seed) -> Draws {
        let rankings: Vec<Vec<Entry>> =
            (0..truth.tasks.len()).into_par_iter().flat_map(|task| rankings(truth, task, scores[task])).collect();
        let block = |block: usize| {
            let weights = weights(truth.units, Seed(seed.stream("bootstrap units", block as u64)));
            rankings.iter().map(|ranking| auc(ranking, &weights)).collect()
        };
        let blocks: Vec<Vec<Lanes<f64>>> = (0..draws.div_ceil(LANES)).into_par_iter().map(block).collect();
        let column = |column: usize| {
            let mut values: Vec<f64> = blocks.iter().flat_map(|block| block[column]).collect();
            values.truncate(draws);
            values
        };
        // Rankings come task by task, columns scenario by scenario with all of them together last.
        let (tasks, groups) = (truth.tasks.len(), truth.groups + 1);
        let columns = (0..groups * tasks).map(|place| column(place % tasks * groups + place / tasks)).collect();
        Draws { columns }
    }

    /// The draws of a column.
    pub(super) fn column(&self, column: usize) -> &[f64] {
        &self.columns[column]
    }
}

/// A row in the order of its scores: its unit, whether its label is 1, and whether the next row has another score.
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    fn new(unit: u32, positive: bool) -> Entry {
        Entry(unit << 2 | u32::from(positive) << 1)
    }

    fn unit(self) -> usize {
        (self.0 >> 2) as usize
    }

    fn is_positive(self) -> bool {
        self.0 & 2 > 0
    }

    fn is_last(self) -> bool {
        self.0 & 1 > 0
    }
}

/// The observed rows of a task by ascending score: of each scenario, then of all.
fn rankings(truth: &Truth, task: usize, scores: &[f32]) -> Vec<Vec<Entry>> {
    let observed = (0..scores.len()).filter(|&row| truth.labels[task][row].is_some());
    // Probabilities are not negative, so their bits sort as they do; adding 0 turns minus zero into zero.
    let mut order: Vec<u64> = observed.map(|row| u64::from((scores[row] + 0.0).to_bits()) << 32 | row as u64).collect();
    order.par_sort_unstable();
    let all = truth.groups;
    let mut rankings = vec![Vec::new(); all + 1];
    let mut last_score = vec![0_u32; all + 1];
    for packed in order {
        let (score, row) = ((packed >> 32) as u32, packed as u32 as usize);
        let entry = Entry::new(truth.unit[row], truth.labels[task][row] == Some(true));
        for group in [truth.scenario[row] as usize, all] {
            close_tie(&mut rankings[group], last_score[group] != score);
            rankings[group].push(entry);
            last_score[group] = score;
        }
    }
    rankings.iter_mut().for_each(|ranking| close_tie(ranking, true));
    rankings
}

fn close_tie(ranking: &mut [Entry], ends: bool) {
    if let Some(last) = ranking.last_mut() {
        last.0 |= u32::from(ends);
    }
}

/// The AUC under each lane's weights. Counts pairs in whole numbers.
fn auc(ranking: &[Entry], weights: &[Lanes<u8>]) -> Lanes<f64> {
    // Twice the pairs won, so that a tie is a whole number.
    let (mut positives, mut negatives, mut wins) = ([0_u32; LANES], [0_u32; LANES], [0_u64; LANES]);
    let (mut tied_positives, mut tied_negatives) = ([0_u32; LANES], [0_u32; LANES]);
    for entry in ranking {
        let weight = &weights[entry.unit()];
        let tied = if entry.is_positive() { &mut tied_positives } else { &mut tied_negatives };
        for lane in 0..LANES {
            tied[lane] += u32::from(weight[lane]);
        }
        if entry.is_last() {
            for lane in 0..LANES {
                let below = 2 * negatives[lane] + tied_negatives[lane];
                wins[lane] += u64::from(tied_positives[lane]) * u64::from(below);
                positives[lane] += tied_positives[lane];
                negatives[lane] += tied_negatives[lane];
            }
            (tied_positives, tied_negatives) = ([0; LANES], [0; LANES]);
        }
    }
    let mut found = [f64::NAN; LANES];
    for lane in 0..LANES {
        let pairs = f64::from(positives[lane]) * f64::from(negatives[lane]);
        if pairs > 0.0 {
            found[lane] = wins[lane] as f64 / (2.0 * pairs);
        }
    }
    found
}

/// Poisson weights, `[units]` by lane.
fn weights(units: usize, seed: Seed) -> Vec<Lanes<u8>> {
    let weights = |unit: usize| {
        let mut lanes = [0; LANES];
        for (pair, lanes) in lanes.chunks_exact_mut(2).enumerate() {
            let draw = mixed(seed.0.wrapping_add((unit * LANES / 2 + pair) as u64));
            lanes[0] = poisson(draw as u32);
            lanes[1] = poisson((draw >> 32) as u32);
        }
        lanes
    };
    (0..units).map(weights).collect()
}

/// `2^32` times the probability that a Poisson number of mean 1 is at most 0, 1, 2, ...: `e^-1 * sum of 1 / k!`.
const AT_MOST: [u32; 12] = [
    1_580_030_168,
    3_160_060_337,
    3_950_075_422,
    4_213_413_783,
    4_279_248_374,
    4_292_415_292,
    4_294_609_778,
    4_294_923_276,
    4_294_962_463,
    4_294_966_817,
    4_294_967_253,
    4_294_967_292,
];

fn poisson(draw: u32) -> u8 {
    AT_MOST.iter().map(|&bound| u8::from(draw >= bound)).sum()
}

/// Steele, Lea and Flood's splitmix64, one step.
fn mixed(value: u64) -> u64 {
    let mut mixed = value.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::truth::tests::truth;
    use super::*;
    use crate::metrics::auc_of_sorted;

    /// Scenario, user, label (2 is not observed) and score (ties are likely).
    type Row = (u16, u64, u8, u8);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        prop::collection::vec((0_u16..2, 0_u64..9, 0_u8..3, 0_u8..6), 1..60)
    }

    fn of(rows: &[Row]) -> (Truth, Vec<f32>) {
        let labels = rows.iter().map(|row| (row.2 < 2).then_some(row.2 == 1)).collect();
        let scenario = rows.iter().map(|row| row.0).collect();
        let users: Vec<u64> = rows.iter().map(|row| row.1).collect();
        (truth(scenario, vec![labels], &users), rows.iter().map(|row| f32::from(row.3) / 7.0).collect())
    }

    /// Pair by pair.
    fn by_pairs(truth: &Truth, scores: &[f32], scenario: Option<u16>, weights: &[Lanes<u8>], lane: usize) -> f64 {
        let weight = |row: usize| f64::from(weights[truth.unit[row] as usize][lane]);
        let rows = |label: bool| {
            (0..scores.len()).filter(move |&row| {
                truth.labels[0][row] == Some(label) && scenario.is_none_or(|scenario| truth.scenario[row] == scenario)
            })
        };
        let (mut pairs, mut wins) = (0.0, 0.0);
        for above in rows(true) {
            for below in rows(false) {
                let pair = weight(above) * weight(below);
                pairs += pair;
                wins += pair * (f64::from(scores[above].total_cmp(&scores[below]) as i8) + 1.0) / 2.0;
            }
        }
        wins / pairs
    }

    proptest! {
        #[test]
        fn every_draw_is_what_its_weights_give_pair_by_pair(rows in rows()) {
            let (truth, scores) = of(&rows);
            let draws = Draws::count(&truth, &[&scores], 20, Seed(3));
            for draw in 0..20 {
                let block = Seed(Seed(3).stream("bootstrap units", (draw / LANES) as u64));
                let weights = weights(truth.units, block);
                for (column, scenario) in [(0, Some(0)), (1, Some(1)), (2, None)] {
                    let expected = by_pairs(&truth, &scores, scenario, &weights, draw % LANES);
                    let found = draws.column(column)[draw];
                    prop_assert!((found.is_nan() && expected.is_nan()) || (found - expected).abs() < 1e-12);
                }
            }
        }

        #[test]
        fn weights_of_one_give_the_plain_auc(rows in rows()) {
            let (truth, scores) = of(&rows);
            let found = auc(&rankings(&truth, 0, &scores)[2], &vec![[1; LANES]; truth.units])[0];
            let mut sorted: Vec<(u8, bool)> = rows.iter().filter(|row| row.2 < 2).map(|row| (row.3, row.2 == 1)).collect();
            sorted.sort_unstable();
            prop_assert_eq!(auc_of_sorted(sorted.into_iter()), Some(found).filter(|auc| !auc.is_nan()));
        }
    }

    #[test]
    fn weights_are_poisson_and_independent_of_their_neighbours() {
        let weights = weights(20_000, Seed(1));
        let all: Vec<f64> = weights.iter().flatten().map(|&weight| f64::from(weight)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|weight| (weight - mean).powi(2)).sum::<f64>() / all.len() as f64;
        let zeros = all.iter().filter(|&&weight| weight == 0.0).count() as f64 / all.len() as f64;
        let neighbours = all.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>() / all.len() as f64;
        assert!((mean - 1.0).abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        assert!((zeros - (-1.0_f64).exp()).abs() < 0.005 && neighbours.abs() < 0.01, "{zeros} {neighbours}");
    }

    #[test]
    fn draws_are_the_same_on_any_number_of_threads() {
        let rows: Vec<Row> =
            (0..500).map(|row| (row % 2, u64::from(row % 37), (row % 7 == 0) as u8, (row % 5) as u8)).collect();
        let (truth, scores) = of(&rows);
        let on = |threads: usize| {
            let pool = crate::pool::pool(threads).unwrap();
            pool.install(|| Draws::count(&truth, &[&scores], 100, Seed(1)).columns)
        };
        assert_eq!(on(1), on(3));
    }
}
