//! Rows out of requests, against the same rows out of a file.

use hinet_data::{
    Batch, DataConfig, EncodeCounts, Encoder, FeatureConfig, Need, Order, Paths, RequestColumns, Rows, ScenarioConfig,
    SchemaConfig, Source, TaskConfig,
};

/// An encoder of features of several kinds, one of which is called `id`, and the rows it was fitted on.
fn fitted(folder: &std::path::Path) -> (Encoder, Rows) {
    let row = |i: usize| format!("t{},i{},{},{}|g{},{}\n", i % 3, i % 7, i as f64 / 8.0, i % 4, i % 5, i % 2);
    let path = folder.join("rows.csv");
    std::fs::write(&path, "tab,id,price,tags,click\n".to_owned() + &(0..40).map(row).collect::<String>()).unwrap();
    let features: Vec<FeatureConfig> = serde_json::from_value(serde_json::json!([
        { "kind": "categorical", "columns": ["id"], "dim": 2 },
        { "kind": "numeric", "columns": ["price"] },
        { "kind": "multi", "columns": ["tags"], "separator": "|", "dim": 2 },
    ]))
    .unwrap();
    let config = SchemaConfig {
        data: &DataConfig::new(Paths::One(path.display().to_string())),
        scenario: &ScenarioConfig { column: "tab".into(), unknown: Default::default() },
        tasks: &[TaskConfig::new("click", "click")],
        features: &features,
    };
    let source = Source::open(&[path]).unwrap();
    let encoder = Encoder::fit(&config, &source).unwrap();
    let source = source.with_text_columns(&encoder.text_columns());
    let rows = source.read(&encoder.columns(Need::Features), Order::InFile).unwrap().next().unwrap().unwrap();
    (encoder, rows)
}

fn encode(encoder: &Encoder, rows: &Rows) -> Batch {
    encoder.encode(rows, Need::Features, &mut EncodeCounts::default()).unwrap()
}

#[test]
fn rows_said_as_objects_are_the_rows_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (encoder, rows) = fitted(folder.path());
    let columns = RequestColumns::new(&encoder);
    let objects = columns.objects(&rows).unwrap();
    assert_eq!(objects[1], r#"{"tab":"t1","id":"i1","price":0.125,"tags":"1|g1"}"#);
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    let again = columns.of_objects("rows", &[], &objects, &[]).unwrap();
    assert_eq!(encode(&encoder, &again), encode(&encoder, &rows));
}

#[test]
fn a_key_that_is_passed_over_is_no_column_whatever_columns_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let (encoder, _) = fitted(folder.path());
    let columns = RequestColumns::new(&encoder);
    let [with, without] = [r#"{"tab":"t1","id":"i3"}"#, r#"{"tab":"t1"}"#]
        .map(|row| encode(&encoder, &columns.of_objects("items", &[], &[row], &["id"]).unwrap()));
    assert_eq!(with, without);
    let read = encode(&encoder, &columns.of_objects("items", &[], &[r#"{"tab":"t1","id":"i3"}"#], &[]).unwrap());
    assert_ne!(with, read);
}

#[test]
fn what_is_said_once_must_be_small_beside_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (encoder, _) = fitted(folder.path());
    let columns = RequestColumns::new(&encoder);
    let user = format!(r#"{{"tags":[{}"a"]}}"#, r#""a","#.repeat(2000));
    let of = |rows: usize| columns.of_objects("items", &[("user", &user)], &vec![r#"{"tab":"t1"}"#; rows], &[]);
    assert_eq!(of(3).unwrap().len(), 3);
    let error = of(2000).unwrap_err().to_string();
    assert!(error.contains("user") && error.contains("for each of 2000 rows"), "{error}");
}

#[test]
fn of_a_list_that_is_too_long_one_more_than_allowed_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (encoder, _) = fitted(folder.path());
    let columns = RequestColumns::new(&encoder);
    let of = |list: &str| columns.of_lists("inputs", [("price", list)], 4);
    assert_eq!(of("[1,2,3]").unwrap().len(), 3);
    assert_eq!(of("[1,2,3,4,5,6,7]").unwrap().len(), 5);
    assert!(of("[1,2,3,4,5,6,}").unwrap_err().to_string().contains("`price` is no list of values"));
    assert!(of("[1,2] 3").is_err());
    let object = columns.of_objects("items", &[], &[r#"{"id":{"a":1}}"#], &[]).unwrap_err().to_string();
    assert!(object.contains("not an object"), "{object}");
}
