//! Inference for requests: one user, many items.

use hinet_data::Batch;

use super::{Input, Job, Plan, PlanWorkspace, Tables};
use crate::config::bad;
use crate::{Embeddings, Model, ModelError};

/// A model made ready to score many items for one user: what the items of a request have in common is computed once.
///
/// The first layers that read the dense input x, `[items, width]`, make `x W + b` of it. Its columns are those of the user
/// and those of the item: `x W + b = x_item W_item + (x_user W_user + b)`. The term in brackets, one row, is computed once,
/// and each item's product starts from it. That goes for experts, gates and first-order terms of numbers, and through norms
/// that take each column by itself. A layer norm mixes columns: behind it all is computed for each item, as
/// [`Plan::score`] does, and [`RequestPlan::spared_per_item`] is 0. Scores are those of a [`Plan`] within rounding.
///
/// All items of a request are of the user's scenario.
#[derive(Debug)]
pub struct RequestPlan<'a> {
    plan: Plan<'a>,
    /// For each feature, whether it is the user's.
    user: Vec<bool>,
}

/// A user and items.
pub(super) struct Request<'b> {
    user: &'b Batch,
    items: &'b Batch,
    /// For each feature, whether it is the user's.
    of_user: &'b [bool],
}

impl<'a> RequestPlan<'a> {
    pub(super) fn new(model: &Model, tables: Tables<'a>, names: &[&str]) -> Result<RequestPlan<'a>, ModelError> {
        let features: Vec<&str> = model.layout.slots.iter().map(|slot| slot.feature()).collect();
        if let Some(name) = names.iter().find(|name| !features.contains(name)) {
            return Err(bad("user_features", *name, format!("one of {}", features.join(", "))));
        }
        let user: Vec<bool> = features.iter().map(|feature| names.contains(feature)).collect();
        let common = model.embeddings.columns_of(|feature| user[feature]);
        let plan = Plan::assemble(model, tables, Some(&common));
        Ok(RequestPlan { plan, user })
    }

    /// Scores the items for a user: probabilities, `[items, tasks]`, in the order of `items`.
    ///
    /// Of `user`, one row, the user's features and the scenario are read; of `items` only the other features. Both come from
    /// the encoder of the model. Runs on the threads of the pool it is called in.
    ///
    /// # Panics
    /// If `user` is not one row, or a batch comes from another encoder: bugs of the caller.
    pub fn score(&self, workspace: &mut PlanWorkspace, user: &Batch, items: &Batch, out: &mut Vec<f32>) {
        assert_eq!(user.rows, 1, "score: a request has one user");
        out.resize(items.rows * self.plan.tasks, 0.0);
        let request = &Request { user, items, of_user: &self.user };
        let scenario = user.scenario[0];
        if usize::from(scenario) < self.plan.scenarios {
            let input = Input::Items(request, Some(scenario));
            self.plan.score_part(workspace, Job { part: &self.plan.own, input, first: 0, corrects: true }, out);
        } else {
            self.plan.score_unknown(workspace, |scenario| Input::Items(request, scenario), 0, out);
        }
    }

    /// Multiply-adds that each item is spared. 0: nothing that the user's features say can be computed once, and a request
    /// costs what a batch of as many rows does.
    #[must_use]
    pub fn spared_per_item(&self) -> usize {
        self.plan.own.evaluator.spared()
    }

    /// Tasks: columns of the scores.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.plan.tasks
    }
}

impl Request<'_> {
    /// Looks up the user's columns of a row of x; the others stay as they are.
    pub(super) fn gather_user(&self, embeddings: &Embeddings, as_if: Option<u16>, row: &mut [f32]) {
        embeddings.gather_some(self.user, (0, as_if), |feature| self.of_user[feature], row);
    }

    /// Looks up the items from `first` on, beside the columns of their user.
    pub(super) fn gather_items(
        &self,
        embeddings: &Embeddings,
        (first, as_if): (usize, Option<u16>),
        user: &[f32],
        x: &mut [f32],
    ) {
        if !user.is_empty() {
            x.chunks_exact_mut(user.len()).for_each(|row| row.copy_from_slice(user));
        }
        embeddings.gather_some(self.items, (first, as_if), |feature| !self.of_user[feature], x);
    }
}
