//! Requests: rows of one group that have some columns of the input in common.

use hinet_tape::{
    Activation, BatchNormOp, Evaluator, Feed, Graph, Init, LinearOp, ParamSpec, Params, Routing, Scope, Source,
    Statistics, Value, Workspace,
};

const GROUPS: usize = 3;
const WIDTH: usize = 20;

fn is_common(column: usize) -> bool {
    (3..9).contains(&column) || column == 15
}

const COMMON: usize = 7;

fn parameter(g: &mut Graph, name: &str, dims: &[usize], trainable: bool) -> Value {
    let init = if trainable { Init::Normal { std: 0.3 } } else { Init::Ones };
    g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable })
}

/// A layer with a bias; of every group where it is `routed`.
fn layer(g: &mut Graph, name: &str, dims: [usize; 4], routed: bool) -> LinearOp {
    let [groups, experts, _, outer] = dims;
    LinearOp {
        weight: parameter(g, name, &dims, true),
        bias: Some(parameter(g, &format!("bias of {name}"), &[groups, experts, outer], true)),
        groups,
        experts,
        source: Source::Shared,
        routing: if routed { Routing::Own } else { Routing::All },
        activation: Activation::Tanh,
    }
}

fn linear(g: &mut Graph, x: Value, name: &str, dims: [usize; 4], routed: bool) -> Value {
    let op = layer(g, name, dims, routed);
    g.linear(x, op)
}

fn stack(g: &mut Graph, x: Value, name: &str, groups: usize) -> Value {
    let routed = groups > 1;
    let first = layer(g, &format!("{name} first"), [groups, 4, WIDTH, 40], routed);
    let second = layer(g, &format!("{name} second"), [groups, 4, 40, 33], routed);
    g.stack(x, &[first, LinearOp { source: Source::PerExpert, ..second }])
}

fn normalised(g: &mut Graph, x: Value) -> Value {
    let mean = parameter(g, "mean", &[GROUPS, WIDTH], false);
    let variance = parameter(g, "variance", &[GROUPS, WIDTH], false);
    let gain = Some(parameter(g, "gain", &[GROUPS, WIDTH], true));
    let statistics = Statistics::Frozen;
    g.batch_norm(x, BatchNormOp { gain, bias: None, mean, variance, statistics, per_group: true, epsilon: 1e-3 })
}

/// A graph, its result, and the multiply-adds per row that a request is spared.
type Case = (&'static str, fn(&mut Graph, Value) -> Value, usize);

const CASES: [Case; 8] = [
    ("a layer", |g, x| linear(g, x, "w", [1, 1, WIDTH, 5], false), 5 * COMMON),
    ("a bank", |g, x| linear(g, x, "w", [1, 3, WIDTH, 50], false), 150 * COMMON),
    ("a bank of each group", |g, x| linear(g, x, "w", [GROUPS, 3, WIDTH, 50], true), 150 * COMMON),
    ("a stack", |g, x| stack(g, x, "w", 1), 160 * COMMON),
    ("a stack of each group", |g, x| stack(g, x, "w", GROUPS), 160 * COMMON),
    (
        "a part of the columns",
        |g, x| {
            let part = g.slice(x, 5, 12);
            linear(g, part, "w", [1, 1, 12, 9], false)
        },
        9 * 5,
    ),
    (
        "a norm of each column",
        |g, x| {
            let x = normalised(g, x);
            linear(g, x, "w", [1, 1, WIDTH, 9], false)
        },
        9 * COMMON,
    ),
    (
        "a norm of each row",
        |g, x| {
            let x = g.layer_norm(x, None, None, WIDTH);
            linear(g, x, "w", [1, 1, WIDTH, 9], false)
        },
        0,
    ),
];

/// Rows of a request; the common columns of row 0 in all.
fn rows(count: usize, salt: usize) -> Vec<f32> {
    let number = |at: usize| ((at * 7919 + salt * 104_729) % 1013) as f32 / 1013.0 - 0.5;
    let at = |row: usize, column: usize| number(if is_common(column) { column } else { row * WIDTH + column });
    (0..count * WIDTH).map(|i| at(i / WIDTH, i % WIDTH)).collect()
}

fn offsets(group: usize, rows: usize) -> Vec<usize> {
    (0..=GROUPS).map(|each| if each > group { rows } else { 0 }).collect()
}

#[test]
fn a_request_gets_what_its_rows_get_as_any_batch() {
    let common: Vec<bool> = (0..WIDTH).map(is_common).collect();
    for (name, record, spared) in CASES {
        let mut graph = Graph::new(GROUPS);
        let x = graph.input("x", WIDTH, false);
        let out = record(&mut graph, x);
        let params = Params::new(graph.params(), |name| name.bytes().map(u64::from).sum());
        let plain = Evaluator::new(graph.clone(), params.clone(), &[out]);
        let requests = Evaluator::for_requests(graph, params, &[out], (x, &common));
        assert_eq!((plain.spared(), requests.spared()), (0, spared), "{name}");
        let (mut workspace, mut other) = (Workspace::default(), Workspace::default());
        for (group, count) in [(0, 1), (1, 2), (2, 5), (2, 7), (0, 300), (1, 0), (1, 140)] {
            let x = rows(count, group + count);
            let all = offsets(group, count);
            plain.run(&mut other, &Feed { rows: count, offsets: &all, inputs: &[&x], indices: &[] });
            let expected = plain.value(&other, out);
            // The first rows, then the others in two parts.
            let mut got = Vec::new();
            let cuts = [0, count / 3, count / 2, count];
            for (number, cut) in cuts.windows(2).enumerate() {
                let (x, offsets) = (&x[cut[0] * WIDTH..cut[1] * WIDTH], offsets(group, cut[1] - cut[0]));
                let feed = Feed { rows: cut[1] - cut[0], offsets: &offsets, inputs: &[x], indices: &[] };
                if number == 0 || got.is_empty() {
                    requests.run(&mut workspace, &feed);
                } else {
                    requests.run_more(&mut workspace, &feed);
                }
                got.extend_from_slice(requests.value(&workspace, out));
            }
            assert_eq!(got.len(), expected.len(), "{name}");
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-5, "{name}, {count} rows of group {group}: {got} {expected}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "a request with rows of 2 groups")]
fn a_request_has_rows_of_one_group() {
    let mut graph = Graph::new(GROUPS);
    let x = graph.input("x", WIDTH, false);
    let out = linear(&mut graph, x, "w", [1, 1, WIDTH, 5], false);
    let params = Params::new(graph.params(), |_| 1);
    let requests = Evaluator::for_requests(graph, params, &[out], (x, &[true; WIDTH]));
    let x = rows(2, 1);
    let feed = Feed { rows: 2, offsets: &[0, 1, 2, 2], inputs: &[&x], indices: &[] };
    requests.run(&mut Workspace::default(), &feed);
}
