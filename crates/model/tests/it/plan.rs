//! The plan against the tape, and what a score must not depend on.

use std::sync::Arc;

use hinet_data::{Batch, Layout, Seed};
use hinet_model::{Form, Model, ModelConfig, Network, Plan, PlanWorkspace, zoo};
use hinet_tape::{Feed, Mode, Op, Routing, Scope, Tape};
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use crate::fixture::{batch, layout, with_sequence};

/// A model of each preset, and those with a sequence.
fn models() -> impl Iterator<Item = (&'static str, Model)> {
    let presets = zoo::PRESETS.iter().map(|preset| (preset.name, preset.config()));
    let by_item = [("attention", with_sequence(false)), ("attention with softmax", with_sequence(true))];
    presets.chain(by_item).map(|(name, config)| (name, model(config)))
}

fn model(mut config: ModelConfig) -> Model {
    config.embedding.init_std = 0.5;
    Model::new(layout(), config, Seed(5)).unwrap()
}

fn grouped(layout: &Layout, rows: usize, seed: u64) -> Batch {
    batch(layout, rows, seed).grouped(layout.groups())
}

fn scores(plan: &Plan<'_>, batch: &Batch) -> Vec<f32> {
    let mut out = Vec::new();
    plan.score(&mut PlanWorkspace::default(), batch, &mut out);
    out
}

/// Scores of the rows from `first` on by the tape, with offsets that begin at 0.
fn by_tape(model: &Model, network: Network, x: &[f32], offsets: &[usize]) -> Vec<f32> {
    let scores = network.scores;
    let mut tape = Tape::new(network.graph, 1);
    let rows = offsets[offsets.len() - 1];
    let feed = Feed { rows, offsets, inputs: &[x], indices: &[] };
    tape.forward(&model.params, &feed, Mode::Infer);
    tape.value(scores).to_vec()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-6, "{what}: {a} and {b} at {place}");
    }
}

/// The mean of what rows score as rows of each scenario.
fn mean_of_scenarios(model: &Model, batch: &Batch, first: usize) -> Vec<f32> {
    let rows: Vec<u32> = (first as u32..batch.rows as u32).collect();
    let mut unknown = batch.take(&rows);
    let mut mean = vec![0.0; 2 * rows.len()];
    for scenario in 0..3_u16 {
        unknown.scenario.fill(scenario);
        let mut x = vec![0.0; rows.len() * model.embeddings.width()];
        model.embeddings.gather(&unknown, &mut x);
        let offsets: Vec<usize> = (0..4).map(|s| if s > scenario { rows.len() } else { 0 }).collect();
        let scores = by_tape(model, model.network.clone(), &x, &offsets);
        mean.iter_mut().zip(scores).for_each(|(mean, score)| *mean += score / 3.0);
    }
    mean
}

#[test]
fn a_plan_scores_as_the_tape_does_and_unknown_scenarios_by_the_mean() {
    for (name, model) in models() {
        let batch = grouped(&model.layout, 400, 9);
        let width = model.embeddings.width();
        let mut x = vec![0.0; batch.rows * width];
        model.embeddings.gather(&batch, &mut x);
        let known = batch.offsets[3];
        let (own, unknown) = x.split_at(known * width);
        let mut expected = by_tape(&model, model.network.clone(), own, &batch.offsets[..4]);
        if model.config.tables.per_scenario() {
            expected.extend(mean_of_scenarios(&model, &batch, known));
        } else {
            let mean = Network::record(&model.layout, &model.config, Form::Mean).unwrap();
            expected.extend(by_tape(&model, mean, unknown, &[0, batch.rows - known]));
        }
        assert!(expected.iter().all(|p| (0.0..=1.0).contains(p)), "{name}");
        assert_close(&scores(&Plan::new(&model), &batch), &expected, name);
        assert_close(&scores(&Plan::sharing(&Arc::new(model)), &batch), &expected, name);
    }
}

#[test]
fn a_row_is_scored_alone_as_in_a_batch() {
    for (name, model) in models() {
        let (layout, plan) = (&model.layout, Plan::new(&model));
        let batch = grouped(layout, 300, 11);
        let together = scores(&plan, &batch);
        for row in (0..batch.rows).step_by(7) {
            let alone = scores(&plan, &batch.take_grouped(&[row as u32], layout.groups()));
            assert_close(&alone, &together[row * 2..row * 2 + 2], name);
        }
    }
}

#[test]
fn threads_that_share_a_plan_or_a_pool_get_the_same_bits() {
    let model = model(ModelConfig::default());
    let plan = &Plan::new(&model);
    let batches: Vec<Batch> = (0..4).map(|seed| grouped(&model.layout, 700, seed)).collect();
    let expected: Vec<Vec<f32>> = batches.iter().map(|batch| scores(plan, batch)).collect();
    std::thread::scope(|scope| {
        let score_all = || batches.iter().map(|batch| scores(plan, batch)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(score_all)).collect();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), expected));
    });
    let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let mut workspace = PlanWorkspace::default();
    for (batch, expected) in batches.iter().zip(&expected) {
        let mut out = Vec::new();
        pool.install(|| plan.score(&mut workspace, batch, &mut out));
        assert_eq!(&out, expected);
    }
}

#[test]
fn heads_of_other_scenarios_are_not_computed() {
    // HMoE scores a row by the towers of every scenario, by its nature.
    for (name, model) in models().filter(|(name, _)| *name != "hmoe") {
        let graph = &model.network.graph;
        for node in graph.nodes() {
            let Op::Linear(op) = &node.op else { continue };
            let Op::Parameter { index } = graph.node(op.weight).op else { continue };
            let spec = &graph.params()[index];
            let private = matches!(spec.scope, Scope::PerScenario | Scope::PerScenarioTask);
            if private && !model.network.crossing.contains(&spec.name) {
                assert!(op.routing == Routing::Own, "{name}: `{}` runs for every scenario", spec.name);
            }
        }
    }
}

/// A model of HiNet, with a matrix of SAN that is far from even.
fn attentive(options: serde_json::Value) -> Model {
    let config = zoo::expand(options.as_object().unwrap()).unwrap();
    let mut model = model(config);
    for weight in model.params.get_mut("scenario.san.logits.weight").into_iter().flatten() {
        *weight *= 8.0;
    }
    model
}

#[test]
fn a_pruned_plan_leaves_experts_out_and_changes_a_by_no_more_than_it_says() {
    let model = attentive(serde_json::json!({ "preset": "hinet" }));
    let mut pruned = model.clone();
    let pruning = pruned.prune_san(0.45).unwrap();
    let (plain, plan) = (Plan::new(&model), Plan::new(&pruned));
    // Each scenario listens to two others; sub-experts are 4 of 128 and 64 units.
    let per_expert = 4 * 128 * (model.embeddings.width() + 64);
    for (scenario, found) in pruning.scenarios.iter().enumerate() {
        assert_eq!((plain.left_out(scenario), plan.left_out(scenario)), (0, found.dropped.len() * per_expert));
        assert!(found.dropped.len() <= 1 && found.weight <= 0.45, "{found:?}");
    }
    let dropped: usize = pruning.scenarios.iter().map(|scenario| scenario.dropped.len()).sum();
    assert!(dropped > 0, "{pruning}");

    let batch = grouped(&model.layout, 300, 9);
    let known = batch.offsets[3];
    let mut x = vec![0.0; batch.rows * model.embeddings.width()];
    model.embeddings.gather(&batch, &mut x);
    let feed = Feed {
        rows: known,
        offsets: &batch.offsets[..4],
        inputs: &[&x[..known * model.embeddings.width()]],
        indices: &[],
    };
    let probe = |model: &Model, name: &str| {
        let mut tape = Tape::new(model.network.graph.clone(), 1);
        tape.forward(&model.params, &feed, Mode::Infer);
        tape.value(model.network.probe(name).unwrap()).to_vec()
    };
    let (before, after) = (probe(&model, "expert.attended"), probe(&pruned, "expert.attended"));
    let experts = probe(&model, "expert.scenario");
    let mut moved = 0.0_f32;
    for row in 0..known {
        let most = experts[row * 3 * 64..][..3 * 64].iter().copied().fold(0.0, f32::max);
        let bound = pruning.scenarios[usize::from(batch.scenario[row])].weight * most + 1e-6;
        for (a, b) in before[row * 64..][..64].iter().zip(&after[row * 64..][..64]) {
            assert!((a - b).abs() <= bound, "row {row}: {a} to {b}, bound {bound}");
            moved = moved.max((a - b).abs());
        }
    }
    assert!(moved > 1e-4, "nothing was pruned");
    let expected = by_tape(&pruned, pruned.network.clone(), feed.inputs[0], feed.offsets);
    assert_close(&scores(&plan, &batch)[..known * 2], &expected, "pruned");
}

#[test]
fn pruning_below_nothing_changes_nothing_and_what_cannot_be_pruned_is_refused() {
    let model = attentive(serde_json::json!({ "preset": "hinet" }));
    let batch = grouped(&model.layout, 50, 9);
    let mut pruned = model.clone();
    let pruning = pruned.prune_san(0.0).unwrap();
    let nothing = |weight: f32| weight.to_bits() == 0.0_f32.to_bits();
    assert!(pruning.scenarios.iter().all(|scenario| scenario.dropped.is_empty() && nothing(scenario.weight)));
    let said = pruning.to_string();
    assert!(said.lines().all(|line| line.ends_with("left out; nothing changes")) && !said.contains("0.0"), "{said}");
    assert_close(&scores(&Plan::new(&pruned), &batch), &scores(&Plan::new(&model), &batch), "not pruned");
    let refused = |options: serde_json::Value, below: f32| {
        let config = zoo::expand(options.as_object().unwrap()).unwrap();
        Model::new(layout(), config, Seed(5)).unwrap().prune_san(below).unwrap_err().to_string()
    };
    let message = refused(serde_json::json!({ "preset": "hinet", "san_query": "row" }), 0.1);
    assert_eq!(
        message,
        "`prune_san` is 0.1, expected `san_query = \"scenario\"`: with `row` each row has weights of its own"
    );
    assert!(refused(serde_json::json!({ "preset": "mmoe" }), 0.1).contains("a model with attention over scenarios"));
    assert!(refused(serde_json::json!({ "preset": "hinet", "san": false }), 0.1).contains("a model with `san`"));
    assert!(refused(serde_json::json!({ "preset": "hinet" }), 1.5).contains("a weight from 0 to 1"));
}

#[test]
fn a_row_costs_the_same_with_more_scenarios_where_layers_do_not_cross_them() {
    let config = zoo::find("towers").unwrap().config();
    let mut many = layout();
    many.scenarios = (0..50).map(|scenario| scenario.to_string()).collect();
    many.scenario_rows = vec![1; 50];
    let few = Model::new(layout(), config.clone(), Seed(1)).unwrap();
    let many = Model::new(many, config, Seed(1)).unwrap();
    assert_eq!(few.flops_per_row(), many.flops_per_row());
    assert!(many.dense_parameters() > 10 * few.dense_parameters());
}

#[test]
fn models_of_one_seed_start_with_the_same_tables_whatever_their_layers() {
    let (one, other) = (model(zoo::find("hinet").unwrap().config()), model(zoo::find("towers").unwrap().config()));
    assert_ne!(one.dense_parameters(), other.dense_parameters());
    assert_eq!(one.embedding_parameters(), 700 * 8 + 40 * 5 + 13 * 3);
    (0..3).for_each(|table| assert_eq!(one.embeddings.table(table), other.embeddings.table(table)));
    let mut config = one.config.clone();
    config.embedding.init_std = f32::NAN;
    let error = Model::new(layout(), config, Seed(5)).unwrap_err().to_string();
    assert_eq!(error, "`embedding.init_std` is NaN, expected a finite number of 0 or more");
}

#[test]
fn tables_count_as_their_owners_and_first_order_weights_say() {
    let (rows, shared) = (700 + 40 + 13, 700 * 8 + 40 * 5 + 13 * 3);
    let expected = |name: &str| match name {
        "single" => 3 * 2 * shared,
        "single_task" => 2 * shared,
        "single_scenario" => 3 * shared,
        "logistic" => 2 * rows,
        _ => shared,
    };
    for preset in zoo::PRESETS {
        let plain = model(preset.config()).embedding_parameters();
        assert_eq!(plain, expected(preset.name), "{}", preset.name);
        let with = model(ModelConfig { first_order: true, ..preset.config() });
        let owners = if with.config.tables.per_scenario() { 3 } else { 1 };
        let more = if preset.name == "logistic" { 0 } else { 2 * rows * owners };
        assert_eq!(with.embedding_parameters() - plain, more, "{}", preset.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn the_order_of_rows_does_not_change_their_scores(rows in 1_usize..300, seed: u64) {
        let model = model(ModelConfig::default());
        let plan = Plan::new(&model);
        let plain = batch(&model.layout, rows, seed);
        let turned: Vec<u32> = (0..rows as u32).rev().collect();
        let in_order = |batch: Batch, place: &dyn Fn(usize) -> usize| {
            let grouped = batch.grouped(model.layout.groups());
            let found = scores(&plan, &grouped);
            let mut scores = vec![0.0; found.len()];
            for (row, &position) in grouped.position.iter().enumerate() {
                let to = place(position as usize) * 2;
                scores[to..to + 2].copy_from_slice(&found[row * 2..row * 2 + 2]);
            }
            scores
        };
        let one = in_order(plain.clone(), &|row| row);
        let other = in_order(plain.take(&turned), &|row| rows - 1 - row);
        assert_close(&one, &other, "turned");
    }
}
