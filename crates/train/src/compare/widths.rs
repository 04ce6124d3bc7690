//! Widths scaled until models have the same number of dense parameters.
//!
//! All lists of hidden widths of a model (options named `units`, or ending in `_units`) are multiplied by one factor and
//! rounded, at least 1 each. Everything else stays: numbers of experts, levels and sub-experts, embeddings, gates.

use hinet_data::{Layout, Seed};
use hinet_model::{Form, ModelConfig, Network};
use hinet_tape::Params;
use serde_json::Value;

use super::{CompareRuns, comparison};
use crate::TrainError;

/// The share of the first model's parameters that another may have more or fewer.
const TOLERANCE: f64 = 0.03;
/// Largest factor tried, and one over the smallest.
const LARGEST: f64 = 64.0;
/// Halvings of the span of factors.
const HALVINGS: usize = 40;

/// Checks that every model can be made for this data and, if asked for, scales all but the first. The factors, where
/// models were scaled.
pub(super) fn matched(runs: &mut CompareRuns, layout: &Layout) -> Result<Vec<Option<f64>>, TrainError> {
    let target = dense_parameters(layout, &runs.models[0].model).map_err(|error| of(&runs.models[0].name, &error))?;
    let scaled = runs.match_parameters;
    let mut factors = vec![None];
    for model in &mut runs.models[1..] {
        let own = dense_parameters(layout, &model.model).map_err(|error| of(&model.name, &error))?;
        if !scaled {
            factors.push(None);
            continue;
        }
        let (factor, config, found) = nearest(layout, &model.model, target, own);
        if (found as f64 / target as f64 - 1.0).abs() > TOLERANCE {
            let name = &model.name;
            return Err(comparison(format!(
                "`{name}` cannot be matched: {found} dense parameters are the nearest its widths come to the first \
                 model's {target}; set its numbers of experts and levels in `[compare.models.{name}]`, leave it out, \
                 or leave out --match-parameters"
            )));
        }
        model.model = config;
        factors.push(Some(factor));
    }
    Ok(factors)
}

fn of(model: &str, error: &hinet_model::ModelError) -> TrainError {
    comparison(format!("{model}: {error}"))
}

/// The factor, the model and its parameters that come nearest to the target.
fn nearest(layout: &Layout, config: &ModelConfig, target: usize, own: usize) -> (f64, ModelConfig, usize) {
    let mut best = (1.0, config.clone(), own);
    let (mut low, mut high) = (-LARGEST.ln(), LARGEST.ln());
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let factor = middle.exp();
        let scaled = scaled(config, factor);
        // Widths that no layer may have are too large ones.
        let found = scaled.as_ref().and_then(|scaled| dense_parameters(layout, scaled).ok());
        if let (Some(scaled), Some(found)) = (scaled, found)
            && found.abs_diff(target) < best.2.abs_diff(target)
        {
            best = (factor, scaled, found);
        }
        if found.is_some_and(|found| found < target) { low = middle } else { high = middle }
    }
    best
}

/// The model with its widths multiplied; nothing if that is no model.
fn scaled(config: &ModelConfig, factor: f64) -> Option<ModelConfig> {
    let mut value = serde_json::to_value(config).ok()?;
    scale(&mut value, factor);
    serde_json::from_value(value).ok()
}

fn scale(value: &mut Value, factor: f64) {
    let Value::Object(entries) = value else { return };
    for (key, value) in entries {
        let is_units = key == "units" || key.ends_with("_units");
        if let (true, Value::Array(units)) = (is_units, &mut *value) {
            for unit in units {
                if let Some(width) = unit.as_f64() {
                    *unit = Value::from((width * factor).round().max(1.0) as u64);
                }
            }
        } else {
            scale(value, factor);
        }
    }
}

fn dense_parameters(layout: &Layout, config: &ModelConfig) -> Result<usize, hinet_model::ModelError> {
    let network = Network::record(layout, config, Form::Own)?;
    Ok(Params::new(network.graph.params(), |_| Seed(0).0).trainable_len())
}

#[cfg(test)]
mod tests {
    use hinet_data::{Slot, TaskSpec, UnknownScenario};
    use hinet_model::zoo;

    use super::*;

    fn layout() -> Layout {
        let task = |name: &str| TaskSpec::new(name);
        Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: vec![Slot::Dense { feature: "numbers".into(), width: 24 }],
            scenarios: vec!["home".into(), "search".into()],
            scenario_rows: vec![1, 1],
            tasks: vec![task("click"), task("order")],
            unknown: UnknownScenario::Error,
        }
    }

    fn preset(name: &str) -> ModelConfig {
        zoo::find(name).unwrap().config()
    }

    #[test]
    fn widths_are_scaled_to_within_a_few_percent_and_nothing_else_is() {
        let (layout, hinet) = (layout(), preset("hinet"));
        let target = dense_parameters(&layout, &preset("towers")).unwrap();
        let own = dense_parameters(&layout, &hinet).unwrap();
        let (factor, config, found) = nearest(&layout, &hinet, target, own);
        assert!(factor < 1.0 && (found as f64 / target as f64 - 1.0).abs() < TOLERANCE, "{factor} {found} {target}");
        let without = |config: &ModelConfig| {
            let mut value = serde_json::to_value(config).unwrap();
            scale(&mut value, 0.0);
            value
        };
        assert_eq!(without(&config), without(&hinet));
        assert_eq!(nearest(&layout, &hinet, own, own).0, 1.0, "what fits is left alone");
    }

    #[test]
    fn a_model_without_widths_stays_as_it_is() {
        let (layout, linear) = (layout(), preset("logistic_regression"));
        let own = dense_parameters(&layout, &linear).unwrap();
        assert_eq!(nearest(&layout, &linear, 100_000, own), (1.0, linear.clone(), own));
    }
}
