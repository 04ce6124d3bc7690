//! Runs an exported graph in plain loops: exactly the operators that are emitted, read from the written file. It is the
//! check of the export, not a way to serve: nothing here is fast.

mod arithmetic;
mod arrange;
mod product;
mod tensor;

use std::collections::HashMap;
use std::rc::Rc;

use super::proto::{AttributeProto, GraphProto, NodeProto};
use tensor::Fault;
pub(super) use tensor::Tensor;

/// A graph read from a file.
pub(super) struct Graph {
    pub(super) graph: GraphProto,
    /// The numbers that are part of the model.
    pub(super) tensors: HashMap<String, Rc<Tensor>>,
}

impl Graph {
    /// Computes the outputs from the inputs.
    ///
    /// # Errors
    /// A sentence that names the operator which cannot be computed.
    pub(super) fn run(&self, feed: HashMap<String, Tensor>) -> Result<HashMap<String, Tensor>, String> {
        let mut values = self.tensors.clone();
        for input in &self.graph.input {
            let name = input.name();
            let tensor = feed.get(name).ok_or_else(|| format!("an input `{name}` that nothing is fed to"))?;
            values.insert(name.to_owned(), Rc::new(tensor.clone()));
        }
        for node in &self.graph.node {
            let found = |fault: Fault| format!("`{}` ({}) {fault}", node.name(), node.op_type());
            let results = compute(node, &values).map_err(found)?;
            for (name, result) in node.output.iter().zip(results) {
                values.insert(name.clone(), Rc::new(result));
            }
        }
        let output = |name: &str| {
            let tensor = values.get(name).ok_or_else(|| format!("an output `{name}` that nothing computes"))?;
            Ok((name.to_owned(), Tensor::clone(tensor)))
        };
        self.graph.output.iter().map(|value| output(value.name())).collect()
    }
}

/// An operator with its inputs.
struct Call<'c> {
    node: &'c NodeProto,
    inputs: Vec<&'c Tensor>,
}

impl<'c> Call<'c> {
    fn input(&self, place: usize) -> Result<&'c Tensor, Fault> {
        self.inputs.get(place).copied().ok_or_else(|| Fault::new(format!("has no input {place}")))
    }

    /// The whole numbers of an input.
    fn whole(&self, place: usize) -> Result<&'c [i64], Fault> {
        self.input(place)?.whole_numbers().ok_or_else(|| Fault::new(format!("has no whole numbers as input {place}")))
    }

    /// The numbers of an input.
    fn floats(&self, place: usize) -> Result<&'c [f32], Fault> {
        self.input(place)?.floats().ok_or_else(|| Fault::new(format!("has no numbers as input {place}")))
    }

    fn attribute(&self, name: &str) -> Option<&'c AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).and_then(|attribute| attribute.f).unwrap_or(default)
    }

    /// An axis of a tensor, counted from the end where below 0.
    fn axis(&self, name: &str, default: i64, rank: usize) -> Result<usize, Fault> {
        tensor::axis(self.int(name, default), rank)
    }
}

fn compute(node: &NodeProto, values: &HashMap<String, Rc<Tensor>>) -> Result<Vec<Tensor>, Fault> {
    let input = |name: &String| {
        let value = values.get(name).ok_or_else(|| Fault::new(format!("reads `{name}`, which nothing computes")))?;
        Ok(&**value)
    };
    let call = Call { node, inputs: node.input.iter().map(input).collect::<Result<_, Fault>>()? };
    let one = |tensor: Tensor| vec![tensor];
    match node.op_type() {
        "Add" | "Sub" | "Mul" | "Div" | "Min" => arithmetic::binary(&call).map(one),
        "Less" | "Equal" => arithmetic::compare(&call).map(one),
        "Where" => arithmetic::choose(&call).map(one),
        "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Softplus" | "Exp" | "Log" | "Neg" | "Sign" => {
            arithmetic::unary(&call).map(one)
        }
        "Identity" => Ok(one(call.input(0)?.clone())),
        "Cast" => arithmetic::cast(&call).map(one),
        "Softmax" => arithmetic::softmax(&call).map(one),
        "LayerNormalization" => arithmetic::layer_norm(&call).map(one),
        "Gemm" => product::gemm(&call).map(one),
        "MatMul" => product::matmul(&call).map(one),
        "ReduceSum" | "ReduceMax" => product::reduce(&call).map(one),
        "Reshape" => arrange::reshape(&call).map(one),
        "Unsqueeze" => arrange::unsqueeze(&call).map(one),
        "Transpose" => arrange::transpose(&call).map(one),
        "Concat" => arrange::concat(&call).map(one),
        "Slice" => arrange::slice(&call).map(one),
        "Pad" => arrange::pad(&call).map(one),
        "Split" => arrange::split(&call),
        "Gather" => arrange::gather(&call).map(one),
        "GatherND" => arrange::gather_nd(&call).map(one),
        "Shape" => {
            let dims: Vec<i64> = call.input(0)?.dims.iter().map(|&dim| dim as i64).collect();
            Ok(one(Tensor::whole(vec![dims.len()], dims)))
        }
        "TopK" => arrange::top_k(&call),
        _ => Err(Fault::new("is no operator that is exported".to_owned())),
    }
}
