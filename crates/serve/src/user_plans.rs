//! Plans for requests of one user and many items: what is said of the user is computed once per request.
//!
//! What is said of the user differs from client to client, and a plan is for one set of features. So a plan is made when a
//! request first has that set, beside the requests: those that come meanwhile are scored as any rows are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hinet_model::{Model, Plan, RequestPlan};

/// Sets of features that get a plan of their own, at most: each plan holds packed weights.
const SETS: usize = 8;

/// The plans of one version.
#[derive(Debug, Default)]
pub(crate) struct UserPlans {
    made: Mutex<Vec<Made>>,
}

/// A set of features, and the plan for it; none while it is being made, and where it would spare nothing.
#[derive(Debug)]
struct Made {
    features: Vec<String>,
    plan: Option<Arc<RequestPlan<'static>>>,
}

impl UserPlans {
    /// The plan for these features of the user, in the order of the model; `make` is called where it has to be made.
    pub(crate) fn get(&self, features: &[&str], make: impl FnOnce()) -> Option<Arc<RequestPlan<'static>>> {
        let mut made = self.lock();
        if let Some(known) = made.iter().find(|made| made.features == features) {
            return known.plan.clone();
        }
        if made.len() < SETS && !features.is_empty() {
            made.push(Made { features: features.iter().map(|&feature| feature.to_owned()).collect(), plan: None });
            drop(made);
            make();
        }
        None
    }

    /// Makes the plan for these features, which takes its time.
    pub(crate) fn make(&self, model: &Arc<Model>, features: &[String]) {
        let names: Vec<&str> = features.iter().map(String::as_str).collect();
        let plan = Plan::sharing_for_requests(model, &names).expect("the features are the model's");
        if plan.spared_per_item() == 0 {
            return;
        }
        if let Some(known) = self.lock().iter_mut().find(|made| made.features == features) {
            known.plan = Some(Arc::new(plan));
        }
    }

    /// No entry is half made when a thread panics.
    fn lock(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
