//! One row of an embedding table against its gradient. Tables update only the rows a batch touched, so an L2 pull
//! (`l2 * row`, added to the gradient) reaches only those too.

use crate::kernel::{dot, vectorised};

/// Numbers of one step, the same for every row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowStep {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Strength of the pull towards zero.
    pub l2: f32,
    /// Added to the root of the squares (not used by plain descent).
    pub epsilon: f32,
}

/// Numbers of one step of lazy Adam, the same for every row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamRowStep {
    /// Learning rate, pull and epsilon.
    pub step: RowStep,
    /// Memory of the mean gradient.
    pub beta1: f32,
    /// Memory of the mean square.
    pub beta2: f32,
    /// `1 - beta1^t`, with the steps t of the whole table.
    pub correction1: f32,
    /// `1 - beta2^t`.
    pub correction2: f32,
}

impl AdamRowStep {
    /// The numbers of step `t`, counted from 1.
    #[must_use]
    pub fn new(step: RowStep, beta1: f32, beta2: f32, t: u64) -> AdamRowStep {
        let correction = |beta: f32| (1.0 - f64::from(beta).powf(t as f64)) as f32;
        AdamRowStep { step, beta1, beta2, correction1: correction(beta1), correction2: correction(beta2) }
    }
}

vectorised! {
    /// Gradient descent: `row -= rate * g`.
    pub fn sgd_row<'a>(step: &'a RowStep, row: &'a mut [f32], gradient: &'a [f32]) {
        for (p, g) in row.iter_mut().zip(gradient) {
            *p -= step.learning_rate * (g + step.l2 * *p);
        }
    }
}

vectorised! {
    /// Adagrad: `squares += g^2; row -= rate * g / (sqrt(squares) + epsilon)`, all as wide as the row.
    pub fn adagrad_row<'a>(step: &'a RowStep, row: &'a mut [f32], squares: &'a mut [f32], gradient: &'a [f32]) {
        for ((p, g), squares) in row.iter_mut().zip(gradient).zip(squares) {
            let g = g + step.l2 * *p;
            *squares += g * g;
            *p -= step.learning_rate * g / (squares.sqrt() + step.epsilon);
        }
    }
}

vectorised! {
    /// Row-wise Adagrad: one sum per row, of the mean square of its gradient.
    pub fn row_wise_adagrad_row<'a>(step: &'a RowStep, row: &'a mut [f32], squares: &'a mut f32, gradient: &'a [f32]) {
        let width = row.len().max(1) as f32;
        let mixed = dot(gradient, gradient) + 2.0 * step.l2 * dot(gradient, row) + step.l2 * step.l2 * dot(row, row);
        *squares += mixed.max(0.0) / width;
        let rate = step.learning_rate / (squares.sqrt() + step.epsilon);
        for (p, g) in row.iter_mut().zip(gradient) {
            *p -= rate * (g + step.l2 * *p);
        }
    }
}

vectorised! {
    /// Lazy Adam: Adam on the rows a batch touched; the others keep their state as it is.
    pub fn adam_row<'a>(step: &'a AdamRowStep, row: &'a mut [f32], state: (&'a mut [f32], &'a mut [f32]), gradient: &'a [f32]) {
        let AdamRowStep { step: RowStep { learning_rate, l2, epsilon }, beta1, beta2, correction1, correction2 } = *step;
        let (rate, root) = (learning_rate / correction1, 1.0 / correction2.sqrt());
        for (((p, g), mean), square) in row.iter_mut().zip(gradient).zip(state.0).zip(state.1) {
            let g = g + l2 * *p;
            *mean = beta1 * *mean + (1.0 - beta1) * g;
            *square = beta2 * *square + (1.0 - beta2) * g * g;
            *p -= rate * *mean / (square.sqrt() * root + epsilon);
        }
    }
}
