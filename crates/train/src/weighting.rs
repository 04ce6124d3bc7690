//! How the losses of several objectives become one step: `[train.weighting]`.
//!
//! An objective is a task, a scenario, or a cell ([`Objectives`]). Its loss `L_k` is the part of the loss that its rows and
//! heads make, with the weights of scenarios, tasks and rows in it: without weighting, a step goes down the gradient of
//! `L_1 + ... + L_K`. Every kind here puts other factors before them, with a mean of 1 over the objectives (PCGrad: above
//! 0), so that a learning rate found without weighting stays of the right size.
//!
//! | kind | looks at | file |
//! | --- | --- | --- |
//! | uncertainty, DWA, FAMO | the losses | `balance` |
//! | GradNorm | losses and the norms of gradients | `balance` |
//! | PCGrad, CAGrad, MGDA | the angles between gradients | `surgery` |
//!
//! What looks at gradients looks at those of what the objectives share: the dense parameters that none of them owns, and
//! the embedding tables ([`SharedParts`]). All of these methods make a combination `sum_k c_k g_k` of the objectives' own
//! gradients, and the products `<g_i, g_j>` alone decide the `c_k`; so gradients are taken once, and combined once. What an
//! objective owns goes down its own gradient.

mod balance;
mod config;
mod gradients;
mod objectives;
mod simplex;
mod surgery;
mod weigher;
mod weighted;

pub use config::{Objectives, WeightingConfig, WeightingKind};
use gradients::ObjectiveGradients;
use objectives::ObjectiveMap;
use weigher::Weigher;
pub(crate) use weigher::WeigherState;
pub(crate) use weighted::{Forwarded, Weighted, backward};

/// What is known of the objectives after a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// `L_k`, before the factors; `None` where the batch has no observed label of the objective.
    losses: Vec<Option<f64>>,
    /// `<g_i, g_j>` over what the objectives share, `[objectives, objectives]`; empty for a kind that does not ask.
    products: Vec<f64>,
}
