//! Scores of the test rows, kept beside a run so that runs can be compared row by row without scoring again, and a
//! fingerprint of those rows that tells whether two runs saw the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use hinet_data::{Batch, Layout};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::TrainError;
use crate::metrics::UNKNOWN_SCENARIO;
use crate::run_folder::write_whole;

/// What rows were: equal fingerprints mean equal scenarios, labels and users, row by row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    rows: u64,
    scenario: String,
    /// By task; `None` was not observed.
    labels: BTreeMap<String, String>,
    /// Absent where no user column is configured.
    user: Option<String>,
}

/// The scores of all test rows of one run, in the order of the files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowScores {
    pub(crate) fingerprint: Fingerprint,
    /// Name and scores of each task.
    pub(crate) tasks: Vec<(String, Vec<f32>)>,
}

/// Takes batches that come in the order of the files, grouped within or not.
pub(crate) struct RowScoresBuilder {
    fingerprint: Fingerprinter,
    scores: Vec<Vec<f32>>,
}

/// Sums up rows batch by batch.
pub(crate) struct Fingerprinter {
    tasks: Vec<String>,
    /// Hash of each scenario's name; that of unknown ones last.
    scenario_names: Vec<u64>,
    rows: u64,
    has_users: bool,
    scenario: Xxh3,
    labels: Vec<Xxh3>,
    user: Xxh3,
}

const FINGERPRINT: &str = "hinet.rows";

impl Fingerprint {
    /// What differs, in words; nothing where the rows are the same. That one side knows no users is no difference.
    pub(crate) fn difference(&self, other: &Fingerprint) -> Option<String> {
        if self.rows != other.rows {
            return Some(format!("they have {} and {} test rows", self.rows, other.rows));
        }
        let names = |print: &Fingerprint| print.labels.keys().cloned().collect::<Vec<_>>().join(", ");
        if !self.labels.keys().eq(other.labels.keys()) {
            return Some(format!("their tasks are {} and {}", names(self), names(other)));
        }
        if self.scenario != other.scenario {
            return Some("a test row is of another scenario".to_owned());
        }
        if let Some((task, _)) = self.labels.iter().find(|(task, labels)| other.labels.get(*task) != Some(*labels)) {
            return Some(format!("a label of task `{task}` differs"));
        }
        let differs = self.user.is_some() && other.user.is_some() && self.user != other.user;
        differs.then(|| "a test row is of another user".to_owned())
    }
}

impl Fingerprinter {
    pub(crate) fn new(layout: &Layout) -> Fingerprinter {
        let tasks: Vec<String> = layout.tasks.iter().map(|task| task.name.clone()).collect();
        let names = layout.scenarios.iter().map(String::as_str).chain([UNKNOWN_SCENARIO]);
        Fingerprinter {
            scenario_names: names.map(|name| xxh3_64(name.as_bytes())).collect(),
            rows: 0,
            has_users: false,
            scenario: Xxh3::new(),
            labels: vec![Xxh3::new(); tasks.len()],
            user: Xxh3::new(),
            tasks,
        }
    }

    /// Takes the rows of a batch. `order` is where each row of the files stands in it ([`file_order`]).
    pub(crate) fn push(&mut self, batch: &Batch, order: &[u32]) {
        self.rows += order.len() as u64;
        self.has_users |= !batch.user.is_empty();
        let tasks = self.tasks.len();
        for row in order.iter().map(|&row| row as usize) {
            let known = self.scenario_names.len() - 1;
            self.scenario.update(&self.scenario_names[usize::from(batch.scenario[row]).min(known)].to_le_bytes());
            for (task, labels) in self.labels.iter_mut().enumerate() {
                labels.update(&[label(batch, row * tasks + task).map_or(2, u8::from)]);
            }
            if let Some(user) = batch.user.get(row) {
                self.user.update(&user.to_le_bytes());
            }
        }
    }

    pub(crate) fn finish(self) -> Fingerprint {
        let text = |hash: &Xxh3| format!("{:016x}", hash.digest());
        Fingerprint {
            rows: self.rows,
            scenario: text(&self.scenario),
            labels: self.tasks.iter().cloned().zip(self.labels.iter().map(text)).collect(),
            user: self.has_users.then(|| text(&self.user)),
        }
    }
}

/// The label at a place of `[rows * tasks]`, where it was observed.
pub(crate) fn label(batch: &Batch, place: usize) -> Option<bool> {
    batch.observed[place].then(|| batch.labels[place] > 0.5)
}

/// Where each row of the files stands in a batch that may be grouped: the inverse of its `position`.
pub(crate) fn file_order(batch: &Batch) -> Vec<u32> {
    let mut order = vec![0; batch.rows];
    for (row, &place) in (0_u32..).zip(&batch.position) {
        order[place as usize] = row;
    }
    order
}

impl RowScoresBuilder {
    pub(crate) fn new(layout: &Layout) -> RowScoresBuilder {
        RowScoresBuilder { fingerprint: Fingerprinter::new(layout), scores: vec![Vec::new(); layout.tasks.len()] }
    }

    /// Takes a batch and its scores, `[rows * tasks]` in its order.
    pub(crate) fn push(&mut self, batch: &Batch, scores: &[f32]) {
        let order = file_order(batch);
        let tasks = self.scores.len();
        for (task, column) in self.scores.iter_mut().enumerate() {
            column.extend(order.iter().map(|&row| scores[row as usize * tasks + task]));
        }
        self.fingerprint.push(batch, &order);
    }

    pub(crate) fn finish(self) -> RowScores {
        let names = self.fingerprint.tasks.clone();
        RowScores { fingerprint: self.fingerprint.finish(), tasks: names.into_iter().zip(self.scores).collect() }
    }
}

impl RowScores {
    /// Writes them as Parquet, one column `p_<task>` for each task; the fingerprint is in the file's metadata.
    pub(crate) fn write(&self, path: &Path) -> Result<(), TrainError> {
        let failed = |error: String| TrainError::Output { path: path.to_owned(), reason: error };
        let fields = self.tasks.iter().map(|(name, _)| Field::new(format!("p_{name}"), DataType::Float32, false));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = self.tasks.iter().map(|(_, scores)| Arc::new(Float32Array::from(scores.clone())) as ArrayRef);
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect());
        let batch = batch.map_err(|error| failed(error.to_string()))?;
        let print = serde_json::to_string(&self.fingerprint).expect("texts and numbers, which JSON can hold");
        let metadata = KeyValue::new(FINGERPRINT.to_owned(), print);
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![metadata])).build();
        let mut bytes = Vec::new();
        let written = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).and_then(|mut writer| {
            writer.write(&batch)?;
            writer.close()
        });
        written.map_err(|error| failed(error.to_string()))?;
        write_whole(path, &bytes)
    }

    /// Reads what [`RowScores::write`] wrote.
    pub(crate) fn read(path: &Path) -> Result<RowScores, TrainError> {
        let damaged = |reason: String| TrainError::Damaged { path: path.to_owned(), reason };
        let file = File::open(path).map_err(TrainError::io(path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(error.to_string()))?;
        let metadata = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let print = metadata.into_iter().find(|entry| entry.key == FINGERPRINT).and_then(|entry| entry.value);
        let print = print.ok_or_else(|| damaged(format!("it has no `{FINGERPRINT}`")))?;
        let fingerprint = serde_json::from_str(&print).map_err(|error| damaged(error.to_string()))?;
        let names = builder.schema().fields().iter().map(|field| field.name().trim_start_matches("p_").to_owned());
        let mut tasks: Vec<(String, Vec<f32>)> = names.map(|name| (name, Vec::new())).collect();
        for batch in builder.build().map_err(|error| damaged(error.to_string()))? {
            let batch = batch.map_err(|error| damaged(error.to_string()))?;
            for ((_, scores), column) in tasks.iter_mut().zip(batch.columns()) {
                let column = column.as_any().downcast_ref::<Float32Array>();
                let column = column.filter(|column| column.null_count() == 0);
                scores
                    .extend_from_slice(column.ok_or_else(|| damaged("a column of scores is not".to_owned()))?.values());
            }
        }
        Ok(RowScores { fingerprint, tasks })
    }
}

#[cfg(test)]
mod tests {
    use hinet_data::{TaskSpec, UnknownScenario};

    use super::*;

    fn layout() -> Layout {
        let task = |name: &str| TaskSpec::new(name);
        Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: Vec::new(),
            scenarios: vec!["home".into(), "search".into()],
            scenario_rows: vec![1, 1],
            tasks: vec![task("click"), task("order")],
            unknown: UnknownScenario::Error,
        }
    }

    fn batch() -> Batch {
        Batch {
            rows: 3,
            scenario: vec![1, 0, 1],
            labels: vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0],
            observed: vec![true, true, true, false, true, true],
            weight: vec![1.0; 3],
            user: vec![7, 8, 7],
            position: vec![0, 1, 2],
            ..Batch::default()
        }
    }

    fn scored(batch: &Batch, scores: &[f32]) -> RowScores {
        let mut builder = RowScoresBuilder::new(&layout());
        builder.push(batch, scores);
        builder.finish()
    }

    #[test]
    fn scores_read_back_as_they_were_written_and_grouping_changes_nothing() {
        let scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
        let plain = scored(&batch(), &scores);
        assert_eq!(plain.tasks[1], ("order".to_owned(), vec![0.2, 0.4, 0.6]));
        // Grouped by scenario, the second row comes first.
        assert_eq!(scored(&batch().grouped(3), &[0.3, 0.4, 0.1, 0.2, 0.5, 0.6]), plain);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.parquet");
        plain.write(&path).unwrap();
        assert_eq!(RowScores::read(&path).unwrap(), plain);
    }

    #[test]
    fn other_rows_are_told_apart_by_what_differs() {
        let print = |change: &dyn Fn(&mut Batch)| {
            let mut batch = batch();
            change(&mut batch);
            scored(&batch, &[0.5; 6]).fingerprint
        };
        let one = print(&|_| {});
        assert_eq!(one.difference(&one), None);
        let differs = |change: &dyn Fn(&mut Batch)| one.difference(&print(change)).unwrap();
        assert_eq!(differs(&|batch| batch.scenario[0] = 0), "a test row is of another scenario");
        assert_eq!(differs(&|batch| batch.labels[0] = 0.0), "a label of task `click` differs");
        assert_eq!(differs(&|batch| batch.observed[3] = true), "a label of task `order` differs");
        assert_eq!(differs(&|batch| batch.user[0] = 8), "a test row is of another user");
        assert_eq!(one.difference(&print(&|batch| batch.user.clear())), None);
    }

    #[test]
    fn what_is_no_file_of_scores_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.parquet");
        std::fs::write(&path, "no parquet").unwrap();
        assert!(matches!(RowScores::read(&path), Err(TrainError::Damaged { .. })));
    }
}
