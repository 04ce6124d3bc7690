//! The files: `model.onnx`, and `model.onnx.data` for tables and whatever else is large.
//!
//! A protobuf message cannot exceed 2 GB, so tables never stand in it. Tensors in the other file begin at multiples of
//! 4096 bytes, so that readers can map them into memory.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use fs_err as fs;
use hinet_data::write_synced;
use prost::Message;

use super::builder::{Built, Initialiser};
use super::proto::{
    EXTERNAL, FLOAT, INT64, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, entry,
};
use super::run::{Graph, Tensor};
use crate::ModelError;

/// The model's file.
pub(in super::super) const MODEL: &str = "model.onnx";
/// The file of large tensors.
const DATA: &str = "model.onnx.data";
/// Version of the file format: the one that opset 17 came with.
const IR_VERSION: i64 = 8;
/// Version of the operators.
const OPSET: i64 = 17;
/// Where tensors of the data file begin.
const ALIGNMENT: u64 = 4096;
/// Tensors of so many bytes stand in the data file, be they tables or not.
const LARGE: usize = 1 << 20;
/// Most bytes of tensors in the model's own file.
const INLINE: usize = 64 << 20;

/// Writes a graph with its numbers.
pub(super) fn write(
    folder: &Path,
    built: Built<'_>,
    metadata_props: Vec<StringStringEntryProto>,
) -> Result<(), ModelError> {
    let Built { mut graph, initialisers } = built;
    let mut apart: Vec<&Initialiser<'_>> = Vec::new();
    let (mut inline, mut end) = (0, 0);
    for initialiser in &initialisers {
        let bytes = initialiser.values.bytes();
        let mut tensor = TensorProto {
            dims: initialiser.dims.iter().map(|&dim| dim as i64).collect(),
            data_type: Some(initialiser.values.element_type()),
            name: Some(initialiser.name.clone()),
            ..TensorProto::default()
        };
        if initialiser.is_table || bytes.len() >= LARGE || inline + bytes.len() > INLINE {
            let start = u64::next_multiple_of(end, ALIGNMENT);
            end = start + bytes.len() as u64;
            tensor.data_location = Some(EXTERNAL);
            tensor.external_data = vec![
                entry("location", DATA),
                entry("offset", start.to_string()),
                entry("length", bytes.len().to_string()),
            ];
            apart.push(initialiser);
        } else {
            inline += bytes.len();
            tensor.raw_data = Some(bytes.to_vec());
        }
        graph.initializer.push(tensor);
    }
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("hinet".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        doc_string: Some("A ranking model: probabilities of tasks, for rows of any scenarios.".to_owned()),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props,
    };
    if !apart.is_empty() {
        write_synced(&folder.join(DATA), |file| write_apart(file, &apart))?;
    }
    write_synced(&folder.join(MODEL), |file| file.write_all(&model.encode_to_vec()))?;
    Ok(())
}

fn write_apart(file: &mut dyn Write, tensors: &[&Initialiser<'_>]) -> std::io::Result<()> {
    let mut end = 0;
    for tensor in tensors {
        let start = u64::next_multiple_of(end, ALIGNMENT);
        file.write_all(&vec![0; (start - end) as usize])?;
        let bytes = tensor.values.bytes();
        file.write_all(bytes)?;
        end = start + bytes.len() as u64;
    }
    Ok(())
}

/// Reads a graph with its numbers, as any user of the files would.
pub(super) fn read(file: &Path) -> Result<Graph, ModelError> {
    let unreadable = |found: String| ModelError::corrupt(file, found, "an ONNX model as hinet writes it");
    let model = ModelProto::decode(&fs::read(file)?[..]).map_err(|error| unreadable(error.to_string()))?;
    let mut graph = model.graph.ok_or_else(|| unreadable("no graph".to_owned()))?;
    let mut tensors = HashMap::new();
    for mut proto in std::mem::take(&mut graph.initializer) {
        let bytes = match proto.data_location {
            Some(EXTERNAL) => read_apart(file, &proto)?,
            _ => proto.raw_data.take().unwrap_or_default(),
        };
        let tensor = tensor(&proto, &bytes).ok_or_else(|| {
            unreadable(format!("tensor `{}` of {:?} has {} bytes", proto.name(), proto.dims, bytes.len()))
        })?;
        tensors.insert(proto.name.unwrap_or_default(), Rc::new(tensor));
    }
    Ok(Graph { graph, tensors })
}

fn tensor(proto: &TensorProto, bytes: &[u8]) -> Option<Tensor> {
    let dims = proto.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<Vec<usize>>>()?;
    let elements = dims.iter().try_fold(1_usize, |all, &dim| all.checked_mul(dim))?;
    match proto.data_type? {
        FLOAT => {
            let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            (values.len() == elements && bytes.len() == 4 * elements).then(|| Tensor::float(dims, values))
        }
        INT64 => {
            let values: Vec<i64> = bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect();
            (values.len() == elements && bytes.len() == 8 * elements).then(|| Tensor::whole(dims, values))
        }
        _ => None,
    }
}

/// The bytes of a tensor that stands in the data file.
fn read_apart(file: &Path, proto: &TensorProto) -> Result<Vec<u8>, ModelError> {
    let value = |key: &str| {
        let found = proto.external_data.iter().find(|entry| entry.key.as_deref() == Some(key));
        found.and_then(|entry| entry.value.as_deref())
    };
    let number = |key: &str| value(key).and_then(|value| value.parse::<u64>().ok());
    let (Some(location), Some(offset), Some(length)) = (value("location"), number("offset"), number("length")) else {
        let found = format!("tensor `{}` without a place in another file", proto.name());
        return Err(ModelError::corrupt(file, found, "location, offset and length"));
    };
    let path = file.with_file_name(location);
    let mut data = fs::File::open(&path)?;
    if offset.checked_add(length).is_none_or(|end| data.metadata().is_ok_and(|found| found.len() < end)) {
        let found = format!("tensor `{}` at {offset}, {length} bytes", proto.name());
        return Err(ModelError::corrupt(&path, found, "tensors within the file"));
    }
    data.seek(SeekFrom::Start(offset))?;
    let mut bytes = vec![0; length as usize];
    data.read_exact(&mut bytes)?;
    Ok(bytes)
}
