//! A trained model: metrics, scores, exports.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use hinet_model::{CalibrationMethod, ExportFormat, OnnxForm};
use hinet_train::{CalibrationData, InspectOptions, Inspection};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3_arrow::PyTable;
use serde_json::json;

use crate::error::raised;
use crate::source::Source;
use crate::watch::{Watch, watched};

/// A finished run, opened. Threads may score with it side by side.
#[pyclass(frozen, module = "hinet._hinet")]
pub(crate) struct Run {
    opened: RwLock<hinet_train::Run>,
}

/// Columns to keep, and the file to write: `(keep, output)`.
#[derive(FromPyObject)]
struct Written(Vec<String>, PathBuf);

/// Rows of each scenario to look at, and whether to find out what features are worth: `(rows, importance)`.
#[derive(FromPyObject)]
struct Look(usize, bool);

#[pymethods]
impl Run {
    /// Opens a run folder.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Run> {
        let opened = py.detach(|| hinet_train::Run::open(&path));
        opened.map(|run| Run { opened: RwLock::new(run) }).map_err(|error| raised(py, error))
    }

    /// Its model as JSON: name, preset, scenarios, tasks, the columns that scoring reads.
    fn about(&self, py: Python<'_>) -> String {
        py.detach(|| self.told())
    }

    /// The metrics over rows, as JSON.
    fn evaluate(&self, py: Python<'_>, source: &Source, name: &str, watch: Watch) -> PyResult<String> {
        let metrics = watched(py, &watch, |worker| {
            worker.scoring(|options| hinet_train::evaluate(&self.run(), &source.rows, name, options))
        });
        metrics.map(|metrics| metrics.to_json())
    }

    /// The scenario, the columns `keep` and a column `p_<task>` for each task, in the order of the rows: an `arro3.core.Table`.
    fn score<'py>(
        &self,
        py: Python<'py>,
        source: &Source,
        keep: Vec<String>,
        watch: Watch,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (schema, batches) = watched(py, &watch, |worker| {
            worker.scoring(|options| hinet_train::score(&self.run(), &source.rows, &keep, options))
        })?;
        PyTable::try_new(batches, schema)?.into_arro3(py)
    }

    /// The same into a file; the rows written.
    fn predict(&self, py: Python<'_>, source: &Source, written: Written, watch: Watch) -> PyResult<u64> {
        let Written(keep, output) = written;
        let predicted = watched(py, &watch, |worker| {
            worker.scoring(|options| hinet_train::predict(&self.run(), &source.rows, &keep, &output, options))
        })?;
        Ok(predicted.rows)
    }

    /// The encoded inputs of the model into a file; the rows written.
    fn encode(&self, py: Python<'_>, source: &Source, written: Written, watch: Watch) -> PyResult<u64> {
        let Written(keep, output) = written;
        let encoded = watched(py, &watch, |worker| {
            worker.scoring(|options| hinet_train::encode(&self.run(), &source.rows, &keep, &output, options))
        })?;
        Ok(encoded.rows)
    }

    /// Exports into a folder; rows that were checked, and the largest difference.
    fn export(
        &self,
        py: Python<'_>,
        format: &str,
        folder: PathBuf,
        source: Option<PyRef<'_, Source>>,
    ) -> PyResult<(usize, f32)> {
        let format = match format {
            "onnx" => ExportFormat::Onnx(OnnxForm::Full),
            "triton" => ExportFormat::Triton(OnnxForm::Full),
            "safetensors" => ExportFormat::Safetensors,
            other => {
                let problem = format!("`{other}` is no format; expected onnx, triton or safetensors");
                return Err(PyValueError::new_err(problem));
            }
        };
        let rows = source.map(|source| source.rows.clone());
        let exported =
            watched(py, &Watch::default(), |_| hinet_train::export_run(&self.run(), rows.as_ref(), format, &folder))?;
        Ok((exported.exported.rows, exported.exported.difference))
    }

    /// A look inside on rows, as JSON.
    fn inspect(&self, py: Python<'_>, source: &Source, look: Look, watch: Watch) -> PyResult<String> {
        let Look(rows_per_scenario, importance) = look;
        let seen = watched(py, &watch, |worker| {
            worker.scoring(|score| {
                let options = InspectOptions { rows_per_scenario, importance, score };
                hinet_train::inspect(&self.run(), Some(&source.rows), options)
            })
        })?;
        Ok(seen.to_json())
    }

    /// The look inside that training took at its end, if it stands in the run folder.
    fn inspection(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let seen = py.detach(|| Inspection::load(&self.run().folder)).map_err(|error| raised(py, error))?;
        Ok(seen.map(|seen| seen.to_json()))
    }

    /// Fits a curve for each cell, which scores go through from now on; metrics before and after, as JSON.
    fn calibrate(&self, py: Python<'_>, source: &Source, method: &str, watch: Watch) -> PyResult<(String, String)> {
        let method = match method {
            "isotonic" => CalibrationMethod::Isotonic,
            "platt" => CalibrationMethod::Platt,
            other => {
                return Err(PyValueError::new_err(format!("`{other}` is no method; expected isotonic or platt")));
            }
        };
        let done = watched(py, &watch, |worker| {
            worker.scoring(|options| {
                let mut run = self.opened.write().unwrap_or_else(PoisonError::into_inner);
                let data = CalibrationData { fit: &source.rows, test: None };
                hinet_train::calibrate(&mut run, data, method, options)
            })
        })?;
        Ok((json!(done.before).to_string(), json!(done.after).to_string()))
    }
}

impl Run {
    fn told(&self) -> String {
        let run = self.run();
        let (manifest, layout) = (&run.artefact.manifest, &run.artefact.model.layout);
        let tasks: Vec<&str> = layout.tasks.iter().map(|task| task.name.as_str()).collect();
        let columns: Vec<String> = run.artefact.encoder.inputs().into_iter().map(|input| input.name).collect();
        let calibrated = run.artefact.model.calibration().is_some();
        json!({
            "name": manifest.name, "seed": manifest.seed, "scenarios": layout.scenarios, "tasks": tasks,
            "columns": columns, "calibrated": calibrated,
        })
        .to_string()
    }

    /// Never waited for with the interpreter's lock held: who holds this one may want that one.
    fn run(&self) -> RwLockReadGuard<'_, hinet_train::Run> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner)
    }
}
