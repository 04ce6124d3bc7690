//! A graph of ONNX in the making: nodes, initialisers, inputs, outputs, and names that clash with nothing.
//!
//! Names of our own begin with `/`; names of inputs and outputs never do.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::proto::{
    ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS, AttributeProto, DimensionProto, FLOAT, GraphProto, INT64,
    NodeProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The name of a tensor.
pub(super) type Name = String;

/// A tensor that is part of the model.
pub(super) struct Initialiser<'a> {
    pub(super) name: Name,
    pub(super) dims: Vec<usize>,
    pub(super) values: Values<'a>,
    /// Whether it is an embedding table, which never stands in the model's own file.
    pub(super) is_table: bool,
}

/// The numbers of an initialiser, row-major.
pub(super) enum Values<'a> {
    F32(Cow<'a, [f32]>),
    I64(Vec<i64>),
}

impl Values<'_> {
    /// The numbers as they lie in memory, which is little endian.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Values::F32(values) => bytemuck::cast_slice(values),
            Values::I64(values) => bytemuck::cast_slice(values),
        }
    }

    pub(super) fn element_type(&self) -> i32 {
        match self {
            Values::F32(_) => FLOAT,
            Values::I64(_) => INT64,
        }
    }
}

/// A dimension of an input or output.
#[derive(Clone, Debug)]
pub(super) enum Dim {
    Fixed(usize),
    /// As many as the request has, under a name that equal dimensions share.
    Free(String),
}

/// The rows of a request.
pub(super) fn rows() -> Dim {
    Dim::Free("rows".to_owned())
}

/// A graph in the making. Initialisers borrow the model's tables.
#[derive(Default)]
pub(super) struct Builder<'a> {
    nodes: Vec<NodeProto>,
    initialisers: Vec<Initialiser<'a>>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    taken: HashSet<Name>,
    /// Names that were given a number.
    named: usize,
    /// Lists of whole numbers that are there already: shapes and axes recur.
    lists: HashMap<Vec<i64>, Name>,
    /// Single numbers that are there already, by their bits.
    numbers: HashMap<u32, Name>,
}

/// A graph with the numbers it needs.
pub(super) struct Built<'a> {
    /// Without initialisers.
    pub(super) graph: GraphProto,
    pub(super) initialisers: Vec<Initialiser<'a>>,
}

impl<'a> Builder<'a> {
    /// An input of these dimensions.
    pub(super) fn input(&mut self, (name, about): (&str, &str), element_type: i32, dims: &[Dim]) -> Name {
        self.inputs.push(value_info((name, about), element_type, dims));
        name.to_owned()
    }

    /// Declares a tensor that is there as an output.
    pub(super) fn output(&mut self, (name, about): (&str, &str), dims: &[Dim]) {
        self.outputs.push(value_info((name, about), FLOAT, dims));
    }

    /// Adds an operator of one result and returns the result's name.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Name {
        self.op_of_many(kind, inputs, attributes, 1).remove(0)
    }

    /// Adds an operator of so many results.
    pub(super) fn op_of_many(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        results: usize,
    ) -> Vec<Name> {
        let outputs: Vec<Name> = (0..results).map(|_| self.fresh(kind)).collect();
        self.push(kind, inputs, attributes, outputs.clone());
        outputs
    }

    /// Adds an operator whose result has a given name: an output of the graph.
    pub(super) fn op_named(&mut self, kind: &str, inputs: &[&str], result: &str) {
        self.push(kind, inputs, Vec::new(), vec![result.to_owned()]);
    }

    fn push(&mut self, kind: &str, inputs: &[&str], attribute: Vec<AttributeProto>, output: Vec<Name>) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            name: Some(format!("/node/{}{}", kind, self.nodes.len())),
            output,
            op_type: Some(kind.to_owned()),
            attribute,
        });
    }

    /// Numbers of the model; the name tells whose they are.
    pub(super) fn floats(&mut self, hint: &str, dims: &[usize], values: impl Into<Cow<'a, [f32]>>) -> Name {
        self.initialiser(hint, dims, Values::F32(values.into()), false)
    }

    /// An embedding table.
    pub(super) fn table(&mut self, hint: &str, dims: &[usize], values: &'a [f32]) -> Name {
        self.initialiser(hint, dims, Values::F32(Cow::Borrowed(values)), true)
    }

    /// A list of whole numbers.
    pub(super) fn list(&mut self, values: &[i64]) -> Name {
        if let Some(name) = self.lists.get(values) {
            return name.clone();
        }
        let name = self.initialiser("list", &[values.len()], Values::I64(values.to_vec()), false);
        self.lists.insert(values.to_vec(), name.clone());
        name
    }

    /// A whole number, as a tensor without dimensions.
    pub(super) fn whole(&mut self, value: i64) -> Name {
        self.initialiser("whole", &[], Values::I64(vec![value]), false)
    }

    /// A number, as a tensor without dimensions.
    pub(super) fn number(&mut self, value: f32) -> Name {
        if let Some(name) = self.numbers.get(&value.to_bits()) {
            return name.clone();
        }
        let name = self.initialiser("number", &[], Values::F32(vec![value].into()), false);
        self.numbers.insert(value.to_bits(), name.clone());
        name
    }

    /// The same numbers in another shape. A dimension of 0 is that of x.
    pub(super) fn reshape(&mut self, x: &str, dims: &[usize]) -> Name {
        let dims: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        let dims = self.list(&dims);
        self.op("Reshape", &[x, &dims], Vec::new())
    }

    /// Rows, columns or other slices of x, by their numbers.
    pub(super) fn gather(&mut self, x: &str, indices: &str, axis: i64) -> Name {
        self.op("Gather", &[x, indices], vec![int("axis", axis)])
    }

    /// Tensors one behind the other along an axis.
    pub(super) fn concat(&mut self, parts: &[Name], axis: i64) -> Name {
        if let [single] = parts {
            return single.clone();
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.op("Concat", &parts, vec![int("axis", axis)])
    }

    /// Sums along one axis, which stays with one element or goes.
    pub(super) fn sum(&mut self, x: &str, axis: i64, keep: bool) -> Name {
        let axes = self.list(&[axis]);
        self.op("ReduceSum", &[x, &axes], vec![int("keepdims", i64::from(keep))])
    }

    pub(super) fn finish(self, name: &str) -> Built<'a> {
        let graph = GraphProto {
            node: self.nodes,
            name: Some(name.to_owned()),
            initializer: Vec::new(),
            input: self.inputs,
            output: self.outputs,
        };
        Built { graph, initialisers: self.initialisers }
    }

    fn initialiser(&mut self, hint: &str, dims: &[usize], values: Values<'a>, is_table: bool) -> Name {
        let name = self.fresh(hint);
        self.initialisers.push(Initialiser { name: name.clone(), dims: dims.to_vec(), values, is_table });
        name
    }

    /// A name that nothing has yet.
    fn fresh(&mut self, hint: &str) -> Name {
        let plain = format!("/{hint}");
        if self.taken.insert(plain.clone()) {
            return plain;
        }
        loop {
            self.named += 1;
            let name = format!("/{hint}.{}", self.named);
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// A whole number as an attribute.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value),
        r#type: Some(ATTRIBUTE_INT),
        ..AttributeProto::default()
    }
}

/// Whole numbers as an attribute.
pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.to_vec(),
        r#type: Some(ATTRIBUTE_INTS),
        ..AttributeProto::default()
    }
}

/// A number as an attribute.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        f: Some(value),
        r#type: Some(ATTRIBUTE_FLOAT),
        ..AttributeProto::default()
    }
}

fn value_info((name, about): (&str, &str), element_type: i32, dims: &[Dim]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| match dim {
        Dim::Fixed(size) => DimensionProto { dim_value: Some(*size as i64), dim_param: None },
        Dim::Free(name) => DimensionProto { dim_value: None, dim_param: Some(name.clone()) },
    });
    let shape = TensorShapeProto { dim: dim.collect() };
    let tensor = TensorTypeProto { elem_type: Some(element_type), shape: Some(shape) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        doc_string: Some(about.to_owned()),
    }
}
