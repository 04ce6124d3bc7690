//! `check` on data whose troubles are known.

use std::fmt::Write;
use std::path::Path;

use hinet_train::{CheckReport, Experiment, Severity, check};

use crate::shop::owned;

const CONFIG: &str = r#"
[data]
train = "train.csv"
valid = "valid.csv"

[scenario]
column = "tab"

[[task]]
name = "click"
label = "is_click"

[[task]]
name = "order"
label = "is_order"
where = "is_click == 1"

[[feature]]
columns = ["item", "watched", "sparse"]
kind = "categorical"
dim = 2

[[feature]]
columns = ["seconds"]
kind = "numeric"
transform = "none"

[model]
preset = "hinet"
units = [4]
expert_units = [4]
tower_units = [2]
"#;

/// Row i of a part. `watched` and `seconds` tell the click; every 100th order has no click; `sparse` is nearly empty.
fn row(i: usize, tab: &str, item: usize) -> String {
    let click = usize::from(i * 7919 % 10 < 4);
    let order = usize::from(i % 100 == 5 || (click == 1 && (i * 31).is_multiple_of(7)));
    let sparse = if i.is_multiple_of(50) { "a" } else { "" };
    let seconds = click * 100 + i * 13 % 90;
    format!("{tab},{item},{},{sparse},{seconds},{click},{order},x\n", if click == 1 { "yes" } else { "no" })
}

fn write(folder: &Path) {
    let head = "tab,item,watched,sparse,seconds,is_click,is_order,comment\n";
    let (mut train, mut valid) = (head.to_owned(), head.to_owned());
    for i in 0..2000 {
        let tab = ["home", "search", "ads"][i % 3];
        train.push_str(&row(i, tab, i * 17 % 40));
    }
    for i in 0..400 {
        // No row of `ads`, some of a scenario that train does not have, and items that train does not have.
        let tab = if i % 40 == 0 { "new" } else { ["home", "search"][i % 2] };
        valid.push_str(&row(i, tab, 1000 + i));
    }
    std::fs::write(folder.join("train.csv"), train).unwrap();
    std::fs::write(folder.join("valid.csv"), valid).unwrap();
    std::fs::write(folder.join("shop.toml"), CONFIG).unwrap();
}

fn report(sets: &[(&str, &str)]) -> CheckReport {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let path = folder.path().join("shop.toml");
    let experiment = Experiment::load(&path, &owned(sets)).unwrap_or_else(|error| panic!("{error}"));
    check(&experiment).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_trouble_that_was_put_in_is_found_and_nothing_else() {
    let report = report(&[]);
    let mut found = String::new();
    for finding in &report.findings {
        writeln!(found, "{finding}").unwrap();
    }
    let expected = [
        "error: scenario: 10 rows of valid have a scenario that train does not: they would be refused",
        "warning: task `order`: 20 rows of train are positive although `is_click == 1` leaves them out",
        "warning: task `order`: 4 rows of valid are positive although `is_click == 1` leaves them out",
        "warning: scenario: 1 scenario of train without rows in valid: ads",
        "warning: feature `item`: 100.0 % of its values in valid were not seen often enough in train",
        "warning: feature `sparse`: missing in 98.0 % of train",
        "warning: feature `sparse`: missing in 98.0 % of valid",
        "warning: feature `watched`: predicts task `click` by itself (AUC 1.0000",
        "warning: feature `seconds`: predicts task `click` by itself (AUC 1.0000",
        "note: columns: 1 column of the data not used: comment",
    ];
    for line in expected {
        assert!(found.contains(line), "{line}\n{found}");
    }
    assert_eq!(report.findings.len(), expected.len(), "{found}");
    assert!(report.findings.is_sorted_by_key(|finding| finding.severity));
    assert!(report.has_errors());
}

#[test]
fn counts_are_those_of_the_rows() {
    let report = report(&[]);
    assert_eq!((report.parts[0].rows, report.parts[1].rows), (2000, 400));
    assert_eq!(report.parts[1].unknown_scenario_rows, 10);
    let clicks: u64 = report.parts[0].cells.iter().filter(|cell| cell.task == "click").map(|cell| cell.positives).sum();
    assert_eq!(clicks, (0..2000).filter(|i| i * 7919 % 10 < 4).count() as u64);
    assert!(report.model.dense_parameters > 0 && report.model.flops_per_row > 0);
    assert_eq!(report.model.scenarios, 3);
    assert!(report.to_string().starts_with("train: 2000 rows, 6 of 6 cells with labels\n"), "{report}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["findings"][0]["severity"], "error");
}

#[test]
fn a_task_of_one_class_is_an_error_and_an_accepted_scenario_is_none() {
    let report = report(&[("scenario.unknown", "mean"), ("task.order.label", "is_order * 0")]);
    let errors: Vec<String> =
        report.findings.iter().filter(|one| one.severity == Severity::Error).map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("error: task `order`: all "), "{errors:?}");
}
