//! From a recorded network to operators of ONNX, one by one: no layer is known here, so every layer exports.
//!
//! What the batch cannot change (HiNet's attention between scenarios, STAR's products of weights) is computed once, by the
//! evaluator that also folds it for the plan, and becomes an initialiser. What remains has one row per row of the batch.
//!
//! | operator | becomes |
//! | --- | --- |
//! | `Linear` | `Gemm`; many blocks over their own columns: a batched `MatMul`; routed to the row's own group: see [`linear`] |
//! | `Activate` | `Relu`, `Sigmoid`, ..., and short compositions ([`activation`]) |
//! | `Softmax`, `Mixture`, `Select`, `Slice`, `Concat` | [`columns`] |
//! | `LayerNorm`, `BatchNorm` | `LayerNormalization`, or saved statistics as `Sub`, `Mul`, `Add` ([`norm`]) |
//! | `RowsOfGroup`, and any value of one row per group | `Gather` by the row's group |
//! | `Binary`, `Affine`, `Reduce` over columns | `Add`, `Sub`, `Mul`, `Div`, `ReduceSum` |
//! | `Dropout`, `Concrete`, `StopGradient` | nothing: they are for training |
//!
//! Sums over rows, row numbers as input, and losses have no place in a row's score, and are refused by name.

mod activation;
mod columns;
mod linear;
mod norm;

use std::collections::HashMap;

use hinet_tape::{Binary, Evaluator, Graph, Node, Op, Params, Reduction, Rows, Value, Workspace};

use super::builder::{Builder, Name};
use crate::ModelError;

pub(super) use linear::parts_rows;

/// Why an operator over rows has no place in a score.
const MANY_ROWS: &str = "it makes one result of many rows";

/// The rows that a part of a model scores.
#[derive(Clone, Debug)]
pub(super) struct PartRows {
    /// Their dense input, `[rows, width]`.
    pub(super) x: Name,
    /// The group of each, `[rows]`.
    pub(super) group: Name,
    /// Rows of each group, `[groups]`, where rows are sorted by group.
    pub(super) counts: Option<Name>,
}

/// One form of a network in translation.
pub(super) struct Translation<'t, 'a> {
    graph: &'t Graph,
    folded: Evaluator,
    workspace: Workspace,
    moving: Vec<bool>,
    rows: PartRows,
    /// Tensors of values that the batch changes.
    names: HashMap<Value, Name>,
    /// Tensors of fixed values beside rows of the batch.
    beside: HashMap<Value, Name>,
    /// The group of each row as a column, `[rows, 1]`.
    group_column: Option<Name>,
    out: &'t mut Builder<'a>,
}

/// Adds what computes `value` for some rows, and returns the tensor's name.
///
/// # Errors
/// [`ModelError::Untranslatable`] for an operator that mixes rows or is for training.
pub(super) fn translate(
    out: &mut Builder<'_>,
    (graph, params): (&Graph, &Params),
    value: Value,
    rows: PartRows,
) -> Result<Name, ModelError> {
    let moving = moving(graph);
    let needed = needed(graph, value, &moving);
    let read = needed.iter().flat_map(|value| &graph.node(*value).inputs);
    let mut fixed: Vec<Value> = read.copied().filter(|value| !moving[value.index()]).collect();
    fixed.sort_unstable();
    fixed.dedup();
    let folded = Evaluator::new(graph.clone(), params.clone(), &fixed);
    let mut translation = Translation {
        graph,
        folded,
        workspace: Workspace::default(),
        moving,
        rows,
        names: HashMap::new(),
        beside: HashMap::new(),
        group_column: None,
        out,
    };
    for value in needed {
        let name = translation.node(value)?;
        translation.names.insert(value, name);
    }
    Ok(translation.names.remove(&value).expect("the value itself is needed"))
}

/// Which values the batch can change.
fn moving(graph: &Graph) -> Vec<bool> {
    let mut moving: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let own = node.shape.rows == Rows::Batch || matches!(node.op, Op::Input { .. });
        moving.push(own || node.inputs.iter().any(|input| moving[input.index()]));
    }
    moving
}

/// The values that the batch can change and `value` needs, in the order they are computed.
fn needed(graph: &Graph, value: Value, moving: &[bool]) -> Vec<Value> {
    let mut needed = vec![false; graph.nodes().len()];
    needed[value.index()] = true;
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if needed[index] {
            node.inputs.iter().for_each(|input| needed[input.index()] = true);
        }
    }
    graph.values().filter(|value| needed[value.index()] && moving[value.index()]).collect()
}

impl Translation<'_, '_> {
    fn node(&mut self, value: Value) -> Result<Name, ModelError> {
        let node = self.graph.node(value);
        if node.shape.rows != Rows::Batch {
            return Err(refused(node, MANY_ROWS));
        }
        Ok(match &node.op {
            Op::Input { slot: 0 } => self.rows.x.clone(),
            Op::Linear(op) => self.linear(node, *op)?,
            Op::Activate(activation) => activation::activate(self.out, &self.names[&node.inputs[0]], *activation),
            Op::Softmax { size, mask } => self.softmax(node, *size, mask.as_deref()),
            Op::Mixture { outputs, width } => self.mixture(node, outputs, *width),
            Op::Select { blocks, width } => self.select(blocks, *width),
            Op::Concat => {
                let parts: Vec<Name> = node.inputs.iter().map(|&input| self.moving(input)).collect();
                self.out.concat(&parts, 1)
            }
            Op::Slice { start } => self.slice(&self.moving(node.inputs[0]), *start, node.shape.width),
            Op::RowsOfGroup => self.gathered(node.inputs[0]),
            Op::Binary(binary) => {
                let (a, b) = (self.beside(node.inputs[0]), self.beside(node.inputs[1]));
                self.out.op(binary_name(*binary), &[&a, &b], Vec::new())
            }
            Op::Affine { scale, offset } => self.affine(node, *scale, *offset),
            Op::Reduce(reduction @ (Reduction::SumColumns | Reduction::MeanColumns)) => {
                self.reduce_columns(node, *reduction)
            }
            Op::LayerNorm { gain, bias, size } => self.layer_norm(node, (*gain, *bias), *size),
            Op::BatchNorm(op) => self.batch_norm(node, *op),
            Op::Dropout { .. } | Op::Concrete { .. } | Op::StopGradient => self.moving(node.inputs[0]),
            Op::Input { .. } => return Err(refused(node, "a score has one dense input")),
            Op::GatherRows { .. } | Op::ScatterRows { .. } => return Err(refused(node, "a score has no row numbers")),
            Op::Reshape | Op::Reduce(Reduction::SumRows | Reduction::MeanRows) => return Err(refused(node, MANY_ROWS)),
            Op::BceWithLogits | Op::Nll => return Err(refused(node, "a loss is no part of a score")),
            Op::Parameter { .. } | Op::Constant { .. } => unreachable!("the batch does not change it"),
        })
    }

    /// The tensor of a value that the batch changes.
    fn moving(&self, value: Value) -> Name {
        self.names.get(&value).cloned().expect("operators come in order, and rows of the batch meet rows of the batch")
    }

    /// The numbers of a value that the batch does not change.
    fn fixed(&self, value: Value) -> Vec<f32> {
        self.folded.value(&self.workspace, value).to_vec()
    }

    /// A tensor that stands beside rows of the batch: one row for all, or one for each.
    fn beside(&mut self, value: Value) -> Name {
        if self.moving[value.index()] {
            return self.moving(value);
        }
        if self.graph.shape(value).rows != Rows::Fixed(1) {
            return self.gathered(value);
        }
        self.once(value, |translation| {
            let numbers = translation.fixed(value);
            translation.numbers(&translation.hint(value), numbers, 1)
        })
    }

    /// For each row of the batch the row of its group.
    fn gathered(&mut self, table: Value) -> Name {
        self.once(table, |translation| {
            let (numbers, groups) = (translation.fixed(table), translation.graph.groups());
            let table = translation.numbers(&translation.hint(table), numbers, groups);
            translation.of_group(&table)
        })
    }

    fn once(&mut self, value: Value, make: impl FnOnce(&mut Self) -> Name) -> Name {
        if let Some(name) = self.beside.get(&value) {
            return name.clone();
        }
        let name = make(self);
        self.beside.insert(value, name.clone());
        name
    }

    /// An initialiser of so many rows.
    fn numbers(&mut self, hint: &str, numbers: Vec<f32>, rows: usize) -> Name {
        let width = numbers.len() / rows;
        self.out.floats(hint, &[rows, width], numbers)
    }

    /// For each row of the batch the row of its group, out of a tensor of one row per group.
    fn of_group(&mut self, table: &str) -> Name {
        let group = self.rows.group.clone();
        self.out.gather(table, &group, 0)
    }

    /// The block of each row's own group: `[rows, width]` out of `[rows, groups, width]`.
    fn own_block(&mut self, blocks: &str) -> Name {
        let column = match &self.group_column {
            Some(column) => column.clone(),
            None => {
                let axes = self.out.list(&[1]);
                let column = self.out.op("Unsqueeze", &[&self.rows.group, &axes], Vec::new());
                self.group_column.insert(column).clone()
            }
        };
        self.out.op("GatherND", &[blocks, &column], vec![super::builder::int("batch_dims", 1)])
    }

    /// The name of a parameter, where the value is one.
    fn hint(&self, value: Value) -> String {
        let Op::Parameter { index } = &self.graph.node(value).op else { return "folded".to_owned() };
        self.graph.params()[*index].name.clone()
    }

    fn affine(&mut self, node: &Node, scale: f32, offset: f32) -> Name {
        let mut x = self.moving(node.inputs[0]);
        for (kind, number, neutral) in [("Mul", scale, 1.0), ("Add", offset, 0.0)] {
            if number != neutral {
                let number = self.out.number(number);
                x = self.out.op(kind, &[&x, &number], Vec::new());
            }
        }
        x
    }

    fn reduce_columns(&mut self, node: &Node, reduction: Reduction) -> Name {
        let x = self.moving(node.inputs[0]);
        let sum = self.out.sum(&x, 1, true);
        if reduction != Reduction::MeanColumns {
            return sum;
        }
        let width = self.out.number(self.graph.shape(node.inputs[0]).width as f32);
        self.out.op("Div", &[&sum, &width], Vec::new())
    }
}

fn binary_name(binary: Binary) -> &'static str {
    match binary {
        Binary::Add => "Add",
        Binary::Sub => "Sub",
        Binary::Mul => "Mul",
        Binary::Div => "Div",
    }
}

/// An operator that cannot be exported.
fn refused(node: &Node, reason: &str) -> ModelError {
    let text = format!("{:?}", node.op);
    let operator = text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
    ModelError::Untranslatable { operator, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;
