//! Normalisation of each scenario's rows by statistics of their own (STAR, HAMUR). In training the statistics are those of the
//! scenario's rows in the batch, and move the saved ones; a scenario with fewer than two rows in the batch is normalised by the
//! saved ones. Inference uses the saved ones, so that a row's score never depends on its neighbours.

use hinet_tape::{Activation, BatchNormOp, Init, ParamSpec, Scope, Statistics, Value};

use super::{Recorder, Told};

/// Added to a variance.
const EPSILON: f32 = 1e-5;

/// What normalises the rows of each scenario, `[scenarios, width]` each.
#[derive(Clone, Copy)]
pub(crate) struct ScenarioNorm {
    pub(crate) gain: Value,
    pub(crate) bias: Value,
    pub(crate) mean: Value,
    pub(crate) variance: Value,
    /// Weight of a new batch in the saved statistics.
    pub(crate) momentum: f32,
}

impl Recorder<'_> {
    /// Parameters `<name>.mean` and `<name>.variance`, which training moves and no gradient does.
    pub(crate) fn statistics_of_scenarios(&mut self, name: &str, width: usize) -> (Value, Value) {
        let scenarios = self.scenarios();
        let mut still = |what: &str, init: Init| {
            let (name, dims) = (format!("{name}.{what}"), vec![scenarios, width]);
            self.graph.parameter(ParamSpec { name, dims, init, scope: Scope::PerScenario, trainable: false })
        };
        (still("mean", Init::Zeros), still("variance", Init::Ones))
    }

    /// `gain (x - mean) / sqrt(variance + eps) + bias` by those of the scenario that rows are told.
    ///
    /// # Shapes
    /// - `x`: `[batch, width]`
    /// - returns: the same
    pub(crate) fn normalised(&mut self, norm: ScenarioNorm, x: Value, told: Told) -> Value {
        if told == Told::Own {
            let ScenarioNorm { mean, variance, momentum, .. } = norm;
            let (gain, bias) = (Some(norm.gain), Some(norm.bias));
            let statistics = Statistics::Moving { momentum };
            let op = BatchNormOp { gain, bias, mean, variance, statistics, per_group: true, epsilon: EPSILON };
            return self.graph.batch_norm(x, op);
        }
        let (factor, offset) = self.factor_and_offset(norm);
        let (factor, offset) = (self.told(factor, told), self.told(offset, told));
        let scaled = self.graph.mul(x, factor);
        self.graph.add(scaled, offset)
    }

    /// By the saved statistics a normalisation is `factor x + offset`, which do not depend on the row: `[scenarios, width]`.
    pub(crate) fn factor_and_offset(&mut self, norm: ScenarioNorm) -> (Value, Value) {
        let graph = &mut *self.graph;
        let variance = graph.affine(norm.variance, 1.0, EPSILON);
        let log_deviation = graph.activate(variance, Activation::Log);
        let log_deviation = graph.affine(log_deviation, 0.5, 0.0);
        let deviation = graph.activate(log_deviation, Activation::Exp);
        let factor = graph.div(norm.gain, deviation);
        let moved = graph.mul(factor, norm.mean);
        (factor, graph.sub(norm.bias, moved))
    }
}
