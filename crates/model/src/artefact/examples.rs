//! Rows that a model was saved with, and what they scored then: who loads it can tell that it is the model that was saved, on
//! this machine too.

use std::path::Path;

use hinet_data::{Batch, EncodeCounts, Encoder, Need, RequestColumns, Rows};
use serde::{Deserialize, Serialize};

use super::read_json;
use crate::{ModelError, Plan, PlanWorkspace};

/// How far a score may be from what it was: other processors add in another order.
const TOLERANCE: f32 = 1e-4;

/// A raw row, as a request would hold it: value by column.
pub type ExampleRow = serde_json::Map<String, serde_json::Value>;

/// Raw rows and their scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// Names of the tasks.
    pub tasks: Vec<String>,
    /// The rows.
    pub rows: Vec<ExampleRow>,
    /// Probabilities, `[rows, tasks]`.
    pub scores: Vec<Vec<f32>>,
}

impl Examples {
    /// Chooses at most `most` of some rows: the first row of each scenario, then the second of each, ...
    ///
    /// # Errors
    /// If the rows cannot be encoded, or not be said in JSON.
    pub fn choose(encoder: &Encoder, rows: &Rows, most: usize) -> Result<Vec<ExampleRow>, ModelError> {
        let batch = encoder.encode(rows, Need::Features, &mut EncodeCounts::default())?;
        let mut seen = vec![0; encoder.layout().scenarios.len() + 1];
        // A row with how many of its scenario are before it.
        let turn = |(row, &scenario): (usize, &u16)| {
            let before = &mut seen[usize::from(scenario)];
            *before += 1;
            (*before, row)
        };
        let mut turns: Vec<(usize, usize)> = batch.scenario.iter().enumerate().map(turn).collect();
        turns.sort_unstable();
        let columns = RequestColumns::new(encoder);
        let object = |&(_, row): &(usize, usize)| {
            let objects = columns.objects(&rows.slice(row, 1))?;
            Ok(serde_json::from_str(&objects[0]).expect("a row that was just written as JSON"))
        };
        turns.iter().take(most).map(object).collect()
    }

    /// The rows with what they score.
    ///
    /// # Errors
    /// If the encoder cannot read them.
    pub(super) fn scored(rows: &[ExampleRow], encoder: &Encoder, plan: &Plan<'_>) -> Result<Examples, ModelError> {
        let tasks = encoder.layout().tasks.iter().map(|task| task.name.clone()).collect();
        let scores = score(rows, encoder, plan)?;
        Ok(Examples { tasks, rows: rows.to_vec(), scores })
    }

    /// Reads the rows and scores of an artefact.
    pub(super) fn read(path: &Path) -> Result<Examples, ModelError> {
        let examples: Examples = read_json(path, "rows and their scores")?;
        let (rows, tasks) = (examples.rows.len(), examples.tasks.len());
        if examples.scores.len() == rows && examples.scores.iter().all(|scores| scores.len() == tasks) {
            return Ok(examples);
        }
        Err(ModelError::corrupt(path, "scores of another shape", format!("{rows} rows of {tasks} scores")))
    }

    /// Scores the rows again.
    ///
    /// # Errors
    /// If a score is further than 1e-4 from what it was, or a row cannot be read.
    pub fn check(&self, encoder: &Encoder, plan: &Plan<'_>) -> Result<(), ModelError> {
        let found = score(&self.rows, encoder, plan)?;
        for (row, (found, was)) in found.iter().zip(&self.scores).enumerate() {
            for ((task, found), was) in self.tasks.iter().zip(found).zip(was) {
                // So that NaN is no match.
                let same = (found - was).abs() <= TOLERANCE;
                if !same {
                    return Err(ModelError::Example { row: row + 1, task: task.clone(), found: *found, was: *was });
                }
            }
        }
        Ok(())
    }
}

/// Probabilities, `[rows, tasks]`.
fn score(rows: &[ExampleRow], encoder: &Encoder, plan: &Plan<'_>) -> Result<Vec<Vec<f32>>, ModelError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let objects: Vec<String> =
        rows.iter().map(|row| serde_json::to_string(row).expect("keys of JSON objects are texts")).collect();
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let rows = RequestColumns::new(encoder).of_objects("examples", &[], &objects, &[])?;
    let batch: Batch = encoder.encode(&rows, Need::Features, &mut EncodeCounts::default())?;
    let batch = batch.grouped(encoder.layout().groups());
    let mut scores = Vec::new();
    plan.score(&mut PlanWorkspace::default(), &batch, &mut scores);
    Ok(batch.ungrouped(&scores).chunks_exact(plan.tasks()).map(<[f32]>::to_vec).collect())
}
