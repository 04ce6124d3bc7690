//! Every operator as plain loops over `f64`, written from its documentation alone: the tape is checked against this,
//! and its gradients against differences of this.

mod linear;
mod norm;

use hinet_tape::{Activation, Binary, Feed, Graph, Mode, Node, Op, Params, Reduction, Rows, Value};

/// Elements of every value, row-major.
pub(crate) type Values = Vec<Vec<f64>>;

/// What the oracle reads: everything in double precision.
pub(crate) struct Inputs<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) params: Vec<Vec<f64>>,
    pub(crate) dense: Vec<Vec<f64>>,
    pub(crate) feed: Feed<'a>,
    pub(crate) mode: Mode,
    /// Factor of each element per dropout node (by node number), and noise per concrete one; the tape chooses them.
    pub(crate) dropped: Vec<Vec<f64>>,
}

pub(crate) fn params_of(params: &Params) -> Vec<Vec<f64>> {
    (0..params.specs().len()).map(|index| to_f64(params.at(index))).collect()
}

pub(crate) fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Computes every value.
pub(crate) fn run(inputs: &Inputs<'_>) -> Values {
    let mut values: Values = Vec::new();
    for (index, node) in inputs.graph.nodes().iter().enumerate() {
        let value = compute(inputs, index, node, &values);
        let (rows, width) = size(inputs, node);
        assert_eq!(value.len(), rows * width, "oracle of {:?}", node.op);
        values.push(value);
    }
    values
}

fn size(inputs: &Inputs<'_>, node: &Node) -> (usize, usize) {
    (node.shape.rows.count(inputs.feed.rows), node.shape.width)
}

/// Group of a row of a value.
pub(crate) fn group_of(inputs: &Inputs<'_>, rows: Rows, row: usize) -> usize {
    match rows {
        Rows::Batch => inputs.feed.offsets[1..].iter().position(|&end| row < end).unwrap(),
        Rows::Fixed(_) => row,
    }
}

/// Row of `value` that stands beside row `row` of a value with these rows.
pub(crate) fn beside(inputs: &Inputs<'_>, value: Value, rows: Rows, row: usize) -> usize {
    let from = inputs.graph.shape(value).rows;
    if from == rows {
        row
    } else if from == Rows::Fixed(1) {
        0
    } else if let (Rows::Fixed(few), Rows::Fixed(_)) = (from, rows) {
        row % few
    } else {
        group_of(inputs, rows, row)
    }
}

#[expect(clippy::too_many_lines, reason = "one arm per operator")]
fn compute(inputs: &Inputs<'_>, index: usize, node: &Node, values: &Values) -> Vec<f64> {
    let graph = inputs.graph;
    let (rows, width) = size(inputs, node);
    let of = |i: usize| &values[node.inputs[i].index()];
    let width_of = |value: Value| graph.shape(value).width;
    let each = |f: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        (0..rows).flat_map(|r| (0..width).map(move |c| (r, c))).map(|(r, c)| f(r, c)).collect()
    };
    match &node.op {
        Op::Input { slot } => inputs.dense[*slot].clone(),
        Op::Parameter { index } => inputs.params[*index].clone(),
        Op::Constant { data } => to_f64(data),
        Op::Linear(op) => linear::linear(op, inputs, node, values),
        Op::Activate(activation) => of(0).iter().map(|&x| activate(*activation, x)).collect(),
        Op::Affine { scale, offset } => of(0).iter().map(|x| f64::from(*scale) * x + f64::from(*offset)).collect(),
        Op::Binary(op) => each(&|r, c| {
            let [a, b] = [0, 1].map(|i| {
                let (value, own) = (node.inputs[i], width_of(node.inputs[i]));
                of(i)[beside(inputs, value, node.shape.rows, r) * own + if own == 1 { 0 } else { c }]
            });
            match op {
                Binary::Add => a + b,
                Binary::Sub => a - b,
                Binary::Mul => a * b,
                Binary::Div => a / b,
            }
        }),
        Op::Dropout { .. } => of(0).iter().zip(&inputs.dropped[index]).map(|(x, factor)| x * factor).collect(),
        Op::Concrete { temperature, .. } => match inputs.mode {
            Mode::Train { .. } => of(0)
                .iter()
                .zip(&inputs.dropped[index])
                .map(|(x, noise)| (x + noise) / f64::from(*temperature))
                .collect(),
            Mode::Infer => of(0).clone(),
        },
        Op::StopGradient | Op::Reshape => of(0).clone(),
        Op::Softmax { size, mask } => softmax(inputs, node, (*size, mask.as_deref()), of(0)),
        Op::Mixture { outputs, width: part } => each(&|r, c| {
            let gate = node.inputs[0];
            let gate_row = beside(inputs, gate, node.shape.rows, r) * width_of(gate);
            let (output, column) = (c / part, c % part);
            let before: usize = outputs[..output].iter().map(Vec::len).sum();
            let blocks = outputs[output].iter().enumerate();
            blocks
                .map(|(k, block)| {
                    let at = r * width_of(block.value) + block.index * part + column;
                    of(0)[gate_row + before + k] * values[block.value.index()][at]
                })
                .sum()
        }),
        Op::Select { blocks, width: part } => each(&|r, c| {
            let block = blocks[group_of(inputs, node.shape.rows, r)];
            values[block.value.index()][r * width_of(block.value) + block.index * part + c]
        }),
        Op::Concat => (0..rows)
            .flat_map(|r| {
                let parts = node.inputs.iter();
                parts.flat_map(move |&v| values[v.index()][r * width_of(v)..(r + 1) * width_of(v)].to_vec())
            })
            .collect(),
        Op::Slice { start } => each(&|r, c| of(0)[r * width_of(node.inputs[0]) + start + c]),
        Op::GatherRows { index } => each(&|r, c| of(0)[inputs.feed.indices[index.index()][r] as usize * width + c]),
        Op::ScatterRows { index } => each(&|r, c| {
            let rows = inputs.feed.indices[index.index()].iter().enumerate();
            rows.filter(|(_, to)| **to as usize == r).map(|(from, _)| of(0)[from * width + c]).sum()
        }),
        Op::RowsOfGroup => each(&|r, c| of(0)[group_of(inputs, Rows::Batch, r) * width + c]),
        Op::Reduce(reduction) => {
            let own = width_of(node.inputs[0]);
            let count = of(0).len() / own;
            let row = |r: usize| of(0)[r * own..(r + 1) * own].iter().sum::<f64>();
            let column = |c: usize| (0..count).map(|r| of(0)[r * own + c]).sum::<f64>();
            each(&|r, c| match reduction {
                Reduction::SumColumns => row(r),
                Reduction::MeanColumns => row(r) / own as f64,
                Reduction::SumRows => column(c),
                Reduction::MeanRows => column(c) / count.max(1) as f64,
            })
        }
        Op::LayerNorm { gain, bias, size } => norm::layer_norm((*gain, *bias, *size), inputs, node, values),
        Op::BatchNorm(op) => norm::batch_norm(op, inputs, node, values),
        Op::BceWithLogits => vec![
            (0..of(0).len())
                .map(|i| {
                    let (x, y, w) = (of(0)[i], of(1)[i], of(2)[i]);
                    if w == 0.0 { 0.0 } else { w * (x.max(0.0) - x * y + (-x.abs()).exp().ln_1p()) }
                })
                .sum(),
        ],
        Op::Nll => vec![
            (0..of(0).len())
                .map(|i| {
                    let (p, q, y, w) = (of(0)[i], of(1)[i], of(2)[i], of(3)[i]);
                    let term = |factor: f64, x: f64| if factor == 0.0 { 0.0 } else { factor * x };
                    -(term(w * y, p) + term(w * (1.0 - y), q))
                })
                .sum(),
        ],
    }
}

pub(crate) fn activate(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slope) => {
            if x > 0.0 {
                x
            } else {
                f64::from(slope) * x
            }
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Gelu => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Silu => x * sigmoid(x),
        Activation::LogSigmoid => sigmoid(x).ln(),
        Activation::Log1mExp => (-x.min(0.0).exp()).ln_1p(),
        Activation::Exp => x.exp(),
        Activation::Log => x.ln(),
        Activation::Step => f64::from(u8::from(x > 0.0)),
    }
}

fn softmax(inputs: &Inputs<'_>, node: &Node, (size, mask): (usize, Option<&[bool]>), x: &[f64]) -> Vec<f64> {
    let (rows, width) = self::size(inputs, node);
    let mut out = vec![0.0; x.len()];
    for row in 0..rows {
        let keep = |k: usize| match mask {
            None => true,
            Some(mask) if mask.len() == size => mask[k],
            Some(mask) => mask[group_of(inputs, node.shape.rows, row) * size + k],
        };
        for run in 0..width / size {
            let start = row * width + run * size;
            let total: f64 = (0..size).filter(|&k| keep(k)).map(|k| x[start + k].exp()).sum();
            for k in (0..size).filter(|&k| keep(k)) {
                out[start + k] = x[start + k].exp() / total;
            }
        }
    }
    out
}
