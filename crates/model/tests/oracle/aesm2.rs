//! AESM2, section 4.16 of the specification.

use hinet_model::{Aesm2ScenarioConfig, Aesm2TaskConfig};

use super::{Oracle, mean, mix, softmax};

impl Oracle<'_> {
    /// The gate over the selected of `experts`, from the gates of all owners, and the divergences of what was selected.
    fn selected(gates: &[Vec<f64>], own: usize, (specific, shared): (usize, usize)) -> (Vec<f64>, f64) {
        let (owners, experts) = (gates.len(), gates[0].len());
        let mut divergences = vec![Vec::new(); 2];
        for expert in 0..experts {
            let p = softmax(&gates.iter().map(|gate| gate[expert]).collect::<Vec<_>>());
            divergences[0].push(-(p[own] + 1e-9).ln());
            let even = 1.0 / owners as f64;
            divergences[1].push(p.iter().map(|p| even * (even / (p + 1e-9)).ln()).sum());
        }
        let mut kept = vec![owners == 1; experts];
        let mut total = 0.0;
        for (divergences, count) in divergences.iter().zip([specific, shared]) {
            let mut order: Vec<usize> = (0..experts).collect();
            order.sort_by(|&a, &b| divergences[a].total_cmp(&divergences[b]));
            order[..count].iter().for_each(|&expert| kept[expert] = true);
            if count > 0 {
                total += mean(order[..count].iter().map(|&expert| divergences[expert]));
            }
        }
        let own = &gates[own];
        let sum: f64 = (0..experts).filter(|&k| kept[k]).map(|k| own[k].exp()).sum();
        let gate = (0..experts).map(|k| if kept[k] { own[k].exp() / sum } else { 0.0 }).collect();
        (gate, total)
    }

    /// What experts are mixed to, and the divergences.
    pub(crate) fn aesm2_scenario(&self, config: &Aesm2ScenarioConfig, x: &[f64], own: usize) -> (Vec<f64>, f64) {
        let count = config.select_experts;
        let experts: Vec<Vec<f64>> =
            (0..count).map(|k| self.mlp("scenario.expert", ((k, 0, 1), k), x, &config.units)).collect();
        let indicator = self.embedding("scenario.indicator.embedding", own);
        let gates = (0..self.scenarios).map(|owner| {
            let of_row = self.dense("scenario.gate.0", (owner, 0, 1), x, count);
            let of_scenario = self.dense("scenario.gate.scenario", (owner, 0, 1), &indicator, count);
            of_row.iter().zip(of_scenario).map(|(row, scenario)| row + scenario).collect()
        });
        let gates: Vec<Vec<f64>> = gates.collect();
        let (gate, divergence) = Self::selected(&gates, own, (config.select_specific, config.select_shared));
        (mix(&gate, &experts), divergence)
    }

    /// Probabilities, and the mean over heads of the divergences.
    pub(crate) fn aesm2_task(
        &self,
        config: &Aesm2TaskConfig,
        (c, first): (&[f64], &[f64]),
        view: usize,
    ) -> (Vec<f64>, f64) {
        let heads = self.heads(&config.product);
        let experts: Vec<Vec<f64>> =
            (0..config.experts).map(|k| self.mlp("task.expert", ((k, 0, 1), k), c, &config.expert_units)).collect();
        let scenario = self.embedding("task.indicator.embedding", view);
        let tasks = self.get("task.indicator.task");
        let mut divergences = 0.0;
        let mut logits = Vec::new();
        for head in 0..heads.len() {
            let task = &tasks[head * config.indicator_task_dim..(head + 1) * config.indicator_task_dim];
            let gates = (0..heads.len()).map(|owner| {
                let of =
                    |part: &str, x: &[f64]| self.dense(&format!("task.gate.{part}"), (owner, 0, 1), x, config.experts);
                let (of_row, of_scenario, of_task) = (of("0", c), of("scenario", &scenario), of("task", task));
                (0..config.experts).map(|k| of_row[k] + of_scenario[k] + of_task[k]).collect()
            });
            let gates: Vec<Vec<f64>> = gates.collect();
            let (gate, divergence) = Self::selected(&gates, head, (config.task_specific, config.task_shared));
            divergences += divergence / heads.len() as f64;
            logits.push(self.logit(head, &mix(&gate, &experts), &config.tower_units));
        }
        (self.probabilities(&config.product, &heads, (&logits, first)), divergences)
    }
}
