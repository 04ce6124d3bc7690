//! Runs a case through the tape and through the oracle, and compares values and gradients.

use hinet_tape::{Feed, Gradients, Graph, Mode, Op, Params, Tape, Value};

use crate::oracle;

/// A graph over some groups of rows, ending in one value.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    pub(crate) out: Value,
}

/// Numbers a case is run on; names say which: `positive..`, `negative..`, `target..`, `weight..`, `index<rows>`.
pub(crate) struct Data {
    pub(crate) offsets: Vec<usize>,
    pub(crate) dense: Vec<Vec<f32>>,
    pub(crate) indices: Vec<Vec<u32>>,
}

impl Data {
    pub(crate) fn new(graph: &Graph, rows: &[usize], salt: u64) -> Data {
        let mut offsets = vec![0];
        offsets.extend(rows.iter().scan(0, |sum, rows| {
            *sum += rows;
            Some(*sum)
        }));
        let total = *offsets.last().unwrap();
        let dense = graph.inputs().iter().zip(graph.input_names()).enumerate();
        let dense = dense.map(|(i, (&input, name))| {
            let len = total * graph.shape(input).width;
            (0..len).map(|at| number(name, salt ^ ((i as u64) << 32) ^ at as u64)).collect()
        });
        let indices = graph.index_names().iter().map(|name| {
            let table: u64 = name.trim_start_matches("index").parse().unwrap();
            (0..total as u64).map(|row| (hash(row ^ salt) % table) as u32).collect()
        });
        Data { dense: dense.collect(), indices: indices.collect(), offsets }
    }

    pub(crate) fn with_feed<R>(&self, f: impl FnOnce(&Feed<'_>) -> R) -> R {
        let inputs: Vec<&[f32]> = self.dense.iter().map(Vec::as_slice).collect();
        let indices: Vec<&[u32]> = self.indices.iter().map(Vec::as_slice).collect();
        let rows = *self.offsets.last().unwrap();
        f(&Feed { rows, offsets: &self.offsets, inputs: &inputs, indices: &indices })
    }
}

pub(crate) fn hash(x: u64) -> u64 {
    let x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

fn number(name: &str, at: u64) -> f32 {
    let uniform = (hash(at + 1) >> 40) as f32 / 16_777_216.0;
    match name {
        _ if name.starts_with("positive") => 0.5 + uniform,
        _ if name.starts_with("negative") => -0.5 - uniform,
        _ if name.starts_with("target") => f32::from(uniform < 0.5),
        _ if name.starts_with("weight") => {
            if uniform < 0.25 {
                0.0
            } else {
                uniform
            }
        }
        _ => 2.0 * uniform - 1.0,
    }
}

/// What one run gives: the value, gradients of all parameters, gradients of the inputs that ask.
#[derive(PartialEq, Debug)]
pub(crate) struct Run {
    pub(crate) out: Vec<f32>,
    pub(crate) params: Vec<Vec<f32>>,
    pub(crate) inputs: Vec<(usize, Vec<f32>)>,
}

/// Appends `out * probe` so that every element of the result gets a gradient of its own.
pub(crate) fn with_probe(case: &Case) -> (Graph, Value) {
    let mut graph = case.graph.clone();
    let shape = graph.shape(case.out);
    let probe = match shape.rows {
        hinet_tape::Rows::Batch => graph.input("probe", shape.width, false),
        hinet_tape::Rows::Fixed(rows) => {
            let data = (0..rows * shape.width).map(|at| number("", at as u64)).collect();
            graph.constant(rows, shape.width, data)
        }
    };
    let probed = graph.mul(case.out, probe);
    (graph, probed)
}

pub(crate) fn params(graph: &Graph) -> Params {
    Params::new(graph.params(), |name| name.bytes().fold(7, |h, b| hash(h ^ u64::from(b))))
}

pub(crate) fn run(case: &Case, rows: &[usize], mode: Mode, threads: usize) -> Run {
    let (graph, probed) = with_probe(case);
    let data = Data::new(&graph, rows, 1);
    let params = params(&graph);
    let mut tape = Tape::new(graph.clone(), threads);
    let mut gradients = Gradients::new(&params);
    data.with_feed(|feed| {
        tape.forward(&params, feed, mode);
        tape.backward(&params, feed, &[(probed, 1.0)], &mut gradients);
    });
    let asked = graph.inputs().iter().enumerate().filter(|(_, input)| graph.node(**input).needs_gradient);
    Run {
        out: tape.value(case.out).to_vec(),
        params: (0..graph.params().len()).map(|index| gradients.at(index).to_vec()).collect(),
        inputs: asked.map(|(slot, &input)| (slot, tape.input_gradient(input).to_vec())).collect(),
    }
}

/// Compares the tape with the oracle, and gradients with central differences of the oracle.
pub(crate) fn check(case: &Case, rows: &[usize], mode: Mode) {
    let (graph, probed) = with_probe(case);
    let data = Data::new(&graph, rows, 1);
    let params = params(&graph);
    let got = run(case, rows, mode, 1);
    data.with_feed(|feed| {
        let mut inputs = oracle::Inputs {
            graph: &graph,
            params: oracle::params_of(&params),
            dense: feed.inputs.iter().map(|x| oracle::to_f64(x)).collect(),
            feed: *feed,
            mode,
            dropped: dropped(&graph, &params, feed, mode),
        };
        let place = format!("{} on {rows:?} in {mode:?}", case.name);
        close(&got.out, &oracle::run(&inputs)[case.out.index()], 1e-5, &format!("{place}: value"));
        let total = |inputs: &oracle::Inputs<'_>| oracle::run(inputs)[probed.index()].iter().sum::<f64>();
        for (index, spec) in graph.params().iter().enumerate() {
            let expected: Vec<f64> = if spec.trainable {
                (0..spec.len()).map(|at| difference(&mut inputs, &total, |i| &mut i.params[index][at])).collect()
            } else {
                vec![0.0; spec.len()]
            };
            close(&got.params[index], &expected, 1e-4, &format!("{place}: gradient of `{}`", spec.name));
        }
        for (slot, gradient) in &got.inputs {
            let expected: Vec<f64> =
                (0..gradient.len()).map(|at| difference(&mut inputs, &total, |i| &mut i.dense[*slot][at])).collect();
            close(gradient, &expected, 1e-4, &format!("{place}: gradient of input {slot}"));
        }
    });
}

fn difference(
    inputs: &mut oracle::Inputs<'_>,
    total: &dyn Fn(&oracle::Inputs<'_>) -> f64,
    at: impl for<'i> Fn(&'i mut oracle::Inputs<'_>) -> &'i mut f64,
) -> f64 {
    const STEP: f64 = 1e-5;
    let before = *at(inputs);
    *at(inputs) = before + STEP;
    let above = total(inputs);
    *at(inputs) = before - STEP;
    let below = total(inputs);
    *at(inputs) = before;
    (above - below) / (2.0 * STEP)
}

/// The factors that the tape's dropout chose, and its noise, read off a run on the same batch.
fn dropped(graph: &Graph, params: &Params, feed: &Feed<'_>, mode: Mode) -> Vec<Vec<f64>> {
    let mut tape = Tape::new(graph.clone(), 1);
    tape.forward(params, feed, mode);
    let chosen = graph.values().map(|value| {
        let node = graph.node(value);
        if !matches!(node.op, Op::Dropout { .. } | Op::Concrete { .. }) {
            return Vec::new();
        }
        let slot = graph.inputs().iter().position(|input| *input == node.inputs[0]);
        let x = slot.map_or(tape.value(node.inputs[0]), |slot| feed.inputs[slot]);
        let pairs = x.iter().zip(tape.value(value)).map(|(x, y)| (f64::from(*x), f64::from(*y)));
        if let Op::Concrete { temperature, .. } = node.op {
            return pairs.map(|(x, y)| y * f64::from(temperature) - x).collect();
        }
        pairs.map(|(x, y)| if x == 0.0 { 0.0 } else { (y / x * 1e6).round() / 1e6 }).collect()
    });
    chosen.collect()
}

pub(crate) fn close(got: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(got) - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{what} [{at}]: got {got}, expected {expected}");
    }
}
