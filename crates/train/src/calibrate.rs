//! Fits the curves that make a run's scores probabilities which are right on average in every scenario and task.
//!
//! | file | what it does |
//! | --- | --- |
//! | `platt` | two numbers by Newton's method |
//! | `isotonic` | steps by pooling neighbours that descend |
//!
//! Curves are fitted to scores that are corrected for negatives that train was spared, and to no other curve. What they do to
//! a score stands in [`Calibration`].

mod isotonic;
mod platt;

use hinet_data::{Layout, Part, Source};
use hinet_model::{Artefact, CalibratedCell, Calibration, CalibrationMethod, Curve, FittedOn};

use crate::evaluate::{Scorer, is_stopped};
use crate::fit::part_of_run;
use crate::metrics::is_positive;
use crate::pool::pool;
use crate::{MetricsBuilder, MetricsOptions, Run, ScoreOptions, SplitMetrics, TrainError};

/// What a calibration did.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// The curves, which the artefact has now.
    pub calibration: Calibration,
    /// Without the curves.
    pub before: SplitMetrics,
    /// With them, on the same rows.
    pub after: SplitMetrics,
}

/// Rows that calibration looks at.
#[derive(Clone, Copy, Debug)]
pub struct CalibrationData<'a> {
    /// Those that curves are fitted on.
    pub fit: &'a Source,
    /// Those that before and after are measured on; without them, those of the fit, which flatters it.
    pub test: Option<&'a Source>,
}

/// Fewest rows, and fewest of either class, that a curve is fitted on.
struct Least {
    rows: u64,
    of_a_class: u64,
}

/// What a curve with two numbers needs to be better than none.
const LEAST_PLATT: Least = Least { rows: 100, of_a_class: 20 };
/// A curve with many steps needs more.
const LEAST_ISOTONIC: Least = Least { rows: 1000, of_a_class: 100 };

/// Fits a curve for each scenario and task to the rows of `data`, replacing curves that are there, and saves the artefact
/// anew. A cell of too few rows takes the curve of its task over all scenarios.
///
/// Takes the memory of a [`MetricsBuilder`], twice while it measures.
///
/// # Errors
/// If the rows cannot be read or encoded, are too few for any curve, or the system refuses to write. The run is then as it
/// was.
pub fn calibrate(
    run: &mut Run,
    data: CalibrationData<'_>,
    method: CalibrationMethod,
    options: ScoreOptions<'_>,
) -> Result<Calibrated, TrainError> {
    let was = run.artefact.model.calibration().cloned();
    run.artefact.model.set_calibration(None)?;
    let done = fit_and_measure(run, data, method, options).and_then(|done| {
        run.artefact.model.set_calibration(Some(done.calibration.clone()))?;
        save(run)?;
        Ok(done)
    });
    if done.is_err() {
        run.artefact.model.set_calibration(was)?;
    }
    done
}

/// Takes the curves out of a run's artefact; `false` if it has none.
///
/// # Errors
/// If the system refuses to write. The artefact is then as it was.
pub fn uncalibrate(run: &mut Run) -> Result<bool, TrainError> {
    let was = run.artefact.model.calibration().cloned();
    if was.is_none() {
        return Ok(false);
    }
    run.artefact.model.set_calibration(None)?;
    let saved = save(run);
    if saved.is_err() {
        run.artefact.model.set_calibration(was)?;
    }
    saved.map(|()| true)
}

impl Run {
    /// The rows of a part of the data that it was trained on.
    ///
    /// # Errors
    /// If there is no such part, or the files are not those of the run any more.
    pub fn own_part(&self, part: Part) -> Result<Source, TrainError> {
        part_of_run(&self.folder.experiment()?, &self.folder, part)?.ok_or(TrainError::NoPart {
            path: self.folder.path().to_owned(),
            part: match part {
                Part::Train => "train",
                Part::Valid => "valid",
                Part::Test => "test",
            },
        })
    }
}

fn save(run: &Run) -> Result<(), TrainError> {
    let Artefact { manifest, encoder, model, examples } = &run.artefact;
    Ok(Artefact::save(&run.folder.model(), &manifest.name, (encoder, model), &examples.rows)?)
}

fn fit_and_measure(
    run: &Run,
    data: CalibrationData<'_>,
    method: CalibrationMethod,
    options: ScoreOptions<'_>,
) -> Result<Calibrated, TrainError> {
    let ScoreOptions { threads, stop, progress } = options;
    let mut rows = 0;
    let mut each = |scored: u64| {
        rows += scored;
        progress(rows);
        !is_stopped(stop)
    };
    pool(threads)?.install(|| {
        let mut scored = gather(run, data.fit, &mut each)?;
        let calibration = fit(&scored, &run.artefact.model.layout, method)?;
        if let Some(test) = data.test {
            scored = gather(run, test, &mut each)?;
        }
        let before = scored.clone().finish();
        let tasks = run.artefact.model.layout.tasks.len();
        scored.map_scores(|group, task, score| calibration.cells[group * tasks + task].curve.apply(score));
        Ok(Calibrated { calibration, before, after: scored.finish() })
    })
}

/// The scored rows of a source. `each` is told the rows of every batch, and ends it by `false`.
fn gather(run: &Run, source: &Source, each: &mut dyn FnMut(u64) -> bool) -> Result<MetricsBuilder, TrainError> {
    let model = &run.artefact.model;
    let options = MetricsOptions::new(&model.layout, run.ndcg_k, run.min_positives);
    let mut each = |batch: &hinet_data::Batch, _scores: &[f32]| each(batch.rows as u64);
    let scored = Scorer::new(model).gather(source, &run.artefact.encoder, options, &mut each)?;
    scored.ok_or(TrainError::InterruptedEarly)
}

/// What the rows of a cell give.
struct Fitted {
    rows: u64,
    positives: u64,
    /// Absent where they are too few.
    curve: Option<Curve>,
}

fn fit(scored: &MetricsBuilder, layout: &Layout, method: CalibrationMethod) -> Result<Calibration, TrainError> {
    let mut own = scored.per_sorted_cell(|rows| fitted(rows, method));
    let tasks = layout.tasks.len();
    let whole = own.split_off(own.len() - tasks);
    let Least { rows, of_a_class } = least(method);
    if whole.iter().all(|fitted| fitted.curve.is_none()) {
        let most = whole.iter().max_by_key(|fitted| fitted.rows.min(fitted.positives)).expect("a model has a task");
        return Err(TrainError::TooFewToCalibrate { found: (most.rows, most.positives), rows, of_a_class });
    }
    // Rows of unknown scenarios, which may be a group of their own, go through the curve of their task.
    own.truncate(layout.scenarios.len() * tasks);
    let scenarios = layout.scenarios.iter().cloned().map(Some).chain([None]);
    let names = scenarios.flat_map(|scenario| layout.tasks.iter().map(move |task| (scenario.clone(), task)));
    let cells = names.enumerate().map(|(place, (scenario, task))| {
        let whole = &whole[place % tasks];
        let own = own.get(place);
        let (fitted_on, curve) = match (own.map(|own| &own.curve), &whole.curve) {
            (Some(Some(curve)), _) => (FittedOn::Cell, curve.clone()),
            (_, Some(curve)) => (FittedOn::Task, curve.clone()),
            (_, None) => (FittedOn::Nothing, Curve::Identity),
        };
        let Fitted { rows, positives, .. } = *own.unwrap_or(whole);
        CalibratedCell { scenario, task: task.name.clone(), rows, positives, fitted_on, curve }
    });
    Ok(Calibration { method, cells: cells.collect() })
}

fn fitted(rows: &[u64], method: CalibrationMethod) -> Fitted {
    let positives = rows.iter().filter(|&&row| is_positive(row)).count() as u64;
    let all = rows.len() as u64;
    let least = least(method);
    let enough = all >= least.rows && positives.min(all - positives) >= least.of_a_class;
    let curve = enough.then(|| match method {
        CalibrationMethod::Platt => platt::fit(rows),
        CalibrationMethod::Isotonic => isotonic::fit(rows),
    });
    Fitted { rows: all, positives, curve }
}

fn least(method: CalibrationMethod) -> Least {
    match method {
        CalibrationMethod::Platt => LEAST_PLATT,
        CalibrationMethod::Isotonic => LEAST_ISOTONIC,
    }
}
