//! The counterfactual risk of ESCM2: what later steps of a funnel would lose if everybody took the steps before them.

use hinet_tape::{Activation, Graph, Value};

use super::auxiliary::sum;
use super::blocks;

/// The risk of the conditional probabilities along a funnel. In the paper's symbols, for a step from o to r:
///
/// ```text
/// IPW: mean of o delta / o^
/// DR:  mean of delta^ + o (delta - delta^) / o^ + o (delta - delta^)^2 / o^
/// ```
///
/// o is whether the step before was taken, o^ the probability that it is (the score of that task, at least `floor`, and
/// without gradient), delta the cross-entropy of the conditional probability with r, delta^ what the imputation tower takes it for.
#[derive(Clone, Debug)]
pub(crate) struct Counterfactual {
    /// Probabilities of tasks, `[batch, views * tasks]`.
    pub(crate) scores: Value,
    /// log p and log (1 - p) of heads, `[batch, views * heads]`.
    pub(crate) heads: (Value, Value),
    /// delta^, `[batch, views * steps]`; none for IPW.
    pub(crate) imputed: Option<Value>,
    pub(crate) steps: Vec<Step>,
    pub(crate) views: usize,
    /// The lowest probability that is divided by.
    pub(crate) floor: f32,
    /// Weight of the risk in the loss.
    pub(crate) weight: f32,
}

/// From one task of a funnel to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) before: usize,
    pub(crate) after: usize,
    /// The head that says how probable `after` is once there was `before`.
    pub(crate) head: usize,
}

impl Counterfactual {
    /// Records the risk. Each row counts in a step as in the loss of its later task; labels that were not observed are 0.
    ///
    /// # Shapes
    /// - `targets`, `weights`: `[batch, views * tasks]`
    /// - returns: `[1, 1]`
    pub(super) fn record(&self, graph: &mut Graph, targets: Value, weights: Value) -> Value {
        let (log_p, log_not_p) = self.heads;
        let o = self.columns(graph, targets, |step| step.before);
        let r = self.columns(graph, targets, |step| step.after);
        let weights = self.columns(graph, weights, |step| step.after);
        let log_p = self.columns(graph, log_p, |step| step.head);
        let log_not_p = self.columns(graph, log_not_p, |step| step.head);
        let inverse = {
            let taken = graph.mul(weights, o);
            let propensity = self.propensity(graph);
            graph.div(taken, propensity)
        };
        let Some(imputed) = self.imputed else {
            let risk = graph.nll(log_p, log_not_p, r, inverse);
            return graph.affine(risk, self.weight, 0.0);
        };
        let delta = {
            let positive = graph.mul(r, log_p);
            let not_r = graph.affine(r, -1.0, 1.0);
            let negative = graph.mul(not_r, log_not_p);
            let log = graph.add(positive, negative);
            graph.affine(log, -1.0, 0.0)
        };
        let error = graph.sub(delta, imputed);
        let square = graph.mul(error, error);
        let seen = graph.add(error, square);
        let seen = graph.mul(inverse, seen);
        let everywhere = graph.mul(weights, imputed);
        let risk = graph.add(everywhere, seen);
        let risk = sum(graph, risk);
        graph.affine(risk, self.weight, 0.0)
    }

    /// o^ of every step, `[batch, views * steps]`.
    fn propensity(&self, graph: &mut Graph) -> Value {
        let scores = graph.stop_gradient(self.scores);
        let scores = self.columns(graph, scores, |step| step.before);
        let above = graph.affine(scores, 1.0, -self.floor);
        let above = graph.activate(above, Activation::Relu);
        graph.affine(above, 1.0, self.floor)
    }

    /// One column of each step, `[batch, views * steps]`.
    fn columns(&self, graph: &mut Graph, value: Value, of: impl Fn(&Step) -> usize) -> Value {
        let width = graph.shape(value).width / self.views;
        let columns = (0..self.views).flat_map(|view| self.steps.iter().map(move |step| (view, step)));
        let outputs: Vec<_> = columns.map(|(view, step)| blocks(value, [view * width + of(step)])).collect();
        let ones = graph.constant(1, outputs.len(), vec![1.0; outputs.len()]);
        graph.mixture(ones, outputs, 1)
    }
}
