//! What the experiment file says about data, scenario and tasks: `[data]`, `[scenario]`, `[[task]]`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layout::all_negatives;
use crate::error::DataError;
use crate::split::SplitConfig;

/// Where the rows come from and which columns have a part other than feature or label: the table `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Files, folders or globs of the training rows; `.parquet`, `.csv`, `.jsonl`, the latter two also `.gz` or `.zst`. With `split`, of all rows.
    pub train: Paths,
    /// Files of the validation rows: early stopping and tuning look at these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Paths>,
    /// Files of the test rows: looked at once, at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Paths>,
    /// How `train` is cut into train, valid and test; instead of `valid` and `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitConfig>,
    /// Column with the weight of each row: a finite number, zero or more. Without it every row weighs 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Column that names the user: the groups of GAUC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Column that names the request or session: the groups of NDCG@k and MRR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Rows held in memory at once to be shuffled; row groups of Parquet files are permuted besides.
    #[serde(default = "default_shuffle_rows")]
    pub shuffle_rows: usize,
    /// Megabytes of encoded training rows kept in memory, so that later epochs need not read them again; 0 reads every time.
    /// The order of rows does not depend on it.
    #[serde(default = "default_cache_mb")]
    pub cache_mb: usize,
    /// Folder for files of encoded training rows, which later epochs and later runs (of `tune` and `compare` too) read in place of
    /// `train`; without it none is written. There is a file for each combination of data, split and features (`dim` aside), written anew when
    /// it is damaged; a new one takes away those of the same data as it was before, and all others but the three used last. Runs may share
    /// a folder. Results do not depend on it. A file takes about 4 bytes per category or number and row. Changed data is known by name, size,
    /// times, number on the disk and content; files above 64 MiB are read in 16 places only, so where the system keeps no time of change of
    /// its own (Windows), one that is changed elsewhere in place, with the same size and its time set back, is not noticed: delete the cache
    /// then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<String>,
}

/// One path or several, each a file, a folder or a glob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Paths {
    /// One path.
    One(String),
    /// Several paths, read in this order.
    Many(Vec<String>),
}

/// Which column tells the scenario of a row: the table `[scenario]`. Its values are those found in train.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioConfig {
    /// The column. Numbers and texts are both welcome; `2`, `2.0` and `"2"` are one scenario.
    pub column: String,
    /// What to do with a row whose scenario was not seen in train or is missing.
    #[serde(default)]
    pub unknown: UnknownConfig,
}

/// Policy for a scenario that was not seen in train: `"error"`, `"mean"`, or the value of a known scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Scalar", into = "Scalar")]
#[schemars(with = "Scalar")]
pub enum UnknownConfig {
    /// Refuse the row.
    #[default]
    Error,
    /// Score the row with the mean over scenarios.
    Mean,
    /// Treat the row as one of this scenario.
    Scenario(String),
}

/// One goal to predict: an entry of `[[task]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskConfig {
    /// Its name in tables and in the predictions' column `p_<name>`.
    pub name: String,
    /// A column, or an expression over columns such as `is_click * is_order`; must give 0, 1 or nothing (not observed).
    pub label: String,
    /// Rows that belong to the task, such as `is_click == 1`; the others are masked for it. Without it: all rows.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Factor of the task's loss.
    #[serde(default = "default_task_weight")]
    pub weight: f64,
    /// Share of the task's negative rows that were kept in train, above 0 and 1 at most: 0.1 where nine of ten were dropped to save
    /// time. Scores are corrected for it, everywhere, to what they are on all rows; valid and test must have all of theirs. Training
    /// itself and its loss are not changed.
    #[serde(default = "all_negatives")]
    pub negative_rate: f64,
}

/// A value as TOML or JSON may write it; texts, numbers and flags all stand for their text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// A flag.
    Flag(bool),
    /// An integer.
    Integer(i64),
    /// A number with a fraction.
    Number(f64),
    /// A text.
    Text(String),
}

impl Scalar {
    pub(crate) fn into_text(self) -> String {
        match self {
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text,
        }
    }
}

impl Paths {
    /// The paths in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Paths::One(path) => std::slice::from_ref(path).iter().map(String::as_str),
            Paths::Many(paths) => paths.iter().map(String::as_str),
        }
    }

    /// The paths with relative ones taken from `base`, usually the folder of the experiment file.
    pub fn resolve(&self, base: &Path) -> Vec<PathBuf> {
        self.iter().map(|path| base.join(path)).collect()
    }
}

impl DataConfig {
    /// A config with these training files and every default.
    pub fn new(train: Paths) -> DataConfig {
        DataConfig {
            train,
            valid: None,
            test: None,
            split: None,
            weight: None,
            user: None,
            request: None,
            shuffle_rows: default_shuffle_rows(),
            cache_mb: default_cache_mb(),
            cache_dir: None,
        }
    }
}

impl DataConfig {
    /// Refuses what no data could satisfy.
    ///
    /// # Errors
    /// [`DataError::Config`] where `split` stands beside `valid` or `test`, or makes no sense itself.
    pub fn check(&self) -> Result<(), DataError> {
        let Some(split) = &self.split else { return Ok(()) };
        for (name, given) in [("valid", self.valid.is_some()), ("test", self.test.is_some())] {
            if given {
                let problem =
                    format!("`split` cuts `train` into train, valid and test, so `{name}` must go, or `split`");
                return Err(DataError::config("data.split", problem));
            }
        }
        split.check()
    }
}

impl TaskConfig {
    /// A task over all rows with weight 1.
    pub fn new(name: &str, label: &str) -> TaskConfig {
        let (name, label) = (name.to_owned(), label.to_owned());
        TaskConfig { name, label, filter: None, weight: default_task_weight(), negative_rate: all_negatives() }
    }
}

impl From<Scalar> for UnknownConfig {
    fn from(value: Scalar) -> UnknownConfig {
        match value.into_text() {
            text if text == "error" => UnknownConfig::Error,
            text if text == "mean" => UnknownConfig::Mean,
            text => UnknownConfig::Scenario(text),
        }
    }
}

impl From<UnknownConfig> for Scalar {
    fn from(policy: UnknownConfig) -> Scalar {
        Scalar::Text(match policy {
            UnknownConfig::Error => "error".to_owned(),
            UnknownConfig::Mean => "mean".to_owned(),
            UnknownConfig::Scenario(value) => value,
        })
    }
}

fn default_shuffle_rows() -> usize {
    131_072
}

fn default_cache_mb() -> usize {
    128
}

fn default_task_weight() -> f64 {
    1.0
}
