//! What is said of the server and of models: names, inputs, outputs.

use hinet_data::{InputColumn, InputKind};
use serde::Serialize;

use crate::repository::Served;
use crate::version::Version;

/// What runs a model.
const PLATFORM: &str = "hinet";

/// Parts beyond the protocol's own.
pub(crate) const EXTENSIONS: [&str; 5] = [
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "statistics",
];

#[derive(Serialize)]
pub(crate) struct ServerMetadata {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) extensions: &'static [&'static str],
}

#[derive(Serialize)]
pub(crate) struct ModelMetadata {
    pub(crate) name: String,
    pub(crate) versions: Vec<String>,
    pub(crate) platform: &'static str,
    pub(crate) inputs: Vec<TensorMetadata>,
    pub(crate) outputs: Vec<TensorMetadata>,
}

#[derive(Serialize)]
pub(crate) struct TensorMetadata {
    pub(crate) name: String,
    pub(crate) datatype: &'static str,
    pub(crate) shape: Vec<i64>,
}

/// A model's configuration as Triton writes it.
#[derive(Serialize)]
pub(crate) struct ModelConfiguration {
    pub(crate) name: String,
    pub(crate) platform: &'static str,
    pub(crate) backend: &'static str,
    pub(crate) max_batch_size: i32,
    pub(crate) input: Vec<TensorConfiguration>,
    pub(crate) output: Vec<TensorConfiguration>,
}

#[derive(Serialize)]
pub(crate) struct TensorConfiguration {
    pub(crate) name: String,
    pub(crate) data_type: &'static str,
    pub(crate) dims: Vec<i64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) optional: bool,
}

pub(crate) fn server() -> ServerMetadata {
    ServerMetadata { name: "hinet", version: env!("CARGO_PKG_VERSION"), extensions: &EXTENSIONS }
}

pub(crate) fn model(served: &Served, version: &Version) -> ModelMetadata {
    let input = |input: &InputColumn| TensorMetadata {
        name: input.name.clone(),
        datatype: datatype(input),
        shape: dims(input),
    };
    let output = |task: &String| TensorMetadata { name: task.clone(), datatype: "FP32", shape: vec![-1] };
    ModelMetadata {
        name: version.model.clone(),
        versions: served.versions().iter().map(|version| version.version.clone()).collect(),
        platform: PLATFORM,
        inputs: version.inputs().iter().map(input).collect(),
        outputs: version.tasks.iter().map(output).collect(),
    }
}

pub(crate) fn configuration(version: &Version) -> ModelConfiguration {
    let input = |input: &InputColumn| TensorConfiguration {
        name: input.name.clone(),
        data_type: configured(datatype(input)),
        dims: dims(input),
        optional: input.optional,
    };
    let output = |task: &String| TensorConfiguration {
        name: task.clone(),
        data_type: "TYPE_FP32",
        dims: vec![-1],
        optional: false,
    };
    ModelConfiguration {
        name: version.model.clone(),
        platform: PLATFORM,
        backend: PLATFORM,
        // The rows are a dimension like any other: batches are made by the server and not by Triton's rules.
        max_batch_size: 0,
        input: version.inputs().iter().map(input).collect(),
        output: version.tasks.iter().map(output).collect(),
    }
}

/// The type that an input is best sent as. Others are read as well.
fn datatype(input: &InputColumn) -> &'static str {
    match input.kind {
        InputKind::Number => "FP64",
        InputKind::Vector(_) => "FP32",
        InputKind::Scenario | InputKind::Category if input.integers => "INT64",
        InputKind::Scenario | InputKind::Category | InputKind::Items | InputKind::Weights => "BYTES",
    }
}

fn configured(datatype: &str) -> &'static str {
    match datatype {
        "FP64" => "TYPE_FP64",
        "FP32" => "TYPE_FP32",
        "INT64" => "TYPE_INT64",
        _ => "TYPE_STRING",
    }
}

fn dims(input: &InputColumn) -> Vec<i64> {
    match input.kind {
        InputKind::Vector(length) => vec![-1, length as i64],
        InputKind::Scenario | InputKind::Category | InputKind::Number | InputKind::Items | InputKind::Weights => {
            vec![-1]
        }
    }
}
