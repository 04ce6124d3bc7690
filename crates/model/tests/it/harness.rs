//! What tests of networks share: layouts, batches of known shape, and a way to run them.

use std::ops::Range;

use hinet_data::{Layout, Pooling, Seed, Sequence, Slot, TableSpec, TaskSpec, UnknownScenario};
use hinet_model::{Form, Model, ModelConfig, Network, Objective};
use hinet_tape::{Feed, Gradients, Init, Mode, Params, Tape, Value};

/// Items of the sequence that [`layout`] has.
const LENGTH: usize = 3;

/// A layout of three features with ids, a column each, and numbers for the rest of the width. Two of the features are a
/// sequence and what is said of its items.
pub(crate) fn layout(width: usize, scenarios: usize, tasks: &[&str]) -> Layout {
    Layout {
        sequences: vec![Sequence { slots: vec![1, 2], length: LENGTH }],
        tables: vec![TableSpec { name: "id".into(), rows: 9, dim: 1 }],
        slots: vec![
            Slot::Lookup { feature: "id".into(), table: 0 },
            Slot::Bag { feature: "ids".into(), table: 0, pooling: Pooling::Mean },
            Slot::Bag { feature: "kinds".into(), table: 0, pooling: Pooling::Mean },
            Slot::Dense { feature: "numbers".into(), width: width - 3 },
        ],
        scenarios: (0..scenarios).map(|scenario| format!("s{scenario}")).collect(),
        scenario_rows: (1..=scenarios as u64).map(|scenario| 100 * scenario).collect(),
        tasks: tasks.iter().map(|name| TaskSpec::new(*name)).collect(),
        unknown: UnknownScenario::Mean,
    }
}

/// A number between -1 and 1 that depends on nothing but its place.
pub(crate) fn noise(at: u64) -> f32 {
    let x = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 40) as f32 / 8_388_608.0 - 1.0
}

pub(crate) fn parameters(network: &Network) -> Params {
    let mut params = Params::new(network.graph.params(), |name| {
        name.bytes().fold(7, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    });
    // Biases, gains, statistics and factors that do something.
    for (index, spec) in network.graph.params().iter().enumerate() {
        let still = matches!(spec.init, Init::Zeros | Init::Ones);
        for (at, value) in params.at_mut(index).iter_mut().enumerate().filter(|_| still) {
            *value += 0.25 * noise(at as u64 + 31 * spec.name.len() as u64);
        }
        // Products of numbers up to 2 make logits so large that the oracle's logarithms would lose their digits.
        if spec.name.starts_with("input.fm.") || spec.name.starts_with("input.cross.") {
            params.at_mut(index).iter_mut().for_each(|value| *value *= 0.2);
        }
    }
    params
}

/// Rows of numbers, sorted by scenario: `rows[s]` of scenario `s`.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) x: Vec<f32>,
    pub(crate) scenario: Vec<usize>,
    pub(crate) offsets: Vec<usize>,
    /// Columns of a sequence, if the model reads one.
    pub(crate) sequence: Range<usize>,
}

impl Rows {
    /// Rows of the width that a model reads.
    pub(crate) fn of(layout: &Layout, config: &ModelConfig, rows: &[usize]) -> Rows {
        let model = Model::new(layout.clone(), config.clone(), Seed(1)).unwrap();
        let width = model.embeddings.width();
        let mut all = Rows::new(width, rows);
        if !config.sequence.is_empty() {
            let end = model.embeddings.first_order_column();
            all.sequence = end - 3 * LENGTH..end;
            all.x.chunks_exact_mut(width).enumerate().for_each(|(row, x)| cut_sequence(row, &mut x[..end]));
        }
        all
    }

    pub(crate) fn new(width: usize, rows: &[usize]) -> Rows {
        let scenario: Vec<usize> = rows.iter().enumerate().flat_map(|(s, &count)| vec![s; count]).collect();
        let mut offsets = vec![0];
        offsets.extend(rows.iter().scan(0, |end, count| {
            *end += count;
            Some(*end)
        }));
        let x = (0..scenario.len() * width).map(|at| 2.0 * noise(at as u64)).collect();
        Rows { x, scenario, offsets, sequence: 0..0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.scenario.len()
    }

    pub(crate) fn width(&self) -> usize {
        self.x.len() / self.count()
    }

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.x[row * self.width()..(row + 1) * self.width()]
    }

    /// One row of these, alone.
    pub(crate) fn only(&self, row: usize) -> Rows {
        let scenarios = self.offsets.len() - 1;
        let offsets = (0..=scenarios).map(|scenario| usize::from(scenario > self.scenario[row])).collect();
        Rows { x: self.row(row).to_vec(), scenario: vec![self.scenario[row]], offsets, sequence: self.sequence.clone() }
    }

    /// Whether an element of x can be another one: flags of a sequence and places without an item cannot.
    pub(crate) fn can_move(&self, at: usize) -> bool {
        let column = at % self.width();
        let flag = column + LENGTH >= self.sequence.end;
        !self.sequence.contains(&column) || !(flag || self.x[at] == 0.0)
    }
}

/// Leaves a row as many items as its number says, by turns none, one, ... and all: zeros behind them.
fn cut_sequence(row: usize, x: &mut [f32]) {
    let items = row % (LENGTH + 1);
    let lists = x.len() - 3 * LENGTH;
    for list in x[lists..].chunks_exact_mut(LENGTH).take(2) {
        list[items..].fill(0.0);
    }
    for (place, present) in x[lists + 2 * LENGTH..].iter_mut().enumerate() {
        *present = f32::from(u8::from(place < items));
    }
}

/// The forms that a model has.
pub(crate) fn forms(config: &ModelConfig) -> Vec<Form> {
    let every = config.task.has_heads_per_scenario().then_some(Form::Every);
    let mean = (!config.tables.per_scenario()).then_some(Form::Mean);
    [Some(Form::Own), every, mean].into_iter().flatten().collect()
}

/// A network with a loss, ready to run.
pub(crate) struct Runner {
    pub(crate) network: Network,
    pub(crate) objective: Objective,
    pub(crate) params: Params,
    pub(crate) tape: Tape,
    pub(crate) gradients: Gradients,
}

impl Runner {
    pub(crate) fn new(layout: &Layout, config: &ModelConfig, form: Form) -> Runner {
        let mut network = Network::record(layout, config, form).unwrap();
        let objective = network.add_loss();
        let params = parameters(&network);
        let tape = Tape::new(network.graph.clone(), 1);
        Runner { gradients: Gradients::new(&params), network, objective, params, tape }
    }

    /// Runs forward and backward with every label 1 and every weight 1 unless given.
    pub(crate) fn run(&mut self, rows: &Rows, mode: Mode, loss: Option<(&[f32], &[f32])>) {
        let size = rows.count() * self.network.columns();
        let ones = vec![1.0; size];
        let (targets, weights) = loss.unwrap_or((&ones, &ones));
        let whole = [0, rows.count()];
        let offsets = if self.network.form == Form::Mean { &whole[..] } else { &rows.offsets };
        let inputs = [&rows.x[..], targets, weights];
        let feed = Feed { rows: rows.count(), offsets, inputs: &inputs, indices: &[] };
        self.tape.forward(&self.params, &feed, mode);
        self.gradients.clear();
        self.tape.backward(&self.params, &feed, &[(self.objective.loss, 1.0)], &mut self.gradients);
    }

    /// Probabilities of these rows, `[rows, columns]`.
    pub(crate) fn scores(&mut self, rows: &Rows) -> Vec<f32> {
        self.run(rows, Mode::Infer, None);
        self.value(self.network.scores).to_vec()
    }

    pub(crate) fn value(&self, value: Value) -> &[f32] {
        self.tape.value(value)
    }

    pub(crate) fn probe(&self, name: &str) -> &[f32] {
        let value = self.network.probe(name).unwrap_or_else(|| panic!("no probe `{name}`"));
        self.value(value)
    }
}

pub(crate) fn close(got: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(got) - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "{what} [{at}]: got {got}, expected {expected}");
    }
}
