//! Every command does what its help says, on small data.

use crate::place::{CONFIG, Place, log};
use crate::skip;

#[test]
fn training_prints_the_table_and_says_where_the_run_lies_and_what_to_do_next() {
    let place = Place::with_data();
    let output = place.run("train hinet.toml --out run");
    let (table, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{talk}");
    for word in ["test", "click", "order", "home", "search", "cart", "AUC", "GAUC", "log loss", "PCOC", "all"] {
        assert!(table.contains(word), "the table has no {word:?}:\n{table}");
    }
    assert!(talk.contains("hinet predict run") && talk.contains("hinet evaluate run"), "{talk}");
    assert!(!table.contains("hinet predict"), "talk on standard output:\n{table}");
    for file in ["config.toml", "metrics.json", "timing.json", "history.jsonl", "report.html", "model/manifest.json"] {
        assert!(place.path("run").join(file).is_file(), "no {file}");
    }
    assert!(!place.path("run/checkpoint").exists(), "a finished run keeps no checkpoint unless asked");
}

#[test]
fn the_config_of_a_run_folder_trains_the_same_model_again() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    place.succeeds("train run/config.toml --out again --quiet");
    assert_eq!(place.bytes("run/metrics.json"), place.bytes("again/metrics.json"));
    assert_eq!(place.bytes("run/model/weights.safetensors"), place.bytes("again/model/weights.safetensors"));
}

#[test]
fn quiet_says_nothing_and_formats_are_for_programs() {
    let place = Place::with_data();
    let output = place.run("train hinet.toml --out run --quiet --format json");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let metrics: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(metrics["splits"]["test"]["cells"].as_array().map(Vec::len), Some(6));
    assert_eq!(String::from_utf8_lossy(&output.stdout), place.read("run/metrics.json"));
    let csv = place.succeeds("evaluate run --data test.csv --format csv");
    assert_eq!(csv.lines().count(), 1 + 6 + 2, "{csv}");
}

#[test]
fn an_existing_run_is_refused_and_a_finished_one_resumed_shows_its_result() {
    let place = Place::with_data();
    let first = place.succeeds("train hinet.toml --out run --quiet");
    place.refuses(2, "train hinet.toml --out run", &["run", "--resume"]);
    assert_eq!(place.succeeds("train hinet.toml --out run --resume --quiet"), first);
    place.refuses(2, "train hinet.toml --out run --resume --set train.epochs=9", &["epochs", "2", "9"]);
    place.succeeds("train hinet.toml --out new --resume --quiet");
}

#[test]
fn without_out_a_run_gets_a_folder_of_its_own() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --quiet");
    place.succeeds("train hinet.toml --quiet");
    let runs: Vec<String> = fs_err::read_dir(place.path("runs"))
        .expect("a folder of runs")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    assert!(runs.len() == 2 && runs.iter().all(|run| run.contains("hinet-")), "{runs:?}");
}

#[test]
fn evaluating_on_the_test_rows_gives_the_numbers_of_the_run() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    let run: serde_json::Value = serde_json::from_str(&place.read("run/metrics.json")).expect("JSON");
    let told = place.succeeds("evaluate run --data test.csv --format json --quiet");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["splits"]["data"], run["splits"]["test"]);
}

#[test]
fn predictions_are_one_row_per_input_row_in_order_whatever_the_format() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    place.succeeds("predict run --data test.csv --output scores.csv --keep user_id,item_id --quiet");
    let (scores, rows) = (place.read("scores.csv"), place.read("test.csv"));
    assert_eq!(scores.lines().next(), Some("page,user_id,item_id,p_click,p_order"));
    assert_eq!(scores.lines().count(), rows.lines().count());
    for (score, row) in scores.lines().zip(rows.lines()).skip(1) {
        let (score, row): (Vec<&str>, Vec<&str>) = (score.split(',').collect(), row.split(',').collect());
        assert_eq!(score[..3], row[..3]);
        let click: f64 = score[3].parse().expect("a number");
        assert!((0.0..=1.0).contains(&click));
    }
    place.succeeds("predict run --data test.csv --output scores.jsonl --quiet");
    assert_eq!(place.read("scores.jsonl").lines().count(), 400);
    let line: serde_json::Value =
        serde_json::from_str(place.read("scores.jsonl").lines().next().expect("a line")).expect("JSON");
    let first: Vec<&str> = scores.lines().nth(1).expect("a row").split(',').collect();
    assert_eq!(line["p_click"].as_f64().map(|p| p as f32), first[3].parse::<f32>().ok());
}

#[test]
fn predictions_without_experts_that_a_scenario_hardly_listens_to_say_what_that_changes() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    let output = place.run("predict run --data test.csv --output pruned.csv --prune-san 1");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{talk}");
    let told: Vec<&str> = talk.lines().filter(|line| line.contains("1 of 2 experts of other scenarios")).collect();
    assert!(told.len() == 3 && told[0].contains("numbers of its A change by at most 0."), "{talk}");
    place.succeeds("predict run --data test.csv --output scores.csv --quiet");
    assert_ne!(place.read("pruned.csv"), place.read("scores.csv"));
    place.succeeds("predict run --data test.csv --output unpruned.csv --prune-san 0 --quiet");
    assert_eq!(place.read("unpruned.csv"), place.read("scores.csv"));
    place.refuses(2, "predict run --data test.csv --output other.csv --prune-san 2", &["prune_san", "from 0 to 1"]);
}

#[test]
fn predictions_need_no_labels_and_do_not_replace_a_file_they_read() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    let unlabelled: String =
        log(3, 50).lines().map(|line| line.split(',').take(4).collect::<Vec<_>>().join(",") + "\n").collect();
    place.write("new.csv", &unlabelled);
    place.succeeds("predict run --data new.csv --output scores.csv --quiet");
    assert_eq!(place.read("scores.csv").lines().count(), 51);
    place.refuses(2, "predict run --data new.csv --output new.csv", &["new.csv"]);
    place.refuses(2, "predict run --data new.csv --output scores.txt", &["scores.txt", ".parquet"]);
    place.refuses(2, "predict run --data new.csv --output -", &["--output"]);
    place.refuses(2, "predict run --data new.csv --output other.csv --keep usr_id", &["usr_id", "user_id"]);
    place.refuses(2, "evaluate run --data new.csv", &["is_click"]);
}

#[test]
fn settings_change_the_config_and_their_paths_are_relative_to_the_working_folder() {
    let place = Place::with_data();
    fs_err::create_dir(place.path("configs")).expect("a writable folder");
    place.write("configs/other.toml", CONFIG);
    place.refuses(2, "train configs/other.toml --out run", &["configs/train.csv"]);
    place.succeeds(
        "train configs/other.toml --out run --quiet --set data.train=train.csv --set data.valid=valid.csv \
         --set data.test=test.csv --set name=mine --set train.epochs=1",
    );
    let config = place.read("run/config.toml");
    assert!(config.contains("epochs = 1") && config.contains("name = \"mine\""), "{config}");
    place.refuses(2, "train configs/other.toml --out run --set train.epochs", &["KEY=VALUE"]);
}

#[test]
fn checking_says_what_is_wrong_with_data_and_trains_nothing() {
    let place = Place::with_data();
    let leaking: String = log(1, 1500)
        .lines()
        .map(|line| {
            let click = line.split(',').nth(4).unwrap_or_default();
            format!("{line},{}\n", if click == "is_click" { "dwell" } else { click })
        })
        .collect();
    place.write("train.csv", &leaking);
    let told = place.succeeds("check hinet.toml");
    assert!(told.contains("dwell"), "the unused column is not named:\n{told}");
    place.write(
        "leaking.toml",
        &CONFIG.replace("columns = [\"price\"]", "columns = [\"price\", \"dwell\"]").replace(
            "valid = \"valid.csv\"\ntest = \"test.csv\"",
            "split = { by = \"random\", valid = 0.2, test = 0.2 }",
        ),
    );
    let told = place.succeeds("check leaking.toml");
    assert!(told.contains("dwell") && told.contains("by itself"), "the leak is not named:\n{told}");
    let json: serde_json::Value =
        serde_json::from_str(&place.succeeds("check hinet.toml --format json")).expect("JSON");
    assert!(json.is_object());
    assert!(!place.path("runs").exists());
}

#[test]
fn a_config_that_init_wrote_passes_check_and_trains() {
    let place = Place::empty();
    place.write("log.csv", &log(1, 2000));
    place.succeeds("init log.csv --task is_click --scenario page");
    let config = place.read("hinet.toml");
    assert!(config.contains("is_click") && config.contains("page") && config.contains('#'), "{config}");
    place.refuses(2, "init log.csv", &["hinet.toml", "--force"]);
    place.refuses(2, "init log.csv --task page --scenario page --force", &["`page`", "--scenario", "--task"]);
    place.succeeds("init log.csv --task is_click --force");
    assert_eq!(place.succeeds("init log.csv --task is_click --output -"), place.read("hinet.toml"));
    place.succeeds("check hinet.toml");
    place.succeeds("train hinet.toml --out run --quiet --set train.epochs=1");
}

#[test]
fn generated_data_comes_with_a_config_that_trains_on_it() {
    let place = Place::empty();
    let told = place.succeeds("synth --out data --rows 3000 --set seed=1");
    assert!(told.contains("base rate") && told.contains("all"), "{told}");
    place.succeeds("synth --out same --rows 3000 --seed 1");
    for name in ["train.parquet", "valid.parquet", "test.parquet"] {
        assert_eq!(place.bytes(&format!("data/{name}")), place.bytes(&format!("same/{name}")), "{name}");
    }
    place.refuses(2, "synth --out data", &["data"]);
    place.refuses(2, "synth --out other --set rowz=3", &["rowz", "train_rows"]);
    place.succeeds("train data/hinet.toml --out run --quiet --set train.epochs=1");
}

#[test]
fn the_demo_runs_through_on_few_rows() {
    let place = Place::empty();
    let table = place.succeeds("demo --rows 3000 --out demo --quiet");
    assert!(table.contains("Bayes AUC"), "{table}");
    assert!(place.path("demo/run/metrics.json").is_file());
    place.refuses(2, "demo --out demo", &["demo"]);
}

#[test]
fn the_quick_start_of_the_readme_runs() {
    let place = Place::empty();
    place.write("log.csv", &log(1, 2000));
    let readme = include_str!("../../../../README.md");
    let block = readme.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of commands");
    for line in block.lines() {
        place.succeeds(line.strip_prefix("hinet ").expect("a command of ours"));
    }
    assert!(place.path("scores.parquet").is_file());
    let config = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a config");
    place.write("small.toml", config);
    place.succeeds("train small.toml --out small --quiet --set train.epochs=1");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let place = Place::empty();
    let mut child = place
        .command("schema")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_coupon_survey_trains_from_a_guessed_config_once_its_task_is_named() {
    let Some(data) = skip::shared_data("the_coupon_survey_trains_from_a_guessed_config_once_its_task_is_named") else {
        return;
    };
    let place = Place::empty();
    let file = data.join("coupon/in_vehicle_coupon.csv");
    place.succeeds(&format!("init {} --task Y", file.display()));
    place.succeeds("train hinet.toml --out run --quiet --set train.epochs=1");
}

#[test]
fn python_reads_our_weights_with_its_own_reader() {
    let Some(python) = skip::python("python_reads_our_weights_with_its_own_reader") else { return };
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet --set train.track=[\"tensorboard\"]");
    let script = r#"
import json, pathlib, sys
import numpy
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
run = pathlib.Path(sys.argv[1])
weights = load_file(run / "model/weights.safetensors") | load_file(run / "model/tables.safetensors")
assert weights and all(numpy.isfinite(array).all() for array in weights.values()), "weights"
model = json.loads((run / "metrics.json").read_text())["model"]
tables = sum(array.size for array in load_file(run / "model/tables.safetensors").values())
assert tables == model["embedding_parameters"], (tables, model)
events = EventAccumulator(str(run / "tensorboard"))
events.Reload()
assert events.Tags()["scalars"], "no scalars in the event files"
"#;
    place.write("read.py", script);
    let output = std::process::Command::new(python)
        .args([place.path("read.py"), place.path("run")])
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn configs_committed_and_generated_hold_to_the_printed_json_schema() {
    let Some(python) = skip::python("configs_committed_and_generated_hold_to_the_printed_json_schema") else { return };
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet --set train.epochs=1");
    place.succeeds("synth --out data --rows 3000 --quiet");
    place.succeeds("init train.csv --task is_click --output guessed.toml");
    place.write("schema.json", &place.succeeds("schema"));
    place.write("misspelt.toml", &place.read("hinet.toml").replace("epochs", "epochz"));
    let script = r#"
import json, pathlib, sys, tomllib
import jsonschema
place, experiments = map(pathlib.Path, sys.argv[1:])
schema = json.loads((place / "schema.json").read_text())
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
faults = lambda path: [f"{path}: {fault.json_path}: {fault.message}" for fault in validator.iter_errors(tomllib.loads(path.read_text()))]
committed = [path for path in experiments.rglob("*.toml") if "[[task]]" in path.read_text()]
assert committed, experiments
generated = [place / name for name in ("hinet.toml", "run/config.toml", "data/hinet.toml", "guessed.toml")]
found = [fault for path in committed + generated for fault in faults(path)]
assert not found, "\n".join(found)
assert faults(place / "misspelt.toml"), "the schema lets a misspelt key pass"
"#;
    place.write("read.py", script);
    let experiments = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
    let output = std::process::Command::new(python)
        .args([place.path("read.py"), place.path("."), experiments])
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn inspecting_shows_the_inside_in_every_format_and_writes_it_only_when_asked() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    let before = place.read("run/report.html");
    let table = place.succeeds("inspect run --quiet");
    for word in ["attention san", "gate task", "expert use", "embedding tables", "home click", "shared 1"] {
        assert!(table.contains(word), "no {word:?} in:\n{table}");
    }
    assert!(!table.contains('\x1b') && table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let seen: serde_json::Value =
        serde_json::from_str(&place.succeeds("inspect run --format json --quiet")).expect("JSON");
    assert_eq!(seen["attention"][0]["weights"].as_array().map(Vec::len), Some(3));
    let csv = place.succeeds("inspect run --format csv --quiet --data valid.csv");
    assert!(csv.contains("gate,task,home,click,shared 1,weight,0."), "{csv}");
    assert_eq!(place.read("run/report.html"), before);
    let importance = place.succeeds("inspect run --importance --report --quiet --rows 100");
    assert!(importance.contains("features: AUC lost") && importance.contains("item_id"), "{importance}");
    let page = place.read("run/report.html");
    assert!(page.contains("id=\"importance\"") && !before.contains("id=\"importance\""));
    place.refuses(2, "inspect run --rows 0", &["--rows", "1 or more"]);
    place.refuses(2, "inspect nowhere", &["nowhere", "config.toml"]);
}

#[test]
fn vector_instructions_that_are_not_there_are_refused_with_those_that_are() {
    let place = Place::with_data();
    let output =
        place.command("check hinet.toml").env("HINET_INSTRUCTIONS", "mmx").output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && said.contains("HINET_INSTRUCTIONS is `mmx`") && said.contains("portable"),
        "{said}"
    );
    let portable = place.command("train hinet.toml --out run --quiet").env("HINET_INSTRUCTIONS", "portable").output();
    assert!(portable.expect("the program starts").status.success());
    assert!(place.read("run/timing.json").contains("\"instructions\": \"portable\""));
}
