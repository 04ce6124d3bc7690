//! Settings of an optimiser as a user writes them, flat, and what they mean.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::update::Rule;

/// Which rule moves the dense parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimiserKind {
    /// Gradient descent, with momentum where asked.
    Sgd,
    /// Adam; `weight_decay` is added to the gradient (L2).
    #[default]
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
    /// Adagrad.
    Adagrad,
    /// RMSprop, with momentum where asked.
    Rmsprop,
    /// FTRL-proximal with L1 and L2; rates per coordinate, so no schedule.
    Ftrl,
}

/// How the learning rate moves over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Stays (after `warm_up_steps`, if any).
    #[default]
    Constant,
    /// Rises from near 0 over `warm_up_steps`, then stays.
    WarmUp,
    /// Falls along half a cosine over `schedule_steps`, then stays at `schedule_floor`.
    Cosine,
    /// Is multiplied by `schedule_factor` every `schedule_steps`.
    Step,
    /// Falls smoothly, by `schedule_factor` in every `schedule_steps`.
    Exponential,
    /// Is multiplied by `schedule_factor` when more than `schedule_patience` reports in a row brought nothing better.
    Plateau,
}

/// Optimiser, schedule and clipping of the dense parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DenseOptimiserConfig {
    /// sgd, adam, adamw, adagrad, rmsprop or ftrl. Default: adam.
    pub optimiser: OptimiserKind,
    /// Default: 0.001.
    pub learning_rate: f32,
    /// Pull towards zero on every dense parameter; decoupled for adamw, else added to the gradient. Not for ftrl,
    /// which has `l2`. Default: 0.
    pub weight_decay: f32,
    /// Share of the last move that is kept (sgd, rmsprop). Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f32>,
    /// Memory of the mean gradient (adam, adamw). Default: 0.9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f32>,
    /// Memory of the mean square (adam, adamw). Default: 0.999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f32>,
    /// Memory of the mean square (rmsprop). Default: 0.99.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<f32>,
    /// Added to the root of the squares (adam, adamw, rmsprop 1e-8, adagrad 1e-10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f32>,
    /// Sum of squares at the start (adagrad, ftrl). Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_accumulator: Option<f32>,
    /// Added to the root of the sum of squares (ftrl). Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta: Option<f32>,
    /// L1 strength (ftrl). Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f32>,
    /// L2 strength (ftrl). Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f32>,
    /// constant, warm_up, cosine, step, exponential or plateau. Default: constant.
    pub schedule: ScheduleKind,
    /// Steps over which the learning rate rises from near 0, before any schedule. Default: 0.
    pub warm_up_steps: u64,
    /// Steps of the schedule (cosine, step, exponential); required there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_steps: Option<u64>,
    /// Factor of the schedule (step 0.1, exponential 0.5, plateau 0.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_factor: Option<f32>,
    /// Smallest share of the learning rate (cosine, step, exponential, plateau). Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_floor: Option<f32>,
    /// Reports in a row without improvement that are let pass (plateau). Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_patience: Option<u64>,
    /// Largest norm of all dense gradients together; 0 does not clip. Default: 0.
    pub clip: f32,
}

impl Default for DenseOptimiserConfig {
    fn default() -> DenseOptimiserConfig {
        DenseOptimiserConfig {
            optimiser: OptimiserKind::Adam,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            momentum: None,
            beta1: None,
            beta2: None,
            rho: None,
            epsilon: None,
            initial_accumulator: None,
            beta: None,
            l1: None,
            l2: None,
            schedule: ScheduleKind::Constant,
            warm_up_steps: 0,
            schedule_steps: None,
            schedule_factor: None,
            schedule_floor: None,
            schedule_patience: None,
            clip: 0.0,
        }
    }
}

/// What is wrong with the settings, or with a state that is loaded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimiserError {
    /// A number outside its range.
    #[error("`{option} = {value}`: expected {expected}")]
    Range {
        /// The option.
        option: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// An option that would be ignored.
    #[error("`{option}` has no meaning for `{owner}`: remove it")]
    Unused {
        /// The option.
        option: &'static str,
        /// The optimiser or schedule that does not use it.
        owner: String,
    },
    /// An option that is needed.
    #[error("`schedule = \"{schedule}\"` needs `{option}`")]
    Missing {
        /// The option.
        option: &'static str,
        /// The schedule that needs it.
        schedule: String,
    },
    /// A checkpoint without a part of the state.
    #[error("the state holds no `{name}`")]
    MissingState {
        /// Which part.
        name: &'static str,
    },
    /// A checkpoint of another network.
    #[error("the state `{name}` has {found} numbers, expected {expected}")]
    StateLength {
        /// Which part.
        name: &'static str,
        /// Numbers of this network.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
}

/// An option with its value, the kinds that use it, and its range.
struct Setting {
    name: &'static str,
    value: Option<f64>,
    used: bool,
    range: Interval,
}

#[derive(Clone, Copy)]
enum Interval {
    NotNegative,
    Positive,
    BelowOne,
    UpToOne,
}

impl Interval {
    fn check(self, option: &'static str, value: f64) -> Result<(), OptimiserError> {
        let (inside, expected) = match self {
            Interval::NotNegative => (value >= 0.0, "a finite number, at least 0"),
            Interval::Positive => (value > 0.0, "a finite number above 0"),
            Interval::BelowOne => ((0.0..1.0).contains(&value), "at least 0 and below 1"),
            Interval::UpToOne => ((0.0..=1.0).contains(&value), "at least 0 and at most 1"),
        };
        if inside && value.is_finite() { Ok(()) } else { Err(OptimiserError::Range { option, value, expected }) }
    }
}

impl DenseOptimiserConfig {
    /// Refuses numbers outside their range, and options that the chosen kinds would ignore.
    ///
    /// # Errors
    /// The first option that is wrong.
    pub fn check(&self) -> Result<(), OptimiserError> {
        Interval::Positive.check("learning_rate", self.learning_rate.into())?;
        Interval::NotNegative.check("weight_decay", self.weight_decay.into())?;
        Interval::NotNegative.check("clip", self.clip.into())?;
        if self.optimiser == OptimiserKind::Ftrl && self.weight_decay != 0.0 {
            return Err(OptimiserError::Unused { option: "weight_decay", owner: "ftrl".into() });
        }
        let optimiser = format!("{:?}", self.optimiser).to_lowercase();
        check_all(self.rule_options(), &optimiser)?;
        let schedule = schedule_name(self.schedule);
        check_all(self.schedule_options(), &schedule)?;
        self.check_schedule(schedule)
    }

    fn check_schedule(&self, schedule: String) -> Result<(), OptimiserError> {
        use ScheduleKind::{Constant, Cosine, Exponential, Step, WarmUp};
        if self.optimiser == OptimiserKind::Ftrl && (self.schedule != Constant || self.warm_up_steps > 0) {
            let option = if self.warm_up_steps > 0 { "warm_up_steps" } else { "schedule" };
            return Err(OptimiserError::Unused { option, owner: "ftrl".into() });
        }
        if matches!(self.schedule, Cosine | Step | Exponential) && self.schedule_steps.is_none() {
            return Err(OptimiserError::Missing { option: "schedule_steps", schedule });
        }
        if self.schedule == WarmUp && self.warm_up_steps == 0 {
            return Err(OptimiserError::Missing { option: "warm_up_steps", schedule });
        }
        Ok(())
    }

    fn rule_options(&self) -> Vec<Setting> {
        use Interval::{BelowOne, NotNegative, Positive};
        use OptimiserKind::{Adagrad, Adam, Adamw, Ftrl, Rmsprop, Sgd};
        let option = |name, value: Option<f32>, users: &[OptimiserKind], range| Setting {
            name,
            value: value.map(f64::from),
            used: users.contains(&self.optimiser),
            range,
        };
        vec![
            option("momentum", self.momentum, &[Sgd, Rmsprop], BelowOne),
            option("beta1", self.beta1, &[Adam, Adamw], BelowOne),
            option("beta2", self.beta2, &[Adam, Adamw], BelowOne),
            option("rho", self.rho, &[Rmsprop], BelowOne),
            option("epsilon", self.epsilon, &[Adam, Adamw, Adagrad, Rmsprop], Positive),
            option("initial_accumulator", self.initial_accumulator, &[Adagrad, Ftrl], NotNegative),
            option("beta", self.beta, &[Ftrl], Positive),
            option("l1", self.l1, &[Ftrl], NotNegative),
            option("l2", self.l2, &[Ftrl], NotNegative),
        ]
    }

    fn schedule_options(&self) -> Vec<Setting> {
        use ScheduleKind::{Cosine, Exponential, Plateau, Step};
        let option = |name, value, users: &[ScheduleKind], range| Setting {
            name,
            value,
            used: users.contains(&self.schedule),
            range,
        };
        let (steps, factor) = (self.schedule_steps.map(|n| n as f64), self.schedule_factor.map(f64::from));
        let (floor, patience) = (self.schedule_floor.map(f64::from), self.schedule_patience.map(|n| n as f64));
        vec![
            option("schedule_steps", steps, &[Cosine, Step, Exponential], Interval::Positive),
            option("schedule_factor", factor, &[Step, Exponential, Plateau], Interval::BelowOne),
            option("schedule_floor", floor, &[Cosine, Step, Exponential, Plateau], Interval::UpToOne),
            option("schedule_patience", patience, &[Plateau], Interval::NotNegative),
        ]
    }

    pub(super) fn initial_accumulator(&self) -> f32 {
        self.initial_accumulator.unwrap_or(0.0)
    }

    /// Names of the state that the rule keeps.
    pub(super) fn state_names(&self) -> [Option<&'static str>; 2] {
        let momentum = self.momentum.is_some_and(|momentum| momentum > 0.0);
        match self.optimiser {
            OptimiserKind::Sgd => [momentum.then_some("momentum"), None],
            OptimiserKind::Adam | OptimiserKind::Adamw => [Some("mean"), Some("square")],
            OptimiserKind::Adagrad => [Some("squares"), None],
            OptimiserKind::Rmsprop => [Some("square"), momentum.then_some("momentum")],
            OptimiserKind::Ftrl => [Some("squares"), Some("linear")],
        }
    }

    /// The arithmetic of one step.
    pub(super) fn rule(&self, step: u64, learning_rate: f32) -> Rule {
        let decay = self.weight_decay;
        let momentum = self.momentum.unwrap_or(0.0);
        match self.optimiser {
            OptimiserKind::Sgd => Rule::Sgd { learning_rate, decay, momentum },
            OptimiserKind::Adam | OptimiserKind::Adamw => {
                let (beta1, beta2) = (self.beta1.unwrap_or(0.9), self.beta2.unwrap_or(0.999));
                let correction = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
                let decoupled = self.optimiser == OptimiserKind::Adamw;
                Rule::Adam {
                    rate: (f64::from(learning_rate) / correction(beta1)) as f32,
                    root: (1.0 / correction(beta2).sqrt()) as f32,
                    beta1,
                    beta2,
                    epsilon: self.epsilon.unwrap_or(1e-8),
                    decay: if decoupled { 0.0 } else { decay },
                    keep: if decoupled { 1.0 - learning_rate * decay } else { 1.0 },
                }
            }
            OptimiserKind::Adagrad => Rule::Adagrad { learning_rate, decay, epsilon: self.epsilon.unwrap_or(1e-10) },
            OptimiserKind::Rmsprop => Rule::Rmsprop {
                learning_rate,
                decay,
                momentum,
                rho: self.rho.unwrap_or(0.99),
                epsilon: self.epsilon.unwrap_or(1e-8),
            },
            OptimiserKind::Ftrl => Rule::Ftrl {
                learning_rate,
                beta: self.beta.unwrap_or(1.0),
                l1: self.l1.unwrap_or(0.0),
                l2: self.l2.unwrap_or(0.0),
            },
        }
    }
}

fn check_all(options: Vec<Setting>, owner: &str) -> Result<(), OptimiserError> {
    for option in options {
        let Some(value) = option.value else { continue };
        if !option.used {
            return Err(OptimiserError::Unused { option: option.name, owner: owner.to_owned() });
        }
        option.range.check(option.name, value)?;
    }
    Ok(())
}

fn schedule_name(kind: ScheduleKind) -> String {
    match kind {
        ScheduleKind::Constant => "constant",
        ScheduleKind::WarmUp => "warm_up",
        ScheduleKind::Cosine => "cosine",
        ScheduleKind::Step => "step",
        ScheduleKind::Exponential => "exponential",
        ScheduleKind::Plateau => "plateau",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_would_be_ignored_is_refused() {
        let config = DenseOptimiserConfig { momentum: Some(0.9), ..DenseOptimiserConfig::default() };
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "`momentum` has no meaning for `adam`: remove it");
        let config = DenseOptimiserConfig { schedule_steps: Some(5), ..DenseOptimiserConfig::default() };
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, "`schedule_steps` has no meaning for `constant`: remove it");
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let config = DenseOptimiserConfig { learning_rate: bad, ..DenseOptimiserConfig::default() };
            assert!(matches!(config.check(), Err(OptimiserError::Range { option: "learning_rate", .. })), "{bad}");
        }
        let cosine = DenseOptimiserConfig { schedule: ScheduleKind::Cosine, ..DenseOptimiserConfig::default() };
        assert_eq!(cosine.check().unwrap_err().to_string(), "`schedule = \"cosine\"` needs `schedule_steps`");
        assert_eq!(DenseOptimiserConfig::default().check(), Ok(()));
    }
}
