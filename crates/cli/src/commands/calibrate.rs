//! `hinet calibrate`: probabilities that are right on average in every cell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use hinet_data::{Part, Source};
use hinet_model::{CalibratedCell, CalibrationMethod, FittedOn};
use hinet_train::{Calibrated, CalibrationData, Cell, Metrics, Run, ScoreOptions, calibrate, uncalibrate};

use crate::args::{CalibrateArguments, Format, Method};
use crate::output::{Talk, grouped, print};
use crate::progress::Counter;
use crate::table;

pub(crate) fn run(arguments: &CalibrateArguments, talk: Talk) -> anyhow::Result<()> {
    let mut run = Run::open(&arguments.run)?;
    let name = arguments.run.display();
    if arguments.remove {
        let was = uncalibrate(&mut run)?;
        talk.say(format_args!("{name}: {}", if was { "calibration taken out" } else { "it is not calibrated" }));
        return Ok(());
    }
    let fit = source(&run, &arguments.data)?;
    let test = if arguments.test.is_empty() { None } else { Some(source(&run, &arguments.test)?) };
    let method = match arguments.method {
        Method::Platt => CalibrationMethod::Platt,
        Method::Isotonic => CalibrationMethod::Isotonic,
    };
    let rows = test.as_ref().map_or(Some(0), Source::rows).and_then(|test| Some(test + fit.rows()?));
    let mut counter = Counter::new(talk, "scored", rows);
    let threads = arguments.threads.threads.map_or(0, usize::from);
    // Ctrl-C simply ends the program: the artefact is put in place when it is whole.
    let options = ScoreOptions { threads, stop: &AtomicBool::new(false), progress: &mut |rows| counter.reached(rows) };
    let done = calibrate(&mut run, CalibrationData { fit: &fit, test: test.as_ref() }, method, options);
    counter.finish();
    print(&shown(&done?, test.is_some(), arguments.format.format)?)?;
    talk.say(format_args!("{name}: calibrated; scores go through the curves from now on (--remove takes them out)"));
    Ok(())
}

/// The files of an option, or the run's own rows where it names those.
fn source(run: &Run, paths: &[PathBuf]) -> anyhow::Result<Source> {
    let own = match paths {
        [path] => match path.to_str() {
            Some("valid") => Some(Part::Valid),
            Some("test") => Some(Part::Test),
            _ => None,
        },
        _ => None,
    };
    Ok(match own {
        Some(part) => run.own_part(part)?,
        None => Source::open(paths)?,
    })
}

fn shown(done: &Calibrated, held_out: bool, format: Format) -> anyhow::Result<String> {
    let splits = BTreeMap::from([("before", done.before.clone()), ("after", done.after.clone())]);
    let splits = splits.into_iter().map(|(name, split)| (name.to_owned(), split)).collect();
    let about = BTreeMap::from([("calibration".to_owned(), serde_json::to_value(&done.calibration)?)]);
    let metrics = Metrics { splits, about };
    Ok(match format {
        Format::Json => metrics.to_json(),
        Format::Csv => metrics.to_csv(),
        Format::Table => lines(done, held_out),
    })
}

const HEAD: [&str; 11] =
    ["scenario", "task", "curve of", "rows", "positive", "log loss", "after", "PCOC", "after", "ECE", "after"];

/// A line per cell, and per task over all rows.
fn lines(done: &Calibrated, held_out: bool) -> String {
    let rows = grouped(done.before.rows);
    let title = if held_out {
        format!("before and after on {rows} other rows than those of the fit\n\n")
    } else {
        format!(
            "before and after on the {rows} rows of the fit itself, which flatters it (--test measures on others)\n\n"
        )
    };
    let cells = done.before.cells.iter().chain(&done.before.overall);
    let lines = cells.zip(done.after.cells.iter().chain(&done.after.overall)).map(|(before, after)| {
        let pair =
            |value: fn(&Cell) -> Option<f64>, places| [before, after].map(|cell| table::decimals(value(cell), places));
        let scenario = before.scenario.clone().unwrap_or_else(|| "all".to_owned());
        let mut line = vec![scenario, before.task.clone(), curve_of(done, before).to_owned()];
        line.extend([grouped(before.rows), grouped(before.positives)]);
        line.extend(pair(|cell| cell.logloss, 4));
        line.extend(pair(|cell| cell.pcoc, 3));
        line.extend(pair(|cell| cell.ece, 4));
        line
    });
    title + &table::plain(&HEAD, lines) + &fallen_back(done)
}

/// Whose rows the curve of a cell was fitted on.
fn curve_of(done: &Calibrated, cell: &Cell) -> &'static str {
    let Some(scenario) = &cell.scenario else { return table::UNDEFINED };
    // Rows of unknown scenarios are named so, and go through the task's curve.
    let own = done.calibration.cell(Some(scenario), &cell.task);
    match own.or_else(|| done.calibration.cell(None, &cell.task)).map(|cell| cell.fitted_on) {
        Some(FittedOn::Cell) => "the cell",
        Some(FittedOn::Task) => "the task",
        Some(FittedOn::Nothing) | None => "nothing",
    }
}

/// What became of cells with too few rows, if there are any.
fn fallen_back(done: &Calibrated) -> String {
    let known = || done.calibration.cells.iter().filter(|cell: &&CalibratedCell| cell.scenario.is_some());
    let count = |on: FittedOn| known().filter(|cell| cell.fitted_on == on).count();
    let told = [
        (count(FittedOn::Task), "take the curve of their task over all scenarios"),
        (count(FittedOn::Nothing), "keep their scores: their task has too few as well"),
    ];
    let told = told.iter().filter(|(count, _)| *count > 0);
    told.map(|(count, what)| format!("\n{count} of {} cells have too few rows and {what}\n", known().count())).collect()
}
