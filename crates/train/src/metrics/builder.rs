//! Gathers scored rows batch by batch and computes the metrics of every cell at the end.

use hinet_data::{Batch, Layout};
use rayon::prelude::*;

use super::scored::{is_positive, pack, pack_group};
use super::{Cell, Reliability, SplitMetrics, UNKNOWN_SCENARIO, auc, calibration, gauc, has_enough, log_loss, ranking};

/// What the metrics are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsOptions {
    /// Names of the scenarios, by id; the id after the last one stands for unknown scenarios.
    pub scenarios: Vec<String>,
    /// Names of the tasks, in the order of a batch's labels.
    pub tasks: Vec<String>,
    /// The k of NDCG@k, at least 1.
    pub ndcg_k: usize,
    /// Fewest rows of either class for a cell to enter the mean over cells.
    pub min_positives: u64,
}

/// Gathers scored rows and computes their [`SplitMetrics`].
///
/// # Memory
/// Each row takes 2 bytes, and 5 more for each task, 8 more where batches name users and 8 more where they name
/// requests: 28 for two tasks, users and requests. While it runs, [`MetricsBuilder::finish`] takes 4 more for each row,
/// and up to 16 for each row and thread.
#[derive(Clone, Debug)]
pub struct MetricsBuilder {
    options: MetricsOptions,
    scenario: Vec<u16>,
    /// By task.
    scores: Vec<Vec<f32>>,
    /// By task.
    labels: Vec<Vec<Label>>,
    user: Vec<u64>,
    request: Vec<u64>,
}

/// What is known of a row's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Label {
    NotObserved,
    Negative,
    Positive,
}

/// Why scores were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Not a probability: the model has diverged.
    #[error(
        "row {row}, task `{task}`: the score {value} is not a probability; the model has diverged, try a smaller learning rate"
    )]
    NotAProbability {
        /// Row of all rows gathered, from 1.
        row: u64,
        /// The task.
        task: String,
        /// The score.
        value: f32,
    },
    /// More or fewer scores than rows times tasks.
    #[error("{found} scores for {rows} rows and {tasks} tasks")]
    Length {
        /// Scores given.
        found: usize,
        /// Rows of the batch.
        rows: usize,
        /// Tasks.
        tasks: usize,
    },
}

impl MetricsOptions {
    /// The scenarios and tasks of a layout.
    pub fn new(layout: &Layout, ndcg_k: usize, min_positives: u64) -> MetricsOptions {
        MetricsOptions {
            scenarios: layout.scenarios.clone(),
            tasks: layout.tasks.iter().map(|task| task.name.clone()).collect(),
            ndcg_k,
            min_positives,
        }
    }
}

impl MetricsBuilder {
    /// Holds no row yet.
    pub fn new(options: MetricsOptions) -> MetricsBuilder {
        let tasks = options.tasks.len();
        MetricsBuilder {
            options,
            scenario: Vec::new(),
            scores: vec![Vec::new(); tasks],
            labels: vec![Vec::new(); tasks],
            user: Vec::new(),
            request: Vec::new(),
        }
    }

    /// Rows gathered.
    pub fn rows(&self) -> u64 {
        self.scenario.len() as u64
    }

    /// Takes the labels of a batch and its scores, `[rows * tasks]`, in the order of its rows: grouped or not.
    ///
    /// # Errors
    /// If a score is not in [0, 1], or there are too many or too few of them. Nothing is taken then.
    pub fn push(&mut self, batch: &Batch, scores: &[f32]) -> Result<(), MetricsError> {
        let tasks = self.options.tasks.len();
        if scores.len() != batch.rows * tasks || batch.labels.len() != scores.len() {
            return Err(MetricsError::Length { found: scores.len(), rows: batch.rows, tasks });
        }
        if let Some(at) = scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
            let (row, task) = (self.rows() + (at / tasks) as u64 + 1, self.options.tasks[at % tasks].clone());
            return Err(MetricsError::NotAProbability { row, task, value: scores[at] });
        }
        self.scenario.extend_from_slice(&batch.scenario);
        self.user.extend_from_slice(&batch.user);
        self.request.extend_from_slice(&batch.request);
        for task in 0..tasks {
            self.scores[task].extend(scores.iter().skip(task).step_by(tasks));
            let labels = batch.labels.iter().zip(&batch.observed).skip(task).step_by(tasks);
            self.labels[task].extend(labels.map(|(&label, &observed)| match (observed, label > 0.5) {
                (false, _) => Label::NotObserved,
                (true, false) => Label::Negative,
                (true, true) => Label::Positive,
            }));
        }
        Ok(())
    }

    /// The metrics of all rows. Runs on the threads of the pool it is called in; the result does not depend on them.
    pub fn finish(self) -> SplitMetrics {
        let mut cells = self.per_cell(|scenario, task, rows| Cell { scenario, ..self.cell(task, rows) });
        let overall = cells.split_off(cells.len() - self.options.tasks.len());
        let split = SplitMetrics {
            rows: self.rows(),
            cells,
            overall,
            min_positives: self.options.min_positives,
            ndcg_k: self.options.ndcg_k.max(1),
            ..SplitMetrics::default()
        };
        split.with_means()
    }

    /// What reliability diagrams show: every cell in the order of [`SplitMetrics::cells`], then the tasks over all rows.
    pub fn reliability(&self) -> Vec<Reliability> {
        self.per_cell(|scenario, task, rows| {
            let bins = calibration::reliability(&self.sorted(task, rows));
            Reliability { scenario, task: self.options.tasks[task].clone(), bins }
        })
    }

    /// Makes something of each cell's rows, packed and in ascending order: the cells in the order of
    /// [`SplitMetrics::cells`], then the tasks over all rows.
    pub(crate) fn per_sorted_cell<T: Send>(&self, make: impl Fn(&[u64]) -> T + Sync) -> Vec<T> {
        self.per_cell(|_, task, rows| make(&self.sorted(task, rows)))
    }

    /// Replaces every score. `map` is given the row's group (its scenario, or the one after the last), the task and the
    /// score; what it returns must be a probability.
    pub(crate) fn map_scores(&mut self, map: impl Fn(usize, usize, f32) -> f32) {
        let known = self.options.scenarios.len();
        for (task, scores) in self.scores.iter_mut().enumerate() {
            for (score, &scenario) in scores.iter_mut().zip(&self.scenario) {
                *score = map(usize::from(scenario).min(known), task, *score);
            }
        }
    }

    /// Makes something of each cell's scenario, task and rows, scenario by scenario; then of each task over all rows.
    fn per_cell<T: Send>(&self, make: impl Fn(Option<String>, usize, &[u32]) -> T + Sync) -> Vec<T> {
        let (order, offsets) = self.by_scenario();
        let known = self.options.scenarios.len();
        let shown = if offsets[known] < offsets[known + 1] { known + 1 } else { known };
        let tasks = self.options.tasks.len();
        let one = |place: usize| {
            let (scenario, task) = (place / tasks, place % tasks);
            if scenario == shown {
                return make(None, task, &order);
            }
            let name = self.options.scenarios.get(scenario).map_or(UNKNOWN_SCENARIO, String::as_str);
            make(Some(name.to_owned()), task, &order[offsets[scenario]..offsets[scenario + 1]])
        };
        (0..(shown + 1) * tasks).into_par_iter().map(one).collect()
    }

    /// Counting sort: the rows scenario by scenario, and where each scenario begins.
    fn by_scenario(&self) -> (Vec<u32>, Vec<usize>) {
        let known = self.options.scenarios.len();
        let group = |scenario: u16| usize::from(scenario).min(known);
        let mut offsets = vec![0; known + 2];
        self.scenario.iter().for_each(|&scenario| offsets[group(scenario) + 1] += 1);
        (0..=known).for_each(|scenario| offsets[scenario + 1] += offsets[scenario]);
        let mut next = offsets.clone();
        let mut order = vec![0; self.scenario.len()];
        for (row, &scenario) in (0_u32..).zip(&self.scenario) {
            order[next[group(scenario)]] = row;
            next[group(scenario)] += 1;
        }
        (order, offsets)
    }

    fn cell(&self, task: usize, rows: &[u32]) -> Cell {
        let packed = self.sorted(task, rows);
        let mut cell = Cell {
            scenario: None,
            task: self.options.tasks[task].clone(),
            rows: packed.len() as u64,
            positives: packed.iter().filter(|&&row| is_positive(row)).count() as u64,
            auc: auc::auc(&packed),
            logloss: log_loss::log_loss(&packed),
            pcoc: calibration::pcoc(&packed),
            ece: calibration::ece(&packed),
            ..Cell::default()
        };
        drop(packed);
        if !self.user.is_empty() {
            (cell.gauc, cell.users) = gauc::gauc(&self.grouped(task, rows, &self.user));
        }
        if !self.request.is_empty() {
            let found = ranking::ranking(&self.grouped(task, rows, &self.request), self.options.ndcg_k.max(1));
            (cell.ndcg, cell.mrr, cell.requests) = (found.ndcg, found.mrr, found.requests);
        }
        cell
    }

    /// The rows whose label is known, packed and in ascending order.
    fn sorted(&self, task: usize, rows: &[u32]) -> Vec<u64> {
        let mut packed: Vec<u64> = self.observed(task, rows).map(|(_, packed)| packed).collect();
        packed.sort_unstable();
        packed
    }

    /// The rows whose label is known, packed.
    fn observed<'a>(&'a self, task: usize, rows: &'a [u32]) -> impl Iterator<Item = (usize, u64)> + 'a {
        let (scores, labels) = (&self.scores[task], &self.labels[task]);
        let observed = |row: &usize| labels[*row] != Label::NotObserved;
        let rows = rows.iter().map(|&row| row as usize).filter(observed);
        rows.map(|row| (row, pack(scores[row], labels[row] == Label::Positive)))
    }

    fn grouped(&self, task: usize, rows: &[u32], groups: &[u64]) -> Vec<u128> {
        let mut packed: Vec<u128> =
            self.observed(task, rows).map(|(row, packed)| pack_group(groups[row], packed)).collect();
        packed.sort_unstable();
        packed
    }
}

impl SplitMetrics {
    fn with_means(mut self) -> SplitMetrics {
        let known = |cell: &&Cell| cell.scenario.as_deref() != Some(UNKNOWN_SCENARIO);
        let enough = |cell: &&Cell| has_enough(cell.rows, cell.positives, self.min_positives);
        let cells = mean(self.cells.iter().filter(known).filter(enough).map(|cell| cell.auc));
        (self.mean_cell_auc, self.mean_cell_auc_cells) = cells;
        (self.mean_auc, self.mean_auc_tasks) = mean(self.overall.iter().map(|cell| cell.auc));
        (self.mean_gauc, self.mean_gauc_tasks) = mean(self.overall.iter().map(|cell| cell.gauc));
        (self.mean_logloss, self.mean_logloss_tasks) = mean(self.overall.iter().map(|cell| cell.logloss));
        self
    }
}

/// Mean of what is defined, and how many that is.
fn mean(values: impl Iterator<Item = Option<f64>>) -> (Option<f64>, u64) {
    let (sum, count) = values.flatten().fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    ((count > 0).then(|| sum / count as f64), count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// scenario, scores, labels (2 is not observed), user, request
    type Row = (u16, [f32; 2], [u8; 2], u64, u64);

    fn options() -> MetricsOptions {
        MetricsOptions {
            scenarios: vec!["home".into(), "search".into()],
            tasks: vec!["click".into(), "order".into()],
            ndcg_k: 3,
            min_positives: 1,
        }
    }

    fn batch(rows: &[Row]) -> (Batch, Vec<f32>) {
        let batch = Batch {
            rows: rows.len(),
            scenario: rows.iter().map(|row| row.0).collect(),
            labels: rows.iter().flat_map(|row| row.2.map(|label| f32::from(u8::from(label == 1)))).collect(),
            observed: rows.iter().flat_map(|row| row.2.map(|label| label < 2)).collect(),
            weight: vec![1.0; rows.len()],
            user: rows.iter().map(|row| row.3).collect(),
            request: rows.iter().map(|row| row.4).collect(),
            ..Batch::default()
        };
        (batch, rows.iter().flat_map(|row| row.1).collect())
    }

    fn metrics(rows: &[Row], batch_rows: usize) -> SplitMetrics {
        let mut builder = MetricsBuilder::new(options());
        for rows in rows.chunks(batch_rows) {
            let (batch, scores) = batch(rows);
            builder.push(&batch, &scores).unwrap();
        }
        builder.finish()
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let scores = || [0_u8..6, 0_u8..6].prop_map(|scores| scores.map(|score| f32::from(score) / 7.0));
        prop::collection::vec((0_u16..3, scores(), [0_u8..3, 0_u8..3], 0_u64..4, 0_u64..9), 0..60)
    }

    proptest! {
        #[test]
        fn neither_order_nor_batches_change_a_bit(rows in rows(), batch_rows in 1_usize..20, seed: u64) {
            let mut other = rows.clone();
            let mut state = seed;
            for place in (1..other.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                other.swap(place, (state >> 33) as usize % (place + 1));
            }
            prop_assert_eq!(metrics(&rows, 1000), metrics(&other, batch_rows));
        }

        #[test]
        fn a_cell_is_what_its_rows_alone_would_give(rows in rows()) {
            let all = metrics(&rows, 1000);
            for (scenario, name) in [(0, "home"), (1, "search"), (2, UNKNOWN_SCENARIO)] {
                let own: Vec<Row> = rows.iter().filter(|row| row.0 == scenario).copied().collect();
                let alone = metrics(&own, 1000);
                for task in ["click", "order"] {
                    let cell = all.cells.iter().find(|cell| cell.scenario.as_deref() == Some(name) && cell.task == task);
                    match cell {
                        Some(cell) => prop_assert_eq!(&Cell { scenario: None, ..cell.clone() }, alone.task(task).unwrap()),
                        None => prop_assert!(scenario == 2 && own.is_empty()),
                    }
                }
            }
        }
    }

    #[test]
    fn cells_come_scenario_by_scenario_and_unknown_ones_only_where_there_are_rows() {
        let names = |split: &SplitMetrics| -> Vec<String> {
            split.cells.iter().map(|cell| format!("{}/{}", cell.scenario.as_ref().unwrap(), cell.task)).collect()
        };
        let known = [(0, [0.5, 0.5], [1, 0], 1, 1)];
        assert_eq!(names(&metrics(&known, 9)), ["home/click", "home/order", "search/click", "search/order"]);
        let unknown = [(2, [0.5, 0.5], [1, 0], 1, 1)];
        assert_eq!(names(&metrics(&unknown, 9))[4..], ["(unknown)/click", "(unknown)/order"]);
    }

    #[test]
    fn diagrams_come_in_the_order_of_the_cells_and_hold_their_rows() {
        let rows = [(0, [0.5, 0.5], [1, 0], 1, 1), (1, [0.5, 0.2], [1, 2], 1, 1), (2, [0.5, 0.2], [1, 0], 1, 1)];
        let mut builder = MetricsBuilder::new(options());
        let (batch, scores) = batch(&rows);
        builder.push(&batch, &scores).unwrap();
        let diagrams = builder.reliability();
        let split = builder.finish();
        let cells: Vec<&Cell> = split.cells.iter().chain(&split.overall).collect();
        assert_eq!(diagrams.len(), cells.len());
        for (diagram, cell) in diagrams.iter().zip(cells) {
            assert_eq!((&diagram.scenario, &diagram.task), (&cell.scenario, &cell.task));
            assert_eq!(diagram.bins.iter().map(|bin| bin.rows).sum::<u64>(), cell.rows);
            assert_eq!(diagram.bins.iter().map(|bin| bin.positives).sum::<u64>(), cell.positives);
        }
    }

    #[test]
    fn what_is_not_observed_is_not_counted_and_means_say_what_they_cover() {
        let rows = [
            (0, [0.2, 0.5], [0, 2], 1, 1),
            (0, [0.8, 0.5], [1, 2], 1, 1),
            (1, [0.8, 0.5], [0, 1], 2, 2),
            (1, [0.2, 0.5], [1, 1], 2, 2),
        ];
        let split = metrics(&rows, 9);
        assert_eq!((split.task("order").unwrap().rows, split.task("order").unwrap().positives), (2, 2));
        assert_eq!(split.task("order").unwrap().auc, None);
        assert_eq!((split.mean_auc, split.mean_auc_tasks), (Some(0.5), 1));
        assert_eq!((split.mean_cell_auc, split.mean_cell_auc_cells), (Some(0.5), 2));
        assert_eq!((split.mean_gauc, split.mean_gauc_tasks), (Some(0.5), 1));
    }

    #[test]
    fn a_score_that_is_no_probability_is_refused_with_its_row_and_task() {
        let mut builder = MetricsBuilder::new(options());
        let (batch, _) = batch(&[(0, [0.1, 0.1], [0, 0], 1, 1), (0, [0.1, 0.1], [0, 0], 1, 1)]);
        let error = builder.push(&batch, &[0.1, 0.2, 0.3, f32::NAN]).unwrap_err();
        assert!(error.to_string().starts_with("row 2, task `order`: the score NaN"), "{error}");
        assert!(builder.push(&batch, &[0.1]).is_err());
        assert_eq!(builder.rows(), 0);
    }
}
