//! Settings of embedding tables and of the optimiser that moves their rows.

use hinet_tape::OptimiserError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::config::bad;

/// How embedding tables start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Standard deviation of the normal draws every row starts with. Default: 0.01: small against what training moves a row by, so that rows seen
    /// rarely say little, yet not 0, from where columns would move alike. The rows of missing and of unseen values start at 0, the mean of all draws.
    pub init_std: f32,
}

/// Who has embedding tables of its own. With tables and networks of their own, models that share nothing are one network
/// recorded side by side: trained on the same batches, stopped together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tables {
    /// Nobody: all scenarios and tasks read the same.
    #[default]
    Shared,
    /// Each scenario: a row goes through the tables of its own. Rows of an unknown one get the mean of what each
    /// scenario's would say.
    Scenario,
    /// Each task: its tower reads its own tables.
    Task,
    /// Each task of each scenario.
    ScenarioTask,
}

impl Tables {
    /// Whether each scenario has its own.
    #[must_use]
    pub fn per_scenario(self) -> bool {
        matches!(self, Tables::Scenario | Tables::ScenarioTask)
    }

    /// Whether each task has its own.
    #[must_use]
    pub fn per_task(self) -> bool {
        matches!(self, Tables::Task | Tables::ScenarioTask)
    }
}

/// Which rule moves the rows of embedding tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SparseOptimiserKind {
    /// Gradient descent.
    Sgd,
    /// Adagrad: a sum of squares per number.
    #[default]
    Adagrad,
    /// Adagrad with one sum of squares per row: a fraction of the memory.
    RowWiseAdagrad,
    /// Adam on the rows a batch touched; the others keep their state as it is.
    Adam,
}

/// Optimiser of the embedding tables. It moves only the rows that a batch touched; its learning rate stays constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SparseOptimiserConfig {
    /// sgd, adagrad, row_wise_adagrad or adam. Default: adagrad.
    pub optimiser: SparseOptimiserKind,
    /// Default: 0.01.
    pub learning_rate: f32,
    /// Pull towards zero on the rows a batch touched, once per batch: `l2 * row` is added to the gradient. Default: 0.
    pub l2: f32,
    /// Added to the root of the squares (adagrad, row_wise_adagrad 1e-10, adam 1e-8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f32>,
    /// Sum of squares at the start (adagrad, row_wise_adagrad). Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_accumulator: Option<f32>,
    /// Memory of the mean gradient (adam). Default: 0.9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f32>,
    /// Memory of the mean square (adam). Default: 0.999.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f32>,
}

impl Default for EmbeddingConfig {
    fn default() -> EmbeddingConfig {
        EmbeddingConfig { init_std: 0.01 }
    }
}

impl EmbeddingConfig {
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        if self.init_std.is_finite() && self.init_std >= 0.0 {
            return Ok(());
        }
        Err(bad("embedding.init_std", self.init_std.to_string(), NOT_NEGATIVE))
    }
}

impl Default for SparseOptimiserConfig {
    fn default() -> SparseOptimiserConfig {
        SparseOptimiserConfig {
            optimiser: SparseOptimiserKind::default(),
            learning_rate: 1e-2,
            l2: 0.0,
            epsilon: None,
            initial_accumulator: None,
            beta1: None,
            beta2: None,
        }
    }
}

impl SparseOptimiserConfig {
    /// Checks that every number is in its range and that no option is given that the rule would ignore.
    ///
    /// # Errors
    /// The first option that is wrong.
    pub fn check(&self) -> Result<(), OptimiserError> {
        use SparseOptimiserKind::{Adagrad, Adam, RowWiseAdagrad};
        range("learning_rate", self.learning_rate, POSITIVE, |rate| rate > 0.0)?;
        range("l2", self.l2, NOT_NEGATIVE, |l2| l2 >= 0.0)?;
        self.option("epsilon", self.epsilon, &[Adagrad, RowWiseAdagrad, Adam])?;
        self.option("initial_accumulator", self.initial_accumulator, &[Adagrad, RowWiseAdagrad])?;
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            self.option(name, beta, &[Adam])?;
            range(name, beta.unwrap_or(0.0), "a number from 0 up to, not including, 1", |beta| beta < 1.0)?;
        }
        Ok(())
    }

    fn option(
        &self,
        name: &'static str,
        value: Option<f32>,
        users: &[SparseOptimiserKind],
    ) -> Result<(), OptimiserError> {
        match value {
            None => Ok(()),
            Some(_) if !users.contains(&self.optimiser) => {
                Err(OptimiserError::Unused { option: name, owner: self.optimiser.name().to_owned() })
            }
            Some(value) if name == "epsilon" => range(name, value, POSITIVE, |value| value > 0.0),
            Some(value) => range(name, value, NOT_NEGATIVE, |value| value >= 0.0),
        }
    }

    pub(super) fn epsilon(&self) -> f32 {
        self.epsilon.unwrap_or(if self.optimiser == SparseOptimiserKind::Adam { 1e-8 } else { 1e-10 })
    }
}

impl SparseOptimiserKind {
    /// Its name in the config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SparseOptimiserKind::Sgd => "sgd",
            SparseOptimiserKind::Adagrad => "adagrad",
            SparseOptimiserKind::RowWiseAdagrad => "row_wise_adagrad",
            SparseOptimiserKind::Adam => "adam",
        }
    }
}

const POSITIVE: &str = "a finite number above 0";
const NOT_NEGATIVE: &str = "a finite number of 0 or more";

fn range(
    option: &'static str,
    value: f32,
    expected: &'static str,
    allowed: impl Fn(f32) -> bool,
) -> Result<(), OptimiserError> {
    if value.is_finite() && allowed(value) {
        return Ok(());
    }
    Err(OptimiserError::Range { option, value: f64::from(value), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_would_be_ignored_is_refused() {
        let config = SparseOptimiserConfig { beta1: Some(0.9), ..SparseOptimiserConfig::default() };
        assert_eq!(config.check().unwrap_err().to_string(), "`beta1` has no meaning for `adagrad`: remove it");
        let optimiser = SparseOptimiserKind::Sgd;
        let config = SparseOptimiserConfig { optimiser, epsilon: Some(0.1), ..SparseOptimiserConfig::default() };
        assert_eq!(config.check().unwrap_err().to_string(), "`epsilon` has no meaning for `sgd`: remove it");
    }

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        let adam = SparseOptimiserConfig { optimiser: SparseOptimiserKind::Adam, ..SparseOptimiserConfig::default() };
        assert_eq!(adam.check(), Ok(()));
        let bad = [
            ("learning_rate", SparseOptimiserConfig { learning_rate: 0.0, ..adam.clone() }),
            ("l2", SparseOptimiserConfig { l2: f32::NAN, ..adam.clone() }),
            ("epsilon", SparseOptimiserConfig { epsilon: Some(0.0), ..adam.clone() }),
            ("beta2", SparseOptimiserConfig { beta2: Some(1.0), ..adam }),
        ];
        for (name, config) in bad {
            let error = config.check();
            assert!(matches!(error, Err(OptimiserError::Range { option, .. }) if option == name), "{name}: {error:?}");
        }
    }
}
