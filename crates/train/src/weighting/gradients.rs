//! The gradients of a batch, one objective at a time.

use std::ops::Range;

use hinet_data::Batch;
use hinet_model::{Embeddings, TableProducts};
use hinet_tape::{Gradients, Params};

use super::ObjectiveMap;

/// Gradients of each objective, and what becomes of them together. Buffers are kept from batch to batch.
pub(crate) struct ObjectiveGradients {
    /// Of the dense parameters, one per objective.
    dense: Vec<Gradients>,
    /// Of the dense input, `[rows, width]`, one per objective.
    inputs: Vec<Vec<f32>>,
    /// Where the dense parameters lie that the objectives share.
    shared: Vec<Range<usize>>,
    /// Columns of the dense input that they share; behind them are first-order weights, which each task has of its own.
    shared_columns: usize,
    share_first_order: bool,
    tables: TableProducts,
}

impl ObjectiveGradients {
    pub(crate) fn new(map: &ObjectiveMap, params: &Params, embeddings: &Embeddings) -> ObjectiveGradients {
        let ranges = params.specs().iter().filter(|spec| spec.trainable && map.share(spec.scope));
        let share_first_order = map.share_first_order();
        ObjectiveGradients {
            dense: (0..map.count()).map(|_| Gradients::new(params)).collect(),
            inputs: vec![Vec::new(); map.count()],
            shared: ranges.filter_map(|spec| params.range(&spec.name)).collect(),
            shared_columns: if share_first_order { embeddings.width() } else { embeddings.first_order_column() },
            share_first_order,
            tables: TableProducts::default(),
        }
    }

    /// Room for the gradients of one objective, all zero.
    pub(crate) fn of(&mut self, objective: usize) -> &mut Gradients {
        let gradients = &mut self.dense[objective];
        gradients.clear();
        gradients
    }

    /// Keeps the gradient of the dense input for one objective.
    pub(crate) fn keep_input(&mut self, objective: usize, gradient: &[f32]) {
        let kept = &mut self.inputs[objective];
        kept.clear();
        kept.extend_from_slice(gradient);
    }

    /// `<g_i, g_j>` over what is shared, `[objectives, objectives]`.
    pub(crate) fn products(&mut self, embeddings: &Embeddings, batch: &Batch) -> Vec<f64> {
        let count = self.dense.len();
        let mut products = vec![0.0; count * count];
        for i in 0..count {
            for j in 0..=i {
                let (a, b) = (self.dense[i].values(), self.dense[j].values());
                let of = |range: &Range<usize>| product(&a[range.clone()], &b[range.clone()]);
                products[i * count + j] = self.shared.iter().map(of).sum();
            }
        }
        // Rows of an unknown scenario stand at the end and have no gradient.
        let len = batch.rows * embeddings.width();
        self.inputs.iter_mut().for_each(|gradient| gradient.resize(len, 0.0));
        let inputs: Vec<&[f32]> = self.inputs.iter().map(Vec::as_slice).collect();
        self.tables.add((embeddings, batch), &inputs, self.share_first_order, &mut products);
        for i in 0..count {
            for j in 0..i {
                products[j * count + i] = products[i * count + j];
            }
        }
        products
    }

    /// Adds `sum_k c_k g_k` to the gradients of the parameters and of the dense input, `[rows, width]`. What an objective
    /// owns gets its own gradient, unless `all` is to be weighed.
    pub(crate) fn combine(
        &self,
        factors: &[f64],
        all: bool,
        (dense, input): (&mut Gradients, &mut [f32]),
        width: usize,
    ) {
        let dense = dense.values_mut();
        for ((own, of_input), &factor) in self.dense.iter().zip(&self.inputs).zip(factors) {
            let factor = factor as f32;
            let rest = if all { factor } else { 1.0 };
            add(dense, own.values(), rest);
            for range in self.shared.iter().filter(|_| !all) {
                add(&mut dense[range.clone()], &own.values()[range.clone()], factor - rest);
            }
            for (input, own) in input.chunks_exact_mut(width).zip(of_input.chunks_exact(width)) {
                let (shared, first_order) = input.split_at_mut(self.shared_columns);
                let (own_shared, own_first_order) = own.split_at(self.shared_columns);
                add(shared, own_shared, factor);
                add(first_order, own_first_order, rest);
            }
        }
    }
}

fn add(to: &mut [f32], from: &[f32], factor: f32) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

/// Summed in double precision over runs that fit one register each.
fn product(a: &[f32], b: &[f32]) -> f64 {
    let run = |(a, b): (&[f32], &[f32])| f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
    a.chunks(64).zip(b.chunks(64)).map(run).sum()
}
