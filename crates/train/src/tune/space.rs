//! Which settings are tried.

use std::collections::BTreeSet;

use hinet_data::Seed;
use serde_json::Value as Json;

use crate::experiment::{Draws, Setting, TuneConfig, TuneStrategy};

/// Most combinations of a grid.
const MOST: u64 = 100_000;

/// The settings, in the order they are tried, none twice. The error is a message for the user.
pub(super) fn settings(config: &TuneConfig, seed: Seed) -> Result<Vec<Setting>, String> {
    match config.strategy {
        TuneStrategy::Grid => grid(config),
        TuneStrategy::Random | TuneStrategy::Halving => Ok(drawn(config, seed)),
    }
}

/// Each key has a random stream of its own, so that another key, or more trials, change no setting's values.
fn drawn(config: &TuneConfig, seed: Seed) -> Vec<Setting> {
    let (mut seen, mut settings) = (BTreeSet::new(), Vec::new());
    // A space of few combinations is exhausted before long.
    for index in 0..config.trials.saturating_mul(20) {
        if settings.len() as u64 == config.trials {
            break;
        }
        let setting: Setting = checked(config)
            .map(|(key, draws)| (key.to_owned(), draws.draw(seed.stream(&format!("tune {key}"), index))))
            .collect();
        if seen.insert(serde_json::to_string(&setting).expect("values came from a file of text")) {
            settings.push(setting);
        }
    }
    settings
}

fn grid(config: &TuneConfig) -> Result<Vec<Setting>, String> {
    let axes: Vec<(&str, Vec<Json>)> = checked(config).map(|(key, draws)| (key, draws.all())).collect();
    let combinations = axes.iter().try_fold(1_u64, |product, (_, values)| product.checked_mul(values.len() as u64));
    if combinations.is_none_or(|combinations| combinations > MOST) {
        return Err(format!("the grid has more than {MOST} combinations"));
    }
    let mut settings = vec![Setting::new()];
    for (key, values) in axes {
        let with = |setting: &Setting, value: &Json| {
            let mut setting = setting.clone();
            setting.insert(key.to_owned(), value.clone());
            setting
        };
        settings = settings.iter().flat_map(|setting| values.iter().map(move |value| with(setting, value))).collect();
    }
    Ok(settings)
}

fn checked(config: &TuneConfig) -> impl Iterator<Item = (&str, Draws<'_>)> {
    config
        .space
        .iter()
        .map(|(key, range)| (key.as_str(), range.draws().expect("ranges are checked when they are read")))
}

impl Draws<'_> {
    /// The value that 64 random bits stand for.
    fn draw(self, bits: u64) -> Json {
        // 53 bits, as many as a number in double precision tells apart.
        let share = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        let below = |count: u64| ((u128::from(bits) * u128::from(count)) >> 64) as u64;
        match self {
            Draws::Log(from, to) => rounded((from.ln() + share * (to.ln() - from.ln())).exp(), from, to).into(),
            Draws::Uniform(from, to) => rounded(from + share * (to - from), from, to).into(),
            Draws::Int(from, to) => from.wrapping_add(below(to.abs_diff(from).saturating_add(1)) as i64).into(),
            Draws::Choice(choices) => choices[below(choices.len() as u64) as usize].clone(),
        }
    }

    /// Every value of a range that can be counted.
    fn all(self) -> Vec<Json> {
        match self {
            Draws::Int(from, to) => (from..=to).take(MOST as usize + 1).map(Json::from).collect(),
            Draws::Choice(choices) => choices.to_vec(),
            Draws::Log(..) | Draws::Uniform(..) => Vec::new(),
        }
    }
}

/// To three digits, and never outside.
fn rounded(value: f64, from: f64, to: f64) -> f64 {
    let short: f64 = format!("{value:.2e}").parse().expect("a number that was written as one");
    short.clamp(from, to)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(strategy: &str, space: Json) -> TuneConfig {
        serde_json::from_value(json!({ "strategy": strategy, "trials": 200, "space": space })).unwrap()
    }

    fn values(settings: &[Setting], key: &str) -> Vec<f64> {
        settings.iter().map(|setting| setting[key].as_f64().unwrap()).collect()
    }

    #[test]
    fn draws_stay_within_their_ranges_and_fill_them() {
        let space = json!({ "a": { "log": [1e-4, 1e-2] }, "b": { "uniform": [-1.0, 1.0] }, "c": { "int": [2, 4] } });
        let settings = settings(&config("random", space), Seed(3)).unwrap();
        assert_eq!(settings.len(), 200);
        let a = values(&settings, "a");
        assert!(a.iter().all(|value| (1e-4..=1e-2).contains(value)));
        assert!((70..130).contains(&a.iter().filter(|value| **value < 1e-3).count()), "half of it on a log scale");
        let b = values(&settings, "b");
        assert!(b.iter().all(|value| (-1.0..=1.0).contains(value)));
        assert!((70..130).contains(&b.iter().filter(|value| **value < 0.0).count()));
        let c = values(&settings, "c");
        assert!(
            [2.0, 3.0, 4.0].iter().all(|value| c.contains(value)) && c.iter().all(|value| (2.0..=4.0).contains(value))
        );
    }

    #[test]
    fn another_key_and_more_trials_change_no_value_of_a_setting() {
        let few = settings(&config("random", json!({ "a": { "log": [1e-4, 1e-2] } })), Seed(3)).unwrap();
        let space = json!({ "a": { "log": [1e-4, 1e-2] }, "b": { "uniform": [0.0, 1.0] } });
        let more = TuneConfig { trials: 300, ..config("random", space) };
        let more = settings(&more, Seed(3)).unwrap();
        assert_eq!(values(&more, "a")[..10], values(&few, "a")[..10]);
        assert_eq!(more.len(), 300);
    }

    #[test]
    fn a_small_space_is_tried_once_each_and_a_grid_in_order() {
        let space = json!({ "x": { "choice": ["adam", "sgd"] }, "y": { "int": [1, 3] } });
        assert_eq!(settings(&config("random", space.clone()), Seed(1)).unwrap().len(), 6);
        let grid = settings(&config("grid", space), Seed(1)).unwrap();
        let shown: Vec<String> = grid.iter().map(|one| format!("{}{}", one["x"], one["y"])).collect();
        assert_eq!(shown, ["\"adam\"1", "\"adam\"2", "\"adam\"3", "\"sgd\"1", "\"sgd\"2", "\"sgd\"3"]);
        let large = json!({ "x": { "int": [1, 1000] }, "y": { "int": [1, 1000] } });
        assert!(settings(&config("grid", large), Seed(1)).unwrap_err().contains("100000"));
    }
}
