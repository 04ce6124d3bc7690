//! One small graph per operator and way of using it.

#![expect(clippy::wildcard_enum_match_arm, clippy::too_many_lines, reason = "a list of cases, one after the other")]

use hinet_tape::{
    Activation, BatchNormOp, Block, Graph, Init, LinearOp, ParamSpec, Routing, Scope, Source, Statistics, Value,
};

use crate::harness::Case;

pub(crate) const GROUPS: usize = 3;

pub(crate) fn case(name: &str, build: impl FnOnce(&mut Graph) -> Value) -> Case {
    let mut graph = Graph::new(GROUPS);
    let out = build(&mut graph);
    Case { name: name.to_owned(), graph, out }
}

pub(crate) fn param(g: &mut Graph, name: &str, dims: &[usize]) -> Value {
    let init = Init::Normal { std: 0.7 };
    g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable: true })
}

fn still(g: &mut Graph, name: &str, dims: &[usize], init: Init) -> Value {
    g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable: false })
}

pub(crate) fn all() -> Vec<Case> {
    [linears(), activations(), gates(), columns_and_rows(), arithmetic(), norms(), losses()]
        .into_iter()
        .flatten()
        .collect()
}

fn linear(
    g: &mut Graph,
    x: Value,
    (inner, outer): (usize, usize),
    (groups, experts, source, routing): (usize, usize, Source, Routing),
    activation: Activation,
) -> Value {
    let weight = param(g, "w", &[groups, experts, inner, outer]);
    let bias = Some(param(g, "b", &[groups, experts, outer]));
    g.linear(x, LinearOp { weight, bias, groups, experts, source, routing, activation })
}

fn linears() -> Vec<Case> {
    let mut cases = vec![
        case("linear without bias", |g| {
            let x = g.input("x", 5, true);
            let w = param(g, "w", &[5, 3]);
            g.linear(x, LinearOp::plain(w))
        }),
        case("linear over an input that needs no gradient", |g| {
            let x = g.input("x", 5, false);
            linear(g, x, (5, 3), (1, 1, Source::Shared, Routing::All), Activation::Relu)
        }),
        case("linear whose weight is a product of two parameters", |g| {
            let x = g.input("x", 4, true);
            let (a, b) = (param(g, "a", &[4, 3]), param(g, "b", &[4, 3]));
            let weight = g.mul(a, b);
            g.linear(x, LinearOp::plain(weight))
        }),
        case("linear over one row per group, routed", |g| {
            let x = param(g, "x", &[GROUPS, 4]);
            linear(g, x, (4, 2), (GROUPS, 2, Source::Shared, Routing::Own), Activation::Tanh)
        }),
        case("linear over fixed rows", |g| {
            let x = param(g, "x", &[5, 4]);
            linear(g, x, (4, 2), (1, 2, Source::Shared, Routing::All), Activation::Relu)
        }),
        case("two linear layers over one value", |g| {
            let x = g.input("x", 4, true);
            let first = linear(g, x, (4, 4), (1, 1, Source::Shared, Routing::All), Activation::Tanh);
            let weight = param(g, "second", &[4, 3]);
            let second = g.linear(first, LinearOp::plain(weight));
            let third = g.linear(first, LinearOp::plain(weight));
            g.mul(second, third)
        }),
    ];
    for groups in [1, GROUPS] {
        for runs in [1, 4] {
            cases.push(case(&format!("linear of {groups} groups over {runs} runs"), |g| {
                let x = g.input("x", 3 * runs, true);
                linear(g, x, (3, 2), (groups, 1, Source::EachRun(runs), Routing::Own), Activation::Relu)
            }));
        }
        for routing in [Routing::Own, Routing::All] {
            for source in [Source::Shared, Source::PerExpert] {
                let taken = if routing == Routing::Own { 2 } else { 2 * groups };
                let width = if source == Source::Shared { 3 } else { 3 * taken };
                cases.push(case(&format!("linear of {groups} groups, {source:?}, {routing:?}"), |g| {
                    let x = g.input("x", width, true);
                    linear(g, x, (3, 2), (groups, 2, source, routing), Activation::Relu)
                }));
            }
        }
    }
    for activation in ACTIVATIONS {
        cases.push(case(&format!("linear with {activation:?}"), |g| {
            let x = g.input("x", 3, true);
            let weight = param(g, "w", &[3, 2]);
            // Log wants positive and Log1mExp negative sums.
            let bias = match activation {
                Activation::Log => Some(g.constant(1, 2, vec![9.0; 2])),
                Activation::Log1mExp => Some(g.constant(1, 2, vec![-9.0; 2])),
                _ => None,
            };
            let op = LinearOp { bias, activation, ..LinearOp::plain(weight) };
            g.linear(x, op)
        }));
    }
    cases
}

const ACTIVATIONS: [Activation; 13] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu(0.1),
    Activation::LeakyRelu(-0.1),
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Gelu,
    Activation::Silu,
    Activation::LogSigmoid,
    Activation::Log1mExp,
    Activation::Exp,
    Activation::Log,
    Activation::Step,
];

fn activations() -> Vec<Case> {
    let cases = ACTIVATIONS.map(|activation| {
        case(&format!("{activation:?}"), |g| {
            let name = match activation {
                Activation::Log => "positive",
                Activation::Log1mExp => "negative",
                _ => "x",
            };
            let x = g.input(name, 5, true);
            g.activate(x, activation)
        })
    });
    cases.into_iter().collect()
}

fn gates() -> Vec<Case> {
    let mask = vec![true, false, true, true, true, true, false, false, false];
    let mut cases = vec![
        case("softmax", |g| {
            let x = g.input("x", 8, true);
            g.softmax(x, 4, None)
        }),
        case("softmax with one mask", |g| {
            let x = g.input("x", 6, true);
            g.softmax(x, 3, Some(vec![true, false, true]))
        }),
        case("softmax with a mask per group, one of them empty", |g| {
            let x = g.input("x", 6, true);
            g.softmax(x, 3, Some(mask.clone()))
        }),
        case("softmax of one row per group with a mask per group", |g| {
            let x = param(g, "x", &[GROUPS, 3]);
            g.softmax(x, 3, Some(mask.clone()))
        }),
        case("select", |g| {
            let (a, b) = (g.input("a", 6, true), g.input("b", 4, true));
            g.select(vec![Block::new(a, 2), Block::new(b, 0), Block::new(a, 0)], 2)
        }),
        case("select of one row per group", |g| {
            let a = param(g, "a", &[GROUPS, 6]);
            g.select(vec![Block::new(a, 2), Block::new(a, 0), Block::new(a, 0)], 2)
        }),
    ];
    for gate_rows in [None, Some(1), Some(GROUPS)] {
        cases.push(case(&format!("mixture with gate rows {gate_rows:?}"), |g| {
            let (a, b) = (g.input("a", 6, true), g.input("b", 4, true));
            let blocks = |list: &[(Value, usize)]| list.iter().map(|&(v, i)| Block::new(v, i)).collect::<Vec<_>>();
            let outputs = vec![blocks(&[(a, 0), (a, 2), (b, 1)]), blocks(&[(b, 0), (a, 0)])];
            let gate = match gate_rows {
                None => g.input("gate", 5, true),
                Some(rows) => param(g, "gate", &[rows, 5]),
            };
            g.mixture(gate, outputs, 2)
        }));
    }
    cases
}

fn columns_and_rows() -> Vec<Case> {
    vec![
        case("concat and slice", |g| {
            let (a, b) = (g.input("a", 3, true), g.input("b", 2, true));
            let all = g.concat(&[a, b, a]);
            g.slice(all, 2, 4)
        }),
        case("gather_rows", |g| {
            let index = g.index_input("index4");
            let table = param(g, "table", &[4, 3]);
            g.gather_rows(table, index)
        }),
        case("scatter_rows", |g| {
            let index = g.index_input("index4");
            let x = g.input("x", 3, true);
            g.scatter_rows(x, index, 4)
        }),
        case("rows_of_group", |g| {
            let table = param(g, "table", &[GROUPS, 3]);
            g.rows_of_group(table)
        }),
        case("reshape: matrices of each group made of what is known of it", |g| {
            let (known, make) = (param(g, "known", &[GROUPS, 2]), param(g, "make", &[2, 12]));
            let made = g.linear(known, LinearOp::plain(make));
            let weight = g.reshape(made, 3);
            let x = g.input("x", 4, true);
            g.linear(x, LinearOp { groups: GROUPS, routing: Routing::Own, ..LinearOp::plain(weight) })
        }),
        case("reductions", |g| {
            let x = g.input("x", 3, true);
            let (a, b) = (g.sum_columns(x), g.mean_columns(x));
            let (c, d) = (g.sum_rows(x), g.mean_rows(x));
            let left = g.mul(a, c);
            let right = g.mul(b, d);
            g.mul(left, right)
        }),
        case("reductions of fixed rows", |g| {
            let x = param(g, "x", &[4, 3]);
            let (a, b) = (g.sum_columns(x), g.mean_rows(x));
            g.mul(a, b)
        }),
    ]
}

fn arithmetic() -> Vec<Case> {
    let mut cases = vec![
        case("affine", |g| {
            let x = g.input("x", 3, true);
            g.affine(x, -1.5, 0.25)
        }),
        case("a value used twice", |g| {
            let x = g.input("x", 3, true);
            let square = g.mul(x, x);
            g.add(square, x)
        }),
        case("dropout", |g| {
            let x = g.input("x", 40, true);
            g.dropout(x, 0.3, "here")
        }),
        case("concrete", |g| {
            let x = g.input("x", 5, true);
            g.concrete(x, 0.7, "here")
        }),
        case("stop_gradient", |g| {
            let x = g.input("x", 3, true);
            let w = param(g, "w", &[1, 3]);
            // The oracle differentiates through everything, so what is stopped must not depend on x.
            let stopped = g.stop_gradient(x);
            let zero = g.sub(stopped, stopped);
            let sum = g.add(zero, w);
            g.mul(sum, x)
        }),
    ];
    type Apply = fn(&mut Graph, Value, Value) -> Value;
    let operators: [(&str, Apply); 4] =
        [("add", Graph::add), ("sub", Graph::sub), ("mul", Graph::mul), ("div", Graph::div)];
    for (name, apply) in operators {
        for (kind, rows, width) in [
            ("same", None, 4),
            ("column", None, 1),
            ("one row", Some(1), 4),
            ("one", Some(1), 1),
            ("group", Some(GROUPS), 4),
            ("group column", Some(GROUPS), 1),
        ] {
            for left in [true, false] {
                cases.push(case(&format!("{name} with {kind}, on the left: {left}"), |g| {
                    let x = g.input("positive x", 4, true);
                    let other = match rows {
                        None => g.input("positive other", width, true),
                        Some(rows) => {
                            let raw = param(g, "other", &[rows, width]);
                            let raw = g.activate(raw, Activation::Sigmoid);
                            g.affine(raw, 1.0, 0.5)
                        }
                    };
                    if left { apply(g, other, x) } else { apply(g, x, other) }
                }));
            }
        }
        for left in [true, false] {
            cases.push(case(&format!("{name} with repeated rows, on the left: {left}"), |g| {
                let [few, many] = [("few", 2), ("many", 6)].map(|(value, rows)| {
                    let raw = param(g, value, &[rows, 4]);
                    let raw = g.activate(raw, Activation::Sigmoid);
                    g.affine(raw, 1.0, 0.5)
                });
                if left { apply(g, few, many) } else { apply(g, many, few) }
            }));
        }
    }
    cases
}

fn norms() -> Vec<Case> {
    let mut cases = vec![case("layer norm without gain", |g| {
        let x = g.input("x", 6, true);
        g.layer_norm(x, None, None, 6)
    })];
    for (rows, width) in [(1, 6), (1, 3), (GROUPS, 6), (GROUPS, 3)] {
        cases.push(case(&format!("layer norm with gain of {rows} rows and {width} columns"), |g| {
            let x = g.input("x", 6, true);
            let (gain, bias) = (param(g, "gain", &[rows, width]), param(g, "bias", &[rows, width]));
            g.layer_norm(x, Some(gain), Some(bias), 3)
        }));
    }
    for per_group in [false, true] {
        for statistics in [Statistics::Frozen, Statistics::Moving { momentum: 0.1 }] {
            for gain_rows in [0, 1, GROUPS] {
                cases.push(case(
                    &format!("batch norm, {statistics:?}, per group {per_group}, gain of {gain_rows}"),
                    |g| {
                        let x = g.input("x", 4, true);
                        let rows = if per_group { GROUPS } else { 1 };
                        let mean = still(g, "mean", &[rows, 4], Init::Normal { std: 0.5 });
                        let variance = still(g, "variance", &[rows, 4], Init::Constant(0.7));
                        let mut side = |name| (gain_rows > 0).then(|| param(g, name, &[gain_rows, 4]));
                        let (gain, bias) = (side("gain"), side("bias"));
                        g.batch_norm(
                            x,
                            BatchNormOp { gain, bias, mean, variance, statistics, per_group, epsilon: 1e-3 },
                        )
                    },
                ));
            }
        }
    }
    cases
}

fn losses() -> Vec<Case> {
    vec![
        case("bce_with_logits", |g| {
            let x = g.input("x", 2, true);
            let (targets, weights) = (g.input("target", 2, false), g.input("weight", 2, false));
            g.bce_with_logits(x, targets, weights)
        }),
        case("nll", |g| {
            let x = g.input("x", 2, true);
            let (targets, weights) = (g.input("target", 2, false), g.input("weight", 2, false));
            let log_p = g.activate(x, Activation::LogSigmoid);
            let log_not_p = g.activate(log_p, Activation::Log1mExp);
            g.nll(log_p, log_not_p, targets, weights)
        }),
    ]
}
