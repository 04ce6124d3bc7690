//! The files of a run folder that its page is made from.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::metrics::{Metrics, Reliability, SplitMetrics};
use crate::{Inspection, RunFolder, Timing, TrainError};

/// What was read. Files that older runs do not have are absent.
pub(super) struct Files {
    pub(super) metrics: Metrics,
    pub(super) timing: Timing,
    pub(super) history: Vec<Line>,
    pub(super) reliability: BTreeMap<String, Vec<Reliability>>,
    pub(super) inspection: Option<Inspection>,
    pub(super) config: String,
}

/// A line of `history.jsonl`.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// Mean losses since the last such line, and mean factors of the objectives where they move.
    Loss {
        step: u64,
        losses: BTreeMap<String, Option<f64>>,
        #[serde(default)]
        weights: BTreeMap<String, f64>,
    },
    /// An evaluation while training.
    Evaluation { step: u64, part: String, metrics: SplitMetrics },
    /// Something the user should know.
    Warning { text: String },
    /// What is of no use here.
    #[serde(other)]
    Other,
}

impl Files {
    pub(super) fn read(folder: &RunFolder) -> Result<Files, TrainError> {
        let history = text(&folder.history())?;
        let lines = history.lines().map(|line| parsed(&folder.history(), line));
        Ok(Files {
            metrics: parsed(&folder.metrics(), &text(&folder.metrics())?)?,
            timing: parsed(&folder.timing(), &text(&folder.timing())?)?,
            history: lines.collect::<Result<_, _>>()?,
            reliability: if folder.calibration().is_file() {
                parsed(&folder.calibration(), &text(&folder.calibration())?)?
            } else {
                BTreeMap::new()
            },
            inspection: Inspection::load(folder)?,
            config: text(&folder.config())?,
        })
    }

    /// The rows that the page is about: test, or else what there is.
    pub(super) fn main_split(&self) -> Option<(&str, &SplitMetrics)> {
        let splits = &self.metrics.splits;
        let found = splits.get_key_value("test").or_else(|| splits.iter().next());
        found.map(|(name, split)| (name.as_str(), split))
    }
}

fn text(path: &Path) -> Result<String, TrainError> {
    std::fs::read_to_string(path).map_err(TrainError::io(path))
}

fn parsed<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TrainError> {
    serde_json::from_str(text).map_err(|error| TrainError::Damaged { path: path.to_owned(), reason: error.to_string() })
}
