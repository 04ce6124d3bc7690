//! Which gates weigh which experts, read off the recorded graph: every mixture whose weights are computed has a gate,
//! and its blocks are experts. A new layer is inspected without a line about it here.

use hinet_data::Layout;
use hinet_model::Network;
use hinet_tape::{Activation, Block, Graph, LinearOp, Op, ParamSpec, Routing, Rows, Scope, Value};

/// A mixture of experts in a network.
pub(super) struct Mixture {
    /// What the gate is called.
    pub(super) name: String,
    /// `[batch, weights]`, or `[scenarios, weights]` where rows of a scenario share it.
    pub(super) gate: Value,
    /// The experts of each output; the gate has a column for each, in this order.
    pub(super) outputs: Vec<Vec<Source>>,
    /// Whether the first outputs are those of scenario 0, the next of scenario 1, ...
    pub(super) by_scenario: bool,
    /// Rows of the gate.
    pub(super) rows: Rows,
}

/// A block of a mixture: whose output it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    /// Where its output stands.
    pub(super) value: Value,
    /// Columns of the output.
    pub(super) columns: std::ops::Range<usize>,
    /// Name of the experts it belongs to.
    pub(super) bank: String,
    /// Whose it is, where each scenario has its own; `None` where all share it.
    pub(super) scenario: Option<Whose>,
    /// The task (or head) whose own it is.
    pub(super) head: Option<usize>,
    /// Which of its kind, from 0.
    pub(super) number: usize,
    /// Whether it ends in a ReLU.
    pub(super) relu: bool,
}

/// Which scenario's an expert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of the row.
    Own,
    /// Always this one's, whatever the row.
    Of(usize),
}

/// The mixtures of a network with a gate, in the order they are computed; of several with one gate the first.
pub(super) fn mixtures(network: &Network, layout: &Layout) -> Vec<Mixture> {
    let graph = &network.graph;
    let scenarios = layout.scenarios.len();
    let mut gates = Vec::new();
    let found = graph.nodes().iter().filter_map(|node| {
        let Op::Mixture { outputs, width } = &node.op else { return None };
        let gate = node.inputs[0];
        let weighs = outputs.iter().any(|blocks| blocks.len() > 1);
        if !weighs || gates.contains(&gate) || matches!(graph.node(gate).op, Op::Constant { .. }) {
            return None;
        }
        gates.push(gate);
        let made = maker(graph, gate);
        let by_scenario = made.as_ref().is_some_and(|(op, spec)| {
            op.routing == Routing::All && is_per_scenario(spec.scope) && outputs.len().is_multiple_of(scenarios)
        });
        let probe = network.probes.iter().find(|(_, value)| *value == gate);
        let probe = probe.map(|(name, _)| name.strip_prefix("gate.").unwrap_or(name));
        let name = probe.or_else(|| made.map(|(_, spec)| stem(&spec.name)));
        let source = |block: &Block| source(graph, scenarios, *block, *width);
        let outputs = outputs.iter().map(|blocks| blocks.iter().map(source).collect()).collect();
        let name = name.map_or_else(|| format!("value {}", gate.index()), str::to_owned);
        Some(Mixture { name, gate, outputs, by_scenario, rows: graph.shape(gate).rows })
    });
    found.collect()
}

/// Whether rows of a scenario share the gate's weights: one row of weights per scenario.
pub(super) fn is_attention(graph: &Graph, mixture: &Mixture, scenarios: usize) -> bool {
    let shape = graph.shape(mixture.gate);
    shape.rows == Rows::Fixed(scenarios) && shape.width == scenarios && mixture.outputs.len() == 1
}

fn source(graph: &Graph, scenarios: usize, block: Block, width: usize) -> Source {
    let columns = block.index * width..(block.index + 1) * width;
    let unknown = Source {
        value: block.value,
        columns,
        bank: format!("value {}", block.value.index()),
        scenario: None,
        head: None,
        number: block.index,
        relu: false,
    };
    let Some((op, spec)) = maker(graph, block.value) else { return unknown };
    let blocks = graph.shape(block.value).width / width;
    let heads = match spec.scope {
        Scope::Shared | Scope::PerScenario => 1,
        Scope::PerTask => spec.dims[0],
        Scope::PerScenarioTask => spec.dims[0] / scenarios,
    };
    let all = is_per_scenario(spec.scope) && op.routing == Routing::All && scenarios > 1;
    let copies = (blocks / if all { scenarios * heads } else { heads }).max(1);
    let whose = if all { Whose::Of(block.index / (heads * copies)) } else { Whose::Own };
    Source {
        bank: stem(&spec.name).to_owned(),
        scenario: is_per_scenario(spec.scope).then_some(whose),
        head: (heads > 1).then_some(block.index / copies % heads),
        number: block.index % copies,
        relu: op.activation == Activation::Relu,
        ..unknown
    }
}

/// The linear operator that a value comes from, with its weight, through what changes neither columns nor owners.
fn maker(graph: &Graph, value: Value) -> Option<(&LinearOp, &ParamSpec)> {
    let node = graph.node(value);
    if let Op::Linear(op) = &node.op {
        let Op::Parameter { index } = graph.node(op.weight).op else { return None };
        return Some((op, &graph.params()[index]));
    }
    let passes = matches!(
        node.op,
        Op::Softmax { .. }
            | Op::Activate(_)
            | Op::Dropout { .. }
            | Op::StopGradient
            | Op::Affine { .. }
            | Op::Binary(_)
    );
    if passes { maker(graph, node.inputs[0]) } else { None }
}

/// `scenario.specific` from `scenario.specific.1.weight`; `task.level0.gate` from `task.level0.gate.weight`.
fn stem(parameter: &str) -> &str {
    let name = parameter.strip_suffix(".weight").unwrap_or(parameter);
    match name.rsplit_once('.') {
        Some((stem, layer)) if layer.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        Some(_) | None => name,
    }
}

fn is_per_scenario(scope: Scope) -> bool {
    match scope {
        Scope::PerScenario | Scope::PerScenarioTask => true,
        Scope::Shared | Scope::PerTask => false,
    }
}
