//! Exports against the plan, for every model there is, and by other people's tools.

use std::path::Path;

use hinet_data::{Batch, Column, Layout, Seed, Slot};
use hinet_model::{
    ExportFormat, ExportSource, InputNames, Model, ModelConfig, OnnxForm, PARITY_TOLERANCE, Plan, PlanWorkspace,
    export, synthetic_rows, zoo,
};
use serde_json::{Value, json};

use crate::cases::{self, TASKS, WIDTH};
use crate::{fixture, harness, skip};

fn model(layout: Layout, mut config: ModelConfig) -> Model {
    config.embedding.init_std = 0.5;
    let mut model = Model::new(layout, config, Seed(5)).unwrap();
    // Biases, statistics, first-order weights: what starts at 0 must be seen to be exported.
    for (at, value) in model.params.values_mut().iter_mut().enumerate().filter(|(_, value)| **value == 0.0) {
        *value = 0.2 * harness::noise(at as u64);
    }
    let tables = model.embeddings.specs().len();
    for table in 0..tables {
        let values = model.embeddings.table_mut(table).iter_mut().enumerate();
        values.filter(|(_, value)| **value == 0.0).for_each(|(at, value)| *value = 0.3 * harness::noise(at as u64));
    }
    model
}

/// Which slots of [`fixture::layout`] have weights.
fn weighted(layout: &Layout) -> Vec<bool> {
    layout.slots.iter().map(|slot| matches!(slot.feature(), "scored_tags" | "shares")).collect()
}

fn write(model: &Model, weighted: &[bool], form: OnnxForm, folder: &Path) {
    let source = ExportSource { name: "model", model, encoder: "{}", weighted };
    let sample = synthetic_rows(&model.layout, weighted, 24, Seed(3));
    let exported = export(source, ExportFormat::Onnx(form), &sample, folder).unwrap_or_else(|error| {
        panic!("{} over {}: {error}", model.config.task.kind(), model.config.scenario.kind());
    });
    assert!(exported.rows >= 12 && exported.difference <= PARITY_TOLERANCE);
}

#[test]
fn every_model_scores_in_onnx_as_in_the_plan() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    for scenarios in [1, 3] {
        for (_, config) in cases::all() {
            let layout = harness::layout(WIDTH, scenarios, &TASKS);
            let flags = weighted(&layout);
            let model = model(layout, config);
            // What is looked up does not depend on the layers; the dense form of one scenario has them all.
            let forms = if scenarios == 1 { &[OnnxForm::Dense][..] } else { &[OnnxForm::Dense, OnnxForm::Full] };
            for form in forms {
                write(&model, &flags, *form, &folder);
                std::fs::remove_dir_all(&folder).unwrap();
            }
        }
    }
}

#[test]
fn every_preset_exports_in_both_forms() {
    let place = tempfile::tempdir().unwrap();
    for preset in zoo::PRESETS {
        let (layout, folder) = (fixture::layout(), place.path().join(preset.name));
        let flags = weighted(&layout);
        let model = model(layout, preset.config());
        for form in [OnnxForm::Dense, OnnxForm::Full] {
            write(&model, &flags, form, &folder);
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
}

/// Asks the files themselves, one after the other: the checker of ONNX in full, and ONNX Runtime on all rows, on each row
/// of the first ones alone, and on ids that do not exist.
const READER: &str = r#"
import json, pathlib, sys
import numpy, onnx, onnxruntime
onnxruntime.set_default_logger_severity(4)
folder = pathlib.Path(sys.argv[1])
cases = sorted(folder.glob("*/case.json"))
assert cases, folder
largest = 0.0
for path in cases:
    case, model = json.loads(path.read_text()), path.parent / "model/model.onnx"
    onnx.checker.check_model(str(model), full_check=True)
    proto = onnx.load(str(model), load_external_data=False)
    assert proto.opset_import[0].version >= 17 and proto.ir_version <= 10, path
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(metadata["hinet.layout"])["tasks"] and metadata["hinet.form"] == case["form"], path
    tables = [tensor for tensor in proto.graph.initializer if tensor.name.startswith("/table.")]
    assert bool(tables) == (case["form"] == "full"), path
    for tensor in tables:
        place = {entry.key: entry.value for entry in tensor.external_data}
        assert place["location"] == "model.onnx.data" and int(place["offset"]) % 4096 == 0, place
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    feed = {name: numpy.array(value["data"], dtype=value["dtype"]).reshape(value["dims"])
            for name, value in case["inputs"].items()}
    assert sorted(port.name for port in session.get_inputs()) == sorted(feed), path
    assert all(port.shape[0] == "rows" for port in session.get_inputs() + session.get_outputs()), path
    names = [port.name for port in session.get_outputs()]
    assert names == list(case["expected"]), (path, names)
    def compare(rows):
        global largest
        scores = session.run(None, {name: value[rows] for name, value in feed.items()})
        for name, found in zip(names, scores):
            expected = numpy.array(case["expected"][name], dtype="float32")[rows]
            assert found.dtype == numpy.float32 and found.shape == expected.shape, (path, found.shape)
            difference = float(numpy.abs(found - expected).max())
            assert difference <= 1e-5, (str(path), name, difference)
            largest = max(largest, difference)
    compare(slice(None))
    for row in range(5):
        compare(slice(row, row + 1))
    if case["asks_scenario"]:
        for scenario in (-1, case["ids"]):
            wrong = dict(feed, scenario=numpy.full_like(feed["scenario"], scenario))
            try:
                session.run(None, wrong)
            except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument:
                continue
            raise AssertionError(f"{path}: scenario {scenario} was scored")
    for name in case["ids_of"]:
        for id in (-1, case["ids_of"][name]):
            try:
                session.run(None, dict(feed, **{name: numpy.full_like(feed[name], id)}))
            except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument:
                continue
            raise AssertionError(f"{path}: id {id} of {name} was scored")
print(f"{len(cases)} models, largest difference {largest:.1e}")
"#;

#[test]
fn onnx_runtime_scores_every_preset_as_the_plan_does() {
    let Some(python) = skip::python("onnx_runtime_scores_every_preset_as_the_plan_does") else { return };
    let place = tempfile::tempdir().unwrap();
    for preset in zoo::PRESETS {
        for (form, name) in [(OnnxForm::Dense, "dense"), (OnnxForm::Full, "full")] {
            let folder = place.path().join(format!("{}-{name}", preset.name));
            std::fs::create_dir(&folder).unwrap();
            let layout = fixture::layout();
            let flags = weighted(&layout);
            let model = model(layout, preset.config());
            write(&model, &flags, form, &folder.join("model"));
            let case = serde_json::to_vec(&case(&model, &flags, form)).unwrap();
            std::fs::write(folder.join("case.json"), case).unwrap();
        }
    }
    let script = place.path().join("read.py");
    std::fs::write(&script, READER).unwrap();
    let output = std::process::Command::new(python).arg(script).arg(place.path()).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

/// Inputs of 60 rows and the plan's scores of them.
fn case(model: &Model, weighted: &[bool], form: OnnxForm) -> Value {
    let layout = &model.layout;
    let mut batch = fixture::batch(layout, 60, 17);
    let knows_unknown = !model.config.tables.per_scenario();
    if !knows_unknown {
        batch.scenario.iter_mut().for_each(|scenario| *scenario = (*scenario).min(2));
    }
    let grouped = batch.grouped(layout.groups());
    let mut scores = Vec::new();
    Plan::new(model).score(&mut PlanWorkspace::default(), &grouped, &mut scores);
    let tasks = layout.tasks.len();
    let mut expected = serde_json::Map::new();
    for (task, spec) in layout.tasks.iter().enumerate() {
        let mut column = vec![0.0; batch.rows];
        let rows = grouped.position.iter().zip(scores.chunks_exact(tasks));
        rows.for_each(|(&place, row)| column[place as usize] = row[task]);
        expected.insert(spec.name.clone(), json!(column));
    }
    let lookup = |slot: &Slot| match slot {
        Slot::Lookup { feature, table } => Some((feature.clone(), json!(layout.tables[*table].rows))),
        Slot::Bag { .. } | Slot::Dense { .. } => None,
    };
    let ids_of: serde_json::Map<String, Value> = match form {
        OnnxForm::Full => layout.slots.iter().filter_map(lookup).collect(),
        OnnxForm::Dense => serde_json::Map::new(),
    };
    json!({
        "form": form,
        "inputs": inputs(model, weighted, &batch, form),
        "expected": expected,
        "ids": layout.scenarios.len() + usize::from(knows_unknown),
        // A model that treats all scenarios alike need not look at them.
        "asks_scenario": knows_unknown || model.config.tables.per_scenario(),
        "ids_of": ids_of,
    })
}

fn inputs(model: &Model, weighted: &[bool], batch: &Batch, form: OnnxForm) -> Value {
    let rows = batch.rows;
    let mut inputs = serde_json::Map::new();
    let mut add = |name: &str, dtype: &str, dims: Vec<usize>, data: Value| {
        inputs.insert(name.to_owned(), json!({ "dtype": dtype, "dims": dims, "data": data }));
    };
    add("scenario", "int64", vec![rows], json!(batch.scenario));
    if form == OnnxForm::Dense {
        let width = model.embeddings.width();
        let mut x = vec![0.0; rows * width];
        model.embeddings.gather(batch, &mut x);
        add("x", "float32", vec![rows, width], json!(x));
        return Value::Object(inputs);
    }
    let names = InputNames::new(&model.layout, weighted).unwrap();
    for (column, names) in batch.features.iter().zip(&names.slots) {
        match column {
            Column::Ids(ids) => add(&names.values, "int64", vec![rows], json!(ids)),
            Column::Dense(values) => add(&names.values, "float32", vec![rows, values.len() / rows], json!(values)),
            Column::Bag { offsets, ids, weights } => {
                // Wider than the longest list.
                let places = 7;
                let (mut wide, mut counted) = (vec![-1; rows * places], vec![9.0; rows * places]);
                for row in 0..rows {
                    for (place, at) in (offsets[row]..offsets[row + 1]).enumerate() {
                        wide[row * places + place] = i64::from(ids[at as usize]);
                        counted[row * places + place] = weights.as_ref().map_or(1.0, |weights| weights[at as usize]);
                    }
                }
                add(&names.values, "int64", vec![rows, places], json!(wide));
                if let Some(name) = &names.weights {
                    add(name, "float32", vec![rows, places], json!(counted));
                }
            }
        }
    }
    Value::Object(inputs)
}
