//! What stands between the features and the layers: sequences, norms, cross layers, terms of first and second order.
//!
//! Columns of x: an id, two lists of ids pooled, numbers (all once, or once per task); or an id, numbers, then the items of the
//! lists one by one and whether there are any. First-order weights come last.

use hinet_model::{AttentionConfig, InputNorm, TaskLayerConfig};

use super::{Oracle, mean, relu, softmax};

/// Features with ids.
const WITH_IDS: usize = 3;
/// Items of a sequence.
const LENGTH: usize = 3;

impl Oracle<'_> {
    /// What layers read, and the terms of each task's logit that stand beside them.
    pub(super) fn input(&self, x: &[f64], own: usize) -> (Vec<f64>, Vec<f64>) {
        let tasks = self.tasks.len();
        let linear = matches!(self.config.task, TaskLayerConfig::Linear(_));
        let first_order = linear || self.config.first_order;
        let (x, of_ids) = x.split_at(x.len() - if first_order { WITH_IDS * tasks } else { 0 });
        let raw = self.with_sequences(x, own);
        let dense = self.normalise(&raw, own);
        let (copies, owner) = (self.copies(), if self.config.tables.per_scenario() { own } else { 0 });
        let width = dense.len() / copies;
        // With a sequence read item by item the lists stand behind the numbers.
        let pooled = self.config.sequence.is_empty();
        let numbers = match (linear, pooled) {
            (true, _) => 0..width,
            (false, true) => WITH_IDS..width,
            (false, false) => 1..width - 2,
        };
        let beside = (0..tasks).map(|task| {
            let copy = if copies == 1 { 0 } else { task };
            let own_numbers = &dense[copy * width..][numbers.clone()];
            let mut term = 0.0;
            if first_order {
                let weights = self.get("first_order.numbers.weight");
                let weights = &weights[(owner * tasks + task) * numbers.len()..][..numbers.len()];
                term += weights.iter().zip(own_numbers).map(|(weight, x)| weight * x).sum::<f64>();
                term += (0..WITH_IDS).map(|feature| of_ids[feature * tasks + task]).sum::<f64>();
            }
            if self.config.fm {
                let own_raw = &raw[copy * width..][..width];
                let fields = (0..width).filter(|column| !numbers.contains(column)).map(|column| own_raw[column]);
                term += self.pairs(&fields.collect::<Vec<_>>(), own_numbers, (owner, copy, task));
            }
            term
        });
        let beside = beside.collect();
        (self.crossed(&dense, owner), beside)
    }

    /// Products of all pairs, where embeddings have one column: a sum over pairs, not by way of squares.
    fn pairs(&self, fields: &[f64], numbers: &[f64], (owner, copy, task): (usize, usize, usize)) -> f64 {
        let vectors = self.get("input.fm.numbers.weight");
        let vectors = &vectors[(owner * self.copies() + copy) * numbers.len()..][..numbers.len()];
        let all: Vec<f64> =
            fields.iter().copied().chain(numbers.iter().zip(vectors).map(|(number, vector)| number * vector)).collect();
        let pairs = (0..all.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
        let weight = self.get("input.fm.pairs.weight")[owner * self.tasks.len() + task];
        // Numbers meet the factor of their own vector twice in the square, and it is taken away again.
        weight * pairs.map(|(i, j)| all[i] * all[j]).sum::<f64>()
    }

    /// `x_0 (W x + b) + x`, layer after layer, within each copy.
    fn crossed(&self, dense: &[f64], owner: usize) -> Vec<f64> {
        let copies = self.copies();
        let width = dense.len() / copies;
        let mut all = Vec::new();
        for (copy, start) in dense.chunks_exact(width).enumerate() {
            let mut x = start.to_vec();
            for layer in 0..self.config.cross.layers {
                let block = owner * copies + copy;
                let y = match self.config.cross.rank {
                    None => self.dense(&format!("input.cross.{layer}"), (block, 0, 1), &x, width),
                    Some(rank) => {
                        let low = self.dense(&format!("input.cross.{layer}.down"), (block, 0, 1), &x, rank);
                        self.dense(&format!("input.cross.{layer}.up"), (block, 0, 1), &low, width)
                    }
                };
                x = x.iter().zip(start).zip(y).map(|((x, start), y)| start * y + x).collect();
            }
            all.extend(x);
        }
        all
    }

    /// A row in which each list of a sequence is one embedding of one column.
    fn with_sequences(&self, x: &[f64], own: usize) -> Vec<f64> {
        let [attention] = &self.config.sequence[..] else { return x.to_vec() };
        let (whole, items) = x.split_at(x.len() - 3 * LENGTH);
        let lists = [&items[..LENGTH], &items[LENGTH..2 * LENGTH]];
        let count = items[2 * LENGTH..].iter().filter(|present| **present == 1.0).count();
        let weights = self.attention(attention, (whole, lists), count, own);
        let pooled = lists.map(|list| list.iter().zip(&weights).map(|(item, weight)| item * weight).sum());
        whole.iter().copied().chain(pooled).collect()
    }

    /// What each item weighs. Targets are the id, for both lists.
    fn attention(
        &self,
        attention: &AttentionConfig,
        (whole, lists): (&[f64], [&[f64]; 2]),
        count: usize,
        own: usize,
    ) -> Vec<f64> {
        let block = if self.config.tables.per_scenario() { own } else { 0 };
        let name = format!("input.{}", attention.feature);
        let targeted = !attention.target.is_empty();
        let softmaxed = attention.softmax.unwrap_or(!targeted);
        let activate = |h: Vec<f64>| if targeted { relu(h) } else { h.into_iter().map(f64::tanh).collect() };
        let scores = (0..count).map(|item| {
            let outer = attention.units[0];
            let of_target = |x: &[f64]| self.dense(&format!("{name}.target"), (block, 0, 1), x, outer);
            let mut h = if targeted { of_target(&[whole[0], whole[0]]) } else { vec![0.0; outer] };
            for (list, items) in lists.iter().enumerate() {
                let keys = format!("{name}.keys.{list}");
                let of_key = self.dense(&keys, (block, 0, 1), &items[item..=item], outer);
                h.iter_mut().zip(of_key).for_each(|(h, y)| *h += y);
                if targeted {
                    let product = [items[item] * whole[0]];
                    let of_product = self.dense(&format!("{name}.products.{list}"), (block, 0, 1), &product, outer);
                    h.iter_mut().zip(of_product).for_each(|(h, y)| *h += y);
                }
            }
            let mut h = activate(h);
            for (layer, &outer) in attention.units.iter().enumerate().skip(1) {
                h = activate(self.dense(&format!("{name}.{layer}"), (block, 0, 1), &h, outer));
            }
            self.dense(&format!("{name}.weight"), (block, 0, 1), &h, 1)[0]
        });
        let scores: Vec<f64> = scores.collect();
        if softmaxed && !scores.is_empty() { softmax(&scores) } else { scores }
    }

    /// How many times embeddings and numbers stand side by side.
    pub(super) fn copies(&self) -> usize {
        if self.config.tables.per_task() { self.tasks.len() } else { 1 }
    }

    fn normalise(&self, x: &[f64], own: usize) -> Vec<f64> {
        let width = x.len() / self.copies();
        let owner = if self.config.tables.per_scenario() { own } else { 0 };
        let of = |name: &str, c: usize| self.get(&format!("input_norm.{name}"))[owner * x.len() + c];
        let saved = |c: usize, epsilon: f64| (x[c] - of("mean", c)) / (of("variance", c) + epsilon).sqrt();
        let normal = |c: usize| match self.config.input_norm {
            InputNorm::None | InputNorm::LayerNorm => {
                let row = x[c / width * width..][..width].iter().copied();
                let center = mean(row.clone());
                (x[c] - center) / (mean(row.map(|x| (x - center).powi(2))) + 1e-5).sqrt()
            }
            InputNorm::BatchNorm => saved(c, 1e-5),
            InputNorm::FrozenAffine => saved(c, 1e-3),
        };
        if self.config.input_norm == InputNorm::None {
            return x.to_vec();
        }
        (0..x.len()).map(|c| normal(c) * of("gain", c) + of("bias", c)).collect()
    }
}
