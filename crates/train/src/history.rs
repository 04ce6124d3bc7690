//! `history.jsonl`: one line per log step, evaluation and warning. It holds no time, so that the same run writes the
//! same bytes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::TrainError;

/// Appends lines to the history of one run.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
    file: File,
    length: u64,
}

impl History {
    /// Continues a history behind its first `length` bytes and drops the rest; 0 starts a new one.
    pub(crate) fn open(path: &Path, length: u64) -> Result<History, TrainError> {
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            let found = file.metadata()?.len();
            if found >= length {
                file.set_len(length)?;
            }
            Ok((file, found))
        };
        let (file, found) = open().map_err(TrainError::io(path))?;
        if found < length {
            let reason = format!("{found} bytes, but the checkpoint was written after {length}");
            return Err(TrainError::Damaged { path: path.to_owned(), reason });
        }
        Ok(History { path: path.to_owned(), file, length })
    }

    /// Bytes written so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, line: &impl Serialize) -> Result<(), TrainError> {
        let io = |source| TrainError::Io { path: self.path.clone(), source };
        let mut bytes = serde_json::to_vec(line).map_err(|error| io(error.into()))?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(io)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes what was written last through a loss of power.
    pub(crate) fn sync(&self) -> Result<(), TrainError> {
        self.file.sync_data().map_err(TrainError::io(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn continuing_drops_the_lines_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let mut history = History::open(&path, 0).unwrap();
        history.line(&json!({"step": 1})).unwrap();
        let length = history.length();
        history.line(&json!({"step": 2})).unwrap();
        let mut history = History::open(&path, length).unwrap();
        history.line(&json!({"step": 3})).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"step\":1}\n{\"step\":3}\n");
    }

    #[test]
    fn a_history_shorter_than_its_checkpoint_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        assert!(matches!(History::open(&path, 9), Err(TrainError::Damaged { .. })));
    }
}
