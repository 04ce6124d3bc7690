//! Networks agree with plain loops: scores in every form, and gradients with differences.

use hinet_model::{Form, ModelConfig};
use hinet_tape::{Evaluator, Feed, Mode, Workspace};

use crate::cases::{self, TASKS, WIDTH};
use crate::harness::{Rows, Runner, close, forms, layout, noise};
use crate::oracle::{Oracle, Row};

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Scores of every row, as the form lays them out.
fn expected(oracle: &Oracle<'_>, rows: &Rows, form: Form) -> Vec<f64> {
    let row = |row: usize| {
        let x = to_f64(rows.row(row));
        let own = rows.scenario[row];
        match form {
            Form::Own => oracle.score(&x, Some(own)),
            Form::Mean => oracle.score(&x, None),
            Form::Every => (0..oracle.scenarios).flat_map(|view| oracle.score_by_heads_of(&x, own, view)).collect(),
        }
    };
    (0..rows.count()).flat_map(row).collect()
}

#[test]
fn scores_agree_with_plain_loops_in_every_form() {
    for scenarios in [1, 2, 3] {
        let layout = layout(WIDTH, scenarios, &TASKS);
        for (name, config) in cases::all() {
            let rows = Rows::of(&layout, &config, &[2, 0, 3][..scenarios]);
            for form in forms(&config) {
                let mut runner = Runner::new(&layout, &config, form);
                let oracle = Oracle::new(&config, &runner.params, scenarios, &TASKS);
                let expected = expected(&oracle, &rows, form);
                close(&runner.scores(&rows), &expected, 1e-5, &format!("{name} in {scenarios} scenarios, {form:?}"));
            }
        }
    }
}

#[test]
fn the_evaluator_agrees_with_plain_loops_without_loss_and_targets() {
    let layout = layout(WIDTH, 3, &TASKS);
    for (name, config) in cases::all() {
        let rows = Rows::of(&layout, &config, &[2, 0, 3]);
        for form in forms(&config) {
            let network = hinet_model::Network::record(&layout, &config, form).unwrap();
            let params = crate::harness::parameters(&network);
            let oracle = Oracle::new(&config, &params, 3, &TASKS);
            let evaluator = Evaluator::new(network.graph, params.clone(), &[network.scores]);
            let whole = [0, rows.count()];
            let offsets = if form == Form::Mean { &whole[..] } else { &rows.offsets };
            let mut workspace = Workspace::default();
            evaluator.run(&mut workspace, &Feed { rows: 5, offsets, inputs: &[&rows.x], indices: &[] });
            let expected = expected(&oracle, &rows, form);
            close(evaluator.value(&workspace, network.scores), &expected, 1e-5, &format!("{name}, {form:?}"));
        }
    }
}

/// A batch with labels, in one form of a network.
struct Labelled<'a> {
    rows: &'a Rows,
    form: Form,
    targets: Vec<f32>,
    weights: Vec<f32>,
}

impl Labelled<'_> {
    /// Rows as the loss sees them.
    fn each<'b>(&'b self, oracle: &Oracle<'_>, x: &'b [f64]) -> Vec<Row<'b>> {
        let (tasks, width) = (oracle.tasks.len(), self.rows.width());
        let own = self.rows.scenario.iter().enumerate().flat_map(|(row, &own)| {
            let views = if self.form == Form::Every { 0..oracle.scenarios } else { own..own + 1 };
            views.map(move |view| (row, own, view))
        });
        let row = |(at, (row, own, view)): (usize, (usize, usize, usize))| Row {
            x: &x[row * width..(row + 1) * width],
            own,
            view,
            targets: &self.targets[at * tasks..(at + 1) * tasks],
            weights: &self.weights[at * tasks..(at + 1) * tasks],
        };
        own.enumerate().map(row).collect()
    }

    /// Scores of each of these rows.
    fn scores(&self, oracle: &Oracle<'_>, x: &[f64]) -> Vec<Vec<f64>> {
        self.each(oracle, x).iter().map(|row| oracle.score_by_heads_of(row.x, row.own, row.view)).collect()
    }

    /// Weighted cross-entropy of the oracle, and what its layers add to it. No gradient flows through the scores `still`.
    fn loss(&self, oracle: &Oracle<'_>, x: &[f64], still: &[Vec<f64>]) -> f64 {
        let rows = self.each(oracle, x).into_iter().zip(self.scores(oracle, x)).zip(still);
        let losses = rows.map(|((row, scores), still)| {
            let labels = row.targets.iter().zip(row.weights);
            let entropy = scores.iter().zip(labels).map(|(p, (&target, &weight))| {
                let target = f64::from(target);
                -f64::from(weight) * (target * p.ln() + (1.0 - target) * (1.0 - p).ln())
            });
            entropy.sum::<f64>() + oracle.added(still, row)
        });
        losses.sum::<f64>() + oracle.always_added()
    }
}

#[test]
fn gradients_agree_with_differences_of_plain_loops() {
    let layout = layout(WIDTH, 2, &TASKS);
    // Attention through which no gradient flows has another gradient than its differences.
    let cases = cases::all().into_iter().filter(|(name, _)| !name.contains("without gradient"));
    for (name, config) in cases {
        // So has what a stopped gate reads: x, or the scenario layer below it. The gate itself learns as all else does.
        let stopped = name.contains("stopped gate");
        if stopped && name.starts_with("hinet") {
            continue;
        }
        let rows = Rows::of(&layout, &config, &[2, 2]);
        for form in forms(&config).into_iter().filter(|form| *form != Form::Mean) {
            let mut runner = Runner::new(&layout, &config, form);
            check_gradients(&mut runner, &config, &rows, (&format!("{name}, {form:?}"), !stopped));
        }
    }
}

fn check_gradients(runner: &mut Runner, config: &ModelConfig, rows: &Rows, (place, of_x): (&str, bool)) {
    const STEP: f64 = 1e-6;
    let size = rows.count() * runner.network.columns();
    let targets: Vec<f32> = (0..size).map(|at| f32::from(u8::from(noise(at as u64) > 0.0))).collect();
    let weights: Vec<f32> = (0..size).map(|at| noise(99 + at as u64).max(0.0)).collect();
    runner.run(rows, Mode::Infer, Some((&targets, &weights)));
    let data = Labelled { rows, form: runner.network.form, targets, weights };
    let mut oracle = Oracle::new(config, &runner.params, 2, &TASKS);
    let mut x = to_f64(&rows.x);
    let still = data.scores(&oracle, &x);
    let loss = runner.value(runner.objective.loss);
    close(loss, &[data.loss(&oracle, &x, &still)], 1e-5, &format!("{place}: loss"));
    for spec in runner.params.specs().iter().filter(|spec| spec.trainable) {
        let mut moved = |at: usize, step: f64| {
            oracle.params.get_mut(&spec.name).unwrap()[at] += step;
            data.loss(&oracle, &x, &still)
        };
        // A few elements of each parameter: the tape's own tests try all of every operator.
        for at in (0..spec.len()).step_by(spec.len().div_ceil(5)) {
            let (above, below) = (moved(at, STEP), moved(at, -2.0 * STEP));
            moved(at, STEP);
            let got = runner.gradients.get(&spec.name).unwrap()[at];
            let what = format!("{place}: gradient of `{}`, element {at}", spec.name);
            close(&[got], &[(above - below) / (2.0 * STEP)], 1e-4, &what);
        }
    }
    for at in (0..x.len()).filter(|&at| of_x && rows.can_move(at)) {
        let mut moved = |step: f64| {
            x[at] += step;
            data.loss(&oracle, &x, &still)
        };
        let (above, below) = (moved(STEP), moved(-2.0 * STEP));
        moved(STEP);
        let got = runner.tape.input_gradient(runner.network.x)[at];
        close(&[got], &[(above - below) / (2.0 * STEP)], 1e-4, &format!("{place}: gradient of x, element {at}"));
    }
}
