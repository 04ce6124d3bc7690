//! A saved model that is changed in any way must be refused, and one that is not must score the same.

use std::path::PathBuf;
use std::sync::LazyLock;

use hinet_data::{
    Batch, DataConfig, EncodeCounts, FeatureConfig, Need, Order, Paths, Rows, ScenarioConfig, SchemaConfig, Source,
    TaskConfig, UnknownConfig,
};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{CalibratedCell, CalibrationMethod, Curve, FittedOn, ModelConfig, Plan, PlanWorkspace, zoo};

const ALL: [&str; 6] = [MANIFEST, ENCODER, WEIGHTS, TABLES, CALIBRATION, EXAMPLES];

/// A calibrated model with its encoder, examples and a batch, and the bytes of its artefact.
struct Fixture {
    encoder: Encoder,
    model: Model,
    batch: Batch,
    examples: Vec<ExampleRow>,
    bytes: Vec<(&'static str, Vec<u8>)>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = csv(folder.path());
    let (encoder, batch) = encoded(&path);
    let examples = Examples::choose(&encoder, &rows(&path, &encoder), 5).unwrap();
    let mut model = Model::new(encoder.layout().clone(), small(), Seed(3)).unwrap();
    model.set_calibration(Some(calibration(&model.layout))).unwrap();
    let saved = folder.path().join("model");
    Artefact::save(&saved, "tiny", (&encoder, &model), &examples).unwrap();
    let bytes = ALL.iter().map(|name| (*name, std::fs::read(saved.join(name)).unwrap())).collect();
    Fixture { encoder, model, batch, examples, bytes }
});

fn csv(folder: &Path) -> PathBuf {
    let row = |i: usize| format!("{},u{},{},{},{}\n", i % 3, i % 17, (i * 7) % 11, i % 2, i % 5 / 4);
    let text = "tab,user,age,click,order\n".to_owned() + &(0..120).map(row).collect::<String>();
    let path = folder.join("rows.csv");
    std::fs::write(&path, text).unwrap();
    path
}

fn encoded(path: &Path) -> (Encoder, Batch) {
    encoded_with(path, 1.0)
}

/// As [`encoded`], with a share of the negatives of `click`.
fn encoded_with(path: &Path, negative_rate: f64) -> (Encoder, Batch) {
    let features: Vec<FeatureConfig> = serde_json::from_value(serde_json::json!([
        { "kind": "categorical", "columns": ["user"], "dim": 4 },
        { "kind": "numeric", "columns": ["age"], "transform": "quantile", "buckets": 5, "dim": 3 },
    ]))
    .unwrap();
    let config = SchemaConfig {
        data: &DataConfig::new(Paths::One(path.display().to_string())),
        scenario: &ScenarioConfig { column: "tab".into(), unknown: UnknownConfig::Mean },
        tasks: &[TaskConfig { negative_rate, ..TaskConfig::new("click", "click") }, TaskConfig::new("order", "order")],
        features: &features,
    };
    let source = Source::open(&[path.to_owned()]).unwrap();
    let encoder = Encoder::fit(&config, &source).unwrap();
    let batch = encoder.encode(&rows(path, &encoder), Need::Features, &mut EncodeCounts::default()).unwrap();
    let groups = encoder.layout().groups();
    (encoder, batch.grouped(groups))
}

fn rows(path: &Path, encoder: &Encoder) -> Rows {
    let source = Source::open(&[path.to_owned()]).unwrap().with_text_columns(&encoder.text_columns());
    source.read(&encoder.columns(Need::Features), Order::InFile).unwrap().next().unwrap().unwrap()
}

fn small() -> ModelConfig {
    let text = r#"{
        "scenario": { "kind": "hinet", "sub_experts": 2, "shared_sub_experts": 2, "units": [6, 4], "scenario_dim": 3 },
        "task": { "kind": "cgc", "shared": 1, "specific": 1, "expert_units": [4], "tower_units": [3] }
    }"#;
    serde_json::from_str(text).unwrap()
}

/// A curve of its own for every cell.
fn calibration(layout: &Layout) -> Calibration {
    let scenarios = layout.scenarios.iter().cloned().map(Some).chain([None]);
    let cells =
        scenarios.flat_map(|scenario| layout.tasks.iter().map(move |task| (scenario.clone(), task.name.clone())));
    let cell = |(place, (scenario, task)): (usize, (Option<String>, String))| {
        let at = place as f64;
        let knots = vec![(0.1, 0.02 * at), (0.45 + 0.01 * at, 0.3), (0.9, 0.8)];
        let platt = Curve::Platt { a: 1.0 / 3.0 + at, b: -0.1 * at };
        let curve = if place % 2 == 0 { platt } else { Curve::Isotonic { knots } };
        CalibratedCell { scenario, task, rows: 30, positives: 10, fitted_on: FittedOn::Cell, curve }
    };
    Calibration { method: CalibrationMethod::Platt, cells: cells.enumerate().map(cell).collect() }
}

fn scores(model: &Model, batch: &Batch) -> Vec<f32> {
    let mut out = Vec::new();
    Plan::new(model).score(&mut PlanWorkspace::default(), batch, &mut out);
    out
}

/// A folder with the saved files, each as `change` leaves it.
fn folder_with(change: impl Fn(&str, &mut Vec<u8>)) -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    for (name, bytes) in &FIXTURE.bytes {
        let mut bytes = bytes.clone();
        change(name, &mut bytes);
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    (parent, folder)
}

/// The message of loading a model whose parts were changed before the manifest was written, as a forger or a faulty
/// writer would.
fn refusal_of(change: impl FnOnce(&Path, &mut Manifest)) -> String {
    let (_parent, folder) = folder_with(|_, _| ());
    let mut manifest = Manifest::read(&folder.join(MANIFEST)).unwrap();
    change(&folder, &mut manifest);
    let saved = FILES.iter().filter(|(name, ..)| folder.join(name).is_file());
    manifest.files = saved.map(|(name, ..)| FileRecord::of(&folder, name).unwrap()).collect();
    std::fs::write(folder.join(MANIFEST), manifest.to_text()).unwrap();
    let message = Artefact::load(&folder).unwrap_err().to_string();
    message.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn a_loaded_model_scores_with_the_same_bits_and_saves_the_same_bytes() {
    let (parent, folder) = folder_with(|_, _| ());
    let loaded = Artefact::load(&folder).unwrap();
    let expected = scores(&FIXTURE.model, &FIXTURE.batch);
    assert!(expected.iter().any(|score| *score != expected[0]), "a score that tells rows apart");
    assert_eq!(scores(&loaded.model, &FIXTURE.batch), expected);
    assert_eq!(loaded.encoder.layout(), FIXTURE.encoder.layout());
    assert_eq!((loaded.manifest.name.as_str(), loaded.manifest.seed), ("tiny", 3));
    let again = parent.path().join("again");
    Artefact::save(&again, "tiny", (&loaded.encoder, &loaded.model), &loaded.examples.rows).unwrap();
    for (name, bytes) in &FIXTURE.bytes {
        assert!(std::fs::read(again.join(name)).unwrap() == *bytes, "{name} differs");
    }
}

#[test]
fn every_preset_scores_with_the_same_bits_once_saved_and_loaded() {
    let parent = tempfile::tempdir().unwrap();
    for preset in zoo::PRESETS {
        for first_order in [false, true] {
            let mut config = ModelConfig { first_order, ..preset.config() };
            config.embedding.init_std = 0.5;
            let mut model = Model::new(FIXTURE.encoder.layout().clone(), config, Seed(4)).unwrap();
            // Tables of first-order weights start at 0: numbers that tell whether they were kept.
            let tables = model.embeddings.specs().len();
            let numbers = |(at, number): (usize, &mut f32)| *number += (at % 7) as f32 * 0.1;
            (0..tables).for_each(|table| model.embeddings.table_mut(table).iter_mut().enumerate().for_each(numbers));
            let folder = parent.path().join(format!("{} {first_order}", preset.name));
            Artefact::save(&folder, preset.name, (&FIXTURE.encoder, &model), &FIXTURE.examples).unwrap();
            let loaded = Artefact::load(&folder).unwrap();
            assert_eq!(scores(&loaded.model, &FIXTURE.batch), scores(&model, &FIXTURE.batch), "{}", preset.name);
            loaded.examples.check(&loaded.encoder, &Plan::new(&loaded.model)).unwrap();
        }
    }
}

#[test]
fn tensors_are_read_by_the_safetensors_crate() {
    let (_, tables) = FIXTURE.bytes.iter().find(|(name, _)| *name == TABLES).unwrap();
    let tables = safetensors::SafeTensors::deserialize(tables).unwrap();
    let user = tables.tensor("user").unwrap();
    assert_eq!(user.shape(), [FIXTURE.encoder.layout().tables[0].rows, 4]);
    assert_eq!(user.data(), bytemuck::cast_slice::<f32, u8>(FIXTURE.model.embeddings.table(0)));
}

#[test]
fn every_byte_of_the_manifest_counts() {
    let (_parent, folder) = folder_with(|_, _| ());
    let file = folder.join(MANIFEST);
    let bytes = std::fs::read(&file).unwrap();
    for place in 0..bytes.len() {
        for flip in [1, 0x20, 0x80] {
            let mut bytes = bytes.clone();
            bytes[place] ^= flip;
            std::fs::write(&file, bytes).unwrap();
            assert!(Artefact::load(&folder).is_err(), "byte {place} ^ {flip}");
        }
        std::fs::write(&file, &bytes[..place]).unwrap();
        assert!(Artefact::load(&folder).is_err(), "{place} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_changed_file_is_never_loaded(file in 0_usize..6, place: prop::sample::Index, flip in 1_u8.., cut: bool) {
        let (_parent, folder) = folder_with(|name, bytes| {
            if name == ALL[file] {
                let place = place.index(bytes.len());
                if cut { bytes.truncate(place) } else { bytes[place] ^= flip }
            }
        });
        let error = Artefact::load(&folder).unwrap_err();
        prop_assert!(error.to_string().contains(ALL[file]), "{}", error);
        prop_assert!(!error.is_usage());
    }
}

#[test]
fn a_missing_file_is_named() {
    for name in ALL {
        let (_parent, folder) = folder_with(|_, _| ());
        std::fs::remove_file(folder.join(name)).unwrap();
        let error = Artefact::load(&folder).unwrap_err();
        assert!(matches!(&error, ModelError::MissingFile { file, .. } if file.ends_with(name)), "{error}");
    }
    let error = Artefact::load(Path::new("no/such/model")).unwrap_err().to_string();
    let expected = "the folder of a saved model, with its manifest.json";
    assert_eq!(error, format!("no/such/model/manifest.json: not found; expected {expected}"));
}

#[test]
fn a_damaged_file_is_told_from_a_file_of_another_size() {
    let message = |change: &dyn Fn(&mut Vec<u8>)| {
        let (_parent, folder) = folder_with(|name, bytes| {
            if name == TABLES {
                change(bytes)
            }
        });
        Artefact::load(&folder).unwrap_err().to_string()
    };
    let cut = message(&|bytes| bytes.truncate(100));
    assert!(cut.contains("tables.safetensors: 100 bytes; expected "), "{cut}");
    let flipped = message(&|bytes| *bytes.last_mut().unwrap() ^= 1);
    assert!(flipped.contains("tables.safetensors: its checksum is "), "{flipped}");
}

#[test]
fn a_version_of_the_future_is_refused_as_such() {
    let (_parent, folder) = folder_with(|name, bytes| {
        if name == MANIFEST {
            *bytes = String::from_utf8(bytes.clone()).unwrap().replacen("_version\": 3,", "_version\": 7,", 1).into();
        }
    });
    let error = Artefact::load(&folder).unwrap_err().to_string();
    assert!(error.ends_with("manifest.json: format version 7; this hinet reads 1 to 3"), "{error}");
}

#[test]
fn weights_that_are_not_those_of_the_configuration_are_refused() {
    let message = refusal_of(|_, manifest| {
        let text = serde_json::to_string(&manifest.model).unwrap();
        manifest.model = serde_json::from_str(&text.replace("\"units\":[6,4]", "\"units\":[6,5]")).unwrap();
    });
    assert!(message.starts_with("weights.safetensors: tensor `"), "{message}");
    assert!(message.contains("expected F32 ["), "{message}");
    let message = refusal_of(|_, manifest| manifest.layout.tables[0].rows += 1);
    assert!(message.starts_with("encoder.json: an encoder with other tables than the model"), "{message}");
}

#[test]
fn a_size_that_no_memory_holds_is_refused_before_it_is_asked_for() {
    let message = refusal_of(|folder, manifest| {
        let huge = format!("\"rows\":{}", usize::MAX / 2);
        let path = folder.join(ENCODER);
        let rows = manifest.layout.tables[0].rows;
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(&format!("\"rows\":{rows}"), &huge)).unwrap();
        manifest.layout.tables[0].rows = usize::MAX / 2;
    });
    assert!(message.contains("tables") || message.contains("encoder.json"), "{message}");
}

#[test]
fn numbers_that_are_not_finite_are_neither_saved_nor_loaded() {
    let message = refusal_of(|folder, _| {
        let path = folder.join(WEIGHTS);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
    });
    assert!(message.starts_with("weights.safetensors: tensor `"), "{message}");
    assert!(message.ends_with("; expected finite numbers"), "{message}");

    let (_parent, folder) = folder_with(|_, _| ());
    let mut broken = FIXTURE.model.clone();
    broken.embeddings.table_mut(1)[4] = f32::INFINITY;
    let error = Artefact::save(&folder, "tiny", (&FIXTURE.encoder, &broken), &[]).unwrap_err().to_string();
    assert!(error.contains("tensor `age` holds inf at element 4"), "{error}");
    assert!(Artefact::load(&folder).is_ok(), "the old one stays");
}

#[test]
fn a_model_that_was_put_aside_by_a_killed_save_is_found() {
    let (parent, folder) = folder_with(|_, _| ());
    std::fs::rename(&folder, parent.path().join(".model.old")).unwrap();
    assert_eq!(scores(&Artefact::load(&folder).unwrap().model, &FIXTURE.batch), scores(&FIXTURE.model, &FIXTURE.batch));
}

#[test]
fn a_save_that_the_system_refuses_says_where_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let blocked = parent.path().join("file");
    std::fs::write(&blocked, "no folder").unwrap();
    let model = (&FIXTURE.encoder, &FIXTURE.model);
    let error = Artefact::save(&blocked.join("model"), "tiny", model, &FIXTURE.examples).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
    assert!(!error.is_usage());
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn taking_a_calibration_away_gives_the_artefact_that_there_was_before() {
    let parent = tempfile::tempdir().unwrap();
    let [plain, calibrated] = ["plain", "calibrated"].map(|name| parent.path().join(name));
    let mut model = FIXTURE.model.clone();
    model.set_calibration(None).unwrap();
    Artefact::save(&plain, "tiny", (&FIXTURE.encoder, &model), &FIXTURE.examples).unwrap();
    Artefact::save(&calibrated, "tiny", (&FIXTURE.encoder, &FIXTURE.model), &FIXTURE.examples).unwrap();
    let mut loaded = Artefact::load(&calibrated).unwrap();
    assert_eq!(loaded.model.calibration(), FIXTURE.model.calibration());
    assert_ne!(scores(&loaded.model, &FIXTURE.batch), scores(&model, &FIXTURE.batch));
    loaded.model.set_calibration(None).unwrap();
    Artefact::save(&calibrated, "tiny", (&loaded.encoder, &loaded.model), &loaded.examples.rows).unwrap();
    for name in [MANIFEST, ENCODER, WEIGHTS, TABLES, EXAMPLES] {
        assert_eq!(std::fs::read(plain.join(name)).unwrap(), std::fs::read(calibrated.join(name)).unwrap(), "{name}");
    }
    assert_eq!(std::fs::read_dir(&calibrated).unwrap().count(), 5);
    assert_eq!(scores(&Artefact::load(&calibrated).unwrap().model, &FIXTURE.batch), scores(&model, &FIXTURE.batch));
}

#[test]
fn a_calibration_that_is_none_or_of_other_cells_is_refused_by_its_file() {
    let message = |change: &dyn Fn(String) -> String| {
        refusal_of(|folder, _| {
            let path = folder.join(CALIBRATION);
            let text = std::fs::read_to_string(&path).unwrap();
            let changed = change(text.clone());
            assert_ne!(changed, text);
            std::fs::write(path, changed).unwrap();
        })
    };
    let descends = message(&|text| text.replace("0.9,", "0.3,"));
    assert!(descends.starts_with("calibration.json: the knot (0.3, 0.8) after (0.46, 0.3) in the curve"), "{descends}");
    let other = message(&|text| text.replacen("\"click\"", "\"like\"", 1));
    let expected =
        "calibration.json: a curve for scenario `0` and task `like`; expected one for scenario `0` and task `click`";
    assert_eq!(other, expected);
    let unreadable = message(&|text| text.replacen("0.9,", "", 1));
    assert!(unreadable.starts_with("calibration.json: it cannot be read ("), "{unreadable}");
    let unknown = message(&|text| text.replacen("\"platt\"", "\"spline\"", 1));
    assert!(unknown.contains("spline"), "{unknown}");
    let without = refusal_of(|folder, _| std::fs::write(folder.join(CALIBRATION), "{}").unwrap());
    assert!(without.starts_with("calibration.json: it cannot be read (missing field"), "{without}");
}

#[test]
fn the_first_format_has_neither_calibration_nor_examples() {
    let message = refusal_of(|_, manifest| manifest.format_version = 1);
    assert!(message.starts_with("manifest.json: files [\"encoder.json\", "), "{message}");
    let (_parent, folder) = folder_with(|_, _| ());
    let mut manifest = Manifest::read(&folder.join(MANIFEST)).unwrap();
    manifest.format_version = 1;
    manifest.files.truncate(3);
    std::fs::write(folder.join(MANIFEST), manifest.to_text()).unwrap();
    let first = Artefact::load(&folder).unwrap();
    assert_eq!((first.model.calibration(), first.examples), (None, Examples::default()));
}

#[test]
fn examples_are_of_every_scenario_and_score_as_the_rows_they_were_made_of() {
    let scenario = |row: &ExampleRow| row["tab"].to_string();
    assert_eq!(
        FIXTURE.examples.iter().map(scenario).collect::<Vec<_>>(),
        [r#""0""#, r#""1""#, r#""2""#, r#""0""#, r#""1""#]
    );
    let (_parent, folder) = folder_with(|_, _| ());
    let examples = Artefact::load(&folder).unwrap().examples;
    let all = FIXTURE.batch.ungrouped(&scores(&FIXTURE.model, &FIXTURE.batch));
    // The first row of each of three scenarios, then the second: the first five rows of the file.
    assert_eq!(examples.scores.concat(), all[..10]);
}

#[test]
fn a_model_that_scores_its_examples_otherwise_is_found_out() {
    let (_parent, folder) = folder_with(|_, _| ());
    let Artefact { encoder, model, mut examples, .. } = Artefact::load(&folder).unwrap();
    examples.check(&encoder, &Plan::new(&model)).unwrap();
    examples.scores[3][1] += 0.01;
    let error = examples.check(&encoder, &Plan::new(&model)).unwrap_err().to_string();
    assert!(error.starts_with("example 4 scores 0.") && error.contains("for task `order`, expected "), "{error}");
    examples.scores[3][1] = f32::NAN;
    assert!(examples.check(&encoder, &Plan::new(&model)).is_err());
    examples.rows[0].insert("age".to_owned(), "old".into());
    let error = examples.check(&encoder, &Plan::new(&model)).unwrap_err().to_string();
    assert!(error.contains("examples") && error.contains("old"), "{error}");
}

#[test]
fn examples_without_their_scores_are_refused() {
    let message = refusal_of(|folder, _| {
        let path = folder.join(EXAMPLES);
        let mut examples = Examples::read(&path).unwrap();
        examples.scores.pop();
        std::fs::write(path, json_text(&examples)).unwrap();
    });
    assert_eq!(message, "examples.json: scores of another shape; expected 5 rows of 2 scores");
}

#[test]
fn a_rate_of_negatives_is_kept_and_written_only_where_it_is_not_1() {
    let parent = tempfile::tempdir().unwrap();
    let (plain, spared) = (encoded_with(&csv(parent.path()), 1.0).0, encoded_with(&csv(parent.path()), 0.25).0);
    assert!(!plain.to_json().contains("negative_rate"));
    let model = Model::new(spared.layout().clone(), small(), Seed(3)).unwrap();
    let folder = parent.path().join("model");
    Artefact::save(&folder, "tiny", (&spared, &model), &[]).unwrap();
    let loaded = Artefact::load(&folder).unwrap();
    assert_eq!(loaded.model.layout.tasks.iter().map(|task| task.negative_rate).collect::<Vec<_>>(), [0.25, 1.0]);
    assert_eq!(scores(&loaded.model, &FIXTURE.batch), scores(&model, &FIXTURE.batch));
}
