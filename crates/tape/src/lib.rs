//! Reverse-mode differentiation for ranking networks: a graph recorded once, run forward and backward for every batch.
//!
//! # Overview
//!
//! A [`Graph`] is a static list of operators over values. Layers record it once, with every shape checked while
//! recording. [`Params`] holds what it learns in one flat arena. A [`Tape`] runs it for training: [`Tape::forward`],
//! then [`Tape::backward`] into [`Gradients`], then a [`DenseOptimiser`] moves the parameters. An [`Evaluator`] runs
//! it for inference: it computes once what the batch cannot change, packs weights once, and skips what no output needs.
//!
//! Values are row-major `f32`. They have the rows of the batch, or a fixed number of rows. The rows of a batch are
//! sorted by *group* (scenario), and [`Feed::offsets`] says where each group lies; a value with one fixed row per group
//! meets every row of the batch with the row of its own group. Elementwise arithmetic also repeats fixed rows beside a
//! multiple of them. There are no other broadcasting rules.
//!
//! # Operators
//!
//! | recorded by | what it computes |
//! | --- | --- |
//! | [`Graph::linear`] | one matrix, many experts at once, routed by group; bias and activation |
//! | [`Graph::activate`] | ReLU, leaky ReLU, sigmoid, tanh, GELU, SiLU, log-sigmoid, log(1 - exp), exp, log |
//! | [`Graph::softmax`] | softmax over runs of columns, with a mask for all or per group |
//! | [`Graph::mixture`] | weighted sums of blocks of columns: a gate over experts |
//! | [`Graph::select`] | the block of the row's own group |
//! | [`Graph::concat`], [`Graph::slice`] | columns |
//! | [`Graph::gather_rows`], [`Graph::scatter_rows`], [`Graph::rows_of_group`] | rows |
//! | [`Graph::add`], [`Graph::sub`], [`Graph::mul`], [`Graph::div`], [`Graph::affine`] | elementwise arithmetic |
//! | [`Graph::sum_columns`], [`Graph::mean_columns`], [`Graph::sum_rows`], [`Graph::mean_rows`] | reductions |
//! | [`Graph::layer_norm`], [`Graph::batch_norm`] | normalisation; frozen or moving statistics, also per group |
//! | [`Graph::dropout`] | zeros by a named stream: the same for any number of threads |
//! | [`Graph::concrete`] | logistic noise of a named stream, over a temperature: gates that are drawn while training |
//! | [`Graph::stop_gradient`] | no gradient beyond |
//! | [`Graph::bce_with_logits`], [`Graph::nll`] | weighted, masked binary cross-entropies |
//!
//! # Promises
//!
//! - The same bits for the same parameters, batch and seed, whatever the number of threads.
//! - No allocation per step once the largest batch was seen (run the loop inside [`Tape::pool`] where there is one).
//! - No unsafe code: vector instructions come through `pulp`, chosen at run time.
//! - A shape that does not fit is a bug of the caller and panics with the operator and both shapes in its message.
//!
//! # Example
//!
//! ```
//! use hinet_tape::{
//!     DenseOptimiser, DenseOptimiserConfig, Feed, Gradients, Graph, Init, LinearOp, Mode, ParamSpec, Params, Scope, Tape,
//! };
//!
//! // Logistic regression over two columns, in one scenario.
//! let mut graph = Graph::new(1);
//! let x = graph.input("x", 2, false);
//! let targets = graph.input("targets", 1, false);
//! let weights = graph.input("weights", 1, false);
//! let weight = graph.parameter(ParamSpec {
//!     name: "weight".into(),
//!     dims: vec![2, 1],
//!     init: Init::Zeros,
//!     scope: Scope::Shared,
//!     trainable: true,
//! });
//! let logits = graph.linear(x, LinearOp::plain(weight));
//! let loss = graph.bce_with_logits(logits, targets, weights);
//!
//! let mut params = Params::new(graph.params(), |_name| 7);
//! let mut gradients = Gradients::new(&params);
//! let config = DenseOptimiserConfig { learning_rate: 0.1, ..DenseOptimiserConfig::default() };
//! let mut optimiser = DenseOptimiser::new(&config, &params)?;
//! let mut tape = Tape::new(graph, 1);
//!
//! let rows = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
//! let inputs = [&rows[..], &[1.0, 0.0, 1.0], &[1.0; 3]];
//! let feed = Feed { rows: 3, offsets: &[0, 3], inputs: &inputs, indices: &[] };
//! for step in 0..100 {
//!     tape.forward(&params, &feed, Mode::Train { seed: step });
//!     gradients.clear();
//!     tape.backward(&params, &feed, &[(loss, 1.0)], &mut gradients);
//!     optimiser.step(&mut params, &gradients, config.learning_rate);
//! }
//! assert!(tape.value(loss)[0] < 0.3 * 3.0 * std::f32::consts::LN_2);
//! # Ok::<(), hinet_tape::OptimiserError>(())
//! ```

mod buffer;
mod evaluator;
mod graph;
mod kernel;
mod op;
mod optimiser;
mod parallel;
mod parameter;
mod tape;
mod value;

pub use buffer::Buffer;
pub use evaluator::{Evaluator, Workspace};
pub use graph::{Activation, BatchNormOp, Binary, Graph, LinearOp, Node, Op, Reduction, Routing, Source, Statistics};
pub use kernel::instructions::{InstructionsError, instructions};
pub use optimiser::{
    AdamRowStep, DenseOptimiser, DenseOptimiserConfig, OptimiserError, OptimiserKind, RowStep, Schedule, ScheduleKind,
    ScheduleState, adagrad_row, adam_row, clip_global_norm, row_wise_adagrad_row, sgd_row,
};
pub use parameter::{Gradients, Init, ParamSpec, Params, Scope};
pub use tape::{Feed, Mode, Tape};
pub use value::{Block, IndexInput, Rows, Shape, Value};
