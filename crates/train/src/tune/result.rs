//! What comes of tuning: `tune.json`, and the same as CSV.

use std::collections::{BTreeMap, BTreeSet};

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
        let lines = self.csv_lines(&keys).map(|line| line + "\n");
        format!("{}\n{}", csv_head(&keys, &self.monitor), lines.collect::<String>())
    }

    /// The same for several models, the model in front; a key that a model did not try is empty.
    pub fn all_to_csv(results: &[TuneResult]) -> String {
        let keys: BTreeSet<&str> = results.iter().flat_map(TuneResult::keys).collect();
        let keys: Vec<&str> = keys.into_iter().collect();
        let monitor = results.first().map_or("", |first| first.monitor.as_str());
        let mut text = format!("model,{}\n", csv_head(&keys, monitor));
        for result in results {
            let name = quoted(&result.name);
            result.csv_lines(&keys).for_each(|line| text.push_str(&format!("{name},{line}\n")));
        }
        text
    }

    fn csv_lines(&self, keys: &[&str]) -> impl Iterator<Item = String> {
        self.ranked().into_iter().map(|result| {
            let values = keys.iter().map(|key| quoted(&result.value(key)));
            let numbers = [result.trial.to_string(), result.rung.to_string()];
            let last = [number(result.metric), result.steps.to_string(), result.best_step.to_string()];
            numbers.into_iter().chain(values).chain(last).collect::<Vec<_>>().join(",")
        })
    }

    /// The trial whose setting is the best.
    pub fn winner(&self) -> &TrialResult {
        self.ranked()[0]
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

fn csv_head(keys: &[&str], monitor: &str) -> String {
    let head = ["trial", "rung"].into_iter().chain(keys.iter().copied()).chain([monitor, "steps", "best_step"]);
    head.map(quoted).collect::<Vec<_>>().join(",")
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
