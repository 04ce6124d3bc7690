//! Linear layers as plain loops.

use hinet_tape::{LinearOp, Node, Routing, Source};

use super::{Inputs, Values, activate, group_of};

pub(crate) fn linear(op: &LinearOp, inputs: &Inputs<'_>, node: &Node, values: &Values) -> Vec<f64> {
    let x = &values[node.inputs[0].index()];
    let weight = &values[op.weight.index()];
    let bias = op.bias.map(|bias| &values[bias.index()]);
    let width = inputs.graph.shape(node.inputs[0]).width;
    let outer = inputs.graph.shape(op.weight).width;
    let inner = weight.len() / (op.groups * op.experts * outer);
    let mut out = Vec::new();
    let runs = if let Source::EachRun(runs) = op.source { runs } else { 1 };
    for (row, run) in (0..x.len() / width).flat_map(|row| (0..runs).map(move |run| (row, run))) {
        let blocks: Vec<usize> = match op.routing {
            Routing::Own if op.groups > 1 => {
                let group = group_of(inputs, node.shape.rows, row);
                (0..op.experts).map(|expert| group * op.experts + expert).collect()
            }
            Routing::Own | Routing::All => (0..op.groups * op.experts).collect(),
        };
        for (place, &block) in blocks.iter().enumerate() {
            for o in 0..outer {
                let mut sum = bias.map_or(0.0, |bias| bias[block * outer + o]);
                for i in 0..inner {
                    let column = match op.source {
                        Source::Shared => i,
                        Source::PerExpert => place * inner + i,
                        Source::EachRun(_) => run * inner + i,
                    };
                    sum += x[row * width + column] * weight[(block * inner + i) * outer + o];
                }
                out.push(activate(op.activation, sum));
            }
        }
    }
    out
}
