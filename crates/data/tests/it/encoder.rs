//! The encoder through its public face: what train teaches it, what rows become, what it refuses.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};
use hinet_data::{
    Batch, Column, DataConfig, DataError, EncodeCounts, Encoder, FeatureConfig, Need, Order, Paths, Rows,
    ScenarioConfig, SchemaConfig, Slot, Source, TaskConfig, UnknownScenario, in_order,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use serde_json::{Value, json};

/// An experiment's schema with everything owned.
#[derive(Clone)]
pub(crate) struct Schema {
    pub(crate) data: DataConfig,
    pub(crate) scenario: ScenarioConfig,
    pub(crate) tasks: Vec<TaskConfig>,
    pub(crate) features: Vec<FeatureConfig>,
}

impl Schema {
    /// Scenario `tab`, task `click` on `is_click`, and these features.
    pub(crate) fn new(features: Value) -> Schema {
        Schema {
            data: DataConfig::new(Paths::One("memory".to_owned())),
            scenario: serde_json::from_value(json!({"column": "tab"})).unwrap(),
            tasks: vec![TaskConfig::new("click", "is_click")],
            features: serde_json::from_value(features).unwrap(),
        }
    }

    pub(crate) fn fit(&self, train: &Source) -> Result<Encoder, DataError> {
        let Schema { data, scenario, tasks, features } = self;
        Encoder::fit(&SchemaConfig { data, scenario, tasks, features }, train)
    }
}

/// A batch with these columns beside `tab` (all 1) and `is_click` (all 0), where those are not given.
pub(crate) fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let rows = columns[0].1.len();
    let mut columns = columns;
    for (name, value) in [("tab", 1), ("is_click", 0)] {
        if columns.iter().all(|(given, _)| *given != name) {
            columns.push((name, ints(vec![value; rows])));
        }
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, cells)| (name, cells, true))).unwrap()
}

pub(crate) fn source(columns: Vec<(&str, ArrayRef)>) -> Source {
    Source::from_batches("memory", vec![table(columns)])
}

pub(crate) fn ints(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn texts<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<StringArray>())
}

fn floats(values: impl IntoIterator<Item = impl Into<Option<f64>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Float64Array>())
}

fn encode_with(encoder: &Encoder, source: &Source, need: Need) -> Result<(Batch, EncodeCounts), DataError> {
    let (mut all, mut counts) = (Batch::default(), EncodeCounts::default());
    for rows in source.read(&encoder.columns(need), Order::InFile)? {
        all.append(&encoder.encode(&rows?, need, &mut counts)?);
    }
    Ok((all, counts))
}

fn encode(encoder: &Encoder, source: &Source) -> Batch {
    encode_with(encoder, source, Need::Labels).unwrap().0
}

/// What refusing looks like to a person.
fn refused(encoder: &Encoder, source: &Source) -> String {
    encode_with(encoder, source, Need::Labels).unwrap_err().to_string()
}

fn ids(column: &Column) -> &[u32] {
    match column {
        Column::Ids(ids) => ids,
        Column::Bag { .. } | Column::Dense(_) => panic!("not one id per row"),
    }
}

fn dense(column: &Column) -> &[f32] {
    match column {
        Column::Dense(values) => values,
        Column::Bag { .. } | Column::Ids(_) => panic!("no numbers"),
    }
}

fn bag(column: &Column) -> Vec<&[u32]> {
    match column {
        Column::Bag { offsets, ids, .. } => {
            offsets.windows(2).map(|pair| &ids[pair[0] as usize..pair[1] as usize]).collect()
        }
        Column::Dense(_) | Column::Ids(_) => panic!("no bag"),
    }
}

#[test]
fn scenarios_are_sorted_by_number_or_else_by_text_and_their_rows_counted() {
    let schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"]}]));
    let x = || ("x", ints(vec![1, 1, 1, 1]));
    let numbers = schema.fit(&source(vec![x(), ("tab", texts(["10", "9", "2.5", "9"]))])).unwrap();
    assert_eq!(numbers.layout().scenarios, ["2.5", "9", "10"]);
    assert_eq!(numbers.layout().scenario_rows, [1, 2, 1]);
    assert_eq!(numbers.layout().train_rows(), 4);
    let words = schema.fit(&source(vec![x(), ("tab", texts(["b", "10", "9", "a"]))])).unwrap();
    assert_eq!(words.layout().scenarios, ["10", "9", "a", "b"]);
}

#[test]
fn the_most_frequent_value_comes_first_and_rare_ones_share_a_row() {
    let schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"], "dim": 4}]));
    let train = source(vec![("x", texts(["b", "a", "c", "b", "a", "7", "7", "7", "rare"]))]);
    let encoder = schema.fit(&train).unwrap();
    assert_eq!(encoder.layout().tables[0].rows, 5);
    assert_eq!(encoder.layout().width(), 4);
    let values: Vec<Option<String>> = (0..6).map(|row| encoder.value(0, row)).collect();
    assert_eq!(values, [None, None, Some("7".into()), Some("a".into()), Some("b".into()), None]);
    let valid = source(vec![("x", texts([Some("b"), None, Some("rare"), Some("new"), Some("7"), Some("")]))]);
    let (batch, counts) = encode_with(&encoder, &valid, Need::Labels).unwrap();
    assert_eq!(ids(&batch.features[0]), [4, 0, 1, 1, 2, 0]);
    assert_eq!((counts.rows, counts.features[0].missing, counts.features[0].unseen), (6, 2, 2));
}

#[test]
fn a_value_means_the_same_however_it_is_written() {
    let schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"], "min_count": 1}]));
    let encoder = schema.fit(&source(vec![("x", ints(vec![2, 3, 3])), ("tab", ints(vec![1, 2, 2]))])).unwrap();
    let dictionary: DictionaryArray<Int32Type> = [Some("3"), None, Some("2")].into_iter().collect();
    let written: [ArrayRef; 5] = [
        texts([Some("3"), None, Some("2")]),
        texts([Some("3.0"), None, Some("2.0")]),
        floats([Some(3.0), None, Some(2.0)]),
        Arc::new(Int32Array::from(vec![Some(3), None, Some(2)])),
        Arc::new(dictionary),
    ];
    for cells in written {
        let batch = encode(&encoder, &source(vec![("x", cells), ("tab", floats([2.0, 1.0, 1.0]))]));
        assert_eq!(ids(&batch.features[0]), [2, 0, 3]);
        assert_eq!(batch.scenario, [1, 0, 0]);
    }
    let flags = schema.fit(&source(vec![("x", Arc::new(BooleanArray::from(vec![true, true])) as ArrayRef)])).unwrap();
    assert_eq!(ids(&encode(&flags, &source(vec![("x", texts(["true", "True", "false"]))])).features[0]), [2, 2, 1]);
}

#[test]
fn columns_that_share_a_table_share_its_values() {
    let schema = Schema::new(json!([
        {"kind": "categorical", "columns": ["item"], "table": "items", "min_count": 3},
        {"kind": "sequence", "columns": ["history"], "table": "items", "min_count": 3, "length": 2},
    ]));
    let train = source(vec![("item", ints(vec![5, 6])), ("history", texts(["9,5,6", "6,5"]))]);
    let encoder = schema.fit(&train).unwrap();
    assert_eq!(encoder.layout().tables.len(), 1);
    assert_eq!((encoder.value(0, 2), encoder.value(0, 3)), (Some("5".into()), Some("6".into())));
    let batch = encode(&encoder, &train);
    assert_eq!(ids(&batch.features[0]), [2, 3]);
    assert_eq!(bag(&batch.features[1]), [&[2, 3], &[3, 2]]);
}

#[test]
fn hashes_are_pinned_because_saved_models_depend_on_them() {
    let hashed = |options: Value| {
        let mut feature = json!({"kind": "categorical", "columns": ["x"], "encoding": "hash", "buckets": 1000});
        feature.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let encoder = Schema::new(json!([feature])).fit(&source(vec![("x", ints(vec![1]))])).unwrap();
        assert_eq!(encoder.layout().tables[0].rows, 1002);
        let rows = source(vec![("x", texts([Some("a"), Some("42"), None]))]);
        let (batch, counts) = encode_with(&encoder, &rows, Need::Labels).unwrap();
        assert_eq!((counts.features[0].missing, counts.features[0].unseen), (1, 0));
        ids(&batch.features[0]).to_vec()
    };
    let plain = hashed(json!({}));
    // 0xe6c632b61e964e1f is the published xxh3 (64 bits) of "a".
    assert_eq!((plain[0], plain[2]), (2 + (0xe6c6_32b6_1e96_4e1f_u64 % 1000) as u32, 0));
    assert_ne!(hashed(json!({"hash_seed": 1})), plain);
    assert_ne!(hashed(json!({"hash_column": true})), plain);
    assert_eq!(hashed(json!({"missing": 42}))[2], plain[1]);
}

#[test]
fn raw_ids_pick_their_row_and_others_are_unseen() {
    let schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"], "encoding": "raw", "size": 3}]));
    let encoder = schema.fit(&source(vec![("x", ints(vec![0]))])).unwrap();
    assert_eq!(encoder.layout().tables[0].rows, 5);
    let batch = encode(&encoder, &source(vec![("x", texts(["0", "2", "3", "-1", "x", ""]))]));
    assert_eq!(ids(&batch.features[0]), [2, 4, 1, 1, 1, 0]);
}

#[test]
fn numbers_become_buckets_or_are_scaled() {
    let train: Vec<f64> = (0..100).map(f64::from).collect();
    let fitted = |options: Value, cells: ArrayRef| {
        let mut feature = json!({"kind": "numeric", "columns": ["x"]});
        feature.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let encoder = Schema::new(json!([feature])).fit(&source(vec![("x", floats(train.clone()))])).unwrap();
        let batch = encode(&encoder, &source(vec![("x", cells)]));
        (encoder, batch)
    };
    let cells = || floats([Some(-5.0), Some(24.9), Some(25.0), Some(1e9), None, Some(f64::NAN)]);
    let (encoder, batch) = fitted(json!({"buckets": 4, "dim": 3}), cells());
    assert_eq!(encoder.layout().tables[0].rows, 6);
    assert_eq!(ids(&batch.features[0]), [2, 2, 3, 5, 0, 0]);
    let (_, batch) = fitted(json!({"transform": "boundaries", "boundaries": [0, 25], "missing": 30}), cells());
    assert_eq!(ids(&batch.features[0]), [2, 3, 4, 4, 4, 4]);
    let (encoder, batch) = fitted(json!({"transform": "none"}), cells());
    assert_eq!(encoder.layout().slots[0], Slot::Dense { feature: "x".into(), width: 2 });
    assert_eq!(dense(&batch.features[0])[..4], [-5.0, 0.0, 24.9, 0.0]);
    assert_eq!(dense(&batch.features[0])[8..], [0.0, 1.0, 0.0, 1.0]);
    let (_, batch) = fitted(json!({"transform": "standard", "missing": 49.5}), cells());
    let scaled = dense(&batch.features[0]);
    assert!((scaled[0] - (-5.0 - 49.5) / 28.866_07).abs() < 1e-5, "{scaled:?}");
    assert_eq!(scaled[8..10], [0.0, 0.0]);
    let (_, batch) = fitted(json!({"transform": "log"}), texts(["0", "1.718281828459045"]));
    assert!((dense(&batch.features[0])[2] - 1.0).abs() < 1e-6);
}

#[test]
fn cells_that_do_not_fit_are_refused_with_file_row_column_and_value() {
    let schema = Schema::new(json!([
        {"kind": "numeric", "columns": ["n"], "transform": "none", "missing": "error"},
        {"kind": "categorical", "columns": ["c"], "missing": "error", "min_count": 1},
        {"kind": "vector", "columns": ["v"], "length": 2, "separator": " "},
    ]));
    let good = || [("n", texts(["1", "2"])), ("c", texts(["a", "b"])), ("v", texts(["1 2", "3 4"]))];
    let encoder = schema.fit(&source(good().to_vec())).unwrap();
    let with = |column: &str, second: Option<&'static str>| {
        let mut columns = good().to_vec();
        let place = columns.iter().position(|(name, _)| *name == column).unwrap();
        let first = ["1", "a", "1 2"][place];
        columns[place].1 = texts([Some(first), second]);
        refused(&encoder, &source(columns))
    };
    assert_eq!(with("n", Some("two")), "memory, row 2, column `n`: `two` is not a number");
    assert!(with("n", Some("1e300")).contains("row 2, column `n`"), "{}", with("n", Some("1e300")));
    assert!(with("n", None).contains("missing = \"error\""));
    assert!(with("c", None).starts_with("memory, row 2, column `c`"));
    assert_eq!(with("v", Some("1 2 3")), "memory, row 2, column `v`: `3 numbers` is not 2 numbers");
    assert!(with("v", None).contains("row 2"));
}

#[test]
fn labels_are_0_1_or_nothing_and_where_masks() {
    let mut schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"]}]));
    schema.tasks.push(TaskConfig { filter: Some("is_click == 1".into()), ..TaskConfig::new("order", "is_order") });
    schema.tasks.push(TaskConfig::new("both", "is_click * is_order"));
    let rows = |click: ArrayRef, order: ArrayRef| {
        source(vec![("x", ints(vec![1; click.len()])), ("is_click", click), ("is_order", order)])
    };
    let click = || floats([Some(1.0), Some(0.0), None, Some(1.0)]);
    let train = rows(click(), floats([Some(1.0), Some(1.0), Some(0.0), None]));
    let encoder = schema.fit(&train).unwrap();
    let batch = encode(&encoder, &train);
    assert_eq!(batch.tasks(), 3);
    let t = true;
    let f = false;
    assert_eq!(batch.observed, [t, t, t, t, f, t, f, f, f, t, f, f]);
    assert_eq!(batch.labels, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    for (bad, text) in [(2.0, "`2`"), (f64::NAN, "`NaN`"), (0.5, "`0.5`")] {
        let message = refused(&encoder, &rows(floats([0.0, bad]), floats([0.0, 0.0])));
        assert!(
            message.starts_with(&format!("memory, row 2, column `is_click`: {text} is not a label of task `click`")),
            "{message}"
        );
    }
}

#[test]
fn a_masked_row_may_hold_any_label() {
    let mut schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"]}]));
    schema.tasks = vec![TaskConfig { filter: Some("shown == 1".into()), ..TaskConfig::new("click", "is_click") }];
    let train = source(vec![("x", ints(vec![1, 1])), ("shown", ints(vec![0, 1])), ("is_click", ints(vec![-1, 1]))]);
    let batch = encode(&schema.fit(&train).unwrap(), &train);
    assert_eq!((batch.labels, batch.observed), (vec![0.0, 1.0], vec![false, true]));
}

#[test]
fn weights_users_and_requests_are_read_when_named_and_needed() {
    let mut schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"]}]));
    schema.data.weight = Some("w".into());
    schema.data.user = Some("who".into());
    schema.data.request = Some("session".into());
    let rows = |w: ArrayRef| {
        let who = texts([Some("7"), Some("7.0"), None]);
        source(vec![("x", ints(vec![1; 3])), ("w", w), ("who", who), ("session", ints(vec![4, 5, 4]))])
    };
    let encoder = schema.fit(&rows(floats([1.0, 0.5, 0.0]))).unwrap();
    let batch = encode(&encoder, &rows(floats([1.0, 0.5, 0.0])));
    assert_eq!(batch.weight, [1.0, 0.5, 0.0]);
    assert_eq!((batch.user[0], batch.user[2]), (batch.user[1], 0));
    assert_eq!(batch.request[0], batch.request[2]);
    assert_ne!(batch.request[0], batch.request[1]);
    for bad in [Some(-1.0), None, Some(f64::INFINITY), Some(f64::NAN)] {
        let message = refused(&encoder, &rows(floats([Some(1.0), bad, Some(1.0)])));
        assert!(message.contains("row 2, column `w`") && message.contains("weight of zero or more"), "{message}");
    }
    assert_eq!(encoder.columns(Need::Features), ["tab", "x"]);
    assert_eq!(encoder.columns(Need::Labels), ["tab", "x", "w", "who", "session", "is_click"]);
    let scored = source(vec![("x", ints(vec![1]))]);
    let (batch, _) = encode_with(&encoder, &scored, Need::Features).unwrap();
    assert_eq!((batch.weight, batch.labels.len(), batch.user.len()), (vec![1.0], 0, 0));
}

#[test]
fn an_unknown_scenario_meets_the_policy_of_the_schema() {
    let mut schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"]}]));
    let rows = |tabs: ArrayRef| source(vec![("x", ints(vec![1; tabs.len()])), ("tab", tabs)]);
    let known = || rows(texts(["home", "search"]));
    let strange = || rows(texts([Some("home"), Some("feed"), None]));
    let encoder = schema.fit(&known()).unwrap();
    let error = encode_with(&encoder, &strange(), Need::Features).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, DataError::UnknownScenario { row: 2, .. }) && !error.is_usage(), "{message}");
    assert!(message.contains("`feed`") && message.contains("home, search"), "{message}");
    assert!(schema.fit(&strange()).unwrap_err().to_string().contains("row 3, column `tab`"));

    schema.scenario.unknown = serde_json::from_value(json!("mean")).unwrap();
    let encoder = schema.fit(&known()).unwrap();
    let (batch, counts) = encode_with(&encoder, &strange(), Need::Features).unwrap();
    assert_eq!((batch.scenario, counts.unknown_scenarios), (vec![0, 2, 2], 2));

    schema.scenario.unknown = serde_json::from_value(json!("search")).unwrap();
    let encoder = schema.fit(&rows(texts([Some("home"), None, Some("search")]))).unwrap();
    assert_eq!(encoder.layout().unknown, UnknownScenario::Scenario(1));
    assert_eq!(encoder.layout().scenario_rows, [1, 2]);
    assert_eq!(encode_with(&encoder, &strange(), Need::Features).unwrap().0.scenario, [0, 1, 1]);

    schema.scenario.unknown = serde_json::from_value(json!("serach")).unwrap();
    let error = schema.fit(&known()).unwrap_err();
    assert!(error.is_usage() && error.to_string().starts_with("`scenario.unknown`"), "{error}");
}

#[test]
fn lists_and_texts_become_bags_with_weights_or_without() {
    let schema = Schema::new(json!([
        {"kind": "multi", "columns": ["tags"], "separator": "|", "min_count": 1, "max_length": 2},
        {"kind": "weighted", "columns": ["seen"], "min_count": 1, "missing": "9"},
        {"kind": "vector", "columns": ["v"], "length": 2, "missing": "zeros"},
    ]));
    let vectors = ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(1.0), Some(2.0)]), None]);
    let train = source(vec![
        ("tags", texts(["a|b|c", "a"])),
        ("seen", texts([Some("7:0.5,9:2"), None])),
        ("v", Arc::new(vectors)),
    ]);
    let encoder = schema.fit(&train).unwrap();
    let batch = encode(&encoder, &train);
    assert_eq!(bag(&batch.features[0]), [&[2, 3][..], &[2]]);
    assert_eq!(bag(&batch.features[1]), [&[3, 2][..], &[2]]);
    assert!(matches!(&batch.features[1], Column::Bag { weights: Some(weights), .. } if *weights == [0.5, 2.0, 1.0]));
    assert_eq!(dense(&batch.features[2]), [1.0, 2.0, 0.0, 0.0]);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)])]);
    let refused = refused(
        &encoder,
        &source(vec![("tags", Arc::new(lists) as ArrayRef), ("seen", texts(["7"])), ("v", texts(["1,2"]))]),
    );
    assert!(refused.contains("column `seen`") && refused.contains("a category, `:` and a weight"), "{refused}");
}

/// A list of items, and a list of what kind each is.
fn list_and_kinds(options: Value) -> Schema {
    let with = |mut feature: Value| {
        options.as_object().unwrap().iter().for_each(|(key, value)| feature[key] = value.clone());
        feature
    };
    Schema::new(json!([
        with(json!({"kind": "sequence", "columns": ["kinds"], "along": "items", "min_count": 1})),
        with(json!({"kind": "sequence", "columns": ["items"], "min_count": 1})),
    ]))
}

#[test]
fn a_list_along_another_is_cut_as_it_is_and_keeps_the_places_of_missing_items() {
    let schema = list_and_kinds(json!({"length": 2}));
    let train = source(vec![
        ("items", texts([Some("a,b,c"), Some("a,b"), Some("c"), None])),
        ("kinds", texts([Some("x,y,z"), Some("x,"), Some(""), None])),
    ]);
    let encoder = schema.fit(&train).unwrap();
    let batch = encode(&encoder, &train);
    // Ids by how often they were kept, then by value, after the two reserved ones: b 2, c 3, a 4; x 2, y 3, z 4.
    assert_eq!(bag(&batch.features[1]), [&[2, 3][..], &[4, 2], &[3], &[0]]);
    assert_eq!(bag(&batch.features[0]), [&[3, 4][..], &[2, 0], &[0], &[0]]);
    let [sequence] = &encoder.layout().sequences[..] else { panic!("one sequence") };
    assert_eq!((&sequence.slots[..], sequence.length), (&[1, 0][..], 2));
    let again = Encoder::from_json(&encoder.to_json(), Path::new("encoder.json")).unwrap();
    assert_eq!(again.layout(), encoder.layout());
    assert_eq!(encode(&again, &train), batch);
}

#[test]
fn an_encoder_grows_with_one_of_the_same_rules_alone() {
    let train = source(vec![("items", texts(["a,b"])), ("kinds", texts(["x,y"]))]);
    let newer = source(vec![("items", texts(["c,b"])), ("kinds", texts(["x,z"]))]);
    let encoder = list_and_kinds(json!({"length": 2})).fit(&train).unwrap();
    let grown = encoder.grown(&list_and_kinds(json!({"length": 2})).fit(&newer).unwrap()).unwrap();
    assert_eq!(grown.layout().tables[1].rows, 5, "two reserved rows, a, b, and c behind them");
    for other in [json!({"length": 3}), json!({"length": 2, "keep": "first"}), json!({"length": 2, "pooling": "max"})] {
        let error = encoder.grown(&list_and_kinds(other).fit(&newer).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "`feature`: column `kinds` has another rule than before");
    }
    let wider = list_and_kinds(json!({"length": 2, "dim": 3})).fit(&newer).unwrap();
    assert!(encoder.grown(&wider).unwrap_err().to_string().contains("tables"), "tables of another width");
}

#[test]
fn a_list_along_another_with_fewer_items_is_refused_in_its_row_even_where_both_are_cut() {
    let schema = list_and_kinds(json!({"length": 2}));
    let train = source(vec![("items", texts(["a,b,c", "a,b,c"])), ("kinds", texts(["x,y,z", "x,y"]))]);
    let message = refused(&schema.fit(&train).unwrap(), &train);
    assert_eq!(message, "memory, row 2, column `kinds`: `2 items` is not as many as in `items`, 3");
}

#[test]
fn names_that_are_not_there_and_leaks_are_errors_of_use() {
    let schema = Schema::new(json!([{"kind": "categorical", "columns": ["user"]}]));
    let train = || source(vec![("user", ints(vec![1]))]);
    let refused = |change: &dyn Fn(&mut Schema)| {
        let mut schema = schema.clone();
        change(&mut schema);
        let error = schema.fit(&train()).unwrap_err();
        assert!(error.is_usage(), "{error}");
        error.to_string()
    };
    let near = refused(&|schema| schema.data.weight = Some("usre".into()));
    assert!(near.contains("did you mean `user`?"), "{near}");
    assert!(refused(&|schema| schema.tasks[0].label = "is_clik".into()).contains("did you mean `is_click`?"));
    assert!(refused(&|schema| schema.scenario.column = "is_click".into()).starts_with("`scenario.column`"));
    let leak = refused(&|schema| schema.tasks[0].label = "user".into());
    assert_eq!(leak, "`feature[0].columns`: column `user` is the label of task `click`: a leak");
    assert!(refused(&|schema| schema.tasks.clear()).starts_with("`task`"));
    assert!(refused(&|schema| schema.tasks.push(TaskConfig::new("click", "is_click"))).starts_with("`task[1].name`"));
    assert!(refused(&|schema| schema.tasks[0].weight = f64::NAN).starts_with("`task[0].weight`"));
    let empty = schema.fit(&source(vec![("user", ints(vec![]))])).unwrap_err();
    assert!(matches!(empty, DataError::Empty { .. }), "{empty}");
}

fn everything() -> (Schema, Source) {
    let mut schema = Schema::new(json!([
        {"kind": "categorical", "columns": ["a"], "min_count": 1},
        {"kind": "categorical", "columns": ["h"], "encoding": "hash", "buckets": 7, "hash_column": true},
        {"kind": "numeric", "columns": ["q"], "buckets": 3},
        {"kind": "numeric", "columns": ["s"], "transform": "standard"},
        {"kind": "weighted", "columns": ["w"], "min_count": 1, "pooling": "sum"},
        {"kind": "sequence", "columns": ["l"], "length": 2, "table": "shared", "min_count": 1},
        {"kind": "vector", "columns": ["v"], "length": 1},
    ]));
    schema.data.user = Some("a".into());
    schema.tasks.push(TaskConfig { filter: Some("q > 1".into()), weight: 0.1, ..TaskConfig::new("late", "is_click") });
    let train = source(vec![
        ("a", texts(["x\"y", "ü\n", "3", "12345678901"])),
        ("h", ints(vec![1, 2, 3, 4])),
        ("q", floats([0.1, 1.5, 2.7, 1e-3])),
        ("s", floats([0.1, 0.2, 0.3, 0.7])),
        ("w", texts(["1:0.1", "2:-3", "3:1", "4:1"])),
        ("l", texts(["1,2,3", "2", "5", "x"])),
        ("v", floats([1.0, 2.0, 3.0, 4.0])),
        ("tab", texts(["b", "a", "b", "c"])),
    ]);
    (schema, train)
}

#[test]
fn a_saved_encoder_encodes_the_same() {
    let (schema, train) = everything();
    let encoder = schema.fit(&train).unwrap();
    let saved = encoder.to_json();
    let loaded = Encoder::from_json(&saved, Path::new("encoder.json")).unwrap();
    assert_eq!(loaded.layout(), encoder.layout());
    assert_eq!(encode(&loaded, &train), encode(&encoder, &train));
    assert_eq!(loaded.to_json(), saved);
    assert_eq!(schema.fit(&train).unwrap().to_json(), saved);
    assert!(saved.contains("\"values\": [3, 12345678901, \"x\\\"y\", \"ü\\n\"]"), "{saved}");
    let through_serde: Encoder = serde_json::from_str(&serde_json::to_string(&encoder).unwrap()).unwrap();
    assert_eq!(through_serde.to_json(), saved);
}

#[test]
fn an_encoder_of_the_future_or_in_pieces_is_refused() {
    let (schema, train) = everything();
    let saved = schema.fit(&train).unwrap().to_json();
    let read = |text: &str| Encoder::from_json(text, Path::new("encoder.json")).unwrap_err().to_string();
    let future = read(&saved.replace("\"encoder_version\": 1", "\"encoder_version\": 2, \"new\": 3"));
    assert!(future.contains("encoder_version 2") && future.contains("newer hinet"), "{future}");
    assert!(read("{}").contains("no encoder_version"));
    assert!(read(&saved[..saved.len() / 2]).starts_with("encoder.json cannot be read as an encoder"));
    assert!(read(&saved.replace("\"table\": 0", "\"table\": 2")).contains("do not fit"));
    assert!(read(&saved.replace("\"table\": 0", "\"table\": 30")).contains("has no table"));
    assert!(read(&saved.replace("\"rows\": [1, 2, 1]", "\"rows\": [1, 2]")).contains("3 scenarios"));
}

proptest! {
    #[test]
    fn known_values_come_back_from_their_rows(values in prop::collection::vec("[a-d]{1,2}|-?[0-9]{1,2}", 1..40)) {
        let schema = Schema::new(json!([{"kind": "categorical", "columns": ["x"], "min_count": 1}]));
        let train = source(vec![("x", texts(values.iter().map(String::as_str)))]);
        let encoder = schema.fit(&train).unwrap();
        let batch = encode(&encoder, &train);
        for (value, &id) in values.iter().zip(ids(&batch.features[0])) {
            let written = if value == "-0" || value == "-00" { value.clone() } else { encoder.value(0, id).unwrap() };
            prop_assert_eq!(&written, value);
        }
    }

    #[test]
    fn what_is_learned_does_not_depend_on_how_many_rows_are_read_at_once(cuts in prop::collection::vec(1_usize..9, 1..6)) {
        let (schema, train) = everything();
        let whole = train.read(&schema.fit(&train).unwrap().columns(Need::Labels), Order::InFile).unwrap().next().unwrap().unwrap();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain(std::iter::repeat(2)) {
            let length = cut.min(whole.len() - from);
            pieces.push(whole.batch.slice(from, length));
            from += length;
            if from == whole.len() {
                break;
            }
        }
        let cut = Source::from_batches("memory", pieces);
        prop_assert_eq!(schema.fit(&cut).unwrap().to_json(), schema.fit(&train).unwrap().to_json());
    }

    #[test]
    fn a_row_is_encoded_alone_as_among_others(row in 0_usize..4) {
        let (schema, train) = everything();
        let encoder = schema.fit(&train).unwrap();
        let rows = train.read(&encoder.columns(Need::Labels), Order::InFile).unwrap().next().unwrap().unwrap();
        let alone: Rows = rows.slice(row, 1);
        let alone = encoder.encode(&alone, Need::Labels, &mut EncodeCounts::default()).unwrap();
        prop_assert_eq!(alone, encode(&encoder, &train).take(&[row as u32]));
    }
}

/// Texts of every frequency, with missing ones, beside a user, in a Parquet file with dictionaries or without.
fn text_file(path: &Path, dictionaries: bool) -> Source {
    let rows = || 0..30_000_u64;
    let column = |text: &dyn Fn(u64) -> Option<String>| Arc::new(rows().map(text).collect::<StringArray>()) as ArrayRef;
    let mixed = |row: u64, values: u64| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) % values;
    let columns = table(vec![
        ("few", column(&|row| (row % 11 > 0).then(|| format!("f{}", mixed(row, 7))))),
        ("many", column(&|row| Some(format!("m{}", mixed(row, 3_000))))),
        ("number", column(&|row| Some(["", "7", "7.0", "-1"][mixed(row, 4) as usize].to_owned()))),
        ("list", column(&|row| Some(format!("{},{}", mixed(row, 3), mixed(row, 5))))),
        ("who", column(&|row| (row % 13 > 0).then(|| format!("u{}", row / 40)))),
        ("tab", column(&|row| Some(["home", "search"][mixed(row, 2) as usize].to_owned()))),
    ]);
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(9_000)).set_dictionary_enabled(dictionaries);
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, columns.schema(), Some(properties.build())).unwrap();
    writer.write(&columns).unwrap();
    writer.close().unwrap();
    Source::open(&[path.to_owned()]).unwrap()
}

#[test]
fn texts_become_the_same_with_dictionaries_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let dictionary = text_file(&folder.path().join("dictionary.parquet"), true);
    let plain = text_file(&folder.path().join("plain.parquet"), false);
    let is_dictionary = |field: &Arc<Field>| matches!(field.data_type(), DataType::Dictionary(_, _));
    assert_eq!(dictionary.schema().fields().iter().filter(|field| is_dictionary(field)).count(), 6);
    assert_eq!(plain.schema().fields().iter().filter(|field| is_dictionary(field)).count(), 0);
    let mut schema = Schema::new(json!([
        {"kind": "categorical", "columns": ["few", "number"], "min_count": 1},
        {"kind": "categorical", "columns": ["many"], "encoding": "hash", "buckets": 1000},
        {"kind": "multi", "columns": ["list"], "min_count": 1},
    ]));
    schema.data.user = Some("who".into());
    let encoder = schema.fit(&dictionary).unwrap();
    assert_eq!(encoder.to_json(), schema.fit(&plain).unwrap().to_json());
    assert_eq!(encode(&encoder, &dictionary), encode(&encoder, &plain));
    let encoder = Arc::new(encoder);
    let stream = |source| in_order(source, Arc::clone(&encoder), Need::Labels, 1_000).map(Result::unwrap);
    assert!(stream(&dictionary).eq(stream(&plain)));
    assert_eq!(stream(&dictionary).map(|batch| batch.rows).sum::<usize>(), 30_000);
}
