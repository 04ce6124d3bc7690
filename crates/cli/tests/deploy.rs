//! Files for deployment: what they name is there.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../../tests/support/skip.rs"]
mod skip;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs_err::read_to_string(root().join(name)).expect("a readable file")
}

/// Options of `hinet serve`, as its help names them.
fn serve_options() -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_hinet")).args(["serve", "--help"]).output().expect("the program starts");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_settings_shown_are_those_the_server_takes() {
    let config: hinet_serve::ServeConfig = hinet_train::read_config(&root().join("deploy/serve.toml"), |_| Vec::new())
        .unwrap_or_else(|error| panic!("{error}"));
    config.check().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.models.len(), 1);
}

#[test]
fn files_for_deployment_call_the_program_as_it_is() {
    let help = serve_options();
    for name in ["deploy/Dockerfile", "deploy/hinet.service", "deploy/kserve/serving-runtime.yaml"] {
        let text = read(name);
        let options =
            text.split([' ', '"', ',', '[', ']', '\n']).filter(|word| word.starts_with("--") && word.len() > 2);
        let own = ["--release", "--locked", "--uid", "--no-create-home", "--shell", "--from=build"];
        for option in options.filter(|option| !own.contains(option)) {
            assert!(help.contains(option), "{name}: hinet serve has no {option}");
        }
    }
    let toolchain = read("Cargo.toml");
    let version =
        toolchain.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version").trim_matches('"');
    assert!(
        read("deploy/Dockerfile").contains(&format!("FROM rust:{version}-")),
        "the Dockerfile builds with another Rust"
    );
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let board: serde_json::Value = serde_json::from_str(&read("deploy/grafana.json")).expect("JSON");
    let metrics = read("crates/serve/src/metrics.rs");
    let panels = board["panels"].as_array().expect("panels");
    assert!(panels.len() >= 10, "{} panels", panels.len());
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets")) {
        let expression = target["expr"].as_str().expect("an expression");
        let names = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        for name in names.filter(|name| name.starts_with("hinet_")) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(metrics.contains(&format!("\"{base}\"")), "the server has no {base}");
        }
    }
}

/// What the tools of others say of the files, where they are there.
#[test]
fn the_tools_of_others_read_the_files() {
    let Some(python) = skip::python("the_tools_of_others_read_the_files") else { return };
    let script = r#"
import sys, yaml
for name in sys.argv[1:]:
    for document in yaml.safe_load_all(open(name)):
        assert document["apiVersion"].startswith("serving.kserve.io/") and document["kind"] and document["metadata"]["name"], name
runtime, service = (yaml.safe_load(open(name)) for name in sys.argv[1:])
model = service["spec"]["predictor"]["model"]
assert model["runtime"] == runtime["metadata"]["name"]
assert model["modelFormat"]["name"] in [known["name"] for known in runtime["spec"]["supportedModelFormats"]]
assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
"#;
    let files =
        ["deploy/kserve/serving-runtime.yaml", "deploy/kserve/inference-service.yaml"].map(|name| root().join(name));
    let output = Command::new(python).args(["-c", script]).args(files).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The program of the unit is not installed here: all but that must be right.
    let Ok(output) =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(root().join("deploy/hinet.service")).output()
    else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let faults: Vec<&str> =
        said.lines().filter(|line| line.contains("hinet.service") && !line.contains("is not executable")).collect();
    assert!(faults.is_empty(), "{said}");
}
