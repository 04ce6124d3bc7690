//! What a layer records into.

use std::ops::Range;

use hinet_data::{Layout, Slot};
use hinet_tape::{Block, Graph, Init, LinearOp, ParamSpec, Routing, Scope, Source, Value};

use super::{Form, blocks};

/// The graph of a network in the making, and what layers need to know while they record.
pub(crate) struct Recorder<'a> {
    pub(crate) graph: &'a mut Graph,
    layout: &'a Layout,
    form: Form,
    dense: Option<Value>,
    places: Vec<Range<usize>>,
    first_order: Option<Value>,
    input_per_task: bool,
    loss: Option<Value>,
    crossing: Vec<String>,
    crossing_tasks: Vec<String>,
    probes: Vec<(String, Value)>,
}

/// What layers said of their parameters and values.
pub(super) struct Finished {
    /// Names of parameters that cross scenarios.
    pub(super) crossing: Vec<String>,
    /// Names of parameters that cross tasks.
    pub(super) crossing_tasks: Vec<String>,
    pub(super) probes: Vec<(String, Value)>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(graph: &'a mut Graph, layout: &'a Layout, form: Form) -> Recorder<'a> {
        Recorder {
            graph,
            layout,
            form,
            dense: None,
            places: Vec::new(),
            first_order: None,
            input_per_task: false,
            loss: None,
            crossing: Vec::new(),
            crossing_tasks: Vec::new(),
            probes: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Finished {
        let named = |prefixes: &[String], owns: fn(Scope) -> bool| {
            let owned = self.graph.params().iter().filter(|spec| owns(spec.scope));
            let names = owned.map(|spec| spec.name.clone());
            names.filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).collect()
        };
        Finished {
            crossing: named(&self.crossing, Scope::is_per_scenario),
            crossing_tasks: named(&self.crossing_tasks, Scope::is_per_task),
            probes: self.probes,
        }
    }

    /// The dense input as it was before cross layers, and the columns of each slot in it.
    pub(super) fn set_dense(&mut self, dense: Option<Value>, places: Vec<Range<usize>>) {
        self.dense = dense;
        self.places = places;
    }

    /// The columns of some features in the dense input, as layers read it; for layers that read no input per task.
    pub(crate) fn columns_of(&mut self, features: &[String]) -> Vec<Value> {
        let Some(dense) = self.dense else { return Vec::new() };
        let named = |slot: &Slot| features.iter().any(|feature| feature == slot.feature());
        let places = self.layout.slots.iter().zip(&self.places).filter(|(slot, _)| named(slot));
        places.map(|(_, columns)| self.graph.slice(dense, columns.start, columns.len())).collect()
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

    /// Declares that rows of other scenarios train those parameters of this prefix that a scenario owns.
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

    /// Declares that losses of other tasks train those parameters of this prefix that a task owns.
    pub(crate) fn crosses_tasks(&mut self, prefix: &str) {
        self.crossing_tasks.push(prefix.to_owned());
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

    /// For each of `views`, the columns of all parts side by side.
    ///
    /// # Shapes
    /// - `parts`: `[batch, views * width]` each, of any widths
    /// - returns: `[batch, views * sum of the widths]`
    pub(crate) fn interleave(&mut self, parts: &[Value], views: usize) -> Value {
        if views == 1 {
            return self.graph.concat(parts);
        }
        let of_view = |view: usize| parts.iter().map(move |&part| (view, part));
        let slices: Vec<(usize, Value)> = (0..views).flat_map(of_view).collect();
        let slices: Vec<Value> = slices
            .into_iter()
            .map(|(view, part)| {
                let width = self.width(part) / views;
                self.graph.slice(part, view * width, width)
            })
            .collect();
        self.graph.concat(&slices)
    }

    /// Scaled dot products of the runs of columns that make up a and b: `a . b / sqrt(width of a run)`.
    ///
    /// # Shapes
    /// - `a`, `b`: `[batch, runs * width]`
    /// - returns: `[batch, runs]`
    pub(crate) fn scaled_products(&mut self, a: Value, b: Value, runs: usize) -> Value {
        let products = self.graph.mul(a, b);
        let columns = self.width(products);
        let scale = 1.0 / ((columns / runs) as f32).sqrt();
        // The sum over each run of columns, as a product with a column of equal numbers per run.
        let weight = self.graph.constant(columns, 1, vec![scale; columns]);
        self.graph.linear(products, LinearOp { experts: runs, source: Source::PerExpert, ..LinearOp::plain(weight) })
    }

    /// A table of what each scenario owns, as values with `views` views read it: as it is, where a row finds that of its
    /// own scenario, or the rows of all side by side.
    ///
    /// # Shapes
    /// - `table`: `[scenarios, width]`, or `[1, width]` where all share it and there is one view
    /// - returns: the same, or `[1, views * width]`
    pub(crate) fn of_views(&mut self, table: Value, views: usize) -> Value {
        if views == 1 {
            return table;
        }
        let rows: Vec<Value> = (0..views).map(|view| self.row(table, views, view)).collect();
        self.graph.concat(&rows)
    }

    /// One row of a table, `[1, width]`.
    pub(crate) fn row(&mut self, table: Value, rows: usize, row: usize) -> Value {
        let one = (0..rows).map(|other| f32::from(u8::from(other == row))).collect();
        let one = self.graph.constant(1, rows, one);
        self.graph.linear(one, LinearOp::plain(table))
    }
}
