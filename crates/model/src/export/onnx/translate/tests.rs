//! Operators alone, those too that no preset of the zoo uses: the graph of ONNX against the evaluator.

use hinet_tape::{
    Activation, Binary, Block, Evaluator, Feed, Graph, Init, LinearOp, ParamSpec, Params, Routing, Scope, Source,
    Value, Workspace,
};

use super::super::builder::{Dim, rows};
use super::super::proto::{FLOAT, INT64};
use super::super::run::{self, Tensor};
use super::*;

const GROUPS: usize = 3;
const WIDTH: usize = 6;
/// Rows of each group; one has none.
const ROWS: [usize; GROUPS] = [2, 0, 3];

/// A graph with its input.
struct Case {
    graph: Graph,
    x: Value,
}

impl Case {
    fn new() -> Case {
        let mut graph = Graph::new(GROUPS);
        let x = graph.input("x", WIDTH, false);
        Case { graph, x }
    }

    fn parameter(&mut self, name: &str, rows: usize, width: usize) -> Value {
        self.graph.parameter(ParamSpec {
            name: name.into(),
            dims: vec![rows, width],
            init: Init::Normal { std: 0.7 },
            scope: Scope::Shared,
            trainable: true,
        })
    }

    fn linear(&mut self, op: (Routing, Source, usize), out: usize) -> Value {
        let (routing, source, experts) = op;
        let taken = if routing == Routing::Own { experts } else { GROUPS * experts };
        let x = match source {
            Source::Shared => self.x,
            Source::PerExpert => self.graph.concat(&vec![self.x; taken]),
            Source::EachRun(runs) => self.graph.concat(&vec![self.x; runs]),
        };
        let weight = self.parameter("weight", GROUPS * experts * WIDTH, out);
        let bias = Some(self.parameter("bias", GROUPS * experts, out));
        let activation = Activation::Relu;
        self.graph.linear(x, LinearOp { weight, bias, groups: GROUPS, experts, source, routing, activation })
    }

    /// Compares what is translated with what is recorded.
    fn agrees(&self, value: Value, what: &str) {
        let params = Params::new(self.graph.params(), |name| name.len() as u64);
        let count: usize = ROWS.iter().sum();
        let x: Vec<f32> = (0..count * WIDTH).map(|at| ((at * 7 + 3) % 11) as f32 / 4.0 - 1.4).collect();
        let offsets = [0, ROWS[0], ROWS[0] + ROWS[1], count];
        let evaluator = Evaluator::new(self.graph.clone(), params.clone(), &[value]);
        let mut workspace = Workspace::default();
        evaluator.run(&mut workspace, &Feed { rows: count, offsets: &offsets, inputs: &[&x], indices: &[] });
        let expected = evaluator.value(&workspace, value).to_vec();
        let found = self.by_onnx(&params, value, (count, x));
        assert_eq!(found.len(), expected.len(), "{what}");
        for (place, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert!((a - b).abs() <= 2e-6 * b.abs().max(1.0), "{what}: {a} and {b} at {place}");
        }
    }

    fn by_onnx(&self, params: &Params, value: Value, (count, x): (usize, Vec<f32>)) -> Vec<f32> {
        let mut out = Builder::default();
        let part = PartRows {
            x: out.input(("x", ""), FLOAT, &[rows(), Dim::Fixed(WIDTH)]),
            group: out.input(("group", ""), INT64, &[rows()]),
            counts: Some(out.input(("counts", ""), INT64, &[Dim::Fixed(GROUPS)])),
        };
        let name = translate(&mut out, (&self.graph, params), value, part).unwrap();
        out.op_named("Identity", &[&name], "y");
        out.output(("y", ""), &[rows()]);
        let built = out.finish("case");
        let tensors = built.initialisers.iter().map(|initialiser| {
            let tensor = match &initialiser.values {
                super::super::builder::Values::F32(values) => Tensor::float(initialiser.dims.clone(), values.to_vec()),
                super::super::builder::Values::I64(values) => Tensor::whole(initialiser.dims.clone(), values.clone()),
            };
            (initialiser.name.clone(), std::rc::Rc::new(tensor))
        });
        let graph = run::Graph { tensors: tensors.collect(), graph: built.graph };
        let group = ROWS.iter().enumerate().flat_map(|(group, &rows)| vec![group as i64; rows]).collect();
        let feed = [
            ("x", Tensor::float(vec![count, WIDTH], x)),
            ("group", Tensor::whole(vec![count], group)),
            ("counts", Tensor::whole(vec![GROUPS], ROWS.map(|rows| rows as i64).to_vec())),
        ];
        let feed = feed.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        graph.run(feed).unwrap()["y"].floats().unwrap().to_vec()
    }
}

#[test]
fn every_function_of_elements() {
    let functions = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.2),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Silu,
        Activation::LogSigmoid,
        Activation::Exp,
        Activation::Step,
    ];
    for function in functions {
        let mut case = Case::new();
        let y = case.graph.activate(case.x, function);
        case.agrees(y, &format!("{function:?}"));
    }
    // Of what is at most 0, and of what is above it.
    let mut case = Case::new();
    let p = case.graph.activate(case.x, Activation::LogSigmoid);
    let y = case.graph.activate(p, Activation::Log1mExp);
    case.agrees(y, "Log1mExp");
    let mut case = Case::new();
    let p = case.graph.activate(case.x, Activation::Exp);
    let y = case.graph.activate(p, Activation::Log);
    case.agrees(y, "Log");
}

#[test]
fn every_linear_operator_small_and_large() {
    for routing in [Routing::Own, Routing::All] {
        for source in [Source::Shared, Source::PerExpert] {
            for (experts, out) in [(1, 2), (1, 200), (2, 3), (3, 60)] {
                let mut case = Case::new();
                let y = case.linear((routing, source, experts), out);
                case.agrees(y, &format!("{routing:?}, {source:?}, {experts} blocks of {out}"));
            }
        }
    }
}

#[test]
fn runs_of_columns_through_one_block_shared_and_of_each_group() {
    for groups in [1, GROUPS] {
        for bias in [false, true] {
            let mut case = Case::new();
            let (scaled, shifted) = (case.graph.affine(case.x, 0.3, 0.0), case.graph.affine(case.x, -1.0, 0.5));
            let x = case.graph.concat(&[case.x, scaled, shifted]);
            let weight = case.parameter("weight", groups * WIDTH, 4);
            let bias = bias.then(|| case.parameter("bias", groups, 4));
            let op = LinearOp {
                bias,
                groups,
                source: Source::EachRun(3),
                routing: Routing::Own,
                activation: Activation::Tanh,
                ..LinearOp::plain(weight)
            };
            let y = case.graph.linear(x, op);
            case.agrees(y, &format!("{groups} groups, bias {}", bias.is_some()));
        }
    }
}

#[test]
fn gates_mixtures_and_blocks() {
    let masks: [Option<Vec<bool>>; 4] = [
        None,
        Some(vec![true, false, true]),
        Some(vec![false; 3]),
        Some(vec![true, true, false, false, false, false, false, true, true]),
    ];
    for mask in masks {
        for size in [3, 6] {
            if size == 6 && mask.is_some() {
                continue;
            }
            let mut case = Case::new();
            let y = case.graph.softmax(case.x, size, mask.clone());
            case.agrees(y, &format!("softmax of {size} with {mask:?}"));
        }
    }
    let outputs: [&[&[usize]]; 5] =
        [&[&[0, 1, 2]], &[&[0, 2], &[1, 1]], &[&[2], &[0]], &[&[0], &[1, 2, 0]], &[&[0], &[1]]];
    for blocks in outputs {
        let mut case = Case::new();
        let other = case.graph.activate(case.x, Activation::Tanh);
        let count: usize = blocks.iter().map(|blocks| blocks.len()).sum();
        let block = |&at: &usize| Block::new(if at == 1 { other } else { case.x }, at);
        let outputs: Vec<Vec<Block>> = blocks.iter().map(|blocks| blocks.iter().map(block).collect()).collect();
        let own = case.graph.slice(case.x, 0, count);
        let one = case.parameter("one", 1, count);
        let grouped = case.parameter("grouped", GROUPS, count);
        let ones = case.graph.constant(1, count, vec![1.0; count]);
        for (name, gate) in [("rows", own), ("one", one), ("groups", grouped), ("ones", ones)] {
            let y = case.graph.mixture(gate, outputs.clone(), 2);
            case.agrees(y, &format!("mixture {blocks:?} by {name}"));
        }
    }
    let mut case = Case::new();
    let y = case.graph.select(vec![Block::new(case.x, 1), Block::new(case.x, 0), Block::new(case.x, 0)], 2);
    case.agrees(y, "select");
    // Blocks that do not make up their value.
    let y = case.graph.select(vec![Block::new(case.x, 0), Block::new(case.x, 0), Block::new(case.x, 0)], 4);
    case.agrees(y, "select of a wide block");
}

#[test]
fn arithmetic_beside_one_row_rows_of_groups_and_columns() {
    for binary in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div] {
        let mut case = Case::new();
        let one = case.parameter("one", 1, WIDTH);
        let grouped = case.parameter("grouped", GROUPS, WIDTH);
        let column = case.graph.slice(case.x, 2, 1);
        for (name, other) in [("one row", one), ("groups", grouped), ("a column", column)] {
            let (a, b) = if binary == Binary::Div { (other, case.x) } else { (case.x, other) };
            let y = match binary {
                Binary::Add => case.graph.add(a, b),
                Binary::Sub => case.graph.sub(a, b),
                Binary::Mul => case.graph.mul(a, b),
                Binary::Div => case.graph.div(a, b),
            };
            case.agrees(y, &format!("{binary:?} with {name}"));
        }
    }
    let mut case = Case::new();
    let grouped = case.parameter("grouped", GROUPS, 4);
    for (name, y) in [
        ("rows of groups", case.graph.rows_of_group(grouped)),
        ("affine", case.graph.affine(case.x, -2.0, 0.5)),
        ("sums", case.graph.sum_columns(case.x)),
        ("means", case.graph.mean_columns(case.x)),
        ("dropout", case.graph.dropout(case.x, 0.5, "rate")),
        ("noise", case.graph.concrete(case.x, 0.5, "noise")),
        ("stopped", case.graph.stop_gradient(case.x)),
    ] {
        case.agrees(y, name);
    }
}

#[test]
fn norms_with_gains_of_a_run_of_a_row_and_of_groups() {
    for (rows, width) in [(1, WIDTH), (GROUPS, WIDTH), (1, 3), (GROUPS, 3)] {
        let mut case = Case::new();
        let (gain, bias) = (case.parameter("gain", rows, width), case.parameter("bias", rows, width));
        let y = case.graph.layer_norm(case.x, Some(gain), Some(bias), 3);
        case.agrees(y, &format!("layer norm with {rows} rows of {width}"));
    }
    let mut case = Case::new();
    let y = case.graph.layer_norm(case.x, None, None, WIDTH);
    case.agrees(y, "layer norm alone");
}

#[test]
fn an_operator_that_mixes_rows_is_refused_by_name() {
    let mut case = Case::new();
    let mean = case.graph.mean_rows(case.x);
    let y = case.graph.sub(case.x, mean);
    let params = Params::new(case.graph.params(), |_| 0);
    let part = PartRows { x: "x".into(), group: "group".into(), counts: None };
    let error = translate(&mut Builder::default(), (&case.graph, &params), y, part).unwrap_err();
    assert!(error.to_string().contains("`Reduce`") && error.to_string().contains("many rows"), "{error}");
}
