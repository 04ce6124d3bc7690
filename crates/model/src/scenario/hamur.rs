//! HAMUR (Li et al., CIKM 2023): adapter cells between the layers of a network. Their weights are made for each row by a network
//! that all scenarios share, and what they add is normalised by the statistics of the row's scenario.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | I = reshape(hyper-network(x)) | `scenario.hyper`, `scenario.hyper.core` | `[adapter_rank, adapter_rank]` for each row |
//! | W_down = U1 I V1, b1 | `scenario.adapter.<l>.down_u`, `.down_v` | `[in, adapter_rank]`, `[adapter_rank, adapter_units]` |
//! | W_up = U2 I V2; b2 is the norm's bias | `scenario.adapter.<l>.up_u`, `.up_v` | `[adapter_units, adapter_rank]`, `[adapter_rank, in]` |
//! | domain norm | `scenario.adapter.<l>.norm` | `[scenarios, in]` |
//! | h <- h + norm(W_up^T sigmoid(W_down^T h + b1) + b2) | after layer l | `[batch, in]` |
//! | layers of the backbone | `scenario.layer.<l>` | of each scenario, or of all (`adapter_backbone`) |
//!
//! A product with U I V is one with U, one with the row's I, one with V: no matrix of the size of a layer is made. One I serves
//! every cell. The norm's saved statistics move while training and are what inference uses; with those of the batch in hand,
//! as public code has it, a row's score would depend on its neighbours.

use hinet_tape::{Activation, Init, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_momentum, check_rate, check_units, check_width};
use crate::error::ModelError;
use crate::network::{Bank, Layer, Owner, Reads, Recorder, ScenarioNorm, Stack, Told};

/// HAMUR. The paper's sizes are for other data; the backbone has the layers of HiNet's experts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HamurConfig {
    /// Widths of the layers of the backbone, ReLU after each, an adapter cell after that.
    pub units: Vec<usize>,
    /// Dropout after each layer of the backbone, while training.
    pub units_dropout: f64,
    /// Who owns the backbone's layers.
    pub adapter_backbone: Backbone,
    /// Widths of the hidden layers of the network that makes I, ReLU after each: the paper's.
    pub hyper_units: Vec<usize>,
    /// Rows and columns of I: its square is what each row has of its own. The paper has up to 35.
    pub adapter_rank: usize,
    /// Width in the middle of a cell.
    pub adapter_units: usize,
    /// Weight of a new batch in the saved statistics.
    pub norm_momentum: f32,
}

/// Who owns the layers between the adapter cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    /// Each scenario has its own.
    #[default]
    PerScenario,
    /// All scenarios share them: only the norms tell scenarios apart.
    Shared,
}

impl Default for HamurConfig {
    fn default() -> HamurConfig {
        HamurConfig {
            units: vec![128, 64],
            units_dropout: 0.0,
            adapter_backbone: Backbone::PerScenario,
            hyper_units: vec![64],
            adapter_rank: 16,
            adapter_units: 32,
            norm_momentum: 0.1,
        }
    }
}

impl HamurConfig {
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_units("units", &self.units, 1)?;
        check_rate("units_dropout", self.units_dropout)?;
        check_units("hyper_units", &self.hyper_units, 0)?;
        check_width("adapter_rank", self.adapter_rank)?;
        check_width("adapter_units", self.adapter_units)?;
        check_momentum("norm_momentum", self.norm_momentum)
    }
}

pub(super) fn record(config: &HamurConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let bank = Bank::one("scenario.hyper", Owner::Everyone);
    let hidden = r.mlp(&bank, x, Reads::Everything, Stack { units: &config.hyper_units, dropout: 0.0 });
    let core = Layer { outer: config.adapter_rank.pow(2), bias: true, activation: Activation::Identity };
    let core = r.linear(&bank, "core", hidden, (Reads::Everything, core));
    let tellings = r.tellings();
    let mut views = vec![x];
    for (number, &outer) in config.units.iter().enumerate() {
        let layer = Layer { outer, bias: true, activation: Activation::Relu };
        views = backbone(config, r, (number, layer), &views);
        let cells = tellings.iter().zip(&views).map(|(&told, &h)| cell(config, r, (number, told), (core, h)));
        views = cells.collect();
    }
    r.mean_of(&views)
}

/// A layer of the backbone, in every scenario that rows are told of; before the first layer they all read the same.
fn backbone(
    config: &HamurConfig,
    r: &mut Recorder<'_>,
    (number, layer): (usize, Layer),
    views: &[Value],
) -> Vec<Value> {
    let (count, name) = (r.tellings().len(), number.to_string());
    let made = match config.adapter_backbone {
        Backbone::Shared => {
            let bank = Bank::one("scenario.layer", Owner::Everyone);
            let made: Vec<Value> =
                views.iter().map(|&h| r.linear(&bank, &name, h, (Reads::Everything, layer))).collect();
            if made.len() == count { made } else { vec![made[0]; count] }
        }
        Backbone::PerScenario => {
            let bank = Bank::one("scenario.layer", Owner::Scenario).routed(r.routing());
            let reads = if number == 0 { Reads::Everything } else { Reads::Own };
            let all = r.graph.concat(views);
            let all = r.linear(&bank, &name, all, (reads, layer));
            if count == 1 {
                vec![all]
            } else {
                (0..count).map(|view| r.graph.slice(all, view * layer.outer, layer.outer)).collect()
            }
        }
    };
    let dropped =
        made.into_iter().map(|h| r.graph.dropout(h, config.units_dropout as f32, &format!("scenario.layer.{name}")));
    dropped.collect()
}

/// h and what the adapter cell after a layer adds to it: `[batch, in]`.
fn cell(config: &HamurConfig, r: &mut Recorder<'_>, (number, told): (usize, Told), (core, h): (Value, Value)) -> Value {
    let (name, width) = (format!("scenario.adapter.{number}"), r.width(h));
    let bank = Bank::one(&name, Owner::Everyone);
    let into = Layer { outer: config.adapter_rank, bias: false, activation: Activation::Identity };
    let out = Layer { outer: config.adapter_units, bias: true, activation: Activation::Sigmoid };
    let down = r.linear(&bank, "down_u", h, (Reads::Everything, into));
    let down = r.rows_times(down, core);
    let down = r.linear(&bank, "down_v", down, (Reads::Everything, out));
    let up = r.linear(&bank, "up_u", down, (Reads::Everything, into));
    let up = r.rows_times(up, core);
    // b2 is the norm's own bias: what is added before a norm, the norm takes away.
    let up = r.linear(&bank, "up_v", up, (Reads::Everything, Layer { outer: width, ..into }));
    let norm = norm(config, r, &format!("{name}.norm"), width);
    let up = r.normalised(norm, up, told);
    r.graph.add(h, up)
}

fn norm(config: &HamurConfig, r: &mut Recorder<'_>, name: &str, width: usize) -> ScenarioNorm {
    let dims = vec![r.scenarios(), width];
    let gain = r.parameter(&format!("{name}.gain"), dims.clone(), Init::Ones, Scope::PerScenario);
    let bias = r.parameter(&format!("{name}.bias"), dims, Init::Zeros, Scope::PerScenario);
    let (mean, variance) = r.statistics_of_scenarios(name, width);
    ScenarioNorm { gain, bias, mean, variance, momentum: config.norm_momentum }
}
