//! Recording of losses.

use super::{Graph, Op};
use crate::value::{Rows, Value};

impl Graph {
    /// Sum over all elements of `weight * cross_entropy(target, sigmoid(logit))`, `[1, 1]`. An element of weight 0 is
    /// masked: it adds exactly 0 and gets no gradient, whatever its logit and target. No gradient flows to targets
    /// and weights.
    pub fn bce_with_logits(&mut self, logits: Value, targets: Value, weights: Value) -> Value {
        self.loss("bce_with_logits", Op::BceWithLogits, vec![logits, targets, weights])
    }

    /// Sum over all elements of `-weight * (target * log_p + (1 - target) * log_not_p)`, `[1, 1]`. A factor of zero
    /// gives exactly 0, even beside minus infinity. No gradient flows to targets and weights.
    pub fn nll(&mut self, log_p: Value, log_not_p: Value, targets: Value, weights: Value) -> Value {
        self.loss("nll", Op::Nll, vec![log_p, log_not_p, targets, weights])
    }

    fn loss(&mut self, name: &str, op: Op, inputs: Vec<Value>) -> Value {
        let first = self.shape(inputs[0]);
        for &input in &inputs {
            let shape = self.shape(input);
            assert_eq!(first, shape, "{name}: shapes differ: {first} and {shape}");
        }
        self.push(op, inputs, Rows::Fixed(1), 1)
    }
}
