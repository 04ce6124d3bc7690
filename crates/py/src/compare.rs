//! Several models over several seeds.

use std::path::PathBuf;

use hinet_train::{CompareOptions, CompareRuns, Compared};
use pyo3::prelude::*;

use crate::error::raised;
use crate::experiment::Experiment;
use crate::watch::{Watch, Worker, watched};

/// What to compare by.
#[derive(FromPyObject)]
pub(crate) struct Judging {
    against: Option<String>,
    reference: Option<String>,
    draws: usize,
    threads: usize,
}

/// What is trained.
#[derive(FromPyObject)]
pub(crate) struct Plan {
    models: Vec<String>,
    seeds: Vec<u64>,
    out: PathBuf,
    resume: bool,
    match_parameters: bool,
    jobs: usize,
}

/// Trains every model with every seed, and compares them: `compare.json` and `compare.csv`.
#[pyfunction]
pub(crate) fn compare(
    py: Python<'_>,
    experiment: &Experiment,
    plan: Plan,
    judging: Judging,
    watch: Watch,
) -> PyResult<(String, String)> {
    let models = plan.models.iter().map(|model| experiment.of_model(model)).collect::<Result<_, _>>();
    let runs = CompareRuns {
        name: experiment.checked.name.clone(),
        models: models.map_err(|error| raised(py, error))?,
        seeds: plan.seeds,
        out: plan.out,
        resume: plan.resume,
        match_parameters: plan.match_parameters,
        jobs: plan.jobs,
    };
    let compared = watched(py, &watch, |worker| hinet_train::compare(runs, judging.options(worker)));
    compared.map(told)
}

/// Compares finished runs.
#[pyfunction]
pub(crate) fn compare_runs(
    py: Python<'_>,
    runs: Vec<PathBuf>,
    out: Option<PathBuf>,
    judging: Judging,
    watch: Watch,
) -> PyResult<(String, String)> {
    let compared =
        watched(py, &watch, |worker| hinet_train::compare_runs(&runs, out.as_deref(), judging.options(worker)));
    compared.map(told)
}

impl Judging {
    fn options<'o>(self, worker: &'o mut Worker<'_>) -> CompareOptions<'o> {
        let Judging { against, reference, draws, threads } = self;
        CompareOptions { against, reference, draws, threads, stop: worker.stop(), observer: worker }
    }
}

fn told(compared: Compared) -> (String, String) {
    (compared.comparison.to_json(), compared.csv)
}
