//! Layers whose tasks read one another: what is true of each of them alone.

use hinet_model::{
    AitmConfig, Counterfactual, CrossStitchConfig, EsmmConfig, Form, ModelConfig, ScenarioLayerConfig, SnrConfig,
    TaskLayerConfig,
};
use hinet_tape::{Mode, Params};

use crate::cases::{TASKS, WIDTH, with_funnel};
use crate::harness::{Rows, Runner, layout};

fn config(task: TaskLayerConfig) -> ModelConfig {
    let scenario = ScenarioLayerConfig::Identity(Default::default());
    ModelConfig { scenario, task: with_funnel(task), ..ModelConfig::default() }
}

/// The loss of these rows with these targets and weights, by parameters that do not depend on the config's numbers.
fn loss(task: TaskLayerConfig, rows: &Rows, data: (&[f32], &[f32])) -> f32 {
    let mut runner = Runner::new(&layout(WIDTH, 2, &TASKS), &config(task), Form::Own);
    runner.run(rows, Mode::Infer, Some(data));
    runner.value(runner.objective.loss)[0]
}

#[test]
fn no_step_of_a_funnel_is_more_probable_than_the_one_before() {
    let rows = Rows::new(WIDTH, &[20, 20]);
    let esmm = TaskLayerConfig::Esmm(EsmmConfig::default());
    let scores = Runner::new(&layout(WIDTH, 2, &TASKS), &config(esmm), Form::Own).scores(&rows);
    assert!(scores.chunks_exact(3).all(|row| row[0] >= row[1] && row[1] >= row[2]), "{scores:?}");
}

#[test]
fn a_calibrator_charges_for_observed_labels_alone() {
    let rows = Rows::new(WIDTH, &[20, 20]);
    let [with, without] =
        [0.6, 0.0].map(|calibrator| TaskLayerConfig::Aitm(AitmConfig { calibrator, ..AitmConfig::default() }));
    let targets = vec![0.0; 40 * 3];
    let first: Vec<f32> = (0..40 * 3).map(|at| f32::from(u8::from(at % 3 == 0))).collect();
    let first = (&targets[..], &first[..]);
    assert_eq!(loss(with.clone(), &rows, first), loss(without.clone(), &rows, first));
    let ones = vec![1.0; 40 * 3];
    assert!(loss(with, &rows, (&targets, &ones)) > loss(without, &rows, (&targets, &ones)) + 0.01);
}

#[test]
fn rows_without_the_step_before_have_no_say_in_inverse_propensity_weights() {
    let rows = Rows::new(WIDTH, &[20, 20]);
    let of = |counterfactual: Counterfactual| {
        TaskLayerConfig::Esmm(EsmmConfig { counterfactual, counterfactual_weight: 1.0, ..EsmmConfig::default() })
    };
    let (none, ones) = (vec![0.0; 40 * 3], vec![1.0; 40 * 3]);
    let [plain, ipw] = [Counterfactual::None, Counterfactual::Ipw].map(|kind| loss(of(kind), &rows, (&none, &ones)));
    assert_eq!(plain, ipw);
    let [plain, ipw] = [Counterfactual::None, Counterfactual::Ipw].map(|kind| loss(of(kind), &rows, (&ones, &ones)));
    assert!(ipw > plain + 1.0, "{plain} and {ipw}");
}

#[test]
fn no_gradient_flows_through_a_propensity() {
    // With the whole loss but the counterfactual risk masked, nothing may train the first step's tower.
    let mut runner = {
        let ipw = EsmmConfig { counterfactual: Counterfactual::Ipw, ..EsmmConfig::default() };
        let two = ["click", "order"];
        let scenario = ScenarioLayerConfig::Identity(Default::default());
        let config = ModelConfig { scenario, task: TaskLayerConfig::Esmm(ipw), ..ModelConfig::default() };
        Runner::new(&layout(WIDTH, 1, &two), &config, Form::Own)
    };
    let rows = Rows::new(WIDTH, &[20]);
    let gradient = |runner: &mut Runner, targets: &[f32]| {
        let orders: Vec<f32> = (0..40).map(|at| (at % 2) as f32).collect();
        runner.run(&rows, Mode::Infer, Some((targets, &orders)));
        let all = runner.gradients.get("task.tower.logit.bias").unwrap();
        (all[0], all[1])
    };
    let clicks: Vec<f32> = (0..40).map(|at| ((at + 1) % 2) as f32).collect();
    let (with, without) = (gradient(&mut runner, &clicks), gradient(&mut runner, &[0.0; 40]));
    // The product trains the click's tower in both; clicks bring the order's tower its risk, and the click's nothing.
    assert_eq!(with.0, without.0);
    assert!((with.1 - without.1).abs() > 0.01, "{with:?} and {without:?}");
}

#[test]
fn gates_of_sub_networks_are_drawn_in_training_alone() {
    let rows = Rows::new(WIDTH, &[3, 3]);
    let snr = config(TaskLayerConfig::Snr(SnrConfig::default()));
    let mut runner = Runner::new(&layout(WIDTH, 2, &TASKS), &snr, Form::Own);
    let mut scores = |mode: Mode| {
        runner.run(&rows, mode, None);
        runner.value(runner.network.scores).to_vec()
    };
    let plain = scores(Mode::Infer);
    let first = scores(Mode::Train { seed: 1 });
    assert_ne!(first, plain);
    assert_ne!(first, scores(Mode::Train { seed: 2 }));
    assert_eq!(first, scores(Mode::Train { seed: 1 }));
    assert_eq!(plain, scores(Mode::Infer));
}

#[test]
fn a_gate_far_below_zero_cuts_its_connection() {
    let rows = Rows::new(WIDTH, &[3, 3]);
    let snr = config(TaskLayerConfig::Snr(SnrConfig { snr_levels: 1, ..SnrConfig::default() }));
    let mut runner = Runner::new(&layout(WIDTH, 2, &TASKS), &snr, Form::Own);
    let before = runner.scores(&rows);
    // Every gate from the first of four sub-networks.
    let gates = runner.params.get_mut("task.gate").unwrap();
    gates.iter_mut().step_by(4).for_each(|log_alpha| *log_alpha = -9.0);
    let cut = runner.scores(&rows);
    let width = runner.params.get("task.level0.sub.0.bias").unwrap().len() / 4;
    runner.params.get_mut("task.level0.sub.0.bias").unwrap()[..width].fill(5.0);
    assert_eq!(runner.scores(&rows), cut);
    assert_ne!(before, cut);
}

#[test]
fn columns_start_almost_apart() {
    let stitch =
        config(TaskLayerConfig::CrossStitch(CrossStitchConfig { stitch_per_unit: true, ..Default::default() }));
    let runner = Runner::new(&layout(WIDTH, 2, &TASKS), &stitch, Form::Own);
    let params = Params::new(runner.network.graph.params(), |_| 1);
    let alpha = params.get("task.stitch1").unwrap();
    assert_eq!(alpha.len(), 9 * 64);
    for (at, alpha) in alpha.chunks_exact(64).enumerate() {
        let expected = if at % 4 == 0 { 0.9 } else { 0.05 };
        assert!(alpha.iter().all(|alpha| (alpha - expected).abs() < 1e-7), "{at}: {alpha:?}");
    }
}
