//! Gate NU, the gate of PEPNet (Chang et al., KDD 2023), as far as both of its halves share it.

use hinet_tape::{Activation, Value};

use super::{Bank, Layer, Reads, Recorder};

/// The paper's gamma: what the sigmoid is multiplied by, so that a gate that knows nothing lets everything through as it is.
const GAMMA: f32 = 2.0;

impl Recorder<'_> {
    /// `gamma * sigmoid(h W' + b')` for every network of a bank, the second half of a Gate NU over its hidden layer h: factors
    /// between 0 and 2, about 1 at first.
    ///
    /// # Shapes
    /// - `hidden`: `[batch, ..]`, as `reads` says
    /// - returns: `[batch, owners * factors]`, the owners being those that the bank's routing leaves
    pub(crate) fn gate_nu(
        &mut self,
        (bank, layer): (&Bank<'_>, &str),
        (hidden, reads): (Value, Reads),
        factors: usize,
    ) -> Value {
        let out = Layer { outer: factors, bias: true, activation: Activation::Sigmoid };
        let open = self.linear(bank, layer, hidden, (reads, out));
        self.graph.affine(open, GAMMA, 0.0)
    }
}
