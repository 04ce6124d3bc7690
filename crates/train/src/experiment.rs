//! The experiment file: what was written ([`ExperimentFile`]), and what it means ([`Experiment`]).
//!
//! | step | what happens | where |
//! | --- | --- | --- |
//! | text to tree | TOML, every key and value with its place | `tree` |
//! | `--set` | values from the command line go into the tree | `set` |
//! | version, preset | a newer file is refused; `[model] preset` becomes the two slots | here |
//! | model of a comparison | `[model]` and `[train]` of one model take the place of the file's | `compared` |
//! | strict reading | the tree against the JSON Schema: unknown keys, wrong types, wrong words | `strict`, `schema` |
//! | paths | relative ones become absolute: from the file's folder, or from the working directory for `--set` | `paths` |
//! | meaning | what the parts say together: names, monitor, ranges | `meaning` |
//!
//! [`Experiment::to_toml`] goes the other way and writes every default out.

mod compared;
mod emit;
mod error;
mod meaning;
mod model;
mod monitor;
mod paths;
mod reference;
mod schema;
mod set;
mod strict;
mod train_config;
mod tree;
mod tuned;

use std::ops::Range;
use std::path::Path;

use hinet_data::{DataConfig, FeatureConfig, ScenarioConfig, SchemaConfig, Tables, TaskConfig};
use hinet_model::ModelConfig;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use compared::CompareConfig;
pub use error::{ExperimentError, Problem};
pub use monitor::{Monitor, MonitoredMetric};
pub use reference::{config_reference, reference_of};
pub use schema::{json_schema, schema_of};
pub use train_config::{FloorsConfig, NewScenarios, PatienceOver, Tracker, TrainConfig, WarmStartConfig};
pub(crate) use tuned::Draws;
pub use tuned::{Setting, TuneConfig, TuneRange, TuneStrategy, Tuning};

use compared::Item;
use error::Sources;
use model::Expanded;
use strict::Mismatch;
use tree::{Node, Value};

/// Version of the experiment file that this hinet writes, and the newest it reads.
pub const CONFIG_VERSION: u32 = 1;

/// An experiment file as it was written, every default filled in.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentFile {
    /// Version of this format.
    #[serde(default = "config_version")]
    pub config_version: u32,
    /// Name of the run's folder, and of the model when it is served. Without it: the file's name without its ending.
    #[serde(default)]
    pub name: Option<String>,
    /// Where the rows come from.
    pub data: DataConfig,
    /// Which column tells the scenario.
    pub scenario: ScenarioConfig,
    /// What is predicted: at least one task.
    #[serde(rename = "task")]
    pub tasks: Vec<TaskConfig>,
    /// The inputs: at least one rule.
    #[serde(rename = "feature")]
    pub features: Vec<FeatureConfig>,
    /// The model: a preset with options beside it, or the two slots. Without it: the preset `hinet`.
    #[serde(default)]
    #[schemars(schema_with = "model::schema")]
    pub model: serde_json::Map<String, serde_json::Value>,
    /// How it is trained.
    #[serde(default)]
    pub train: TrainConfig,
    /// What `hinet compare` does otherwise for some models.
    #[serde(default)]
    pub compare: CompareConfig,
    /// What `hinet tune` tries.
    #[serde(default)]
    pub tune: TuneConfig,
}

/// An experiment that was checked: paths are absolute, the preset is expanded, names are unique, numbers in their range.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Name of the run and of the model.
    pub name: String,
    /// Where the rows come from.
    pub data: DataConfig,
    /// Which column tells the scenario.
    pub scenario: ScenarioConfig,
    /// What is predicted.
    pub tasks: Vec<TaskConfig>,
    /// The inputs.
    pub features: Vec<FeatureConfig>,
    /// The preset that the model came from, if any.
    pub preset: Option<String>,
    /// The model.
    pub model: ModelConfig,
    /// How it is trained.
    pub train: TrainConfig,
    /// What early stopping and the choice of the best weights look at; `None` without validation rows.
    pub monitor: Option<Monitor>,
    /// The tables in memory that `memory:` paths of `data` stand for. No file says them.
    pub tables: Tables,
}

impl Experiment {
    /// Reads an experiment file, with values of the command line (`key`, `value`) put over it in their order.
    ///
    /// # Errors
    /// If the file cannot be read, or with all that is wrong in it.
    pub fn load(path: &Path, sets: &[(String, String)]) -> Result<Experiment, ExperimentError> {
        Experiment::parse(&text_of(path)?, path, sets)
    }

    /// Like [`Experiment::load`] for a text that stands, or might stand, in the file `path`.
    ///
    /// # Errors
    /// With all that is wrong in it.
    pub fn parse(text: &str, path: &Path, sets: &[(String, String)]) -> Result<Experiment, ExperimentError> {
        Experiment::from_sources(&Sources { file: path, text, sets, late: 0, fragment: None }, None)
    }

    /// The same experiment on tables in memory.
    #[must_use]
    pub fn with_tables(self, tables: Tables) -> Experiment {
        Experiment { tables, ..self }
    }

    /// The experiment of one model of a comparison, named after it: a preset, a name of `[compare.models]`, or a TOML
    /// file whose `[model]` and `[train]` count. All else is the file's own; see [`CompareConfig`]. A value of the command
    /// line for a key of `train` is put over what the model says, one for a key of `model` under it.
    ///
    /// # Errors
    /// If there is no such model, and otherwise like [`Experiment::load`].
    pub fn load_model(path: &Path, sets: &[(String, String)], model: &str) -> Result<Experiment, ExperimentError> {
        Experiment::parse_model(&text_of(path)?, path, sets, model)
    }

    /// Like [`Experiment::load_model`] for a text that stands, or might stand, in the file `path`.
    ///
    /// # Errors
    /// If there is no such model, and otherwise like [`Experiment::load`].
    pub fn parse_model(
        text: &str,
        path: &Path,
        sets: &[(String, String)],
        model: &str,
    ) -> Result<Experiment, ExperimentError> {
        let item = Item::read(model)?;
        let (sets, late) = compared::for_all_models(sets);
        let sources = Sources { file: path, text, sets: &sets, late, fragment: item.fragment() };
        Experiment::from_sources(&sources, Some(&item))
    }

    fn from_sources(sources: &Sources<'_>, item: Option<&Item>) -> Result<Experiment, ExperimentError> {
        let Sources { file: path, text, sets, late, .. } = *sources;
        let invalid = |found| sources.invalid(found);
        let mut tree = parse(text, sources)?;
        let early = sets.len() - late;
        apply_sets(&mut tree, sets, 0..early).map_err(invalid)?;
        check_version(&tree).map_err(invalid)?;
        strictly(&tree).map_err(invalid)?;
        if let Some(item) = item {
            let says = item.says(&tree, sources)?;
            compared::put(&mut tree, says);
            strictly(&tree).map_err(invalid)?;
        }
        if late > 0 {
            apply_sets(&mut tree, sets, early..sets.len()).map_err(invalid)?;
            strictly(&tree).map_err(invalid)?;
        }
        let (file, model) = read(&mut tree, path).map_err(invalid)?;
        let mut experiment = Experiment::new(file, model, path);
        if let Some(item) = item {
            experiment.name = item.name();
        }
        let found = meaning::check(&experiment);
        if found.is_empty() {
            return Ok(experiment);
        }
        let place = |(key, message): (String, String)| {
            let option = key.strip_prefix("model.").and_then(|option| model::place(&tree, option));
            match option {
                Some((entry, key)) => Mismatch { at: entry.node.at.clone(), key, message },
                None => Mismatch { at: tree.deepest(&key).at.clone(), key, message },
            }
        };
        Err(invalid(found.into_iter().map(place).collect()))
    }

    fn new(file: ExperimentFile, model: Expanded, path: &Path) -> Experiment {
        let stem = || path.file_stem().map_or("experiment".into(), |stem| stem.to_string_lossy()).into_owned();
        let mut experiment = Experiment {
            name: file.name.unwrap_or_else(stem),
            data: file.data,
            scenario: file.scenario,
            tasks: file.tasks,
            features: file.features,
            preset: model.preset,
            model: model.config,
            train: file.train,
            monitor: None,
            tables: Tables::default(),
        };
        if experiment.has_valid() {
            let written = experiment.train.monitor.get_or_insert_with(|| "mean_auc".to_owned());
            experiment.monitor = Monitor::parse(written, &experiment.tasks).ok();
        }
        experiment
    }

    /// Whether there are validation rows.
    pub fn has_valid(&self) -> bool {
        self.data.valid.is_some() || self.data.split.as_ref().is_some_and(|split| split.valid > 0.0)
    }

    /// Whether there are test rows.
    pub fn has_test(&self) -> bool {
        self.data.test.is_some() || self.data.split.as_ref().is_some_and(|split| split.test > 0.0)
    }

    /// What the encoder needs.
    pub fn schema(&self) -> SchemaConfig<'_> {
        SchemaConfig { data: &self.data, scenario: &self.scenario, tasks: &self.tasks, features: &self.features }
    }

    /// The experiment with every default written out, as an experiment file that reads back the same from any folder.
    pub fn to_toml(&self) -> String {
        emit::to_toml(self)
    }
}

/// Reads another configuration as strictly as an experiment file: against its JSON Schema, every difference with its place.
/// `meaning` says what its parts say together that cannot be: keys such as `model.0.share`, and what is wrong with them.
///
/// # Errors
/// If the file cannot be read, or with all that is wrong in it.
pub fn read_config<T: JsonSchema + DeserializeOwned>(
    path: &Path,
    meaning: impl FnOnce(&T) -> Vec<(String, String)>,
) -> Result<T, ExperimentError> {
    let text = &text_of(path)?;
    let sources = Sources { file: path, text, sets: &[], late: 0, fragment: None };
    let tree = parse(text, &sources)?;
    let found = strict::check(&tree, strict::Schema::new(&schema_of::<T>()), "");
    if !found.is_empty() {
        return Err(sources.invalid(found));
    }
    let config: T = serde_json::from_value(tree.to_json()).map_err(|error| {
        sources.invalid(vec![Mismatch { at: tree.at.clone(), key: String::new(), message: error.to_string() }])
    })?;
    let place = |(key, message): (String, String)| Mismatch { at: tree.deepest(&key).at.clone(), key, message };
    let found: Vec<Mismatch> = meaning(&config).into_iter().map(place).collect();
    if found.is_empty() { Ok(config) } else { Err(sources.invalid(found)) }
}

/// An experiment file that says what this JSON says, for [`Experiment::parse`]: problems are then shown in that file.
///
/// # Errors
/// If it is no JSON, or holds numbers that TOML has not.
pub fn toml_of(json: &str, path: &Path) -> Result<String, ExperimentError> {
    emit::from_json(json).map_err(|error| {
        let sources = Sources { file: path, text: "", sets: &[], late: 0, fragment: None };
        let problem = sources.problem(&tree::Origin::File(0..0), "", error.to_string());
        ExperimentError::Invalid {
            problems: vec![Problem { line: None, column: None, excerpt: String::new(), ..problem }],
        }
    })
}

fn parse(text: &str, sources: &Sources<'_>) -> Result<Node, ExperimentError> {
    Node::parse(text).map_err(|error| {
        let at = tree::Origin::File(error.span().unwrap_or(0..0));
        ExperimentError::Invalid { problems: vec![sources.problem(&at, "", error.message())] }
    })
}

/// What a file holds; what is no UTF-8 in it is found where it stands.
fn text_of(path: &Path) -> Result<String, ExperimentError> {
    let unreadable = |source| ExperimentError::Unreadable { file: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn apply_sets(tree: &mut Node, sets: &[(String, String)], which: Range<usize>) -> Result<(), Vec<Mismatch>> {
    for (index, (key, value)) in sets.iter().enumerate().take(which.end).skip(which.start) {
        let refused = |message| vec![Mismatch { at: tree::Origin::Set(index), key: String::new(), message }];
        set::apply(tree, key, value, index).map_err(refused)?;
    }
    Ok(())
}

/// A file of a newer version may say anything: nothing else about it is worth reporting.
fn check_version(tree: &Node) -> Result<(), Vec<Mismatch>> {
    let Some(node) = tree.get("config_version") else { return Ok(()) };
    let Value::Integer(version) = node.value else { return Ok(()) };
    let message = if version > i64::from(CONFIG_VERSION) {
        format!("config_version {version} is newer than this hinet reads ({CONFIG_VERSION}): update hinet")
    } else if version < 1 {
        format!("expected {CONFIG_VERSION}, found {version}")
    } else {
        return Ok(());
    };
    Err(vec![Mismatch { at: node.at.clone(), key: "config_version".to_owned(), message }])
}

fn strictly(tree: &Node) -> Result<(), Vec<Mismatch>> {
    let schema = json_schema();
    let found = strict::check(tree, strict::Schema::new(&schema), "");
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn read(tree: &mut Node, path: &Path) -> Result<(ExperimentFile, Expanded), Vec<Mismatch>> {
    paths::resolve(tree, path)?;
    let model = model::expand(tree).map_err(|found| vec![found])?;
    let file = serde_json::from_value(tree.to_json())
        .map_err(|error| vec![Mismatch { at: tree.at.clone(), key: String::new(), message: error.to_string() }])?;
    Ok((file, model))
}

fn config_version() -> u32 {
    CONFIG_VERSION
}
