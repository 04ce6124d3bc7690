//! What `[train.weighting]` says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the losses of several objectives become one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightingKind {
    /// Their sum, with the weights of the experiment.
    #[default]
    Fixed,
    /// Homoscedastic uncertainty (Kendall et al., CVPR 2018): a learnt weight `exp(-s_k)`, held up by `s_k / 2`.
    Uncertainty,
    /// GradNorm (Chen et al., ICML 2018): weights under which objectives train at like rates.
    Gradnorm,
    /// Dynamic weight average (Liu et al., CVPR 2019): more weight where the loss falls less.
    Dwa,
    /// PCGrad (Yu et al., NeurIPS 2020): a gradient loses what points against another's.
    Pcgrad,
    /// CAGrad (Liu et al., NeurIPS 2021): near the mean gradient, the way on which the worst objective gains most.
    Cagrad,
    /// MGDA (Désidéri 2012; Sener and Koltun, NeurIPS 2018): the shortest combination of the gradients.
    Mgda,
    /// FAMO (Liu et al., NeurIPS 2023): weights under which all losses fall by the same share.
    Famo,
}

/// What counts as an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objectives {
    /// Each task, over all scenarios.
    #[default]
    Tasks,
    /// Each scenario, over all tasks.
    Scenarios,
    /// Each task of each scenario.
    Cells,
}

/// How the losses of several objectives become one step: the table `[train.weighting]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightingConfig {
    /// fixed, uncertainty, gradnorm, dwa, pcgrad, cagrad, mgda or famo. gradnorm, pcgrad, cagrad and mgda run the backward pass
    /// once for each objective. Default: fixed.
    pub kind: WeightingKind,
    /// What is weighed: tasks, scenarios or cells. Default: tasks.
    pub objectives: Objectives,
    /// Learning rate of the weights, by Adam (uncertainty 0.01, gradnorm 0.025, famo 0.025).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// How strongly rates are pulled together (gradnorm). Default: 1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Softness of the weights (dwa). Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Steps over which a loss is averaged before it is compared with the average before (dwa). The paper's is an epoch; models
    /// that see their rows once or thrice would never be weighed. Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// How far from the mean gradient the step may point, as a share of its length (cagrad). Default: 0.4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// Whether gradients are brought to length 1 first (mgda): without it the objective of the shortest gradient decides
    /// alone. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<bool>,
    /// Pull of the weights towards each other (famo). Default: 0.001.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}

impl WeightingKind {
    /// As the experiment spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            WeightingKind::Fixed => "fixed",
            WeightingKind::Uncertainty => "uncertainty",
            WeightingKind::Gradnorm => "gradnorm",
            WeightingKind::Dwa => "dwa",
            WeightingKind::Pcgrad => "pcgrad",
            WeightingKind::Cagrad => "cagrad",
            WeightingKind::Mgda => "mgda",
            WeightingKind::Famo => "famo",
        }
    }

    /// Whether it looks at each objective's gradient.
    pub(crate) fn reads_gradients(self) -> bool {
        match self {
            WeightingKind::Gradnorm | WeightingKind::Pcgrad | WeightingKind::Cagrad | WeightingKind::Mgda => true,
            WeightingKind::Fixed | WeightingKind::Uncertainty | WeightingKind::Dwa | WeightingKind::Famo => false,
        }
    }

    /// Whether its factors are for the batch whose gradients were looked at; those of others are for the next one.
    pub(crate) fn combines_gradients(self) -> bool {
        self.reads_gradients() && self != WeightingKind::Gradnorm
    }
}

/// An option with its value, the kinds that it means something to, and what it may be.
struct Setting {
    key: &'static str,
    value: Option<f64>,
    kinds: &'static [WeightingKind],
    is_right: fn(f64) -> bool,
    expected: &'static str,
}

impl WeightingConfig {
    /// What is wrong with it, as (key, message).
    pub(crate) fn check(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for Setting { key, value, kinds, is_right, expected } in self.settings() {
            let Some(value) = value else { continue };
            if !kinds.contains(&self.kind) {
                found.push((key, format!("has no meaning for `{}`: remove it", self.kind.name())));
            } else if !value.is_finite() || !is_right(value) {
                found.push((key, format!("expected {expected}, found {value}")));
            }
        }
        if self.kind == WeightingKind::Fixed && self.objectives != Objectives::Tasks {
            found.push(("objectives", "has no meaning for `fixed`: remove it".to_owned()));
        }
        found
    }

    fn settings(&self) -> [Setting; 7] {
        use WeightingKind::{Cagrad, Dwa, Famo, Gradnorm, Mgda, Uncertainty};
        const ABOVE: (fn(f64) -> bool, &str) = (|value| value > 0.0, "a finite number above 0");
        const NOT_BELOW: (fn(f64) -> bool, &str) = (|value| value >= 0.0, "a finite number, at least 0");
        const SHARE: (fn(f64) -> bool, &str) = (|value| (0.0..1.0).contains(&value), "at least 0 and below 1");
        const LEARNS: &[WeightingKind] = &[Uncertainty, Gradnorm, Famo];
        let setting = |key, value, kinds, (is_right, expected)| Setting { key, value, kinds, is_right, expected };
        [
            setting("learning_rate", self.learning_rate, LEARNS, ABOVE),
            setting("alpha", self.alpha, &[Gradnorm], NOT_BELOW),
            setting("temperature", self.temperature, &[Dwa], ABOVE),
            setting("window", self.window.map(|window| window as f64), &[Dwa], ABOVE),
            setting("radius", self.radius, &[Cagrad], SHARE),
            setting("normalise", self.normalise.map(|_| 1.0), &[Mgda], ABOVE),
            setting("weight_decay", self.weight_decay, &[Famo], NOT_BELOW),
        ]
    }
}
