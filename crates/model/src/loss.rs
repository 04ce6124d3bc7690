//! The loss: how much each row and task counts.
//!
//! The paper gives every scenario the same say, whatever its size: `L = sum_i lambda_i sum_j sum_n CE`, `lambda_i`
//! about `1 / |D_i|`. Batch by batch that is `1 / B * sum_n w_n sum_j c_j CE_j(n)` with the weights of [`row_weights`]
//! at power 1; power 0 makes every row count the same.

use hinet_data::{Batch, Layout};
use hinet_tape::Tape;

use crate::network::{Form, Network, Output};

/// Weight of a row of each scenario: `(N / (S N_s))^power`, `N` rows of train in all, `N_s` in the scenario, `S`
/// scenarios. With any power, rows weigh the more the fewer there are of their scenario; with power 1 they weigh 1 on
/// average.
#[must_use]
pub fn row_weights(layout: &Layout, power: f64) -> Vec<f64> {
    let even = layout.train_rows() as f64 / layout.scenarios.len() as f64;
    layout.scenario_rows.iter().map(|&rows| (even / rows.max(1) as f64).powf(power)).collect()
}

/// Fills the targets and weights of a network's [`Objective`](crate::Objective) from batches.
#[derive(Clone, Debug, PartialEq)]
pub struct LossInputs {
    /// Scenario weight times task weight, `[scenarios][tasks]`.
    cells: Vec<Vec<f64>>,
    every: bool,
}

impl LossInputs {
    /// For networks of a form over data of a layout; `scenario_weight_power` goes to [`row_weights`].
    #[must_use]
    pub fn new(layout: &Layout, scenario_weight_power: f64, form: Form) -> LossInputs {
        let weights = row_weights(layout, scenario_weight_power).into_iter();
        let cells = weights.map(|weight| layout.tasks.iter().map(|task| weight * task.weight).collect());
        LossInputs { cells: cells.collect(), every: form == Form::Every }
    }

    /// What a row of weight 1 counts in a cell: scenario weight times task weight.
    #[must_use]
    pub fn cell_weight(&self, scenario: usize, task: usize) -> f64 {
        self.cells[scenario][task]
    }

    /// Scenarios that have a weight.
    #[must_use]
    pub fn scenarios(&self) -> usize {
        self.cells.len()
    }

    /// Columns of targets and weights.
    #[must_use]
    pub fn columns(&self) -> usize {
        let tasks = self.cells.first().map_or(0, Vec::len);
        if self.every { self.cells.len() * tasks } else { tasks }
    }

    /// Targets and weights of a batch, `[rows, columns]` each. A weight is scenario weight times task weight times row
    /// weight over rows of the batch; 0 where the label was not observed.
    ///
    /// In [`Form::Every`] the heads of other scenarios have the target 0 and the weight of the row's own: as in the
    /// authors' code, a row counts as a negative of every other scenario. Rows of an unknown scenario weigh 0.
    pub fn fill(&self, batch: &Batch, targets: &mut Vec<f32>, weights: &mut Vec<f32>) {
        let (tasks, columns) = (self.cells.first().map_or(0, Vec::len), self.columns());
        for values in [&mut *targets, &mut *weights] {
            values.clear();
            values.resize(batch.rows * columns, 0.0);
        }
        for row in 0..batch.rows {
            let scenario = usize::from(batch.scenario[row]);
            let Some(cells) = self.cells.get(scenario) else { continue };
            let labels = &batch.labels[row * tasks..(row + 1) * tasks];
            let observed = &batch.observed[row * tasks..(row + 1) * tasks];
            let share = f64::from(batch.weight[row]) / batch.rows as f64;
            let own = if self.every { scenario * tasks } else { 0 };
            targets[row * columns + own..][..tasks].copy_from_slice(labels);
            for weights in weights[row * columns..(row + 1) * columns].chunks_exact_mut(tasks) {
                for ((weight, &cell), &observed) in weights.iter_mut().zip(cells).zip(observed) {
                    *weight = if observed { (cell * share) as f32 } else { 0.0 };
                }
            }
        }
    }
}

/// Running mean of the log loss of each cell (scenario x task), for the eye: scenario and task weights do not count,
/// row weights do.
#[derive(Clone, Debug, PartialEq)]
pub struct CellLosses {
    tasks: usize,
    /// Weighted sum of cross-entropies and sum of weights, per cell.
    sums: Vec<(f64, f64)>,
}

impl CellLosses {
    /// No row yet.
    #[must_use]
    pub fn new(layout: &Layout) -> CellLosses {
        let tasks = layout.tasks.len();
        CellLosses { tasks, sums: vec![(0.0, 0.0); layout.scenarios.len() * tasks] }
    }

    /// Adds the rows of a batch after the tape ran forward over it.
    pub fn add(&mut self, network: &Network, tape: &Tape, batch: &Batch) {
        let (tasks, columns) = (self.tasks, network.columns());
        let logits =
            |logits: &[f32], at: usize, label: f32| softplus(if label > 0.5 { -logits[at] } else { logits[at] });
        for row in 0..batch.rows {
            let scenario = usize::from(batch.scenario[row]);
            let own = if network.form == Form::Every { scenario * tasks } else { 0 };
            let Some(cells) = self.sums.get_mut(scenario * tasks..(scenario + 1) * tasks) else { continue };
            for (task, (sum, total)) in cells.iter_mut().enumerate() {
                if !batch.observed[row * tasks + task] {
                    continue;
                }
                let (at, label) = (row * columns + own + task, batch.labels[row * tasks + task]);
                let loss = match network.output {
                    Output::Logits(value) => logits(tape.value(value), at, label),
                    Output::LogProbabilities { p, not_p } => {
                        -f64::from(tape.value(if label > 0.5 { p } else { not_p })[at])
                    }
                };
                *sum += f64::from(batch.weight[row]) * loss;
                *total += f64::from(batch.weight[row]);
            }
        }
    }

    /// Mean log loss of a cell; none without a row of it.
    #[must_use]
    pub fn mean(&self, scenario: usize, task: usize) -> Option<f64> {
        let (sum, total) = self.sum(scenario, task);
        (total > 0.0).then(|| sum / total)
    }

    /// Weighted sum of a cell's cross-entropies, and the sum of their weights.
    #[must_use]
    pub fn sum(&self, scenario: usize, task: usize) -> (f64, f64) {
        self.sums[scenario * self.tasks + task]
    }

    /// Weighted sum of a task's cross-entropies over all scenarios, and the sum of their weights.
    #[must_use]
    pub fn task_sum(&self, task: usize) -> (f64, f64) {
        let cells = self.sums.iter().skip(task).step_by(self.tasks.max(1));
        cells.fold((0.0, 0.0), |(sum, total), cell| (sum + cell.0, total + cell.1))
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.sums.fill((0.0, 0.0));
    }
}

/// log(1 + exp(x))
fn softplus(x: f32) -> f64 {
    let x = f64::from(x);
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use hinet_data::{Slot, TaskSpec, UnknownScenario};
    use hinet_tape::{Feed, Mode, Params};

    use super::*;
    use crate::ModelConfig;

    fn layout() -> Layout {
        let task = |name: &str, weight: f64| TaskSpec { weight, ..TaskSpec::new(name) };
        Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: vec![Slot::Dense { feature: "numbers".into(), width: 2 }],
            scenarios: vec!["a".into(), "b".into()],
            scenario_rows: vec![300, 100],
            tasks: vec![task("click", 1.0), task("order", 0.5)],
            unknown: UnknownScenario::Mean,
        }
    }

    /// Two rows of scenario a, one of b, one of an unknown one; the second row's order was not observed.
    fn batch() -> Batch {
        Batch {
            rows: 4,
            scenario: vec![0, 0, 1, 2],
            offsets: vec![0, 2, 3, 4],
            labels: vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
            observed: vec![true, true, true, false, true, true, true, true],
            weight: vec![1.0, 2.0, 1.0, 1.0],
            ..Batch::default()
        }
    }

    #[test]
    fn with_power_one_every_scenario_has_the_same_say_and_with_zero_every_row() {
        let weights = row_weights(&layout(), 1.0);
        assert!((weights[0] * 300.0 - weights[1] * 100.0).abs() < 1e-9);
        assert!((weights[0] * 300.0 + weights[1] * 100.0 - 400.0).abs() < 1e-9);
        assert_eq!(row_weights(&layout(), 0.0), [1.0, 1.0]);
        assert!((row_weights(&layout(), 0.5)[1] - 2.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_weight_is_that_of_scenario_times_task_times_row_over_rows_and_masks() {
        let (mut targets, mut weights) = (vec![9.0; 3], Vec::new());
        LossInputs::new(&layout(), 1.0, Form::Own).fill(&batch(), &mut targets, &mut weights);
        assert_eq!(targets, [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
        let (a, b) = (2.0 / 3.0, 2.0);
        let expected = [a, a / 2.0, 2.0 * a, 0.0, b, b / 2.0, 0.0, 0.0].map(|weight: f32| weight / 4.0);
        assert!(weights.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-7), "{weights:?}");
    }

    #[test]
    fn without_a_mask_a_row_is_a_negative_of_every_other_scenario() {
        let inputs = LossInputs::new(&layout(), 0.0, Form::Every);
        assert_eq!(inputs.columns(), 4);
        let (mut targets, mut weights) = (Vec::new(), Vec::new());
        inputs.fill(&batch(), &mut targets, &mut weights);
        assert_eq!(targets[..12], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        assert_eq!(weights[..8], [0.25, 0.125, 0.25, 0.125, 0.5, 0.0, 0.5, 0.0]);
        assert_eq!(weights[12..], [0.0; 4]);
    }

    #[test]
    fn losses_of_cells_add_up_to_the_loss_of_the_network() {
        let layout = layout();
        let mut known = batch();
        known = known.take_grouped(&[0, 1, 2], 3);
        for form in [Form::Own, Form::Every] {
            let mut network = Network::record(&layout, &ModelConfig::default(), form).unwrap();
            let objective = network.add_loss();
            let params = Params::new(network.graph.params(), |name| name.len() as u64);
            let mut tape = Tape::new(network.graph.clone(), 1);
            let (mut targets, mut weights) = (Vec::new(), Vec::new());
            LossInputs::new(&layout, 0.0, form).fill(&known, &mut targets, &mut weights);
            if form == Form::Every {
                let own = |at: usize| usize::from(known.scenario[at / 4]) == at % 4 / 2;
                weights.iter_mut().enumerate().filter(|(at, _)| !own(*at)).for_each(|(_, weight)| *weight = 0.0);
            }
            let inputs = [&[0.3, -0.1, 0.5, 0.2, -0.9, 1.0][..], &targets, &weights];
            let feed = Feed { rows: 3, offsets: &[0, 2, 3], inputs: &inputs, indices: &[] };
            tape.forward(&params, &feed, Mode::Infer);
            let mut cells = CellLosses::new(&layout);
            cells.add(&network, &tape, &known);
            // Row weights in the cells: 1 + 2 and 1 for a, 1 and 1 for b; the task order counts half.
            let mean = |scenario, task| cells.mean(scenario, task).unwrap();
            let total = 3.0 * mean(0, 0) + mean(1, 0) + 0.5 * (mean(0, 1) + mean(1, 1));
            assert!((total / 3.0 - f64::from(tape.value(objective.loss)[0])).abs() < 1e-6);
            let (sum, total) = cells.task_sum(0);
            assert!((sum - (3.0 * mean(0, 0) + mean(1, 0))).abs() < 1e-9 && total == 4.0);
            cells.clear();
            assert_eq!(cells.mean(0, 0), None);
        }
    }
}
