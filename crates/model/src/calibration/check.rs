//! Whether a calibration is one, and that of this model: its file may have been written by anything.

use hinet_data::Layout;

use super::{Calibration, Curve, MAX_KNOTS};

/// What was found, and what was expected.
type Fault = (String, String);

/// Checks every cell against the layout.
pub(super) fn cells(calibration: &Calibration, layout: &Layout) -> Result<(), Fault> {
    let scenarios = layout.scenarios.iter().map(|scenario| Some(scenario.as_str())).chain([None]);
    let tasks = || layout.tasks.iter().map(|task| task.name.as_str());
    let expected: Vec<_> = scenarios.flat_map(|scenario| tasks().map(move |task| (scenario, task))).collect();
    if calibration.cells.len() != expected.len() {
        let wanted = format!("{}, one for each scenario and task and one for each task", expected.len());
        return Err((format!("{} cells", calibration.cells.len()), wanted));
    }
    for (cell, (scenario, task)) in calibration.cells.iter().zip(expected) {
        if (cell.scenario.as_deref(), cell.task.as_str()) != (scenario, task) {
            let found = named(cell.scenario.as_deref(), &cell.task);
            return Err((format!("a curve for {found}"), format!("one for {}", named(scenario, task))));
        }
        curve(&cell.curve)
            .map_err(|(found, expected)| (format!("{found} in the curve for {}", named(scenario, task)), expected))?;
    }
    Ok(())
}

fn named(scenario: Option<&str>, task: &str) -> String {
    match scenario {
        Some(scenario) => format!("scenario `{scenario}` and task `{task}`"),
        None => format!("unknown scenarios and task `{task}`"),
    }
}

fn curve(curve: &Curve) -> Result<(), Fault> {
    let fault = |found: String, expected: &str| Err((found, expected.to_owned()));
    match curve {
        Curve::Identity => Ok(()),
        Curve::Platt { a, b } if a.is_finite() && *a > 0.0 && b.is_finite() => Ok(()),
        Curve::Platt { a, b } => fault(format!("a = {a}, b = {b}"), "finite numbers, `a` above 0"),
        Curve::Isotonic { knots } => {
            if !(1..=MAX_KNOTS).contains(&knots.len()) {
                return fault(format!("{} knots", knots.len()), &format!("1 to {MAX_KNOTS}"));
            }
            let within = |value: f64| (0.0..=1.0).contains(&value);
            if let Some((x, y)) = knots.iter().find(|(x, y)| !within(*x) || !within(*y)) {
                return fault(format!("a knot from {x} to {y}"), "numbers from 0 to 1");
            }
            match knots.windows(2).find(|pair| pair[0].0 >= pair[1].0 || pair[0].1 > pair[1].1) {
                Some(pair) => {
                    let found = format!("the knot {:?} after {:?}", pair[1], pair[0]);
                    fault(found, "scores that ascend and probabilities that do not descend")
                }
                None => Ok(()),
            }
        }
    }
}
