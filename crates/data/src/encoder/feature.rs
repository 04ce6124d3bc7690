//! Fitted rules: what becomes of each feature's column.

use arrow::array::Array;
use serde::{Deserialize, Serialize};

use super::items::MISSING;
use super::key::Key;
use super::memo::Memo;
use super::number::Scale;
use super::refusal::Refusal;
use super::vocabulary::Vocabulary;
use crate::{Keep, Missing, Pooling, Sequence, Slot, TableSpec, VectorMissing};

/// Row of a table that stands for a missing value.
pub(crate) const MISSING_ROW: u32 = 0;
/// Row of a table that stands for an unseen or rare value.
pub(crate) const UNSEEN_ROW: u32 = 1;
/// Row of a table that belongs to its first value.
pub(crate) const FIRST_ROW: u32 = 2;

/// A feature's column and its rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feature {
    /// The column.
    pub(crate) column: String,
    /// What becomes of it.
    pub(crate) rule: Rule,
}

/// What becomes of a column. `table` is an index into the encoder's tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Rule {
    /// One category.
    Category { table: usize, mix_column: bool, missing: Missing },
    /// One number, as the bucket it falls in.
    Bucket { table: usize, boundaries: Vec<f64>, missing: Missing },
    /// One number, as it is.
    Number { scale: Scale, missing: Missing },
    /// Any number of categories.
    Bag(BagRule),
    /// A fixed number of numbers.
    Vector { length: usize, separator: String, missing: VectorMissing },
}

/// Any number of categories, with weights or without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BagRule {
    pub(crate) table: usize,
    pub(crate) mix_column: bool,
    pub(crate) separator: String,
    pub(crate) pooling: Pooling,
    /// Nothing: without weights.
    pub(crate) weights: Option<Weights>,
    /// Items kept; nothing: all.
    pub(crate) limit: Option<usize>,
    pub(crate) keep: Keep,
    pub(crate) missing: Missing,
    /// Nothing: ids in no order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order: Option<ListOrder>,
}

/// What is known of the order of a bag's ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListOrder {
    /// The list of which this one says more, item by item.
    pub(crate) along: Option<String>,
    /// Whether missing items keep their places, since another list has as many.
    pub(crate) aligned: bool,
}

/// Where weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Weights {
    /// The same column: a list of pairs, a map, or a text with this between category and weight.
    Separator(String),
    /// A column of their own.
    Column(String),
}

/// An embedding table and how values become its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) dim: usize,
    pub(crate) ids: Ids,
}

/// How values become rows of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "encoding", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ids {
    /// Each value its row, in this order.
    Vocabulary { values: Vocabulary },
    /// xxh3 (64 bits) of the value's text, modulo the number of buckets.
    Hash { buckets: u32, seed: u64 },
    /// The value is the row.
    Raw { size: u32 },
    /// A bucket of numbers.
    Buckets { count: u32 },
}

impl Table {
    /// Number of rows, the two reserved ones included.
    pub(crate) fn rows(&self) -> usize {
        FIRST_ROW as usize
            + match &self.ids {
                Ids::Vocabulary { values } => values.len(),
                Ids::Hash { buckets, .. } => *buckets as usize,
                Ids::Raw { size } => *size as usize,
                Ids::Buckets { count } => *count as usize,
            }
    }

    /// The table as the layout has it.
    pub(crate) fn spec(&self) -> TableSpec {
        TableSpec { name: self.name.clone(), rows: self.rows(), dim: self.dim }
    }
}

impl Ids {
    /// The row of a category. `salt` is [`salted`] for a hash.
    #[inline]
    pub(crate) fn row(&self, key: Key<'_>, salt: u64) -> u32 {
        match self {
            Ids::Vocabulary { values } => known_row(values, key),
            Ids::Hash { buckets, .. } => hashed_row(*buckets, key, salt),
            Ids::Raw { size } => match key {
                Key::Integer(value) if (0..i64::from(*size)).contains(&value) => FIRST_ROW + value as u32,
                Key::Integer(_) | Key::Text(_) => UNSEEN_ROW,
            },
            Ids::Buckets { .. } => UNSEEN_ROW,
        }
    }

    /// [`row`](Ids::row) of the category in every cell; [`MISSING`] in the place of a missing one.
    pub(crate) fn rows(&self, cells: &dyn Array, salt: u64, memo: &mut Memo<u32>) -> Result<Vec<u32>, Refusal> {
        // A loop for each kind, so that a row does not ask which it is.
        match self {
            Ids::Vocabulary { values } => memo.map(cells, MISSING, &mut |key| known_row(values, key)),
            Ids::Hash { buckets, .. } => memo.map(cells, MISSING, &mut |key| hashed_row(*buckets, key, salt)),
            Ids::Raw { .. } | Ids::Buckets { .. } => memo.map(cells, MISSING, &mut |key| self.row(key, salt)),
        }
    }

    /// The seed to hash a column's values with: with `mix_column` the hash of the column's name.
    pub(crate) fn salted(&self, column: &str, mix_column: bool) -> u64 {
        match self {
            Ids::Hash { seed, .. } if mix_column => Key::Text(column).hash(*seed),
            Ids::Hash { seed, .. } => *seed,
            Ids::Vocabulary { .. } | Ids::Raw { .. } | Ids::Buckets { .. } => 0,
        }
    }
}

#[inline]
fn known_row(values: &Vocabulary, key: Key<'_>) -> u32 {
    values.get(key).map_or(UNSEEN_ROW, |id| FIRST_ROW + id)
}

#[inline]
fn hashed_row(buckets: u32, key: Key<'_>, salt: u64) -> u32 {
    FIRST_ROW + (key.hash(salt) % u64::from(buckets)) as u32
}

/// The lists in an order, each with those along it.
pub(crate) fn sequences(features: &[Feature]) -> Vec<Sequence> {
    let places = || features.iter().enumerate();
    let lists = places().filter_map(|(place, feature)| match &feature.rule {
        Rule::Bag(BagRule { limit: Some(length), order: Some(ListOrder { along: None, .. }), .. }) => {
            let beside = places().filter(|(_, other)| other.along() == Some(&feature.column));
            let slots = std::iter::once(place).chain(beside.map(|(place, _)| place)).collect();
            Some(Sequence { slots, length: *length })
        }
        Rule::Bag(_) | Rule::Category { .. } | Rule::Bucket { .. } | Rule::Number { .. } | Rule::Vector { .. } => None,
    });
    lists.collect()
}

impl Feature {
    /// How the feature enters the dense input.
    pub(crate) fn slot(&self) -> Slot {
        let feature = self.column.clone();
        match &self.rule {
            Rule::Category { table, .. } | Rule::Bucket { table, .. } => Slot::Lookup { feature, table: *table },
            Rule::Bag(bag) => Slot::Bag { feature, table: bag.table, pooling: bag.pooling },
            Rule::Number { .. } => Slot::Dense { feature, width: 2 },
            Rule::Vector { length, .. } => Slot::Dense { feature, width: *length },
        }
    }

    /// What is known of the order of its ids, if anything.
    pub(crate) fn order(&self) -> Option<&ListOrder> {
        if let Rule::Bag(BagRule { order, .. }) = &self.rule { order.as_ref() } else { None }
    }

    /// The list of which it says more, if any.
    pub(crate) fn along(&self) -> Option<&str> {
        self.order()?.along.as_deref()
    }

    /// Whether it gives ids with weights.
    pub(crate) fn is_weighted(&self) -> bool {
        matches!(&self.rule, Rule::Bag(BagRule { weights: Some(_), .. }))
    }

    /// The columns it reads.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        let weights = match &self.rule {
            Rule::Bag(BagRule { weights: Some(Weights::Column(column)), .. }) => Some(column.as_str()),
            Rule::Bag(_) | Rule::Category { .. } | Rule::Bucket { .. } | Rule::Number { .. } | Rule::Vector { .. } => {
                None
            }
        };
        std::iter::once(self.column.as_str()).chain(weights)
    }

    /// Whether a text format should leave the column's cells as they stand: everything but plain numbers.
    pub(crate) fn wants_text(&self) -> bool {
        match &self.rule {
            Rule::Category { .. } | Rule::Bag(_) | Rule::Vector { .. } => true,
            Rule::Bucket { .. } | Rule::Number { .. } => false,
        }
    }
}
