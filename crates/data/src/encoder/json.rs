//! The encoder's file: versioned JSON that a person can read and a vocabulary of millions does not break.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};

use super::feature::{BagRule, Feature, Rule, Table};
use super::task::{SavedTask, Task};
use super::vocabulary::Vocabulary;
use super::{Encoder, feature::Ids};
use crate::{DataError, UnknownScenario};

/// The version this program writes, and the newest it reads.
const VERSION: u32 = 1;

/// All of the encoder that is not derived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) encoder_version: u32,
    pub(super) scenario: SavedScenario,
    pub(super) weight: Option<String>,
    pub(super) user: Option<String>,
    pub(super) request: Option<String>,
    pub(super) tasks: Vec<SavedTask>,
    pub(super) features: Vec<Feature>,
    pub(super) tables: Vec<Table>,
}

/// The scenario column as saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedScenario {
    pub(super) column: String,
    pub(super) values: Vocabulary,
    pub(super) rows: Vec<u64>,
    pub(super) unknown: UnknownScenario,
}

/// Looked at before all else, whatever else the file holds.
#[derive(Deserialize)]
struct Version {
    encoder_version: Option<u64>,
}

pub(super) fn write(encoder: &Encoder) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Lines::default());
    body(encoder).serialize(&mut serializer).expect("an encoder has no keys or numbers that JSON lacks");
    out.push(b'\n');
    String::from_utf8(out).expect("JSON is UTF-8")
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
    let body: Body = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    encoder(body).map_err(refused)
}

impl Body {
    /// A body of the current version.
    pub(super) fn new(scenario: SavedScenario, tasks: &[Task], features: Vec<Feature>, tables: Vec<Table>) -> Body {
        let tasks = tasks.iter().map(|task| task.saved().clone()).collect();
        let encoder_version = VERSION;
        Body { encoder_version, scenario, weight: None, user: None, request: None, tasks, features, tables }
    }
}

fn body(encoder: &Encoder) -> Body {
    let scenario = SavedScenario {
        column: encoder.scenario.column.clone(),
        values: encoder.scenario.values.clone(),
        rows: encoder.scenario.rows.clone(),
        unknown: encoder.scenario.unknown,
    };
    let body = Body::new(scenario, &encoder.tasks, encoder.features.clone(), encoder.tables.clone());
    Body { weight: encoder.weight.clone(), user: encoder.user.clone(), request: encoder.request.clone(), ..body }
}

/// Checks what the types cannot.
fn encoder(body: Body) -> Result<Encoder, String> {
    let scenarios = body.scenario.values.len();
    if scenarios == 0 || body.scenario.rows.len() != scenarios {
        return Err(format!("it has {scenarios} scenarios and counts of rows for {}", body.scenario.rows.len()));
    }
    if matches!(body.scenario.unknown, UnknownScenario::Scenario(id) if usize::from(id) >= scenarios) {
        return Err("unknown scenarios go to one that is not there".to_owned());
    }
    for feature in &body.features {
        check_feature(feature, &body.tables)?;
    }
    let tasks = body.tasks.iter().cloned().map(Task::new).collect::<Result<Vec<Task>, DataError>>();
    Ok(Encoder::new(body, tasks.map_err(|error| error.to_string())?))
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
        body(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Encoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Encoder, D::Error> {
        let body = Body::deserialize(deserializer)?;
        if body.encoder_version != VERSION {
            let problem = format_args!("encoder_version {} instead of {VERSION}", body.encoder_version).to_string();
            return Err(serde::de::Error::custom(problem));
        }
        encoder(body).map_err(serde::de::Error::custom)
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
