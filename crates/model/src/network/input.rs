//! From the dense input to what the layers read: sequences become one embedding each, all is normalised, and products of
//! features are taken; beside the layers, terms of the logits of first and second order.

mod attention;
mod cross;
mod fm;

use std::ops::Range;

use hinet_data::{Layout, Slot};
use hinet_tape::{Activation, BatchNormOp, Init, ParamSpec, Routing, Scope, Statistics, Value};

use super::{Bank, Layer, Owner, Reads, Recorder, blocks};
use crate::config::{InputNorm, ModelConfig};
use crate::embedding::Columns;

pub use attention::AttentionConfig;
pub use cross::CrossConfig;
pub(crate) use fm::check as check_fm;

/// What layers read.
pub(super) struct Input {
    /// Embeddings and numbers, normalised: `[batch, width]`, or `[batch, tasks * width]` where each task has its own.
    pub(super) dense: Option<Value>,
    /// The columns of each slot in it, in the first copy; none of those that it has no columns for.
    pub(super) places: Vec<Range<usize>>,
    /// The same after the cross layers.
    pub(super) deep: Option<Value>,
    /// Terms of the logits beside the layers, of first and of second order: `[batch, tasks]`.
    pub(super) beside: Option<Value>,
}

/// Embeddings on their way into the layers.
struct Fields {
    /// Of each feature with ids, side by side: `[batch, copies * fields * dim]`.
    embedded: Value,
    dim: usize,
    copies: usize,
    /// Who has vectors of numbers of its own.
    owner: Owner,
    /// Likewise of what differs between tasks.
    owner_of_tasks: Owner,
}

pub(super) fn record(config: &ModelConfig, r: &mut Recorder<'_>, x: Value) -> Input {
    let layout = r.layout();
    let columns = &config.columns(layout);
    let before = Before { config, columns, copies: columns.copies(layout) };
    let (raw, places) = before.whole(r, x);
    let dense = raw.map(|raw| normalise(config, r, (raw, before.copies)));
    let owners = (before.owner(r), before.copies);
    let deep = dense.map(|dense| cross::record(&config.cross, r, dense, owners));
    let is_number = |slot: &Slot| matches!(slot, Slot::Dense { .. });
    let numbers = dense.filter(|_| columns.first_order || config.fm);
    let numbers = numbers.and_then(|dense| before.of_slots(r, (dense, &places), is_number));
    let ids = columns.first_order_slots(layout);
    let of_ids = (ids > 0).then(|| {
        let tasks = r.tasks();
        let weights = r.graph.slice(x, columns.first_order_start(layout), ids * tasks);
        r.sum_of_blocks(vec![blocks(weights, 0..ids)], tasks)
    });
    let of_numbers = numbers.filter(|_| columns.first_order).map(|numbers| before.first_order(r, numbers));
    let pairs = raw.filter(|_| config.fm).map(|raw| {
        let fields = before.fields(r, (raw, &places));
        fm::record(r, &fields, numbers)
    });
    let terms = [of_ids, of_numbers, pairs].into_iter().flatten();
    let beside = terms.reduce(|sum, term| r.graph.add(sum, term));
    Input { dense, places, deep, beside }
}

/// What a model reads of the features, and how many times.
struct Before<'c> {
    config: &'c ModelConfig,
    columns: &'c Columns,
    copies: usize,
}

impl Before<'_> {
    /// Who has layers of its own, where scenarios or tasks have tables of their own.
    fn owner(&self, r: &Recorder<'_>) -> Owner {
        match (self.config.tables.per_scenario(), self.config.tables.per_task()) {
            (false, false) => Owner::Everyone,
            (true, false) => Owner::Scenario,
            (false, true) => Owner::Task(r.tasks()),
            (true, true) => Owner::ScenarioTask(r.tasks()),
        }
    }

    /// Who has weights of its own for what tasks have a term each of.
    fn owner_of_tasks(&self, r: &Recorder<'_>) -> Owner {
        if self.config.tables.per_scenario() { Owner::ScenarioTask(r.tasks()) } else { Owner::Task(r.tasks()) }
    }

    /// Embeddings and numbers, each sequence as one embedding of its own behind them; and the columns of each slot.
    fn whole(&self, r: &mut Recorder<'_>, x: Value) -> (Option<Value>, Vec<Range<usize>>) {
        let layout = r.layout();
        let width = self.columns.deep(layout);
        let mut places = self.places(layout);
        let all = r.width(x);
        let mut parts: Vec<Value> = Vec::new();
        if width > 0 {
            parts.push(if width == all { x } else { r.graph.slice(x, 0, width) });
        }
        let (mut start, mut end) = (width, width);
        for (attention, sequence) in self.config.sequence.iter().zip(&self.columns.sequences) {
            let target = attention.target.iter().filter_map(|name| {
                layout.slots.iter().position(|slot| slot.feature() == name).map(|slot| places[slot].clone())
            });
            let target: Vec<Value> = target.map(|columns| r.graph.slice(x, columns.start, columns.len())).collect();
            let placed = attention::Placed { x, start, owner: self.owner(r) };
            let lists = attention::record(attention, sequence, (r, placed), &target);
            for (&slot, &list) in sequence.slots.iter().zip(&lists) {
                places[slot] = end..end + r.width(list);
                end = places[slot].end;
            }
            parts.extend(lists);
            start += Columns::of_sequence(layout, sequence);
        }
        let raw = match parts[..] {
            [] => None,
            [single] => Some(single),
            _ => Some(r.graph.concat(&parts)),
        };
        (raw, places)
    }

    /// The columns of each slot that enters as a whole, in the first copy.
    fn places(&self, layout: &Layout) -> Vec<Range<usize>> {
        let (mut places, mut start) = (vec![0..0; layout.slots.len()], 0);
        for (index, slot) in self.columns.whole(layout) {
            places[index] = start..start + layout.slot_width(slot);
            start = places[index].end;
        }
        places
    }

    /// All embeddings side by side.
    fn fields(&self, r: &mut Recorder<'_>, (raw, places): (Value, &[Range<usize>])) -> Fields {
        let embedded = self.of_slots(r, (raw, places), |slot| slot.table().is_some());
        let embedded = embedded.expect("a feature has an embedding: that was checked");
        let layout = r.layout();
        let with_table = layout.slots.iter().find(|slot| slot.table().is_some());
        let dim = layout.slot_width(with_table.expect("a feature has an embedding: that was checked"));
        let (owner, owner_of_tasks) = (self.owner(r), self.owner_of_tasks(r));
        Fields { embedded, dim, copies: self.copies, owner, owner_of_tasks }
    }

    /// The columns of some slots in each copy, side by side.
    fn of_slots(
        &self,
        r: &mut Recorder<'_>,
        (value, places): (Value, &[Range<usize>]),
        takes: impl Fn(&Slot) -> bool,
    ) -> Option<Value> {
        let slots = r.layout().slots.iter().zip(places).filter(|(slot, columns)| takes(slot) && !columns.is_empty());
        let mut columns: Vec<Range<usize>> = slots.map(|(_, columns)| columns.clone()).collect();
        columns.sort_by_key(|columns| columns.start);
        // What stands side by side is taken at once.
        columns.dedup_by(|next, before| {
            let follows = next.start == before.end;
            if follows {
                before.end = next.end;
            }
            follows
        });
        let width = r.width(value) / self.copies;
        let starts = (0..self.copies).map(|copy| copy * width);
        let parts: Vec<Value> = starts
            .flat_map(|start| columns.iter().map(move |columns| (start + columns.start, columns.len())))
            .map(|(start, width)| r.graph.slice(value, start, width))
            .collect();
        (!parts.is_empty()).then(|| r.graph.concat(&parts))
    }

    /// A weight per number and task.
    ///
    /// # Shapes
    /// - returns: `[batch, tasks]`
    fn first_order(&self, r: &mut Recorder<'_>, numbers: Value) -> Value {
        let reads = if self.copies > 1 { Reads::Own } else { Reads::Everything };
        let bank = Bank::one("first_order", self.owner_of_tasks(r)).routed(Routing::Own).starting_at(Init::Zeros);
        let weight = Layer { outer: 1, bias: false, activation: Activation::Identity };
        r.linear(&bank, "numbers", numbers, (reads, weight))
    }
}

/// Where scenarios have tables of their own, they share no gain, bias or statistics either.
fn normalise(config: &ModelConfig, r: &mut Recorder<'_>, (x, copies): (Value, usize)) -> Value {
    let norm = config.input_norm;
    let width = r.width(x);
    let run = width / copies;
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
