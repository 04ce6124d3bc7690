//! Synthetic data through the public interface: bytes, sizes, rates, and the truth told about them.

use std::fs;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use hinet_data::{SynthConfig, SynthFormat, SynthTruth, synth_batches, synth_experiment, write_synth};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn small() -> SynthConfig {
    SynthConfig {
        train_rows: 40_000,
        valid_rows: 3000,
        test_rows: 20_000,
        users: 500,
        items: 300,
        ..SynthConfig::default()
    }
}

fn written(config: &SynthConfig) -> (tempfile::TempDir, SynthTruth) {
    let folder = tempfile::tempdir().unwrap();
    let truth = write_synth(config, folder.path(), &mut |_| {}).unwrap();
    (folder, truth)
}

fn parquet(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
    reader.with_batch_size(8192).build().unwrap().map(Result::unwrap).collect()
}

fn whole(batches: &[RecordBatch], column: &str) -> Vec<i64> {
    let values = |batch: &RecordBatch| batch[column].as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(values).collect()
}

fn text(batches: &[RecordBatch], column: &str) -> Vec<String> {
    let values = |batch: &RecordBatch| -> Vec<String> {
        batch[column].as_string::<i32>().iter().map(|cell| cell.unwrap_or_default().to_owned()).collect()
    };
    batches.iter().flat_map(values).collect()
}

/// By ranks, ties at their mean: another way than the generator's.
fn auc_by_ranks(rows: &[(f64, bool)]) -> f64 {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut rank, mut positive_ranks, mut positives) = (0.0, 0.0, 0.0);
    for tie in sorted.chunk_by(|one, other| one.0 == other.0) {
        let middle = rank + (tie.len() as f64 + 1.0) / 2.0;
        let count = tie.iter().filter(|row| row.1).count() as f64;
        positive_ranks += middle * count;
        positives += count;
        rank += tie.len() as f64;
    }
    (positive_ranks - positives * (positives + 1.0) / 2.0) / (positives * (rank - positives))
}

#[test]
fn one_seed_gives_the_same_bytes_with_any_number_of_threads_and_another_seed_others() {
    for format in [SynthFormat::Parquet, SynthFormat::Csv, SynthFormat::Jsonl] {
        let config = SynthConfig { format, noise_columns: 1, ..small() };
        let (first, _) = written(&config);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (second, _) = pool.install(|| written(&config));
        let (other, _) = written(&SynthConfig { seed: 8, ..config });
        let ending = format.ending();
        let names = [format!("train.{ending}"), format!("valid.{ending}"), format!("test.{ending}")];
        for name in names.into_iter().chain(["truth.json".to_owned(), "hinet.toml".to_owned()]) {
            let bytes = |folder: &tempfile::TempDir| fs::read(folder.path().join(&name)).unwrap();
            assert!(bytes(&first) == bytes(&second), "{name} differs");
            assert!(bytes(&first) != bytes(&other) || name == "hinet.toml", "{name} ignores the seed");
        }
    }
}

#[test]
fn sizes_and_base_rates_are_as_asked() {
    let (folder, truth) = written(&small());
    let train = parquet(&folder.path().join("train.parquet"));
    assert_eq!(train.iter().map(RecordBatch::num_rows).sum::<usize>(), 40_000);
    assert_eq!(parquet(&folder.path().join("valid.parquet")).iter().map(RecordBatch::num_rows).sum::<usize>(), 3000);
    let scenarios = text(&train, "scenario");
    for (name, share) in [("s1", 4.0 / 7.0), ("s2", 2.0 / 7.0), ("s3", 1.0 / 7.0)] {
        let found = scenarios.iter().filter(|scenario| *scenario == name).count() as f64 / 40_000.0;
        assert!((found - share).abs() < 0.02, "{name}: {found}");
    }
    for (label, rate) in [("is_click", 0.3), ("is_like", 0.15)] {
        let found = whole(&train, label).iter().sum::<i64>() as f64 / 40_000.0;
        assert!((found - rate).abs() < 0.02, "{label}: {found}");
    }
    assert_eq!(truth.bayes.overall.iter().map(|task| task.rows).collect::<Vec<_>>(), [20_000, 20_000]);
    assert_eq!(truth.bayes.cells.iter().map(|cell| cell.rows).sum::<u64>(), 40_000);
}

#[test]
fn the_bayes_auc_is_that_of_the_true_probabilities_on_the_test_rows() {
    for funnel in [false, true] {
        let (folder, truth) = written(&SynthConfig { bayes_columns: true, funnel, label_noise: 0.1, ..small() });
        let test = parquet(&folder.path().join("test.parquet"));
        let scenarios = text(&test, "scenario");
        for task in &truth.config.tasks {
            let labels = whole(&test, &task.label());
            let probabilities: Vec<f64> = test
                .iter()
                .flat_map(|batch| {
                    batch[format!("bayes_{}", task.name).as_str()].as_primitive::<Float64Type>().values().to_vec()
                })
                .collect();
            let rows: Vec<(f64, bool)> =
                probabilities.iter().zip(&labels).map(|(p, label)| (*p, *label == 1)).collect();
            let overall = truth.bayes.overall.iter().find(|row| row.task == task.name).unwrap();
            assert!((overall.auc.unwrap() - auc_by_ranks(&rows)).abs() < 1e-12);
            for cell in truth.bayes.cells.iter().filter(|cell| cell.task == task.name) {
                let own = |index: &usize| Some(&scenarios[*index]) == cell.scenario.as_ref();
                let rows: Vec<(f64, bool)> = (0..rows.len()).filter(own).map(|index| rows[index]).collect();
                assert_eq!(cell.rows, rows.len() as u64);
                assert!((cell.auc.unwrap() - auc_by_ranks(&rows)).abs() < 1e-12, "{cell:?}");
            }
        }
        let read: SynthTruth =
            serde_json::from_str(&fs::read_to_string(folder.path().join("truth.json")).unwrap()).unwrap();
        assert_eq!(read, truth);
        assert_eq!(truth.bayes_given_previous.is_some(), funnel);
    }
}

#[test]
fn the_presets_lie_where_a_model_has_something_to_learn() {
    for name in SynthConfig::PRESETS {
        let config = SynthConfig { train_rows: 1, valid_rows: 0, ..SynthConfig::preset(name).unwrap() };
        let (_folder, truth) = written(&config);
        let auc = truth.bayes.mean_auc.unwrap();
        assert!((0.7..0.85).contains(&auc), "{name}: {auc}");
        let tasks = 2;
        let between_scenarios = truth.logit_correlation[0][tasks];
        let asked = match name {
            "correlated" => 0.9,
            "independent" => 0.0,
            _ => 0.5 * 0.6 - 0.5,
        };
        assert!((between_scenarios - asked).abs() < 0.04, "{name}: {between_scenarios}");
    }
}

#[test]
fn batches_in_memory_are_the_rows_of_the_training_file() {
    let (folder, _) = written(&small());
    let file = parquet(&folder.path().join("train.parquet"));
    let memory = synth_batches(&small(), 40_000).unwrap();
    for column in ["time_ms", "request_id", "user_id", "item_id", "hour", "is_click", "is_like"] {
        assert_eq!(whole(&file, column), whole(&memory, column), "{column}");
    }
    for column in ["scenario", "user_segment", "item_tags"] {
        assert_eq!(text(&file, column), text(&memory, column), "{column}");
    }
}

#[test]
fn a_request_has_one_user_and_scenario_and_never_spans_two_files() {
    let (folder, _) = written(&small());
    let mut last_request = -1;
    for name in ["train", "valid", "test"] {
        let rows = parquet(&folder.path().join(format!("{name}.parquet")));
        let (requests, users) = (whole(&rows, "request_id"), whole(&rows, "user_id"));
        let scenarios = text(&rows, "scenario");
        assert!(requests[0] > last_request);
        for row in 1..requests.len() {
            if requests[row] == requests[row - 1] {
                assert_eq!((users[row], &scenarios[row]), (users[row - 1], &scenarios[row - 1]));
            }
        }
        last_request = *requests.last().unwrap();
    }
}

#[test]
fn cells_go_missing_as_often_as_asked_and_every_feature_named_in_the_experiment_exists() {
    let config = SynthConfig { missing: 0.1, users: 2000, zipf: 0.0, id_share: 0.1, noise_columns: 2, ..small() };
    let batches = synth_batches(&config, 20_000).unwrap();
    let missing: usize = batches.iter().map(|batch| batch["user_segment"].null_count()).sum();
    assert!((1500..2500).contains(&missing), "{missing}");
    let experiment = synth_experiment(&config);
    let lists = experiment.lines().filter_map(|line| line.strip_prefix("columns = "));
    let named: Vec<String> = lists.flat_map(|list| serde_json::from_str::<Vec<String>>(list).unwrap()).collect();
    assert_eq!(named.len(), 3 + 2 + 2 + 2 + 2 + 1, "{named:?}");
    for name in named {
        assert!(batches[0].column_by_name(&name).is_some(), "{name}");
    }
}

#[test]
fn settings_that_make_no_sense_name_their_key_and_a_bad_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let config = SynthConfig { scenario_correlation: -0.2, ..small() };
    let error = write_synth(&config, folder.path(), &mut |_| {}).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("scenario_correlation"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write_synth(&small(), &file, &mut |_| {}).unwrap_err();
    assert!(!error.is_usage() && error.to_string().contains("file"), "{error}");
}

#[test]
fn progress_grows_up_to_every_row() {
    let config = small();
    let mut told = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    write_synth(&config, folder.path(), &mut |rows| told.push(rows)).unwrap();
    assert!(told.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(told.last(), Some(&config.rows()));
}
