//! Tensors of gRPC: as typed numbers, or all of them as bytes.

use hinet_data::Rows;

use super::protocol::infer_parameter::ParameterChoice;
use super::protocol::model_infer_request::InferInputTensor;
use super::protocol::model_infer_response::InferOutputTensor;
use super::protocol::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use crate::app::Answer;
use crate::oip::{Input, scores_of};
use crate::refusal::{NAME, Refusal, shortened};
use crate::tensor::{Datatype, Elements, text_of};
use crate::version::Version;

/// The rows of a request.
pub(super) fn rows(version: &Version, request: &ModelInferRequest) -> Result<Rows, Refusal> {
    let (inputs, raw) = (&request.inputs, &request.raw_input_contents);
    if !raw.is_empty() {
        if raw.len() != inputs.len() {
            let problem = format!("`raw_input_contents` has {} parts for {} inputs", raw.len(), inputs.len());
            return Err(Refusal::bad(problem));
        }
        if let Some(input) = inputs.iter().find(|input| input.contents.is_some()) {
            let name = shortened(&input.name, NAME);
            return Err(Refusal::bad(format!(
                "input `{name}` has `contents`, beside `raw_input_contents` of all inputs"
            )));
        }
    }
    let tensors = inputs.iter().map(|tensor| Input {
        name: &tensor.name,
        datatype: &tensor.datatype,
        shape: &tensor.shape,
        pad: pad(tensor),
    });
    version.rows_of_tensors(tensors, |index, datatype| match raw.get(index) {
        Some(bytes) => datatype.elements(bytes),
        None => typed(datatype, inputs[index].contents.as_ref()),
    })
}

fn pad(tensor: &InferInputTensor) -> Option<f64> {
    match tensor.parameters.get("pad")?.parameter_choice.as_ref()? {
        ParameterChoice::Int64Param(pad) => Some(*pad as f64),
        ParameterChoice::Uint64Param(pad) => Some(*pad as f64),
        ParameterChoice::DoubleParam(pad) => Some(*pad),
        ParameterChoice::BoolParam(_) | ParameterChoice::StringParam(_) => None,
    }
}

fn typed(datatype: Datatype, contents: Option<&InferTensorContents>) -> Result<Elements, String> {
    let none = InferTensorContents::default();
    let contents = contents.unwrap_or(&none);
    Ok(match datatype {
        Datatype::Bool => Elements::Bool(contents.bool_contents.clone()),
        Datatype::Int(8) => Elements::Int(contents.int64_contents.clone()),
        Datatype::Int(_) => Elements::Int(contents.int_contents.iter().map(|&value| value.into()).collect()),
        Datatype::Uint(8) => Elements::Uint(contents.uint64_contents.clone()),
        Datatype::Uint(_) => Elements::Uint(contents.uint_contents.iter().map(|&value| value.into()).collect()),
        Datatype::Fp32 => Elements::Fp32(contents.fp32_contents.clone()),
        Datatype::Fp64 => Elements::Fp64(contents.fp64_contents.clone()),
        Datatype::Fp16 | Datatype::Bf16 => {
            return Err("FP16 and BF16 have no typed contents; send `raw_input_contents`".to_owned());
        }
        Datatype::Bytes => {
            let texts = contents.bytes_contents.iter().enumerate().map(|(at, bytes)| text_of(bytes, at));
            Elements::Text(texts.collect::<Result<_, _>>()?)
        }
    })
}

/// The answer, as bytes where the request came as bytes.
pub(super) fn answer(request: ModelInferRequest, answer: &Answer, outputs: &[usize]) -> ModelInferResponse {
    let version = &answer.version;
    let as_bytes = !request.raw_input_contents.is_empty();
    let mut raw = Vec::new();
    let tensors = outputs.iter().map(|&task| {
        let scores = scores_of(task, version.tasks.len(), &answer.scored.scores);
        let contents = if as_bytes {
            raw.push(scores.iter().flat_map(|score| score.to_le_bytes()).collect());
            None
        } else {
            Some(InferTensorContents { fp32_contents: scores, ..InferTensorContents::default() })
        };
        InferOutputTensor {
            name: version.tasks[task].clone(),
            datatype: "FP32".to_owned(),
            shape: vec![answer.rows as i64],
            parameters: Default::default(),
            contents,
        }
    });
    let outputs = tensors.collect();
    ModelInferResponse {
        model_name: version.model.clone(),
        model_version: version.version.clone(),
        id: request.id,
        parameters: Default::default(),
        outputs,
        raw_output_contents: raw,
    }
}
