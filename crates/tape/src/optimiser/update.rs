//! The arithmetic of each rule: one pass over parameters, gradients and state.

use crate::kernel::vectorised;

/// One step's rule with its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    Sgd {
        learning_rate: f32,
        decay: f32,
        momentum: f32,
    },
    /// `rate` is the learning rate over the first bias correction, `root` 1 over the root of the second.
    Adam {
        rate: f32,
        root: f32,
        beta1: f32,
        beta2: f32,
        epsilon: f32,
        decay: f32,
        keep: f32,
    },
    Adagrad {
        learning_rate: f32,
        decay: f32,
        epsilon: f32,
    },
    Rmsprop {
        learning_rate: f32,
        decay: f32,
        momentum: f32,
        rho: f32,
        epsilon: f32,
    },
    Ftrl {
        learning_rate: f32,
        beta: f32,
        l1: f32,
        l2: f32,
    },
}

vectorised! {
    /// Applies a rule. State that a rule does not keep is empty.
    pub(super) fn update<'a>(
        rule: &'a Rule,
        gradients: &'a [f32],
        values: &'a mut [f32],
        state: (&'a mut [f32], &'a mut [f32]),
    ) {
        let (first, second) = state;
        let pairs = values.iter_mut().zip(gradients);
        match *rule {
            Rule::Sgd { learning_rate, decay, momentum } => {
                if first.is_empty() {
                    pairs.for_each(|(p, g)| *p -= learning_rate * (g + decay * *p));
                } else {
                    for ((p, g), moved) in pairs.zip(first) {
                        *moved = momentum * *moved + (g + decay * *p);
                        *p -= learning_rate * *moved;
                    }
                }
            }
            Rule::Adam { rate, root, beta1, beta2, epsilon, decay, keep } => {
                for (((p, g), mean), square) in pairs.zip(first).zip(second) {
                    let g = g + decay * *p;
                    *mean = beta1 * *mean + (1.0 - beta1) * g;
                    *square = beta2 * *square + (1.0 - beta2) * g * g;
                    *p = keep * *p - rate * *mean / (square.sqrt() * root + epsilon);
                }
            }
            Rule::Adagrad { learning_rate, decay, epsilon } => {
                for ((p, g), squares) in pairs.zip(first) {
                    let g = g + decay * *p;
                    *squares += g * g;
                    *p -= learning_rate * g / (squares.sqrt() + epsilon);
                }
            }
            Rule::Rmsprop { learning_rate, decay, momentum, rho, epsilon } => {
                let root = |square: &mut f32, g: f32| {
                    *square = rho * *square + (1.0 - rho) * g * g;
                    g / (square.sqrt() + epsilon)
                };
                if second.is_empty() {
                    for ((p, g), square) in pairs.zip(first) {
                        *p -= learning_rate * root(square, g + decay * *p);
                    }
                } else {
                    for (((p, g), square), moved) in pairs.zip(first).zip(second) {
                        *moved = momentum * *moved + root(square, g + decay * *p);
                        *p -= learning_rate * *moved;
                    }
                }
            }
            Rule::Ftrl { learning_rate, beta, l1, l2 } => {
                for (((p, g), squares), linear) in pairs.zip(first).zip(second) {
                    let more = *squares + g * g;
                    *linear += g - (more.sqrt() - squares.sqrt()) / learning_rate * *p;
                    *squares = more;
                    let scale = (beta + more.sqrt()) / learning_rate + l2;
                    let shrunk = linear.abs() - l1;
                    *p = if shrunk > 0.0 { -shrunk.copysign(*linear) / scale } else { 0.0 };
                }
            }
        }
    }
}

/// Sets FTRL's linear state so that the first step starts from the parameters as they are.
pub(super) fn ftrl_start(rule: &Rule, values: &[f32], squares: &[f32], linear: &mut [f32]) {
    if let Rule::Ftrl { learning_rate, beta, l1, l2 } = *rule {
        for ((linear, p), squares) in linear.iter_mut().zip(values).zip(squares) {
            let scale = (beta + squares.sqrt()) / learning_rate + l2;
            *linear = if *p == 0.0 { 0.0 } else { -p * scale - l1.copysign(*p) };
        }
    }
}
