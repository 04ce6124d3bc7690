//! What a run must not lose: the AUC of each cell of another run, less a tolerance.

use hinet_data::Layout;
use serde::{Deserialize, Serialize};

use crate::experiment::FloorsConfig;
use crate::metrics::{Cell, SplitMetrics, has_enough};
use crate::run_folder::RunFolder;
use crate::{Metrics, TrainError};

/// The least AUC of each cell on the validation rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Floors {
    cells: Vec<Floor>,
}

#[derive(Clone, Debug, PartialEq)]
struct Floor {
    scenario: String,
    task: String,
    rows: u64,
    least: f64,
}

/// A cell below its floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BelowFloor {
    pub(crate) scenario: String,
    pub(crate) task: String,
    /// Its AUC; absent where it has none.
    pub(crate) auc: Option<f64>,
    /// The AUC of the other run, less the tolerance.
    pub(crate) floor: f64,
}

impl Floors {
    /// Reads what the other run reached. Cells with fewer rows of either class than `min_positives` have no floor: their AUC is
    /// chance.
    ///
    /// # Errors
    /// If the folder holds no finished run with validation rows, or one of other scenarios and tasks.
    pub(crate) fn open(config: &FloorsConfig, min_positives: u64, layout: &Layout) -> Result<Floors, TrainError> {
        let path = RunFolder::at(&config.run).metrics();
        let text = std::fs::read_to_string(&path).map_err(TrainError::io(&path))?;
        let damaged = |reason: String| TrainError::Damaged { path: path.clone(), reason };
        let metrics = Metrics::from_json(&text).map_err(|error| damaged(error.to_string()))?;
        let Some(valid) = metrics.splits.get("valid") else {
            return Err(damaged("the run has no validation rows: it can be no floor for another".to_owned()));
        };
        let floor = |cell: &Cell| {
            let is_large = has_enough(cell.rows, cell.positives, min_positives.max(1));
            let (scenario, auc) = (cell.scenario.clone()?, cell.auc.filter(|_| is_large)?);
            Some(Floor { scenario, task: cell.task.clone(), rows: cell.rows, least: auc - config.tolerance })
        };
        let is_here = |cell: &&Cell| {
            let scenario = cell.scenario.as_ref().is_some_and(|name| layout.scenarios.contains(name));
            scenario && layout.tasks.iter().any(|task| task.name == cell.task)
        };
        if !valid.cells.iter().any(|cell| is_here(&cell)) {
            return Err(damaged("none of its cells is a scenario and task of this experiment".to_owned()));
        }
        Ok(Floors { cells: valid.cells.iter().filter_map(floor).collect() })
    }

    /// The cells that are below their floor.
    pub(crate) fn below(&self, metrics: &SplitMetrics) -> Vec<BelowFloor> {
        let below = |floor: &Floor| {
            let auc = metrics.cell(Some(&floor.scenario), &floor.task).and_then(|cell| cell.auc);
            let is_below = auc.is_none_or(|auc| auc < floor.least);
            is_below.then(|| BelowFloor {
                scenario: floor.scenario.clone(),
                task: floor.task.clone(),
                auc,
                floor: floor.least,
            })
        };
        self.cells.iter().filter_map(below).collect()
    }

    /// A cell whose rows are not those of the other run, in words: then its AUC is no measure.
    pub(crate) fn mismatch(&self, metrics: &SplitMetrics) -> Option<String> {
        self.cells.iter().find_map(|floor| {
            let Floor { scenario, task, rows: expected, .. } = floor;
            let rows = metrics.cell(Some(scenario), task).map_or(0, |cell| cell.rows);
            (rows != *expected).then(|| {
                format!("{rows} validation rows of scenario `{scenario}` have the task `{task}`, there {expected}")
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use hinet_data::{TaskSpec, UnknownScenario};

    use super::*;

    fn metrics(aucs: [Option<f64>; 2]) -> SplitMetrics {
        let cell = |(scenario, auc): (&str, Option<f64>)| Cell {
            scenario: Some(scenario.to_owned()),
            task: "click".to_owned(),
            rows: 100,
            positives: 40,
            auc,
            ..Cell::default()
        };
        SplitMetrics { cells: ["a", "b"].into_iter().zip(aucs).map(cell).collect(), ..SplitMetrics::default() }
    }

    fn layout(scenarios: &[&str]) -> Layout {
        Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: Vec::new(),
            scenarios: scenarios.iter().map(|&name| name.to_owned()).collect(),
            scenario_rows: vec![1; scenarios.len()],
            tasks: vec![TaskSpec::new("click")],
            unknown: UnknownScenario::Error,
        }
    }

    fn floors(place: &tempfile::TempDir, aucs: [Option<f64>; 2], min_positives: u64) -> Floors {
        let base = Metrics { splits: [("valid".to_owned(), metrics(aucs))].into(), ..Metrics::default() };
        std::fs::write(place.path().join("metrics.json"), base.to_json()).unwrap();
        let config = FloorsConfig { run: place.path().to_owned(), tolerance: 0.01 };
        Floors::open(&config, min_positives, &layout(&["b", "a"])).unwrap()
    }

    #[test]
    fn a_cell_may_lose_the_tolerance_and_no_more() {
        let place = tempfile::tempdir().unwrap();
        let floors = floors(&place, [Some(0.7), Some(0.6)], 10);
        assert_eq!(floors.below(&metrics([Some(0.695), Some(0.9)])), []);
        let below = floors.below(&metrics([Some(0.68), None]));
        assert_eq!(below.iter().map(|below| below.scenario.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(below[0].auc, Some(0.68));
    }

    #[test]
    fn small_and_undefined_cells_have_no_floor() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(floors(&place, [Some(0.7), None], 10).cells.len(), 1);
        assert_eq!(floors(&place, [Some(0.7), Some(0.6)], 50).cells.len(), 0);
    }

    #[test]
    fn other_validation_rows_are_told() {
        let place = tempfile::tempdir().unwrap();
        let floors = floors(&place, [Some(0.7), Some(0.6)], 10);
        let mut other = metrics([Some(0.7), Some(0.6)]);
        assert_eq!(floors.mismatch(&other), None);
        other.cells[1].rows = 99;
        assert!(floors.mismatch(&other).unwrap().starts_with("99 validation rows of scenario `b`"));
    }

    #[test]
    fn a_folder_without_a_finished_run_is_named() {
        let place = tempfile::tempdir().unwrap();
        let config = FloorsConfig { run: place.path().to_owned(), tolerance: 0.0 };
        assert!(Floors::open(&config, 1, &layout(&["a"])).unwrap_err().to_string().contains("metrics.json"));
    }

    #[test]
    fn a_run_of_other_scenarios_is_no_floor() {
        let place = tempfile::tempdir().unwrap();
        floors(&place, [Some(0.7), Some(0.6)], 10);
        let config = FloorsConfig { run: place.path().to_owned(), tolerance: 0.0 };
        let error = Floors::open(&config, 1, &layout(&["c"])).unwrap_err().to_string();
        assert!(error.ends_with("none of its cells is a scenario and task of this experiment"), "{error}");
    }
}
