//! Leaving out experts of other scenarios that a scenario hardly listens to.
//!
//! In HiNet every row goes through the expert of every scenario: `A_i = sum over m of alpha_im S_m`. With the scenario as
//! the query alpha is fixed once the model is trained. Where `alpha_im` is below a threshold, rows of scenario i can do
//! without S_m; what is kept is scaled up so that the weights of a scenario sum to what they did. At least the largest
//! stays.
//!
//! # What that changes
//!
//! Let d be the sum of the weights that scenario i drops, t that of all its weights, and A' what is left. Then
//!
//! ```text
//! A_i - A'_i = sum over dropped m of alpha_im S_m  -  d / (t - d) * sum over kept m of alpha_im S_m
//! ```
//!
//! Numbers of S_m are not negative (they are weighted means of what comes out of ReLU), so if none of a row exceeds b, both
//! terms lie between 0 and d b: **no number of A_i changes by more than d b**. That bounds A_i alone. How far a probability
//! moves depends on the layers above, and b on the row: neither is bounded here.

use std::fmt;

use hinet_tape::{Evaluator, Workspace};

use crate::config::bad;
use crate::{Form, Model, ModelError, SanQuery, ScenarioLayerConfig};

/// What [`Model::prune_san`] left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruning {
    /// Weights below it were dropped.
    pub below: f32,
    /// Each scenario, in the order of the layout.
    pub scenarios: Vec<PrunedScenario>,
}

/// What rows of a scenario do without.
#[derive(Clone, Debug, PartialEq)]
pub struct PrunedScenario {
    /// The scenario.
    pub name: String,
    /// Scenarios whose experts its rows do without, and what each weighed.
    pub dropped: Vec<(String, f32)>,
    /// Sum of the dropped weights: no number of A_i changes by more than this times the largest number that an expert gives
    /// for the row.
    pub weight: f32,
}

impl Model {
    /// Drops what rows of a scenario hear of other scenarios with a weight below `below`. Plans made of the model then do not
    /// compute those experts for those rows. For inference: a model that is trained on keeps its weights of scenarios.
    ///
    /// # Errors
    /// [`ModelError::BadOption`] if the model has no attention over scenarios, if that differs from row to row
    /// (`san_query = "row"`), or for a threshold outside of 0 to 1.
    pub fn prune_san(&mut self, below: f32) -> Result<Pruning, ModelError> {
        if !(0.0..=1.0).contains(&below) {
            return Err(bad("prune_san", below.to_string(), "a weight from 0 to 1"));
        }
        let ScenarioLayerConfig::Hinet(config) = &self.config.scenario else {
            return Err(bad("prune_san", below.to_string(), "a model with attention over scenarios, `hinet`"));
        };
        if config.san_query == SanQuery::Row {
            let expected = "`san_query = \"scenario\"`: with `row` each row has weights of its own";
            return Err(bad("prune_san", below.to_string(), expected));
        }
        let network = &mut self.network;
        debug_assert_eq!(network.form, Form::Own);
        let Some(san) = network.probe("san") else {
            return Err(bad("prune_san", below.to_string(), "a model with `san`, and more than one scenario"));
        };
        let evaluator = Evaluator::new(network.graph.clone(), self.params.clone(), &[san]);
        let mut alpha = evaluator.value(&Workspace::default(), san).to_vec();
        let names = &self.layout.scenarios;
        let scenarios = alpha.chunks_exact_mut(names.len()).zip(names).map(|(weights, name)| {
            let dropped = drop_small(weights, below);
            // Not `sum`, which is -0 where there is nothing.
            let weight = dropped.iter().fold(0.0, |sum, (_, weight)| sum + weight);
            let dropped = dropped.into_iter().map(|(other, weight)| (names[other].clone(), weight)).collect();
            PrunedScenario { name: name.clone(), dropped, weight }
        });
        let scenarios = scenarios.collect();
        network.graph.fix(san, alpha);
        Ok(Pruning { below, scenarios })
    }
}

/// Sets weights below a threshold to 0, all but the largest, and scales up the others to the same sum. Returns what was
/// dropped and what it weighed.
fn drop_small(weights: &mut [f32], below: f32) -> Vec<(usize, f32)> {
    let total: f32 = weights.iter().sum();
    let largest = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b]));
    let small = |(place, weight): &(usize, f32)| *weight > 0.0 && *weight < below && Some(*place) != largest;
    let dropped: Vec<(usize, f32)> = weights.iter().copied().enumerate().filter(small).collect();
    if dropped.is_empty() {
        return dropped;
    }
    dropped.iter().for_each(|&(place, _)| weights[place] = 0.0);
    let kept: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight *= total / kept);
    dropped
}

impl fmt::Display for Pruning {
    /// A line per scenario.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
        for PrunedScenario { name, dropped, weight } in &self.scenarios {
            let (others, count) = (self.scenarios.len() - 1, dropped.len());
            if count == 0 {
                writeln!(f, "{name:width$}  none of {others} experts of other scenarios left out; nothing changes")?;
                continue;
            }
            writeln!(
                f,
                "{name:width$}  {count} of {others} experts of other scenarios left out; numbers of its A change by at most \
                 {weight:.4} times the row's largest number of an expert"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_weights_are_dropped_and_the_others_keep_their_sum_and_their_ratio() {
        let mut weights = [0.0, 0.05, 0.6, 0.15, 0.1];
        assert_eq!(drop_small(&mut weights, 0.1), [(1, 0.05)]);
        let sum: f32 = weights.iter().sum();
        assert!((sum - 0.9).abs() < 1e-6 && (weights[2] / weights[3] - 4.0).abs() < 1e-5, "{weights:?}");
        assert_eq!([weights[0], weights[1]], [0.0; 2]);
    }

    #[test]
    fn the_largest_weight_stays_and_nothing_changes_where_nothing_is_small() {
        let mut weights = [0.3, 0.4, 0.3];
        assert_eq!(drop_small(&mut weights, 1.0).len(), 2);
        assert_eq!(weights[0..3].iter().filter(|weight| **weight == 0.0).count(), 2);
        assert!((weights[1] - 1.0).abs() < 1e-6);
        let mut weights = [0.3, 0.4, 0.3];
        assert!(drop_small(&mut weights, 0.0).is_empty());
        assert_eq!(weights, [0.3, 0.4, 0.3]);
    }
}
