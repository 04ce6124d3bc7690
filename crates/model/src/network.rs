//! A network: the layers of a model recorded into one graph, in one of three forms.
//!
//! # Probes
//!
//! Layers name what is worth a look ([`Network::probe`]); the names are the same in every layer:
//!
//! | name | shape | what |
//! | --- | --- | --- |
//! | `scenario` | `[batch, scenario width]` | result of the scenario layer |
//! | `expert.shared`, `expert.scenario`, `expert.attended` | `[batch, experts * h]` | HiNet's G, S_m and A_i |
//! | `gate.shared`, `gate.scenario` | `[batch, experts * sub-experts]` | gates over the sub-experts of each expert |
//! | `san` | `[scenarios, scenarios]`, or `[batch, scenarios]` with `san_query = "row"` | weight of each other scenario |
//! | `gate.task` | `[batch, heads * experts]` | gate of each head over experts, on the last level |
//! | `gate.path` | as above | gate of the path that shared experts above read (PLE) |
//! | `gate.input` | `[batch, width]` | EPNet's factors of the columns of the dense input |
//! | `gate.tower.<l>` | `[batch, heads * width]` | PPNet's factors of what layer l of the towers reads |
//! | `gate.prune.<l>` | `[batch, width]` | AdaSparse's factors of what layer l reads |
//! | `gate.select` | `[batch, experts]` | AESM2's gate over the experts that are selected for the row's scenario |
//! | `gate.mix` | `[batch, heads * scenarios]` | HMoE's weight of each scenario's score |
//! | `gate.transfer0`, ... | `[batch, 2]` | AITM's weights of what the task before hands on and of the task's own |
//! | `mixed.task`, `mixed.path` | `[batch, mixtures * h]` | what those gates make of the experts |
//! | `block.transfer0.passed`, `block.transfer0.own`, ... | `[batch, h]` | what those weigh |
//!
//! Levels below the last add their name: `gate.task.level0`. Where a row goes through experts of every scenario, columns
//! run over scenarios first.

mod auxiliary;
mod bank;
mod counterfactual;
mod gate_nu;
mod generated;
mod input;
mod norm;
mod recorder;
mod select;
mod told;

use hinet_data::Layout;
use hinet_tape::{Graph, ParamSpec, Value};

pub(crate) use auxiliary::Auxiliary;
pub(crate) use bank::{Bank, Layer, Owner, Reads, Stack, blocks};
pub(crate) use counterfactual::{Counterfactual, Step};
pub(crate) use input::check_fm;
pub use input::{AttentionConfig, CrossConfig};
pub(crate) use norm::ScenarioNorm;
use recorder::Finished;
pub(crate) use recorder::Recorder;
pub(crate) use select::Selection;
pub(crate) use told::Told;

use crate::config::{ModelConfig, bad};
use crate::error::ModelError;
use crate::task::TaskOutput;

/// Which experts and heads a row goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Those of its own scenario: training, and inference for rows of known scenarios. The graph has one group per
    /// scenario; outputs have one column per task.
    Own,
    /// Its own scenario's experts and then the heads of every scenario: training with `mask_loss = false`. The graph
    /// has one group per scenario; outputs have a column per scenario and task, `scenario * tasks + task`.
    Every,
    /// The mean over scenarios of experts, and of the heads' probabilities: inference for rows of an unknown
    /// scenario. The graph has a single group; outputs have one column per task.
    Mean,
}

/// What a network says of each row, `[batch, columns]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// The logit of each probability.
    Logits(Value),
    /// Logarithms of each probability and of its complement: for mixtures and products of probabilities.
    LogProbabilities {
        /// log p
        p: Value,
        /// log (1 - p)
        not_p: Value,
    },
}

/// The layers of a model in one graph. All forms of a model ask for the same parameters in the same order.
#[derive(Clone, Debug)]
pub struct Network {
    /// The operators.
    pub graph: Graph,
    /// Which experts and heads a row goes through.
    pub form: Form,
    /// Input number 0, named `x`: the dense input `[batch, width]`, as [`Embeddings::gather`](crate::Embeddings::gather)
    /// makes it for this model. It asks for a gradient.
    pub x: Value,
    /// What the network says of each row.
    pub output: Output,
    /// Probabilities, `[batch, columns]`.
    pub scores: Value,
    /// What layers add to the loss.
    pub(crate) auxiliary: Vec<Auxiliary>,
    /// Parameters private to scenarios which rows of other scenarios train all the same (through SAN).
    pub crossing: Vec<String>,
    /// Parameters private to tasks which the losses of other tasks train all the same (through what tasks hand on).
    pub crossing_tasks: Vec<String>,
    /// Values worth a look, by name: gates, attention, experts.
    pub probes: Vec<(String, Value)>,
}

/// Inputs and result of the loss of a network; see [`LossInputs`](crate::LossInputs).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Input number 1, named `targets`: `[batch, columns]`.
    pub targets: Value,
    /// Input number 2, named `weights`: `[batch, columns]`; 0 masks.
    pub weights: Value,
    /// Weighted sum of cross-entropies: `[1, 1]`.
    pub cross_entropy: Value,
    /// What layers add to it: `[1, 1]`.
    pub auxiliary: Option<Value>,
    /// Both together.
    pub loss: Value,
}

/// Most dense parameters of a model.
const MAX_PARAMETERS: usize = 1 << 31;

impl Network {
    /// Records a model for data of this layout. The graph has one input, `x`, and no loss.
    ///
    /// # Errors
    /// [`ModelError::BadOption`] for an option that cannot be, alone or with this data.
    pub fn record(layout: &Layout, config: &ModelConfig, form: Form) -> Result<Network, ModelError> {
        config.check(layout)?;
        if form == Form::Every && !config.task.has_heads_per_scenario() {
            return Err(bad("mask_loss", "false", "true: heads are shared by all scenarios with this `task_scope`"));
        }
        if form == Form::Mean && config.tables.per_scenario() {
            return Err(bad("tables", "per scenario", "shared, for a network that takes the mean over scenarios"));
        }
        let declared = match form {
            Form::Own => Vec::new(),
            Form::Every | Form::Mean => Network::record(layout, config, Form::Own)?.graph.params().to_vec(),
        };
        let network = Network::assemble(layout, config, form, declared);
        let parameters: usize = network.graph.params().iter().map(ParamSpec::len).sum();
        if parameters > MAX_PARAMETERS {
            return Err(bad("model", format!("{parameters} dense parameters"), format!("at most {MAX_PARAMETERS}")));
        }
        Ok(network)
    }

    fn assemble(layout: &Layout, config: &ModelConfig, form: Form, declared: Vec<ParamSpec>) -> Network {
        let groups = if form == Form::Mean { 1 } else { layout.scenarios.len() };
        let mut graph = Graph::new(groups);
        let columns = config.columns(layout);
        let x = graph.input("x", columns.width(layout), true);
        for spec in declared {
            graph.parameter(spec);
        }
        let mut recorder = Recorder::new(&mut graph, layout, form);
        let input = input::record(config, &mut recorder, x);
        recorder.set_first_order(input.beside);
        recorder.set_dense(input.dense, input.places);
        recorder.set_input_per_task(columns.tables.per_task());
        let scenario = match (input.deep, input.beside) {
            (Some(deep), _) if config.task.reads_layers() => config.scenario.record(&mut recorder, deep),
            (_, Some(first_order)) => first_order,
            (deep, None) => deep.expect("features have embeddings, numbers or first-order weights"),
        };
        recorder.probe("scenario", scenario);
        let TaskOutput { output, scores, auxiliary } = config.task.record(&mut recorder, scenario);
        let recorded = recorder.loss().map(Auxiliary::Always);
        let auxiliary = auxiliary.into_iter().chain(recorded).collect();
        let Finished { crossing, crossing_tasks, probes } = recorder.finish();
        Network { graph, form, x, output, scores, auxiliary, crossing, crossing_tasks, probes }
    }

    /// Adds the loss and its two inputs. Call it once.
    pub fn add_loss(&mut self) -> Objective {
        let columns = self.columns();
        let targets = self.graph.input("targets", columns, false);
        let weights = self.graph.input("weights", columns, false);
        let cross_entropy = match self.output {
            Output::Logits(logits) => self.graph.bce_with_logits(logits, targets, weights),
            Output::LogProbabilities { p, not_p } => self.graph.nll(p, not_p, targets, weights),
        };
        let mut auxiliary = None;
        for part in &self.auxiliary {
            let part = part.record(&mut self.graph, targets, weights);
            auxiliary = Some(auxiliary.map_or(part, |sum| self.graph.add(sum, part)));
        }
        let loss = auxiliary.map_or(cross_entropy, |auxiliary| self.graph.add(cross_entropy, auxiliary));
        Objective { targets, weights, cross_entropy, auxiliary, loss }
    }

    /// Columns of the outputs: one per task, in [`Form::Every`] one per scenario and task.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.graph.shape(self.scores).width
    }

    /// A value worth a look, by name.
    #[must_use]
    pub fn probe(&self, name: &str) -> Option<Value> {
        self.probes.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}
