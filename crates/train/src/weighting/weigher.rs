//! The weights in the course of a training: what is kept from step to step, and what is told of it.

use hinet_data::Seed;
use serde::{Deserialize, Serialize};

use super::balance::{Dwa, Famo, GradNorm, Uncertainty};
use super::config::{WeightingConfig, WeightingKind};
use super::surgery::{self, Products};
use super::{ObjectiveMap, Seen};

/// Factors of which none was further from 1 did nothing.
const STILL: f64 = 1e-3;

/// Chooses the factor of each objective.
#[derive(Clone, Debug)]
pub(crate) struct Weigher {
    config: WeightingConfig,
    pub(super) map: ObjectiveMap,
    state: WeigherState,
}

/// All that a checkpoint keeps of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WeigherState {
    rule: Rule,
    /// Factors of the steps since the last line of the history.
    sums: Vec<f64>,
    steps: u64,
    /// How far from 1 a factor ever was.
    moved: f64,
}

/// What a kind remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Rule {
    Uncertainty(Uncertainty),
    Dwa(Dwa),
    Famo(Famo),
    GradNorm(GradNorm),
    /// Each batch anew.
    Nothing,
}

impl Rule {
    fn new(kind: WeightingKind, count: usize) -> Rule {
        match kind {
            WeightingKind::Uncertainty => Rule::Uncertainty(Uncertainty::new(count)),
            WeightingKind::Dwa => Rule::Dwa(Dwa::new(count)),
            WeightingKind::Famo => Rule::Famo(Famo::new(count)),
            WeightingKind::Gradnorm => Rule::GradNorm(GradNorm::new(count)),
            WeightingKind::Fixed | WeightingKind::Pcgrad | WeightingKind::Cagrad | WeightingKind::Mgda => Rule::Nothing,
        }
    }
}

impl Weigher {
    /// None for `fixed`: there is nothing to do.
    pub(crate) fn new(config: &WeightingConfig, map: ObjectiveMap) -> Option<Weigher> {
        let (rule, sums) = (Rule::new(config.kind, map.count()), vec![0.0; map.count()]);
        let state = WeigherState { rule, sums, steps: 0, moved: 0.0 };
        (config.kind != WeightingKind::Fixed).then(|| Weigher { config: config.clone(), map, state })
    }

    pub(crate) fn kind(&self) -> WeightingKind {
        self.config.kind
    }

    /// The factors of a batch, one per objective.
    pub(crate) fn factors(&mut self, seen: &Seen, seed: Seed) -> Vec<f64> {
        let config = &self.config;
        let rate = |default: f64| config.learning_rate.unwrap_or(default);
        let losses = &seen.losses;
        let factors = match &mut self.state.rule {
            Rule::Uncertainty(rule) => rule.factors(losses, rate(0.01)),
            Rule::Dwa(rule) => rule.factors(losses, config.temperature.unwrap_or(2.0), config.window.unwrap_or(100)),
            Rule::Famo(rule) => rule.factors(losses),
            Rule::GradNorm(rule) => {
                let count = losses.len();
                let norms: Vec<f64> = (0..count).map(|k| seen.products[k * count + k].max(0.0).sqrt()).collect();
                rule.factors(losses, &norms, (config.alpha.unwrap_or(1.5), rate(0.025)))
            }
            Rule::Nothing => combined(config, seen, seed),
        };
        self.note(&factors);
        factors
    }

    /// Whether it wants to know what the step did to the losses of its batch.
    pub(crate) fn looks_back(&self) -> bool {
        self.config.kind == WeightingKind::Famo
    }

    /// Takes in the losses of the same batch after the step.
    pub(crate) fn after(&mut self, losses: &[Option<f64>]) {
        if let Rule::Famo(rule) = &mut self.state.rule {
            let config = &self.config;
            rule.after(losses, config.learning_rate.unwrap_or(0.025), config.weight_decay.unwrap_or(1e-3));
        }
    }

    fn note(&mut self, factors: &[f64]) {
        let state = &mut self.state;
        state.steps += 1;
        for (sum, factor) in state.sums.iter_mut().zip(factors) {
            *sum += factor;
            state.moved = state.moved.max((factor - 1.0).abs());
        }
    }

    /// Names of the objectives with their mean factors since the last call.
    pub(crate) fn take(&mut self) -> Vec<(&str, f64)> {
        let WeigherState { sums, steps, .. } = &mut self.state;
        let steps = std::mem::take(steps).max(1) as f64;
        let means = sums.iter_mut().map(|sum| std::mem::take(sum) / steps);
        self.map.names().iter().map(String::as_str).zip(means).collect()
    }

    /// What to tell a user whose weights never moved.
    pub(crate) fn stillness(&self) -> Option<String> {
        let kind = self.config.kind.name();
        let why = match self.config.kind {
            WeightingKind::Pcgrad => "no two gradients pointed against each other",
            WeightingKind::Dwa => "training has fewer than three of `train.weighting.window`, or all losses fall alike",
            WeightingKind::Cagrad => "`train.weighting.radius` is small, or the gradients agree",
            WeightingKind::Mgda => "all gradients are alike",
            WeightingKind::Uncertainty | WeightingKind::Gradnorm | WeightingKind::Famo => {
                "`train.weighting.learning_rate` is small for so few steps, or the losses are balanced as they are"
            }
            WeightingKind::Fixed => return None,
        };
        (self.state.moved < STILL).then(|| {
            format!("the weights of `{kind}` stayed within {STILL} of 1, so that it did as `fixed` does: {why}")
        })
    }

    pub(crate) fn state(&self) -> &WeigherState {
        &self.state
    }

    pub(crate) fn load_state(&mut self, state: WeigherState) {
        self.state = state;
    }
}

/// Factors for gradients as they are. What has none in this batch is left out.
fn combined(config: &WeightingConfig, seen: &Seen, seed: Seed) -> Vec<f64> {
    let count = seen.losses.len();
    let has_gradient = |&k: &usize| seen.losses[k].is_some() && seen.products[k * count + k] > 0.0;
    let present: Vec<usize> = (0..count).filter(has_gradient).collect();
    let mut factors = vec![1.0; count];
    if present.len() < 2 {
        return factors;
    }
    let products: Vec<f64> =
        present.iter().flat_map(|i| present.iter().map(move |j| seen.products[i * count + j])).collect();
    let products = Products::new(&products, present.len());
    let found = match config.kind {
        WeightingKind::Cagrad => surgery::cagrad(products, config.radius.unwrap_or(0.4)),
        WeightingKind::Mgda => surgery::mgda(products, config.normalise.unwrap_or(true)),
        WeightingKind::Pcgrad => surgery::pcgrad(products, seed),
        WeightingKind::Fixed
        | WeightingKind::Uncertainty
        | WeightingKind::Gradnorm
        | WeightingKind::Dwa
        | WeightingKind::Famo => return factors,
    };
    present.into_iter().zip(found).for_each(|(k, factor)| factors[k] = factor);
    factors
}
