//! What comes of tuning: `tune.json`, and the same as CSV.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::schedule::best_first;
use crate::experiment::{Setting, TuneStrategy};
use crate::metrics::{number, quoted};
use crate::run_folder::pretty;

/// What `tune.json` holds: the same bytes for the same experiment, data and seed, also after a kill and `--resume`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneResult {
    /// The experiment.
    pub name: String,
    /// How settings were chosen.
    pub strategy: TuneStrategy,
    /// What they were chosen by, on the validation rows.
    pub monitor: String,
    /// Whether more of it is better.
    pub larger_is_better: bool,
    /// What the draws come from.
    pub seed: u64,
    /// The trial whose setting is the best; its experiment is `best.toml`.
    pub best: usize,
    /// By trial, then by rung.
    pub trials: Vec<TrialResult>,
}

/// A trial on a rung.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// The trial, from 0.
    pub trial: usize,
    /// The rung, from 0; 0 where there is one.
    pub rung: u32,
    /// What it tried.
    pub setting: Setting,
    /// Steps it trained.
    pub steps: u64,
    /// The step whose weights were the best.
    pub best_step: u64,
    /// The metric of those on the validation rows; `None` where it is undefined or the trial failed.
    pub metric: Option<f64>,
    /// AUC of each task over all scenarios on the validation rows.
    pub auc: BTreeMap<String, Option<f64>>,
    /// Why it failed: a loss that is no number any more.
    pub problem: Option<String>,
}

impl TuneResult {
    /// The text of `tune.json`.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    /// Reads what [`TuneResult::to_json`] wrote.
    ///
    /// # Errors
    /// If the text is not such JSON.
    pub fn from_json(text: &str) -> Result<TuneResult, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// One line per trial and rung, the best first; what is undefined is empty.
    pub fn to_csv(&self) -> String {
        let keys = self.keys();
        let head = ["trial", "rung"].into_iter().chain(keys.iter().copied());
        let head: Vec<String> = head.chain([self.monitor.as_str(), "steps", "best_step"]).map(quoted).collect();
        let mut text = head.join(",") + "\n";
        for result in self.ranked() {
            let values = keys.iter().map(|key| quoted(&result.value(key)));
            let numbers = [result.trial.to_string(), result.rung.to_string()];
            let cells = numbers.into_iter().chain(values).chain([
                number(result.metric),
                result.steps.to_string(),
                result.best_step.to_string(),
            ]);
            text.push_str(&cells.collect::<Vec<_>>().join(","));
            text.push('\n');
        }
        text
    }

    /// The results, the best first; those of a later rung before those of an earlier one.
    pub fn ranked(&self) -> Vec<&TrialResult> {
        let mut ranked: Vec<&TrialResult> = self.trials.iter().collect();
        ranked.sort_by(|a, b| best_first(a, b, self.larger_is_better));
        ranked
    }

    /// Keys that were tried.
    pub fn keys(&self) -> Vec<&str> {
        self.trials.first().map_or_else(Vec::new, |first| first.setting.keys().map(String::as_str).collect())
    }
}

impl TrialResult {
    /// The value of a key as people write it.
    pub fn value(&self, key: &str) -> String {
        match self.setting.get(key) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }
}
