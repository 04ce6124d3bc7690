//! What single layers that are told the scenario promise, beyond what all layers keep.

use hinet_model::{
    AdasparseConfig, Aesm2ScenarioConfig, Aesm2TaskConfig, Form, ModelConfig, Network, Pruner, ScenarioLayerConfig,
    TaskLayerConfig, TowerConfig, zoo,
};
use hinet_tape::{Mode, Op, Rows as Of};

use crate::cases::{TASKS, WIDTH};
use crate::harness::{Rows, Runner, layout};
use crate::oracle::Oracle;

fn over_towers(scenario: ScenarioLayerConfig) -> ModelConfig {
    let task = TaskLayerConfig::Tower(TowerConfig { tower_units: vec![4], ..TowerConfig::default() });
    ModelConfig { scenario, task, ..ModelConfig::default() }
}

#[test]
fn epnet_s_gate_scales_the_gradient_and_adds_none() {
    let layout = layout(WIDTH, 3, &TASKS);
    let rows = Rows::new(WIDTH, &[2, 1, 2]);
    let mut gated = Runner::new(&layout, &over_towers(ScenarioLayerConfig::Epnet(Default::default())), Form::Own);
    gated.run(&rows, Mode::Infer, None);
    let gate = gated.probe("gate.input").to_vec();
    assert!(gate.iter().all(|gate| (0.0..2.0).contains(gate)));
    let x = rows.x.iter().zip(&gate).map(|(x, gate)| x * gate).collect();
    let mut plain = Runner::new(&layout, &over_towers(ScenarioLayerConfig::Identity(Default::default())), Form::Own);
    plain.run(&Rows { x, ..rows }, Mode::Infer, None);
    let found = gated.tape.input_gradient(gated.network.x);
    let expected = plain.tape.input_gradient(plain.network.x);
    for ((found, expected), gate) in found.iter().zip(expected).zip(&gate) {
        assert!((found - gate * expected).abs() <= 1e-6, "{found} and {gate} * {expected}");
    }
}

#[test]
fn a_pruned_neuron_is_0_and_still_learns() {
    let layout = layout(WIDTH, 3, &TASKS);
    let rows = Rows::new(WIDTH, &[20, 20, 20]);
    for pruning in [Pruner::Binarise, Pruner::Fuse] {
        let config = AdasparseConfig { pruning, prune_alpha: 2.0, prune_threshold: 0.5, ..AdasparseConfig::default() };
        let mut runner = Runner::new(&layout, &over_towers(ScenarioLayerConfig::Adasparse(config)), Form::Own);
        runner.run(&rows, Mode::Train { seed: 1 }, None);
        for layer in 0..3 {
            let factors = runner.probe(&format!("gate.prune.{layer}"));
            let pruned = factors.iter().filter(|factor| **factor == 0.0).count();
            assert!(pruned > 0 && pruned < factors.len(), "{pruning:?}: {pruned} of {}", factors.len());
            let whole = pruning == Pruner::Binarise;
            assert!(factors.iter().all(|&factor| factor == 0.0 || if whole { factor == 1.0 } else { factor > 0.5 }));
        }
        // A column of the pruner learns though its neuron was left out for every row: h does not pass, its factor does.
        let (width, factors) = (WIDTH, runner.probe("gate.prune.0"));
        let out: Vec<usize> =
            (0..width).filter(|c| factors.iter().skip(*c).step_by(width).all(|f| *f == 0.0)).collect();
        let bias = runner.gradients.get("scenario.prune.0.bias").unwrap();
        assert!(out.iter().all(|&column| bias[column] != 0.0), "{pruning:?}: {out:?} of {bias:?}");
    }
}

#[test]
fn divergences_of_selected_experts_are_those_of_plain_loops() {
    let layout = layout(WIDTH, 3, &TASKS);
    let rows = Rows::new(WIDTH, &[2, 1, 3]);
    let scenario = Aesm2ScenarioConfig { select_divergence: 0.5, units: vec![3], ..Aesm2ScenarioConfig::default() };
    let task = Aesm2TaskConfig { task_divergence: 0.25, expert_units: vec![3], ..Aesm2TaskConfig::default() };
    let config = ModelConfig {
        scenario: ScenarioLayerConfig::Aesm2(scenario.clone()),
        task: TaskLayerConfig::Aesm2(task.clone()),
        ..ModelConfig::default()
    };
    let without = ModelConfig {
        scenario: ScenarioLayerConfig::Aesm2(Aesm2ScenarioConfig { select_divergence: 0.0, ..scenario.clone() }),
        task: TaskLayerConfig::Aesm2(Aesm2TaskConfig { task_divergence: 0.0, ..task.clone() }),
        ..ModelConfig::default()
    };
    let mut runner = Runner::new(&layout, &config, Form::Own);
    let mut without = Runner::new(&layout, &without, Form::Own);
    let losses = [&mut runner, &mut without].map(|runner| {
        runner.run(&rows, Mode::Infer, None);
        f64::from(runner.value(runner.objective.loss)[0])
    });
    let oracle = Oracle::new(&config, &runner.params, 3, &TASKS);
    let mut expected = 0.0;
    for row in 0..rows.count() {
        let x: Vec<f64> = rows.row(row).iter().map(|&x| f64::from(x)).collect();
        let own = rows.scenario[row];
        let (c, of_scenario) = oracle.aesm2_scenario(&scenario, &x, own);
        let (_, of_task) = oracle.aesm2_task(&task, (&c, &[0.0; 3]), own);
        expected += (0.5 * of_scenario + 0.25 * of_task) / rows.count() as f64;
    }
    let found = losses[0] - losses[1];
    assert!(expected > 0.1 && (found - expected).abs() <= 1e-4 * expected, "{found} and {expected}");
    // Two of eight for the scenario, two of eight that are shared: from two to four have a weight.
    for gate in runner.probe("gate.select").chunks_exact(8) {
        let kept = gate.iter().filter(|weight| **weight > 0.0).count();
        assert!((2..=4).contains(&kept) && (gate.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{gate:?}");
    }
}

#[test]
fn matrices_made_for_scenarios_are_made_once_per_batch() {
    let layout = layout(WIDTH, 3, &TASKS);
    for (preset, prefixes) in [("m2m", &["task.attention.", "task.meta."][..]), ("apg", &["scenario.core."])] {
        let network = Network::record(&layout, &zoo::find(preset).unwrap().config(), Form::Own).unwrap();
        let graph = &network.graph;
        let mut seen = 0;
        for node in graph.nodes() {
            let Op::Linear(op) = &node.op else { continue };
            let Op::Parameter { index } = graph.node(op.weight).op else { continue };
            let name = &graph.params()[index].name;
            if prefixes.iter().any(|prefix| name.starts_with(prefix)) && name.ends_with(".weight.weight") {
                assert_eq!(node.shape.rows, Of::Fixed(3), "{preset}: `{name}` makes matrices for rows");
                seen += 1;
            }
        }
        assert!(seen >= 2, "{preset}");
    }
}
