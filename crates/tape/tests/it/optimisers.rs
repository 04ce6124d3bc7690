//! Every optimiser against its textbook loop in double precision, element by element.

use hinet_tape::{
    AdamRowStep, DenseOptimiser, DenseOptimiserConfig, Gradients, Init, OptimiserError, OptimiserKind, ParamSpec,
    Params, RowStep, Scope, adagrad_row, adam_row, clip_global_norm, row_wise_adagrad_row, sgd_row,
};

use crate::harness::{close, hash};

const LEN: usize = 37;
const STEPS: u64 = 12;

fn noise(at: u64) -> f32 {
    (hash(at + 3) >> 40) as f32 / 8_388_608.0 - 1.0
}

fn params() -> Params {
    let spec = |name: &str, trainable| ParamSpec {
        name: name.into(),
        dims: vec![LEN],
        init: Init::Normal { std: 1.0 },
        scope: Scope::Shared,
        trainable,
    };
    Params::new(&[spec("first", true), spec("still", false), spec("second", true)], |name| name.len() as u64)
}

fn gradients(params: &Params, step: u64) -> Gradients {
    let mut gradients = Gradients::new(params);
    for name in ["first", "second"] {
        let range = params.range(name).unwrap();
        for at in range {
            // Some gradients are exactly zero.
            let value = noise(step * 10_000 + at as u64);
            gradients.values_mut()[at] = if value > 0.8 { 0.0 } else { value };
        }
    }
    gradients
}

/// One element over all steps: `(parameter, state, gradient, step from 1) -> parameter`.
type Rule<'a> = &'a dyn Fn(f64, &mut [f64; 2], f64, i32) -> f64;

fn check(config: &DenseOptimiserConfig, start: impl Fn(f64) -> [f64; 2], rule: Rule<'_>) {
    let mut got = params();
    let before = got.clone();
    let mut optimiser = DenseOptimiser::new(config, &got).unwrap();
    for step in 1..=STEPS {
        optimiser.step(&mut got, &gradients(&before, step), config.learning_rate);
    }
    assert_eq!(got.get("still"), before.get("still"), "{config:?}");
    for name in ["first", "second"] {
        let range = before.range(name).unwrap();
        let expected: Vec<f64> = range
            .clone()
            .map(|at| {
                let mut p = f64::from(before.values()[at]);
                let mut state = start(p);
                for step in 1..=STEPS {
                    p = rule(p, &mut state, f64::from(gradients(&before, step).values()[at]), step as i32);
                }
                p
            })
            .collect();
        close(&got.values()[range], &expected, 2e-5, &format!("{config:?}"));
    }
}

fn config(optimiser: OptimiserKind) -> DenseOptimiserConfig {
    DenseOptimiserConfig { optimiser, learning_rate: 0.05, ..DenseOptimiserConfig::default() }
}

#[test]
fn sgd_matches_its_textbook_loop_with_and_without_momentum() {
    let plain = DenseOptimiserConfig { weight_decay: 0.1, ..config(OptimiserKind::Sgd) };
    check(&plain, |_| [0.0; 2], &|p, _, g, _| p - 0.05 * (g + 0.1 * p));
    let heavy = DenseOptimiserConfig { momentum: Some(0.9), ..plain };
    check(&heavy, |_| [0.0; 2], &|p, state, g, _| {
        state[0] = 0.9 * state[0] + g + 0.1 * p;
        p - 0.05 * state[0]
    });
}

#[test]
fn adam_adds_its_decay_to_the_gradient_and_adamw_does_not() {
    for optimiser in [OptimiserKind::Adam, OptimiserKind::Adamw] {
        let coupled = optimiser == OptimiserKind::Adam;
        let config = DenseOptimiserConfig { weight_decay: 0.1, beta1: Some(0.8), ..config(optimiser) };
        check(&config, |_| [0.0; 2], &|p, state, g, step| {
            let g = if coupled { g + 0.1 * p } else { g };
            state[0] = 0.8 * state[0] + 0.2 * g;
            state[1] = 0.999 * state[1] + 0.001 * g * g;
            let mean = state[0] / (1.0 - 0.8_f64.powi(step));
            let square = state[1] / (1.0 - 0.999_f64.powi(step));
            let kept = if coupled { p } else { p - 0.05 * 0.1 * p };
            kept - 0.05 * mean / (square.sqrt() + 1e-8)
        });
    }
}

#[test]
fn adagrad_and_rmsprop_match_their_textbook_loops() {
    let adagrad = DenseOptimiserConfig { initial_accumulator: Some(0.1), ..config(OptimiserKind::Adagrad) };
    check(&adagrad, |_| [0.1, 0.0], &|p, state, g, _| {
        state[0] += g * g;
        p - 0.05 * g / (state[0].sqrt() + 1e-10)
    });
    for momentum in [None, Some(0.5)] {
        let rmsprop = DenseOptimiserConfig { rho: Some(0.9), momentum, ..config(OptimiserKind::Rmsprop) };
        check(&rmsprop, |_| [0.0; 2], &|p, state, g, _| {
            state[0] = 0.9 * state[0] + 0.1 * g * g;
            state[1] = f64::from(momentum.unwrap_or(0.0)) * state[1] + g / (state[0].sqrt() + 1e-8);
            p - 0.05 * state[1]
        });
    }
}

#[test]
fn ftrl_matches_its_textbook_loop_and_starts_where_the_parameters_are() {
    let (l1, l2, beta, rate) = (0.1, 0.2, 1.0, f64::from(0.05_f32));
    let config = DenseOptimiserConfig {
        l1: Some(0.1),
        l2: Some(0.2),
        initial_accumulator: Some(0.3),
        ..config(OptimiserKind::Ftrl)
    };
    let start = |p: f64| [0.3, -p * ((beta + 0.3_f64.sqrt()) / rate + l2) - l1 * p.signum()];
    check(&config, start, &|p, state, g, _| {
        let sigma = ((state[0] + g * g).sqrt() - state[0].sqrt()) / rate;
        state[1] += g - sigma * p;
        state[0] += g * g;
        if state[1].abs() <= l1 {
            return 0.0;
        }
        -(state[1] - l1 * state[1].signum()) / ((beta + state[0].sqrt()) / rate + l2)
    });
}

#[test]
fn a_saved_state_continues_with_the_same_bits() {
    for optimiser in [
        OptimiserKind::Sgd,
        OptimiserKind::Adam,
        OptimiserKind::Adamw,
        OptimiserKind::Adagrad,
        OptimiserKind::Rmsprop,
        OptimiserKind::Ftrl,
    ] {
        let config = config(optimiser);
        let mut straight = params();
        let mut first = DenseOptimiser::new(&config, &straight).unwrap();
        for step in 1..=4 {
            first.step(&mut straight, &gradients(&params(), step), 0.05);
        }
        let mut resumed = straight.clone();
        let mut second = DenseOptimiser::new(&config, &resumed).unwrap();
        second.load_state(first.steps(), &first.state()).unwrap();
        for step in 5..=8 {
            first.step(&mut straight, &gradients(&params(), step), 0.05);
            second.step(&mut resumed, &gradients(&params(), step), 0.05);
        }
        assert_eq!(straight.values(), resumed.values(), "{optimiser:?}");
    }
}

#[test]
fn a_state_of_another_network_is_refused() {
    let params = params();
    let mut adam = DenseOptimiser::new(&config(OptimiserKind::Adam), &params).unwrap();
    assert_eq!(adam.load_state(1, &[]), Err(OptimiserError::MissingState { name: "mean" }));
    let short = [1.0];
    let error = adam.load_state(1, &[("mean", &short), ("square", &short)]).unwrap_err();
    assert!(matches!(error, OptimiserError::StateLength { name: "mean", found: 1, .. }), "{error}");
}

#[test]
fn threads_do_not_change_a_step() {
    let spec = |name: &str| ParamSpec {
        name: name.into(),
        dims: vec![100_003],
        init: Init::Normal { std: 1.0 },
        scope: Scope::Shared,
        trainable: true,
    };
    let before = Params::new(&[spec("a")], |_| 1);
    let mut gradients = Gradients::new(&before);
    gradients.values_mut().iter_mut().enumerate().for_each(|(at, g)| *g = noise(at as u64));
    for optimiser in [OptimiserKind::Sgd, OptimiserKind::Adagrad, OptimiserKind::Adam] {
        let step = || {
            let mut params = before.clone();
            DenseOptimiser::new(&config(optimiser), &params).unwrap().step(&mut params, &gradients, 0.1);
            params.values().to_vec()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(step(), pool.install(step));
    }
}

#[test]
fn clipping_brings_the_common_norm_to_the_limit_and_leaves_smaller_ones_alone() {
    let params = params();
    let mut clipped = gradients(&params, 1);
    let norm = clip_global_norm(&mut clipped, 0.5);
    let expected = gradients(&params, 1).values().iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    assert!((norm - expected).abs() < 1e-9 && norm > 0.5);
    assert!((clipped.norm() - 0.5).abs() < 1e-6);
    let before = clipped.values().to_vec();
    clip_global_norm(&mut clipped, 0.6);
    clip_global_norm(&mut clipped, 0.0);
    assert_eq!(before, clipped.values());
}

#[test]
fn row_rules_match_their_textbook_loops() {
    let step = RowStep { learning_rate: 0.05, l2: 0.1, epsilon: 1e-6 };
    let start: Vec<f32> = (0..19).map(noise).collect();
    let gradient = |t: u64| (0..19).map(|at| noise(t * 100 + at)).collect::<Vec<f32>>();
    let (mut sgd, mut adagrad, mut rows, mut adam) = (start.clone(), start.clone(), start.clone(), start.clone());
    let (mut squares, mut total, mut mean, mut square) = (vec![0.0; 19], 0.0, vec![0.0; 19], vec![0.0; 19]);
    let f = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let mut expected = [f(&start), f(&start), f(&start), f(&start)];
    let mut state = [vec![0.0_f64; 19], vec![0.0; 19], vec![0.0; 19], vec![0.0; 19]];
    for t in 1..=9_u64 {
        let g = gradient(t);
        sgd_row(&step, &mut sgd, &g);
        adagrad_row(&step, &mut adagrad, &mut squares, &g);
        row_wise_adagrad_row(&step, &mut rows, &mut total, &g);
        adam_row(&AdamRowStep::new(step, 0.9, 0.99, t), &mut adam, (&mut mean, &mut square), &g);
        let pulled = expected
            .each_ref()
            .map(|p| -> Vec<f64> { p.iter().zip(&g).map(|(p, g)| f64::from(*g) + 0.1 * p).collect() });
        state[1][0] += pulled[2].iter().map(|g| g * g).sum::<f64>() / 19.0;
        for at in 0..19 {
            expected[0][at] -= 0.05 * pulled[0][at];
            state[0][at] += pulled[1][at].powi(2);
            expected[1][at] -= 0.05 * pulled[1][at] / (state[0][at].sqrt() + 1e-6);
            expected[2][at] -= 0.05 * pulled[2][at] / (state[1][0].sqrt() + 1e-6);
            state[2][at] = 0.9 * state[2][at] + 0.1 * pulled[3][at];
            state[3][at] = 0.99 * state[3][at] + 0.01 * pulled[3][at].powi(2);
            let corrected = state[2][at] / (1.0 - 0.9_f64.powi(t as i32));
            let root = (state[3][at] / (1.0 - 0.99_f64.powi(t as i32))).sqrt();
            expected[3][at] -= 0.05 * corrected / (root + 1e-6);
        }
    }
    for (got, expected) in [&sgd, &adagrad, &rows, &adam].into_iter().zip(&expected) {
        close(got, expected, 2e-5, "row rule");
    }
}
