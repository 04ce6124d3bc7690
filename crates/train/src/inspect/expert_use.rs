//! How much experts are used: those that all share one by one, those of scenarios and tasks together.

use super::collapse::{MOSTLY_DEAD, UNUSED};
use super::{Expert, Inspection};
use crate::statistics::mean;

/// The use of one expert, or of all that scenarios or tasks own under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpertUse {
    /// The experts' name in the network, with a number where it is one alone.
    pub name: String,
    /// How many they are.
    pub experts: usize,
    /// The smallest mean weight; absent without rows.
    pub lowest: Option<f64>,
    /// The mean of the mean weights.
    pub mean: Option<f64>,
    /// The largest one.
    pub highest: Option<f64>,
    /// The weight each would have, did its gates weigh all experts alike.
    pub fair: f64,
    /// Mean share of outputs that are 0; absent where none ends in a ReLU, or without rows.
    pub zeros: Option<f64>,
    /// Units that are 0 on every row.
    pub dead_units: usize,
    /// Units of their last layers.
    pub units: usize,
    /// How many get less than a tenth of what would be fair.
    pub unused: usize,
    /// How many have more dead units than living ones.
    pub mostly_dead: usize,
}

impl Inspection {
    /// The experts' use, in their order.
    #[must_use]
    pub fn expert_use(&self) -> Vec<ExpertUse> {
        let together = |a: &Expert, b: &Expert| a.bank == b.bank && is_owned(a) && is_owned(b);
        self.experts.chunk_by(together).map(ExpertUse::of).collect()
    }
}

fn is_owned(expert: &Expert) -> bool {
    expert.scenario.is_some() || expert.task.is_some()
}

impl ExpertUse {
    fn of(experts: &[Expert]) -> ExpertUse {
        let first = &experts[0];
        let weights: Vec<f64> = experts.iter().filter_map(|expert| expert.weight).collect();
        let zeros: Vec<f64> = experts.iter().filter_map(|expert| expert.zeros).collect();
        let is_unused = |expert: &&Expert| expert.weight.is_some_and(|weight| weight < UNUSED * expert.fair);
        let is_dead = |expert: &&Expert| expert.dead_units as f64 > MOSTLY_DEAD * expert.units as f64;
        ExpertUse {
            name: if is_owned(first) { first.bank.clone() } else { format!("{} {}", first.bank, first.number) },
            experts: experts.len(),
            lowest: weights.iter().copied().reduce(f64::min),
            mean: mean(&weights),
            highest: weights.iter().copied().reduce(f64::max),
            fair: first.fair,
            zeros: mean(&zeros),
            dead_units: experts.iter().map(|expert| expert.dead_units).sum(),
            units: experts.iter().map(|expert| expert.units).sum(),
            unused: experts.iter().filter(is_unused).count(),
            mostly_dead: experts.iter().filter(is_dead).count(),
        }
    }
}
