//! Normalisations.

use hinet_tape::{BatchNormOp, Node, Value};

use super::super::builder::{Name, float, int};
use super::Translation;

/// Added to the variance of a layer norm.
const EPSILON: f32 = 1e-5;

impl Translation<'_, '_> {
    /// Each run of `size` columns to mean 0 and variance 1; then gain and bias.
    pub(super) fn layer_norm(&mut self, node: &Node, (gain, bias): (bool, bool), size: usize) -> Name {
        let width = node.shape.width;
        let runs = width / size;
        let mut x = self.moving(node.inputs[0]);
        if runs > 1 {
            x = self.out.reshape(&x, &[0, runs, size]);
        }
        let ones = self.out.floats("ones", &[size], vec![1.0; size]);
        let attributes = vec![int("axis", -1), float("epsilon", EPSILON)];
        let mut y = self.out.op("LayerNormalization", &[&x, &ones], attributes);
        if runs > 1 {
            y = self.out.reshape(&y, &[0, width]);
        }
        let sides = [("Mul", gain.then_some(1)), ("Add", bias.then_some(1 + usize::from(gain)))];
        for (kind, place) in sides {
            let Some(place) = place else { continue };
            let side = self.side(node.inputs[place], width);
            y = self.out.op(kind, &[&y, &side], Vec::new());
        }
        y
    }

    /// By the saved statistics, as the plan does.
    pub(super) fn batch_norm(&mut self, node: &Node, op: BatchNormOp) -> Name {
        let width = node.shape.width;
        let x = self.moving(node.inputs[0]);
        let mean = self.beside(op.mean);
        let deviations = self.fixed(op.variance).into_iter().map(|variance| 1.0 / (variance + op.epsilon).sqrt());
        let deviations: Vec<f32> = deviations.collect();
        let rows = deviations.len() / width;
        let hint = format!("{}.inverse", self.hint(op.variance));
        let inverse = self.numbers(&hint, deviations, rows);
        let inverse = if rows > 1 { self.of_group(&inverse) } else { inverse };
        let centred = self.out.op("Sub", &[&x, &mean], Vec::new());
        let mut y = self.out.op("Mul", &[&centred, &inverse], Vec::new());
        for (kind, side) in [("Mul", op.gain), ("Add", op.bias)] {
            let Some(side) = side else { continue };
            let side = self.side(side, width);
            y = self.out.op(kind, &[&y, &side], Vec::new());
        }
        y
    }

    /// A gain or bias beside rows of `width` columns; one per column of a run is repeated.
    fn side(&mut self, value: Value, width: usize) -> Name {
        let shape = self.graph.shape(value);
        if shape.width == width {
            return self.beside(value);
        }
        let numbers = self.fixed(value);
        let wide = numbers.chunks_exact(shape.width).flat_map(|row| row.iter().copied().cycle().take(width));
        let (wide, hint) = (wide.collect::<Vec<f32>>(), self.hint(value));
        let rows = wide.len() / width;
        let table = self.numbers(&hint, wide, rows);
        if rows > 1 { self.of_group(&table) } else { table }
    }
}
