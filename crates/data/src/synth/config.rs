//! What data to make: sizes, correlations, noise, columns; and three presets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, nearest};

/// Synthetic data to be made. Every key has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SynthConfig {
    /// Rows of the training file.
    pub train_rows: u64,
    /// Rows of the validation file; 0 writes none.
    pub valid_rows: u64,
    /// Rows of the test file, over which the Bayes AUC is taken; at least 1.
    pub test_rows: u64,
    /// Relative sizes of the scenarios, as many as there are scenarios: `[8, 4, 2, 1]`. They are named `s1`, `s2`, ...
    pub scenario_sizes: Vec<f64>,
    /// The tasks.
    pub tasks: Vec<SynthTask>,
    /// A funnel: each task can only happen where the task before it did, and its base rate is among those rows.
    pub funnel: bool,
    /// Correlation of what makes a user like an item between two scenarios, 0 (nothing in common) to 1 (the same).
    pub scenario_correlation: f64,
    /// The same between two tasks, -1 to 1. With a negative one, tasks at an odd distance in the list oppose each other and tasks at an even
    /// distance agree.
    pub task_correlation: f64,
    /// Share of the preferences, 0 to 1, in which cells of the chequerboard scenario x task are direct opposites of their neighbours: what is
    /// good for one harms the other.
    pub seesaw: f64,
    /// Standard deviation of the logit within a cell: how much of the labels can be known. 0 leaves coin tosses.
    pub signal: f64,
    /// Share of the labels, 0 to 1, replaced by a toss at the base rate of their cell. Lowers the Bayes AUC, not the base rates.
    pub label_noise: f64,
    /// Standard deviation, over the cells of a task, of the base rate's logit.
    pub base_rate_spread: f64,
    /// Number of users.
    pub users: u32,
    /// Number of items.
    pub items: u32,
    /// Zipf exponent of users and items: the n-th most frequent has weight `n^-zipf`. 0 makes them equally frequent.
    pub zipf: f64,
    /// Columns that describe users.
    pub user_columns: SynthColumns,
    /// Columns that describe items.
    pub item_columns: SynthColumns,
    /// Columns of random categories that have nothing to do with any label.
    pub noise_columns: u32,
    /// Share, 0 to 1, of a user's and an item's taste that is known from the id alone and from no other column.
    pub id_share: f64,
    /// Share, 0 to 1, of the cells missing in describing columns; less than 1.
    pub missing: f64,
    /// Consecutive rows that make up one request: same user, scenario and hour.
    pub rows_per_request: u32,
    /// Numbers that describe a user or an item behind the columns; raised by itself where the cells need more directions.
    pub latent: u32,
    /// Format of the files.
    pub format: SynthFormat,
    /// Write the true probability of each label as column `bayes_<task>`. Never a feature.
    pub bayes_columns: bool,
    /// The seed of everything.
    pub seed: u64,
}

/// One task of synthetic data. Its label is the column `is_<name>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SynthTask {
    /// Its name: letters, digits and `_`.
    pub name: String,
    /// Share of positive labels over all scenarios, between 0 and 1.
    pub base_rate: f64,
}

/// Columns that describe one side, users or items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SynthColumns {
    /// Number of values of each categorical column.
    pub categorical: Vec<u32>,
    /// Number of numeric columns.
    pub numeric: u32,
    /// Number of columns with several categories per row.
    pub multi: u32,
}

/// Format of the files made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SynthFormat {
    /// Parquet, row groups of 65,536 rows, Snappy.
    #[default]
    Parquet,
    /// CSV with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl SynthFormat {
    /// The ending of a file's name, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            SynthFormat::Parquet => "parquet",
            SynthFormat::Csv => "csv",
            SynthFormat::Jsonl => "jsonl",
        }
    }
}

impl Default for SynthConfig {
    fn default() -> Self {
        SynthConfig {
            train_rows: 200_000,
            valid_rows: 25_000,
            test_rows: 50_000,
            scenario_sizes: vec![4.0, 2.0, 1.0],
            tasks: vec![SynthTask::new("click", 0.3), SynthTask::new("like", 0.15)],
            funnel: false,
            scenario_correlation: 0.8,
            task_correlation: 0.6,
            seesaw: 0.0,
            signal: 1.4,
            label_noise: 0.0,
            base_rate_spread: 0.3,
            users: 2000,
            items: 1000,
            zipf: 0.8,
            user_columns: SynthColumns { categorical: vec![12, 8], numeric: 1, multi: 0 },
            item_columns: SynthColumns { categorical: vec![16, 8], numeric: 1, multi: 1 },
            noise_columns: 0,
            id_share: 0.0,
            missing: 0.02,
            rows_per_request: 5,
            latent: 3,
            format: SynthFormat::Parquet,
            bayes_columns: false,
            seed: 7,
        }
    }
}

impl SynthTask {
    /// A task by name and base rate.
    pub fn new(name: &str, base_rate: f64) -> SynthTask {
        SynthTask { name: name.to_owned(), base_rate }
    }

    /// The column of its label.
    pub fn label(&self) -> String {
        format!("is_{}", self.name)
    }
}

impl SynthConfig {
    /// Names that [`SynthConfig::preset`] knows.
    pub const PRESETS: [&'static str; 3] = ["correlated", "independent", "conflict"];

    /// Settings with a fixed purpose, each with 500,000 training rows, four scenarios sized 8 : 4 : 2 : 1 and two tasks:
    ///
    /// - `correlated`: scenarios (.9) and tasks (.6) have most in common, so a model that shares learns more than one that does not;
    /// - `independent`: nothing in common, so sharing cannot help;
    /// - `conflict`: a seesaw of .5 makes neighbouring cells want opposite things, so that careless sharing harms.
    ///
    /// # Errors
    /// A name that is none of these.
    pub fn preset(name: &str) -> Result<SynthConfig, DataError> {
        let base = SynthConfig {
            train_rows: 500_000,
            valid_rows: 50_000,
            test_rows: 100_000,
            scenario_sizes: vec![8.0, 4.0, 2.0, 1.0],
            scenario_correlation: 0.9,
            signal: 1.6,
            ..SynthConfig::default()
        };
        match name {
            "correlated" => Ok(base),
            "independent" => Ok(SynthConfig { scenario_correlation: 0.0, task_correlation: 0.0, ..base }),
            "conflict" => Ok(SynthConfig { scenario_correlation: 0.6, task_correlation: 0.3, seesaw: 0.5, ..base }),
            other => {
                let near = nearest(other, SynthConfig::PRESETS.into_iter());
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let known = SynthConfig::PRESETS.join(", ");
                Err(DataError::config("preset", format!("`{other}` is none of {known}{hint}")))
            }
        }
    }

    /// Names of the scenarios: `s1`, `s2`, ...
    pub fn scenarios(&self) -> Vec<String> {
        (1..=self.scenario_sizes.len()).map(|number| format!("s{number}")).collect()
    }

    /// Checks that the settings make sense.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the key.
    pub fn check(&self) -> Result<(), DataError> {
        let shares = [
            ("scenario_correlation", self.scenario_correlation),
            ("seesaw", self.seesaw),
            ("label_noise", self.label_noise),
            ("id_share", self.id_share),
        ];
        for (key, value) in shares {
            within(key, value, 0.0, 1.0)?;
        }
        within("task_correlation", self.task_correlation, -1.0, 1.0)?;
        within("signal", self.signal, 0.0, 20.0)?;
        within("base_rate_spread", self.base_rate_spread, 0.0, 5.0)?;
        within("zipf", self.zipf, 0.0, 10.0)?;
        within("missing", self.missing, 0.0, 0.99)?;
        self.check_counts()?;
        self.check_tasks()
    }

    fn check_counts(&self) -> Result<(), DataError> {
        let counts = [
            ("train_rows", self.train_rows),
            ("test_rows", self.test_rows),
            ("users", self.users.into()),
            ("items", self.items.into()),
            ("rows_per_request", self.rows_per_request.into()),
            ("latent", self.latent.into()),
        ];
        for (key, count) in counts {
            if count == 0 {
                return Err(DataError::config(key, "must be at least 1"));
            }
        }
        let cardinalities = self.user_columns.categorical.iter().chain(&self.item_columns.categorical);
        if cardinalities.clone().any(|&cardinality| cardinality == 0) {
            return Err(DataError::config("categorical", "a column needs at least 1 value"));
        }
        let good = |size: &f64| size.is_finite() && *size > 0.0;
        if self.scenario_sizes.is_empty() || !self.scenario_sizes.iter().all(good) {
            return Err(DataError::config("scenario_sizes", "needs one number above 0 per scenario, and a scenario"));
        }
        let cells = self.scenario_sizes.len() * self.tasks.len();
        if cells > MAX_CELLS {
            return Err(DataError::config("scenario_sizes", format!("{cells} cells are more than {MAX_CELLS}")));
        }
        Ok(())
    }

    fn check_tasks(&self) -> Result<(), DataError> {
        if self.tasks.is_empty() {
            return Err(DataError::config("tasks", "needs at least one task"));
        }
        for (index, task) in self.tasks.iter().enumerate() {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if task.name.is_empty() || !task.name.chars().all(plain) {
                let problem = format!("`{}` is no name of letters, digits and `_`", task.name);
                return Err(DataError::config("tasks.name", problem));
            }
            if self.tasks[..index].iter().any(|earlier| earlier.name == task.name) {
                return Err(DataError::config("tasks.name", format!("`{}` stands there twice", task.name)));
            }
            if !(task.base_rate > 0.0 && task.base_rate < 1.0) {
                let problem = format!("{} of `{}` is not between 0 and 1", task.base_rate, task.name);
                return Err(DataError::config("tasks.base_rate", problem));
            }
        }
        Ok(())
    }
}

/// Cells beyond which measuring every pair of them takes too long.
const MAX_CELLS: usize = 256;

fn within(key: &str, value: f64, low: f64, high: f64) -> Result<(), DataError> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(DataError::config(key, format!("{value} is not between {low} and {high}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_sound_and_a_misspelt_one_is_corrected() {
        for name in SynthConfig::PRESETS {
            SynthConfig::preset(name).unwrap().check().unwrap();
        }
        let error = SynthConfig::preset("conflikt").unwrap_err();
        assert!(error.to_string().contains("did you mean `conflict`"), "{error}");
        assert!(error.is_usage());
    }

    #[test]
    fn an_unknown_key_and_a_share_above_one_are_refused() {
        let unknown = serde_json::from_str::<SynthConfig>(r#"{"see_saw": 0.1}"#).unwrap_err();
        assert!(unknown.to_string().contains("see_saw"), "{unknown}");
        let error = SynthConfig { seesaw: 1.5, ..SynthConfig::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "`seesaw`: 1.5 is not between 0 and 1");
        assert!(SynthConfig { signal: f64::NAN, ..SynthConfig::default() }.check().is_err());
        assert!(SynthConfig { tasks: Vec::new(), ..SynthConfig::default() }.check().is_err());
    }
}
