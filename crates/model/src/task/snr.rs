//! SNR, sub-network routing (Ma et al., AAAI 2019): levels of small networks, and a gate on every connection between
//! them that training opens or closes.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | u_i: sub-networks of a level | `task.level0.sub`, ... | `[batch, n * h]` |
//! | log alpha_ij: how open a connection is | `task.level1.gate`, ..., `task.gate` up to the heads | `[to * from]` |
//! | s = sigmoid((log u - log(1 - u) + log alpha) / beta), u drawn anew each step | [`hinet_tape::Graph::concrete`] | |
//! | z = min(1, max(0, s (zeta - gamma) + gamma)): the hard concrete gate | [`Gates::open`] | |
//! | z in inference: the same of sigmoid(log alpha), without a draw | | |
//! | SNR-Trans: v_j = sum over i of z_ij W_ij u_i | `snr_routing = "trans"`, `task.level1.route`, ..., `task.route` | `[batch, to * h]` |
//! | SNR-Aver: v_j = sum over i of z_ij u_i | `snr_routing = "aver"` | `[batch, to * h]` |
//! | E[L0] = sum of sigmoid(log alpha - beta log(-gamma / zeta)) | added to the loss with weight `snr_l0` | |
//!
//! zeta = 1.1 and gamma = -0.1, as in the paper and in Louizos et al., ICLR 2018, whose gates they are. Gates are drawn once
//! per step, not per row: the network is one for the whole batch. log alpha starts at 0, half open. The paper has one
//! scenario and routes to tasks; here the last level routes to the heads (`task_scope`), and L0 counts the gates of all
//! scenarios in every step, whether the batch has rows of theirs or not.

use hinet_data::Layout;
use hinet_tape::{Activation, Block, Init, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskOutput;
use super::heads::{Heads, ProductConfig, TaskScope, check_products};
use super::tower::towers;
use crate::config::{bad, check_count, check_rate, check_units};
use crate::error::ModelError;
use crate::network::{Auxiliary, Bank, Layer, Owner, Reads, Recorder, Stack, blocks};

/// SNR. The paper's sizes are for other data; those here make it as deep as `mmoe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SnrConfig {
    /// Who owns the heads (the last gates and a tower) and the levels below them.
    pub task_scope: TaskScope,
    /// Levels of sub-networks.
    pub snr_levels: usize,
    /// Sub-networks in each level.
    pub sub_networks: usize,
    /// Widths of the layers of a sub-network, ReLU after each.
    pub sub_network_units: Vec<usize>,
    /// Dropout after each layer of a sub-network, while training.
    pub sub_network_dropout: f64,
    /// What a connection does beside its gate.
    pub snr_routing: SnrRouting,
    /// Weight in the loss of the number of connections that are expected to be open; 0 for none. The paper tunes it.
    pub snr_l0: f64,
    /// Temperature of the gates' draws (beta), which makes them the more all or nothing the lower it is. That of Louizos
    /// et al., 2/3.
    pub snr_temperature: f64,
    /// Widths of the hidden layers of a tower, ReLU after each. A layer of width 1 follows.
    pub tower_units: Vec<usize>,
    /// Dropout after each hidden layer of a tower, while training.
    pub tower_dropout: f64,
    /// Tasks whose probability is a product of heads.
    pub product: Vec<ProductConfig>,
}

/// What a connection does beside its gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnrRouting {
    /// It multiplies with a matrix of its own: SNR-Trans.
    #[default]
    Trans,
    /// Nothing: SNR-Aver.
    Aver,
}

impl Default for SnrConfig {
    fn default() -> SnrConfig {
        SnrConfig {
            task_scope: TaskScope::ScenarioTask,
            snr_levels: 2,
            sub_networks: 4,
            sub_network_units: vec![64],
            sub_network_dropout: 0.0,
            snr_routing: SnrRouting::Trans,
            snr_l0: 1e-4,
            snr_temperature: 2.0 / 3.0,
            tower_units: vec![32],
            tower_dropout: 0.0,
            product: Vec::new(),
        }
    }
}

impl SnrConfig {
    pub(super) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        check_count("snr_levels", self.snr_levels, 1)?;
        check_count("sub_networks", self.sub_networks, 1)?;
        check_units("sub_network_units", &self.sub_network_units, 1)?;
        check_rate("sub_network_dropout", self.sub_network_dropout)?;
        if !(0.0..=1e3).contains(&self.snr_l0) {
            return Err(bad("snr_l0", self.snr_l0.to_string(), "a weight from 0 to 1000"));
        }
        if !(0.01..=10.0).contains(&self.snr_temperature) {
            return Err(bad("snr_temperature", self.snr_temperature.to_string(), "a temperature from 0.01 to 10"));
        }
        check_units("tower_units", &self.tower_units, 0)?;
        check_rate("tower_dropout", self.tower_dropout)?;
        check_products(layout, &self.product)
    }

    /// Width of what a sub-network gives.
    fn width(&self) -> usize {
        self.sub_network_units.last().copied().unwrap_or(1)
    }
}

pub(super) fn record(config: &SnrConfig, r: &mut Recorder<'_>, input: Value) -> TaskOutput {
    let heads = Heads::new(r, config.task_scope, &config.product);
    let mut snr = Snr { config, open: Vec::new() };
    let pools = snr.levels(r, &heads, input);
    let (views, count) = (heads.views(), heads.count());
    let to_heads = Gates { name: "task.gate", owner: heads.view_owner(), views, to: count };
    let outputs = (0..views * count).map(|head| pools[head / count].clone()).collect();
    let bank = Bank::one("task", heads.owner()).routed(heads.routing());
    let routed = snr.route(r, &to_heads, outputs, (&bank, "route"));
    let hidden = Stack { units: &config.tower_units, dropout: config.tower_dropout };
    let logits = towers(r, &heads, (routed, Reads::Owners), hidden);
    let mut output = heads.finish(r, logits);
    output.auxiliary.extend(snr.l0(r));
    output
}

/// The lower end of what a gate is stretched to: beyond 0, so that a closed gate has a probability of its own.
const GAMMA: f32 = -0.1;
/// The upper end, beyond 1 likewise.
const ZETA: f32 = 1.1;

/// Layers in the making.
struct Snr<'a> {
    config: &'a SnrConfig,
    /// log alpha of all gates.
    open: Vec<Value>,
}

/// The gates on the connections into some networks.
struct Gates<'a> {
    name: &'a str,
    /// Who owns a set of gates: everyone, or each scenario.
    owner: Owner,
    /// How many sets a row meets.
    views: usize,
    /// Networks that each set leads to.
    to: usize,
}

impl Snr<'_> {
    /// All levels; the sub-networks of the last one that each view sees.
    fn levels(&mut self, r: &mut Recorder<'_>, heads: &Heads, input: Value) -> Vec<Vec<Block>> {
        let SnrConfig { sub_networks: count, snr_levels: levels, .. } = *self.config;
        let stack = Stack { units: &self.config.sub_network_units, dropout: self.config.sub_network_dropout };
        let mut pools = heads.pools(r, ("task.level0.sub", count), input, stack);
        let owner = heads.pool_owner();
        let views = if owner == Owner::Everyone { 1 } else { heads.views() };
        for level in 1..levels {
            let (prefix, gate) = (format!("task.level{level}"), format!("task.level{level}.gate"));
            let gates = Gates { name: &gate, owner, views, to: count };
            let outputs = (0..views * count).map(|to| pools[to / count].clone()).collect();
            let routed = {
                let bank = Bank::many(&prefix, owner, count);
                let bank = if views > 1 { bank.routed(heads.routing()) } else { bank };
                self.route(r, &gates, outputs, (&bank, "route"))
            };
            let name = format!("{prefix}.sub");
            let bank = Bank::many(&name, owner, count);
            let bank = if views > 1 { bank.routed(heads.routing()) } else { bank };
            let networks = r.mlp(&bank, routed, Reads::Own, stack);
            let of_view = |view: usize| blocks(networks, view * count..(view + 1) * count);
            pools = (0..heads.views()).map(|view| of_view(if views == 1 { 0 } else { view })).collect();
        }
        pools
    }

    /// What gated connections bring to each network.
    ///
    /// # Shapes
    /// - `outputs`: for each network of each view the blocks that it is connected to
    /// - returns: `[batch, views * to * h]`
    fn route(
        &mut self,
        r: &mut Recorder<'_>,
        gates: &Gates<'_>,
        outputs: Vec<Vec<Block>>,
        (bank, layer): (&Bank<'_>, &str),
    ) -> Value {
        let width = self.config.width();
        let z = gates.open(self, r);
        match self.config.snr_routing {
            SnrRouting::Aver => r.graph.mixture(z, outputs, width),
            SnrRouting::Trans => {
                // The matrices of all connections of a network are one, which reads their gated ends side by side.
                let alone = outputs.into_iter().flatten().map(|block| vec![block]).collect();
                let gated = r.graph.mixture(z, alone, width);
                let plain = Layer { outer: width, bias: false, activation: Activation::Identity };
                r.linear(bank, layer, gated, (Reads::Own, plain))
            }
        }
    }

    /// The expected number of open connections, with its weight.
    fn l0(&self, r: &mut Recorder<'_>) -> Option<Auxiliary> {
        let SnrConfig { snr_l0, snr_temperature: beta, .. } = *self.config;
        if snr_l0 == 0.0 {
            return None;
        }
        let offset = -(beta as f32) * (-GAMMA / ZETA).ln();
        let sums = self.open.iter().map(|&log_alpha| {
            let above = r.graph.affine(log_alpha, 1.0, offset);
            let probability = r.graph.activate(above, Activation::Sigmoid);
            let columns = r.graph.sum_rows(probability);
            r.graph.sum_columns(columns)
        });
        let sums: Vec<Value> = sums.collect();
        let sums = r.graph.concat(&sums);
        let total = r.graph.sum_columns(sums);
        Some(Auxiliary::Always(r.graph.affine(total, snr_l0 as f32, 0.0)))
    }
}

impl Gates<'_> {
    /// z of every connection, over (view, to, from): `[1, ..]`, or `[scenarios, ..]` where a row finds its own.
    fn open(&self, snr: &mut Snr<'_>, r: &mut Recorder<'_>) -> Value {
        let width = self.to * snr.config.sub_networks;
        let log_alpha = r.numbers(self.name, self.owner, width, Init::Zeros);
        if snr.config.snr_l0 > 0.0 {
            r.crosses_scenarios(self.name);
        }
        snr.open.push(log_alpha);
        let drawn = r.graph.concrete(log_alpha, snr.config.snr_temperature as f32, self.name);
        let s = r.graph.activate(drawn, Activation::Sigmoid);
        let stretched = r.graph.affine(s, ZETA - GAMMA, GAMMA);
        let above_zero = r.graph.activate(stretched, Activation::Relu);
        let above_one = r.graph.affine(stretched, 1.0, -1.0);
        let above_one = r.graph.activate(above_one, Activation::Relu);
        let z = r.graph.sub(above_zero, above_one);
        r.of_views(z, self.views)
    }
}
