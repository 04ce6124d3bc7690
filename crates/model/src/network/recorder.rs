//! What a layer records into.

use hinet_data::Layout;
use hinet_tape::{Block, Graph, Init, ParamSpec, Routing, Scope, Value};

use super::{Form, blocks};

/// The graph of a network in the making, and what layers need to know while they record.
pub(crate) struct Recorder<'a> {
    pub(crate) graph: &'a mut Graph,
    layout: &'a Layout,
    form: Form,
    dense: Option<Value>,
    first_order: Option<Value>,
    input_per_task: bool,
    loss: Option<Value>,
    crossing: Vec<String>,
    probes: Vec<(String, Value)>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(graph: &'a mut Graph, layout: &'a Layout, form: Form) -> Recorder<'a> {
        Recorder {
            graph,
            layout,
            form,
            dense: None,
            first_order: None,
            input_per_task: false,
            loss: None,
            crossing: Vec::new(),
            probes: Vec::new(),
        }
    }

    /// Names of parameters that cross scenarios, and the probes.
    pub(super) fn finish(self) -> (Vec<String>, Vec<(String, Value)>) {
        let crossing = self.graph.params().iter().map(|spec| spec.name.clone());
        let crossing = crossing.filter(|name| self.crossing.iter().any(|prefix| name.starts_with(prefix)));
        (crossing.collect(), self.probes)
    }

    pub(super) fn set_dense(&mut self, dense: Option<Value>) {
        self.dense = dense;
    }

    /// The columns of some features in the dense input, as layers read it; for layers that read no input per task.
    pub(crate) fn columns_of(&mut self, features: &[String]) -> Vec<Value> {
        let Some(dense) = self.dense else { return Vec::new() };
        let (layout, mut start, mut columns) = (self.layout, 0, Vec::new());
        for slot in &layout.slots {
            let width = layout.slot_width(slot);
            if features.iter().any(|feature| feature == slot.feature()) {
                columns.push(self.graph.slice(dense, start, width));
            }
            start += width;
        }
        columns
    }

    /// First-order terms of each task's logit, `[batch, tasks]`.
    pub(crate) fn first_order(&self) -> Option<Value> {
        self.first_order
    }

    pub(super) fn set_first_order(&mut self, first_order: Option<Value>) {
        self.first_order = first_order;
    }

    /// Whether the dense input has a run of columns for each task.
    pub(crate) fn input_per_task(&self) -> bool {
        self.input_per_task
    }

    pub(super) fn set_input_per_task(&mut self, input_per_task: bool) {
        self.input_per_task = input_per_task;
    }

    pub(crate) fn layout(&self) -> &'a Layout {
        self.layout
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(crate) fn scenarios(&self) -> usize {
        self.layout.scenarios.len()
    }

    pub(crate) fn tasks(&self) -> usize {
        self.layout.tasks.len()
    }

    pub(crate) fn width(&self, value: Value) -> usize {
        self.graph.shape(value).width
    }

    /// Which of the blocks private to scenarios a row goes through in the scenario layer.
    pub(crate) fn routing(&self) -> Routing {
        match self.form {
            Form::Own | Form::Every => Routing::Own,
            Form::Mean => Routing::All,
        }
    }

    /// Keeps a value to be looked at.
    pub(crate) fn probe(&mut self, name: &str, value: Value) {
        self.probes.push((name.to_owned(), value));
    }

    /// Declares that rows of other scenarios train the parameters of this prefix, though a scenario owns them.
    pub(crate) fn crosses_scenarios(&mut self, prefix: &str) {
        self.crossing.push(prefix.to_owned());
    }

    /// Adds a term to the loss, so many times what it says: `[1, 1]`. What is for inference alone has none.
    pub(crate) fn adds_to_loss(&mut self, term: Value, weight: f32) {
        if self.form == Form::Mean {
            return;
        }
        let term = self.graph.affine(term, weight, 0.0);
        self.loss = Some(self.loss.map_or(term, |loss| self.graph.add(loss, term)));
    }

    /// What layers add to the loss.
    pub(super) fn loss(&self) -> Option<Value> {
        self.loss
    }

    pub(crate) fn parameter(&mut self, name: &str, dims: Vec<usize>, init: Init, scope: Scope) -> Value {
        self.graph.parameter(ParamSpec { name: name.to_owned(), dims, init, scope, trainable: true })
    }

    /// Sums of blocks of one width: `[batch, outputs * width]`.
    pub(crate) fn sum_of_blocks(&mut self, outputs: Vec<Vec<Block>>, width: usize) -> Value {
        let count = outputs.iter().map(Vec::len).sum();
        let ones = self.graph.constant(1, count, vec![1.0; count]);
        self.graph.mixture(ones, outputs, width)
    }

    /// Mean of `count` runs of columns that make up `value`.
    pub(crate) fn mean_of_blocks(&mut self, value: Value, count: usize) -> Value {
        let width = self.width(value) / count;
        let gate = self.graph.constant(1, count, vec![1.0 / count as f32; count]);
        self.graph.mixture(gate, vec![blocks(value, 0..count)], width)
    }
}
