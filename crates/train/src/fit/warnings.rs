//! What a user should know before waiting for a result.

use hinet_data::Layout;

use super::floors::BelowFloor;
use crate::metrics::{SplitMetrics, UNKNOWN_SCENARIO};

/// A scenario whose rows weigh this many times as much as those of another makes steps noisy.
const LARGE_WEIGHT: f64 = 100.0;

/// A warning if rows of some scenario weigh more than is good for the steps.
pub(crate) fn of_weights(layout: &Layout, weights: &[f64], power: f64) -> Option<String> {
    let (scenario, weight) = weights.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    (*weight > LARGE_WEIGHT).then(|| {
        let (name, rows) = (&layout.scenarios[scenario], layout.scenario_rows[scenario]);
        format!(
            "a row of scenario `{name}` ({rows} rows) weighs {weight:.0} times an average row: \
             `train.scenario_weight_power = {power}` lets few rows rule the steps; try 0.5 or 0"
        )
    })
}

/// A warning if there is nothing to choose the best weights by.
pub(crate) fn of_missing_parts(valid: bool, test: bool) -> Option<&'static str> {
    match (valid, test) {
        (true, _) => None,
        (false, true) => Some("there are no validation rows: the weights of the last step are kept"),
        (false, false) => Some(
            "there are neither validation nor test rows: the weights of the last step are kept and nothing is measured",
        ),
    }
}

/// Scenarios of train of which no row was observed for any task.
pub(crate) fn scenarios_without_rows(metrics: &SplitMetrics) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for scenario in metrics.cells.chunk_by(|a, b| a.scenario == b.scenario) {
        let name = scenario[0].scenario.as_deref().filter(|name| *name != UNKNOWN_SCENARIO);
        if scenario.iter().all(|cell| cell.rows == 0) {
            names.extend(name);
        }
    }
    names
}

/// A warning that no weights kept every floor.
pub(crate) fn of_floors(below: &[BelowFloor]) -> String {
    let cell = |BelowFloor { scenario, task, auc, floor }: &BelowFloor| {
        let auc = auc.map_or_else(|| "none".to_owned(), |auc| format!("{auc:.4}"));
        format!("`{task}` in `{scenario}` (AUC {auc}, floor {floor:.4})")
    };
    let cells: Vec<String> = below.iter().map(cell).collect();
    format!("no evaluation kept every floor of `train.floors`; the best weights are below it in {}", cells.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Cell;

    fn cell(scenario: &str, rows: u64) -> Cell {
        Cell { scenario: Some(scenario.to_owned()), rows, ..Cell::default() }
    }

    #[test]
    fn a_scenario_counts_as_absent_only_if_all_its_cells_are_empty() {
        let cells = vec![cell("a", 0), cell("a", 3), cell("b", 0), cell("b", 0), cell(UNKNOWN_SCENARIO, 0)];
        assert_eq!(scenarios_without_rows(&SplitMetrics { cells, ..SplitMetrics::default() }), ["b"]);
    }
}
