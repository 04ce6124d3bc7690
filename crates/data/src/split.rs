//! Train, valid and test rows out of one source, so that nothing leaks from one to the other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::source::Source;

/// How one source becomes three: `split = { by = "time", column = "time_ms", valid = 0.1, test = 0.1 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// What decides the part of a row.
    pub by: SplitBy,
    /// With `time`: the column of times (numbers, timestamps, dates, or ISO texts). With `group`: rows with the same value here stay
    /// together. With `random`: rows are drawn by the hash of this column; without it by the hash of their position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Share of the rows for validation; with `time` those before the test rows.
    #[serde(default = "default_share")]
    pub valid: f64,
    /// Share of the rows for the test; with `time` the newest.
    #[serde(default = "default_share")]
    pub test: f64,
    /// Seed of the hash. Not the seed of training, so that runs with several seeds see the same rows.
    #[serde(default)]
    pub seed: u64,
}

/// What decides the part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Its time: train is oldest, test is newest, and equal times are never parted.
    Time,
    /// The hash of a group's name, such as the user: a group is in one part only.
    Group,
    /// The hash of its position among all rows, or of a column.
    Random,
}

/// A part of a split source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Rows to learn from.
    Train,
    /// Rows to stop and tune by.
    Valid,
    /// Rows to look at once.
    Test,
}

/// A split with its bounds found, so that it can be written down and asked again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {}

impl Split {
    /// Finds the bounds that give the shares asked for.
    ///
    /// # Errors
    /// [`DataError::Config`] for shares outside 0..1, a column that is needed and not named, or data that cannot be cut so;
    /// [`DataError::MissingColumn`]; [`DataError::BadValue`] for a missing time; whatever reading the source gives.
    pub fn resolve(config: &SplitConfig, source: &Source) -> Result<Split, DataError> {
        let _ = (config, source);
        Err(DataError::config("data.split", "is not there yet"))
    }
}

fn default_share() -> f64 {
    0.1
}
