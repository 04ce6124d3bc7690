//! The module `hinet._hinet`: what the Python package `hinet` calls. Bindings alone, and no logic.
//!
//! | file | what it binds |
//! | --- | --- |
//! | `source` | tables, streams and files as rows ([`hinet_data::Source`]) |
//! | `experiment` | what is trained, and training |
//! | `run` | a trained model: metrics, scores, exports |
//! | `compare` | several models over several seeds |
//! | `watch` | work on a thread of its own, while the thread that Python called looks after Ctrl-C and callbacks |
//! | `error` | errors as the exceptions of `hinet._errors` |
//!
//! Records (metrics, events, inspections) cross as JSON, the same text that stands in the files of a run; rows cross as Arrow,
//! without a copy.

mod compare;
mod error;
mod experiment;
mod run;
mod source;
mod watch;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pymodule]
fn _hinet(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // A wrong choice by the environment is refused here, as the program refuses it with every command.
    hinet_train::instructions().map_err(|error| PyValueError::new_err(error.to_string()))?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<source::Source>()?;
    module.add_class::<experiment::Experiment>()?;
    module.add_class::<run::Run>()?;
    module.add_function(wrap_pyfunction!(source::guess, module)?)?;
    module.add_function(wrap_pyfunction!(experiment::schema, module)?)?;
    module.add_function(wrap_pyfunction!(experiment::presets, module)?)?;
    module.add_function(wrap_pyfunction!(compare::compare, module)?)?;
    module.add_function(wrap_pyfunction!(compare::compare_runs, module)?)
}
