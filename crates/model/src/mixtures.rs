//! Which gates weigh which experts, read off the recorded graph: every mixture whose weights a softmax makes has a
//! gate, and its blocks are experts. A new layer is inspected and explained without a line about it here.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Graph, LinearOp, Op, ParamSpec, Routing, Rows, Scope, Source, Value};

use crate::Network;

/// A mixture of experts in a network.
#[derive(Clone, Debug)]
pub struct Mixture {
    /// What the gate is called.
    pub name: String,
    /// `[batch, weights]`, or `[scenarios, weights]` where rows of a scenario share it.
    pub gate: Value,
    /// The experts of each output; the gate has a column for each, in this order.
    pub outputs: Vec<Vec<Expert>>,
    /// Whether the first outputs are those of scenario 0, the next of scenario 1, ...
    pub by_scenario: bool,
    /// Rows of the gate.
    pub rows: Rows,
}

/// A block of a mixture: whose output it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Expert {
    /// Where its output stands.
    pub value: Value,
    /// Columns of the output.
    pub columns: std::ops::Range<usize>,
    /// Name of the experts it belongs to.
    pub bank: String,
    /// Whose it is, where each scenario has its own; `None` where all share it.
    pub scenario: Option<Whose>,
    /// The task (or head) whose own it is.
    pub head: Option<usize>,
    /// Which of its kind, from 0.
    pub number: usize,
    /// Whether it ends in a ReLU.
    pub relu: bool,
}

/// Which scenario's an expert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// That of the row.
    Own,
    /// Always this one's, whatever the row.
    Of(usize),
}

impl Mixture {
    /// The outputs that rows of a scenario go through, each with its first column of the gate.
    pub fn outputs_of(&self, scenario: usize, scenarios: usize) -> impl Iterator<Item = (usize, &[Expert])> {
        let count = if self.by_scenario { self.outputs.len() / scenarios } else { self.outputs.len() };
        let skipped = if self.by_scenario { scenario * count } else { 0 };
        let starts = self.outputs.iter().scan(0, |start, experts| {
            *start += experts.len();
            Some((*start - experts.len(), experts.as_slice()))
        });
        starts.skip(skipped).take(count)
    }

    /// Whether rows of a scenario share the gate's weights, one for each scenario: attention of scenarios to one another.
    #[must_use]
    pub fn is_attention(&self, graph: &Graph, scenarios: usize) -> bool {
        let shape = graph.shape(self.gate);
        shape.rows == Rows::Fixed(scenarios) && shape.width == scenarios && self.outputs.len() == 1
    }

    /// The row of the gate's values that a row of a batch is weighed by.
    #[must_use]
    pub fn gate_row(&self, row: usize, scenario: usize) -> usize {
        match self.rows {
            Rows::Batch => row,
            Rows::Fixed(1) => 0,
            Rows::Fixed(_) => scenario,
        }
    }

    /// The task of an output of rows of one scenario, `outputs` in all; nothing where tasks share it.
    #[must_use]
    pub fn task_of(output: usize, outputs: usize, tasks: &[String]) -> Option<String> {
        match outputs {
            1 => None,
            _ if outputs == tasks.len() => Some(tasks[output].clone()),
            _ => Some(format!("output {}", output + 1)),
        }
    }

    /// A short name of an expert beside the others of this gate.
    #[must_use]
    pub fn label(&self, expert: &Expert, scenarios: &[String], tasks: &[String]) -> String {
        let kind = expert.bank.rsplit('.').next().unwrap_or(&expert.bank);
        let number = expert.number + 1;
        // Where each scenario or task has its own mixture, its experts are its own without saying so.
        let scenario = match expert.scenario {
            Some(Whose::Of(scenario)) if !self.by_scenario => format!("{} ", scenarios[scenario]),
            Some(Whose::Of(_) | Whose::Own) | None => String::new(),
        };
        let task = expert.head.filter(|_| self.outputs_of(0, scenarios.len()).count() == 1);
        let task = task.map_or_else(String::new, |head| format!("{} ", task_name(head, tasks)));
        format!("{scenario}{task}{kind} {number}")
    }
}

/// The task of a head, or the head's number where heads are other than tasks.
#[must_use]
pub fn task_name(head: usize, tasks: &[String]) -> String {
    tasks.get(head).cloned().unwrap_or_else(|| format!("head {}", head + 1))
}

/// The mixtures of a network with a gate, in the order they are computed; of several with one gate the first.
#[must_use]
pub fn mixtures(network: &Network, layout: &Layout) -> Vec<Mixture> {
    let graph = &network.graph;
    let scenarios = layout.scenarios.len();
    let mut gates = Vec::new();
    let found = graph.nodes().iter().filter_map(|node| {
        let Op::Mixture { outputs, width } = &node.op else { return None };
        let gate = node.inputs[0];
        let weighs = outputs.iter().any(|blocks| blocks.len() > 1);
        if !weighs || gates.contains(&gate) || !is_gate(graph, gate) {
            return None;
        }
        let made = maker(graph, gate);
        // What weighs the items of a sequence is no gate: its places are no experts.
        if made.as_ref().is_some_and(|(op, _)| matches!(op.source, Source::EachRun(_))) {
            return None;
        }
        gates.push(gate);
        let by_scenario = made.as_ref().is_some_and(|(op, spec)| {
            op.routing == Routing::All && spec.scope.is_per_scenario() && outputs.len().is_multiple_of(scenarios)
        });
        let probe = network.probes.iter().find(|(_, value)| *value == gate);
        let probe = probe.map(|(name, _)| name.strip_prefix("gate.").unwrap_or(name));
        let name = probe.or_else(|| made.map(|(_, spec)| stem(&spec.name)));
        let source = |block: &Block| source(network, scenarios, *block, *width);
        let outputs = outputs.iter().map(|blocks| blocks.iter().map(source).collect()).collect();
        let name = name.map_or_else(|| format!("value {}", gate.index()), str::to_owned);
        Some(Mixture { name, gate, outputs, by_scenario, rows: graph.shape(gate).rows })
    });
    found.collect()
}

/// Whether a value comes from a softmax, through what picks columns or changes single elements. Weights without one, such as
/// those of cross-stitch units, share out nothing; a product of each row with a matrix of its own is a mixture too, and no gate.
fn is_gate(graph: &Graph, value: Value) -> bool {
    let node = graph.node(value);
    let passes = matches!(
        node.op,
        Op::Activate(_)
            | Op::Dropout { .. }
            | Op::StopGradient
            | Op::Affine { .. }
            | Op::Binary(_)
            | Op::Slice { .. }
            | Op::Concat
    );
    matches!(node.op, Op::Softmax { .. }) || (passes && node.inputs.iter().any(|&input| is_gate(graph, input)))
}

fn source(network: &Network, scenarios: usize, block: Block, width: usize) -> Expert {
    let graph = &network.graph;
    let columns = block.index * width..(block.index + 1) * width;
    let unknown = Expert {
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
    let all = spec.scope.is_per_scenario() && op.routing == Routing::All && scenarios > 1;
    let copies = (blocks / if all { scenarios * heads } else { heads }).max(1);
    let whose = if all { Whose::Of(block.index / (heads * copies)) } else { Whose::Own };
    // Where several values come from the same weights, the layer tells them apart.
    let told = network.probes.iter().find(|(name, value)| *value == block.value && name.starts_with("block."));
    let bank = told.map_or(stem(&spec.name), |(name, _)| name.trim_start_matches("block."));
    Expert {
        bank: bank.to_owned(),
        scenario: spec.scope.is_per_scenario().then_some(whose),
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
