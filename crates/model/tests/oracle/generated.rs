//! Layers whose weights are made of what is known of the scenario, or of the row: M2M, APG, HAMUR; sections 4.9, 4.13 and 4.15
//! of the specification.

use hinet_model::{ApgCondition, ApgConfig, Backbone, HamurConfig, M2mConfig};

use super::{Oracle, mix, relu, sigmoid, softmax};

impl Oracle<'_> {
    pub(super) fn embedding(&self, name: &str, own: usize) -> Vec<f64> {
        let all = self.get(name);
        let dim = all.len() / self.scenarios;
        all[own * dim..(own + 1) * dim].to_vec()
    }

    /// `x W + b` with W, and where there is one b, made of what is known.
    fn meta(&self, name: &str, known: &[f64], x: &[f64], outer: usize) -> Vec<f64> {
        let weight = self.dense(&format!("{name}.weight"), (0, 0, 1), known, x.len() * outer);
        let bias = match self.params.contains_key(&format!("{name}.bias.weight")) {
            true => self.dense(&format!("{name}.bias"), (0, 0, 1), known, outer),
            false => vec![0.0; outer],
        };
        (0..outer).map(|o| bias[o] + (0..x.len()).map(|i| x[i] * weight[i * outer + o]).sum::<f64>()).collect()
    }

    pub(super) fn m2m(&self, config: &M2mConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let embedding = self.embedding("task.known.embedding", view);
        let known = self.mlp("task.known", ((0, 0, 1), 0), &embedding, &config.m2m_known_units);
        let experts: Vec<Vec<f64>> =
            (0..config.experts).map(|k| self.mlp("task.expert", ((k, 0, 1), k), c, &config.expert_units)).collect();
        let tasks = self.get("task.attention.embedding");
        let logits = (0..heads.len()).map(|head| {
            let task = &tasks[head * config.m2m_task_dim..(head + 1) * config.m2m_task_dim];
            let score = |expert: &Vec<f64>| {
                let outer = config.m2m_attention_units[0];
                let of_expert = self.meta("task.attention.0", &known, expert, outer);
                let of_task = self.meta("task.attention.task", &known, task, outer);
                let mut h = relu(of_expert.iter().zip(of_task).map(|(expert, task)| expert + task).collect());
                for (number, &outer) in config.m2m_attention_units.iter().enumerate().skip(1) {
                    h = relu(self.meta(&format!("task.attention.{number}"), &known, &h, outer));
                }
                self.dense("task.attention.score", (0, 0, 1), &h, 1)[0]
            };
            let mut h = mix(&softmax(&experts.iter().map(score).collect::<Vec<_>>()), &experts);
            for number in 0..config.m2m_tower_layers {
                let meta = self.meta(&format!("task.meta.{number}"), &known, &h, h.len());
                h = relu(meta.iter().zip(&h).map(|(meta, h)| meta + h).collect());
            }
            self.logit(head, &h, &config.tower_units)
        });
        self.probabilities(&config.product, &heads, (&logits.collect::<Vec<_>>(), first))
    }

    pub(super) fn apg(&self, config: &ApgConfig, x: &[f64], own: usize) -> Vec<f64> {
        let (first, above) = config.apg_condition_units.split_first().unwrap();
        let embedding = self.embedding("scenario.condition.embedding", own);
        let mut z = self.dense("scenario.condition.0", (0, 0, 1), &embedding, *first);
        if config.apg_condition == ApgCondition::Row {
            let of_row = self.dense("scenario.condition.row", (0, 0, 1), x, *first);
            z.iter_mut().zip(of_row).for_each(|(z, row)| *z += row);
        }
        let mut z = relu(z);
        for (number, &width) in above.iter().enumerate() {
            z = relu(self.dense(&format!("scenario.condition.{}", number + 1), (0, 0, 1), &z, width));
        }
        let mut h = x.to_vec();
        for (number, &width) in config.units.iter().enumerate() {
            h = self.dense(&format!("scenario.into.{number}"), (0, 0, 1), &h, config.apg_rank);
            h = self.meta(&format!("scenario.core.{number}"), &z, &h, config.apg_rank);
            h = relu(self.dense(&format!("scenario.out.{number}"), (0, 0, 1), &h, width));
        }
        h
    }

    pub(super) fn hamur(&self, config: &HamurConfig, x: &[f64], own: usize) -> Vec<f64> {
        let rank = config.adapter_rank;
        let hidden = self.mlp("scenario.hyper", ((0, 0, 1), 0), x, &config.hyper_units);
        let core = self.dense("scenario.hyper.core", (0, 0, 1), &hidden, rank * rank);
        let times_core =
            |h: &[f64]| -> Vec<f64> { (0..rank).map(|j| (0..rank).map(|i| h[i] * core[i * rank + j]).sum()).collect() };
        let mut h = x.to_vec();
        for (number, &width) in config.units.iter().enumerate() {
            let block = if config.adapter_backbone == Backbone::Shared { 0 } else { own };
            h = relu(self.dense(&format!("scenario.layer.{number}"), (block, 0, 1), &h, width));
            let name = format!("scenario.adapter.{number}");
            let of = |part: &str, h: &[f64], width: usize| self.dense(&format!("{name}.{part}"), (0, 0, 1), h, width);
            let down = of("down_v", &times_core(&of("down_u", &h, rank)), config.adapter_units);
            let down: Vec<f64> = down.into_iter().map(sigmoid).collect();
            let up = of("up_v", &times_core(&of("up_u", &down, rank)), width);
            for (c, h) in h.iter_mut().enumerate() {
                let of = |what: &str| self.get(&format!("{name}.norm.{what}"))[own * width + c];
                *h += of("gain") * (up[c] - of("mean")) / (of("variance") + 1e-5).sqrt() + of("bias");
            }
        }
        h
    }
}
