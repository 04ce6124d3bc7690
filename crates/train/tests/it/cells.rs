//! Choosing and stopping by cells: floors, patience over cells, weights of objectives in a run.

use std::path::Path;

use hinet_train::{Metrics, TrainError};
use serde_json::{Value, json};

use crate::fit::differences;
use crate::shop::{Shop, fit_heard, fit_quietly, fit_until};

fn metrics(run: &Path) -> Metrics {
    Metrics::from_json(&std::fs::read_to_string(run.join("metrics.json")).unwrap()).unwrap()
}

fn history(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("history.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn weights_that_lose_a_cell_beyond_the_tolerance_are_not_chosen() {
    let shop = Shop::new();
    let base = shop.path("base");
    fit_quietly(&shop.experiment(&[]), &base, false).unwrap();
    // The same run again keeps its own floors.
    let floors = |tolerance: &str| format!(r#"{{ run = "{}", tolerance = {tolerance} }}"#, base.display());
    let (kept, ears) = fit_heard(&shop.experiment(&[("train.floors", &floors("0.0"))]), &shop.path("same"));
    assert_eq!(kept.unwrap().metrics.about["below_floor"], json!([]));
    assert!(!ears.warnings.iter().any(|warning| warning.contains("floor")), "{:?}", ears.warnings);
    // What is trained for one step does not, and says so.
    let sets = [("train.floors", floors("0.001")), ("train.max_steps", "1".to_owned())];
    let sets: Vec<(&str, &str)> = sets.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let (lost, ears) = fit_heard(&shop.experiment(&sets), &shop.path("short"));
    let below = lost.unwrap().metrics.about["below_floor"].as_array().unwrap().clone();
    let (base, first) = (metrics(&base), &below[0]);
    let cell = base.splits["valid"].cell(first["scenario"].as_str(), first["task"].as_str().unwrap()).unwrap();
    assert!((first["floor"].as_f64().unwrap() - (cell.auc.unwrap() - 0.001)).abs() < 1e-12);
    assert!(first["auc"].as_f64().unwrap() < first["floor"].as_f64().unwrap());
    let warning = ears.warnings.iter().find(|warning| warning.contains("floor")).expect("it is told");
    assert!(warning.contains(first["scenario"].as_str().unwrap()), "{warning}");
}

#[test]
fn floors_of_a_folder_without_a_run_and_of_other_rows_are_told() {
    let shop = Shop::new();
    let nowhere = format!(r#"{{ run = "{}" }}"#, shop.path("nowhere").display());
    let error = fit_quietly(&shop.experiment(&[("train.floors", &nowhere)]), &shop.path("a"), false).unwrap_err();
    assert!(matches!(&error, TrainError::Io { path, .. } if path.ends_with("nowhere/metrics.json")), "{error}");
    let base = shop.path("base");
    let other = shop.path("test.csv").display().to_string();
    fit_quietly(&shop.experiment(&[("data.valid", &other), ("train.max_steps", "2")]), &base, false).unwrap();
    let floors = format!(r#"{{ run = "{}" }}"#, base.display());
    let (_, ears) = fit_heard(&shop.experiment(&[("train.floors", &floors)]), &shop.path("b"));
    assert!(ears.warnings.iter().any(|warning| warning.contains("evaluated on other rows")), "{:?}", ears.warnings);
}

#[test]
fn training_goes_on_while_any_cell_gets_better() {
    let shop = Shop::new();
    let sets = [("train.epochs", "40"), ("train.patience", "2"), ("train.dense", "{ learning_rate = 0.02 }")];
    let by_monitor = fit_quietly(&shop.experiment(&sets), &shop.path("monitor"), false).unwrap();
    let by_cells = [&sets[..], &[("train.patience_over", "cells")]].concat();
    let by_cells = fit_quietly(&shop.experiment(&by_cells), &shop.path("cells"), false).unwrap();
    let steps = |summary: &hinet_train::Summary| summary.metrics.about["steps"].as_u64().unwrap();
    assert!(steps(&by_monitor) < steps(&by_cells), "{} and {}", steps(&by_monitor), steps(&by_cells));
    assert!(steps(&by_cells) < 40 * 12, "it ended by itself");
    // The last two evaluations made no cell better than ever before; the one before them did.
    let evaluations: Vec<Value> =
        history(&shop.path("cells")).into_iter().filter(|line| line["kind"] == "evaluation").collect();
    let aucs = |line: &Value| -> Vec<f64> {
        let cells = line["metrics"]["cells"].as_array().unwrap();
        cells.iter().map(|cell| cell["auc"].as_f64().unwrap_or(0.0)).collect()
    };
    let improves = |at: usize| {
        let now = aucs(&evaluations[at]);
        (0..now.len()).any(|cell| evaluations[..at].iter().all(|before| aucs(before)[cell] < now[cell]))
    };
    let last = evaluations.len() - 1;
    assert!(!improves(last) && !improves(last - 1) && improves(last - 2));
}

#[test]
fn factors_are_logged_survive_a_kill_and_are_told_when_they_stand_still() {
    let shop = Shop::new();
    for kind in ["uncertainty", "gradnorm", "dwa", "pcgrad", "cagrad", "mgda", "famo"] {
        let mut weighting = format!(r#"{{ kind = "{kind}" }}"#);
        if kind == "dwa" {
            weighting = r#"{ kind = "dwa", window = 4 }"#.to_owned();
        }
        let experiment = shop.experiment(&[("train.weighting", &weighting), ("train.epochs", "1")]);
        let (whole, parts) = (shop.path(&format!("{kind}-whole")), shop.path(&format!("{kind}-parts")));
        let (summary, ears) = fit_heard(&experiment, &whole);
        summary.unwrap();
        assert!(!ears.warnings.iter().any(|warning| warning.contains("stayed within")), "{kind}: {:?}", ears.warnings);
        fit_until(&experiment, &parts, 7).unwrap_err();
        fit_quietly(&experiment, &parts, true).unwrap();
        assert_eq!(differences(&whole, &parts), [""; 0], "{kind}");
        let lines: Vec<Value> = history(&whole).into_iter().filter(|line| line["kind"] == "loss").collect();
        let weight = |line: &Value, task: &str| line["weights"][task].as_f64().unwrap();
        let moves = lines.iter().any(|line| (weight(line, "click") - 1.0).abs() > 1e-3);
        assert!(moves, "{kind}: {}", lines.last().unwrap());
    }
    let still = r#"{ kind = "uncertainty", learning_rate = 1e-9 }"#;
    let (_, ears) = fit_heard(&shop.experiment(&[("train.weighting", still)]), &shop.path("still"));
    assert!(ears.warnings.iter().any(|warning| warning.contains("the weights of `uncertainty` stayed")));
}

#[test]
fn settings_of_a_weighting_that_mean_nothing_are_refused() {
    let shop = Shop::new();
    let refused = [
        (r#"{ kind = "famo", alpha = 1.0 }"#, "alpha", "has no meaning for `famo`"),
        (r#"{ objectives = "cells" }"#, "objectives", "has no meaning for `fixed`"),
        (r#"{ kind = "cagrad", radius = 1.0 }"#, "radius", "below 1"),
        (r#"{ kind = "gradnom" }"#, "kind", "gradnorm"),
    ];
    for (weighting, key, says) in refused {
        let sets = crate::shop::owned(&[("train.weighting", weighting)]);
        let error = hinet_train::Experiment::parse(&shop.config(), &shop.path("shop.toml"), &sets).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("train.weighting.{key}")) && text.contains(says), "{text}");
    }
    for (key, value, other) in [
        ("train.mask_loss", "false", r#"{ kind = "mgda" }"#),
        ("model", r#"{ preset = "single_task" }"#, r#"{ kind = "mgda" }"#),
    ] {
        let sets = crate::shop::owned(&[("train.weighting", other), (key, value)]);
        let error = hinet_train::Experiment::parse(&shop.config(), &shop.path("shop.toml"), &sets).unwrap_err();
        assert!(error.to_string().contains("train.weighting.kind"), "{error}");
    }
}
