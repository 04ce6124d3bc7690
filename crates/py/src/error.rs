//! Errors as exceptions.

use hinet_data::DataError;
use hinet_train::{ErrorKind, ExperimentError, Problem, TrainError};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The exception for an error, with file, row, column and value where it has them.
pub(crate) fn raised(py: Python<'_>, error: impl Into<TrainError>) -> PyErr {
    exception(py, &error.into()).unwrap_or_else(|failed| failed)
}

fn exception(py: Python<'_>, error: &TrainError) -> PyResult<PyErr> {
    let details = PyDict::new(py);
    if let Some(place) = error.about_data().map(DataError::place) {
        details.set_item("file", place.file.map(|file| file.display().to_string()))?;
        details.set_item("row", place.row)?;
        details.set_item("column", place.column)?;
        details.set_item("value", place.value)?;
    }
    if let TrainError::Experiment(ExperimentError::Invalid { problems }) = error {
        let problems = problems.iter().map(|problem| told(py, problem)).collect::<PyResult<Vec<_>>>()?;
        details.set_item("problems", PyList::new(py, problems)?)?;
    }
    let class = match error.kind() {
        ErrorKind::Config => "ConfigError",
        ErrorKind::Data => "DataError",
        ErrorKind::Model => "ModelError",
        ErrorKind::Run => "RunError",
        ErrorKind::Training => "TrainingError",
        ErrorKind::System => "FileError",
        ErrorKind::Interrupted => return Ok(PyKeyboardInterrupt::new_err(error.to_string())),
    };
    let class = py.import("hinet._errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((error.to_string(),), Some(&details))?))
}

fn told<'py>(py: Python<'py>, problem: &Problem) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    told.set_item("key", &problem.key)?;
    told.set_item("message", &problem.message)?;
    told.set_item("source", &problem.source)?;
    told.set_item("line", problem.line)?;
    Ok(told)
}
