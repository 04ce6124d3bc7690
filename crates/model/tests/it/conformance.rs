//! What every layer must keep. The suite runs over all pairings of the kinds of both slots: a new kind is in it by
//! existing. Where an option matters, the cases of `cases.rs` join.

use hinet_model::{
    CgcConfig, CgcGate, Form, HinetConfig, HmoeConfig, Mix, ModelConfig, Network, ScenarioLayerConfig, TaskLayerConfig,
    zoo,
};
use hinet_tape::{Mode, ParamSpec, Params, Scope};
use proptest::prelude::*;

use crate::cases::{self, TASKS, WIDTH};
use crate::harness::{Rows, Runner, forms, layout};

/// Every pairing of kinds that there is, with every option at its default, but for those that the data cannot tell.
fn pairings() -> Vec<(String, ModelConfig)> {
    let mut all = Vec::new();
    for scenario in ScenarioLayerConfig::one_of_each() {
        for task in TaskLayerConfig::one_of_each().into_iter().map(cases::with_funnel) {
            let name = format!("{} with {}", scenario.kind(), task.kind());
            let config = ModelConfig { scenario: scenario.clone(), task, ..ModelConfig::default() };
            let linear_over_layers = config.task.kind() == "linear" && config.scenario.kind() != "identity";
            assert_eq!(config.check(&layout(WIDTH, 3, &TASKS)).is_err(), linear_over_layers, "{name}");
            if !linear_over_layers {
                all.push((name, config));
            }
        }
    }
    all
}

fn pairings_and_cases() -> Vec<(String, ModelConfig)> {
    pairings().into_iter().chain(cases::all()).collect()
}

#[test]
fn all_forms_ask_for_the_same_parameters_and_give_the_columns_they_promise() {
    let layout = layout(WIDTH, 3, &TASKS);
    for (name, config) in pairings_and_cases() {
        let own = Network::record(&layout, &config, Form::Own).unwrap();
        assert_eq!(own.graph.inputs(), [own.x], "{name}");
        for form in forms(&config) {
            let network = Network::record(&layout, &config, form).unwrap();
            assert_eq!(network.graph.params(), own.graph.params(), "{name}, {form:?}");
            let columns = if form == Form::Every { 9 } else { 3 };
            assert_eq!(network.columns(), columns, "{name}, {form:?}");
            assert_eq!(network.graph.groups(), if form == Form::Mean { 1 } else { 3 }, "{name}, {form:?}");
        }
    }
}

#[test]
fn every_trainable_parameter_gets_a_gradient() {
    let layout = layout(WIDTH, 3, &TASKS);
    for (name, config) in pairings().into_iter().chain(cases::crossed()) {
        let rows = Rows::of(&layout, &config, &[8, 8, 8]);
        for form in forms(&config).into_iter().filter(|form| *form != Form::Mean) {
            let mut runner = Runner::new(&layout, &config, form);
            runner.run(&rows, Mode::Train { seed: 1 }, None);
            for spec in runner.params.specs().iter().filter(|spec| spec.trainable) {
                let gradient = runner.gradients.get(&spec.name).unwrap();
                assert!(gradient.iter().any(|g| *g != 0.0), "{name}, {form:?}: `{}` gets no gradient", spec.name);
                let finite = gradient.iter().all(|g| g.is_finite());
                assert!(finite, "{name}, {form:?}: gradient of `{}`", spec.name);
            }
            assert!(runner.tape.input_gradient(runner.network.x).iter().any(|g| *g != 0.0), "{name}, {form:?}");
        }
    }
}

#[test]
fn rows_of_one_scenario_train_nothing_that_is_private_to_another_unless_declared() {
    let layout = layout(WIDTH, 3, &TASKS);
    let plain = pairings().len();
    for (place, (name, config)) in pairings_and_cases().into_iter().enumerate() {
        let rows = Rows::of(&layout, &config, &[0, 6, 0]);
        let mut runner = Runner::new(&layout, &config, Form::Own);
        runner.run(&rows, Mode::Train { seed: 1 }, None);
        let mut crossed = Vec::new();
        for spec in runner.params.specs() {
            if !matches!(spec.scope, Scope::PerScenario | Scope::PerScenarioTask) {
                continue;
            }
            let gradient = runner.gradients.get(&spec.name).unwrap();
            for (scenario, gradient) in gradient.chunks_exact(spec.len() / 3).enumerate() {
                if scenario != 1 && gradient.iter().any(|g| *g != 0.0) {
                    crossed.push(spec.name.clone());
                }
            }
        }
        let declared = &runner.network.crossing;
        assert!(crossed.iter().all(|crossed| declared.contains(crossed)), "{name}: {crossed:?} beyond {declared:?}");
        let needless: Vec<_> = declared.iter().filter(|declared| !crossed.contains(declared)).collect();
        // A gate over a single sub-expert, as some cases have it, is trained by nobody.
        assert!(
            needless.is_empty() || place >= plain,
            "{name}: {needless:?} are declared to cross scenarios and do not"
        );
    }
}

#[test]
fn a_loss_of_one_task_trains_nothing_that_is_private_to_another_unless_declared() {
    let layout = layout(WIDTH, 2, &TASKS);
    let targets = vec![1.0; 8 * 3];
    let only_view: Vec<f32> = (0..8 * 3).map(|at| f32::from(u8::from(at % 3 == 1))).collect();
    for (name, config) in pairings() {
        let rows = Rows::of(&layout, &config, &[4, 4]);
        let mut runner = Runner::new(&layout, &config, Form::Own);
        runner.run(&rows, Mode::Infer, Some((&targets, &only_view)));
        let mut crossed = Vec::new();
        for spec in runner.params.specs() {
            if !matches!(spec.scope, Scope::PerTask | Scope::PerScenarioTask) {
                continue;
            }
            let gradient = runner.gradients.get(&spec.name).unwrap();
            for (part, gradient) in gradient.chunks_exact(spec.len() / spec.dims[0]).enumerate() {
                if part % 3 != 1 && gradient.iter().any(|g| *g != 0.0) && !crossed.contains(&spec.name) {
                    crossed.push(spec.name.clone());
                }
            }
        }
        assert_eq!(crossed, runner.network.crossing_tasks, "{name}: trained by another task, and declared to be");
    }
}

#[test]
fn a_row_is_scored_alone_as_in_a_batch() {
    let layout = layout(WIDTH, 3, &TASKS);
    for (name, config) in pairings_and_cases() {
        let rows = Rows::of(&layout, &config, &[3, 0, 2]);
        for form in forms(&config) {
            let mut runner = Runner::new(&layout, &config, form);
            let together = runner.scores(&rows);
            let columns = runner.network.columns();
            for row in 0..rows.count() {
                let alone = runner.scores(&rows.only(row));
                let beside = &together[row * columns..(row + 1) * columns];
                for (alone, beside) in alone.iter().zip(beside) {
                    assert!((alone - beside).abs() <= 1e-6, "{name}, {form:?}, row {row}: {alone} and {beside}");
                }
            }
        }
    }
}

#[test]
fn a_row_s_own_heads_score_the_same_when_every_head_is_run() {
    let layout = layout(WIDTH, 3, &TASKS);
    for (name, config) in pairings_and_cases().into_iter().filter(|(_, config)| config.task.has_heads_per_scenario()) {
        let rows = Rows::of(&layout, &config, &[2, 1, 2]);
        let own = Runner::new(&layout, &config, Form::Own).scores(&rows);
        let every = Runner::new(&layout, &config, Form::Every).scores(&rows);
        for (row, (own, every)) in own.chunks_exact(3).zip(every.chunks_exact(9)).enumerate() {
            let beside = &every[3 * rows.scenario[row]..][..3];
            let same = own.iter().zip(beside).all(|(own, beside)| (own - beside).abs() <= 1e-6);
            assert!(same, "{name}, row {row}: {own:?} and {beside:?}");
        }
    }
}

#[test]
fn one_scenario_and_one_task_are_enough() {
    for (name, config) in pairings_and_cases() {
        let task = serde_json::to_value(&config.task).unwrap();
        let names_tasks = |option: &str| task[option].as_array().is_some_and(|tasks| !tasks.is_empty());
        let needs_tasks = ["product", "funnel", "depends"].into_iter().any(names_tasks);
        for (scenarios, tasks) in [(1, &TASKS[..1]), (1, &TASKS[..]), (3, &TASKS[..1])] {
            if needs_tasks && tasks.len() == 1 {
                continue;
            }
            let layout = layout(WIDTH, scenarios, tasks);
            let rows = Rows::of(&layout, &config, &[4, 4, 4][..scenarios]);
            for form in forms(&config) {
                let mut runner = Runner::new(&layout, &config, form);
                let scores = runner.scores(&rows);
                assert!(scores.iter().all(|p| (0.0..=1.0).contains(p)), "{name}, {scenarios} scenarios: {scores:?}");
                let finite = runner.gradients.values().iter().all(|g| g.is_finite());
                assert!(finite, "{name}, {scenarios} scenarios, {form:?}");
            }
        }
    }
}

#[test]
fn only_a_network_without_scenario_layer_and_heads_of_their_own_ignores_the_scenario() {
    let layout = layout(WIDTH, 2, &TASKS);
    for (name, config) in pairings_and_cases() {
        let mut here = Rows::of(&layout, &config, &[1, 1]);
        let width = here.width();
        here.x.copy_within(..width, width);
        let scores = Runner::new(&layout, &config, Form::Own).scores(&here);
        // A task layer may be told the scenario without having heads for each.
        let told = matches!(config.task, TaskLayerConfig::M2m(_) | TaskLayerConfig::Aesm2(_));
        let blind = matches!(config.scenario, ScenarioLayerConfig::Identity(_))
            && !config.task.has_heads_per_scenario()
            && !told;
        assert_eq!(scores[..3] == scores[3..], blind, "{name}: {scores:?}");
    }
}

#[test]
fn attention_is_a_distribution_over_the_other_scenarios() {
    let layout = layout(WIDTH, 4, &TASKS);
    let mut runner = Runner::new(&layout, &ModelConfig::default(), Form::Own);
    runner.scores(&Rows::new(WIDTH, &[1, 1, 1, 1]));
    for (scenario, alpha) in runner.probe("san").chunks_exact(4).enumerate() {
        assert_eq!(alpha[scenario], 0.0);
        assert!((alpha.iter().sum::<f32>() - 1.0).abs() < 1e-6 && alpha.iter().all(|a| *a >= 0.0), "{alpha:?}");
    }
}

#[test]
fn gates_are_distributions_over_experts() {
    let layout = layout(WIDTH, 3, &TASKS);
    let mut runner = Runner::new(&layout, &ModelConfig::default(), Form::Own);
    runner.scores(&Rows::new(WIDTH, &[2, 2, 2]));
    for (probe, size) in [("gate.shared", 4), ("gate.scenario", 4), ("gate.task", 6)] {
        for gate in runner.probe(probe).chunks_exact(size) {
            assert!(
                (gate.iter().sum::<f32>() - 1.0).abs() < 1e-6 && gate.iter().all(|g| *g >= 0.0),
                "{probe}: {gate:?}"
            );
        }
    }
}

#[test]
fn the_network_of_the_authors_code_has_1421598_parameters() {
    let config = zoo::find("official_compat").unwrap().config();
    let network = Network::record(&layout(10, 6, &["click", "order"]), &config, Form::Own).unwrap();
    let part = |prefix: &str| -> usize {
        let specs = network.graph.params().iter().filter(|spec| spec.trainable && spec.name.starts_with(prefix));
        specs.map(ParamSpec::len).sum()
    };
    assert_eq!(part("scenario.shared.") + part("scenario.specific."), 338_625);
    assert_eq!(part("scenario.san."), 17_037);
    assert_eq!(part("task.level0.shared.") + part("task.level0.specific."), 856_960);
    assert_eq!(part("task.level0.gate."), 9_264);
    assert_eq!(part("task.tower."), 199_692);
    assert_eq!(part("input_norm."), 20);
    assert_eq!(part(""), 1_421_598);
}

/// Parameters of an MLP: `sum (n_{l-1} u_l + u_l)`.
fn mlp(inner: usize, units: &[usize]) -> usize {
    let widths = std::iter::once(&inner).chain(units);
    widths.zip(units).map(|(inner, outer)| inner * outer + outer).sum()
}

/// Dense parameters of a preset over `d` columns of input, two of them of ids, `s` scenarios and `t` tasks.
fn formula(preset: &str, (d, s, t): (usize, usize, usize)) -> usize {
    let heads = s * t;
    let tower = |inner: usize| heads * mlp(inner, &[32, 1]);
    let sei = 4 * mlp(d, &[128, 64]) + 4 * (d + 1);
    let san = 16 * s + 17 * s;
    let cgc = |c: usize, units: &[usize], out: usize| {
        (4 + 2 * heads) * mlp(c, units) + heads * 6 * (c + 1) + heads * mlp(out, &[32, 1])
    };
    let mmoe = 6 * mlp(d, &[128, 64]) + tower(64);
    match preset {
        "hinet" => (1 + s) * sei + san + cgc(3 * 64, &[64], 64),
        "hinet_no_san" => (1 + s) * sei + cgc(2 * 64, &[64], 64),
        "hinet_no_shared" => s * sei + san + cgc(2 * 64, &[64], 64),
        "hinet_no_specific" => sei + cgc(64, &[64], 64),
        "hinet_flat" => cgc(d, &[128, 64, 64], 64),
        "hinet_official" => 1_421_598,
        "shared_bottom" => mlp(d, &[128, 64]) + tower(64),
        "omoe" => mmoe + 6 * d,
        "mmoe" => mmoe + heads * 6 * d,
        "hmoe" => mmoe + heads * 6 * d + heads * s * d,
        "ple" => {
            let below = (4 + 2 * heads) * mlp(d, &[64]) + heads * 6 * (d + 1) + s * (2 * t + 4) * (d + 1);
            below + cgc(64, &[64], 64)
        }
        "star" => {
            let norm = 2 * d + 2 * s * d;
            let auxiliary = 16 * s + t * (mlp(16 + d, &[32]) + mlp(32, &[1]));
            norm + (1 + s) * t * mlp(d, &[128, 64, 32, 1]) + auxiliary
        }
        "towers" | "esmm" | "escm2_ipw" => heads * mlp(d, &[64, 32, 1]),
        "escm2_dr" => (heads + s * (t - 1)) * mlp(d, &[64, 32, 1]),
        "snr_trans" => {
            let connections = 4 * 4 + heads * 4;
            4 * mlp(d, &[64]) + 4 * mlp(64, &[64]) + connections * (1 + 64 * 64) + tower(64)
        }
        "snr_aver" => 4 * mlp(d, &[64]) + 4 * mlp(64, &[64]) + 4 * 4 + heads * 4 + tower(64),
        "aitm" => heads * mlp(d, &[64, 32, 1]) + s * (t - 1) * (mlp(32, &[32]) + 3 * 32 * 32),
        "cross_stitch" => t * mlp(d, &[128, 64]) + 2 * t * t + tower(64),
        "dbmtl" => {
            let relations: usize = (1..=t).map(|read| s * mlp(32 * read, &[32])).sum();
            mlp(d, &[128, 64]) + heads * (mlp(64, &[32]) + mlp(32, &[1])) + relations
        }
        "single" => heads * mlp(d, &[128, 64, 32, 1]),
        "single_task" => t * mlp(d, &[128, 64, 32, 1]),
        "single_scenario" => s * mlp(d, &[128, 64]) + tower(64),
        "logistic" => t * mlp(d - 3, &[1]),
        other => formula_where_scenarios_are_told(other, (d, s, t)),
    }
}

/// As [`formula`], of models that condition on the scenario.
fn formula_where_scenarios_are_told(preset: &str, (d, s, t): (usize, usize, usize)) -> usize {
    match preset {
        "pepnet" => {
            let epnet = 16 * s + 16 * 64 + mlp(d, &[64, d]);
            let gate = |out: usize| mlp(d, &[64]) + t * mlp(64, &[out]);
            epnet + [d, 128, 64, 32].map(gate).iter().sum::<usize>() + t * mlp(d, &[128, 64, 32, 1])
        }
        "m2m" => {
            // A made layer has a weight for each of 16 things known and one more.
            let made = |inner: usize, outer: usize, bias: bool| 17 * (inner * outer + if bias { outer } else { 0 });
            let attention = made(64, 32, false) + made(16, 32, true) + 16 * t + 32;
            let known = 16 * s + mlp(16, &[16]);
            known + 6 * mlp(d, &[128, 64]) + attention + made(64, 64, true) + t * mlp(64, &[32, 1])
        }
        "sarnet" => {
            let experts = (2 * s + 4) * mlp(d, &[128, 64]);
            2 * s * d + experts + s * mlp(d, &[6]) + t * mlp(64, &[32, 1])
        }
        "adasparse" => {
            let pruners: usize = [d, 128, 64].iter().map(|width| mlp(width + 16, &[*width])).sum();
            16 * s + pruners + mlp(d, &[128, 64]) + t * mlp(64, &[32, 1])
        }
        "apg" => {
            let made = |inner: usize, outer: usize| 16 * inner + 33 * 16 * 16 + mlp(16, &[outer]);
            16 * s + mlp(16, &[32]) + made(d, 128) + made(128, 64) + t * mlp(64, &[32, 1])
        }
        "hamur" => {
            let cell = |width: usize| 2 * 16 * (width + 32) + 32 + 2 * s * width;
            mlp(d, &[64, 16 * 16]) + s * mlp(d, &[128, 64]) + cell(128) + cell(64) + t * mlp(64, &[32, 1])
        }
        "m3oe" => {
            // Each layer of an expert has a gain and a bias too.
            let experts = (4 + s + t) * (mlp(128, &[128, 64]) + 2 * (128 + 64));
            let transform = (s + 2) * mlp(d, &[128]);
            transform + experts + s * t * (4 * 128 + mlp(64, &[32, 1])) + 4
        }
        "aesm2" => {
            let scenarios = 16 * s + 8 * mlp(d, &[128, 64]) + s * mlp(d + 16, &[8]);
            let gates = 16 * s + 16 * t + t * mlp(64 + 16 + 16, &[8]);
            scenarios + gates + 8 * mlp(64, &[64]) + t * mlp(64, &[32, 1])
        }
        other => panic!("a formula for `{other}`"),
    }
}

#[test]
fn parameters_of_every_preset_count_as_its_formula_says() {
    let layout = layout(10, 6, &["click", "order"]);
    for preset in zoo::PRESETS {
        let plain = Network::record(&layout, &preset.config(), Form::Own).unwrap();
        let count = |network: &Network| -> usize {
            let trainable = network.graph.params().iter().filter(|spec| spec.trainable);
            trainable.map(ParamSpec::len).sum()
        };
        assert_eq!(count(&plain), formula(preset.name, (10, 6, 2)), "{}", preset.name);
        // First-order terms add a weight per number and task, in each scenario that shares nothing.
        let config = ModelConfig { first_order: true, ..preset.config() };
        let owners = if config.tables.per_scenario() { 6 } else { 1 };
        let more = if preset.name == "logistic" { 0 } else { 7 * 2 * owners };
        let first_order = Network::record(&layout, &config, Form::Own).unwrap();
        assert_eq!(count(&first_order) - count(&plain), more, "{}", preset.name);
    }
}

#[test]
fn a_summed_gate_learns_nothing() {
    let layout = layout(WIDTH, 2, &TASKS);
    let summed = CgcConfig { cgc_gate: CgcGate::Sum, ..cases::cgc() };
    let config = ModelConfig { task: TaskLayerConfig::Cgc(summed), ..ModelConfig::default() };
    for form in [Form::Own, Form::Every] {
        let mut runner = Runner::new(&layout, &config, form);
        runner.run(&Rows::new(WIDTH, &[3, 3]), Mode::Train { seed: 1 }, None);
        for name in ["task.level0.gate.weight", "task.level0.gate.bias"] {
            assert!(runner.gradients.get(name).unwrap().iter().all(|g| *g == 0.0), "`{name}` in {form:?}");
        }
    }
}

#[test]
fn dropout_drops_in_training_alone() {
    let layout = layout(WIDTH, 2, &TASKS);
    let rows = Rows::new(WIDTH, &[3, 3]);
    let scenario = HinetConfig { sei_dropout: 0.5, ..HinetConfig::default() };
    let task = CgcConfig { expert_dropout: 0.5, tower_dropout: 0.5, ..CgcConfig::default() };
    let dropped = [
        ModelConfig { scenario: ScenarioLayerConfig::Hinet(scenario), ..ModelConfig::default() },
        ModelConfig { task: TaskLayerConfig::Cgc(task), ..ModelConfig::default() },
    ];
    let plain = Runner::new(&layout, &ModelConfig::default(), Form::Own).scores(&rows);
    for config in dropped {
        let mut runner = Runner::new(&layout, &config, Form::Own);
        assert_eq!(runner.scores(&rows), plain, "inference");
        let mut train = |seed: u64| {
            runner.run(&rows, Mode::Train { seed }, None);
            runner.value(runner.network.scores).to_vec()
        };
        let first = train(1);
        assert_ne!(first, plain);
        assert_ne!(first, train(2));
        assert_eq!(first, train(1));
    }
}

#[test]
fn a_stopped_gradient_is_that_of_the_row_s_own_scenario() {
    let layout = layout(WIDTH, 3, &TASKS);
    // With rows of one scenario alone, its own tower and gate learn the same whether others' gradients are stopped.
    let rows = Rows::new(WIDTH, &[0, 5, 0]);
    for mix in [Mix::Scores, Mix::Hidden] {
        let gradients = [true, false].map(|mix_stop_gradient| {
            let task = TaskLayerConfig::Hmoe(HmoeConfig { mix, mix_stop_gradient, ..HmoeConfig::default() });
            let scenario = ScenarioLayerConfig::Identity(Default::default());
            let mut runner = Runner::new(&layout, &ModelConfig { scenario, task, ..ModelConfig::default() }, Form::Own);
            runner.run(&rows, Mode::Infer, None);
            ["task.tower.0.weight", "task.gate.weight", "task.mix.weight"].map(|name| {
                let all = runner.gradients.get(name).unwrap();
                all[all.len() / 3..2 * all.len() / 3].to_vec()
            })
        });
        for (stopped, flowing) in gradients[0].iter().flatten().zip(gradients[1].iter().flatten()) {
            assert!((stopped - flowing).abs() <= 1e-6, "{mix:?}: {stopped} and {flowing}");
        }
    }
}

#[test]
fn a_star_starts_as_its_centre() {
    let layout = layout(WIDTH, 2, &TASKS);
    let config = zoo::find("star").unwrap().config();
    let network = Network::record(&layout, &config, Form::Own).unwrap();
    let mut params = Params::new(network.graph.params(), |name| name.len() as u64);
    params.get_mut("task.aux.embedding").unwrap().fill(0.0);
    let mut rows = Rows::of(&layout, &config, &[1, 1]);
    rows.x.copy_within(..WIDTH, WIDTH);
    let mut runner = Runner::new(&layout, &config, Form::Own);
    runner.params = params;
    let scores = runner.scores(&rows);
    assert_eq!(scores[..3], scores[3..]);
}

#[test]
fn first_order_terms_start_without_a_say() {
    let layout = layout(WIDTH, 2, &TASKS);
    for (name, config) in pairings().into_iter().filter(|(_, config)| config.task.kind() != "linear") {
        let with = ModelConfig { first_order: true, ..config.clone() };
        let rows = Rows::of(&layout, &with, &[2, 2]);
        // Weights of ids lie behind the other columns, and are 0 at first.
        let x: Vec<f32> = (0..4).flat_map(|row| [&rows.row(row)[..WIDTH], &[0.0; 9]].concat()).collect();
        let with_rows = Rows { x, ..rows.clone() };
        let without_rows = Rows { x: (0..4).flat_map(|row| rows.row(row)[..WIDTH].to_vec()).collect(), ..rows.clone() };
        let mut runner = Runner::new(&layout, &with, Form::Own);
        runner.params.get_mut("first_order.numbers.weight").unwrap().fill(0.0);
        let plain = Runner::new(&layout, &config, Form::Own).scores(&without_rows);
        assert_eq!(runner.scores(&with_rows), plain, "{name}");
        assert_ne!(runner.scores(&rows), plain, "{name}: weights of ids do nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn permuting_rows_permutes_scores(counts in prop::collection::vec(0_usize..5, 3), turn in 0_usize..4) {
        let layout = layout(WIDTH, 3, &TASKS);
        let some = Rows::new(1, &counts);
        // Rows stay with their scenario: each group is turned in itself.
        let order: Vec<usize> = some
            .offsets
            .windows(2)
            .flat_map(|range| {
                let mut group: Vec<usize> = (range[0]..range[1]).collect();
                let by = turn.min(group.len());
                group.rotate_left(by);
                group
            })
            .collect();
        for (name, config) in pairings() {
            let rows = Rows::of(&layout, &config, &counts);
            let x = order.iter().flat_map(|&row| rows.row(row).to_vec()).collect();
            let turned = Rows { x, ..rows.clone() };
            let mut runner = Runner::new(&layout, &config, Form::Own);
            let (before, after) = (runner.scores(&rows), runner.scores(&turned));
            for (row, &from) in order.iter().enumerate() {
                let (after, before) = (&after[row * 3..row * 3 + 3], &before[from * 3..from * 3 + 3]);
                let same = after.iter().zip(before).all(|(after, before)| (after - before).abs() <= 1e-6);
                prop_assert!(same, "{}: {:?} and {:?}", name, after, before);
            }
        }
    }
}
