//! Normalisations as plain loops.

use hinet_tape::{BatchNormOp, Mode, Node, Rows, Statistics, Value};

use super::{Inputs, Values, beside, group_of};

pub(crate) fn layer_norm(
    (gain, bias, size): (bool, bool, usize),
    inputs: &Inputs<'_>,
    node: &Node,
    values: &Values,
) -> Vec<f64> {
    let x = &values[node.inputs[0].index()];
    let width = node.shape.width;
    let mut sides = node.inputs[1..].iter().copied();
    let gain = if gain { sides.next() } else { None };
    let bias = if bias { sides.next() } else { None };
    let side = |value: Option<Value>, row: usize, column: usize, otherwise: f64| {
        let Some(value) = value else { return otherwise };
        let own = inputs.graph.shape(value).width;
        let column = if own == width { column } else { column % size };
        values[value.index()][beside(inputs, value, node.shape.rows, row) * own + column]
    };
    let mut out = Vec::new();
    for (at, _) in x.iter().enumerate() {
        let (row, column) = (at / width, at % width);
        let start = row * width + column / size * size;
        let run = &x[start..start + size];
        let mean = run.iter().sum::<f64>() / size as f64;
        let variance = run.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / size as f64;
        let h = (x[at] - mean) / (variance + 1e-5).sqrt();
        out.push(h * side(gain, row, column, 1.0) + side(bias, row, column, 0.0));
    }
    out
}

pub(crate) fn batch_norm(op: &BatchNormOp, inputs: &Inputs<'_>, node: &Node, values: &Values) -> Vec<f64> {
    let x = &values[node.inputs[0].index()];
    let width = node.shape.width;
    let rows = inputs.feed.rows;
    let group = |row: usize| if op.per_group { group_of(inputs, Rows::Batch, row) } else { 0 };
    let moving = matches!((op.statistics, inputs.mode), (Statistics::Moving { .. }, Mode::Train { .. }));
    let side = |value: Option<Value>, row: usize, column: usize, otherwise: f64| {
        value.map_or(otherwise, |value| values[value.index()][beside(inputs, value, Rows::Batch, row) * width + column])
    };
    let mut out = Vec::new();
    for (at, _) in x.iter().enumerate() {
        let (row, column) = (at / width, at % width);
        let mates: Vec<f64> = (0..rows).filter(|&r| group(r) == group(row)).map(|r| x[r * width + column]).collect();
        let (mean, variance) = if moving && mates.len() >= 2 {
            let mean = mates.iter().sum::<f64>() / mates.len() as f64;
            (mean, mates.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / mates.len() as f64)
        } else {
            let saved = group(row) * width + column;
            (values[op.mean.index()][saved], values[op.variance.index()][saved])
        };
        let h = (x[at] - mean) / (variance + f64::from(op.epsilon)).sqrt();
        out.push(h * side(op.gain, row, column, 1.0) + side(op.bias, row, column, 0.0));
    }
    out
}
