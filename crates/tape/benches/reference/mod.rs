//! The reference HiNet without its embedding tables: 320 inputs, 7 SEIs of 4 sub-experts 320-128-64, SAN, one CGC per
//! scenario of 4 shared and 2 x 4 task experts 192-64, towers 64-32-1; 6 scenarios, 2 tasks.

use hinet_tape::{
    Activation, Block, DenseOptimiser, DenseOptimiserConfig, Feed, Gradients, Graph, Init, LinearOp, Mode, ParamSpec,
    Params, Routing, Scope, Source, Tape, Value,
};

const SCENARIOS: usize = 6;
const TASKS: usize = 2;
const EXPERTS: usize = 4;
const INPUTS: usize = 320;
const SHARES: [f64; SCENARIOS] = [0.4, 0.25, 0.15, 0.1, 0.06, 0.04];

/// Multiply-adds of one row, forward and backward, times two.
#[allow(dead_code, reason = "the example counts it, the bench does not")]
pub(crate) const FLOP_PER_ROW: f64 = 9.24e6;

fn parameter(g: &mut Graph, name: &str, dims: &[usize]) -> Value {
    let init = match dims {
        [.., fan_in, fan_out] if !name.starts_with("bias") => {
            Init::XavierUniform { fan_in: *fan_in, fan_out: *fan_out }
        }
        _ => Init::Zeros,
    };
    g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable: true })
}

struct Layer<'n> {
    name: &'n str,
    dims: [usize; 4],
    source: Source,
    activation: Option<Activation>,
}

fn linear(g: &mut Graph, x: Value, of: &Layer<'_>) -> Value {
    let op = layer(g, of);
    g.linear(x, op)
}

/// A linear layer; one without activation has no bias either.
fn layer(g: &mut Graph, layer: &Layer<'_>) -> LinearOp {
    let [groups, experts, _, outer] = layer.dims;
    let weight = parameter(g, layer.name, &layer.dims);
    let bias = layer.activation.map(|_| parameter(g, &format!("bias of {}", layer.name), &[groups, experts, outer]));
    let activation = layer.activation.unwrap_or(Activation::Identity);
    LinearOp { weight, bias, groups, experts, source: layer.source, routing: Routing::Own, activation }
}

fn blocks(value: Value, indices: impl IntoIterator<Item = usize>) -> Vec<Block> {
    indices.into_iter().map(|index| Block::new(value, index)).collect()
}

/// The graph, its input and its loss.
pub(crate) fn graph() -> (Graph, Value, Value) {
    let g = &mut Graph::new(SCENARIOS);
    let (shared, per_expert, relu) = (Source::Shared, Source::PerExpert, Some(Activation::Relu));
    let x = g.input("x", INPUTS, true);
    let (targets, weights) = (g.input("targets", TASKS, false), g.input("weights", TASKS, false));
    let all = (SCENARIOS + 1) * EXPERTS;
    let first = layer(g, &Layer { name: "w1", dims: [1, all, INPUTS, 128], source: shared, activation: relu });
    let second = layer(g, &Layer { name: "w2", dims: [1, all, 128, 64], source: per_expert, activation: relu });
    let e = g.stack(x, &[first, second]);
    let gate = linear(g, x, &Layer { name: "gate", dims: [1, 7, INPUTS, EXPERTS], source: shared, activation: None });
    let gate = g.softmax(gate, EXPERTS, None);
    let seis = (0..=SCENARIOS).map(|m| blocks(e, m * EXPERTS..(m + 1) * EXPERTS)).collect();
    let s = g.mixture(gate, seis, 64);
    let embedding = parameter(g, "scenario", &[SCENARIOS, 16]);
    let san = Layer { name: "san", dims: [SCENARIOS, 1, 16, SCENARIOS], source: shared, activation: None };
    let san = linear(g, embedding, &san);
    let others = (0..SCENARIOS * SCENARIOS).map(|i| i / SCENARIOS != i % SCENARIOS).collect();
    let san = g.softmax(san, SCENARIOS, Some(others));
    let attended = g.mixture(san, vec![blocks(s, 1..=SCENARIOS)], 64);
    let (common, own) = (g.slice(s, 0, 64), g.select(blocks(s, 1..=SCENARIOS), 64));
    let c = g.concat(&[common, own, attended]);
    let experts = EXPERTS * (1 + TASKS);
    let cgc = Layer { name: "cgc", dims: [SCENARIOS, experts, 192, 64], source: shared, activation: relu };
    let q = linear(g, c, &cgc);
    let gate = Layer { name: "cgc gate", dims: [SCENARIOS, TASKS, 192, 8], source: shared, activation: None };
    let gate = linear(g, c, &gate);
    let gate = g.softmax(gate, 8, None);
    let heads = (0..TASKS).map(|t| blocks(q, (0..EXPERTS).chain((t + 1) * EXPERTS..(t + 2) * EXPERTS))).collect();
    let heads = g.mixture(gate, heads, 64);
    let tower = Layer { name: "tower", dims: [SCENARIOS, TASKS, 64, 32], source: per_expert, activation: relu };
    let tower = linear(g, heads, &tower);
    let identity = Some(Activation::Identity);
    let last = Layer { name: "logit", dims: [SCENARIOS, TASKS, 32, 1], source: per_expert, activation: identity };
    let logits = linear(g, tower, &last);
    let loss = g.bce_with_logits(logits, targets, weights);
    (g.clone(), x, loss)
}

/// Everything a training step needs.
pub(crate) struct Step {
    pub(crate) tape: Tape,
    params: Params,
    gradients: Gradients,
    optimiser: DenseOptimiser,
    loss: Value,
    rows: usize,
    offsets: Vec<usize>,
    inputs: [Vec<f32>; 3],
    step: u64,
}

impl Step {
    pub(crate) fn new(rows: usize, threads: usize) -> Step {
        let (graph, _, loss) = graph();
        let params = Params::new(graph.params(), |name| name.bytes().map(u64::from).sum());
        let mut offsets: Vec<usize> = vec![0];
        let mut share = 0.0;
        offsets.extend(SHARES.iter().map(|part| {
            share += part;
            (share * rows as f64).round() as usize
        }));
        let noise = |len: usize, salt: usize| -> Vec<f32> {
            (0..len).map(|i| ((i * 7919 + salt) % 10_007) as f32 / 10_007.0 - 0.5).collect()
        };
        let targets = noise(rows * TASKS, 3).iter().map(|x| f32::from(*x < -0.4)).collect();
        Step {
            gradients: Gradients::new(&params),
            optimiser: DenseOptimiser::new(&DenseOptimiserConfig::default(), &params).expect("the defaults are valid"),
            tape: Tape::new(graph, threads),
            inputs: [noise(rows * INPUTS, 1), targets, vec![1.0 / rows as f32; rows * TASKS]],
            params,
            loss,
            rows,
            offsets,
            step: 0,
        }
    }

    /// Forward, backward and Adam; returns the loss.
    pub(crate) fn run(&mut self) -> f32 {
        self.forward();
        self.backward();
        self.update();
        self.tape.value(self.loss)[0]
    }

    fn with_feed<R>(&mut self, f: impl FnOnce(&mut Tape, &Params, &Feed<'_>, &mut Gradients) -> R) -> R {
        let inputs = [&self.inputs[0][..], &self.inputs[1], &self.inputs[2]];
        let feed = Feed { rows: self.rows, offsets: &self.offsets, inputs: &inputs, indices: &[] };
        f(&mut self.tape, &self.params, &feed, &mut self.gradients)
    }

    pub(crate) fn forward(&mut self) {
        self.step += 1;
        let mode = Mode::Train { seed: self.step };
        self.with_feed(|tape, params, feed, _| tape.forward(params, feed, mode));
    }

    pub(crate) fn backward(&mut self) {
        let loss = self.loss;
        self.with_feed(|tape, params, feed, gradients| {
            gradients.clear();
            tape.backward(params, feed, &[(loss, 1.0)], gradients);
        });
    }

    pub(crate) fn update(&mut self) {
        self.optimiser.step(&mut self.params, &self.gradients, 1e-3);
    }
}
