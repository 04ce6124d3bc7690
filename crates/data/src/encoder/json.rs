//! The encoder's file: versioned JSON that a person can read and a vocabulary of millions does not break.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};

use super::Encoder;
use super::feature::{BagRule, Feature, Ids, Rule, Table};
use super::key::Key;
use super::task::{SavedTask, Task};
use super::vocabulary::Vocabulary;
use crate::{DataError, UnknownScenario};

/// The version this program writes, and the newest it reads.
const VERSION: u32 = 1;

/// What was fitted, and is saved: all of the encoder that is not derived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fitted {
    pub(super) encoder_version: u32,
    pub(super) scenario: Scenario,
    pub(super) weight: Option<String>,
    pub(super) user: Option<String>,
    pub(super) request: Option<String>,
    pub(super) tasks: Vec<SavedTask>,
    pub(super) features: Vec<Feature>,
    pub(super) tables: Vec<Table>,
}

/// The scenario column and what train had there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    pub(super) column: String,
    pub(super) values: Vocabulary,
    pub(super) rows: Vec<u64>,
    pub(super) unknown: UnknownScenario,
}

/// Scenario ids are 16 bits, and one is for the unknown.
pub(super) const MAX_SCENARIOS: usize = u16::MAX as usize - 1;

/// Looked at before all else, whatever else the file holds.
#[derive(Deserialize)]
struct Version {
    encoder_version: Option<u64>,
}

pub(super) fn write(encoder: &Encoder) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Lines::default());
    encoder.fitted.serialize(&mut serializer).expect("an encoder has no keys or numbers that JSON lacks");
    out.push(b'\n');
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// All that encoded rows depend on: what is written but for the widths of tables and the weights of tasks.
pub(super) fn rules(encoder: &Encoder) -> String {
    let Fitted { encoder_version, scenario, weight, user, request, tasks, features, tables } = &encoder.fitted;
    let tasks: Vec<_> = tasks.iter().map(SavedTask::rule).collect();
    let tables: Vec<_> = tables.iter().map(|Table { name, dim: _, ids }| (name, ids)).collect();
    let all = (encoder_version, scenario, weight, user, request, tasks, features, tables);
    serde_json::to_string(&all).expect("an encoder has no keys or numbers that JSON lacks")
}

pub(super) fn read(text: &str, file: &Path) -> Result<Encoder, DataError> {
    let refused = |problem: String| DataError::Format { file: file.to_owned(), format: "an encoder", problem };
    let version: Version = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    match version.encoder_version {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            let problem =
                format!("it is of encoder_version {version} and this program knows {VERSION}; use a newer hinet");
            return Err(refused(problem));
        }
        None => return Err(refused("it has no encoder_version".to_owned())),
    }
    let fitted: Fitted = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    encoder(fitted).map_err(refused)
}

impl Fitted {
    /// Of the current version, without columns of weight, user and request.
    pub(super) fn new(scenario: Scenario, tasks: &[Task], features: Vec<Feature>, tables: Vec<Table>) -> Fitted {
        let tasks = tasks.iter().map(|task| task.saved().clone()).collect();
        let encoder_version = VERSION;
        Fitted { encoder_version, scenario, weight: None, user: None, request: None, tasks, features, tables }
    }
}

impl Scenario {
    /// The id of a scenario, if train had it.
    pub(super) fn id(&self, key: Key<'_>) -> Option<u16> {
        self.values.get(key).map(|id| id as u16)
    }
}

/// Checks what the types cannot.
fn encoder(fitted: Fitted) -> Result<Encoder, String> {
    let scenarios = fitted.scenario.values.len();
    if scenarios == 0 || scenarios > MAX_SCENARIOS || fitted.scenario.rows.len() != scenarios {
        return Err(format!("it has {scenarios} scenarios and counts of rows for {}", fitted.scenario.rows.len()));
    }
    if matches!(fitted.scenario.unknown, UnknownScenario::Scenario(id) if usize::from(id) >= scenarios) {
        return Err("unknown scenarios go to one that is not there".to_owned());
    }
    for feature in &fitted.features {
        check_feature(feature, &fitted.tables)?;
    }
    let tasks = fitted.tasks.iter().cloned().map(Task::new).collect::<Result<Vec<Task>, DataError>>();
    Ok(Encoder::new(fitted, tasks.map_err(|error| error.to_string())?))
}

fn check_feature(feature: &Feature, tables: &[Table]) -> Result<(), String> {
    let column = &feature.column;
    let ids = match &feature.rule {
        Rule::Category { table, .. } | Rule::Bag(BagRule { table, .. }) | Rule::Bucket { table, .. } => {
            let table = tables.get(*table).ok_or_else(|| format!("feature `{column}` has no table"))?;
            &table.ids
        }
        Rule::Number { .. } | Rule::Vector { .. } => return Ok(()),
    };
    let fits = match (&feature.rule, ids) {
        (Rule::Bucket { boundaries, .. }, Ids::Buckets { count }) => {
            boundaries.len() < *count as usize && boundaries.windows(2).all(|pair| pair[0] < pair[1])
        }
        (Rule::Category { .. } | Rule::Bag(_), Ids::Vocabulary { .. }) => true,
        (Rule::Category { .. } | Rule::Bag(_), Ids::Hash { buckets: count, .. } | Ids::Raw { size: count }) => {
            (1..u32::MAX - 2).contains(count)
        }
        (Rule::Bucket { .. } | Rule::Category { .. } | Rule::Bag(_) | Rule::Number { .. } | Rule::Vector { .. }, _) => {
            false
        }
    };
    if fits { Ok(()) } else { Err(format!("feature `{column}` and its table do not fit")) }
}

impl Serialize for Encoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fitted.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Encoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Encoder, D::Error> {
        let fitted = Fitted::deserialize(deserializer)?;
        if fitted.encoder_version != VERSION {
            let problem = format_args!("encoder_version {} instead of {VERSION}", fitted.encoder_version).to_string();
            return Err(serde::de::Error::custom(problem));
        }
        encoder(fitted).map_err(serde::de::Error::custom)
    }
}

/// Objects open lines, lists of plain values stay on one.
#[derive(Default)]
struct Lines {
    depth: usize,
}

impl Lines {
    fn new_line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for Lines {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        CompactFormatter.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        self.new_line(out)?;
        CompactFormatter.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.new_line(out)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
