//! The outputs: one tensor per task, `[rows]`, of probabilities.

use hinet_data::Layout;

use super::builder::{Builder, Name, rows};
use crate::calibration::{Correction, Curve};

/// Scores are taken to be at least this, where their logit is wanted, and as far from 1: as [`crate::logit`] does.
const LEAST: f32 = 1e-12;
const LEAST_FROM_ONE: f32 = 0.5 / (1_u32 << 24) as f32;

/// Adds an output for each task.
///
/// # Shapes
/// - `scores`: `[rows, tasks]`
/// - `scenario`: `[rows]`
pub(super) fn record(
    out: &mut Builder<'_>,
    layout: &Layout,
    correction: Option<&Correction>,
    (scores, scenario): (&str, &str),
) {
    for (task, spec) in layout.tasks.iter().enumerate() {
        let column = out.whole(task as i64);
        // A single number as index takes the column out and its dimension away.
        let p = out.gather(scores, &column, 1);
        let p = match correction {
            Some(correction) => corrected(out, correction, task, (&p, scenario)),
            None => p,
        };
        out.op_named("Identity", &[&p], &spec.name);
        out.output((&spec.name, "probability"), &[rows()]);
    }
}

/// From the network's probability of a task to the one that is put out; both `[rows]`: what a plan does behind its network.
fn corrected(out: &mut Builder<'_>, correction: &Correction, task: usize, (p, scenario): (&str, &str)) -> Name {
    let p = with_all_negatives(out, p, correction.negative_rate(task) as f32);
    let curves = correction.curves(task);
    let is = |wanted: fn(&Curve) -> bool| curves.clone().any(wanted);
    if is(|curve| matches!(curve, Curve::Isotonic { .. })) {
        let knots: Vec<Vec<(f64, f64)>> = curves.map(knots).collect();
        return isotonic(out, &knots, (&p, scenario));
    }
    if is(|curve| matches!(curve, Curve::Platt { .. })) {
        let numbers: Vec<(f64, f64)> = curves.map(platt_numbers).collect();
        return platt(out, &numbers, (&p, scenario));
    }
    p
}

/// `r p / (r p + (1 - p))`.
fn with_all_negatives(out: &mut Builder<'_>, p: &str, rate: f32) -> Name {
    if rate == 1.0 {
        return p.to_owned();
    }
    let (rate, one) = (out.number(rate), out.number(1.0));
    let positive = out.op("Mul", &[p, &rate], Vec::new());
    let negative = out.op("Sub", &[&one, p], Vec::new());
    let all = out.op("Add", &[&positive, &negative], Vec::new());
    out.op("Div", &[&positive, &all], Vec::new())
}

/// `sigmoid(a logit(p) + b)`, a and b being those of the row's scenario.
fn platt(out: &mut Builder<'_>, numbers: &[(f64, f64)], (p, scenario): (&str, &str)) -> Name {
    let mut of_row = |hint: &str, values: Vec<f32>| {
        let table = out.floats(hint, &[values.len()], values);
        out.gather(&table, scenario, 0)
    };
    let a = of_row("calibration_a", numbers.iter().map(|(a, _)| *a as f32).collect());
    let b = of_row("calibration_b", numbers.iter().map(|(_, b)| *b as f32).collect());
    let one = out.number(1.0);
    let from_one = out.op("Sub", &[&one, p], Vec::new());
    let [p, from_one] = [(p, LEAST), (from_one.as_str(), LEAST_FROM_ONE)].map(|(x, least)| {
        let x = at_least(out, x, least);
        out.op("Log", &[&x], Vec::new())
    });
    let logit = out.op("Sub", &[&p, &from_one], Vec::new());
    let scaled = out.op("Mul", &[&logit, &a], Vec::new());
    let moved = out.op("Add", &[&scaled, &b], Vec::new());
    out.op("Sigmoid", &[&moved], Vec::new())
}

/// `max(x, least)`, as `-min(-x, -least)`.
fn at_least(out: &mut Builder<'_>, x: &str, least: f32) -> Name {
    let (turned, least) = (out.op("Neg", &[x], Vec::new()), out.number(-least));
    let lower = out.op("Min", &[&turned, &least], Vec::new());
    out.op("Neg", &[&lower], Vec::new())
}

/// Linear between the knots of the row's scenario: the first value, and of every piece as much of its rise as x has passed.
fn isotonic(out: &mut Builder<'_>, knots: &[Vec<(f64, f64)>], (p, scenario): (&str, &str)) -> Name {
    let pieces = knots.iter().map(|knots| knots.len() - 1).max().unwrap_or(0).max(1);
    // Pieces that a scenario does not have begin beyond every score and rise by nothing.
    let of_pieces = |value: fn(&[(f64, f64)]) -> f64, without: f32| -> Vec<f32> {
        let of = |knots: &Vec<(f64, f64)>| {
            let known = knots.windows(2).map(value).map(|value| value as f32).collect::<Vec<_>>();
            known.into_iter().chain(std::iter::repeat(without)).take(pieces).collect::<Vec<_>>()
        };
        knots.iter().flat_map(of).collect()
    };
    let mut of_row = |hint: &str, dims: &[usize], values: Vec<f32>| {
        let table = out.floats(hint, dims, values);
        out.gather(&table, scenario, 0)
    };
    let dims = [knots.len(), pieces];
    let begin = of_row("calibration_begin", &dims, of_pieces(|piece| piece[0].0, 2.0));
    let width = of_row("calibration_width", &dims, of_pieces(|piece| piece[1].0 - piece[0].0, 1.0));
    let rise = of_row("calibration_rise", &dims, of_pieces(|piece| piece[1].1 - piece[0].1, 0.0));
    let first = of_row("calibration_first", &[knots.len()], knots.iter().map(|knots| knots[0].1 as f32).collect());
    let axis = out.list(&[1]);
    let column = out.op("Unsqueeze", &[p, &axis], Vec::new());
    let passed = out.op("Sub", &[&column, &begin], Vec::new());
    let passed = out.op("Relu", &[&passed], Vec::new());
    let passed = out.op("Min", &[&passed, &width], Vec::new());
    let share = out.op("Div", &[&passed, &width], Vec::new());
    let risen = out.op("Mul", &[&share, &rise], Vec::new());
    let risen = out.sum(&risen, 1, false);
    out.op("Add", &[&first, &risen], Vec::new())
}

fn platt_numbers(curve: &Curve) -> (f64, f64) {
    match curve {
        Curve::Platt { a, b } => (*a, *b),
        Curve::Identity | Curve::Isotonic { .. } => (1.0, 0.0),
    }
}

fn knots(curve: &Curve) -> Vec<(f64, f64)> {
    match curve {
        Curve::Isotonic { knots } if !knots.is_empty() => knots.clone(),
        Curve::Identity | Curve::Platt { .. } | Curve::Isotonic { .. } => vec![(0.0, 0.0), (1.0, 1.0)],
    }
}
