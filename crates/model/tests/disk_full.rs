//! A disk that is full while a model is saved: an error that names the file, and the old model still there.
//!
//! The disk is simulated by the largest size of a file that the system allows a process, which a child of this test sets
//! for itself.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use hinet_data::{DataConfig, Encoder, FeatureConfig, Paths, ScenarioConfig, SchemaConfig, Seed, Source, TaskConfig};
use hinet_model::{Artefact, Model, ModelConfig};

const FOLDER: &str = "HINET_TEST_SAVE_INTO";

fn encoder(folder: &Path) -> Encoder {
    let path = folder.join("rows.csv");
    let rows = (0..50).map(|i| format!("{},u{},{}\n", i % 2, i % 20, i % 3 / 2));
    std::fs::write(&path, "tab,user,click\n".to_owned() + &rows.collect::<String>()).unwrap();
    let features = r#"[{ "kind": "categorical", "columns": ["user"], "dim": 256 }]"#;
    let features: Vec<FeatureConfig> = serde_json::from_str(features).unwrap();
    let config = SchemaConfig {
        data: &DataConfig::new(Paths::One(path.display().to_string())),
        scenario: &ScenarioConfig { column: "tab".into(), unknown: Default::default() },
        tasks: &[TaskConfig::new("click", "click")],
        features: &features,
    };
    Encoder::fit(&config, &Source::open(&[path]).unwrap()).unwrap()
}

fn save(folder: &Path, seed: u64) -> Result<(), hinet_model::ModelError> {
    let scratch = tempfile::tempdir().unwrap();
    let encoder = encoder(scratch.path());
    let model = Model::new(encoder.layout().clone(), ModelConfig::default(), Seed(seed)).unwrap();
    Artefact::save(folder, "some", (&encoder, &model), &[])
}

#[test]
fn a_full_disk_leaves_the_old_model_and_says_which_file_did_not_fit() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let error = save(Path::new(&folder), 2).expect_err("files of this size are not allowed");
        println!("refused: {error}");
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    save(&folder, 1).unwrap();
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" --exact --nocapture \"$1\"";
    let this = "a_full_disk_leaves_the_old_model_and_says_which_file_did_not_fit";
    let child = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .arg(this)
        .env(FOLDER, &folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("refused: ") && said.contains(".safetensors"), "{said}");
    assert_eq!(Artefact::load(&folder).unwrap().manifest.seed, 1);
    let names: Vec<_> = std::fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["model"]);
}
