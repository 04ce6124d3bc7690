//! AdaSparse, section 4.11 of the specification.

use hinet_model::{AdasparseConfig, Pruner};

use super::{Oracle, relu, sigmoid};

impl Oracle<'_> {
    pub(super) fn adasparse(&self, config: &AdasparseConfig, x: &[f64], own: usize) -> Vec<f64> {
        let embedding =
            &self.get("scenario.prune.embedding")[own * config.scenario_dim..(own + 1) * config.scenario_dim];
        let pruned = |layer: usize, h: Vec<f64>| -> Vec<f64> {
            let name = format!("scenario.prune.{layer}");
            let of_row = self.dense(&name, (0, 0, 1), &h, h.len());
            let of_scenario = self.dense(&format!("{name}.scenario"), (0, 0, 1), embedding, h.len());
            let sums = of_row.iter().zip(of_scenario).map(|(row, scenario)| row + scenario);
            h.iter().zip(sums).map(|(h, u)| h * factor(config, u)).collect()
        };
        let mut h = x.to_vec();
        for (layer, &width) in config.units.iter().enumerate() {
            h = relu(self.dense(&format!("scenario.layer.{layer}"), (0, 0, 1), &pruned(layer, h), width));
        }
        pruned(config.units.len(), h)
    }
}

fn factor(config: &AdasparseConfig, u: f64) -> f64 {
    let [alpha, beta, threshold] = [config.prune_alpha, config.prune_beta, config.prune_threshold].map(f64::from);
    match config.pruning {
        Pruner::Binarise => f64::from(u8::from(sigmoid(alpha * u) > threshold)),
        Pruner::Scale => beta * sigmoid(u),
        Pruner::Fuse => {
            let v = beta * sigmoid(alpha * u);
            if v > threshold { v } else { 0.0 }
        }
    }
}
