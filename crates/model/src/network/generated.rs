//! Layers whose weights another layer makes out of what is known of the scenario (M2M, APG): made once per batch and folded
//! into the plan, not once per row.

use hinet_tape::{Activation, LinearOp, Routing, Rows, Source, Value};

use super::{Bank, Layer, Owner, Reads, Recorder, blocks};

impl Recorder<'_> {
    /// A layer that reads `inner` columns, with `W(s) = reshape(V_w s + c_w)` and, where asked, `b(s) = V_b s + c_b`. V_w and
    /// c_w are `<name>.weight.weight` and `<name>.weight.bias`; V_b and c_b `<name>.bias.weight` and `<name>.bias.bias`.
    ///
    /// # Shapes
    /// - `known`: what is known of scenarios, `[groups, width]` or `[1, width]`
    pub(crate) fn generated(&mut self, name: &str, known: Value, (inner, layer): (usize, Layer)) -> LinearOp {
        let Rows::Fixed(groups) = self.graph.shape(known).rows else {
            unreachable!("what is known of scenarios does not depend on the batch")
        };
        let bank = Bank::one(name, Owner::Everyone);
        let make = |outer: usize| (Reads::Everything, Layer { outer, bias: true, activation: Activation::Identity });
        let weight = self.linear(&bank, "weight", known, make(inner * layer.outer));
        let weight = self.graph.reshape(weight, layer.outer);
        let bias = layer.bias.then(|| self.linear(&bank, "bias", known, make(layer.outer)));
        let (source, routing) = (Source::Shared, Routing::Own);
        LinearOp { weight, bias, groups, experts: 1, source, routing, activation: layer.activation }
    }

    /// Each row times a matrix of its own: `out[r, j] = sum over i of h[r, i] * matrices[r, i * width + j]`.
    ///
    /// # Shapes
    /// - `h`: `[batch, inner]`
    /// - `matrices`: `[batch, inner * width]`
    /// - returns: `[batch, width]`
    pub(crate) fn rows_times(&mut self, h: Value, matrices: Value) -> Value {
        let inner = self.width(h);
        let width = self.width(matrices) / inner;
        self.graph.mixture(h, vec![blocks(matrices, 0..inner)], width)
    }
}
