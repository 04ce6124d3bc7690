//! Evaluations and predictions of a finished run.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use hinet_data::Source;
use hinet_train::{Predicted, Run, ScoreOptions, TrainError, evaluate, predict};

use crate::shop::{Shop, fit_quietly};

fn run(shop: &Shop) -> Run {
    fit_quietly(&shop.experiment(&[("train.epochs", "1")]), &shop.path("run"), false).unwrap();
    Run::open(&shop.path("run")).unwrap()
}

fn source(paths: &[PathBuf]) -> Source {
    Source::open(paths).unwrap()
}

fn predicted(
    run: &Run,
    source: &Source,
    keep: &[&str],
    output: &Path,
    threads: usize,
) -> Result<Predicted, TrainError> {
    let keep: Vec<String> = keep.iter().map(|column| (*column).to_owned()).collect();
    let options = ScoreOptions { threads, stop: &AtomicBool::new(false), progress: &mut |_| {} };
    predict(run, source, &keep, output, options)
}

/// The rows of a CSV file as fields, with its header first.
fn table(path: &PathBuf) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn an_evaluation_repeats_the_metrics_of_the_fit() {
    let shop = Shop::new();
    let run = run(&shop);
    for threads in [1, 2] {
        let options = ScoreOptions { threads, stop: &AtomicBool::new(false), progress: &mut |_| {} };
        let metrics = evaluate(&run, &source(&[shop.path("test.csv")]), "test", options).unwrap();
        let written = std::fs::read_to_string(shop.path("run/metrics.json")).unwrap();
        let written = hinet_train::Metrics::from_json(&written).unwrap();
        assert_eq!(metrics.splits["test"], written.splits["test"]);
    }
}

#[test]
fn predictions_come_in_input_order_with_the_scenario_the_kept_columns_and_a_score_per_task() {
    let shop = Shop::new();
    let run = run(&shop);
    let output = shop.path("scores.csv");
    let done = predicted(&run, &source(&[shop.path("test.csv")]), &["row", "user"], &output, 1).unwrap();
    assert_eq!(done.rows, 400);
    let (table, input) = (table(&output), table(&shop.path("test.csv")));
    assert_eq!(table[0], ["tab", "row", "user", "p_click", "p_order"]);
    assert_eq!(table.len(), input.len());
    for (scored, row) in table.iter().zip(&input).skip(1) {
        assert_eq!(scored[..3], [row[1].clone(), row[0].clone(), row[2].clone()]);
        assert!(scored[3..].iter().all(|score| (0.0..=1.0).contains(&score.parse::<f32>().unwrap())));
    }
}

#[test]
fn a_score_does_not_depend_on_the_rows_around_it_nor_on_threads_nor_on_the_format() {
    let shop = Shop::new();
    let run = run(&shop);
    let all = shop.path("all.csv");
    predicted(&run, &source(&[shop.path("test.csv")]), &["row"], &all, 2).unwrap();
    shop.write("one.csv", 1900..1901);
    shop.write("rest.csv", 1901..2300);
    let parts = shop.path("parts.csv");
    predicted(&run, &source(&[shop.path("one.csv"), shop.path("rest.csv")]), &["row"], &parts, 1).unwrap();
    assert_eq!(table(&all), table(&parts));
    let parquet = shop.path("all.parquet");
    predicted(&run, &source(&[shop.path("test.csv")]), &["row", "user", "item", "price"], &parquet, 1).unwrap();
    let again = shop.path("again.csv");
    predicted(&run, &source(&[parquet]), &["row"], &again, 1).unwrap();
    assert_eq!(table(&all), table(&again));
}

#[test]
fn what_train_had_not_is_counted() {
    let shop = Shop::new();
    let run = run(&shop);
    std::fs::write(shop.path("new.csv"), "tab,user,item,price\nhome,u1,2,\nhome,stranger,2,1.5\ncart,,3,2\n").unwrap();
    let done = predicted(&run, &source(&[shop.path("new.csv")]), &[], &shop.path("new.jsonl"), 1).unwrap();
    assert_eq!(done.counts.rows, 3);
    let of = |name: &str| done.counts.features.iter().find(|feature| feature.feature == name).unwrap().clone();
    assert_eq!((of("user").unseen, of("user").missing, of("price").missing), (1, 1, 1));
    let text = std::fs::read_to_string(shop.path("new.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with("{\"tab\":\"home\",\"p_click\":0."), "{text}");
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let shop = Shop::new();
    let run = run(&shop);
    let test = source(&[shop.path("test.csv")]);
    let error = |keep: &[&str], name: &str| predicted(&run, &test, keep, &shop.path(name), 1).unwrap_err();
    let missing = error(&["usr"], "a.csv");
    assert!(missing.to_string().contains("did you mean `user`") && missing.is_usage(), "{missing}");
    assert!(matches!(error(&[], "a.xlsx"), TrainError::OutputFormat { .. }));
    std::fs::write(shop.path("bad.csv"), "tab,user,item,price\nhome,u1,2,1\nnowhere,u1,2,1\n").unwrap();
    let unknown = predicted(&run, &source(&[shop.path("bad.csv")]), &[], &shop.path("a.csv"), 1).unwrap_err();
    assert!(unknown.to_string().contains("row 2") && unknown.to_string().contains("nowhere"), "{unknown}");
    assert!(!shop.path("a.csv").exists() && !shop.path("a.csv.partial").exists());
    assert!(matches!(Run::open(&shop.path("nothing")), Err(TrainError::NotARun { .. })));
}
