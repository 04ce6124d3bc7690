//! After the largest batch was seen, a training step allocates nothing, with one thread and with two.

use hinet_tape::{
    Activation, BatchNormOp, Block, DenseOptimiser, DenseOptimiserConfig, Feed, Gradients, Graph, Init, LinearOp, Mode,
    OptimiserKind, ParamSpec, Params, Routing, Scope, Source, Statistics, Tape, Value, clip_global_norm,
};

#[path = "../../../tests/support/allocations.rs"]
mod allocations;

const GROUPS: usize = 3;
const WIDTH: usize = 48;

fn parameter(g: &mut Graph, name: &str, dims: &[usize], trainable: bool) -> Value {
    let init = if trainable { Init::Normal { std: 0.2 } } else { Init::Ones };
    g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable })
}

fn linear(g: &mut Graph, x: Value, name: &str, dims: [usize; 4], source: Source) -> Value {
    let [groups, experts, _, outer] = dims;
    let weight = parameter(g, name, &dims, true);
    let bias = Some(parameter(g, &format!("{name} bias"), &[groups, experts, outer], true));
    let activation = Activation::Relu;
    g.linear(x, LinearOp { weight, bias, groups, experts, source, routing: Routing::Own, activation })
}

/// A graph with every family of operators.
fn graph() -> (Graph, Value) {
    let g = &mut Graph::new(GROUPS);
    let x = g.input("x", WIDTH, true);
    let (targets, weights) = (g.input("targets", 2, false), g.input("weights", 2, false));
    let index = g.index_input("index");
    let shared = linear(g, x, "shared", [1, 4, WIDTH, 32], Source::Shared);
    let deep = linear(g, shared, "deep", [1, 4, 32, 16], Source::PerExpert);
    let routed = linear(g, x, "routed", [GROUPS, 2, WIDTH, 16], Source::Shared);
    let gate = linear(g, x, "gate", [GROUPS, 1, WIDTH, 6], Source::Shared);
    let gate = g.softmax(gate, 6, None);
    let blocks = (0..4).map(|i| Block::new(deep, i)).chain((0..2).map(|i| Block::new(routed, i))).collect();
    let mixed = g.mixture(gate, vec![blocks], 16);
    let own = g.select((0..GROUPS).map(|i| Block::new(deep, i)).collect(), 16);
    let table = parameter(g, "table", &[5, 16], true);
    let gathered = g.gather_rows(table, index);
    let scattered = g.scatter_rows(mixed, index, 5);
    let back = g.gather_rows(scattered, index);
    let per_group = parameter(g, "per group", &[GROUPS, 16], true);
    let per_group = g.rows_of_group(per_group);
    let all = g.concat(&[mixed, own, gathered, back, per_group]);
    let gain = parameter(g, "gain", &[1, 80], true);
    let normed = g.layer_norm(all, Some(gain), None, 80);
    let mean = parameter(g, "mean", &[GROUPS, 80], false);
    let variance = parameter(g, "variance", &[GROUPS, 80], false);
    let statistics = Statistics::Moving { momentum: 0.1 };
    let norm = BatchNormOp { gain: None, bias: None, mean, variance, statistics, per_group: true, epsilon: 1e-3 };
    let normed = g.batch_norm(normed, norm);
    let dropped = g.dropout(normed, 0.1, "drop");
    let silu = g.activate(dropped, Activation::Silu);
    let stopped = g.stop_gradient(silu);
    let sum = g.add(silu, stopped);
    let (average, total) = (g.mean_rows(sum), g.sum_columns(sum));
    let product = g.mul(sum, average);
    let product = g.add(product, total);
    let product = g.affine(product, 0.1, 0.0);
    let part = g.slice(product, 3, 32);
    let logits = linear(g, part, "logits", [GROUPS, 1, 32, 2], Source::Shared);
    let loss = g.bce_with_logits(logits, targets, weights);
    let log_p = g.activate(logits, Activation::LogSigmoid);
    let log_not_p = g.activate(log_p, Activation::Log1mExp);
    let other = g.nll(log_p, log_not_p, targets, weights);
    let loss = g.add(loss, other);
    (g.clone(), loss)
}

struct Batch {
    offsets: Vec<usize>,
    dense: [Vec<f32>; 3],
    index: Vec<u32>,
}

fn batch(rows: usize) -> Batch {
    let noise = |len: usize| (0..len).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.3).collect::<Vec<f32>>();
    let targets = noise(rows * 2).iter().map(|x| f32::from(*x > 0.4)).collect();
    Batch {
        offsets: vec![0, rows / 2, rows - rows / 4, rows],
        dense: [noise(rows * WIDTH), targets, vec![0.01; rows * 2]],
        index: (0..rows).map(|row| (row % 5) as u32).collect(),
    }
}

struct Run {
    tape: Tape,
    loss: Value,
    params: Params,
    gradients: Gradients,
    optimisers: Vec<DenseOptimiser>,
}

fn step(run: &mut Run, batch: &Batch, seed: u64) {
    let inputs = [&batch.dense[0][..], &batch.dense[1], &batch.dense[2]];
    let indices = [&batch.index[..]];
    let rows = batch.index.len();
    let feed = Feed { rows, offsets: &batch.offsets, inputs: &inputs, indices: &indices };
    run.tape.forward(&run.params, &feed, Mode::Train { seed });
    run.gradients.clear();
    run.tape.backward(&run.params, &feed, &[(run.loss, 1.0)], &mut run.gradients);
    run.tape.update_statistics(&mut run.params);
    clip_global_norm(&mut run.gradients, 0.5);
    for optimiser in &mut run.optimisers {
        optimiser.step(&mut run.params, &run.gradients, 1e-4);
    }
}

fn allocations_of_later_steps(threads: usize) -> usize {
    use OptimiserKind::{Adagrad, Adam, Adamw, Ftrl, Rmsprop, Sgd};
    let (graph, loss) = graph();
    let params = Params::new(graph.params(), |name| name.len() as u64);
    let config = |optimiser| DenseOptimiserConfig { optimiser, ..DenseOptimiserConfig::default() };
    let kinds = [Sgd, Adam, Adamw, Adagrad, Rmsprop, Ftrl];
    let optimisers = kinds.map(|kind| DenseOptimiser::new(&config(kind), &params).unwrap()).into();
    let gradients = Gradients::new(&params);
    let mut run = Run { tape: Tape::new(graph, threads), loss, params, gradients, optimisers };
    let batches = [700, 1500, 1, 900].map(batch);
    let pool = run.tape.pool();
    let mut steps = || {
        for (seed, batch) in batches.iter().enumerate() {
            step(&mut run, batch, seed as u64);
        }
        allocations::during(|| (0..40).for_each(|seed| step(&mut run, &batches[seed % batches.len()], seed as u64)))
    };
    allocations::count_here();
    match pool {
        Some(pool) => {
            pool.broadcast(|_| allocations::count_here());
            pool.install(steps)
        }
        None => steps(),
    }
}

#[test]
fn a_step_allocates_nothing_once_the_largest_batch_was_seen() {
    assert_eq!(allocations_of_later_steps(1), 0, "with one thread");
    assert_eq!(allocations_of_later_steps(2), 0, "with two threads");
}
