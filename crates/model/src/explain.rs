//! What a model weighed for single rows: the columns of its gates, and the attention of the row's scenario to the others.

use hinet_data::Batch;
use hinet_tape::{Evaluator, Feed, Value, Workspace};
use serde::Serialize;

use crate::mixtures::{Mixture, mixtures};
use crate::{Embeddings, Model};

/// A model made ready to tell the weights of its gates. It holds weights of its own, beside those of a plan.
#[derive(Debug)]
pub struct Explainer {
    evaluator: Evaluator,
    mixtures: Vec<Mixture>,
    /// Parallel to the mixtures.
    attention: Vec<bool>,
    /// Columns of each gate, parallel to the mixtures.
    widths: Vec<usize>,
    scenarios: Vec<String>,
    tasks: Vec<String>,
}

/// What was weighed for a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RowExplanation {
    /// Gates over experts, and attention to scenarios, in the order that they are computed.
    pub gates: Vec<GateWeights>,
}

/// The weights of one gate for one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateWeights {
    /// What it is called in the network.
    pub name: String,
    /// Whose mixture it is, where the gate makes one per task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Whether it weighs other scenarios' experts for the row's own scenario (HiNet's SAN).
    pub attention: bool,
    /// What it weighs. Gates are softmaxes: the weights of one sum to 1.
    pub weights: Vec<Weight>,
}

/// An expert, or a scenario, and its weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weight {
    /// Which one.
    pub expert: String,
    /// How much of it is taken in.
    pub weight: f32,
}

impl Explainer {
    /// Prepares a model's gates.
    #[must_use]
    pub fn new(model: &Model) -> Explainer {
        let graph = &model.network.graph;
        let mixtures = mixtures(&model.network, &model.layout);
        let gates: Vec<Value> = mixtures.iter().map(|mixture| mixture.gate).collect();
        let scenarios = model.layout.scenarios.clone();
        Explainer {
            evaluator: Evaluator::new(graph.clone(), model.params.clone(), &gates),
            attention: mixtures.iter().map(|mixture| mixture.is_attention(graph, scenarios.len())).collect(),
            widths: gates.iter().map(|&gate| graph.shape(gate).width).collect(),
            mixtures,
            scenarios,
            tasks: model.layout.tasks.iter().map(|task| task.name.clone()).collect(),
        }
    }

    /// What the model weighs for each row of a batch, in the order of the batch. A row of an unknown scenario has nothing
    /// to tell: it goes through all of them.
    ///
    /// # Panics
    /// If the batch or the tables are of another model: a bug of the caller.
    #[must_use]
    pub fn explain(&self, embeddings: &Embeddings, batch: &Batch) -> Vec<RowExplanation> {
        let batch = batch.grouped(self.scenarios.len() + 1);
        let known = batch.offsets[self.scenarios.len()];
        let mut explained = vec![RowExplanation { gates: Vec::new() }; batch.rows];
        if known == 0 || self.mixtures.is_empty() {
            return explained;
        }
        let mut x = vec![0.0; known * embeddings.width()];
        embeddings.gather_rows(&batch, 0, None, &mut x);
        let mut workspace = Workspace::default();
        let offsets = &batch.offsets[..=self.scenarios.len()];
        self.evaluator.run(&mut workspace, &Feed { rows: known, offsets, inputs: &[&x], indices: &[] });
        for row in 0..known {
            explained[batch.position[row] as usize] = self.row(&workspace, row, usize::from(batch.scenario[row]));
        }
        explained
    }

    fn row(&self, workspace: &Workspace, row: usize, scenario: usize) -> RowExplanation {
        let mut gates = Vec::new();
        for (index, mixture) in self.mixtures.iter().enumerate() {
            let width = self.widths[index];
            let values = self.evaluator.value(workspace, mixture.gate);
            let weights = &values[mixture.gate_row(row, scenario) * width..][..width];
            if self.attention[index] {
                gates.push(self.to_scenarios(mixture, weights));
            } else {
                gates.extend(self.to_experts(mixture, weights, scenario));
            }
        }
        RowExplanation { gates }
    }

    fn to_scenarios(&self, mixture: &Mixture, weights: &[f32]) -> GateWeights {
        let weight = |(expert, &weight): (&String, &f32)| Weight { expert: expert.clone(), weight };
        let weights = self.scenarios.iter().zip(weights).map(weight).collect();
        GateWeights { name: mixture.name.clone(), task: None, attention: true, weights }
    }

    /// The mixtures that a gate makes for a row of a scenario.
    fn to_experts(&self, mixture: &Mixture, weights: &[f32], scenario: usize) -> Vec<GateWeights> {
        let outputs: Vec<_> = mixture.outputs_of(scenario, self.scenarios.len()).collect();
        let gate = |(output, (start, experts)): (usize, &(usize, &[crate::mixtures::Expert]))| GateWeights {
            name: mixture.name.clone(),
            task: Mixture::task_of(output, outputs.len(), &self.tasks),
            attention: false,
            weights: experts
                .iter()
                .zip(&weights[*start..])
                .map(|(expert, &weight)| Weight { expert: mixture.label(expert, &self.scenarios, &self.tasks), weight })
                .collect(),
        };
        outputs.iter().enumerate().map(gate).collect()
    }
}
