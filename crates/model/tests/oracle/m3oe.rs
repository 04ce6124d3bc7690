//! M3oE, section 4.14 of the specification.

use hinet_model::M3oeConfig;

use super::{Oracle, mean, mix, relu, sigmoid, softmax};

impl Oracle<'_> {
    pub(super) fn star_transform(&self, x: &[f64], own: usize) -> Vec<f64> {
        let of = |name: &str| self.get(&format!("scenario.{name}"));
        let width = of("skip.bias").len();
        let (shared, skip) = (of("centre.transform.weight"), of("skip.weight"));
        let scenario = &of("star.transform.weight")[own * x.len() * width..];
        let out = |o: usize| {
            let product = |i: usize| x[i] * (shared[i * width + o] * scenario[i * width + o] + skip[i * width + o]);
            let biases =
                of("centre.transform.bias")[o] + of("star.transform.bias")[own * width + o] + of("skip.bias")[o];
            biases + (0..x.len()).map(product).sum::<f64>()
        };
        (0..width).map(out).collect()
    }

    pub(super) fn m3oe(&self, config: &M3oeConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let of = |name: &str, count: usize| -> Vec<Vec<f64>> {
            (0..count).map(|k| self.normed(&format!("task.{name}"), k, c, &config.expert_units)).collect()
        };
        let shared = of("expert", config.experts);
        let (scenarios, tasks) = (of("scenario_expert", self.scenarios), of("task_expert", heads.len()));
        let scalar = |name: &str| sigmoid(self.get(&format!("task.balance.{name}"))[0]);
        let balanced = |name: &str, all: &[Vec<f64>], own: usize| {
            if all.len() == 1 {
                return all[0].clone();
            }
            let (kept, share) = (scalar(name), 1.0 / (all.len() as f64 - 1.0));
            let weight = |k: usize| if k == own { kept } else { (1.0 - kept) * share };
            mix(&(0..all.len()).map(weight).collect::<Vec<_>>(), all)
        };
        let scenario = balanced("scenario_own", &scenarios, view);
        let logits = (0..heads.len()).map(|head| {
            let block = view * heads.len() + head;
            let gate = softmax(&self.dense("task.gate", (block, 0, 1), c, config.experts));
            let task = balanced("task_own", &tasks, head);
            let parts = [mix(&gate, &shared), scenario.clone(), task];
            self.logit(block, &mix(&[1.0, scalar("scenario"), scalar("task")], &parts), &config.tower_units)
        });
        self.probabilities(&config.product, &heads, (&logits.collect::<Vec<_>>(), first))
    }

    /// Linear layers, a layer norm and ReLU after each.
    fn normed(&self, name: &str, block: usize, x: &[f64], units: &[usize]) -> Vec<f64> {
        units.iter().enumerate().fold(x.to_vec(), |h, (number, &width)| {
            let h = self.dense(&format!("{name}.{number}"), (block, 0, 1), &h, width);
            let center = mean(h.iter().copied());
            let deviation = (mean(h.iter().map(|h| (h - center).powi(2))) + 1e-5).sqrt();
            let of = |what: &str, c: usize| self.get(&format!("{name}.{number}.norm.{what}"))[block * width + c];
            let normal = h.iter().enumerate().map(|(c, h)| (h - center) / deviation * of("gain", c) + of("bias", c));
            relu(normal.collect())
        })
    }
}
