//! From raw rows to encoded ones: fitted on train, saved beside the weights, the same wherever the model goes.

mod counts;
mod draft;
mod encode;
mod feature;
mod fit;
mod grow;
mod input;
mod items;
mod json;
mod key;
mod memo;
mod number;
mod refusal;
mod sketch;
mod task;
mod vocabulary;

use std::path::Path;

pub use counts::{EncodeCounts, FeatureCounts};
pub use input::{InputColumn, InputKind};

use self::encode::Memos;
pub use self::encode::RowEncoder;
use self::feature::{Feature, Table};
use self::json::Fitted;
use self::task::Task;
use crate::work::Work;
use crate::{Batch, DataError, FeatureConfig, Layout, Rows, SchemaConfig, Source, TaskSpec, UnknownScenario};

/// Turns raw rows into a [`Batch`]: categories into rows of tables, numbers into buckets or scaled numbers, scenarios into ids.
/// Fitted on train alone; saved as versioned JSON.
///
/// A category means the same however it is written: `2`, `2.0` and `"2"` are one value, `true` and `"true"` too; `"02"` is another.
/// A null, an empty text and not-a-number are missing. Row 0 of every table stands for a missing value, row 1 for one that train did not
/// have (or too rarely); values follow from row 2 on, the most frequent first, equally frequent ones by value.
#[derive(Clone, Debug)]
pub struct Encoder {
    fitted: Fitted,
    /// The fitted tasks with their expressions read.
    tasks: Vec<Task>,
    layout: Layout,
    /// Labels of train by task; none of an encoder that was read from a file.
    labels: Vec<LabelCounts>,
}

/// Labels of a task over the rows of train where it is observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelCounts {
    /// Rows with label 0.
    pub negatives: u64,
    /// Rows with label 1.
    pub positives: u64,
}

/// What the rows are encoded for, and so which columns are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To learn or to evaluate: features, scenario, labels, weights, user, request.
    Labels,
    /// To score: features and scenario only. Labels stay empty, every row weighs 1.
    Features,
}

impl Encoder {
    /// Learns vocabularies, quantiles, means and scenarios from train and counts its labels, in one pass over the columns concerned.
    ///
    /// Vocabularies are held in memory, and while fitting with every value met, rare ones too; everything else is bounded.
    ///
    /// # Errors
    /// [`DataError::Config`] for options that contradict one another, with keys such as `feature[0].buckets` (counted from 0), `task[1].name`,
    /// `scenario.unknown`; [`DataError::Expression`]; [`DataError::MissingColumn`]; [`DataError::Empty`] without rows;
    /// [`DataError::BadValue`] for cells that do not fit; whatever reading gives.
    pub fn fit(config: &SchemaConfig<'_>, train: &Source) -> Result<Encoder, DataError> {
        fit::fit(config, train)
    }

    /// The shape of what comes out: all that a model needs to know.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// For each slot of the layout, whether its ids come with weights.
    pub fn weighted(&self) -> Vec<bool> {
        self.fitted.features.iter().map(Feature::is_weighted).collect()
    }

    /// Labels of train, parallel to the layout's tasks. Empty if the encoder was read from a file: it does not hold them.
    pub fn labels(&self) -> &[LabelCounts] {
        &self.labels
    }

    /// Features that are made of nothing but columns for which `is_among` holds.
    pub fn features_of(&self, is_among: impl Fn(&str) -> bool) -> Vec<&str> {
        let features = self.fitted.features.iter().filter(|feature| feature.columns().all(&is_among));
        features.map(|feature| feature.column.as_str()).collect()
    }

    /// Columns that encoding reads, each once, in a fixed order.
    pub fn columns(&self, need: Need) -> Vec<String> {
        let mut columns = vec![self.fitted.scenario.column.clone()];
        columns.extend(self.fitted.features.iter().flat_map(Feature::columns).map(str::to_owned));
        if need == Need::Labels {
            columns
                .extend([&self.fitted.weight, &self.fitted.user, &self.fitted.request].into_iter().flatten().cloned());
            columns.extend(self.tasks.iter().flat_map(Task::columns));
        }
        let mut seen = std::collections::BTreeSet::new();
        columns.retain(|column| seen.insert(column.clone()));
        columns
    }

    /// Columns that should be read as text where the format leaves the choice: categories, so that `007` is not `7`.
    /// [`Encoder::fit`] and the streams of this crate see to it themselves; who reads files otherwise passes this to
    /// [`Source::with_text_columns`].
    pub fn text_columns(&self) -> Vec<String> {
        text_columns(&self.fitted.features, &self.fitted.scenario.column, &[&self.fitted.user, &self.fitted.request])
    }

    /// Columns that should be read as numbers with a fraction where the format leaves the choice, so that a column of whole first rows may
    /// have others later; for [`Source::with_number_columns`], before the texts.
    pub fn number_columns(&self) -> Vec<String> {
        number_columns(&self.fitted.features)
    }

    /// Encodes rows, in their order (not grouped; [`Batch::grouped`] does that); for batch after batch there is [`RowEncoder`]. What train had not is counted in `counts`.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`]; [`DataError::UnknownScenario`] under the policy `error`; [`DataError::BadValue`] for cells that do not
    /// fit: a label other than 0, 1 or nothing, a weight below zero, a text where a number is needed, a missing value under the policy
    /// `error`.
    pub fn encode(&self, rows: &Rows, need: Need, counts: &mut EncodeCounts) -> Result<Batch, DataError> {
        let mut memos = Memos::once(self.fitted.features.len());
        encode::Encode { encoder: self, rows, work: Work::InTurn }.batch(need, &mut memos, counts)
    }

    /// The value behind a row of a table with a vocabulary; nothing for the reserved rows 0 and 1, for other tables and beyond the end.
    pub fn value(&self, table: usize, row: u32) -> Option<String> {
        let place = row.checked_sub(feature::FIRST_ROW)?;
        match &self.fitted.tables.get(table)?.ids {
            feature::Ids::Vocabulary { values } => {
                ((place as usize) < values.len()).then(|| values.value(place).to_string())
            }
            feature::Ids::Hash { .. } | feature::Ids::Raw { .. } | feature::Ids::Buckets { .. } => None,
        }
    }

    /// The encoder as JSON: objects on lines of their own, lists of values on one line; the same encoder gives the same text.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Reads what [`Encoder::to_json`] wrote; `file` is for messages.
    ///
    /// # Errors
    /// [`DataError::Format`] for a version this program does not know, for what is no encoder, and for one that contradicts itself.
    pub fn from_json(text: &str, file: &Path) -> Result<Encoder, DataError> {
        json::read(text, file)
    }

    /// All that encoded rows depend on, as text: encoders with the same one give the same rows.
    pub(crate) fn rules(&self) -> String {
        json::rules(self)
    }

    /// What the config alone says of the layout, before train is seen: all features, tables without values, one scenario.
    ///
    /// # Errors
    /// [`DataError::Config`] for features that contradict one another.
    pub fn layout_of(features: &[FeatureConfig], tasks: Vec<TaskSpec>) -> Result<Layout, DataError> {
        let draft = draft::Draft::new(features)?;
        Ok(Layout {
            tables: draft.tables.iter().map(Table::spec).collect(),
            slots: draft.features.iter().map(Feature::slot).collect(),
            sequences: feature::sequences(&draft.features),
            scenarios: vec![String::new()],
            scenario_rows: vec![1],
            tasks,
            unknown: UnknownScenario::Error,
        })
    }

    /// Derives the layout.
    fn new(fitted: Fitted, tasks: Vec<Task>) -> Encoder {
        let layout = Layout {
            tables: fitted.tables.iter().map(Table::spec).collect(),
            slots: fitted.features.iter().map(Feature::slot).collect(),
            sequences: feature::sequences(&fitted.features),
            scenarios: fitted.scenario.values.values().map(|value| value.to_string()).collect(),
            scenario_rows: fitted.scenario.rows.clone(),
            tasks: tasks.iter().map(Task::spec).collect(),
            unknown: fitted.scenario.unknown,
        };
        Encoder { fitted, tasks, layout, labels: Vec::new() }
    }
}

/// Columns of categories, of the scenario, and of groups.
fn text_columns(features: &[Feature], scenario: &str, groups: &[&Option<String>]) -> Vec<String> {
    let categories = features.iter().filter(|feature| feature.wants_text()).flat_map(Feature::columns);
    let groups = groups.iter().filter_map(|column| column.as_deref());
    let mut columns: Vec<String> =
        categories.chain(std::iter::once(scenario)).chain(groups).map(str::to_owned).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn number_columns(features: &[Feature]) -> Vec<String> {
    features.iter().filter(|feature| !feature.wants_text()).flat_map(Feature::columns).map(str::to_owned).collect()
}
