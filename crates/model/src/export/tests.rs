//! An export scores as the model does, or leaves nothing.

use std::io::{Seek, SeekFrom, Write};

use hinet_data::{Layout, Pooling, Seed, Slot, TableSpec, TaskSpec};

use super::*;
use crate::{CalibratedCell, Calibration, CalibrationMethod, Curve, FittedOn, zoo};

const WEIGHTED: [bool; 4] = [false, true, false, false];
const FORMATS: [ExportFormat; 5] = [
    ExportFormat::Onnx(OnnxForm::Dense),
    ExportFormat::Onnx(OnnxForm::Full),
    ExportFormat::Triton(OnnxForm::Dense),
    ExportFormat::Triton(OnnxForm::Full),
    ExportFormat::Safetensors,
];

fn model(preset: &str) -> Model {
    let table = |name: &str, rows, dim| TableSpec { name: name.into(), rows, dim };
    let layout = Layout {
        sequences: Vec::new(),
        tables: vec![table("user", 30, 4), table("tag", 9, 3)],
        slots: vec![
            Slot::Lookup { feature: "user".into(), table: 0 },
            Slot::Bag { feature: "tags".into(), table: 1, pooling: Pooling::Mean },
            Slot::Bag { feature: "most".into(), table: 1, pooling: Pooling::Max },
            Slot::Dense { feature: "price".into(), width: 2 },
        ],
        scenarios: ["home", "search"].map(str::to_owned).to_vec(),
        scenario_rows: vec![2, 1],
        tasks: ["click", "order"].map(TaskSpec::new).to_vec(),
        unknown: UnknownScenario::Mean,
    };
    let mut config = zoo::find(preset).unwrap().config();
    config.embedding.init_std = 0.5;
    Model::new(layout, config, Seed(4)).unwrap()
}

fn exported(
    model: &Model,
    format: ExportFormat,
    folder: &Path,
    written: impl FnOnce(&Path),
) -> Result<Exported, ModelError> {
    let source = ExportSource { name: "tiny", model, encoder: "{}", weighted: &WEIGHTED };
    let sample = synthetic_rows(&model.layout, &WEIGHTED, 40, Seed(1));
    export_with(source, format, (&sample, written), folder)
}

/// Adds one to the number at a place of a file, whatever it is.
fn change_number(file: &Path, from_end: i64) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.len() - usize::try_from(from_end).unwrap();
    let number: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    bytes[at..at + 4].copy_from_slice(&(f32::from_le_bytes(number) + 1.0).to_le_bytes());
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&bytes).unwrap();
}

#[test]
fn every_format_holds_the_files_that_are_documented() {
    let place = tempfile::tempdir().unwrap();
    let model = model("hinet");
    let expected: [&[&str]; 5] = [
        &["encoder.json", "model.onnx"],
        &["encoder.json", "model.onnx", "model.onnx.data"],
        &["tiny/1/model.onnx", "tiny/config.pbtxt", "tiny/encoder.json"],
        &["tiny/1/model.onnx", "tiny/1/model.onnx.data", "tiny/config.pbtxt", "tiny/encoder.json"],
        &["encoder.json", "index.json", "model-00001-of-00001.safetensors", "model.json"],
    ];
    for (number, (format, expected)) in FORMATS.into_iter().zip(expected).enumerate() {
        let folder = place.path().join(number.to_string());
        let exported = exported(&model, format, &folder, |_| ()).unwrap();
        assert!(exported.rows == 40 && exported.difference <= PARITY_TOLERANCE, "{format:?}: {exported:?}");
        let found: Vec<String> = files(&folder, "");
        assert_eq!(found, expected, "{format:?}");
    }
}

fn files(folder: &Path, before: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{before}{}", entry.file_name().to_str().unwrap());
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path(), &format!("{name}/"))),
            false => found.push(name),
        }
    }
    found.sort();
    found
}

#[test]
fn a_number_changed_in_a_written_file_fails_the_check_and_nothing_is_left() {
    let place = tempfile::tempdir().unwrap();
    let model = model("mmoe");
    // Where a number lies that every score depends on: the end of the last table or tensor.
    let cases: [(ExportFormat, &str); 3] = [
        (ExportFormat::Onnx(OnnxForm::Full), "model.onnx.data"),
        (ExportFormat::Triton(OnnxForm::Full), "tiny/1/model.onnx.data"),
        (ExportFormat::Safetensors, "model-00001-of-00001.safetensors"),
    ];
    for (format, file) in cases {
        let folder = place.path().join("out");
        let change = |folder: &Path| {
            (1..=27).for_each(|number| change_number(&folder.join(file), 4 * number));
        };
        let error = exported(&model, format, &folder, change).unwrap_err();
        assert!(matches!(error, ModelError::Parity { .. }), "{format:?}: {error}");
        assert!(error.to_string().contains("nothing was kept"), "{error}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "{format:?}");
        exported(&model, format, &folder, |_| ()).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_file_cut_short_fails_the_check_and_nothing_is_left() {
    let place = tempfile::tempdir().unwrap();
    let model = model("mmoe");
    let files = ["model.onnx", "model.onnx.data", "", "", "model-00001-of-00001.safetensors"];
    for (format, name) in FORMATS.into_iter().zip(files).filter(|(_, name)| !name.is_empty()) {
        let cut = |folder: &Path| {
            let file = std::fs::OpenOptions::new().write(true).open(folder.join(name)).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        };
        let error = exported(&model, format, &place.path().join("out"), cut).unwrap_err();
        assert!(matches!(error, ModelError::Corrupt { .. }) && error.to_string().contains(name), "{error}");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "{format:?}");
    }
}

#[test]
fn a_folder_that_is_there_is_refused_and_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let model = model("logistic");
    std::fs::write(place.path().join("mine"), "mine").unwrap();
    for format in FORMATS {
        let error = exported(&model, format, place.path(), |_| ()).unwrap_err();
        assert!(matches!(error, ModelError::FolderExists { .. }) && error.is_usage(), "{error}");
    }
    assert_eq!(std::fs::read_to_string(place.path().join("mine")).unwrap(), "mine");
}

#[test]
fn tensors_in_several_files_make_the_same_model() {
    let place = tempfile::tempdir().unwrap();
    for preset in ["hinet", "single"] {
        let model = model(preset);
        let folder = place.path().join(preset);
        std::fs::create_dir(&folder).unwrap();
        safetensors::write(&model, &folder, 20_000).unwrap();
        assert!(files(&folder, "").len() > 4, "{preset}");
        let read = safetensors::read(&model.layout, &folder).unwrap();
        assert_eq!(read.params.values(), model.params.values());
        for table in 0..model.embeddings.specs().len() {
            assert_eq!(read.embeddings.table(table), model.embeddings.table(table), "{preset}");
        }
    }
}

/// A model with a rate of negatives, and a curve of each kind in turn: for two scenarios, then unknown ones, and two tasks.
fn calibrated(method: CalibrationMethod, curve: Curve) -> Model {
    let mut model = model("hinet");
    model.layout.tasks[1].negative_rate = 0.3;
    let cell = |(place, curve): (usize, Curve)| CalibratedCell {
        scenario: model.layout.scenarios.get(place / 2).cloned(),
        task: model.layout.tasks[place % 2].name.clone(),
        rows: 9,
        positives: 3,
        fitted_on: FittedOn::Cell,
        curve,
    };
    let curves = [curve.clone(), Curve::Identity, Curve::Identity, curve.clone(), curve, Curve::Identity];
    let cells = curves.into_iter().enumerate().map(cell).collect();
    model.set_calibration(Some(Calibration { method, cells })).unwrap();
    model
}

#[test]
fn curves_and_rates_of_negatives_are_exported_with_the_model() {
    let place = tempfile::tempdir().unwrap();
    let knots = vec![(0.1, 0.0), (0.3, 0.2), (0.30001, 0.35), (0.6, 0.35), (0.9, 0.99)];
    let curves = [
        (CalibrationMethod::Platt, Curve::Platt { a: 0.3, b: -1.5 }),
        (CalibrationMethod::Isotonic, Curve::Isotonic { knots }),
        (CalibrationMethod::Isotonic, Curve::Isotonic { knots: vec![(0.5, 0.25)] }),
    ];
    for (number, (method, curve)) in curves.into_iter().enumerate() {
        let model = calibrated(method, curve);
        for format in FORMATS {
            let folder = place.path().join(format!("{number}-{format:?}"));
            let exported = exported(&model, format, &folder, |_| ()).unwrap();
            assert!(exported.difference <= PARITY_TOLERANCE, "{method:?}, {format:?}: {exported:?}");
        }
    }
}

#[test]
fn what_is_no_number_is_no_parity() {
    let model = model("logistic");
    let sample = synthetic_rows(&model.layout, &WEIGHTED, 6, Seed(1));
    let mut found = scores(&model, &sample);
    assert!(check(&model, &sample, &found).unwrap() < 1e-7);
    found[3] = f32::NAN;
    let error = check(&model, &sample, &found).unwrap_err().to_string();
    assert!(error.contains("row 1") && error.contains("NaN") && error.contains("`order`"), "{error}");
}
