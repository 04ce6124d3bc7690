//! `timing.json`: all that differs from run to run.

use serde::{Deserialize, Serialize};

use crate::run_folder::{date_and_time, seconds_since_1970};

/// When, how fast and how large a run was. Not part of the result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// When the first session began, UTC.
    pub started: String,
    /// When the run ended, UTC.
    pub finished: String,
    /// How often the run was begun or resumed.
    pub sessions: u64,
    /// Threads that computed in the last session.
    pub threads: usize,
    /// Vector instructions of the last session.
    #[serde(default)]
    pub instructions: String,
    /// Seconds by what they were spent on, over all sessions.
    pub seconds: Seconds,
    /// Rows trained on.
    pub rows: u64,
    /// Those rows over the seconds of training.
    pub rows_per_second: f64,
    /// Most memory resident at once in the last session, in megabytes; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_mb: Option<f64>,
}

/// Seconds by what they were spent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Splitting and fitting the encoder.
    pub preparing: f64,
    /// Training steps, with reading and checkpoints.
    pub training: f64,
    /// Of training: gathering embeddings.
    pub embedding: f64,
    /// Of training: the forward pass.
    pub forward: f64,
    /// Of training: the backward pass.
    pub backward: f64,
    /// Of training: the optimisers.
    pub update: f64,
    /// Evaluations.
    pub evaluating: f64,
    /// Writing the artefact.
    pub saving: f64,
}

impl Timing {
    /// A run that begins now.
    pub(crate) fn start() -> Timing {
        Timing { started: date_and_time(seconds_since_1970()), ..Timing::default() }
    }

    /// A run that ends now, after these rows.
    pub(crate) fn finish(&mut self, rows: u64) {
        self.finished = date_and_time(seconds_since_1970());
        self.rows = rows;
        self.rows_per_second = if self.seconds.training > 0.0 { rows as f64 / self.seconds.training } else { 0.0 };
        self.peak_rss_mb = peak_rss_mb();
    }
}

/// Most memory this process had resident at once, in megabytes, where the system tells.
#[must_use]
pub fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((kilobytes / 102.4).round() / 10.0)
}
