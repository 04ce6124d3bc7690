//! The operators a graph can hold, with their settings.

use crate::value::{Block, IndexInput, Value};

/// One operator. The values it reads are in [`Node::inputs`](crate::Node::inputs); the order is given here.
#[derive(Clone, Debug)]
pub enum Op {
    /// Dense input number `slot`.
    Input {
        /// Position in `Feed::inputs`.
        slot: usize,
    },
    /// Parameter number `index`.
    Parameter {
        /// Position in `Graph::params`.
        index: usize,
    },
    /// Numbers that never change.
    Constant {
        /// Row-major elements.
        data: Vec<f32>,
    },
    /// Products with one or many weights. Inputs: x, weight, then bias if any.
    Linear(LinearOp),
    /// Elementwise function. Inputs: x.
    Activate(Activation),
    /// Softmax over runs of columns. Inputs: x.
    Softmax {
        /// Columns of one run.
        size: usize,
        /// True keeps a column; `size` flags for all rows, or `groups * size`.
        mask: Option<Vec<bool>>,
    },
    /// Weighted sums of blocks. Inputs: gate, then each distinct value of the blocks, in order of first use.
    Mixture {
        /// The blocks of each output; the gate has one column per block, in this order.
        outputs: Vec<Vec<Block>>,
        /// Columns of one block and of one output.
        width: usize,
    },
    /// The block of the row's own group. Inputs: each distinct value of the blocks, in order of first use.
    Select {
        /// One block per group.
        blocks: Vec<Block>,
        /// Columns of one block.
        width: usize,
    },
    /// Columns side by side. Inputs: the values.
    Concat,
    /// A run of columns. Inputs: x.
    Slice {
        /// First column.
        start: usize,
    },
    /// Row `index[r]` of a table for each row `r`. Inputs: the table.
    GatherRows {
        /// Which row.
        index: IndexInput,
    },
    /// Adds each row of x to row `index[r]` of the result. Inputs: x.
    ScatterRows {
        /// Which row.
        index: IndexInput,
    },
    /// The row of the row's own group. Inputs: a table of one row per group.
    RowsOfGroup,
    /// The same elements in rows of another width. Inputs: x, of fixed rows.
    Reshape,
    /// Elementwise arithmetic with broadcasting. Inputs: a, b.
    Binary(Binary),
    /// `scale * x + offset`. Inputs: x.
    Affine {
        /// Factor.
        scale: f32,
        /// Added after the factor.
        offset: f32,
    },
    /// Sums or means along rows or columns. Inputs: x.
    Reduce(Reduction),
    /// Normalisation of runs of columns of each row. Inputs: x, then gain and bias where present.
    LayerNorm {
        /// Whether a gain is among the inputs.
        gain: bool,
        /// Whether a bias is among the inputs.
        bias: bool,
        /// Columns of one run.
        size: usize,
    },
    /// Normalisation of columns. Inputs: x, mean, variance, then gain and bias where present.
    BatchNorm(BatchNormOp),
    /// Zeros a share of the elements while training. Inputs: x.
    Dropout {
        /// Share that is zeroed, below 1.
        rate: f32,
        /// Name of the stream of random numbers.
        name: String,
    },
    /// Adds logistic noise and divides by a temperature while training. Inputs: x.
    Concrete {
        /// What the noisy numbers are divided by.
        temperature: f32,
        /// Name of the stream of random numbers.
        name: String,
    },
    /// The same numbers, without gradient. Inputs: x.
    StopGradient,
    /// Weighted sum of binary cross-entropies from logits. Inputs: logits, targets, weights.
    BceWithLogits,
    /// Weighted sum of binary cross-entropies from log probabilities. Inputs: log p, log (1 - p), targets, weights.
    Nll,
}

/// Settings of [`Graph::linear`](crate::Graph::linear).
///
/// The weight has dims `[groups, experts, in, out]`, the bias `[groups, experts, out]`; block
/// `b = group * experts + expert` is one matrix `[in, out]`. `groups = experts = 1` is a plain linear layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearOp {
    /// Any value with `groups * experts * in` fixed rows and `out` columns.
    pub weight: Value,
    /// Any fixed value with `groups * experts * out` elements.
    pub bias: Option<Value>,
    /// 1, or the groups of the graph.
    pub groups: usize,
    /// Blocks per group.
    pub experts: usize,
    /// What each block reads.
    pub source: Source,
    /// Which blocks each row goes through.
    pub routing: Routing,
    /// Applied to the result.
    pub activation: Activation,
}

impl LinearOp {
    /// One matrix, no bias, no activation.
    #[must_use]
    pub fn plain(weight: Value) -> LinearOp {
        LinearOp {
            weight,
            bias: None,
            groups: 1,
            experts: 1,
            source: Source::Shared,
            routing: Routing::All,
            activation: Activation::Identity,
        }
    }
}

/// What each block of a linear operator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// All of x, which is `in` wide.
    Shared,
    /// Its own `in` columns of x, in the order of the blocks a row goes through.
    PerExpert,
    /// Each of this many runs of x, `in` wide, in turn: the one block that a row goes through makes as many results side by
    /// side, such as one for each item of a list. Goes with one expert, and with one group or rows of their own group.
    EachRun(usize),
}

/// Which blocks of a linear operator a row goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Those of its own group; the result is `experts * out` wide.
    Own,
    /// Those of all groups; the result is `groups * experts * out` wide.
    All,
}

/// Elementwise functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x
    Identity,
    /// max(x, 0); the derivative at 0 is 0.
    Relu,
    /// x where positive, else this slope times x.
    LeakyRelu(f32),
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// x times the normal distribution function, in its usual tanh form.
    Gelu,
    /// x times sigmoid(x)
    Silu,
    /// log(sigmoid(x)), exact for large |x|.
    LogSigmoid,
    /// log(1 - exp(x)) for x <= 0: log (1 - p) from log p. Positive x count as 0.
    Log1mExp,
    /// exp(x)
    Exp,
    /// Natural logarithm; minus infinity at 0.
    Log,
    /// 1 where x is above 0, else 0; the derivative is 0 everywhere.
    Step,
}

/// Elementwise arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a / b
    Div,
}

/// Sums and means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// `[rows, 1]`
    SumColumns,
    /// `[rows, 1]`
    MeanColumns,
    /// `[1, width]`
    SumRows,
    /// `[1, width]`; zeros where there is no row.
    MeanRows,
}

/// Settings of [`Graph::batch_norm`](crate::Graph::batch_norm).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormOp {
    /// Factor after normalising: `[1, width]` or one row per group.
    pub gain: Option<Value>,
    /// Added after the factor: `[1, width]` or one row per group.
    pub bias: Option<Value>,
    /// Saved mean, a parameter that is not trainable: `[1, width]`, or one row per group when `per_group`.
    pub mean: Value,
    /// Saved variance, shaped as the mean.
    pub variance: Value,
    /// Which statistics normalise.
    pub statistics: Statistics,
    /// Statistics of each group's own rows, instead of those of the whole batch.
    pub per_group: bool,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Which statistics a batch norm uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistics {
    /// The saved ones, always; they never move.
    Frozen,
    /// Those of the batch while training, the saved ones in inference. The saved ones then move:
    /// `saved = (1 - momentum) * saved + momentum * batch` (with the unbiased variance). A batch, or a group, of
    /// fewer than two rows uses the saved ones and moves nothing.
    Moving {
        /// Weight of the new batch.
        momentum: f32,
    },
}
