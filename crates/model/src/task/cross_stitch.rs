//! Cross-stitch networks (Misra et al., CVPR 2016): a column of layers for each task, and after each layer every column
//! becomes a weighted sum of all.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | x_A, x_B: what a layer of each task's column gives | `task.column` | `[batch, tasks * h]` |
//! | alpha: the cross-stitch unit | `task.stitch0`, ... | `[tasks * tasks]`, or `[tasks * tasks * h]` per unit |
//! | x~_t = sum over u of alpha_tu x_u | [`stitch`] | `[batch, tasks * h]` |
//!
//! alpha starts with .9 from a column to itself, and .1 shared out among the others. The paper has one scenario, and a unit
//! for each channel of a convolution or one for all. Here columns belong to tasks, not to tasks of scenarios, whose alpha
//! would grow with the square of their number: all scenarios share them, and part in the towers. `per_scenario`
//! gives each scenario columns and alphas of its own.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Init, Routing, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::towers;
use crate::config::{check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, Stack, blocks};

/// Cross-stitch networks. The paper's columns are convolutions; the widths here are those of an expert of `mmoe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrossStitchConfig {
    /// Who owns the towers. Columns are those of the tasks, for all scenarios; with `per_scenario` each scenario has
    /// columns of its own.
    pub task_scope: TaskScope,
    /// Widths of the layers of a column, ReLU after each, and stitches after that.
    pub column_units: Vec<usize>,
    /// Dropout after each layer of a column, before the stitches, while training.
    pub column_dropout: f64,
    /// Whether each unit of a layer has an alpha of its own. If not, all units of a column have the same.
    pub stitch_per_unit: bool,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for CrossStitchConfig {
    fn default() -> CrossStitchConfig {
        CrossStitchConfig {
            task_scope: TaskScope::ScenarioTask,
            column_units: vec![128, 64],
            column_dropout: 0.0,
            stitch_per_unit: false,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl CrossStitchConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_units("column_units", &self.column_units, 1)?;
        check_rate("column_dropout", self.column_dropout)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }
}

pub(super) fn record(config: &CrossStitchConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let columns = Columns::new(config, &heads);
    let bank = Bank::one("task.column", columns.owner).routed(columns.routing);
    let (mut x, mut reads) = (input, Reads::Everything);
    for (number, &outer) in config.column_units.iter().enumerate() {
        let layer = Layer { outer, bias: true, activation: Activation::Relu };
        x = r.linear(&bank, &number.to_string(), x, (reads, layer));
        x = r.graph.dropout(x, config.column_dropout as f32, &format!("task.column.{number}"));
        x = columns.stitch(r, number, x);
        reads = Reads::Own;
    }
    if columns.tasks > 1 {
        r.crosses_tasks("task.column.");
    }
    let x = heads.repeat(r, (x, columns.views));
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let logits = towers(r, &heads, (x, Reads::Owners), hidden);
    heads.finish(r, logits)
}

/// The columns of all tasks, once or for each view.
struct Columns {
    tasks: usize,
    views: usize,
    owner: Owner,
    routing: Routing,
    per_unit: bool,
}

impl Columns {
    fn new(config: &CrossStitchConfig, heads: &Heads) -> Columns {
        let tasks = heads.count();
        let (views, owner, routing) = match config.task_scope {
            TaskScope::PerScenario => (heads.views(), heads.owner(), heads.routing()),
            TaskScope::ScenarioTask | TaskScope::Task => (1, Owner::Task(tasks), Routing::Own),
        };
        Columns { tasks, views, owner, routing, per_unit: config.stitch_per_unit }
    }

    /// Every column as a weighted sum of all.
    ///
    /// # Shapes
    /// - `x`, returns: `[batch, views * tasks * h]`
    fn stitch(&self, r: &mut Recorder<'_>, number: usize, x: Value) -> Value {
        let (tasks, views) = (self.tasks, self.views);
        let width = r.width(x) / (views * tasks);
        let run = if self.per_unit { width } else { 1 };
        let alpha = self.alpha(r, number, run);
        if !self.per_unit {
            let outputs = (0..views * tasks).map(|column| {
                let view = column / tasks;
                blocks(x, view * tasks..(view + 1) * tasks)
            });
            return r.graph.mixture(alpha, outputs.collect(), width);
        }
        let from = |at: usize| Block::new(x, at / (tasks * tasks) * tasks + at % tasks);
        let all = r.sum_of_blocks((0..views * tasks * tasks).map(|at| vec![from(at)]).collect(), width);
        let weighted = r.graph.mul(all, alpha);
        let outputs = (0..views * tasks).map(|column| blocks(weighted, column * tasks..(column + 1) * tasks));
        r.sum_of_blocks(outputs.collect(), width)
    }

    /// Weights from (view, to, from), each `run` columns wide, `[1, ..]` or `[scenarios, ..]`.
    fn alpha(&self, r: &mut Recorder<'_>, number: usize, run: usize) -> Value {
        let tasks = self.tasks;
        let rest = 0.1 / (tasks.max(2) - 1) as f32;
        let init = Init::Diagonal { size: tasks, run, on: if tasks == 1 { 1.0 } else { 0.9 }, off: rest };
        let width = tasks * tasks * run;
        let alpha = r.numbers(&format!("task.stitch{number}"), self.owner, width, init);
        r.of_views(alpha, self.views)
    }
}
