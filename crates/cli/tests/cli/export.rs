//! `hinet export` and `hinet encode`: what is written scores elsewhere as it does here.

use std::path::PathBuf;
use std::process::Command;

use crate::place::{CONFIG, Place, log};
use crate::skip;

/// The log with lists, weighted lists, numbers and vectors beside its columns.
fn wide(seed: u64, rows: usize) -> String {
    let mut text = String::new();
    for (number, line) in log(seed, rows).lines().enumerate() {
        let at = number * 7 + 1;
        text += &match number {
            0 => format!("{line},tags,liked,seen,length,vector\n"),
            _ => format!(
                "{line},{},{},{},{},{}\n",
                ["", "a", "a|b", "c|d|e|a"][at % 4],
                ["x:0.5|y:2", "", "y:1", "z:0|x:0"][at % 4],
                ["1|2|3", "4", "", "2|2|9"][(at / 3) % 4],
                if at % 9 == 0 { String::new() } else { format!("{}.25", at % 50) },
                format_args!("{}|{}|0.5", at % 3, at % 5),
            ),
        };
    }
    text
}

const WIDE: &str = r#"
[[feature]]
columns = ["tags"]
kind = "multi"
separator = "|"
pooling = "mean"
min_count = 1
dim = 4

[[feature]]
columns = ["liked"]
kind = "weighted"
separator = "|"
pooling = "mean"
min_count = 1
dim = 3

[[feature]]
columns = ["seen"]
kind = "sequence"
separator = "|"
pooling = "max"
min_count = 1
dim = 3

[[feature]]
columns = ["length"]
kind = "numeric"
transform = "standard"

[[feature]]
columns = ["vector"]
kind = "vector"
length = 3
separator = "|"
"#;

/// A place with a trained run over every kind of feature, `preset` of the zoo with `options`.
fn trained(model: &str) -> Place {
    let place = Place::empty();
    for (name, seed, rows) in [("train", 1, 1500), ("valid", 2, 300), ("test", 3, 300)] {
        place.write(&format!("{name}.csv"), &wide(seed, rows));
    }
    let (before, after) = CONFIG.split_once("[model]").expect("a model");
    let train = after.split_once("[train]").expect("training").1;
    let before = before.replace("column = \"page\"", "column = \"page\"\nunknown = \"mean\"");
    place.write("hinet.toml", &format!("{before}{WIDE}\n[model]\n{model}\n[train]{train}"));
    place.succeeds("train hinet.toml --out run --quiet");
    place
}

/// The small HiNet of [`CONFIG`], with first-order terms.
fn hinet() -> String {
    let model = CONFIG.split_once("[model]").expect("a model").1;
    format!("{}\nfirst_order = true\n", model.split_once("[train]").expect("training").0)
}

#[test]
fn an_export_says_what_it_was_checked_on_and_refuses_a_folder_that_is_there() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    for (target, file) in [("onnx", "model.onnx"), ("triton", "hinet/1/model.onnx"), ("safetensors", "index.json")] {
        let output = place.run(&format!("export run --to {target} --out {target}"));
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && output.stdout.is_empty(), "{talk}");
        assert!(talk.contains("test rows of the run and drawn ones") && talk.contains("differ by at most"), "{talk}");
        assert!(place.path(target).join(file).is_file(), "{target}");
        place.refuses(2, &format!("export run --to {target} --out {target}"), &[target, "exists already"]);
    }
    assert_eq!(place.bytes("onnx/encoder.json"), place.bytes("run/model/encoder.json"));
    let output = place.run("export run --to onnx --form dense --out dense --data valid.csv");
    assert!(String::from_utf8_lossy(&output.stderr).contains("rows of --data"));
    fs_err::remove_file(place.path("test.csv")).expect("it is there");
    let output = place.run("export run --to onnx --out drawn");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && talk.contains("drawn rows alone") && talk.contains("test.csv"), "{talk}");
    place.refuses(2, "export run --to safetensors --form full --out other", &["--form"]);
    place.refuses(2, "export run --to keras --out other", &["keras", "onnx", "triton", "safetensors"]);
    place.refuses(2, "export nowhere --to onnx --out other", &["nowhere", "config.toml"]);
    place.refuses(2, "export run --to onnx --out other --data other.csv", &["other.csv"]);
    assert!(!place.path("other").exists());
}

#[test]
fn a_run_exports_to_the_same_bytes_again() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    for out in ["one", "two"] {
        place.succeeds(&format!("export run --to onnx --out {out} --quiet"));
    }
    for file in ["model.onnx", "model.onnx.data"] {
        assert_eq!(place.bytes(&format!("one/{file}")), place.bytes(&format!("two/{file}")), "{file}");
    }
}

#[test]
fn encoded_rows_come_in_order_with_kept_columns_in_every_format() {
    let place = trained(&hinet());
    for ending in ["csv", "jsonl", "parquet"] {
        place.succeeds(&format!(
            "encode run --data test.csv --output encoded.{ending} --keep is_click,is_order --quiet"
        ));
    }
    let csv = place.read("encoded.csv");
    assert_eq!(
        csv.lines().next(),
        Some("is_click,is_order,scenario,user_id,item_id,page,price,tags,liked,liked.weights,seen,length,vector")
    );
    let rows = place.read("test.csv");
    assert_eq!(csv.lines().count(), rows.lines().count());
    for (encoded, row) in csv.lines().zip(rows.lines()).skip(1) {
        let (encoded, row): (Vec<&str>, Vec<&str>) = (encoded.split(',').collect(), row.split(',').collect());
        assert_eq!(encoded[..2], row[4..6]);
        let (tags, raw) = (encoded[7].split(' ').filter(|id| !id.is_empty()), row[6].split('|'));
        assert_eq!(tags.count(), raw.filter(|tag| !tag.is_empty()).count().max(usize::from(row[6].is_empty())));
    }
    assert_eq!(place.read("encoded.jsonl").lines().count(), 300);
    let lines = place.read("encoded.jsonl");
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert!(first["tags"].is_array() && first["liked.weights"].is_array() && first["user_id"].is_u64(), "{first}");
    assert_eq!(first["vector"].as_array().map(Vec::len), Some(3));
    place.refuses(2, "encode run --data test.csv --output other.csv --keep user_id", &["user_id", "--keep"]);
    place.refuses(2, "encode run --data test.csv --output test.csv", &["test.csv"]);
    place.refuses(2, "encode run --data test.csv --output other.txt", &["other.txt", ".parquet"]);
    place.refuses(2, "encode run --data test.csv --output other.csv --keep nothing", &["nothing"]);
}

/// The example of `docs/export.md`.
fn example() -> &'static str {
    let page = include_str!("../../../../docs/export.md");
    page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example")
}

const COMPARED: &str = r#"
predicted = pyarrow.parquet.read_table("scores.parquet").to_pydict()
assert names == ["click", "order"], names
for name in names:
    difference = numpy.abs(scores[name] - numpy.array(predicted["p_" + name], dtype="float32")).max()
    assert len(scores[name]) == len(predicted["p_" + name]) and difference <= 1e-5, (name, difference)
assert scores["click"].std() > 0.001
"#;

#[test]
fn encoded_rows_score_in_onnx_runtime_as_hinet_predicts() {
    let Some(python) = skip::python("encoded_rows_score_in_onnx_runtime_as_hinet_predicts") else { return };
    for model in [hinet(), "preset = \"star\"\nstar_units = [8]\n".to_owned()] {
        let place = trained(&model);
        // Scenarios, users and tags that training did not have.
        let strange = wide(3, 300).replace("home,u1", "attic,v1").replace("a|b", "new|b");
        place.write("test.csv", &strange);
        let page = include_str!("../../../../docs/export.md");
        let commands = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("commands");
        for line in commands.lines() {
            place.succeeds(line.strip_prefix("hinet ").expect("a command of ours"));
        }
        place.succeeds("predict run --data test.csv --output scores.parquet --quiet");
        run_python(&python, &place, &(example().to_owned() + COMPARED));
    }
}

#[test]
fn the_config_for_triton_is_read_by_tritons_own_messages() {
    let Some(python) = skip::python("the_config_for_triton_is_read_by_tritons_own_messages") else { return };
    let place = trained(&hinet());
    let page = include_str!("../../../../docs/export.md");
    let command = page.split("```sh\n").nth(2).and_then(|rest| rest.split("```").next()).expect("a command");
    place.succeeds(command.trim().strip_prefix("hinet ").expect("a command of ours"));
    place.succeeds("export run --to triton --form dense --out dense --quiet");
    let script = r#"
import sys
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
types = {"tensor(float)": model_config_pb2.TYPE_FP32, "tensor(int64)": model_config_pb2.TYPE_INT64}
for home in ("repository/hinet", "dense/hinet"):
    config = text_format.Parse(open(home + "/config.pbtxt").read(), model_config_pb2.ModelConfig())
    assert config.name == "hinet" and config.backend == "onnxruntime" and config.max_batch_size == 0, config
    session = onnxruntime.InferenceSession(home + "/1/model.onnx")
    for ports, described in ((session.get_inputs(), config.input), (session.get_outputs(), config.output)):
        found = [(p.name, types[p.type], [d if isinstance(d, int) else -1 for d in p.shape]) for p in ports]
        assert found == [(t.name, t.data_type, list(t.dims)) for t in described], (found, described)
"#;
    run_python(&python, &place, script);
}

#[test]
fn exported_tensors_are_read_by_safetensors_own_reader() {
    let Some(python) = skip::python("exported_tensors_are_read_by_safetensors_own_reader") else { return };
    let place = trained(&hinet());
    place.succeeds("export run --to safetensors --out tensors --quiet");
    let script = r#"
import json, pathlib
from safetensors.numpy import load_file
folder = pathlib.Path("tensors")
index = json.loads((folder / "index.json").read_text())
assert set(index["weight_map"]) == set(index["tensors"])
tensors = {}
for file in set(index["weight_map"].values()):
    tensors |= load_file(folder / file)
assert {name: list(tensor.shape) for name, tensor in tensors.items()} == {n: t["shape"] for n, t in index["tensors"].items()}
assert sum(tensor.nbytes for tensor in tensors.values()) == index["metadata"]["total_size"]
ours = load_file("run/model/tables.safetensors")
assert ours and all((tensors["table." + name] == table).all() for name, table in ours.items())
ours = load_file("run/model/weights.safetensors")
assert ours and all((tensors["dense." + name] == weights).all() for name, weights in ours.items())
"#;
    run_python(&python, &place, script);
}

fn run_python(python: &PathBuf, place: &Place, script: &str) {
    place.write("script.py", script);
    let output = Command::new(python).arg("script.py").current_dir(place.path(".")).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
