//! Reverse-mode differentiation for ranking networks: a graph recorded once, run forward and backward for every batch.

mod buffer;
mod graph;
mod kernel;
mod op;
mod parallel;
mod parameter;
mod tape;
mod value;

pub use graph::{
    Activation, BatchNormOp, Binary, Graph, LinearOp, Node, Op, Reduction, Routing, Source, Statistics,
};
pub use parameter::{Gradients, Init, ParamSpec, Params, Scope};
pub use tape::{Feed, Mode, Tape};
pub use value::{Block, IndexInput, Rows, Shape, Value};
