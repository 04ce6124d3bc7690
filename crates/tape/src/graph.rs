//! The graph: a static list of operators over values, recorded once and run for every batch.
//!
//! Shapes are checked while recording. A wrong shape is a bug of the layer that records, so it panics with the
//! operator and both shapes in the message.

mod arithmetic;
mod layers;
mod loss;
mod op;

use std::collections::{HashMap, HashSet};

pub use op::{Activation, BatchNormOp, Binary, LinearOp, Op, Reduction, Routing, Source, Statistics};

use crate::parameter::ParamSpec;
use crate::value::{Block, IndexInput, Rows, Shape, Value};

/// One operator with the values it reads and the shape it makes.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// Every value read, in the order the operator documents.
    pub inputs: Vec<Value>,
    /// What comes out.
    pub shape: Shape,
    /// Whether a gradient can flow through it to a parameter or to an input that asked for one.
    pub needs_gradient: bool,
}

/// A network: operators over values, in the order they are computed.
///
/// A batch's rows are sorted by group (scenario); `offsets[g]..offsets[g + 1]` of the [`Feed`](crate::Feed) are the
/// rows of group `g`. A value with `Fixed(groups)` rows holds one row per group.
#[derive(Clone, Debug)]
pub struct Graph {
    groups: usize,
    nodes: Vec<Node>,
    inputs: Vec<Value>,
    input_names: Vec<String>,
    index_names: Vec<String>,
    params: Vec<ParamSpec>,
    by_name: HashMap<String, Value>,
    /// Values between the layers of stacks.
    hidden: HashSet<Value>,
}

impl Graph {
    /// An empty graph for batches of `groups` groups.
    ///
    /// # Panics
    /// With no group at all.
    #[must_use]
    pub fn new(groups: usize) -> Graph {
        assert!(groups > 0, "a graph needs at least one group");
        Graph {
            groups,
            nodes: Vec::new(),
            inputs: Vec::new(),
            input_names: Vec::new(),
            index_names: Vec::new(),
            params: Vec::new(),
            by_name: HashMap::new(),
            hidden: HashSet::new(),
        }
    }

    /// A dense input, `[batch, width]`. With `gradient`, [`Tape::input_gradient`](crate::Tape::input_gradient) has
    /// its gradient after a backward pass.
    pub fn input(&mut self, name: &str, width: usize, gradient: bool) -> Value {
        assert!(width > 0, "input `{name}` needs at least one column");
        let slot = self.inputs.len();
        let value = self.push_node(Node {
            op: Op::Input { slot },
            inputs: Vec::new(),
            shape: Shape { rows: Rows::Batch, width },
            needs_gradient: gradient,
        });
        self.inputs.push(value);
        self.input_names.push(name.to_owned());
        value
    }

    /// An input of one row number per row of the batch.
    pub fn index_input(&mut self, name: &str) -> IndexInput {
        self.index_names.push(name.to_owned());
        IndexInput(u32::try_from(self.index_names.len() - 1).expect("fewer than 2^32 inputs"))
    }

    /// A parameter, `[product of all dims but the last, last dim]`. The same name twice is the same value, and must
    /// then be the same specification.
    pub fn parameter(&mut self, spec: ParamSpec) -> Value {
        if let Some(&value) = self.by_name.get(&spec.name) {
            let Op::Parameter { index } = self.node(value).op else { unreachable!("only parameters are named") };
            assert_eq!(self.params[index], spec, "parameter `{}` was recorded before, differently", spec.name);
            return value;
        }
        assert!(!spec.is_empty(), "parameter `{}` has no element: {:?}", spec.name, spec.dims);
        let index = self.params.len();
        let value = self.push_node(Node {
            op: Op::Parameter { index },
            inputs: Vec::new(),
            shape: Shape { rows: Rows::Fixed(spec.rows()), width: spec.width() },
            needs_gradient: spec.trainable,
        });
        self.by_name.insert(spec.name.clone(), value);
        self.params.push(spec);
        value
    }

    /// Numbers that never change, `[rows, width]`, row-major.
    pub fn constant(&mut self, rows: usize, width: usize, data: Vec<f32>) -> Value {
        assert_eq!(data.len(), rows * width, "constant: {} numbers for [{rows}, {width}]", data.len());
        self.push_node(Node {
            op: Op::Constant { data },
            inputs: Vec::new(),
            shape: Shape { rows: Rows::Fixed(rows), width },
            needs_gradient: false,
        })
    }

    /// Has a value hold these numbers from now on, whatever it was computed from.
    ///
    /// # Panics
    /// If its rows are those of the batch, it has another number of elements, or it is a parameter.
    pub fn fix(&mut self, value: Value, data: Vec<f32>) {
        let shape = self.shape(value);
        assert!(!matches!(self.node(value).op, Op::Parameter { .. }), "fix: a parameter holds what `Params` says");
        assert!(
            shape.rows != Rows::Batch && shape.len(0) == data.len(),
            "fix: {} numbers for {shape}, which must have fixed rows",
            data.len()
        );
        let node = &mut self.nodes[value.index()];
        *node = Node { op: Op::Constant { data }, inputs: Vec::new(), shape, needs_gradient: false };
    }

    /// All operators, in the order they are computed.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The operator that makes this value.
    #[must_use]
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.index()]
    }

    /// Every value, in the order they are computed.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<> {
        (0..u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes")).map(Value)
    }

    /// Whether a value lies between the layers of a [stack](Graph::stack): it is for the next layer only.
    #[must_use]
    pub fn is_hidden(&self, value: Value) -> bool {
        self.hidden.contains(&value)
    }

    /// Shape of a value.
    #[must_use]
    pub fn shape(&self, value: Value) -> Shape {
        self.node(value).shape
    }

    /// The parameters, in the order they were first recorded.
    #[must_use]
    pub fn params(&self) -> &[ParamSpec] {
        &self.params
    }

    /// Number of groups (scenarios).
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The dense inputs, in the order of [`Feed::inputs`](crate::Feed::inputs).
    #[must_use]
    pub fn inputs(&self) -> &[Value] {
        &self.inputs
    }

    /// Names of the dense inputs, in the order of [`Graph::inputs`].
    #[must_use]
    pub fn input_names(&self) -> &[String] {
        &self.input_names
    }

    /// Names of the index inputs, in the order of [`Feed::indices`](crate::Feed::indices).
    #[must_use]
    pub fn index_names(&self) -> &[String] {
        &self.index_names
    }

    /// The value of a parameter by name.
    #[must_use]
    pub fn parameter_value(&self, name: &str) -> Option<Value> {
        self.by_name.get(name).copied()
    }

    /// Records an operator over `inputs`; it needs a gradient where one of them does.
    fn push(&mut self, op: Op, inputs: Vec<Value>, rows: Rows, width: usize) -> Value {
        let needs_gradient = inputs.iter().any(|&input| self.node(input).needs_gradient);
        self.push_node(Node { op, inputs, shape: Shape { rows, width }, needs_gradient })
    }

    fn push_node(&mut self, node: Node) -> Value {
        let value = Value(u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes"));
        assert!(node.inputs.iter().all(|input| input.0 < value.0), "a value of another graph was used");
        self.nodes.push(node);
        value
    }

    /// Width of a value.
    fn width(&self, value: Value) -> usize {
        self.shape(value).width
    }

    /// Rows that several values agree on.
    fn common_rows(&self, op: &str, values: &[Value]) -> Rows {
        let first = self.shape(*values.first().unwrap_or_else(|| panic!("{op}: no value given")));
        for &value in values {
            let shape = self.shape(value);
            assert_eq!(first.rows, shape.rows, "{op}: rows differ: {first} and {shape}");
        }
        first.rows
    }

    /// Checks that a block lies inside its value.
    fn check_block(&self, op: &str, block: Block, width: usize) {
        let shape = self.shape(block.value);
        assert!(
            width > 0 && (block.index + 1) * width <= shape.width,
            "{op}: block {} of width {width} is outside {shape}",
            block.index
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::{Init, Scope};

    fn spec(dims: &[usize]) -> ParamSpec {
        ParamSpec { name: "w".into(), dims: dims.to_vec(), init: Init::Zeros, scope: Scope::Shared, trainable: true }
    }

    #[test]
    fn the_same_name_twice_is_the_same_parameter() {
        let mut g = Graph::new(2);
        let first = g.parameter(spec(&[2, 3, 4]));
        assert_eq!(first, g.parameter(spec(&[2, 3, 4])));
        assert_eq!(g.params().len(), 1);
        assert_eq!(g.shape(first), Shape { rows: Rows::Fixed(6), width: 4 });
    }

    #[test]
    #[should_panic(expected = "recorded before, differently")]
    fn the_same_name_with_other_dims_is_refused() {
        let mut g = Graph::new(2);
        g.parameter(spec(&[3, 4]));
        g.parameter(spec(&[4, 3]));
    }

    #[test]
    fn gradients_are_needed_only_below_parameters_and_asking_inputs() {
        let mut g = Graph::new(1);
        let still = g.input("still", 3, false);
        let asking = g.input("asking", 3, true);
        let sum = g.add(still, still);
        let both = g.mul(sum, asking);
        let stopped = g.stop_gradient(both);
        let needs = |v| g.node(v).needs_gradient;
        assert_eq!([sum, both, stopped].map(needs), [false, true, false]);
    }

    #[test]
    #[should_panic(expected = "add: [batch, 3] and [batch, 2] do not broadcast")]
    fn a_wrong_shape_names_the_operator_and_both_shapes() {
        let mut g = Graph::new(1);
        let a = g.input("a", 3, false);
        let b = g.input("b", 2, false);
        g.add(a, b);
    }
}
