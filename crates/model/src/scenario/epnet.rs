//! EPNet, the scenario half of PEPNet (Chang et al., KDD 2023): a gate that is told the scenario scales every column of
//! the dense input. The other half, PPNet, is the task layer `ppnet`.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | E: the embeddings of all features | the dense input x | `[batch, width]` |
//! | E(F_d): embedding of the domain | `scenario.gate.embedding` | `[scenarios, scenario_dim]` |
//! | Gate NU: `gamma * sigmoid(relu(z W + b) W' + b')`, gamma = 2 | `scenario.gate.0`, `scenario.gate.1` | |
//! | z = [E(F_d); stop(E)] | `scenario.gate.scenario` multiplies the first part, `scenario.gate.0` the second | |
//! | delta = Gate NU(z) | the probe `gate.input` | `[batch, width]` |
//! | O_ep = delta E | the result | `[batch, width]` |
//!
//! `stop` lets no gradient through: gates read the embeddings and do not bend them (`ep_stop_gradient`). The paper has more
//! of the domain than its id, such as what a user did there; here such features are of the dense input and read with it.

use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_width;
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder};

/// PEPNet's EPNet. The paper's sizes are not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EpnetConfig {
    /// Width of a scenario's embedding: that of HiNet.
    pub scenario_dim: usize,
    /// Width of the gate's hidden layer: that of what HiNet's experts give.
    pub ep_gate_width: usize,
    /// Keeps the gate from training the embeddings that it reads, as in the paper.
    pub ep_stop_gradient: bool,
}

impl Default for EpnetConfig {
    fn default() -> EpnetConfig {
        EpnetConfig { scenario_dim: 16, ep_gate_width: 64, ep_stop_gradient: true }
    }
}

impl EpnetConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_width("scenario_dim", self.scenario_dim)?;
        check_width("ep_gate_width", self.ep_gate_width)
    }
}

pub(super) fn record(config: &EpnetConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let bank = Bank::one("scenario.gate", Owner::Everyone);
    let embedding = r.scenario_embedding("scenario.gate", config.scenario_dim);
    let seen = if config.ep_stop_gradient { r.graph.stop_gradient(x) } else { x };
    // The product with [e; x] is a sum of two, one of them once per scenario.
    let hidden = Layer { outer: config.ep_gate_width, bias: true, activation: Activation::Identity };
    let of_row = r.linear(&bank, "0", seen, (Reads::Everything, hidden));
    let of_scenario = r.linear(&bank, "scenario", embedding, (Reads::Everything, Layer { bias: false, ..hidden }));
    let width = r.width(x);
    let gate = r.mean_over_scenarios(|r, told| {
        let of_scenario = r.told(of_scenario, told);
        let sum = r.graph.add(of_row, of_scenario);
        let hidden = r.graph.activate(sum, Activation::Relu);
        r.gate_nu((&bank, "1"), (hidden, Reads::Everything), width)
    });
    r.probe("gate.input", gate);
    r.graph.mul(gate, x)
}
