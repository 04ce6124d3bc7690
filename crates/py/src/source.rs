//! Tables, streams and files as rows.

use std::path::PathBuf;

use hinet_data::{DataError, Expression, Guess, GuessOptions};
use pyo3::prelude::*;
use pyo3_arrow::{PyRecordBatchReader, PyTable};

use crate::error::raised;
use crate::watch::{Watch, watched};

/// Rows in files or in memory.
#[pyclass(frozen, module = "hinet._hinet")]
pub(crate) struct Source {
    pub(crate) rows: hinet_data::Source,
}

#[pymethods]
impl Source {
    /// Files, folders and globs.
    #[staticmethod]
    fn from_files(py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<Source> {
        let opened = py.detach(|| hinet_data::Source::open(&paths));
        opened.map(|rows| Source { rows }).map_err(|error| raised(py, error))
    }

    /// What can be read again: anything with `__arrow_c_stream__` that holds its rows. Nothing is copied.
    #[staticmethod]
    fn from_table(py: Python<'_>, name: &str, table: PyTable) -> PyResult<Source> {
        let (batches, schema) = table.into_inner();
        let source = hinet_data::Source::from_table(name, &schema, &batches);
        source.map(|rows| Source { rows }).map_err(|error| raised(py, error))
    }

    /// What can be read once, by way of a temporary file in `folder`.
    #[staticmethod]
    fn from_stream(
        py: Python<'_>,
        name: &str,
        stream: PyRecordBatchReader,
        folder: Option<PathBuf>,
    ) -> PyResult<Source> {
        let reader = stream.into_reader()?;
        let rows = watched(py, &Watch::default(), |worker| {
            let schema = reader.schema();
            let batches = worker.until_stopped(reader);
            let source = hinet_data::Source::from_stream(name, &schema, batches, folder.as_deref());
            worker.unless_stopped(source.map_err(Into::into))
        })?;
        Ok(Source { rows })
    }

    /// Names of the columns.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.rows.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Number of rows, where it is known without reading them.
    #[getter]
    fn row_count(&self) -> Option<u64> {
        self.rows.rows()
    }
}

/// What `hinet init` would write for these rows, with the columns of these labels as tasks.
#[pyfunction]
pub(crate) fn guess(
    py: Python<'_>,
    source: &Source,
    path: String,
    scenario: Option<String>,
    labels: Vec<String>,
) -> PyResult<String> {
    let guessed = py.detach(|| {
        let options = GuessOptions { scenario, tasks: columns_of(&labels)?, ..GuessOptions::default() };
        Ok::<_, DataError>(Guess::of(&source.rows, &options)?.to_toml(&[path]))
    });
    guessed.map_err(|error| raised(py, error))
}

/// The columns that expressions read.
fn columns_of(labels: &[String]) -> Result<Vec<String>, DataError> {
    let mut columns = Vec::new();
    for label in labels {
        columns.extend(Expression::parse(label)?.columns());
    }
    Ok(columns)
}
