//! The backward pass of a step whose objectives are weighed.

use hinet_data::{Batch, Seed};
use hinet_model::{CellLosses, LossInputs, Model, Network, Objective};
use hinet_tape::{Feed, Gradients, Tape};

use super::{ObjectiveGradients, ObjectiveMap, Seen, Weigher, WeightingConfig};

/// Weighs objectives, batch by batch.
pub(crate) struct Weighted {
    pub(crate) weigher: Weigher,
    /// For kinds that look at gradients.
    gradients: Option<ObjectiveGradients>,
    /// `[rows, columns]`: those of the loss, times factors.
    weights: Vec<f32>,
    /// The gradient of the dense input, `[rows, width]`.
    input: Vec<f32>,
}

/// A batch after the forward pass.
pub(crate) struct Forwarded<'a> {
    pub(crate) model: &'a Model,
    pub(crate) network: &'a Network,
    pub(crate) objective: &'a Objective,
    pub(crate) batch: &'a Batch,
    pub(crate) feed: Feed<'a>,
    /// Losses of the cells over the batch, and what a row counts in each.
    pub(crate) cells: &'a CellLosses,
    pub(crate) loss_inputs: &'a LossInputs,
    pub(crate) seed: Seed,
}

/// The backward pass, weighed or not: gradients of the parameters into `gradients`; returns that of the dense input.
pub(crate) fn backward<'t>(
    weighted: Option<&'t mut Weighted>,
    pass: &Forwarded<'_>,
    tape: &'t mut Tape,
    gradients: &mut Gradients,
) -> &'t [f32] {
    gradients.clear();
    if let Some(weighted) = weighted {
        return weighted.backward(pass, tape, gradients);
    }
    tape.backward(&pass.model.params, &pass.feed, &[(pass.objective.loss, 1.0)], gradients);
    tape.input_gradient(pass.network.x)
}

impl Weighted {
    /// None where there is nothing to weigh by.
    pub(crate) fn new(config: &WeightingConfig, model: &Model) -> Option<Weighted> {
        let map = ObjectiveMap::new(config.objectives, &model.layout);
        let own = || ObjectiveGradients::new(&map, &model.params, &model.embeddings);
        let gradients = config.kind.reads_gradients().then(own);
        let weigher = Weigher::new(config, map)?;
        Some(Weighted { weigher, gradients, weights: Vec::new(), input: Vec::new() })
    }

    /// The loss of each objective over a batch, as the step counts it; `None` without an observed label.
    pub(crate) fn losses(&self, cells: &CellLosses, inputs: &LossInputs, batch: &Batch) -> Vec<Option<f64>> {
        let map = &self.weigher.map;
        let mut sums = vec![(0.0, 0.0); map.count()];
        let tasks = inputs.columns();
        for (scenario, task) in (0..inputs.scenarios()).flat_map(|s| (0..tasks).map(move |task| (s, task))) {
            let (sum, weight) = cells.sum(scenario, task);
            let of = &mut sums[map.of(scenario, task)];
            *of = (of.0 + inputs.cell_weight(scenario, task) * sum, of.1 + weight);
        }
        sums.into_iter().map(|(sum, weight)| (weight > 0.0).then(|| sum / batch.rows as f64)).collect()
    }

    /// Gradients of the weighed loss, of the parameters into `gradients` and of the dense input, which it returns. What layers
    /// add to the loss is not weighed.
    fn backward(&mut self, pass: &Forwarded<'_>, tape: &mut Tape, gradients: &mut Gradients) -> &[f32] {
        let losses = self.losses(pass.cells, pass.loss_inputs, pass.batch);
        self.input.clear();
        if let Some(auxiliary) = pass.objective.auxiliary {
            tape.backward(&pass.model.params, &pass.feed, &[(auxiliary, 1.0)], gradients);
            self.input.extend_from_slice(tape.input_gradient(pass.network.x));
        }
        let width = pass.model.embeddings.width();
        self.input.resize(pass.batch.rows * width, 0.0);
        match self.gradients.take() {
            None => {
                let seen = Seen { losses, products: Vec::new() };
                let factors = self.weigher.factors(&seen, pass.seed);
                self.backward_by(pass, |k| factors[k] as f32, tape, gradients);
                let gradient = tape.input_gradient(pass.network.x);
                self.input.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
            }
            Some(mut own) => {
                self.take_each((pass, &losses), tape, &mut own);
                let products = own.products(&pass.model.embeddings, pass.batch);
                let factors = self.weigher.factors(&Seen { losses, products }, pass.seed);
                let all = !self.weigher.kind().combines_gradients();
                own.combine(&factors, all, (gradients, &mut self.input), width);
                self.gradients = Some(own);
            }
        }
        &self.input
    }

    /// The gradient of each objective by itself.
    fn take_each(
        &mut self,
        (pass, losses): (&Forwarded<'_>, &[Option<f64>]),
        tape: &mut Tape,
        own: &mut ObjectiveGradients,
    ) {
        for (objective, loss) in losses.iter().enumerate() {
            let gradients = own.of(objective);
            if loss.is_none() {
                own.keep_input(objective, &[]);
                continue;
            }
            self.backward_by(pass, |k| if k == objective { 1.0 } else { 0.0 }, tape, gradients);
            own.keep_input(objective, tape.input_gradient(pass.network.x));
        }
    }

    /// The backward pass of the cross-entropies, with these factors of the objectives.
    fn backward_by(
        &mut self,
        pass: &Forwarded<'_>,
        factor: impl Fn(usize) -> f32,
        tape: &mut Tape,
        gradients: &mut Gradients,
    ) {
        self.weigh(pass, factor);
        let inputs = [pass.feed.inputs[0], pass.feed.inputs[1], &self.weights];
        let feed = Feed { inputs: &inputs, ..pass.feed };
        tape.backward(&pass.model.params, &feed, &[(pass.objective.cross_entropy, 1.0)], gradients);
    }

    /// The weights of the loss, times the factor of each row's and task's objective.
    fn weigh(&mut self, pass: &Forwarded<'_>, factor: impl Fn(usize) -> f32) {
        let weights = pass.feed.inputs[2];
        let tasks = pass.network.columns();
        self.weights.clear();
        self.weights.reserve(weights.len());
        for (scenario, rows) in pass.feed.offsets.windows(2).enumerate() {
            let factors: Vec<f32> = (0..tasks).map(|task| factor(self.weigher.map.of(scenario, task))).collect();
            for row in weights[rows[0] * tasks..rows[1] * tasks].chunks_exact(tasks) {
                self.weights.extend(row.iter().zip(&factors).map(|(weight, factor)| weight * factor));
            }
        }
    }
}
