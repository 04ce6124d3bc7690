//! `[tune]`, and the experiments that differ from the file's own in what it says to try.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::compared::{self, Item};
use super::error::Sources;
use super::strict::Mismatch;
use super::tree::{Entry, Node, Origin};
use super::{Experiment, ExperimentError, Problem, apply_sets, text_of};

/// What `hinet tune` tries: the table `[tune]`. Nothing else reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TuneConfig {
    /// How settings are chosen from `space`.
    pub strategy: TuneStrategy,
    /// With `random` and `halving`: settings drawn, as far as `space` has so many different ones.
    pub trials: u64,
    /// With `halving`: rungs. The last one trains as long as `[train]` says, each one before it an `eta`th of the next.
    pub rungs: u32,
    /// With `halving`: of so many settings of a rung one goes on to the next.
    pub eta: u32,
    /// What to try, by the key it is for, in quotes: `"train.dense.learning_rate" = { log = [1e-4, 1e-2] }`. Lists are
    /// entered by index or by name: `"task.click.weight"`, `"feature.0.dim"`.
    pub space: BTreeMap<String, TuneRange>,
    /// What to try beside `space` for a model that `--models` names: `[tune.models.mmoe]` with
    /// `"model.experts" = { choice = [2, 4] }`. A key that is in both is tried as this one says.
    pub models: BTreeMap<String, BTreeMap<String, TuneRange>>,
}

/// How settings are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TuneStrategy {
    /// Each key is drawn by itself, and every setting trains as long as `[train]` says.
    #[default]
    Random,
    /// As `random`, but all settings train for a short while first, and only the better ones go on.
    Halving,
    /// Every combination of `choice` and `int`.
    Grid,
}

/// What to try for one key: one of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TuneRange {
    /// Two numbers above 0: drawn between them, evenly on a logarithmic scale, to three digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Vec<f64>>,
    /// Two numbers: drawn between them, evenly, to three digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uniform: Option<Vec<f64>>,
    /// Two whole numbers: drawn between them, both included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int: Option<Vec<i64>>,
    /// One of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Vec<Json>>,
}

/// Values by the key that they are for, such as `train.dense.learning_rate`.
pub type Setting = BTreeMap<String, Json>;

/// A range that was checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Draws<'a> {
    /// From and up to, evenly on a logarithmic scale.
    Log(f64, f64),
    /// From and up to, evenly.
    Uniform(f64, f64),
    /// From and up to, both included.
    Int(i64, i64),
    /// One of these.
    Choice(&'a [Json]),
}

/// An experiment with what to try around it.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The experiment as it stands.
    pub experiment: Experiment,
    /// What to try; in `space` all that is for this model.
    pub config: TuneConfig,
    /// The model of a comparison that is tuned, rather than the file's own.
    model: Option<Item>,
    text: String,
    path: PathBuf,
    sets: Vec<(String, String)>,
}

/// Keys that a trial may not change, and why. A key stands for all below it.
const FIXED: [(&str, &str); 15] = [
    ("config_version", "it is the file's"),
    ("name", "it is the file's"),
    ("data", "settings are compared on the same rows"),
    ("scenario", "settings are compared on the same rows"),
    ("compare", "tuning does not read it"),
    ("tune", "it is what tunes"),
    ("train.seed", "the luckiest seed is no better setting; `hinet compare --seeds` shows what seeds do"),
    ("train.monitor", "it is what settings are chosen by"),
    ("train.min_positives", "it is part of what settings are chosen by"),
    ("train.threads", "no result depends on it"),
    ("train.checkpoint_every", "no result depends on it"),
    ("train.keep_checkpoint", "no result depends on it"),
    ("train.example_rows", "no result depends on it"),
    ("train.log_every", "no result depends on it"),
    ("train.track", "no result depends on it"),
];

impl Default for TuneConfig {
    fn default() -> TuneConfig {
        let (space, models) = (BTreeMap::new(), BTreeMap::new());
        TuneConfig { strategy: TuneStrategy::Random, trials: 20, rungs: 3, eta: 3, space, models }
    }
}

impl Tuning {
    /// Reads an experiment file with its `[tune]`, with values of the command line put over it in their order.
    ///
    /// # Errors
    /// If the file cannot be read, or with all that is wrong in it: a key of the space that does not exist, a value that
    /// it cannot take, a range with nothing in it.
    pub fn load(path: &Path, sets: &[(String, String)]) -> Result<Tuning, ExperimentError> {
        Tuning::parse(text_of(path)?, path, sets, None)
    }

    /// Like [`Tuning::load`] for one model of a comparison, as [`Experiment::load_model`] takes it: what is tried is
    /// `[tune.space]` together with the model's own part of `[tune.models]`.
    ///
    /// # Errors
    /// Like [`Tuning::load`]; if there is no such model; or if the space has a key that is not the model's own, since all
    /// models of a comparison share what is outside `[model]` and `[train]`.
    pub fn load_model(path: &Path, sets: &[(String, String)], model: &str) -> Result<Tuning, ExperimentError> {
        Tuning::parse(text_of(path)?, path, sets, Some(Item::read(model)?))
    }

    fn parse(
        text: String,
        path: &Path,
        sets: &[(String, String)],
        model: Option<Item>,
    ) -> Result<Tuning, ExperimentError> {
        let fragment = model.as_ref().and_then(Item::fragment);
        let (for_all, late) = compared::for_all_models(sets);
        let sources = Sources { file: path, text: &text, sets: &for_all, late, fragment };
        let experiment = Experiment::from_sources(&sources, model.as_ref())?;
        let mut tree = Node::parse(&text).expect("it was parsed just now");
        apply_sets(&mut tree, sets, 0..sets.len()).expect("they were applied just now");
        let refused = |at: &Origin, key: &str, message: &str| ExperimentError::Invalid {
            problems: vec![sources.problem(at, key, message)],
        };
        let Some(node) = tree.get("tune") else { return Err(refused(&tree.at, "tune", NO_SPACE)) };
        let mut config: TuneConfig =
            serde_json::from_value(node.to_json()).map_err(|error| refused(&node.at, "tune", &error.to_string()))?;
        let mut spaces = vec![("space".to_owned(), node.get("space"))];
        for entry in node.get("models").map_or(&[][..], Node::entries) {
            if !compared::is_model(&tree, &entry.key) {
                return Err(refused(
                    &entry.key_at,
                    "tune.models",
                    &compared::unknown_model(&tree, &entry.key).to_string(),
                ));
            }
        }
        if let Some(name) = model.as_ref().map(Item::name) {
            config.space.extend(config.models.remove(&name).unwrap_or_default());
            spaces.push((format!("models.{name}"), node.get("models").and_then(|models| models.get(&name))));
        }
        config.models.clear();
        if experiment.monitor.is_none() {
            return Err(refused(&node.at, "tune", NO_VALID));
        }
        let owned = (text.clone(), path.to_owned(), sets.to_owned());
        let tuning = Tuning { experiment, config, model: model.clone(), text: owned.0, path: owned.1, sets: owned.2 };
        let ranges: Vec<Range<'_>> = spaces.iter().flat_map(|(table, node)| Range::all(table, *node)).collect();
        let found = tuning.check(node).into_iter().chain(ranges.iter().filter_map(|range| tuning.refuse(range)));
        let mut problems: Vec<Problem> = found.map(|one| sources.problem(&one.at, &one.key, one.message)).collect();
        if problems.is_empty() {
            problems.extend(ranges.iter().filter_map(|range| tuning.probe(range, &sources)));
        }
        if problems.is_empty() { Ok(tuning) } else { Err(ExperimentError::Invalid { problems }) }
    }

    /// The experiment with this setting.
    ///
    /// # Errors
    /// If its values contradict one another.
    pub fn experiment(&self, setting: &Setting) -> Result<Experiment, ExperimentError> {
        let (mut sets, again) = compared::for_all_models(&self.sets);
        sets.extend(setting.iter().map(|(key, value)| (key.clone(), toml(value))));
        let fragment = self.model.as_ref().and_then(Item::fragment);
        let late = again + setting.len();
        let sources = Sources { file: &self.path, text: &self.text, sets: &sets, late, fragment };
        Experiment::from_sources(&sources, self.model.as_ref())
    }

    /// What does not depend on what the keys of the space mean.
    fn check(&self, node: &Node) -> Vec<Mismatch> {
        let at = |key: &str| node.get(key).map_or(&node.at, |node| &node.at).clone();
        let mut found = Vec::new();
        let mut refuse = |at: Origin, key: String, message: String| found.push(Mismatch { at, key, message });
        let TuneConfig { strategy, trials, rungs, eta, space, .. } = &self.config;
        let usual = TuneConfig::default();
        let halving = *strategy == TuneStrategy::Halving;
        let rules = [
            ("trials", (1..=100_000).contains(trials), "expected from 1 to 100,000"),
            ("trials", *strategy != TuneStrategy::Grid || *trials == usual.trials, "a grid tries every combination"),
            ("rungs", (1..=16).contains(rungs), "expected from 1 to 16"),
            ("rungs", halving || *rungs == usual.rungs, "is for strategy = \"halving\" only"),
            ("eta", (2..=100).contains(eta), "expected from 2 to 100"),
            ("eta", halving || *eta == usual.eta, "is for strategy = \"halving\" only"),
            ("space", !space.is_empty(), NO_SPACE),
        ];
        for (key, _, message) in rules.into_iter().filter(|(_, holds, _)| !holds) {
            refuse(at(key), format!("tune.{key}"), message.to_owned());
        }
        found
    }

    /// What is wrong with a range whatever its key means.
    fn refuse(&self, range: &Range<'_>) -> Option<Mismatch> {
        let Range { entry, key, .. } = range;
        let at_key = |message| Some(Mismatch { at: entry.key_at.clone(), key: key.clone(), message });
        let at_range = |message| Some(Mismatch { at: entry.node.at.clone(), key: key.clone(), message });
        if let Some((_, why)) = FIXED.iter().find(|(fixed, _)| is_within(&entry.key, fixed)) {
            return at_key(format!("it cannot be tuned: {why}"));
        }
        if self.model.is_some() && !OF_A_MODEL.iter().any(|table| is_within(&entry.key, table)) {
            return at_key(COMMON.to_owned());
        }
        match self.config.space.get(&entry.key)?.draws() {
            Err(message) => at_range(message),
            Ok(Draws::Log(..) | Draws::Uniform(..)) if self.config.strategy == TuneStrategy::Grid => {
                at_range("a grid needs `choice` or `int`".to_owned())
            }
            Ok(_) => None,
        }
    }

    /// Tries the ends of a range, each by itself: what is wrong with them is told at the place of the range.
    fn probe(&self, range: &Range<'_>, sources: &Sources<'_>) -> Option<Problem> {
        let entry = range.entry;
        let draws = self.config.space.get(&entry.key)?.draws().ok()?;
        let ends: Vec<Json> = match draws {
            Draws::Log(from, to) | Draws::Uniform(from, to) => vec![from.into(), to.into()],
            Draws::Int(from, to) => vec![from.into(), to.into()],
            Draws::Choice(choices) => choices.to_vec(),
        };
        ends.into_iter().find_map(|value| {
            let shown = toml(&value);
            let error = self.experiment(&Setting::from([(entry.key.clone(), value)])).err()?;
            let ExperimentError::Invalid { problems } = &error else {
                return Some(sources.problem(&entry.node.at, &entry.key, error.to_string()));
            };
            let Problem { key, message, .. } = &problems[0];
            let is_unknown = *key == entry.key && message.contains("no such key");
            let at = if is_unknown { &entry.key_at } else { &entry.node.at };
            let told = if *key == entry.key { message.clone() } else { format!("{key}: {message}") };
            Some(sources.problem(at, &range.key, format!("with {shown}: {told}")))
        })
    }
}

/// A range with its place in the file.
struct Range<'a> {
    entry: &'a Entry,
    /// All of its key, such as `tune.space.train.epochs`.
    key: String,
}

impl Range<'_> {
    fn all<'a>(table: &'a str, node: Option<&'a Node>) -> impl Iterator<Item = Range<'a>> {
        let entries = node.map_or(&[][..], Node::entries);
        entries.iter().map(move |entry| Range { entry, key: format!("tune.{table}.{}", entry.key) })
    }
}

impl TuneRange {
    /// What it says; the error is a message for the user.
    pub(crate) fn draws(&self) -> Result<Draws<'_>, String> {
        match (&self.log, &self.uniform, &self.int, &self.choice) {
            (Some(ends), None, None, None) => match ends[..] {
                [from, to] if from > 0.0 && from < to => Ok(Draws::Log(from, to)),
                _ => Err(format!("expected two numbers above 0, the smaller one first, found {ends:?}")),
            },
            (None, Some(ends), None, None) => match ends[..] {
                [from, to] if from < to => Ok(Draws::Uniform(from, to)),
                _ => Err(format!("expected two numbers, the smaller one first, found {ends:?}")),
            },
            (None, None, Some(ends), None) => match ends[..] {
                [from, to] if from < to => Ok(Draws::Int(from, to)),
                _ => Err(format!("expected two whole numbers, the smaller one first, found {ends:?}")),
            },
            (None, None, None, Some(choices)) if choices.is_empty() => Err("there is nothing to choose".to_owned()),
            (None, None, None, Some(choices)) => Ok(Draws::Choice(choices)),
            _ => Err("expected one of `log`, `uniform`, `int` and `choice`".to_owned()),
        }
    }
}

/// The tables that each model of a comparison has for itself.
const OF_A_MODEL: [&str; 2] = ["model", "train"];
const COMMON: &str = "it cannot be tuned model by model: models of a comparison share all but `model` and `train`";
const NO_SPACE: &str =
    "there is nothing to try; `[tune.space]` says it, such as `\"train.dense.learning_rate\" = { log = [1e-4, 1e-2] }`";
const NO_VALID: &str =
    "settings are chosen on validation rows: give `data.valid`, or `data.split` with a share for them";

fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A value as TOML, which `--set` takes.
fn toml(value: &Json) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}
