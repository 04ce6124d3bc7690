//! What is trained, and training.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hinet_data::Tables;
use hinet_train::{ExperimentError, FitOptions, RunFolder, TrainError, fit};
use pyo3::prelude::*;

use crate::error::raised;
use crate::source::Source;
use crate::watch::{Watch, watched};

/// An experiment that was checked, with the text it was read from.
#[pyclass(frozen, module = "hinet._hinet")]
pub(crate) struct Experiment {
    text: String,
    path: PathBuf,
    sets: Vec<(String, String)>,
    pub(crate) checked: hinet_train::Experiment,
}

#[pymethods]
impl Experiment {
    /// From the text of an experiment file that stands, or might stand, at `path`; `sets` as `--set` of the command line.
    #[staticmethod]
    fn parse(py: Python<'_>, text: String, path: PathBuf, sets: Vec<(String, String)>) -> PyResult<Experiment> {
        let checked = hinet_train::Experiment::parse(&text, &path, &sets).map_err(|error| refused(py, error))?;
        Ok(Experiment { text, path, sets, checked })
    }

    /// From an experiment file written as JSON.
    #[staticmethod]
    fn from_json(py: Python<'_>, json: &str, path: PathBuf) -> PyResult<Experiment> {
        let text = hinet_train::toml_of(json, &path).map_err(|error| refused(py, error))?;
        Experiment::parse(py, text, path, Vec::new())
    }

    /// The same experiment on tables: `memory:NAME` in `[data]` stands for the table NAME.
    fn with_tables(&self, tables: BTreeMap<String, PyRef<'_, Source>>) -> Experiment {
        let tables =
            tables.iter().fold(Tables::default(), |tables, (name, source)| tables.with(name, source.rows.clone()));
        Experiment {
            text: self.text.clone(),
            path: self.path.clone(),
            sets: self.sets.clone(),
            checked: self.checked.clone().with_tables(tables),
        }
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.checked.name
    }

    /// Whether it has rows for a part.
    fn has(&self, part: &str) -> bool {
        match part {
            "valid" => self.checked.has_valid(),
            "test" => self.checked.has_test(),
            _ => part == "train",
        }
    }

    /// Every key, with every default.
    fn to_toml(&self) -> String {
        self.checked.to_toml()
    }

    /// Trains into the folder `out`; the metrics as JSON.
    fn fit(&self, py: Python<'_>, out: PathBuf, resume: bool, watch: Watch) -> PyResult<String> {
        let summary = watched(py, &watch, |worker| {
            fit(&self.checked, &out, FitOptions { resume, stop: worker.stop(), observer: worker })
        })?;
        Ok(summary.metrics.to_json())
    }

    /// A folder below `root` that no run has yet.
    fn fresh_folder(&self, root: PathBuf) -> PathBuf {
        RunFolder::fresh_path(&root, &self.checked.name)
    }
}

impl Experiment {
    /// The experiment of one model of a comparison, on the same tables.
    pub(crate) fn of_model(&self, model: &str) -> Result<hinet_train::Experiment, TrainError> {
        let found = hinet_train::Experiment::parse_model(&self.text, &self.path, &self.sets, model)?;
        Ok(found.with_tables(self.checked.tables.clone()))
    }
}

fn refused(py: Python<'_>, error: ExperimentError) -> PyErr {
    raised(py, TrainError::from(error))
}

/// The JSON Schema of experiment files.
#[pyfunction]
pub(crate) fn schema() -> String {
    hinet_train::json_schema().to_string()
}

/// Names of the presets with what they are.
#[pyfunction]
pub(crate) fn presets() -> Vec<(&'static str, &'static str)> {
    hinet_model::zoo::PRESETS.iter().map(|preset| (preset.name, preset.about)).collect()
}
