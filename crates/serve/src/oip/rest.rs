//! The REST form: JSON, with tensors in it or as bytes behind it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hinet_data::Rows;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Input, scores_of};
use crate::app::Answer;
use crate::object;
use crate::refusal::Refusal;
use crate::tensor::{Datatype, Elements, from_json};
use crate::version::Version;

/// Says how many bytes of the body are JSON, where tensors follow it.
pub(crate) const HEADER_LENGTH: &str = "inference-header-content-length";

/// A request with the bytes that follow it.
pub(crate) struct InferBody<'a> {
    json: InferRequest<'a>,
    binary: &'a [u8],
}

#[derive(Deserialize)]
struct InferRequest<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Vec<InputTensor<'a>>,
    #[serde(borrow, default)]
    outputs: Option<Vec<OutputTensor<'a>>>,
}

#[derive(Deserialize)]
struct InputTensor<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: Vec<i64>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OutputTensor<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    parameters: Parameters,
}

/// Parameters that nobody here knows are passed over, as the protocol asks for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    binary_data_size: Option<usize>,
    binary_data: Option<bool>,
    binary_data_output: Option<bool>,
    /// What stands behind the last item of a row.
    pad: Option<f64>,
}

#[derive(Serialize)]
struct InferAnswer<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<OutputAnswer<'a>>,
}

#[derive(Serialize)]
struct OutputAnswer<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: [usize; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<&'static str, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<f32>>,
}

impl<'a> InferBody<'a> {
    /// Takes a body apart; `length` is that of its JSON, where bytes follow it.
    pub(crate) fn parse(body: &'a [u8], length: Option<usize>) -> Result<InferBody<'a>, Refusal> {
        let length = length.unwrap_or(body.len());
        let (json, binary) = body.split_at_checked(length).ok_or_else(|| {
            Refusal::bad(format!("`{HEADER_LENGTH}` says {length} bytes, while the body has {}", body.len()))
        })?;
        Ok(InferBody { json: object::read(json, "inference request")?, binary })
    }

    /// The tasks asked for.
    pub(crate) fn outputs(&self, tasks: &[String]) -> Result<Vec<usize>, Refusal> {
        let named = self.json.outputs.as_deref().unwrap_or_default();
        super::outputs(tasks, named.iter().map(|output| output.name.as_ref()))
    }

    /// The rows that the tensors hold.
    pub(crate) fn rows(&self, version: &Version) -> Result<Rows, Refusal> {
        let tensors = &self.json.inputs;
        let inputs = tensors.iter().map(|tensor| Input {
            name: &tensor.name,
            datatype: &tensor.datatype,
            shape: &tensor.shape,
            pad: tensor.parameters.pad,
        });
        let mut rest = self.binary;
        let rows = version.rows_of_tensors(inputs, |index, datatype| elements(&tensors[index], datatype, &mut rest))?;
        if !rest.is_empty() {
            return Err(Refusal::bad(format!("{} bytes are left behind the last tensor", rest.len())));
        }
        Ok(rows)
    }

    /// The answer, and how many of its bytes are JSON where others follow.
    pub(crate) fn answer(&self, answer: &Answer, outputs: &[usize]) -> (Vec<u8>, Option<usize>) {
        let version = &answer.version;
        let named = self.json.outputs.as_deref().unwrap_or_default();
        let mut binary = Vec::new();
        let tensors = outputs.iter().enumerate().map(|(index, &task)| {
            let scores = scores_of(task, version.tasks.len(), &answer.scored.scores);
            let asked = named.get(index).and_then(|output| output.parameters.binary_data);
            let mut parameters = BTreeMap::new();
            let data = if asked.or(self.json.parameters.binary_data_output).unwrap_or(false) {
                parameters.insert("binary_data_size", Value::from(4 * scores.len()));
                binary.extend(scores.iter().flat_map(|score| score.to_le_bytes()));
                None
            } else {
                Some(scores)
            };
            OutputAnswer { name: &version.tasks[task], datatype: "FP32", shape: [answer.rows], parameters, data }
        });
        let outputs: Vec<OutputAnswer<'_>> = tensors.collect();
        let is_binary = outputs.iter().any(|output| output.data.is_none());
        let json = InferAnswer {
            model_name: &version.model,
            model_version: &version.version,
            id: self.json.id.as_deref(),
            outputs,
        };
        let mut body = serde_json::to_vec(&json).expect("answers have texts as keys");
        let length = body.len();
        body.extend(binary);
        (body, is_binary.then_some(length))
    }
}

/// The elements of a tensor: its own `data`, or the next bytes of `rest`.
fn elements(tensor: &InputTensor<'_>, datatype: Datatype, rest: &mut &[u8]) -> Result<Elements, String> {
    match (tensor.data, tensor.parameters.binary_data_size) {
        (Some(data), None) => from_json(datatype, data.get()),
        (None, Some(size)) => {
            let left = rest.len();
            let (bytes, behind) = rest
                .split_at_checked(size)
                .ok_or_else(|| format!("`binary_data_size` is {size}, while {left} bytes are left"))?;
            *rest = behind;
            datatype.elements(bytes)
        }
        (Some(_), Some(_)) => Err("it has both `data` and `binary_data_size`".to_owned()),
        (None, None) => Err("it has neither `data` nor `binary_data_size`".to_owned()),
    }
}
