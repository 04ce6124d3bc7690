//! What the model needs to know of the encoded data: tables, slots, scenarios, tasks.

use serde::{Deserialize, Serialize};

/// The shape of everything an [`Encoder`](crate::Encoder) produces. The model is built from this and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Embedding tables, in a fixed order.
    pub tables: Vec<TableSpec>,
    /// One slot per feature column, in the order of the config; their values side by side are the dense input.
    pub slots: Vec<Slot>,
    /// Lists in an order, with what is said of their items by lists beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<Sequence>,
    /// Values of the scenario column, in the order of their ids.
    pub scenarios: Vec<String>,
    /// Rows of train in each scenario (`N_s`), parallel to `scenarios`.
    pub scenario_rows: Vec<u64>,
    /// The tasks, in the order of the config.
    pub tasks: Vec<TaskSpec>,
    /// What happens to a row of an unknown scenario.
    pub unknown: UnknownScenario,
}

/// An embedding table: `[rows, dim]`. Row 0 stands for a missing value, row 1 for an unseen or rare one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    /// The feature's column, or the name columns share the table by.
    pub name: String,
    /// Number of rows, the two reserved ones included.
    pub rows: usize,
    /// Width of a row.
    pub dim: usize,
}

/// A list in an order. In every row all its slots have as many ids, those of one place saying of the same item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Indices into [`Layout::slots`], each a [`Slot::Bag`] without weights: the list itself, then those along it.
    pub slots: Vec<usize>,
    /// Most ids in a row.
    pub length: usize,
}

/// How a feature's column enters the dense input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Slot {
    /// One row of a table per row of data; goes with [`Column::Ids`](crate::Column::Ids).
    Lookup {
        /// The feature's column.
        feature: String,
        /// Index into [`Layout::tables`].
        table: usize,
    },
    /// Any number of table rows per row of data, pooled; goes with [`Column::Bag`](crate::Column::Bag).
    Bag {
        /// The feature's column.
        feature: String,
        /// Index into [`Layout::tables`].
        table: usize,
        /// How the rows become one.
        pooling: Pooling,
    },
    /// Numbers that enter as they are; goes with [`Column::Dense`](crate::Column::Dense).
    Dense {
        /// The feature's column.
        feature: String,
        /// Numbers per row.
        width: usize,
    },
}

/// How the embeddings of several ids become one. A bag without ids gives zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean; with weights, the sum of weight times embedding over the sum of weights (zeros where that sum is 0).
    #[default]
    Mean,
    /// Their sum; with weights, the sum of weight times embedding.
    Sum,
    /// The largest value of each column. Never with weights.
    Max,
}

/// A task as the model sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Its name.
    pub name: String,
    /// Factor of its loss.
    pub weight: f64,
    /// Share of its negative rows that train was given, from above 0 to 1; see
    /// [`TaskConfig::negative_rate`](crate::TaskConfig::negative_rate).
    #[serde(default = "all_negatives", skip_serializing_if = "is_all")]
    pub negative_rate: f64,
}

/// What happens to a row whose scenario was not seen in train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownScenario {
    /// Encoding the row is an error.
    Error,
    /// The row gets the id `scenarios.len()` and is scored by the mean over scenarios.
    Mean,
    /// The row counts as one of the scenario with this id.
    Scenario(u16),
}

impl TaskSpec {
    /// A task of weight 1, whose negative rows are all there.
    pub fn new(name: impl Into<String>) -> TaskSpec {
        TaskSpec { name: name.into(), weight: 1.0, negative_rate: all_negatives() }
    }
}

/// Whether a share of negatives that were kept can be one.
pub(crate) fn is_negative_rate(rate: f64) -> bool {
    rate > 0.0 && rate <= 1.0
}

/// No negative was dropped: what files say that were written before there was a rate.
pub(crate) fn all_negatives() -> f64 {
    1.0
}

pub(crate) fn is_all(rate: &f64) -> bool {
    *rate == all_negatives()
}

impl Layout {
    /// Width of the dense input: the slots' widths added up.
    pub fn width(&self) -> usize {
        self.slots.iter().map(|slot| self.slot_width(slot)).sum()
    }

    /// Columns one slot takes in the dense input.
    pub fn slot_width(&self, slot: &Slot) -> usize {
        match slot {
            Slot::Lookup { table, .. } | Slot::Bag { table, .. } => self.tables[*table].dim,
            Slot::Dense { width, .. } => *width,
        }
    }

    /// The sequence whose list is the feature of this name.
    pub fn sequence(&self, feature: &str) -> Option<&Sequence> {
        self.sequences.iter().find(|sequence| self.slots[sequence.slots[0]].feature() == feature)
    }

    /// Groups of a batch: one per scenario and a last one for rows of an unknown scenario.
    pub fn groups(&self) -> usize {
        self.scenarios.len() + 1
    }

    /// Rows of train over all scenarios.
    pub fn train_rows(&self) -> u64 {
        self.scenario_rows.iter().sum()
    }
}

impl Slot {
    /// The feature's column.
    pub fn feature(&self) -> &str {
        match self {
            Slot::Lookup { feature, .. } | Slot::Bag { feature, .. } | Slot::Dense { feature, .. } => feature,
        }
    }

    /// The table it reads, if any.
    pub fn table(&self) -> Option<usize> {
        match self {
            Slot::Lookup { table, .. } | Slot::Bag { table, .. } => Some(*table),
            Slot::Dense { .. } => None,
        }
    }
}
