//! From the config's features to rules that still need train: every inconsistent option is refused here, by its key.

use super::feature::{BagRule, Feature, Ids, ListOrder, Rule, Table, Weights};
use super::key::Key;
use super::number::Scale;
use super::vocabulary::Vocabulary;
use crate::schema::{OWN_TABLE, default_buckets, default_dim, default_min_count, default_weight_separator};
use crate::{
    CategoricalConfig, DataError, Encoding, FeatureConfig, Keep, Missing, MultiConfig, NumericConfig, Pooling,
    SequenceConfig, Transform, VectorConfig, WeightedConfig,
};

/// Rules before they have seen train.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) features: Vec<Feature>,
    pub(crate) tables: Vec<Table>,
    /// With a vocabulary: how often a value must occur; parallel to `tables`.
    pub(crate) min_counts: Vec<u64>,
    /// What must be found out about numbers: by index of the feature.
    pub(crate) numbers: Vec<(usize, NumberFit)>,
}

/// What must be found out about a column of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberFit {
    /// Boundaries of this many buckets.
    Quantiles(usize),
    /// Mean and deviation.
    Moments,
}

/// What all kinds that look up a table have in common.
#[derive(Clone, Copy)]
struct Lookup<'a> {
    encoding: Encoding,
    min_count: u64,
    buckets: Option<u32>,
    hash_seed: u64,
    hash_column: bool,
    size: Option<u32>,
    dim: usize,
    table: &'a str,
    missing: &'a Missing,
}

macro_rules! lookup_of {
    ($config:expr) => {
        Lookup {
            encoding: $config.encoding,
            min_count: $config.min_count,
            buckets: $config.buckets,
            hash_seed: $config.hash_seed,
            hash_column: $config.hash_column,
            size: $config.size,
            dim: $config.dim,
            table: &$config.table,
            missing: &$config.missing,
        }
    };
}

/// What all kinds with several categories per row have in common.
struct Bag<'a> {
    lookup: Lookup<'a>,
    separator: &'a str,
    pooling: Pooling,
    /// Categories kept per row, and the option that says so.
    limit: (&'static str, Option<usize>),
    keep: Keep,
    weights: Option<Weights>,
    order: Option<ListOrder>,
}

macro_rules! bag_of {
    ($config:expr, $limit:expr, $keep:expr, $weights:expr) => {
        Bag {
            lookup: lookup_of!($config),
            separator: &$config.separator,
            pooling: $config.pooling,
            limit: $limit,
            keep: $keep,
            weights: $weights,
            order: None,
        }
    };
}

/// The key of an entry of the config, from which the keys of its options are made.
struct Place(String);

impl Place {
    fn refuse(&self, option: &str, problem: impl Into<String>) -> DataError {
        DataError::config(&format!("{}.{option}", self.0), problem)
    }

    fn must(&self, holds: bool, option: &str, problem: &str) -> Result<(), DataError> {
        if holds { Ok(()) } else { Err(self.refuse(option, problem)) }
    }
}

impl Draft {
    /// Checks the features and makes their rules. Keys of errors are `feature[0].buckets`, counted from 0.
    pub(crate) fn new(configs: &[FeatureConfig]) -> Result<Draft, DataError> {
        if configs.is_empty() {
            return Err(DataError::config("feature", "there must be at least one [[feature]]"));
        }
        let mut draft = Draft::default();
        for (index, config) in configs.iter().enumerate() {
            let place = Place(format!("feature[{index}]"));
            place.must(!config.columns().is_empty(), "columns", "must name at least one column")?;
            for column in config.columns() {
                let twice = draft.features.iter().any(|feature| feature.column == *column);
                place.must(!twice, "columns", &format!("column `{column}` is a feature already"))?;
                let rule = draft.rule(config, column, &place)?;
                draft.features.push(Feature { column: column.clone(), rule });
            }
        }
        draft.distinct_tables(configs)?;
        draft.align(configs)?;
        Ok(draft)
    }

    fn rule(&mut self, config: &FeatureConfig, column: &str, place: &Place) -> Result<Rule, DataError> {
        match config {
            FeatureConfig::Categorical(config) => self.category(config, column, place),
            FeatureConfig::Numeric(config) => self.numeric(config, column, place),
            FeatureConfig::Multi(config) => self.multi(config, column, place),
            FeatureConfig::Weighted(config) => self.weighted(config, column, place),
            FeatureConfig::Sequence(config) => self.sequence(config, column, place),
            FeatureConfig::Vector(config) => vector(config, place),
        }
    }

    fn category(&mut self, config: &CategoricalConfig, column: &str, place: &Place) -> Result<Rule, DataError> {
        let table = self.table(lookup_of!(config), column, place)?;
        Ok(Rule::Category { table, mix_column: config.hash_column, missing: config.missing.clone() })
    }

    fn multi(&mut self, config: &MultiConfig, column: &str, place: &Place) -> Result<Rule, DataError> {
        self.bag(bag_of!(config, ("max_length", config.max_length), Keep::First, None), column, place)
    }

    fn sequence(&mut self, config: &SequenceConfig, column: &str, place: &Place) -> Result<Rule, DataError> {
        let bag = bag_of!(config, ("length", Some(config.length)), config.keep, None);
        let order = ListOrder { along: config.along.clone(), aligned: config.along.is_some() };
        self.bag(Bag { order: Some(order), ..bag }, column, place)
    }

    fn weighted(&mut self, config: &WeightedConfig, column: &str, place: &Place) -> Result<Rule, DataError> {
        place.must(config.pooling != Pooling::Max, "pooling", "`max` has no use for weights; take `mean` or `sum`")?;
        let weights = Some(weights(config, column, place)?);
        self.bag(bag_of!(config, ("max_length", config.max_length), Keep::First, weights), column, place)
    }

    fn bag(&mut self, bag: Bag<'_>, column: &str, place: &Place) -> Result<Rule, DataError> {
        let Bag { lookup, separator, pooling, limit: (option, limit), keep, weights, order } = bag;
        place.must(!separator.is_empty(), "separator", "must not be empty")?;
        place.must(limit != Some(0), option, "must be 1 or more")?;
        Ok(Rule::Bag(BagRule {
            table: self.table(lookup, column, place)?,
            mix_column: lookup.hash_column,
            separator: separator.to_owned(),
            pooling,
            weights,
            limit,
            keep,
            missing: lookup.missing.clone(),
            order,
        }))
    }

    /// Finds the list of each one that goes along another; items of both keep their places.
    fn align(&mut self, configs: &[FeatureConfig]) -> Result<(), DataError> {
        for (index, config) in configs.iter().enumerate() {
            let FeatureConfig::Sequence(SequenceConfig { along: Some(list), length, keep, .. }) = config else {
                continue;
            };
            let place = Place(format!("feature[{index}]"));
            let found =
                self.features.iter_mut().find(|feature| feature.column == *list).map(|feature| &mut feature.rule);
            let Some(Rule::Bag(BagRule {
                order: Some(order @ ListOrder { along: None, .. }), limit, keep: kept, ..
            })) = found
            else {
                let problem = format!("`{list}` is no feature of kind \"sequence\" that goes along no other");
                return Err(place.refuse("along", problem));
            };
            let other = |what: &str| format!("must be that of `{list}`, {what}: a row has as many items in both");
            place.must(*limit == Some(*length), "length", &other(&limit.unwrap_or(0).to_string()))?;
            let end = if *kept == Keep::First { "`first`" } else { "`last`" };
            place.must(kept == keep, "keep", &other(end))?;
            order.aligned = true;
        }
        Ok(())
    }

    fn numeric(&mut self, config: &NumericConfig, column: &str, place: &Place) -> Result<Rule, DataError> {
        check_numeric(config, place)?;
        let index = self.features.len();
        let missing = config.missing.clone();
        let scale = match config.transform {
            Transform::Quantile => {
                self.numbers.push((index, NumberFit::Quantiles(config.buckets)));
                let table = self.bucket_table(column, config.dim, config.buckets);
                return Ok(Rule::Bucket { table, boundaries: Vec::new(), missing });
            }
            Transform::Boundaries => {
                let table = self.bucket_table(column, config.dim, config.boundaries.len() + 1);
                return Ok(Rule::Bucket { table, boundaries: config.boundaries.clone(), missing });
            }
            Transform::Standard => {
                self.numbers.push((index, NumberFit::Moments));
                Scale::Standard { mean: 0.0, deviation: 0.0 }
            }
            Transform::Log => Scale::Log {},
            Transform::None => Scale::None {},
        };
        Ok(Rule::Number { scale, missing })
    }

    fn bucket_table(&mut self, column: &str, dim: usize, buckets: usize) -> usize {
        self.tables.push(Table { name: column.to_owned(), dim, ids: Ids::Buckets { count: buckets as u32 } });
        self.min_counts.push(1);
        self.tables.len() - 1
    }

    /// The table of a column: a new one, or the one that bears the shared name already and must agree.
    fn table(&mut self, lookup: Lookup<'_>, column: &str, place: &Place) -> Result<usize, DataError> {
        let ids = ids(&lookup, place)?;
        let shared = lookup.table != OWN_TABLE;
        let name = if shared { lookup.table } else { column };
        let known = self.tables.iter().position(|table| shared && table.name == name);
        let Some(known) = known else {
            self.tables.push(Table { name: name.to_owned(), dim: lookup.dim, ids });
            self.min_counts.push(lookup.min_count);
            return Ok(self.tables.len() - 1);
        };
        let table = &self.tables[known];
        let other =
            |what: &str| format!("table `{name}` has {what} where it was named before; columns that share must agree");
        place.must(table.dim == lookup.dim, "dim", &other("another `dim`"))?;
        place.must(self.min_counts[known] == lookup.min_count, "min_count", &other("another `min_count`"))?;
        place.must(table.ids == ids, "encoding", &other("another `encoding`, `buckets`, `hash_seed` or `size`"))?;
        Ok(known)
    }

    /// No two tables of one name: a shared one may not be called like a column with a table of its own.
    fn distinct_tables(&self, configs: &[FeatureConfig]) -> Result<(), DataError> {
        for (index, table) in self.tables.iter().enumerate() {
            if self.tables[..index].iter().any(|other| other.name == table.name) {
                let rule = configs.iter().position(|config| shared_name(config) == Some(&table.name)).unwrap_or(0);
                let problem = format!("`{}` is the name of a column's own table; choose another", table.name);
                return Err(Place(format!("feature[{rule}]")).refuse("table", problem));
            }
        }
        Ok(())
    }
}

fn shared_name(config: &FeatureConfig) -> Option<&String> {
    let table = match config {
        FeatureConfig::Categorical(config) => &config.table,
        FeatureConfig::Multi(config) => &config.table,
        FeatureConfig::Weighted(config) => &config.table,
        FeatureConfig::Sequence(config) => &config.table,
        FeatureConfig::Numeric(_) | FeatureConfig::Vector(_) => return None,
    };
    Some(table).filter(|name| *name != OWN_TABLE)
}

/// The encoding with its options, each there exactly where it is used.
fn ids(lookup: &Lookup<'_>, place: &Place) -> Result<Ids, DataError> {
    let hash = lookup.encoding == Encoding::Hash;
    let raw = lookup.encoding == Encoding::Raw;
    let vocabulary = lookup.encoding == Encoding::Vocabulary;
    place.must(lookup.dim > 0, "dim", "must be 1 or more")?;
    place.must(lookup.min_count > 0, "min_count", "must be 1 or more")?;
    let counted = vocabulary || lookup.min_count == default_min_count();
    place.must(counted, "min_count", "is for encoding = \"vocabulary\" only")?;
    place.must(hash || lookup.buckets.is_none(), "buckets", "is for encoding = \"hash\" only")?;
    place.must(hash || lookup.hash_seed == 0, "hash_seed", "is for encoding = \"hash\" only")?;
    place.must(hash || !lookup.hash_column, "hash_column", "is for encoding = \"hash\" only")?;
    place.must(raw || lookup.size.is_none(), "size", "is for encoding = \"raw\" only")?;
    check_missing(lookup, place)?;
    let count = |number: Option<u32>, option: &str, needed: &str| match number {
        None => Err(place.refuse(option, needed)),
        Some(number) if (1..=u32::MAX - 3).contains(&number) => Ok(number),
        Some(_) => Err(place.refuse(option, "must be at least 1 and below 4294967293")),
    };
    Ok(match lookup.encoding {
        Encoding::Vocabulary => Ids::Vocabulary { values: Vocabulary::default() },
        Encoding::Hash => Ids::Hash {
            buckets: count(lookup.buckets, "buckets", "encoding = \"hash\" needs the number of buckets")?,
            seed: lookup.hash_seed,
        },
        Encoding::Raw => Ids::Raw { size: count(lookup.size, "size", "encoding = \"raw\" needs the number of ids")? },
    })
}

fn check_missing(lookup: &Lookup<'_>, place: &Place) -> Result<(), DataError> {
    let Missing::Value(value) = lookup.missing else { return Ok(()) };
    if let Some(word) = Missing::slip(value) {
        let problem = format!("`{value}` is not taken for a value, being nearly `{word}`; did you mean `{word}`?");
        return Err(place.refuse("missing", problem));
    }
    let key = Key::of_text(value);
    place.must(key.is_some(), "missing", "an empty text is itself missing; name a value, or `own_row` or `error`")?;
    let whole =
        matches!(key, Some(Key::Integer(id)) if lookup.size.is_some_and(|size| (0..i64::from(size)).contains(&id)));
    let fits = lookup.encoding != Encoding::Raw || whole;
    place.must(fits, "missing", &format!("`{value}` is not a whole number from 0 up to, not including, `size`"))
}

fn weights(config: &WeightedConfig, column: &str, place: &Place) -> Result<Weights, DataError> {
    if config.weight_columns.is_empty() {
        let separator = &config.weight_separator;
        place.must(!separator.is_empty(), "weight_separator", "must not be empty")?;
        place.must(*separator != config.separator, "weight_separator", "must differ from `separator`")?;
        return Ok(Weights::Separator(separator.clone()));
    }
    let unused = config.weight_separator == default_weight_separator();
    place.must(unused, "weight_separator", "has no use beside `weight_columns`")?;
    let parallel = config.weight_columns.len() == config.columns.len();
    place.must(parallel, "weight_columns", "must name as many columns as `columns`")?;
    let index = config.columns.iter().position(|other| other == column).unwrap_or(0);
    Ok(Weights::Column(config.weight_columns[index].clone()))
}

fn vector(config: &VectorConfig, place: &Place) -> Result<Rule, DataError> {
    place.must(config.length > 0, "length", "must be 1 or more")?;
    place.must(!config.separator.is_empty(), "separator", "must not be empty")?;
    Ok(Rule::Vector { length: config.length, separator: config.separator.clone(), missing: config.missing })
}

fn check_numeric(config: &NumericConfig, place: &Place) -> Result<(), DataError> {
    let quantile = config.transform == Transform::Quantile;
    let boundaries = config.transform == Transform::Boundaries;
    let given = &config.boundaries;
    place.must(boundaries || given.is_empty(), "boundaries", "is for transform = \"boundaries\" only")?;
    place.must(!boundaries || !given.is_empty(), "boundaries", "transform = \"boundaries\" needs at least one")?;
    place.must(given.iter().all(|boundary| boundary.is_finite()), "boundaries", "must be finite")?;
    place.must(given.windows(2).all(|pair| pair[0] < pair[1]), "boundaries", "must ascend, none twice")?;
    let unset = config.buckets == default_buckets();
    place.must(quantile || unset, "buckets", "is for transform = \"quantile\" only")?;
    place.must((2..=1_000_000).contains(&config.buckets), "buckets", "must be 2 or more, and a million at most")?;
    let embedded = quantile || boundaries;
    let unset = config.dim == default_dim();
    place.must(embedded || unset, "dim", "is for transform = \"quantile\" and \"boundaries\" only")?;
    place.must(config.dim > 0, "dim", "must be 1 or more")?;
    if let Missing::Value(value) = &config.missing {
        let number = value.parse().is_ok_and(|number: f64| (number as f32).is_finite());
        place.must(number, "missing", &format!("`{value}` is neither a number, nor `own_row`, nor `error`"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(toml: serde_json::Value) -> String {
        let configs: Vec<FeatureConfig> = serde_json::from_value(toml).unwrap();
        Draft::new(&configs).unwrap_err().to_string()
    }

    fn feature(kind: &str, column: &str, options: serde_json::Value) -> serde_json::Value {
        let mut feature = serde_json::json!({"kind": kind, "columns": [column]});
        feature.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        feature
    }

    #[test]
    fn every_inconsistent_option_is_refused_by_its_key() {
        use serde_json::json;
        let cases = [
            ("categorical", json!({"buckets": 5}), "buckets"),
            ("categorical", json!({"encoding": "hash"}), "buckets"),
            ("categorical", json!({"encoding": "hash", "buckets": 0}), "buckets"),
            ("categorical", json!({"encoding": "hash", "buckets": 5, "min_count": 3}), "min_count"),
            ("categorical", json!({"encoding": "hash", "buckets": 5, "size": 3}), "size"),
            ("categorical", json!({"encoding": "raw"}), "size"),
            ("categorical", json!({"encoding": "raw", "size": 3, "missing": 3}), "missing"),
            ("categorical", json!({"hash_seed": 5}), "hash_seed"),
            ("categorical", json!({"hash_column": true}), "hash_column"),
            ("categorical", json!({"min_count": 0}), "min_count"),
            ("categorical", json!({"dim": 0}), "dim"),
            ("categorical", json!({"missing": ""}), "missing"),
            ("categorical", json!({"missing": "own-row"}), "missing"),
            ("multi", json!({"missing": "Error"}), "missing"),
            ("numeric", json!({"transform": "log", "buckets": 5}), "buckets"),
            ("numeric", json!({"transform": "log", "dim": 5}), "dim"),
            ("numeric", json!({"buckets": 1}), "buckets"),
            ("numeric", json!({"boundaries": [1.0]}), "boundaries"),
            ("numeric", json!({"transform": "boundaries"}), "boundaries"),
            ("numeric", json!({"transform": "boundaries", "boundaries": [1.0, 1.0]}), "boundaries"),
            ("numeric", json!({"missing": "none"}), "missing"),
            ("multi", json!({"separator": ""}), "separator"),
            ("multi", json!({"max_length": 0}), "max_length"),
            ("weighted", json!({"pooling": "max"}), "pooling"),
            ("weighted", json!({"weight_separator": ","}), "weight_separator"),
            ("weighted", json!({"weight_columns": ["a", "b"]}), "weight_columns"),
            ("weighted", json!({"weight_columns": ["a"], "weight_separator": "="}), "weight_separator"),
            ("sequence", json!({"length": 0}), "length"),
            ("sequence", json!({"along": "y"}), "along"),
            ("sequence", json!({"along": "x"}), "along"),
            ("vector", json!({"length": 0}), "length"),
        ];
        for (kind, options, key) in cases {
            let message = refused(json!([feature(kind, "x", options.clone())]));
            assert!(message.starts_with(&format!("`feature[0].{key}`: ")), "{kind} {options}: {message}");
        }
        assert!(refused(json!([])).contains("at least one"));
        assert!(refused(json!([{"kind": "categorical", "columns": []}])).starts_with("`feature[0].columns`"));
    }

    #[test]
    fn features_that_contradict_one_another_are_refused() {
        use serde_json::json;
        let twice = refused(json!([feature("categorical", "x", json!({})), feature("numeric", "x", json!({}))]));
        assert_eq!(twice, "`feature[1].columns`: column `x` is a feature already");
        for (options, key) in [(json!({"dim": 8}), "dim"), (json!({"min_count": 9}), "min_count")] {
            let mut options = options;
            options["table"] = json!("ids");
            let shared = feature("categorical", "x", json!({"table": "ids"}));
            let message = refused(json!([shared, feature("multi", "y", options)]));
            assert!(message.starts_with(&format!("`feature[1].{key}`")), "{message}");
        }
        let hashed = json!({"table": "ids", "encoding": "hash", "buckets": 9});
        let shared = feature("categorical", "x", json!({"table": "ids"}));
        assert!(refused(json!([shared, feature("categorical", "y", hashed)])).starts_with("`feature[1].encoding`"));
        let named = feature("categorical", "x", json!({"table": "y"}));
        assert!(refused(json!([named, feature("numeric", "y", json!({}))])).starts_with("`feature[0].table`"));
    }

    #[test]
    fn a_list_along_another_is_of_its_length_and_keeps_the_same_end() {
        use serde_json::json;
        let list = feature("sequence", "items", json!({"length": 9}));
        for (options, key) in [(json!({}), "length"), (json!({"length": 9, "keep": "first"}), "keep")] {
            let mut options = options;
            options["along"] = json!("items");
            let message = refused(json!([feature("sequence", "kinds", options), list]));
            assert!(message.starts_with(&format!("`feature[0].{key}`: must be that of `items`")), "{message}");
        }
        let bag = feature("multi", "items", json!({}));
        let message = refused(json!([bag, feature("sequence", "kinds", json!({"along": "items"}))]));
        assert!(message.starts_with("`feature[1].along`: `items` is no feature of kind"), "{message}");
    }

    #[test]
    fn columns_that_agree_share_one_table() {
        let configs = serde_json::json!([
            feature("categorical", "x", serde_json::json!({"table": "ids"})),
            feature("numeric", "n", serde_json::json!({})),
            feature("sequence", "y", serde_json::json!({"table": "ids"})),
        ]);
        let configs: Vec<FeatureConfig> = serde_json::from_value(configs).unwrap();
        let draft = Draft::new(&configs).unwrap();
        assert_eq!(draft.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["ids", "n"]);
        assert_eq!(draft.features[2].slot().table(), Some(0));
    }
}
