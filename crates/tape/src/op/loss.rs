//! Weighted binary cross-entropies, summed in double precision in the order of the rows.

use super::{Context, Output, Sink};
use crate::graph::Node;
use crate::kernel::math::{log1p_exp_neg_abs, sigmoid};

/// `sum of w * (max(x, 0) - x * y + log(1 + exp(-|x|)))`.
pub(super) fn bce(node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let [logits, targets, weights] = [0, 1, 2].map(|i| context.view(node.inputs[i]));
    let mut total = 0.0_f64;
    for ((&x, &y), &w) in logits.iter().zip(targets).zip(weights) {
        if w != 0.0 {
            total += f64::from(w) * f64::from(x.max(0.0) - x * y + log1p_exp_neg_abs(x));
        }
    }
    out[0] = total as f32;
}

/// `dx = w * (sigmoid(x) - y)`.
pub(super) fn bce_back((node, context): (&Node, &Context<'_>), output: Output<'_>, sink: &mut Sink<'_>) {
    let [logits, targets, weights] = [0, 1, 2].map(|i| context.view(node.inputs[i]));
    let gradient = output.gradient[0];
    let Some(target) = sink.added(node.inputs[0]) else { return };
    for (((target, &x), &y), &w) in target.iter_mut().zip(logits).zip(targets).zip(weights) {
        if w != 0.0 {
            *target += gradient * w * (sigmoid(x) - y);
        }
    }
}

/// `-sum of w * (y * log p + (1 - y) * log(1 - p))`.
pub(super) fn nll(node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let [log_p, log_not_p, targets, weights] = [0, 1, 2, 3].map(|i| context.view(node.inputs[i]));
    let mut total = 0.0_f64;
    for (((&p, &q), &y), &w) in log_p.iter().zip(log_not_p).zip(targets).zip(weights) {
        total -= f64::from(times(w * y, p)) + f64::from(times(w * (1.0 - y), q));
    }
    out[0] = total as f32;
}

/// `d log p = -w * y`, `d log(1 - p) = -w * (1 - y)`.
pub(super) fn nll_back((node, context): (&Node, &Context<'_>), output: Output<'_>, sink: &mut Sink<'_>) {
    let [targets, weights] = [2, 3].map(|i| context.view(node.inputs[i]));
    let gradient = output.gradient[0];
    for (input, share) in [(0, (|y| y) as fn(f32) -> f32), (1, |y| 1.0 - y)] {
        if let Some(target) = sink.added(node.inputs[input]) {
            for ((target, &y), &w) in target.iter_mut().zip(targets).zip(weights) {
                *target -= gradient * w * share(y);
            }
        }
    }
}

/// A product where a zero factor gives zero, even beside an infinity.
fn times(factor: f32, x: f32) -> f32 {
    if factor == 0.0 { 0.0 } else { factor * x }
}
