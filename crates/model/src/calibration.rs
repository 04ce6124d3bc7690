//! What turns a model's scores into probabilities that are right on average, cell by cell.
//!
//! Two corrections, in this order, wherever a [`Plan`](crate::Plan) scores:
//!
//! | what | formula | from |
//! | --- | --- | --- |
//! | negatives that train was spared | `p' = r p / (r p + 1 - p)` | He et al. 2014, "Practical Lessons from Predicting Clicks on Ads at Facebook", 6.3 |
//! | [`Curve::Platt`] | `p' = sigmoid(a logit(p) + b)` | Platt 1999, "Probabilistic Outputs for Support Vector Machines" |
//! | [`Curve::Isotonic`] | linear between knots, and beyond them that of the nearest | Zadrozny and Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates" |
//!
//! r is a task's [`negative_rate`](hinet_data::TaskSpec::negative_rate): where a share r of the negatives was kept, train's
//! odds are 1/r times the true ones. (The paper writes `p / (p + (1 - p) / w)`, its w being r.) The correction is made of a
//! task's final probability, whatever it is composed of.
//!
//! No correction turns two scores of a cell around: rates are positive, `a` is, knots ascend. They may make them equal where
//! knots do, or where single precision cannot tell them apart. Scores stay `f32` between the two corrections, so that a
//! curve is fitted to the very numbers that it is later given.

mod check;
mod correction;

pub(crate) use correction::Correction;

use hinet_data::Layout;
use serde::{Deserialize, Serialize};

use crate::{Model, ModelError};

/// Most knots of an isotonic curve.
pub const MAX_KNOTS: usize = 256;

/// Curves for every cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What was asked for; a cell may have no curve of its own.
    pub method: CalibrationMethod,
    /// Scenario by scenario and in each task by task, as the layout has them; then task by task for rows of unknown
    /// scenarios.
    pub cells: Vec<CalibratedCell>,
}

/// A kind of curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// Two numbers.
    #[default]
    Platt,
    /// As many steps as the rows show.
    Isotonic,
}

/// The curve of one scenario and task, with the rows that it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedCell {
    /// The scenario; absent for rows of unknown ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The task.
    pub task: String,
    /// Rows of the cell that were looked at and whose label was observed.
    pub rows: u64,
    /// Those whose label is 1.
    pub positives: u64,
    /// Whose rows the curve was fitted on.
    pub fitted_on: FittedOn,
    /// From the model's score to a probability.
    pub curve: Curve,
}

/// The rows that a curve was fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FittedOn {
    /// Those of the cell.
    Cell,
    /// Those of the task in all scenarios: the cell had too few, or is that of unknown scenarios.
    Task,
    /// None: the task had too few as well.
    Nothing,
}

/// From a score to a probability; never descending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Curve {
    /// The score itself, to the last bit.
    Identity,
    /// `sigmoid(a logit(p) + b)`.
    Platt {
        /// Above 0.
        a: f64,
        /// Any finite number.
        b: f64,
    },
    /// Linear between knots.
    Isotonic {
        /// Scores and what they become: the first ascend, the second do not descend; from 1 to [`MAX_KNOTS`] of them.
        knots: Vec<(f64, f64)>,
    },
}

/// Scores are taken to be at least this, where their logit is wanted: 0 has none.
const LEAST: f64 = 1e-12;
/// ... and at most this: half way from the largest `f32` below 1 to 1.
const MOST: f64 = 1.0 - 0.5 / (1_u64 << 24) as f64;

/// `ln p - ln(1 - p)` of a score, which is taken to be no nearer to 0 than 1e-12 and no nearer to 1 than 2^-25.
#[must_use]
pub fn logit(p: f32) -> f64 {
    let p = f64::from(p).clamp(LEAST, MOST);
    p.ln() - (-p).ln_1p()
}

/// `1 / (1 + exp(-z))`.
fn sigmoid(z: f64) -> f64 {
    // The exponential of a positive number may overflow.
    let small = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

impl Curve {
    /// The probability that a score stands for. What is not a number stays so.
    #[must_use]
    pub fn apply(&self, p: f32) -> f32 {
        match self {
            Curve::Identity => p,
            Curve::Platt { a, b } => sigmoid(a * logit(p) + b) as f32,
            Curve::Isotonic { .. } if p.is_nan() => p,
            Curve::Isotonic { knots } => interpolate(knots, f64::from(p)) as f32,
        }
    }
}

/// Linear between knots, and beyond them the value of the nearest. Never descends, rounding included: every step of it
/// ascends with x, and a piece is cut off at its end.
fn interpolate(knots: &[(f64, f64)], x: f64) -> f64 {
    let after = knots.partition_point(|knot| knot.0 <= x);
    match (knots[..after].last(), knots.get(after)) {
        (Some(&(x0, y0)), Some(&(x1, y1))) => (y0 + (y1 - y0) * ((x - x0) / (x1 - x0))).min(y1),
        (Some(&(_, y)), None) | (None, Some(&(_, y))) => y,
        (None, None) => x,
    }
}

impl Calibration {
    /// The cell of a scenario, or of unknown ones, and a task.
    #[must_use]
    pub fn cell(&self, scenario: Option<&str>, task: &str) -> Option<&CalibratedCell> {
        self.cells.iter().find(|cell| cell.scenario.as_deref() == scenario && cell.task == task)
    }

    /// Refuses curves that are none, and cells that are not those of the layout.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(crate) fn check(&self, layout: &Layout) -> Result<(), (String, String)> {
        check::cells(self, layout)
    }
}

impl Model {
    /// The curves that its scores go through, if any.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Sets the curves that scores of plans made from now on go through, or takes them away.
    ///
    /// # Errors
    /// [`ModelError::BadOption`] if the cells are not those of the model, or a curve is none.
    pub fn set_calibration(&mut self, calibration: Option<Calibration>) -> Result<(), ModelError> {
        if let Some(calibration) = &calibration {
            let bad = |(found, expected)| crate::config::bad("calibration", found, expected);
            calibration.check(&self.layout).map_err(bad)?;
        }
        self.calibration = calibration;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
