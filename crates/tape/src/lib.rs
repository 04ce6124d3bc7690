//! Reverse-mode differentiation for ranking networks: a graph recorded once, run forward and backward for every batch.

mod buffer;
mod graph;
mod kernel;
mod op;
mod optimiser;
mod parallel;
mod parameter;
mod tape;
mod value;

pub use graph::{
    Activation, BatchNormOp, Binary, Graph, LinearOp, Node, Op, Reduction, Routing, Source, Statistics,
};
pub use optimiser::{
    AdamRowStep, DenseOptimiser, DenseOptimiserConfig, OptimiserError, OptimiserKind, RowStep, Schedule, ScheduleKind,
    ScheduleState, adagrad_row, adam_row, clip_global_norm, row_wise_adagrad_row, sgd_row,
};
pub use parameter::{Gradients, Init, ParamSpec, Params, Scope};
pub use tape::{Feed, Mode, Tape};
pub use value::{Block, IndexInput, Rows, Shape, Value};
