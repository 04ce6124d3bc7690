//! SAR-Net's debias experts, section 4.10 of the specification.

use hinet_model::SarnetConfig;

use super::{Oracle, mix, softmax};

impl Oracle<'_> {
    pub(super) fn sarnet(&self, config: &SarnetConfig, x: &[f64], own: usize) -> Vec<f64> {
        let of = |name: &str| &self.get(&format!("scenario.transform.{name}"))[own * x.len()..(own + 1) * x.len()];
        let (gain, bias) = (of("gain"), of("bias"));
        let x: Vec<f64> = (0..x.len()).map(|c| x[c] * gain[c] + bias[c]).collect();
        let count = config.scenario_experts;
        // Experts of a scenario lie side by side in one block of their first layer.
        let specific =
            (0..count).map(|k| self.mlp("scenario.specific", ((own, k, count), own * count + k), &x, &config.units));
        let shared = (0..config.shared_experts).map(|k| self.mlp("scenario.shared", ((k, 0, 1), k), &x, &config.units));
        let experts: Vec<Vec<f64>> = specific.chain(shared).collect();
        mix(&softmax(&self.dense("scenario.gate", (own, 0, 1), &x, experts.len())), &experts)
    }
}
