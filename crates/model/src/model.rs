//! A model: its layers recorded into a graph, their parameters, and the embedding tables.

use std::collections::HashSet;

use hinet_data::{Layout, Seed};
use hinet_tape::{Graph, Op, Params, Routing, Rows, Source, Value};

use crate::config::bad;
use crate::{Calibration, Embeddings, Form, ModelConfig, ModelError, Network};

/// A model for data of one layout.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the data holds: the model is made for this and nothing else.
    pub layout: Layout,
    /// What was asked for.
    pub config: ModelConfig,
    /// The seed of the first draws.
    pub seed: Seed,
    /// The layers, in [`Form::Own`].
    pub network: Network,
    /// What the layers learn; the forms of a network share it.
    pub params: Params,
    /// What is learnt of each category.
    pub embeddings: Embeddings,
    /// What scores go through; checked against the layout.
    pub(crate) calibration: Option<Calibration>,
}

impl Model {
    /// A model at its start. Every parameter and every table has a stream of its own, named after it: models of the
    /// same seed start with the same tables, whatever their layers are.
    ///
    /// # Errors
    /// [`ModelError::BadOption`] for an option that cannot be, alone or with this data.
    pub fn new(layout: Layout, config: ModelConfig, seed: Seed) -> Result<Model, ModelError> {
        let network = Model::check(&layout, &config)?;
        let params = draw(&network, seed);
        let table = |table: &str| seed.stream(&format!("table {table}"), 0);
        let embeddings = Embeddings::with_columns(&layout, &config.columns(&layout), &config.embedding, table);
        Ok(Model { layout, config, seed, network, params, embeddings, calibration: None })
    }

    /// A model at its start but for its tables, which hold 0.
    pub(crate) fn without_tables(layout: Layout, config: ModelConfig, seed: Seed) -> Result<Model, ModelError> {
        let model = Model::blank(layout, config, seed)?;
        Ok(Model { params: draw(&model.network, seed), ..model })
    }

    /// A model to be filled from a file: its tables hold 0.
    pub(crate) fn blank(layout: Layout, config: ModelConfig, seed: Seed) -> Result<Model, ModelError> {
        let network = Model::check(&layout, &config)?;
        let params = Params::new(network.graph.params(), |_| 0);
        let embeddings = Embeddings::blank(&layout, &config.columns(&layout));
        Ok(Model { layout, config, seed, network, params, embeddings, calibration: None })
    }

    fn check(layout: &Layout, config: &ModelConfig) -> Result<Network, ModelError> {
        let mut names = HashSet::new();
        for table in config.columns(layout).specs(layout) {
            if table.name == "__metadata__" || names.contains(&table.name) {
                return Err(bad("table", format!("`{}`", table.name), "a name of its own other than `__metadata__`"));
            }
            names.insert(table.name);
        }
        if let Some(slot) = layout.slots.iter().find(|slot| slot.table().is_some_and(|t| t >= layout.tables.len())) {
            return Err(bad("table", format!("none for `{}`", slot.feature()), "one of the tables"));
        }
        Network::record(layout, config, Form::Own)
    }

    /// Numbers that the layers learn.
    #[must_use]
    pub fn dense_parameters(&self) -> usize {
        self.params.trainable_len()
    }

    /// Numbers in the embedding tables.
    #[must_use]
    pub fn embedding_parameters(&self) -> usize {
        self.embeddings.parameters()
    }

    /// Floating-point operations to score one row of a known scenario: two per multiply-add of products and mixtures,
    /// one per element of everything else. Training takes about three times as many.
    #[must_use]
    pub fn flops_per_row(&self) -> u64 {
        flops_per_row(&self.network)
    }
}

/// The first draws of what layers learn.
fn draw(network: &Network, seed: Seed) -> Params {
    Params::new(network.graph.params(), |name| seed.stream(&format!("parameter {name}"), 0))
}

/// Operations per row of the batch; what does not depend on the batch counts nothing, nor does what only the loss reads.
fn flops_per_row(network: &Network) -> u64 {
    let graph = &network.graph;
    let needed = needed_by(graph, network.scores);
    let nodes = graph.nodes().iter().zip(needed);
    let nodes = nodes.filter(|(node, needed)| *needed && node.shape.rows == Rows::Batch).map(|(node, _)| node);
    let flops = nodes.map(|node| match &node.op {
        Op::Linear(op) => {
            let blocks = op.experts * if op.routing == Routing::All { op.groups } else { 1 };
            let weight = graph.shape(op.weight);
            let runs = if let Source::EachRun(runs) = op.source { runs } else { 1 };
            2 * runs * blocks * weight.width * (weight.len(0) / weight.width / (op.groups * op.experts))
        }
        Op::Mixture { outputs, width } => 2 * width * outputs.iter().map(Vec::len).sum::<usize>(),
        Op::Input { .. } | Op::Parameter { .. } | Op::Constant { .. } => 0,
        Op::Concat | Op::Slice { .. } | Op::Select { .. } => 0,
        Op::StopGradient | Op::Dropout { .. } | Op::Concrete { .. } => 0,
        Op::GatherRows { .. } | Op::ScatterRows { .. } | Op::RowsOfGroup | Op::Reshape => 0,
        Op::Activate(_) | Op::Softmax { .. } | Op::Binary(_) | Op::Affine { .. } | Op::Reduce(_) => node.shape.width,
        Op::LayerNorm { .. } | Op::BatchNorm(_) | Op::BceWithLogits | Op::Nll => node.shape.width,
    });
    flops.sum::<usize>() as u64
}

/// Whether each value is needed to compute one.
fn needed_by(graph: &Graph, value: Value) -> Vec<bool> {
    let mut needed = vec![false; graph.nodes().len()];
    needed[value.index()] = true;
    // Values stand behind those they are computed from.
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        if needed[index] {
            node.inputs.iter().for_each(|input| needed[input.index()] = true);
        }
    }
    needed
}
