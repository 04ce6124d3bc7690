//! What the program says about itself.

use crate::place::Place;

#[test]
fn the_help_of_every_command_is_as_recorded() {
    let place = Place::empty();
    let commands = [
        "",
        "demo",
        "init",
        "check",
        "train",
        "compare",
        "tune",
        "evaluate",
        "predict",
        "export",
        "encode",
        "calibrate",
        "inspect",
        "synth",
        "convert",
        "serve",
        "schema",
        "completions",
        "man",
    ];
    for command in commands {
        let text = place.succeeds(&format!("{command} --help"));
        let name = if command.is_empty() { "hinet" } else { command };
        insta::assert_snapshot!(format!("help-{name}"), text);
    }
}

#[test]
fn a_command_that_is_not_there_is_refused() {
    Place::empty().refuses(2, "deploy", &["unrecognized subcommand", "deploy"]);
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(Place::empty().succeeds("--version"), format!("hinet {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let place = Place::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.succeeds(&format!("completions {shell}"));
        assert!(["train", "predict", "synth"].iter().all(|command| script.contains(command)));
    }
    assert!(place.succeeds("man").contains("hinet\\-train(1)"));
    place.succeeds("man --out pages");
    assert!(place.read("pages/hinet-train.1").contains("\\-\\-resume"));
}

#[test]
fn the_schema_knows_the_tables_of_the_config() {
    let schema: serde_json::Value = serde_json::from_str(&Place::empty().succeeds("schema")).expect("JSON");
    for table in ["data", "scenario", "task", "feature", "model", "train"] {
        assert!(schema["properties"].get(table).is_some(), "the schema has no `{table}`");
    }
}
