//! Which columns of a value the rows of a request have in common, if they have some columns of an input in common.
//!
//! All rows of a request are of one group, so what has one row per group is common too. Operators that mix columns or rows,
//! such as a product, are taken to have no common column: that is never wrong, it only spares less.

use crate::graph::{Graph, Node, Op};
use crate::value::Value;

/// For each value, whether each of its columns is common; `moving` says which values the batch can change.
pub(super) fn columns(graph: &Graph, moving: &[bool], (input, given): (Value, &[bool])) -> Vec<Vec<bool>> {
    let width = graph.shape(input).width;
    assert_eq!(given.len(), width, "requests: {} flags for an input of {width} columns", given.len());
    let mut all: Vec<Vec<bool>> = Vec::with_capacity(graph.nodes().len());
    for (index, node) in graph.nodes().iter().enumerate() {
        all.push(match index {
            _ if index == input.index() => given.to_vec(),
            _ if !moving[index] => vec![true; node.shape.width],
            _ => of_node(node, &all),
        });
    }
    all
}

fn of_node(node: &Node, before: &[Vec<bool>]) -> Vec<bool> {
    let width = node.shape.width;
    let of = |value: &Value| &before[value.index()][..];
    let x = || of(&node.inputs[0]);
    match &node.op {
        Op::RowsOfGroup => vec![true; width],
        Op::Activate(_) | Op::Affine { .. } | Op::Dropout { .. } | Op::Concrete { .. } => x().to_vec(),
        Op::StopGradient | Op::BatchNorm(_) => x().to_vec(),
        Op::Binary(_) => {
            let at = |columns: &[bool], column: usize| columns[if columns.len() == 1 { 0 } else { column }];
            (0..width).map(|column| node.inputs.iter().all(|side| at(of(side), column))).collect()
        }
        Op::Concat => node.inputs.iter().flat_map(of).copied().collect(),
        Op::Slice { start } => x()[*start..start + width].to_vec(),
        Op::LayerNorm { size, .. } | Op::Softmax { size, .. } => {
            let whole = |run: &[bool]| std::iter::repeat_n(run.iter().all(|&common| common), run.len());
            x().chunks(*size).flat_map(whole).collect()
        }
        Op::Input { .. } | Op::Parameter { .. } | Op::Constant { .. } | Op::Linear(_) | Op::Mixture { .. } => {
            vec![false; width]
        }
        Op::Reshape | Op::Select { .. } | Op::GatherRows { .. } | Op::ScatterRows { .. } | Op::Reduce(_) => {
            vec![false; width]
        }
        Op::BceWithLogits | Op::Nll => vec![false; width],
    }
}
