//! The outputs: one tensor per task, `[rows]`, of probabilities.

use hinet_data::Layout;

use super::builder::{Builder, Name, rows};

/// Adds an output for each task.
///
/// # Shapes
/// - `scores`: `[rows, tasks]`
/// - `scenario`: `[rows]`
pub(super) fn record(out: &mut Builder<'_>, layout: &Layout, scores: &str, scenario: &str) {
    for (task, spec) in layout.tasks.iter().enumerate() {
        let column = out.whole(task as i64);
        // A single number as index takes the column out and its dimension away.
        let p = out.gather(scores, &column, 1);
        let p = finished(out, task, (&p, scenario));
        out.op_named("Identity", &[&p], &spec.name);
        out.output((&spec.name, "probability"), &[rows()]);
    }
}

/// From the network's probability of a task to the one that is put out; both `[rows]`. What is applied to scores behind
/// the network, such as a calibration per scenario and task, is added here and nowhere else.
fn finished(_out: &mut Builder<'_>, _task: usize, (p, _scenario): (&str, &str)) -> Name {
    p.to_owned()
}
