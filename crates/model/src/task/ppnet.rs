//! PPNet, the task half of PEPNet (Chang et al., KDD 2023): a tower per task whose every layer is gated by who the user and
//! what the item is. The other half, EPNet, is the scenario layer `epnet`.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | O_prior: embeddings of user, item and author id | columns of the features in `priors` | `[batch, priors]` |
//! | O_ep: what EPNet gives | the input | `[batch, width]` |
//! | Gate NU of layer l over [O_prior; stop(O_ep)] | `task.gate.<l>.hidden`, `task.gate.<l>.out` | |
//! | delta^l_t | the probe `gate.tower.<l>` | `[batch, heads * width of layer l]` |
//! | H^{l+1}_t = f((delta^l_t H^l_t) W^l_t + b^l_t), H^0_t = O_ep | `task.tower.<l>`, `task.tower.logit` | |
//!
//! The hidden layer of a gate is shared by the tasks, as in the paper, where one gate per layer is split over them. Gates
//! train the priors' embeddings and not the rest of what they read (`pp_stop_gradient`). Which of the features are user,
//! item and author cannot be known here: `priors` names them. With none, the default, gates read stop(O_ep) alone: they are
//! then as personal as the ids in the dense input make them, but learn nothing into embeddings, which is less than the paper.

use hinet_data::Layout;
use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use crate::config::{bad, check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Reads, Recorder};

/// PEPNet's PPNet. The paper's sizes are not known; towers are as deep as HiNet's experts and towers together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PpnetConfig {
    /// Who owns the towers with their gates. The paper's towers are tasks' alone: EPNet tells scenarios apart.
    pub task_scope: TaskScope,
    /// Features that say who is asked about what: the user's id, the item's, the author's. None: gates read what the
    /// towers read, and nothing else.
    pub priors: Vec<String>,
    /// Width of the hidden layer of each gate: that of what HiNet's experts give.
    pub pp_gate_width: usize,
    /// Keeps gates from training what they read beside the priors, as in the paper.
    pub pp_stop_gradient: bool,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

impl Default for PpnetConfig {
    fn default() -> PpnetConfig {
        PpnetConfig {
            task_scope: TaskScope::Task,
            priors: Vec::new(),
            pp_gate_width: 64,
            pp_stop_gradient: true,
            tower_units: vec![128, 64, 32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl PpnetConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        let features: Vec<&str> = layout.slots.iter().map(|slot| slot.feature()).collect();
        for (place, prior) in self.priors.iter().enumerate() {
            if !features.contains(&prior.as_str()) {
                return Err(bad("priors", prior, format!("features: {}", features.join(", "))));
            }
            if self.priors[..place].contains(prior) {
                return Err(bad("priors", format!("{prior} twice"), "each feature once"));
            }
        }
        check_width("pp_gate_width", self.pp_gate_width)?;
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }
}

pub(super) fn record(config: &PpnetConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let seen = if config.pp_stop_gradient { r.graph.stop_gradient(input) } else { input };
    let mut gated_by = r.columns_of(&config.priors);
    gated_by.push(seen);
    let gated_by = r.graph.concat(&gated_by);
    let bank = Bank::one("task.tower", heads.owner()).routed(heads.routing());
    let mut h = r.graph.concat(&vec![input; heads.views() * heads.count()]);
    for (number, &outer) in config.tower_units.iter().enumerate() {
        h = gated(config, r, &heads, (number, gated_by), h);
        let layer = Layer { outer, bias: true, activation: Activation::Relu };
        h = r.linear(&bank, &number.to_string(), h, (Reads::Own, layer));
        h = r.graph.dropout(h, config.tower_dropout as f32, &format!("task.tower.{number}"));
    }
    h = gated(config, r, &heads, (config.tower_units.len(), gated_by), h);
    let logit = Layer { outer: 1, bias: true, activation: Activation::Identity };
    let logits = r.linear(&bank, "logit", h, (Reads::Own, logit));
    heads.finish(r, logits)
}

/// What a layer of the towers reads, after its gate: delta^l_t H^l_t.
///
/// # Shapes
/// - `by`: what the gate reads, `[batch, width]`
/// - `h`: `[batch, views * heads * width of the layer]`
/// - returns: as `h`
fn gated(config: &PpnetConfig, r: &mut Recorder<'_>, heads: &Heads, (layer, by): (usize, Value), h: Value) -> Value {
    let factors = r.width(h) / (heads.views() * heads.count());
    let hidden = Layer { outer: config.pp_gate_width, bias: true, activation: Activation::Relu };
    let name = format!("task.gate.{layer}");
    let pool = Bank::one(&name, heads.pool_owner()).routed(heads.routing());
    let hidden = r.linear(&pool, "hidden", by, (Reads::Everything, hidden));
    let hidden = heads.hand_out(r, hidden);
    let gate = r.gate_nu((&Bank::one(&name, heads.owner()).routed(heads.routing()), "out"), hidden, factors);
    r.probe(&format!("gate.tower.{layer}"), gate);
    r.graph.mul(gate, h)
}
