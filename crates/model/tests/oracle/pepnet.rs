//! PEPNet, section 4.12 of the specification.

use hinet_model::{PpnetConfig, TaskScope};

use super::{Oracle, relu, sigmoid};

impl Oracle<'_> {
    /// `2 sigmoid(h W + b)` of a block.
    fn factors(&self, name: &str, block: usize, h: &[f64], width: usize) -> Vec<f64> {
        self.dense(name, (block, 0, 1), h, width).into_iter().map(|z| 2.0 * sigmoid(z)).collect()
    }

    pub(super) fn epnet(&self, x: &[f64], own: usize) -> Vec<f64> {
        let embeddings = self.get("scenario.gate.embedding");
        let dim = embeddings.len() / self.scenarios;
        let width = self.get("scenario.gate.0.bias").len();
        let of_row = self.dense("scenario.gate.0", (0, 0, 1), x, width);
        let of_scenario =
            self.dense("scenario.gate.scenario", (0, 0, 1), &embeddings[own * dim..(own + 1) * dim], width);
        let hidden = relu(of_row.iter().zip(of_scenario).map(|(row, scenario)| row + scenario).collect());
        gate(&self.factors("scenario.gate.1", 0, &hidden, x.len()), x)
    }

    pub(super) fn ppnet(
        &self,
        config: &PpnetConfig,
        deep: &[f64],
        (c, first): (&[f64], &[f64]),
        view: usize,
    ) -> Vec<f64> {
        let heads = self.heads(&config.product);
        // The columns of the features that cases have, in order: an id, two lists of ids, numbers; lists that are read item by
        // item come last.
        let lists = if self.config.sequence.is_empty() { 1 } else { deep.len() - 2 };
        let columns = [("id", &deep[..1]), ("ids", &deep[lists..=lists]), ("numbers", &deep[3..])];
        let priors = columns.iter().filter(|(name, _)| config.priors.iter().any(|prior| prior == name));
        let z: Vec<f64> = priors.flat_map(|(_, columns)| *columns).chain(c).copied().collect();
        let pool = if config.task_scope == TaskScope::PerScenario { view } else { 0 };
        let logits = (0..heads.len()).map(|head| {
            let block = self.head_block(config.task_scope, heads.len(), view, head);
            let gated = |layer: usize, h: &[f64]| {
                let name = format!("task.gate.{layer}");
                let hidden = self.dense(&format!("{name}.hidden"), (pool, 0, 1), &z, config.pp_gate_width);
                gate(&self.factors(&format!("{name}.out"), block, &relu(hidden), h.len()), h)
            };
            let mut h = c.to_vec();
            for (layer, &width) in config.tower_units.iter().enumerate() {
                h = relu(self.dense(&format!("task.tower.{layer}"), (block, 0, 1), &gated(layer, &h), width));
            }
            self.dense("task.tower.logit", (block, 0, 1), &gated(config.tower_units.len(), &h), 1)[0]
        });
        self.probabilities(&config.product, &heads, (&logits.collect::<Vec<_>>(), first))
    }
}

fn gate(factors: &[f64], x: &[f64]) -> Vec<f64> {
    factors.iter().zip(x).map(|(factor, x)| factor * x).collect()
}
