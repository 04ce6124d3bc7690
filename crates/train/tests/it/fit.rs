//! Fits from files to a run folder: results, their repetition, interruption, and what is refused.

use std::collections::BTreeMap;
use std::path::Path;

use hinet_train::{Experiment, Metrics, TrainError};

use crate::shop::{Shop, fit_heard, fit_quietly, fit_until};

/// Every file of a run that must be the same whenever the run is repeated, by name.
fn results(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in ["metrics.json", "calibration.json", "inspection.json", "history.jsonl", "config.toml"] {
        files.insert(name.to_owned(), std::fs::read(run.join(name)).unwrap());
    }
    for entry in std::fs::read_dir(run.join("model")).unwrap() {
        let path = entry.unwrap().path();
        files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
    }
    files
}

/// Names of the files that differ.
pub(crate) fn differences(one: &Path, other: &Path) -> Vec<String> {
    let (one, other) = (results(one), results(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    one.iter().filter(|(name, bytes)| other[*name] != **bytes).map(|(name, _)| name.clone()).collect()
}

fn history(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("history.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind<'a>(history: &'a [serde_json::Value], kind: &str) -> Vec<&'a serde_json::Value> {
    history.iter().filter(|line| line["kind"] == kind).collect()
}

#[test]
fn a_fit_learns_the_rule_and_leaves_a_whole_run_folder() {
    let shop = Shop::new();
    let out = shop.path("run");
    let summary = fit_quietly(&shop.experiment(&[("train.track", r#"["tensorboard"]"#)]), &out, false).unwrap();
    let test = &summary.metrics.splits["test"];
    assert!(test.task("click").unwrap().auc.unwrap() > 0.75, "{:?}", test.task("click"));
    assert!(test.task("order").unwrap().rows < test.rows, "orders are asked for among clicks only");
    let written = Metrics::from_json(&std::fs::read_to_string(out.join("metrics.json")).unwrap()).unwrap();
    assert_eq!(written, summary.metrics);
    assert_eq!(written.about["model"]["recipe"], "native");
    assert_eq!(written.about["steps"], 36);
    assert!(out.join("split.json").is_file() && out.join("timing.json").is_file());
    assert!(!out.join("checkpoint").exists());
    let events = std::fs::read_dir(out.join("tensorboard")).unwrap().next().unwrap().unwrap();
    assert!(events.metadata().unwrap().len() > 1000);
    Experiment::load(&out.join("config.toml"), &[]).unwrap();
}

#[test]
fn the_history_has_a_line_per_log_step_and_evaluation_and_no_time() {
    let shop = Shop::new();
    let out = shop.path("run");
    fit_quietly(&shop.experiment(&[]), &out, false).unwrap();
    let history = history(&out);
    let losses = of_kind(&history, "loss");
    assert_eq!(losses.len(), 36);
    let click = |line: &serde_json::Value| line["losses"]["click"].as_f64().unwrap();
    assert!(click(losses[35]) < click(losses[0]));
    let steps: Vec<_> = of_kind(&history, "evaluation").iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [12, 24, 36]);
    let parts: Vec<_> = of_kind(&history, "final").iter().map(|line| line["part"].as_str().unwrap()).collect();
    assert_eq!(parts, ["test", "valid"]);
    let text = std::fs::read_to_string(out.join("history.jsonl")).unwrap();
    assert!(!text.contains("second") && !text.contains("time"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_thread_and_on_two() {
    let shop = Shop::new();
    let runs = [("a", "1"), ("b", "1"), ("c", "2"), ("d", "2")].map(|(name, threads)| {
        let out = shop.path(name);
        fit_quietly(&shop.experiment(&[("train.threads", threads)]), &out, false).unwrap();
        out
    });
    assert_eq!(differences(&runs[0], &runs[1]), [""; 0]);
    assert_eq!(differences(&runs[2], &runs[3]), [""; 0]);
    assert_eq!(differences(&runs[0], &runs[2]), ["config.toml"], "only the number of threads is written down");
    let other = shop.path("other");
    fit_quietly(&shop.experiment(&[("train.seed", "8")]), &other, false).unwrap();
    assert!(differences(&runs[0], &other).contains(&"weights.safetensors".to_owned()));
}

#[test]
fn an_interrupted_run_that_is_resumed_ends_with_the_same_bytes() {
    let shop = Shop::new();
    let sets = [("train.evaluate_every", "5"), ("train.checkpoint_every", "4"), ("data.shuffle_rows", "512")];
    let plateau = r#"{ schedule = "plateau", schedule_patience = 0, learning_rate = 0.005 }"#;
    let adam = r#"{ optimiser = "adam", learning_rate = 0.01 }"#;
    let sets = [&sets[..], &[("train.dense", plateau), ("train.sparse", adam)]].concat();
    let experiment = shop.experiment(&sets);
    let whole = shop.path("whole");
    fit_quietly(&experiment, &whole, false).unwrap();
    for stops in [&[1, 2, 13][..], &[5, 12, 36], &[10, 24, 25]] {
        let out = shop.path(&format!("parts-{}", stops[0]));
        for &step in stops {
            let error = fit_until(&experiment, &out, step).unwrap_err();
            assert!(matches!(error, TrainError::Interrupted { step: at, .. } if at == step), "{error}");
        }
        let summary = fit_quietly(&experiment, &out, true).unwrap();
        assert_eq!(differences(&whole, &out), [""; 0], "stopped at {stops:?}");
        assert_eq!(summary.timing.sessions, 4);
    }
}

#[test]
fn a_file_of_encoded_rows_changes_no_byte_of_a_run_and_a_damaged_one_is_told_and_mended() {
    let shop = Shop::new();
    let sets = [("data.shuffle_rows", "512"), ("data.cache_mb", "0")];
    let plain = shop.path("plain");
    fit_quietly(&shop.experiment(&sets), &plain, false).unwrap();
    let folder = shop.path("cache");
    let quoted = format!("{:?}", folder.to_str().unwrap());
    let experiment = shop.experiment(&[&sets[..], &[("data.cache_dir", quoted.as_str())]].concat());
    for name in ["writes", "reads"] {
        let out = shop.path(name);
        fit_quietly(&experiment, &out, false).unwrap();
        assert_eq!(differences(&plain, &out), ["config.toml"], "{name}");
    }
    let resumed = shop.path("resumed");
    fit_until(&experiment, &resumed, 17).unwrap_err();
    fit_quietly(&experiment, &resumed, true).unwrap();
    assert_eq!(differences(&plain, &resumed), ["config.toml"]);
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let told = |name: &str| {
        let (result, ears) = fit_heard(&experiment, &shop.path(name));
        result.unwrap();
        assert_eq!(differences(&plain, &shop.path(name)), ["config.toml"], "{name}");
        ears.warnings.iter().filter(|warning| warning.contains("will be written anew: it is damaged")).count()
    };
    assert_eq!((told("damaged"), told("mended")), (1, 0));
}

#[test]
fn a_killed_run_continues_from_its_newest_checkpoint_and_ends_with_the_same_bytes() {
    let shop = Shop::new();
    let experiment = shop.experiment(&[("train.checkpoint_every", "7"), ("train.keep_checkpoint", "true")]);
    let whole = shop.path("whole");
    fit_quietly(&experiment, &whole, false).unwrap();
    let out = shop.path("killed");
    fit_until(&experiment, &out, 9).unwrap_err();
    // What a kill between two checkpoints leaves: lines and half a file that no checkpoint knows of.
    let mut text = std::fs::read_to_string(out.join("history.jsonl")).unwrap();
    text.push_str("{\"kind\":\"loss\",\"step\":10}\n{\"ki");
    std::fs::write(out.join("history.jsonl"), text).unwrap();
    std::fs::write(out.join("checkpoint/.state-000000000014.new"), "half").unwrap();
    fit_quietly(&experiment, &out, true).unwrap();
    assert_eq!(differences(&whole, &out), [""; 0]);
    assert!(out.join("checkpoint").is_dir());
}

#[test]
fn a_folder_is_resumed_only_with_its_own_config_and_data() {
    let shop = Shop::new();
    let out = shop.path("run");
    fit_until(&shop.experiment(&[]), &out, 3).unwrap_err();
    let refused = |sets: &[(&str, &str)], resume| fit_quietly(&shop.experiment(sets), &out, resume).unwrap_err();
    assert!(matches!(refused(&[], false), TrainError::RunExists { .. }));
    let error = refused(&[("train.dense.learning_rate", "0.5")], true);
    assert!(matches!(&error, TrainError::ConfigChanged { key, .. } if key == "train.dense.learning_rate"), "{error}");
    assert!(error.is_usage());
    shop.write("train.csv", 0..1501);
    let error = refused(&[], true);
    assert!(matches!(&error, TrainError::DataChanged { file, .. } if file.ends_with("train.csv")), "{error}");
    shop.write("train.csv", 0..1500);
    fit_quietly(&shop.experiment(&[("train.threads", "2"), ("train.checkpoint_every", "3")]), &out, true).unwrap();
}

#[test]
fn a_finished_run_gives_its_result_again_and_a_foreign_folder_is_left_alone() {
    let shop = Shop::new();
    let out = shop.path("run");
    let first = fit_quietly(&shop.experiment(&[("train.epochs", "1")]), &out, true).unwrap();
    let again = fit_quietly(&shop.experiment(&[("train.epochs", "1")]), &out, true).unwrap();
    assert!(again.was_finished && !first.was_finished);
    assert_eq!(first.metrics, again.metrics);
    assert_eq!(first.timing, again.timing);
    std::fs::create_dir(shop.path("mine")).unwrap();
    std::fs::write(shop.path("mine/letter.txt"), "dear").unwrap();
    let error = fit_quietly(&shop.experiment(&[]), &shop.path("mine"), true).unwrap_err();
    assert!(matches!(error, TrainError::NotARun { .. }));
}

#[test]
fn a_damaged_checkpoint_is_told_and_not_used() {
    let shop = Shop::new();
    let out = shop.path("run");
    fit_until(&shop.experiment(&[]), &out, 3).unwrap_err();
    let path = out.join("checkpoint/state-000000000003");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    std::fs::write(&path, bytes).unwrap();
    let error = fit_quietly(&shop.experiment(&[]), &out, true).unwrap_err();
    assert!(matches!(&error, TrainError::Damaged { path: named, .. } if *named == path), "{error}");
}

#[test]
fn a_fit_that_diverges_names_its_step_and_what_to_try() {
    let shop = Shop::new();
    let sets = [("train.dense", r#"{ optimiser = "sgd", learning_rate = 1e30 }"#)];
    let error = fit_quietly(&shop.experiment(&sets), &shop.path("run"), false).unwrap_err();
    let (TrainError::LossNotFinite { step, epoch, .. } | TrainError::GradientNotFinite { step, epoch, .. }) = error
    else {
        panic!("{error}")
    };
    assert!(step <= 4 && epoch == 1, "{error}");
    assert!(error.to_string().contains("train.dense.learning_rate") && !error.is_usage());
}

#[test]
fn a_task_of_one_class_is_refused() {
    let shop = Shop::new();
    let sets = [("task", r#"[{ name = "none", label = "click * 0" }]"#)];
    // However soon the run would end.
    for steps in ["1", "1000"] {
        let sets = [&sets[..], &[("train.max_steps", steps)]].concat();
        let error = fit_quietly(&shop.experiment(&sets), &shop.path("run"), false).unwrap_err();
        let TrainError::OneClass { task, found, rows } = &error else { panic!("{error}") };
        assert_eq!((task.as_str(), *found, *rows), ("none", "every label is 0", 1500));
        assert!(!shop.path("run").exists());
    }
}

#[test]
fn a_run_that_fails_before_its_first_checkpoint_leaves_no_folder_and_a_later_one_leaves_it() {
    let shop = Shop::new();
    let valid = std::fs::read_to_string(shop.path("valid.csv")).unwrap();
    std::fs::write(shop.path("valid.csv"), valid.replacen(",home,", ",moon,", 1)).unwrap();
    let out = shop.path("deep/run");
    let early = shop.experiment(&[("train.track", r#"["tensorboard"]"#)]);
    fit_quietly(&early, &out, false).unwrap_err();
    assert!(!out.exists());
    // What was there before stays.
    std::fs::create_dir_all(&out).unwrap();
    fit_quietly(&early, &out, true).unwrap_err();
    assert!(out.exists());
    let late = shop.path("late");
    let experiment = shop.experiment(&[("train.checkpoint_every", "5")]);
    fit_quietly(&experiment, &late, false).unwrap_err();
    std::fs::write(shop.path("valid.csv"), valid).unwrap();
    assert_eq!(fit_quietly(&experiment, &late, true).unwrap().timing.sessions, 2, "it goes on from its checkpoint");
    fit_quietly(&early, &shop.path("deep/other"), false).unwrap();
}

#[test]
fn a_run_killed_at_its_very_first_write_is_started_by_resume() {
    let shop = Shop::new();
    let out = shop.path("run");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join(".config.toml.new"), "config_ver").unwrap();
    let experiment = shop.experiment(&[("train.epochs", "1")]);
    assert!(matches!(fit_quietly(&experiment, &out, false), Err(TrainError::RunExists { .. })));
    fit_quietly(&experiment, &out, true).unwrap();
    assert!(!out.join(".config.toml.new").exists());
}

#[test]
fn patience_ends_a_run_and_the_best_weights_are_the_ones_that_are_kept() {
    let shop = Shop::new();
    let dense = r#"{ optimiser = "sgd", learning_rate = 0.5 }"#;
    let sets = [("train.epochs", "40"), ("train.patience", "2"), ("train.dense", dense)];
    let (summary, ears) = fit_heard(&shop.experiment(&sets), &shop.path("run"));
    let summary = summary.unwrap();
    let count = ears.evaluations.len();
    assert!(count < 40, "{count} evaluations");
    assert!(ears.evaluations[count - 2..].iter().all(|(_, _, best)| !best));
    let (step, metric, _) = ears.evaluations.iter().rfind(|(_, _, best)| *best).unwrap();
    assert_eq!(summary.metrics.about["best_step"], *step);
    assert_eq!(summary.metrics.splits["valid"].mean_auc, *metric);
}

#[test]
fn max_steps_ends_within_an_epoch_and_is_evaluated() {
    let shop = Shop::new();
    let (summary, ears) = fit_heard(&shop.experiment(&[("train.max_steps", "5")]), &shop.path("run"));
    assert_eq!(summary.unwrap().metrics.about["steps"], 5);
    assert_eq!(ears.evaluations.iter().map(|(step, _, _)| *step).collect::<Vec<_>>(), [5]);
}

#[test]
fn one_source_is_split_and_the_split_is_written_down() {
    let shop = Shop::new();
    let text = std::fs::read_to_string(shop.path("train.csv")).unwrap();
    assert!(text.starts_with("row,"));
    let split =
        r#"{ train = "train.csv", user = "user", split = { by = "time", column = "row", valid = 0.2, test = 0.2 } }"#;
    let train = shop.path("train.csv");
    let split = split.replace("train.csv", train.to_str().unwrap());
    let experiment = shop.experiment(&[("data", &split)]);
    let out = shop.path("run");
    fit_until(&experiment, &out, 4).unwrap_err();
    let summary = fit_quietly(&experiment, &out, true).unwrap();
    assert_eq!(summary.metrics.splits["valid"].rows, 300);
    assert_eq!(summary.metrics.splits["test"].rows, 300);
    let record = std::fs::read_to_string(out.join("split.json")).unwrap();
    assert!(record.contains("\"split\"") && record.contains("train.csv"), "{record}");
}

#[test]
fn without_validation_rows_the_last_weights_are_kept_and_the_user_is_told() {
    let shop = Shop::new();
    let train = format!("{{ train = {:?} }}", shop.path("train.csv"));
    let (summary, ears) = fit_heard(&shop.experiment(&[("data", &train)]), &shop.path("run"));
    assert!(summary.unwrap().metrics.splits.is_empty());
    assert!(ears.warnings.iter().any(|warning| warning.contains("neither validation nor test")), "{:?}", ears.warnings);
}

#[test]
fn a_scenario_without_validation_rows_is_told() {
    let shop = Shop::new();
    let valid = std::fs::read_to_string(shop.path("valid.csv")).unwrap();
    let without: String = valid.lines().filter(|line| !line.contains("cart")).map(|line| format!("{line}\n")).collect();
    std::fs::write(shop.path("valid.csv"), without).unwrap();
    let (_, ears) = fit_heard(&shop.experiment(&[("train.epochs", "1")]), &shop.path("run"));
    assert!(
        ears.warnings.iter().any(|warning| warning.contains("`cart` has no observed row in valid")),
        "{:?}",
        ears.warnings
    );
}
