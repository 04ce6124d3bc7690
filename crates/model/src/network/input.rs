//! The dense input before the layers: its parts, its norm, first-order terms.

use hinet_tape::{Activation, BatchNormOp, Init, ParamSpec, Routing, Scope, Statistics, Value};

use super::{Bank, Layer, Owner, Reads, Recorder, blocks};
use crate::config::{InputNorm, ModelConfig};

/// What layers read.
pub(super) struct Input {
    /// Embeddings and numbers, normalised: `[batch, width]`, or `[batch, tasks * width]` where each task has its own.
    pub(super) deep: Option<Value>,
    /// First-order terms of the logits: `[batch, tasks]`.
    pub(super) first_order: Option<Value>,
}

pub(super) fn record(config: &ModelConfig, r: &mut Recorder<'_>, x: Value) -> Input {
    let (layout, columns) = (r.layout(), config.columns());
    let (deep_width, ids) = (columns.deep(layout), columns.first_order_slots(layout));
    let deep = (deep_width > 0).then(|| if ids == 0 { x } else { r.graph.slice(x, 0, deep_width) });
    let deep = deep.map(|deep| normalise(config, r, deep));
    if !columns.first_order {
        return Input { deep, first_order: None };
    }
    let of_ids = (ids > 0).then(|| {
        let tasks = r.tasks();
        let weights = r.graph.slice(x, deep_width, ids * tasks);
        r.sum_of_blocks(vec![blocks(weights, 0..ids)], tasks)
    });
    let of_numbers = deep.and_then(|deep| of_numbers(config, r, deep));
    let first_order = match (of_ids, of_numbers) {
        (Some(ids), Some(numbers)) => Some(r.graph.add(ids, numbers)),
        (one, other) => one.or(other),
    };
    Input { deep, first_order }
}

/// A weight per number and task; of the numbers as the layers read them, normalised.
///
/// # Shapes
/// - returns: `[batch, tasks]`
fn of_numbers(config: &ModelConfig, r: &mut Recorder<'_>, deep: Value) -> Option<Value> {
    let (layout, columns) = (r.layout(), config.columns());
    let (tasks, copies) = (r.tasks(), columns.copies(layout));
    let width = columns.deep(layout) / copies;
    let runs = columns.numbers(layout);
    let runs = (0..copies).flat_map(|copy| runs.iter().map(move |&(start, run)| (copy * width + start, run)));
    let numbers: Vec<Value> = runs.map(|(start, run)| r.graph.slice(deep, start, run)).collect();
    if numbers.is_empty() {
        return None;
    }
    let numbers = r.graph.concat(&numbers);
    let (owner, reads) = match (config.tables.per_scenario(), config.tables.per_task()) {
        (false, false) => (Owner::Task(tasks), Reads::Everything),
        (false, true) => (Owner::Task(tasks), Reads::Own),
        (true, false) => (Owner::ScenarioTask(tasks), Reads::Everything),
        (true, true) => (Owner::ScenarioTask(tasks), Reads::Own),
    };
    let bank = Bank::one("first_order", owner).routed(Routing::Own).starting_at_zero();
    let weight = Layer { outer: 1, bias: false, activation: Activation::Identity };
    Some(r.linear(&bank, "numbers", numbers, (reads, weight)))
}

/// Where scenarios have tables of their own, they share no gain, bias or statistics either.
fn normalise(config: &ModelConfig, r: &mut Recorder<'_>, x: Value) -> Value {
    let norm = config.input_norm;
    let (width, layout) = (r.width(x), r.layout());
    let run = width / config.columns().copies(layout);
    let per_group = config.tables.per_scenario();
    let (rows, scope) = if per_group { (r.scenarios(), Scope::PerScenario) } else { (1, Scope::Shared) };
    let mut column = |name: &str, init: Init, trainable: bool| {
        let name = format!("input_norm.{name}");
        r.graph.parameter(ParamSpec { name, dims: vec![rows, width], init, scope, trainable })
    };
    if norm == InputNorm::None {
        return x;
    }
    let (gain, bias) = (Some(column("gain", Init::Ones, true)), Some(column("bias", Init::Zeros, true)));
    let (statistics, epsilon) = match norm {
        InputNorm::None | InputNorm::LayerNorm => return r.graph.layer_norm(x, gain, bias, run),
        InputNorm::BatchNorm => (Statistics::Moving { momentum: 0.1 }, 1e-5),
        InputNorm::FrozenAffine => (Statistics::Frozen, 1e-3),
    };
    let (mean, variance) = (column("mean", Init::Zeros, false), column("variance", Init::Ones, false));
    r.graph.batch_norm(x, BatchNormOp { gain, bias, mean, variance, statistics, per_group, epsilon })
}
