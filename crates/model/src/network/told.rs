//! What a layer that is told the scenario knows of it. A row of a known scenario is told its own. A row of an unknown one
//! is told each in turn, and what the layer makes of it then is averaged, as experts and heads of scenarios are.

use hinet_tape::{Block, Init, LinearOp, Scope, Value};

use super::{Form, Recorder};

/// Which scenario a row is told to be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Its own.
    Own,
    /// This one, whatever the row.
    Of(usize),
}

impl Recorder<'_> {
    /// What rows are told: once their own scenario, or in [`Form::Mean`] each scenario in turn.
    pub(crate) fn tellings(&self) -> Vec<Told> {
        match self.form() {
            Form::Own | Form::Every => vec![Told::Own],
            Form::Mean => (0..self.scenarios()).map(Told::Of).collect(),
        }
    }

    /// Of a table with a row per scenario what rows are told: it can be added to, or multiplied with, rows of a batch.
    ///
    /// # Shapes
    /// - `table`: `[scenarios, width]`
    /// - returns: the same, which broadcasts by the rows' own scenarios, or `[1, width]`
    pub(crate) fn told(&mut self, table: Value, told: Told) -> Value {
        let Told::Of(scenario) = told else { return table };
        self.row_of((table, self.scenarios()), scenario, 1)
    }

    /// One row of a table of `count` rows, so many times below itself: `[times, width]`.
    pub(crate) fn row_of(&mut self, (table, count): (Value, usize), row: usize, times: usize) -> Value {
        let one = (0..times * count).map(|at| f32::from(u8::from(at % count == row))).collect();
        let one = self.graph.constant(times, count, one);
        self.graph.linear(one, LinearOp::plain(table))
    }

    /// The mean over [`Recorder::tellings`] of what `make` records for each.
    pub(crate) fn mean_over_scenarios(&mut self, mut make: impl FnMut(&mut Self, Told) -> Value) -> Value {
        let made: Vec<Value> = self.tellings().into_iter().map(|told| make(self, told)).collect();
        self.mean_of(&made)
    }

    /// The mean of values of one shape.
    pub(crate) fn mean_of(&mut self, made: &[Value]) -> Value {
        if let [single] = made {
            return *single;
        }
        let (count, width) = (made.len(), self.width(made[0]));
        let gate = self.graph.constant(1, count, vec![1.0 / count as f32; count]);
        self.graph.mixture(gate, vec![made.iter().map(|&value| Block::new(value, 0)).collect()], width)
    }

    /// A learnt vector for each scenario, of length about 1: `[scenarios, dim]`.
    pub(crate) fn scenario_embedding(&mut self, name: &str, dim: usize) -> Value {
        let init = Init::TruncatedNormal { std: 1.0 / (dim as f32).sqrt() };
        self.parameter(&format!("{name}.embedding"), vec![self.scenarios(), dim], init, Scope::PerScenario)
    }
}
