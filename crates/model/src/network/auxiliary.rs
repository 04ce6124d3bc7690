//! What layers add to the loss beside the cross-entropies of the tasks.

use hinet_tape::{Graph, Value};

use super::Counterfactual;

/// A term that a layer adds to the loss. It is recorded with the loss, when targets and weights are known.
#[derive(Clone, Debug)]
pub(crate) enum Auxiliary {
    /// The same whatever the rows are, `[1, 1]`.
    Always(Value),
    /// A penalty beside each score, `[batch, columns]`. It counts with the weights of the loss: what the loss masks is
    /// masked, and the weights make a mean over the batch of it.
    PerScore(Value),
    /// A risk that looks at the labels (ESCM2).
    Counterfactual(Counterfactual),
}

impl Auxiliary {
    /// Records the term.
    ///
    /// # Shapes
    /// - `targets`, `weights`: `[batch, columns]`
    /// - returns: `[1, 1]`
    pub(super) fn record(&self, graph: &mut Graph, targets: Value, weights: Value) -> Value {
        match self {
            Auxiliary::Always(value) => *value,
            Auxiliary::PerScore(penalty) => {
                let weighted = graph.mul(*penalty, weights);
                sum(graph, weighted)
            }
            Auxiliary::Counterfactual(risk) => risk.record(graph, targets, weights),
        }
    }
}

/// Sum of all elements, `[1, 1]`.
pub(super) fn sum(graph: &mut Graph, value: Value) -> Value {
    let columns = graph.sum_rows(value);
    graph.sum_columns(columns)
}
