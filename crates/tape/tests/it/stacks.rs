//! Banks that are wide enough to be run as stacks, against their layers one by one and their blocks one by one.

use hinet_tape::{
    Activation, Evaluator, Feed, Gradients, Graph, Init, LinearOp, Mode, ParamSpec, Params, Routing, Scope, Source,
    Tape, Value, Workspace,
};

const GROUPS: usize = 3;
const WIDTH: usize = 20;

/// A bank of two layers: which blocks, how wide, and what each row goes through.
#[derive(Clone, Copy, Debug)]
struct Bank {
    groups: usize,
    experts: usize,
    routing: Routing,
    units: [usize; 2],
    activation: Activation,
    bias: bool,
    /// Whether x needs a gradient.
    asks: bool,
}

const PLAIN: Bank = Bank {
    groups: 1,
    experts: 4,
    routing: Routing::All,
    units: [40, 33],
    activation: Activation::Relu,
    bias: true,
    asks: true,
};

fn banks() -> Vec<Bank> {
    vec![
        PLAIN,
        Bank { groups: GROUPS, routing: Routing::Own, ..PLAIN },
        Bank { groups: GROUPS, routing: Routing::All, experts: 3, ..PLAIN },
        Bank { experts: 1, units: [64, 32], ..PLAIN },
        Bank { activation: Activation::Tanh, bias: false, ..PLAIN },
        Bank { units: [150, 100], asks: false, ..PLAIN },
    ]
}

fn parameter(g: &mut Graph, name: &str, dims: &[usize]) -> Value {
    let init = Init::Normal { std: 0.3 };
    g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable: true })
}

fn layers(g: &mut Graph, bank: Bank) -> [LinearOp; 2] {
    let Bank { groups, experts, routing, units, activation, bias, .. } = bank;
    let inner = [WIDTH, units[0]];
    [0, 1].map(|layer| LinearOp {
        weight: parameter(g, &format!("w{layer}"), &[groups, experts, inner[layer], units[layer]]),
        bias: bias.then(|| parameter(g, &format!("b{layer}"), &[groups, experts, units[layer]])),
        groups,
        experts,
        source: if layer == 0 { Source::Shared } else { Source::PerExpert },
        routing,
        activation,
    })
}

fn numbers(len: usize, salt: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 1013.0 - 0.5).collect()
}

/// Value, gradients of parameters by name, gradient of x.
type Run = (Vec<f32>, Vec<(String, Vec<f32>)>, Vec<f32>);

fn run(graph: &Graph, out: Value, rows: &[usize], threads: usize) -> Run {
    let mut graph = graph.clone();
    let probe = graph.input("probe", graph.shape(out).width, false);
    let loss = graph.mul(out, probe);
    let offsets: Vec<usize> = (0..=GROUPS).map(|group| rows[..group].iter().sum()).collect();
    let count = offsets[GROUPS];
    let (x, weights) = (numbers(count * WIDTH, 1), numbers(count * graph.shape(out).width, 2));
    let feed = Feed { rows: count, offsets: &offsets, inputs: &[&x, &weights], indices: &[] };
    let params = Params::new(graph.params(), |name| name.bytes().map(u64::from).sum());
    let mut gradients = Gradients::new(&params);
    let mut tape = Tape::new(graph.clone(), threads);
    tape.forward(&params, &feed, Mode::Train { seed: 1 });
    tape.backward(&params, &feed, &[(loss, 1.0)], &mut gradients);
    let of = |name: &str| (name.to_owned(), gradients.get(name).unwrap().to_vec());
    let by_name = graph.params().iter().map(|spec| of(&spec.name)).collect();
    let x = graph.inputs()[0];
    let dx = if graph.node(x).needs_gradient { tape.input_gradient(x).to_vec() } else { Vec::new() };
    (tape.value(out).to_vec(), by_name, dx)
}

fn close(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= 2e-4 * expected.abs().max(1.0), "{what} [{at}]: {got}, expected {expected}");
    }
}

fn same(got: &Run, expected: &Run, what: &str) {
    close(&got.0, &expected.0, &format!("{what}: value"));
    for ((name, got), (_, expected)) in got.1.iter().zip(&expected.1) {
        close(got, expected, &format!("{what}: gradient of {name}"));
    }
    close(&got.2, &expected.2, &format!("{what}: gradient of x"));
}

/// Rows per group: one, none, more than a chunk, and numbers that leave tiles unfinished.
const ROWS: [[usize; GROUPS]; 4] = [[1, 0, 0], [7, 0, 5], [300, 2, 71], [0, 0, 0]];

#[test]
fn a_stack_gives_what_its_layers_give_one_by_one() {
    for bank in banks() {
        for rows in ROWS {
            let mut stacked = Graph::new(GROUPS);
            let x = stacked.input("x", WIDTH, bank.asks);
            let both = layers(&mut stacked, bank);
            let out = stacked.stack(x, &both);
            let mut apart = Graph::new(GROUPS);
            let x = apart.input("x", WIDTH, bank.asks);
            let [first, second] = layers(&mut apart, bank);
            let between = apart.linear(x, first);
            let last = apart.linear(between, second);
            let what = format!("{bank:?} on {rows:?}");
            let got = run(&stacked, out, &rows, 1);
            same(&got, &run(&apart, last, &rows, 1), &what);
            assert_eq!(got, run(&stacked, out, &rows, 3), "{what}: other bits on three threads");
        }
    }
}

#[test]
fn a_wide_bank_gives_what_its_blocks_give_one_by_one() {
    for rows in ROWS {
        for routing in [Routing::All, Routing::Own] {
            let groups = if routing == Routing::Own { GROUPS } else { 1 };
            let (experts, outer) = (5, 36);
            let op = |weight, experts| LinearOp {
                weight,
                bias: None,
                groups,
                experts,
                source: Source::Shared,
                routing,
                activation: Activation::Relu,
            };
            let mut bank = Graph::new(GROUPS);
            let x = bank.input("x", WIDTH, true);
            let weight = parameter(&mut bank, "w", &[groups, experts, WIDTH, outer]);
            let together = bank.linear(x, op(weight, experts));

            let mut blocks = Graph::new(GROUPS);
            let x = blocks.input("x", WIDTH, true);
            // The weight of one expert of every group, cut out of the bank's by a product with ones and zeros.
            let whole = parameter(&mut blocks, "w", &[groups, experts, WIDTH, outer]);
            let all: Vec<Value> = (0..experts)
                .map(|expert| {
                    let size = WIDTH * outer;
                    let keep = |at: usize| f32::from(u8::from(at / size % experts == expert));
                    let mask = (0..groups * experts * size).map(keep).collect();
                    let mask = blocks.constant(groups * experts * WIDTH, outer, mask);
                    let only = blocks.mul(whole, mask);
                    let made = blocks.linear(x, LinearOp { activation: Activation::Identity, ..op(only, experts) });
                    blocks.slice(made, expert * outer, outer)
                })
                .collect();
            let side_by_side = blocks.concat(&all);
            let apart = blocks.activate(side_by_side, Activation::Relu);
            let what = format!("{routing:?} on {rows:?}");
            let got = run(&bank, together, &rows, 1);
            same(&got, &run(&blocks, apart, &rows, 1), &what);
            assert_eq!(got, run(&bank, together, &rows, 3), "{what}: other bits on three threads");
        }
    }
}

#[test]
fn the_evaluator_gives_what_the_tape_gives() {
    for bank in banks() {
        for rows in ROWS {
            let mut graph = Graph::new(GROUPS);
            let x = graph.input("x", WIDTH, bank.asks);
            let both = layers(&mut graph, bank);
            let out = graph.stack(x, &both);
            let offsets: Vec<usize> = (0..=GROUPS).map(|group| rows[..group].iter().sum()).collect();
            let x = numbers(offsets[GROUPS] * WIDTH, 1);
            let feed = Feed { rows: offsets[GROUPS], offsets: &offsets, inputs: &[&x], indices: &[] };
            let params = Params::new(graph.params(), |name| name.bytes().map(u64::from).sum());
            let mut tape = Tape::new(graph.clone(), 1);
            tape.forward(&params, &feed, Mode::Infer);
            let evaluator = Evaluator::new(graph, params, &[out]);
            let mut workspace = Workspace::default();
            evaluator.run(&mut workspace, &feed);
            assert_eq!(evaluator.value(&workspace, out), tape.value(out), "{bank:?} on {rows:?}");
        }
    }
}

#[test]
#[should_panic(expected = "between the layers of a stack")]
fn what_lies_between_the_layers_is_not_to_be_read() {
    let mut graph = Graph::new(GROUPS);
    let x = graph.input("x", WIDTH, true);
    let both = layers(&mut graph, PLAIN);
    let out = graph.stack(x, &both);
    let between = graph.node(out).inputs[0];
    let _ = Tape::new(graph, 1).value(between);
}
