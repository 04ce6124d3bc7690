//! Curves alone, and calibrations that are none.

use hinet_data::{Slot, TaskSpec, UnknownScenario};
use proptest::prelude::*;

use super::*;

fn layout() -> Layout {
    Layout {
        sequences: Vec::new(),
        tables: Vec::new(),
        slots: vec![Slot::Dense { feature: "x".into(), width: 1 }],
        scenarios: vec!["home".into()],
        scenario_rows: vec![10],
        tasks: ["click", "order"].map(TaskSpec::new).to_vec(),
        unknown: UnknownScenario::Mean,
    }
}

/// The curves of home/click, home/order, unknown/click and unknown/order.
fn calibration(curves: [Curve; 4]) -> Calibration {
    let names = [(Some("home"), "click"), (Some("home"), "order"), (None, "click"), (None, "order")];
    let cell = |((scenario, task), curve): ((Option<&str>, &str), Curve)| CalibratedCell {
        scenario: scenario.map(str::to_owned),
        task: task.to_owned(),
        rows: 5,
        positives: 2,
        fitted_on: FittedOn::Cell,
        curve,
    };
    Calibration { method: CalibrationMethod::Platt, cells: names.into_iter().zip(curves).map(cell).collect() }
}

fn plain() -> Calibration {
    calibration([(); 4].map(|()| Curve::Identity))
}

fn isotonic(knots: &[(f64, f64)]) -> Curve {
    Curve::Isotonic { knots: knots.to_vec() }
}

#[test]
fn a_platt_curve_of_1_and_0_changes_nothing_beyond_rounding() {
    for p in [1e-9_f32, 0.001, 0.3, 0.5, 0.999, 1.0 - f32::EPSILON] {
        let found = Curve::Platt { a: 1.0, b: 0.0 }.apply(p);
        assert!((found - p).abs() <= f32::EPSILON * p, "{p} became {found}");
    }
}

#[test]
fn a_platt_curve_is_its_formula() {
    // logit(0.8) = ln 4, and sigmoid(ln 4 / 2 + ln 3) = 2 * 3 / (1 + 2 * 3).
    let found = Curve::Platt { a: 0.5, b: 3.0_f64.ln() }.apply(0.8);
    assert!((found - 6.0 / 7.0).abs() < 1e-7, "{found}");
}

#[test]
fn certain_scores_stay_finite() {
    let curve = Curve::Platt { a: 3.0, b: 0.5 };
    assert!(curve.apply(0.0) >= 0.0 && curve.apply(0.0) < 1e-9);
    assert!(curve.apply(1.0) <= 1.0 && curve.apply(1.0) > 0.999_999);
    assert!(curve.apply(f32::NAN).is_nan() && isotonic(&[(0.5, 0.5)]).apply(f32::NAN).is_nan());
    assert!(logit(0.0) < -27.0 && logit(1.0) > 17.0 && logit(1.0) > logit(1.0 - f32::EPSILON / 2.0));
}

#[test]
fn between_knots_is_a_line_and_beyond_them_the_nearest() {
    let curve = isotonic(&[(0.25, 0.125), (0.5, 0.375), (0.75, 0.375)]);
    let cases = [(0.0, 0.125), (0.25, 0.125), (0.375, 0.25), (0.5, 0.375), (0.6, 0.375), (0.75, 0.375), (1.0, 0.375)];
    for (p, expected) in cases {
        assert_eq!(curve.apply(p), expected, "{p}");
    }
    assert_eq!(isotonic(&[(0.5, 0.25)]).apply(0.9), 0.25);
}

/// Knots that ascend, in any number.
fn knots() -> impl Strategy<Value = Curve> {
    let steps = prop::collection::vec((1e-9_f64..1.0, prop_oneof![Just(0.0), 0.0_f64..1.0]), 1..40);
    steps.prop_map(|steps| {
        let total = steps.iter().fold((0.0, 1e-9), |sum, step| (sum.0 + step.0, sum.1 + step.1));
        let mut at = (0.0, 0.0);
        let knots = steps.iter().map(|step| {
            at = (at.0 + step.0, at.1 + step.1);
            ((at.0 / total.0).min(1.0), (at.1 / total.1).min(1.0))
        });
        let mut knots: Vec<(f64, f64)> = knots.collect();
        knots.dedup_by(|next, before| next.0 <= before.0);
        Curve::Isotonic { knots }
    })
}

proptest! {
    #[test]
    fn no_curve_turns_two_scores_around(
        curve in prop_oneof![
            (1e-3_f64..50.0, -30.0_f64..30.0).prop_map(|(a, b)| Curve::Platt { a, b }),
            knots(),
        ],
        scores in prop::collection::vec(prop_oneof![0.0_f32..=1.0, 0.0_f32..1e-6, 0.999_999_f32..=1.0], 2..40),
    ) {
        calibration([curve.clone(), Curve::Identity, Curve::Identity, Curve::Identity]).check(&layout()).unwrap();
        let mut scores = scores;
        scores.sort_by(f32::total_cmp);
        let found: Vec<f32> = scores.iter().map(|&p| curve.apply(p)).collect();
        prop_assert!(found.is_sorted(), "{:?} became {:?}", scores, found);
        prop_assert!(found.iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn a_calibration_is_read_back_to_the_last_bit(a in 1e-300_f64..1e300, b in -1e300_f64..1e300, knots in knots()) {
        let saved = calibration([Curve::Platt { a, b }, knots, Curve::Identity, Curve::Identity]);
        let text = serde_json::to_string(&saved).unwrap();
        prop_assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), saved);
    }
}

#[test]
fn what_is_no_curve_is_refused_by_what_is_wrong() {
    let nan = f64::NAN;
    let cases = [
        (Curve::Platt { a: 0.0, b: 0.0 }, "a = 0, b = 0"),
        (Curve::Platt { a: -1.0, b: 0.0 }, "a = -1"),
        (Curve::Platt { a: nan, b: 0.0 }, "a = NaN"),
        (Curve::Platt { a: 1.0, b: f64::INFINITY }, "a = 1, b = inf"),
        (isotonic(&[]), "0 knots"),
        (isotonic(&vec![(0.0, 0.0); MAX_KNOTS + 1]), "257 knots"),
        (isotonic(&[(0.1, nan)]), "a knot from 0.1 to NaN"),
        (isotonic(&[(0.1, 1.5)]), "a knot from 0.1 to 1.5"),
        (isotonic(&[(0.2, 0.1), (0.2, 0.3)]), "the knot (0.2, 0.3) after (0.2, 0.1)"),
        (isotonic(&[(0.2, 0.3), (0.4, 0.2)]), "the knot (0.4, 0.2) after (0.2, 0.3)"),
    ];
    for (curve, expected) in cases {
        let bad = calibration([Curve::Identity, curve, Curve::Identity, Curve::Identity]);
        let (found, _) = bad.check(&layout()).unwrap_err();
        assert!(found.starts_with(expected) && found.ends_with("scenario `home` and task `order`"), "{found}");
    }
}

#[test]
fn cells_of_another_model_are_refused() {
    assert!(plain().check(&layout()).is_ok());
    let mut fewer = plain();
    fewer.cells.pop();
    assert_eq!(fewer.check(&layout()).unwrap_err().0, "3 cells");
    let mut swapped = plain();
    swapped.cells.swap(0, 1);
    let (found, expected) = swapped.check(&layout()).unwrap_err();
    assert_eq!(found, "a curve for scenario `home` and task `order`");
    assert_eq!(expected, "one for scenario `home` and task `click`");
}
