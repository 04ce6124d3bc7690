//! The folder of a run: where its files lie, and its name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hinet_data::write_atomic;
use serde::Serialize;

use crate::checkpoint::{self, STATE};
use crate::{Experiment, TrainError};

/// What `config.toml`, the first file of a run, is written as before it is renamed.
const FIRST_WRITE: &str = ".config.toml.new";

/// Paths inside the folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at this path, which need not exist.
    #[must_use]
    pub fn at(path: &Path) -> RunFolder {
        RunFolder { path: path.to_owned() }
    }

    /// A path below `root` that does not exist yet: `<date>-<name>-<n>`, the date in UTC and `n` counting from 1.
    #[must_use]
    pub fn fresh_path(root: &Path, name: &str) -> PathBuf {
        let date = date(seconds_since_1970());
        let safe: String =
            name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
        let path = |n: u64| root.join(format!("{date}-{safe}-{n}"));
        (1..).map(path).find(|path| !path.exists()).expect("some number is free")
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The config as resolved.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The experiment of the run.
    pub(crate) fn experiment(&self) -> Result<Experiment, TrainError> {
        let config = self.config();
        Experiment::load(&config, &[]).map_err(|error| TrainError::Damaged { path: config, reason: error.to_string() })
    }

    /// Which data files, of which size, and how they were split.
    #[must_use]
    pub fn split(&self) -> PathBuf {
        self.path.join("split.json")
    }

    /// The artefact.
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// The final metrics; written last, so a folder that has it is finished.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.json")
    }

    /// Scores of the test rows, where the run was made to be compared.
    #[must_use]
    pub fn test_scores(&self) -> PathBuf {
        self.path.join("test_scores.parquet")
    }

    /// What reliability diagrams show, by split.
    #[must_use]
    pub fn calibration(&self) -> PathBuf {
        self.path.join("calibration.json")
    }

    /// What the model does inside: gates, attention, experts, tables.
    #[must_use]
    pub fn inspection(&self) -> PathBuf {
        self.path.join("inspection.json")
    }

    /// The page for people.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// All that differs from run to run.
    #[must_use]
    pub fn timing(&self) -> PathBuf {
        self.path.join("timing.json")
    }

    /// One line per log step and evaluation.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    /// Checkpoints.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// TensorBoard's events.
    #[must_use]
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// Whether the run ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.metrics().is_file()
    }

    /// Whether the folder holds nothing but what a kill at the very first write leaves.
    pub(crate) fn is_unbegun(&self) -> Result<bool, TrainError> {
        let mut entries = fs::read_dir(&self.path).map_err(TrainError::io(&self.path))?;
        Ok(entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == FIRST_WRITE)))
    }

    /// Removes what a run leaves that failed before its first checkpoint, so that nothing stands in the way of a retry.
    /// Only for a folder that this run made; a checkpoint or an artefact in it stays, and so does all that is no run's.
    pub(crate) fn discard_unless_resumable(&self) {
        let resumable = checkpoint::steps(&self.checkpoint(), STATE).map_or(true, |steps| !steps.is_empty());
        if resumable || self.model().exists() {
            return;
        }
        // The run's own error says more than one of tidying up.
        for file in [self.config(), self.split(), self.history(), self.path.join(FIRST_WRITE)] {
            let _ = fs::remove_file(file);
        }
        for folder in [self.checkpoint(), self.tensorboard()] {
            let _ = fs::remove_dir_all(folder);
        }
        let _ = fs::remove_dir(&self.path);
    }

    /// Makes the folder, with those above it.
    ///
    /// # Errors
    /// If something is there already, or the system refuses.
    pub(crate) fn create(&self) -> Result<(), TrainError> {
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(TrainError::io(parent))?;
        }
        fs::create_dir(&self.path).map_err(|source| {
            let path = self.path.clone();
            if source.kind() == std::io::ErrorKind::AlreadyExists {
                TrainError::RunExists { path }
            } else {
                TrainError::Io { path, source }
            }
        })
    }
}

/// A value as JSON for people, with a newline at its end.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("numbers and texts, which JSON can hold");
    text.push('\n');
    text
}

/// Writes a file so that whoever looks sees the old one or the whole new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    write_atomic(path, bytes).map_err(TrainError::io(path))
}

/// Seconds since 1970 began, in UTC.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// `2026-11-25`.
pub(crate) fn date(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-25T17:52:50Z`.
pub(crate) fn date_and_time(seconds: u64) -> String {
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(seconds))
}

/// Year, month and day of a number of days since 1970-01-01. Years are counted from March, so that the leap day is the
/// last of its year and months have a regular length.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(date_and_time(seconds), text);
        }
    }

    #[test]
    fn a_fresh_path_is_free_and_counts_on() {
        let root = tempfile::tempdir().unwrap();
        let first = RunFolder::fresh_path(root.path(), "my data/1");
        assert!(first.to_str().unwrap().ends_with("-my-data-1-1"), "{}", first.display());
        RunFolder::at(&first).create().unwrap();
        assert!(RunFolder::fresh_path(root.path(), "my data/1").to_str().unwrap().ends_with("-my-data-1-2"));
    }

    #[test]
    fn an_existing_folder_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let run = RunFolder::at(&root.path().join("deep/run"));
        run.create().unwrap();
        assert!(matches!(run.create(), Err(TrainError::RunExists { path }) if path == run.path()));
    }
}
