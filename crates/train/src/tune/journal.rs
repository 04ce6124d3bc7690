//! `trials.jsonl`: a line for each trial that has ended, on disk before the next one is told of.

use std::path::Path;

use super::TrialResult;
use crate::TrainError;
use crate::history::History;

/// What has ended so far, and the file it is written down in.
#[derive(Debug)]
pub(super) struct Journal {
    file: History,
    results: Vec<TrialResult>,
}

impl Journal {
    /// Takes up what a file holds; half a line that a kill left is dropped.
    pub(super) fn open(path: &Path) -> Result<Journal, TrainError> {
        let bytes = if path.exists() { std::fs::read(path).map_err(TrainError::io(path))? } else { Vec::new() };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let damaged =
            |error: serde_json::Error| TrainError::Damaged { path: path.to_owned(), reason: error.to_string() };
        let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let results = lines.map(serde_json::from_slice).collect::<Result<_, _>>().map_err(damaged)?;
        Ok(Journal { file: History::open(path, whole as u64)?, results })
    }

    /// Writes a result down for good.
    pub(super) fn add(&mut self, result: TrialResult) -> Result<(), TrainError> {
        self.file.line(&result)?;
        self.file.sync()?;
        self.results.push(result);
        Ok(())
    }

    /// The result of a trial on a rung, if it has ended.
    pub(super) fn find(&self, trial: usize, rung: u32) -> Option<&TrialResult> {
        self.results.iter().find(|result| (result.trial, result.rung) == (trial, rung))
    }

    /// All that has ended.
    pub(super) fn results(&self) -> &[TrialResult] {
        &self.results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_again_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials.jsonl");
        let result = |trial| TrialResult { trial, metric: Some(0.5), ..TrialResult::default() };
        let mut journal = Journal::open(&path).unwrap();
        journal.add(result(3)).unwrap();
        journal.add(result(1)).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"trial\":2,");
        std::fs::write(&path, text).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.find(1, 0), Some(&result(1)));
        assert_eq!(journal.find(2, 0), None);
        journal.add(result(2)).unwrap();
        assert_eq!(Journal::open(&path).unwrap().results(), [3, 1, 2].map(result));
        std::fs::write(&path, "{\"trial\":}\n").unwrap();
        assert!(matches!(Journal::open(&path), Err(TrainError::Damaged { .. })));
    }
}
