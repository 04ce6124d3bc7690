//! Attention over the items of a sequence: what a user did before, weighed by what is to be ranked.
//!
//! With `target`, the local activation unit of DIN (Zhou et al., KDD 2018):
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | e_j: embedding of behaviour j, of all that is said of it | places of x | `[batch, length * width]`, one for each list |
//! | v_A: embedding of the candidate | columns of the `target` features | `[batch, width]` |
//! | a(e_j, v_A): a network of both and their product | `input.<feature>.*` | `[batch, length]` |
//! | v_U(A) = sum over j of a(e_j, v_A) e_j | the result | `[batch, width]` |
//!
//! The first layer of the network reads `[v_A; e_j; e_j - v_A; e_j v_A]` in most code. The difference adds nothing that a layer
//! over `v_A` and `e_j` cannot say, so it is left out, and the layer is a sum of three: `v_A W_t` once per row (`target`),
//! `e_j W_k` (`keys.<list>`) and `(e_j v_A) W_p` (`products.<list>`). The paper's PReLU or Dice is ReLU: Dice takes statistics
//! of the batch, by which a row's score would depend on the others.
//!
//! Without `target`, attention pooling (Yang et al., NAACL 2016): `u_j = tanh(W e_j + b)`, weights are the softmax of `u . u_j`
//! over the row's items; no recurrent network comes before.
//!
//! Places without an item weigh nothing; a row without items gives zeros.

use hinet_data::{Layout, Sequence, Slot};
use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Bank, Layer, Owner, Reads, Recorder, blocks};
use crate::config::{bad, check_units};
use crate::error::ModelError;

/// A sequence that is read item by item, each as much as it is worth, in place of the pooled embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttentionConfig {
    /// The feature, of kind `sequence`. Those that go `along` it are read with it.
    pub feature: String,
    /// Features that say of the row's item what the sequence and those along it say of each of theirs, in the same order, with as wide
    /// embeddings (best with the same `table`): DIN's target attention. Default: none, attention pooling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// Widths of the hidden layers of the network that weighs items. Default: `[36]`, as in DIN.
    #[serde(default = "default_units")]
    pub units: Vec<usize>,
    /// Whether the weights of a row's items sum to 1. Default: with a target no, as in DIN, where their sum says how much of what a user
    /// did has to do with the item; without one yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softmax: Option<bool>,
}

fn default_units() -> Vec<usize> {
    vec![36]
}

/// What a place without an item has added before a softmax.
const NEVER: f32 = -1e9;

/// Most numbers of a row that a sequence's items have together.
const MAX_ITEMS: usize = 1 << 17;

impl AttentionConfig {
    /// `place` is that among the sequences.
    pub(crate) fn check(&self, layout: &Layout, place: usize) -> Result<(), ModelError> {
        let key = |option: &str| format!("sequence.{place}.{option}");
        check_units(&key("units"), &self.units, 1)?;
        let Some(sequence) = layout.sequence(&self.feature) else {
            let known = layout.sequences.iter().map(|sequence| layout.slots[sequence.slots[0]].feature());
            let known = known.collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "none here".to_owned() } else { known };
            let expected = format!("a feature of kind \"sequence\" that goes along no other ({known})");
            return Err(bad(&key("feature"), format!("`{}`", self.feature), expected));
        };
        let item: usize = sequence.slots.iter().map(|&slot| layout.slot_width(&layout.slots[slot])).sum();
        if item.saturating_mul(sequence.length) > MAX_ITEMS {
            let value = format!("`{}` of {} items with {item} columns each", self.feature, sequence.length);
            let expected = format!("at most {MAX_ITEMS} columns: each row computes all places up to `length`");
            return Err(bad(&key("feature"), value, expected));
        }
        self.check_target(layout, sequence, &key("target"))
    }

    fn check_target(&self, layout: &Layout, sequence: &Sequence, key: &str) -> Result<(), ModelError> {
        let lists = || sequence.slots.iter().map(|&slot| &layout.slots[slot]);
        if !self.target.is_empty() && self.target.len() != sequence.slots.len() {
            let lists: Vec<&str> = lists().map(Slot::feature).collect();
            let expected = format!("none, or a feature for each of {}", lists.join(", "));
            return Err(bad(key, format!("{:?}", self.target), expected));
        }
        let lookups = || layout.slots.iter().filter(|slot| matches!(slot, Slot::Lookup { .. }));
        for (name, list) in self.target.iter().zip(lists()) {
            let width = layout.slot_width(list);
            let target = lookups().find(|slot| slot.feature() == name);
            if target.map(|slot| layout.slot_width(slot)) != Some(width) {
                let expected = format!("a feature with one id per row and `dim` {width}, as `{}` has", list.feature());
                return Err(bad(key, format!("`{name}`"), expected));
            }
            // What is read from the list's own table says the same thing of a row as the list does of an item.
            let alike = lookups().filter(|slot| slot.table() == list.table()).map(Slot::feature);
            let alike: Vec<&str> = alike.collect();
            if !alike.is_empty() && !alike.contains(&name.as_str()) {
                let expected = format!("{}, which has the table of `{}`", alike.join(" or "), list.feature());
                return Err(bad(key, format!("`{name}`"), expected));
            }
        }
        Ok(())
    }
}

/// The columns of a sequence: of what input, from which on, and who owns the network that reads them.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) x: Value,
    pub(super) start: usize,
    pub(super) owner: Owner,
}

/// The items of each list of a sequence as one.
///
/// # Shapes
/// - `targets`: `[batch, width of the list]` for each list, or none
/// - returns: `[batch, width of the list]` for each
pub(super) fn record(
    config: &AttentionConfig,
    sequence: &Sequence,
    (r, placed): (&mut Recorder<'_>, Placed),
    targets: &[Value],
) -> Vec<Value> {
    let (layout, length) = (r.layout(), sequence.length);
    let mut start = placed.start;
    let mut take = |r: &mut Recorder<'_>, width: usize| {
        start += width;
        r.graph.slice(placed.x, start - width, width)
    };
    let widths: Vec<usize> = sequence.slots.iter().map(|&slot| layout.slot_width(&layout.slots[slot])).collect();
    let keys: Vec<Value> = widths.iter().map(|width| take(r, width * length)).collect();
    let present = take(r, length);
    let attention = Attention { config, length, owner: placed.owner };
    let weights = attention.weights(r, &keys, targets, present);
    let lists = keys.into_iter().zip(widths);
    lists.map(|(keys, width)| r.graph.mixture(weights, vec![blocks(keys, 0..length)], width)).collect()
}

/// A network that weighs items.
struct Attention<'a> {
    config: &'a AttentionConfig,
    length: usize,
    owner: Owner,
}

impl Attention<'_> {
    /// `[batch, length]`, 0 in places without an item.
    fn weights(&self, r: &mut Recorder<'_>, keys: &[Value], targets: &[Value], present: Value) -> Value {
        let softmax = self.config.softmax.unwrap_or(targets.is_empty());
        let activation = if targets.is_empty() { Activation::Tanh } else { Activation::Relu };
        let name = format!("input.{}", self.config.feature);
        let bank = Bank::one(&name, self.owner);
        let first = self.first_layer(r, (&bank, keys), targets);
        let mut hidden = r.graph.activate(first, activation);
        for (number, &outer) in self.config.units.iter().enumerate().skip(1) {
            let layer = Layer { outer, bias: true, activation };
            hidden = r.linear(&bank, &number.to_string(), hidden, (Reads::EachRun(self.length), layer));
        }
        // The same number more for each item changes no softmax.
        let layer = Layer { outer: 1, bias: !softmax, activation: Activation::Identity };
        let scores = r.linear(&bank, "weight", hidden, (Reads::EachRun(self.length), layer));
        if !softmax {
            return r.graph.mul(scores, present);
        }
        let absent = r.graph.affine(present, -NEVER, NEVER);
        let scores = r.graph.add(scores, absent);
        r.graph.softmax(scores, self.length, None)
    }

    /// The first layer before its activation, `[batch, length * units[0]]`: what it makes of items, of the target, and of the
    /// products of both.
    fn first_layer(&self, r: &mut Recorder<'_>, (bank, keys): (&Bank<'_>, &[Value]), targets: &[Value]) -> Value {
        let layer = Layer { outer: self.config.units[0], bias: false, activation: Activation::Identity };
        let with_bias = Layer { bias: true, ..layer };
        let mut terms = Vec::new();
        for (list, &keys) in keys.iter().enumerate() {
            let layer = if targets.is_empty() && list == 0 { with_bias } else { layer };
            terms.push(r.linear(bank, &format!("keys.{list}"), keys, (Reads::EachRun(self.length), layer)));
        }
        for (list, (&keys, &target)) in keys.iter().zip(targets).enumerate() {
            let beside = self.for_each_item(r, target);
            let products = r.graph.mul(keys, beside);
            terms.push(r.linear(bank, &format!("products.{list}"), products, (Reads::EachRun(self.length), layer)));
        }
        if !targets.is_empty() {
            let target = r.graph.concat(targets);
            let of_target = r.linear(bank, "target", target, (Reads::Everything, with_bias));
            terms.push(self.for_each_item(r, of_target));
        }
        let first = terms.remove(0);
        terms.into_iter().fold(first, |sum, term| r.graph.add(sum, term))
    }

    fn for_each_item(&self, r: &mut Recorder<'_>, value: Value) -> Value {
        r.graph.concat(&vec![value; self.length])
    }
}
