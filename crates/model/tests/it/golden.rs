//! A tiny HiNet worked out by hand: d = 4, three scenarios, two tasks, every tensor filled with
//! `0.5 sin(1.7 p + 0.9 i + 0.3)`, p being the ordinal of the tensor and i of the element.

use hinet_model::{CgcConfig, Form, HinetConfig, ModelConfig, Output, ScenarioLayerConfig, TaskLayerConfig, zoo};
use hinet_tape::{Mode, Params};

use crate::harness::{Rows, Runner, close, layout};

const X: [f32; 12] = [0.5, -1.0, 2.0, 0.25, -0.75, 0.4, 1.2, -1.5, 1.0, 1.0, -0.5, 0.3];

fn paper() -> ModelConfig {
    let scenario = HinetConfig {
        sub_experts: 2,
        shared_sub_experts: 2,
        units: vec![3],
        scenario_dim: 2,
        ..HinetConfig::default()
    };
    let task =
        CgcConfig { shared: 1, specific: 1, expert_units: vec![2], tower_units: vec![2], ..CgcConfig::default() };
    ModelConfig {
        scenario: ScenarioLayerConfig::Hinet(scenario),
        task: TaskLayerConfig::Cgc(task),
        ..ModelConfig::default()
    }
}

/// The authors' mode is a preset whose every key can be overridden: here the sizes, and no dropout and norm.
fn official() -> ModelConfig {
    let options = serde_json::json!({
        "preset": "official_compat", "input_norm": "none", "sei_dropout": 0.0, "scenario_dim": 2, "san_hidden": [2, 1],
        "sub_experts": 2, "shared_sub_experts": 2, "units": [3],
        "shared": 1, "specific": 1, "expert_units": [2], "tower_units": [2],
    });
    zoo::expand(options.as_object().unwrap()).unwrap()
}

/// Fills block `block` of a parameter made of blocks of `size` elements.
fn fill(params: &mut Params, (name, block, size): (&str, usize, usize), ordinal: usize) {
    let values = params.get_mut(name).unwrap_or_else(|| panic!("no parameter `{name}`"));
    for (i, value) in values[block * size..(block + 1) * size].iter_mut().enumerate() {
        *value = (0.5 * (1.7 * ordinal as f64 + 0.9 * i as f64 + 0.3).sin()) as f32;
    }
}

fn fill_all(params: &mut Params, san: &[(&str, usize, usize)]) {
    for expert in 0..4 {
        let (place, block, base) = match expert {
            0 => ("shared", 0, 0),
            scenario => ("specific", scenario - 1, 10 * scenario),
        };
        for k in 0..2 {
            let weight = format!("scenario.{place}.0.weight");
            fill(params, (&weight, 2 * block + k, 12), base + 2 * k);
            fill(params, (&weight.replace("weight", "bias"), 2 * block + k, 3), base + 2 * k + 1);
        }
        fill(params, (&format!("scenario.{place}.gate.weight"), block, 8), base + 4);
        fill(params, (&format!("scenario.{place}.gate.bias"), block, 2), base + 5);
    }
    fill(params, ("scenario.san.embedding", 0, 6), 50);
    for (number, &(layer, inner, outer)) in san.iter().enumerate() {
        fill(params, (&format!("scenario.san.{layer}.weight"), 0, inner * outer), 51 + 2 * number);
        fill(params, (&format!("scenario.san.{layer}.bias"), 0, outer), 52 + 2 * number);
    }
    fill(params, ("task.level0.shared.0.weight", 0, 18), 60);
    fill(params, ("task.level0.shared.0.bias", 0, 2), 61);
    for head in 0..6 {
        let parts = [("level0.specific.0", 18, 2), ("level0.gate", 18, 2), ("tower.0", 4, 2), ("tower.logit", 2, 1)];
        for (number, (part, weight, bias)) in parts.into_iter().enumerate() {
            fill(params, (&format!("task.{part}.weight"), head, weight), 70 + 10 * head + 2 * number);
            fill(params, (&format!("task.{part}.bias"), head, bias), 71 + 10 * head + 2 * number);
        }
    }
}

fn run(config: &ModelConfig, san: &[(&str, usize, usize)]) -> Runner {
    let mut runner = Runner::new(&layout(4, 3, &["first", "second"]), config, Form::Own);
    fill_all(&mut runner.params, san);
    let rows = Rows { x: X.to_vec(), ..Rows::new(X.len() / 3, &[1, 1, 1]) };
    runner.run(&rows, Mode::Infer, None);
    runner
}

fn logits(runner: &Runner) -> &[f32] {
    match runner.network.output {
        Output::Logits(logits) => runner.value(logits),
        Output::LogProbabilities { .. } => panic!("plain heads give logits"),
    }
}

#[test]
fn the_paper_s_mode_gives_the_numbers_worked_out_by_hand() {
    let runner = run(&paper(), &[("logits", 2, 3)]);
    let check = |name: &str, expected: &[f64]| close(runner.probe(name), expected, 1e-5, name);
    check("gate.shared", &[0.424299, 0.575701, 0.772806, 0.227194, 0.655734, 0.344266]);
    #[rustfmt::skip]
    check("expert.shared", &[0.005986, 0.434319, 0.533968, 0.124325, 0.028352, 0.200034, 0.615623, 0.151638, 0.307141]);
    check("san", &[0.0, 0.523368, 0.476632, 0.589057, 0.0, 0.410943, 0.451444, 0.548556, 0.0]);
    #[rustfmt::skip]
    check("expert.attended", &[0.320287, 0.415966, 0.467799, 0.080243, 0.150437, 0.246652, 0.335957, 0.264297, 0.169310]);
    close(
        &runner.probe("expert.scenario")[..9],
        &[0.450151, 0.283155, 0.0, 0.329724, 0.379812, 0.660170, 0.309926, 0.455664, 0.256565],
        1e-5,
        "S_m of row 0",
    );
    close(&runner.probe("gate.task")[..4], &[0.422621, 0.577379, 0.620499, 0.379501], 1e-5, "CGC gates");
    close(&runner.probe("mixed.task")[..4], &[0.254349, 0.172446, 0.0, 0.195502], 1e-5, "T of row 0");
    close(logits(&runner), &[-0.602042, -0.107468, 0.482364, -0.109128, -0.506336, 0.277561], 1e-5, "logits");
    let expected = [0.353877, 0.473159, 0.618306, 0.472745, 0.376053, 0.568948];
    close(runner.value(runner.network.scores), &expected, 1e-5, "probabilities");
}

#[test]
fn the_official_mode_gives_the_numbers_worked_out_by_hand() {
    let runner = run(&official(), &[("0", 2, 2), ("1", 2, 1), ("logits", 1, 3)]);
    let alpha = [0.0, 0.364010, 0.250628, 0.385362, 0.0, 0.250628, 0.385362, 0.364010, 0.0];
    close(runner.probe("san"), &alpha, 1e-5, "alpha");
    close(&runner.probe("expert.shared")[..3], &[0.007054, 0.511808, 0.629236], 1e-5, "G of row 0");
    close(logits(&runner), &[-0.895066, -0.165285, 0.482364, -0.144399, -0.528856, 0.287320], 1e-5, "logits");
}
