//! Runs the graph on a sample, without the tape: mean weights of gates, and how often experts' units are 0.

use hinet_model::mixtures::{self, Mixture, Whose, task_name};
use hinet_model::{Model, Network};
use hinet_tape::{Evaluator, Feed, Value, Workspace};

use super::sample::Sample;
use super::{Attention, Expert, Gate, GateLine, Inspection};

/// Rows run at once. Results do not depend on it.
const ROWS: usize = 256;

/// Fills in attention, gates and experts.
pub(super) fn look(model: &Model, sample: &Sample, seen: &mut Inspection) {
    let mixtures = mixtures::mixtures(&model.network, &model.layout);
    let sums = Sums::of(model, &mixtures, sample);
    for (mixture, weights) in mixtures.iter().zip(&sums.weights) {
        if let Some(weights) = sums.attention(mixture) {
            seen.attention.push(Attention { name: mixture.name.clone(), weights });
        } else {
            seen.gates.push(gate(mixture, weights, seen));
        }
    }
    seen.experts = experts(&mixtures, &sums, seen);
}

/// What was added up over the rows.
struct Sums {
    /// Rows of each scenario.
    rows: Vec<u64>,
    /// By mixture, then scenario: the gate's columns, added up over the scenario's rows.
    weights: Vec<Vec<Vec<f64>>>,
    /// The outputs of experts that end in a ReLU: by scenario, the rows on which each column was 0.
    zeros: Vec<(Value, Vec<Vec<u64>>)>,
    /// By mixture, where the gate is attention: its matrix, row by row.
    matrices: Vec<(Value, Vec<f64>)>,
}

impl Sums {
    fn of(model: &Model, mixtures: &[Mixture], sample: &Sample) -> Sums {
        let Network { graph, .. } = &model.network;
        let scenarios = sample.rows.len();
        let sources = || mixtures.iter().flat_map(|mixture| mixture.outputs.iter().flatten());
        let mut relus: Vec<Value> = sources().filter(|source| source.relu).map(|source| source.value).collect();
        relus.sort_unstable();
        relus.dedup();
        let outputs: Vec<Value> = mixtures.iter().map(|mixture| mixture.gate).chain(relus.iter().copied()).collect();
        let evaluator = Evaluator::new(graph.clone(), model.params.clone(), &outputs);
        let width = |value: Value| graph.shape(value).width;
        let mut sums = Sums {
            rows: sample.rows.clone(),
            weights: mixtures.iter().map(|mixture| vec![vec![0.0; width(mixture.gate)]; scenarios]).collect(),
            zeros: relus.iter().map(|&value| (value, vec![vec![0; width(value)]; scenarios])).collect(),
            matrices: Vec::new(),
        };
        let (mut workspace, mut x) = (Workspace::default(), Vec::new());
        for from in (0..sample.batch.rows).step_by(ROWS) {
            let (batch, offsets) = sample.part(from, (from + ROWS).min(sample.batch.rows));
            x.resize(batch.rows * model.embeddings.width(), 0.0);
            model.embeddings.gather(&batch, &mut x);
            let feed = Feed { rows: batch.rows, offsets: &offsets, inputs: &[&x], indices: &[] };
            evaluator.run(&mut workspace, &feed);
            sums.add(mixtures, &batch.scenario, |value| evaluator.value(&workspace, value));
        }
        for mixture in mixtures.iter().filter(|mixture| mixture.is_attention(graph, scenarios)) {
            // The batch cannot change it, so it is there even without rows.
            let matrix = evaluator.value(&workspace, mixture.gate).iter().map(|&weight| f64::from(weight)).collect();
            sums.matrices.push((mixture.gate, matrix));
        }
        sums
    }

    fn add<'v>(&mut self, mixtures: &[Mixture], scenario: &[u16], value: impl Fn(Value) -> &'v [f32]) {
        for (mixture, sums) in mixtures.iter().zip(&mut self.weights) {
            let gate = value(mixture.gate);
            let width = sums.first().map_or(1, Vec::len);
            for (row, &scenario) in scenario.iter().enumerate() {
                let place = mixture.gate_row(row, usize::from(scenario));
                let weights = &gate[place * width..(place + 1) * width];
                sums[usize::from(scenario)]
                    .iter_mut()
                    .zip(weights)
                    .for_each(|(sum, &weight)| *sum += f64::from(weight));
            }
        }
        for (output, zeros) in &mut self.zeros {
            let width = zeros.first().map_or(1, Vec::len);
            for (row, &scenario) in value(*output).chunks_exact(width).zip(scenario) {
                let counts = zeros[usize::from(scenario)].iter_mut();
                counts.zip(row).for_each(|(count, &unit)| *count += u64::from(unit == 0.0));
            }
        }
    }

    fn attention(&self, mixture: &Mixture) -> Option<Vec<Vec<f64>>> {
        let (_, matrix) = self.matrices.iter().find(|(gate, _)| *gate == mixture.gate)?;
        Some(matrix.chunks_exact(self.rows.len()).map(<[f64]>::to_vec).collect())
    }
}

fn gate(mixture: &Mixture, sums: &[Vec<f64>], seen: &Inspection) -> Gate {
    let (scenarios, tasks) = (seen.scenarios.len(), &seen.tasks);
    let outputs = mixture.outputs_of(0, scenarios).count();
    let mut lines = Vec::new();
    for (scenario, rows) in seen.scenarios.iter().enumerate() {
        for (output, (start, sources)) in mixture.outputs_of(scenario, scenarios).enumerate() {
            let task = Mixture::task_of(output, outputs, tasks);
            let sums = &sums[scenario][start..start + sources.len()];
            let weights =
                if rows.rows == 0 { Vec::new() } else { sums.iter().map(|sum| sum / rows.rows as f64).collect() };
            lines.push(GateLine { scenario: rows.name.clone(), task, weights });
        }
    }
    let scenarios: Vec<String> = seen.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
    let labels = mixture.outputs[0].iter().map(|expert| mixture.label(expert, &scenarios, tasks)).collect();
    Gate { name: mixture.name.clone(), experts: labels, lines }
}

/// Every expert that a gate over rows weighs, with what its gates give it and what comes out of it.
fn experts(mixtures: &[Mixture], sums: &Sums, seen: &Inspection) -> Vec<Expert> {
    let scenarios = seen.scenarios.len();
    let mut found: Vec<Found<'_>> = Vec::new();
    let over_rows = mixtures.iter().zip(&sums.weights).filter(|(mixture, _)| sums.attention(mixture).is_none());
    for (mixture, weights) in over_rows {
        for (scenario, weights) in weights.iter().enumerate() {
            for (start, sources) in mixture.outputs_of(scenario, scenarios) {
                for (source, weight) in sources.iter().zip(&weights[start..]) {
                    let own = match source.scenario {
                        None => None,
                        Some(Whose::Own) => Some(scenario),
                        Some(Whose::Of(owner)) => Some(owner),
                    };
                    let place = found.iter().position(|known| known.own == own && known.is(source));
                    let place = place.unwrap_or_else(|| {
                        found.push(Found { source, own, weight: 0.0, fair: 0.0, rows: 0, at: Vec::new() });
                        found.len() - 1
                    });
                    found[place].add(*weight, sources.len(), (scenario, seen.scenarios[scenario].rows));
                }
            }
        }
    }
    found.sort_by_key(|found| (found.source.value, found.own, found.source.columns.start));
    found.iter().map(|found| found.expert(sums, seen)).collect()
}

/// An expert in the making.
struct Found<'a> {
    source: &'a mixtures::Expert,
    own: Option<usize>,
    weight: f64,
    fair: f64,
    rows: u64,
    /// Scenarios whose rows go through it.
    at: Vec<usize>,
}

impl Found<'_> {
    fn is(&self, source: &mixtures::Expert) -> bool {
        self.source.value == source.value && self.source.columns == source.columns
    }

    fn add(&mut self, weight: f64, experts: usize, (scenario, rows): (usize, u64)) {
        self.weight += weight;
        self.fair += rows as f64 / experts as f64;
        self.rows += rows;
        if !self.at.contains(&scenario) {
            self.at.push(scenario);
        }
    }

    fn expert(&self, sums: &Sums, seen: &Inspection) -> Expert {
        let rows: u64 = self.at.iter().map(|&scenario| sums.rows[scenario]).sum();
        let zeros = sums.zeros.iter().find(|(value, _)| *value == self.source.value).map(|(_, zeros)| {
            let of_unit = |column| self.at.iter().map(|&scenario| zeros[scenario][column]).sum::<u64>();
            self.source.columns.clone().map(of_unit).collect::<Vec<u64>>()
        });
        let units = self.source.columns.len();
        let zeros = zeros.filter(|_| rows > 0);
        Expert {
            bank: self.source.bank.clone(),
            scenario: self.own.map(|scenario| seen.scenarios[scenario].name.clone()),
            task: self.source.head.map(|head| task_name(head, &seen.tasks)),
            number: self.source.number + 1,
            rows,
            weight: (self.rows > 0).then(|| self.weight / self.rows as f64),
            fair: if self.rows > 0 { self.fair / self.rows as f64 } else { 0.0 },
            dead_units: zeros.as_ref().map_or(0, |zeros| zeros.iter().filter(|&&count| count == rows).count()),
            zeros: zeros.map(|zeros| zeros.iter().sum::<u64>() as f64 / (rows * units as u64) as f64),
            units,
        }
    }
}
