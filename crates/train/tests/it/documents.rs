//! What is committed beside the code: the reference of the experiment file, and the experiments.

use std::fs;
use std::path::PathBuf;

use hinet_train::{Experiment, config_reference};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// With `HINET_UPDATE=1` the file is written instead.
#[test]
fn the_reference_of_the_experiment_file_is_the_generated_one() {
    let path = root().join("docs/config.md");
    if std::env::var_os("HINET_UPDATE").is_some() {
        fs::write(&path, config_reference()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == config_reference(), "docs/config.md is old: run this test with HINET_UPDATE=1");
}

#[test]
fn every_committed_experiment_is_read_and_written_back() {
    let mut seen = 0;
    let folders = ["experiments", "experiments/studies"].map(|folder| root().join(folder));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    for path in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let text = fs::read_to_string(&path).unwrap();
        // Settings of the generator of synthetic data stand there too.
        if path.extension().is_none_or(|ending| ending != "toml") || !text.contains("[[task]]") {
            continue;
        }
        let experiment = Experiment::load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        let again = Experiment::parse(&experiment.to_toml(), &path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again, experiment, "{}", path.display());
        seen += 1;
    }
    assert!(seen > 0, "no experiment found");
}
