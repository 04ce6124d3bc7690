//! What the experiment file says about inputs: the entries of `[[feature]]`, one struct per kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pooling;
use super::data_config::Scalar;

/// A rule for one or several columns: an entry of `[[feature]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureConfig {
    /// One category per row.
    Categorical(CategoricalConfig),
    /// One number per row.
    Numeric(NumericConfig),
    /// Several categories per row, in no order.
    Multi(MultiConfig),
    /// Several categories per row, each with a weight.
    Weighted(WeightedConfig),
    /// Several categories per row, in order of time.
    Sequence(SequenceConfig),
    /// A fixed number of numbers per row, such as an embedding made elsewhere.
    Vector(VectorConfig),
}

/// One category per row, looked up in an embedding table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoricalConfig {
    /// Columns this rule is for.
    pub columns: Vec<String>,
    /// How a value becomes a row of the table.
    #[serde(default)]
    pub encoding: Encoding,
    /// With `vocabulary`: values seen less often in train share the row of unseen values.
    #[serde(default = "default_min_count")]
    pub min_count: u64,
    /// With `hash`: number of buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<u32>,
    /// With `hash`: seed of the hash (xxh3, 64 bits).
    #[serde(default)]
    pub hash_seed: u64,
    /// With `hash`: mix the column's name into the hash, so that the same value in two columns of a shared table meets different rows.
    #[serde(default)]
    pub hash_column: bool,
    /// With `raw`: ids are whole numbers from 0 up to, not including, this; others count as unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Width of an embedding.
    #[serde(default = "default_dim")]
    pub dim: usize,
    /// `own`: a table for each column. Any other name: one table shared by all columns that say so; its vocabulary is fitted over all of them.
    #[serde(default = "default_table")]
    pub table: String,
    /// What a missing cell means: `own_row`, `error`, or a value to take instead. What is nearly one of the two words is refused.
    #[serde(default)]
    pub missing: Missing,
}

/// One number per row: cut into buckets with an embedding each, or passed on as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumericConfig {
    /// Columns this rule is for.
    pub columns: Vec<String>,
    /// What becomes of the number.
    #[serde(default)]
    pub transform: Transform,
    /// With `quantile`: number of buckets with about equally many training rows.
    #[serde(default = "default_buckets")]
    pub buckets: usize,
    /// With `boundaries`: where buckets begin, ascending. A number equal to a boundary belongs to the bucket above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boundaries: Vec<f64>,
    /// With `quantile` and `boundaries`: width of a bucket's embedding. The other transforms always take two columns of the dense input:
    /// the number and whether it was missing.
    #[serde(default = "default_dim")]
    pub dim: usize,
    /// What a missing cell means. With `own_row`, `quantile` and `boundaries` give it its own embedding, the others the numbers 0 and 1.
    #[serde(default)]
    pub missing: Missing,
}

/// Several categories per row, pooled: a list column, or a text with a separator. An empty list is missing; empty parts are skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultiConfig {
    /// Columns this rule is for.
    pub columns: Vec<String>,
    /// What stands between two categories in a text column.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// How the embeddings become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Categories kept per row, the first ones; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// How a value becomes a row of the table.
    #[serde(default)]
    pub encoding: Encoding,
    /// With `vocabulary`: values seen less often in train share the row of unseen values.
    #[serde(default = "default_min_count")]
    pub min_count: u64,
    /// With `hash`: number of buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<u32>,
    /// With `hash`: seed of the hash (xxh3, 64 bits).
    #[serde(default)]
    pub hash_seed: u64,
    /// With `hash`: mix the column's name into the hash.
    #[serde(default)]
    pub hash_column: bool,
    /// With `raw`: ids are whole numbers from 0 up to, not including, this; others count as unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Width of an embedding.
    #[serde(default = "default_dim")]
    pub dim: usize,
    /// `own`: a table for each column. Any other name: one table shared by all columns that say so.
    #[serde(default = "default_table")]
    pub table: String,
    /// What a missing cell means: `own_row`, `error`, or a value to take instead. What is nearly one of the two words is refused.
    #[serde(default)]
    pub missing: Missing,
}

/// Several categories per row, each with a weight: a text such as `7:0.5,9:2`, a list of (category, weight) structs, a map,
/// or a list of categories beside a list of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedConfig {
    /// Columns this rule is for.
    pub columns: Vec<String>,
    /// Columns with the weights, parallel to `columns`, where they stand apart: as many per row as there are categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weight_columns: Vec<String>,
    /// What stands between two pairs in a text column.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// What stands between category and weight in a text column, at its last occurrence; without `weight_columns` only.
    #[serde(default = "default_weight_separator")]
    pub weight_separator: String,
    /// How the embeddings become one: `mean` (weights of zero or more) or `sum` (any finite weights).
    #[serde(default)]
    pub pooling: Pooling,
    /// Pairs kept per row, the first ones; without it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// How a value becomes a row of the table.
    #[serde(default)]
    pub encoding: Encoding,
    /// With `vocabulary`: values seen less often in train share the row of unseen values.
    #[serde(default = "default_min_count")]
    pub min_count: u64,
    /// With `hash`: number of buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<u32>,
    /// With `hash`: seed of the hash (xxh3, 64 bits).
    #[serde(default)]
    pub hash_seed: u64,
    /// With `hash`: mix the column's name into the hash.
    #[serde(default)]
    pub hash_column: bool,
    /// With `raw`: ids are whole numbers from 0 up to, not including, this; others count as unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Width of an embedding.
    #[serde(default = "default_dim")]
    pub dim: usize,
    /// `own`: a table for each column. Any other name: one table shared by all columns that say so.
    #[serde(default = "default_table")]
    pub table: String,
    /// What a missing cell means: `own_row`, `error`, or a value to take instead, which weighs 1 like the row of its own. What is
    /// nearly one of the two words is refused.
    #[serde(default)]
    pub missing: Missing,
}

/// Several categories per row in order of time, cut to a length and pooled: a list column, or a text with a separator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SequenceConfig {
    /// Columns this rule is for.
    pub columns: Vec<String>,
    /// What stands between two categories in a text column.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// Categories kept per row.
    #[serde(default = "default_length")]
    pub length: usize,
    /// Which end of a longer sequence is kept.
    #[serde(default)]
    pub keep: Keep,
    /// The column of another sequence of which this one says more, item by item, such as the category of each. In every row both have as
    /// many items, of which a missing one keeps its place; `length` and `keep` agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub along: Option<String>,
    /// How the embeddings become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// How a value becomes a row of the table.
    #[serde(default)]
    pub encoding: Encoding,
    /// With `vocabulary`: values seen less often in train share the row of unseen values.
    #[serde(default = "default_min_count")]
    pub min_count: u64,
    /// With `hash`: number of buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<u32>,
    /// With `hash`: seed of the hash (xxh3, 64 bits).
    #[serde(default)]
    pub hash_seed: u64,
    /// With `hash`: mix the column's name into the hash.
    #[serde(default)]
    pub hash_column: bool,
    /// With `raw`: ids are whole numbers from 0 up to, not including, this; others count as unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Width of an embedding.
    #[serde(default = "default_dim")]
    pub dim: usize,
    /// `own`: a table for each column. Any other name: one table shared by all columns that say so.
    #[serde(default = "default_table")]
    pub table: String,
    /// What a missing cell means: `own_row`, `error`, or a value to take instead. What is nearly one of the two words is refused.
    #[serde(default)]
    pub missing: Missing,
}

/// A fixed number of numbers per row: a list column, or a text with a separator. Another length is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VectorConfig {
    /// Columns this rule is for.
    pub columns: Vec<String>,
    /// Numbers per row.
    pub length: usize,
    /// What stands between two numbers in a text column.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// What a missing cell means.
    #[serde(default)]
    pub missing: VectorMissing,
}

/// How a category becomes a row of its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Each value found in train often enough has a row.
    #[default]
    Vocabulary,
    /// The value's hash picks one of a fixed number of rows.
    Hash,
    /// The value is a whole number and picks its row itself.
    Raw,
}

/// What becomes of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Buckets with about equally many training rows each, from a quantile sketch.
    #[default]
    Quantile,
    /// `sign(x) ln(1 + |x|)`.
    Log,
    /// `(x - mean) / deviation`, both of train; 0 where the column is constant.
    Standard,
    /// Buckets between the numbers of `boundaries`.
    Boundaries,
    /// The number itself.
    None,
}

/// What a missing cell means: `"own_row"`, `"error"`, or a value to take instead. Empty text and not-a-number are missing.
/// What is nearly one of the two words, such as `"own-row"`, is refused as misspelt: it cannot be a value to take instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Scalar", into = "Scalar")]
#[schemars(with = "Scalar")]
pub enum Missing {
    /// Missing is a value of its own.
    #[default]
    OwnRow,
    /// Refuse the row.
    Error,
    /// As if the cell held this value.
    Value(String),
}

impl Missing {
    /// The word that a value to take instead comes so near to that it is taken for a slip: the same letters whatever their
    /// case and what stands between them, or one letter more, less, other or swapped.
    pub(crate) fn slip(value: &str) -> Option<&'static str> {
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        let written = letters(value);
        [OWN_ROW, ERROR].into_iter().find(|word| strsim::osa_distance(&written, &letters(word)) <= 1)
    }
}

/// What a missing vector means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VectorMissing {
    /// Refuse the row.
    #[default]
    Error,
    /// All zeros.
    Zeros,
}

/// Which end of a sequence that is too long is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The beginning.
    First,
    /// The end: the newest, where sequences grow at their end.
    #[default]
    Last,
}

impl FeatureConfig {
    /// Columns the rule is for.
    pub fn columns(&self) -> &[String] {
        match self {
            FeatureConfig::Categorical(config) => &config.columns,
            FeatureConfig::Numeric(config) => &config.columns,
            FeatureConfig::Multi(config) => &config.columns,
            FeatureConfig::Weighted(config) => &config.columns,
            FeatureConfig::Sequence(config) => &config.columns,
            FeatureConfig::Vector(config) => &config.columns,
        }
    }

    /// The word that names the kind in the config.
    pub fn kind(&self) -> &'static str {
        match self {
            FeatureConfig::Categorical(_) => "categorical",
            FeatureConfig::Numeric(_) => "numeric",
            FeatureConfig::Multi(_) => "multi",
            FeatureConfig::Weighted(_) => "weighted",
            FeatureConfig::Sequence(_) => "sequence",
            FeatureConfig::Vector(_) => "vector",
        }
    }
}

impl Default for CategoricalConfig {
    fn default() -> Self {
        CategoricalConfig {
            columns: Vec::new(),
            encoding: Encoding::default(),
            min_count: default_min_count(),
            buckets: None,
            hash_seed: 0,
            hash_column: false,
            size: None,
            dim: default_dim(),
            table: default_table(),
            missing: Missing::default(),
        }
    }
}

impl Default for NumericConfig {
    fn default() -> Self {
        NumericConfig {
            columns: Vec::new(),
            transform: Transform::default(),
            buckets: default_buckets(),
            boundaries: Vec::new(),
            dim: default_dim(),
            missing: Missing::default(),
        }
    }
}

impl From<Scalar> for Missing {
    fn from(value: Scalar) -> Missing {
        match value.into_text() {
            text if text == OWN_ROW => Missing::OwnRow,
            text if text == ERROR => Missing::Error,
            text => Missing::Value(text),
        }
    }
}

impl From<Missing> for Scalar {
    fn from(policy: Missing) -> Scalar {
        Scalar::Text(match policy {
            Missing::OwnRow => OWN_ROW.to_owned(),
            Missing::Error => ERROR.to_owned(),
            Missing::Value(value) => value,
        })
    }
}

const OWN_ROW: &str = "own_row";
const ERROR: &str = "error";

/// The name of a table that belongs to its column alone.
pub(crate) const OWN_TABLE: &str = "own";

pub(crate) fn default_min_count() -> u64 {
    2
}

pub(crate) fn default_dim() -> usize {
    16
}

pub(crate) fn default_buckets() -> usize {
    20
}

fn default_length() -> usize {
    50
}

fn default_table() -> String {
    OWN_TABLE.to_owned()
}

fn default_separator() -> String {
    ",".to_owned()
}

pub(crate) fn default_weight_separator() -> String {
    ":".to_owned()
}
