//! What no model can beat: the AUC of the true probabilities against the labels drawn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::SynthConfig;
use super::rows::Drawn;
use super::world::World;

/// What is true about a set of synthetic data; `truth.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SynthTruth {
    /// Version of this format: 1.
    pub truth_version: u32,
    /// The settings.
    pub config: SynthConfig,
    /// What the true probabilities reach on the test rows.
    pub bayes: Bayes,
    /// In a funnel, the same for each task but the first among the rows where the task before happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bayes_given_previous: Option<Bayes>,
    /// Names `scenario/task` of the cells in the order of `logit_correlation`.
    pub cells: Vec<String>,
    /// Correlation of the true logits of every two cells over the same users and items, measured on a sample.
    pub logit_correlation: Vec<Vec<f64>>,
}

/// Metrics of the true probabilities on the test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bayes {
    /// Each scenario and task, scenarios varying slower.
    pub cells: Vec<BayesCell>,
    /// Each task over all scenarios.
    pub overall: Vec<BayesCell>,
    /// Mean over tasks of the overall AUC; null where one is undefined.
    pub mean_auc: Option<f64>,
    /// Mean over cells of the AUC, where defined.
    pub mean_cell_auc: Option<f64>,
    /// How far an AUC above can be from the exact one: 0 up to 8 million labels of test, beyond which probabilities are counted in bins.
    pub auc_error_at_most: f64,
}

/// Metrics of the true probabilities in one cell, or of one task over all scenarios.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BayesCell {
    /// The scenario; absent over all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The task.
    pub task: String,
    /// Test rows.
    pub rows: u64,
    /// Those with a positive label.
    pub positives: u64,
    /// Mean of the true probability.
    pub base_rate: f64,
    /// AUC, equal probabilities counting one half; null where only one class occurs.
    pub auc: Option<f64>,
    /// Mean log loss; null without rows.
    pub logloss: Option<f64>,
}

/// Labels up to which an AUC is exact; 8 bytes are held for each.
const EXACT_LABELS: u64 = 8_000_000;
/// Bins of equal width in the logit, between -`BIN_REACH` and `BIN_REACH`.
const BINS: usize = 16_384;
const BIN_REACH: f64 = 16.0;

/// Collects probabilities and labels of the test rows.
pub(super) struct Tally {
    cells: Vec<Cell>,
    given: Option<Vec<Cell>>,
}

#[derive(Clone)]
struct Cell {
    probabilities: Probabilities,
    rows: u64,
    positives: u64,
    probability: f64,
    loss: f64,
}

#[derive(Clone)]
enum Probabilities {
    Exact { positive: Vec<f64>, negative: Vec<f64> },
    Binned { positive: Vec<u64>, negative: Vec<u64> },
}

impl Tally {
    pub(super) fn new(config: &SynthConfig) -> Tally {
        Tally::with_limit(config, EXACT_LABELS)
    }

    fn with_limit(config: &SynthConfig, exact_labels: u64) -> Tally {
        let cells = config.scenario_sizes.len() * config.tasks.len();
        let exact = config.test_rows.saturating_mul(config.tasks.len() as u64) <= exact_labels;
        let cells = vec![Cell::new(exact); cells];
        Tally { given: config.funnel.then(|| cells.clone()), cells }
    }

    pub(super) fn add(&mut self, drawn: &Drawn) {
        let tasks = drawn.labels.len();
        for (task, labels) in drawn.labels.iter().enumerate() {
            for (row, &label) in labels.iter().enumerate() {
                let cell = usize::from(drawn.scenario[row]) * tasks + task;
                self.cells[cell].add(drawn.probability[task][row], label);
                if let Some(given) = &mut self.given
                    && (task == 0 || drawn.labels[task - 1][row])
                {
                    given[cell].add(drawn.given[task][row], label);
                }
            }
        }
    }

    pub(super) fn truth(self, world: &World) -> SynthTruth {
        let config = world.config.clone();
        let names: Vec<String> = config
            .scenarios()
            .iter()
            .flat_map(|scenario| config.tasks.iter().map(move |task| format!("{scenario}/{}", task.name)))
            .collect();
        let correlation = world.logit_correlation();
        SynthTruth {
            truth_version: 1,
            bayes: bayes(self.cells, &config),
            bayes_given_previous: self.given.map(|cells| bayes(cells, &config)),
            logit_correlation: correlation.chunks(names.len()).map(<[f64]>::to_vec).collect(),
            cells: names,
            config,
        }
    }
}

fn bayes(cells: Vec<Cell>, config: &SynthConfig) -> Bayes {
    let tasks = config.tasks.len();
    let mut rows = Vec::with_capacity(cells.len());
    let mut error: f64 = 0.0;
    let mut measure = |cell: Cell, scenario: Option<String>, task: usize| {
        let (metrics, off_by) = cell.metrics(scenario, config.tasks[task].name.clone());
        error = error.max(off_by);
        metrics
    };
    let mut overall: Vec<Option<Cell>> = vec![None; tasks];
    let scenarios = config.scenarios();
    for (index, cell) in cells.into_iter().enumerate() {
        let sum = &mut overall[index % tasks];
        match sum {
            Some(sum) => sum.merge(&cell),
            None => *sum = Some(cell.clone()),
        }
        rows.push(measure(cell, Some(scenarios[index / tasks].clone()), index % tasks));
    }
    let overall: Vec<BayesCell> =
        overall.into_iter().flatten().enumerate().map(|(task, cell)| measure(cell, None, task)).collect();
    let aucs: Option<Vec<f64>> = overall.iter().map(|row| row.auc).collect();
    let cell_aucs: Vec<f64> = rows.iter().filter_map(|row| row.auc).collect();
    Bayes {
        mean_auc: aucs.and_then(|aucs| mean(&aucs)),
        mean_cell_auc: mean(&cell_aucs),
        auc_error_at_most: error,
        cells: rows,
        overall,
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

impl Cell {
    fn new(exact: bool) -> Cell {
        let probabilities = if exact {
            Probabilities::Exact { positive: Vec::new(), negative: Vec::new() }
        } else {
            Probabilities::Binned { positive: vec![0; BINS], negative: vec![0; BINS] }
        };
        Cell { probabilities, rows: 0, positives: 0, probability: 0.0, loss: 0.0 }
    }

    fn add(&mut self, probability: f64, label: bool) {
        self.rows += 1;
        self.positives += u64::from(label);
        self.probability += probability;
        self.loss -= if label { probability.ln() } else { (-probability).ln_1p() };
        match &mut self.probabilities {
            Probabilities::Exact { positive, negative } => {
                let side = if label { positive } else { negative };
                side.push(probability);
            }
            Probabilities::Binned { positive, negative } => {
                let side = if label { positive } else { negative };
                side[bin(probability)] += 1;
            }
        }
    }

    fn merge(&mut self, other: &Cell) {
        self.rows += other.rows;
        self.positives += other.positives;
        self.probability += other.probability;
        self.loss += other.loss;
        match (&mut self.probabilities, &other.probabilities) {
            (
                Probabilities::Exact { positive, negative },
                Probabilities::Exact { positive: more_positive, negative: more_negative },
            ) => {
                positive.extend_from_slice(more_positive);
                negative.extend_from_slice(more_negative);
            }
            (
                Probabilities::Binned { positive, negative },
                Probabilities::Binned { positive: more_positive, negative: more_negative },
            ) => {
                positive.iter_mut().zip(more_positive).for_each(|(sum, more)| *sum += more);
                negative.iter_mut().zip(more_negative).for_each(|(sum, more)| *sum += more);
            }
            (Probabilities::Exact { .. }, Probabilities::Binned { .. })
            | (Probabilities::Binned { .. }, Probabilities::Exact { .. }) => {
                unreachable!("all cells of a tally count in the same way")
            }
        }
    }

    /// The metrics, and how far the AUC can be off.
    fn metrics(self, scenario: Option<String>, task: String) -> (BayesCell, f64) {
        let rows = self.rows as f64;
        let (auc, error) = match self.probabilities {
            Probabilities::Exact { positive, negative } => (exact_auc(positive, negative), 0.0),
            Probabilities::Binned { positive, negative } => binned_auc(&positive, &negative),
        };
        let base_rate = if self.rows == 0 { 0.0 } else { self.probability / rows };
        let logloss = (self.rows > 0).then(|| self.loss / rows);
        (BayesCell { scenario, task, rows: self.rows, positives: self.positives, base_rate, auc, logloss }, error)
    }
}

fn bin(probability: f64) -> usize {
    let logit = (probability / (1.0 - probability)).ln();
    let place = (logit + BIN_REACH) / (2.0 * BIN_REACH) * BINS as f64;
    place.clamp(0.0, (BINS - 1) as f64) as usize
}

/// Share of pairs (positive, negative) in which the positive has the higher probability, equal ones counting one half.
fn exact_auc(mut positive: Vec<f64>, mut negative: Vec<f64>) -> Option<f64> {
    if positive.is_empty() || negative.is_empty() {
        return None;
    }
    positive.sort_unstable_by(f64::total_cmp);
    negative.sort_unstable_by(f64::total_cmp);
    let (mut below, mut not_above, mut wins) = (0, 0, 0.0);
    for value in &positive {
        while negative.get(below).is_some_and(|other| other < value) {
            below += 1;
        }
        not_above = not_above.max(below);
        while negative.get(not_above).is_some_and(|other| other <= value) {
            not_above += 1;
        }
        wins += (below + not_above) as f64 / 2.0;
    }
    Some(wins / (positive.len() as f64 * negative.len() as f64))
}

/// The same with all probabilities of a bin counting as equal, and half the share of pairs within one bin: the largest error.
fn binned_auc(positive: &[u64], negative: &[u64]) -> (Option<f64>, f64) {
    let (mut below, mut wins, mut ties) = (0.0, 0.0, 0.0);
    for (&positives, &negatives) in positive.iter().zip(negative) {
        let (positives, negatives) = (positives as f64, negatives as f64);
        wins += positives * (below + negatives / 2.0);
        ties += positives * negatives;
        below += negatives;
    }
    let pairs = positive.iter().sum::<u64>() as f64 * below;
    if pairs == 0.0 { (None, 0.0) } else { (Some(wins / pairs), ties / pairs / 2.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::rows::{Span, spans};

    #[test]
    fn an_auc_counts_pairs_and_ties_one_half() {
        let positive = vec![0.9, 0.5, 0.5, 0.1];
        let negative = vec![0.5, 0.2, 0.9];
        let mut wins = 0.0;
        for p in &positive {
            for n in &negative {
                wins += if p > n {
                    1.0
                } else if p == n {
                    0.5
                } else {
                    0.0
                };
            }
        }
        assert_eq!(exact_auc(positive, negative), Some(wins / 12.0));
        assert_eq!(exact_auc(vec![0.5], Vec::new()), None);
    }

    #[test]
    fn counting_in_bins_is_off_by_no_more_than_it_says() {
        let config = SynthConfig { users: 200, items: 200, test_rows: 30_000, funnel: true, ..SynthConfig::default() };
        let world = World::new(&config);
        let mut exact = Tally::new(&config);
        let mut binned = Tally::with_limit(&config, 0);
        for span in spans(30_000, 0, 0) {
            let drawn = Drawn::new(&world, span);
            exact.add(&drawn);
            binned.add(&drawn);
        }
        let (exact, binned) = (exact.truth(&world), binned.truth(&world));
        let error = binned.bayes.auc_error_at_most;
        assert!(error > 0.0 && error < 1e-3, "{error}");
        assert_eq!(exact.bayes.auc_error_at_most, 0.0);
        for (one, other) in exact.bayes.cells.iter().zip(&binned.bayes.cells) {
            assert!((one.auc.unwrap() - other.auc.unwrap()).abs() <= error, "{one:?} {other:?}");
            assert_eq!(one.logloss, other.logloss);
        }
        let given = exact.bayes_given_previous.unwrap();
        let clicks = exact.bayes.overall[0].positives;
        assert_eq!(given.overall[1].rows, clicks, "the second task is looked at where the first happened");
        assert_eq!(given.overall[1].positives, exact.bayes.overall[1].positives);
    }

    #[test]
    fn labels_happen_as_often_as_their_probabilities_say() {
        let config = SynthConfig { users: 200, items: 200, label_noise: 0.3, ..SynthConfig::default() };
        let world = World::new(&config);
        let mut tally = Tally::new(&config);
        tally.add(&Drawn::new(&world, Span { chunk: 0, first_row: 0, rows: 16_384 }));
        for cell in tally.truth(&world).bayes.overall {
            let observed = cell.positives as f64 / cell.rows as f64;
            let deviation = (cell.base_rate * (1.0 - cell.base_rate) / cell.rows as f64).sqrt();
            assert!((observed - cell.base_rate).abs() < 4.0 * deviation, "{cell:?}");
        }
    }
}
