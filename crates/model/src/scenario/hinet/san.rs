//! SAN, the scenario-aware attentive network: how much each scenario listens to each other one.

use hinet_tape::{Activation, Routing, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HinetConfig;
use crate::network::{Bank, Layer, Owner, Reads, Recorder};

/// What decides how much a row listens to each other scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SanQuery {
    /// Its scenario alone, as in the paper: one row of weights per scenario.
    #[default]
    Scenario,
    /// The row too: the scaled dot product of what `[e(s); x]` is projected to with each S_m.
    Row,
}

/// Whether a row may listen to no other scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SanGate {
    /// No, as in the paper: weights of the others sum to 1.
    #[default]
    None,
    /// A slot beside the others that stands for nothing: what it weighs is lost to them.
    Null,
    /// A factor between 0 and 1 on all weights.
    Sigmoid,
}

/// alpha; without hidden layers, and with the scenario as query, `softmax over m != i of (e(i) W + b)_m`.
///
/// # Shapes
/// - `x`: `[batch, width]`
/// - `experts`: S_m, `[batch, scenarios * h]`
/// - returns: `[scenarios, scenarios]` from the row's scenario to the one listened to, or `[batch, scenarios]` where the
///   row is the query
pub(super) fn san(config: &HinetConfig, r: &mut Recorder<'_>, x: Value, experts: Value) -> Value {
    let scenarios = r.scenarios();
    let mut z = r.scenario_embedding("scenario.san", config.scenario_dim);
    if config.san_query == SanQuery::Row {
        let own = r.graph.rows_of_group(z);
        z = r.graph.concat(&[own, x]);
    }
    let owner = if config.san_per_scenario { Owner::Scenario } else { Owner::Everyone };
    let bank = Bank::one("scenario.san", owner).routed(Routing::Own);
    let plain = Layer { outer: 1, bias: config.san_bias, activation: Activation::Identity };
    for (number, &outer) in config.san_hidden.iter().enumerate() {
        let hidden = Layer { outer, activation: Activation::Relu, ..plain };
        z = r.linear(&bank, &number.to_string(), z, (Reads::Everything, hidden));
    }
    let mut logits = match config.san_query {
        SanQuery::Scenario => r.linear(&bank, "logits", z, (Reads::Everything, Layer { outer: scenarios, ..plain })),
        SanQuery::Row => {
            let query = Layer { outer: config.width(), ..plain };
            let query = r.linear(&bank, "query", z, (Reads::Everything, query));
            // `query . S_m / sqrt(h)` for every scenario m.
            let queries = r.graph.concat(&vec![query; scenarios]);
            r.scaled_products(queries, experts, scenarios)
        }
    };
    if config.san_relu {
        logits = r.graph.activate(logits, Activation::Relu);
    }
    if config.san_gate == SanGate::Null {
        let null = r.linear(&bank, "null", z, (Reads::Everything, plain));
        logits = r.graph.concat(&[logits, null]);
    }
    let mut alpha = distribution(config, r, logits);
    if config.san_gate == SanGate::Sigmoid {
        let open = r.linear(&bank, "open", z, (Reads::Everything, Layer { activation: Activation::Sigmoid, ..plain }));
        alpha = r.graph.mul(alpha, open);
    }
    r.probe("san", alpha);
    alpha
}

/// Softmax over the scenarios that count, and the null slot where there is one.
///
/// # Shapes
/// - `logits`: `[.., scenarios]`, or one more with a null slot
/// - returns: `[.., scenarios]`
fn distribution(config: &HinetConfig, r: &mut Recorder<'_>, logits: Value) -> Value {
    let (scenarios, slots) = (r.scenarios(), r.width(logits));
    let others: Vec<bool> = (0..scenarios * slots).map(|at| at / slots != at % slots).collect();
    let masked = config.san_renorm && !config.san_include_self;
    let mut alpha = r.graph.softmax(logits, slots, masked.then(|| others.clone()));
    if !masked && !config.san_include_self {
        let others =
            r.graph.constant(scenarios, slots, others.iter().map(|&other| f32::from(u8::from(other))).collect());
        alpha = r.graph.mul(alpha, others);
    }
    if slots > scenarios { r.graph.slice(alpha, 0, scenarios) } else { alpha }
}
