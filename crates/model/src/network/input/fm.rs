//! Factorisation machine (Rendle, ICDM 2010): the products of all pairs of features, as a term of each task's logit.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | x_i v_i of a category, x_i = 1 | its embedding; the pooled one of several ids | `[batch, dim]` |
//! | v_i of a number x_i, as the layers read it | `input.fm.numbers` | `[numbers, dim]` |
//! | sum over i < j of <v_i, v_j> x_i x_j = 1/2 sum over f of ((sum v_if x_i)^2 - sum (v_if x_i)^2) | | `[batch, 1]` |
//! | h: a weight for each f, as He & Chua (SIGIR 2017) have it | `input.fm.weight` | `[tasks, dim, 1]` |
//!
//! With h of ones this is the factorisation machine; h starts so. With one table for all tasks the paper's term would be the
//! same number in each task's logit, by which a rare task would have the pairs of a frequent one. The terms of first order
//! are [`first_order`](crate::ModelConfig::first_order).

use hinet_data::Layout;
use hinet_tape::{Activation, Init, LinearOp, Value};

use super::super::{Bank, Layer, Owner, Reads, Recorder, blocks};
use super::Fields;
use crate::ModelConfig;
use crate::config::bad;
use crate::error::ModelError;

/// Pairs are products of embeddings of one width.
pub(crate) fn check(config: &ModelConfig, layout: &Layout) -> Result<(), ModelError> {
    if !config.task.reads_layers() {
        return Err(bad("fm", "true", "false: this model has no embeddings"));
    }
    let slots = || layout.slots.iter().filter(|slot| slot.table().is_some());
    let Some(first) = slots().next() else {
        return Err(bad("fm", "true", "false: no feature has an embedding"));
    };
    let dim = layout.slot_width(first);
    match slots().find(|slot| layout.slot_width(slot) != dim) {
        Some(other) => {
            let value = format!("true, with `dim` {dim} of `{}`", first.feature());
            let expected =
                format!("one `dim` for all features: `{}` has {}", other.feature(), layout.slot_width(other));
            Err(bad("fm", value, expected))
        }
        None => Ok(()),
    }
}

/// # Shapes
/// - `fields`: `[batch, copies * fields * dim]`
/// - `numbers`: `[batch, copies * numbers]`
/// - returns: `[batch, tasks]`
pub(super) fn record(r: &mut Recorder<'_>, fields: &Fields, numbers: Option<Value>) -> Value {
    let Fields { embedded, dim, copies, owner, owner_of_tasks } = *fields;
    let squares = r.graph.mul(embedded, embedded);
    let per_copy = r.width(embedded) / dim / copies;
    let sum_of = |r: &mut Recorder<'_>, value: Value| {
        let outputs = (0..copies).map(|copy| blocks(value, copy * per_copy..(copy + 1) * per_copy));
        r.sum_of_blocks(outputs.collect(), dim)
    };
    let (mut sum, mut sum_of_squares) = (sum_of(r, embedded), sum_of(r, squares));
    if let Some(numbers) = numbers {
        let (of_numbers, of_squares) = times_vectors(r, (numbers, dim), owner);
        sum = r.graph.add(sum, of_numbers);
        sum_of_squares = r.graph.add(sum_of_squares, of_squares);
    }
    let square = r.graph.mul(sum, sum);
    let difference = r.graph.sub(square, sum_of_squares);
    let pairs = r.graph.affine(difference, 0.5, 0.0);
    let bank = Bank::one("input.fm", owner_of_tasks).starting_at(Init::Ones);
    let reads = if copies > 1 { Reads::Own } else { Reads::Everything };
    r.linear(&bank, "pairs", pairs, (reads, Layer { outer: 1, bias: false, activation: Activation::Identity }))
}

/// Sums over the numbers of `x_i v_i`, and of the squares of its elements: `[batch, copies * dim]` each.
fn times_vectors(r: &mut Recorder<'_>, (numbers, dim): (Value, usize), owner: Owner) -> (Value, Value) {
    let bank = Bank::one("input.fm", owner);
    let layer = Layer { outer: dim, bias: false, activation: Activation::Identity };
    let op = r.layer(&bank, "numbers", r.width(numbers), (Reads::Own, layer));
    let squared = LinearOp { weight: r.graph.mul(op.weight, op.weight), ..op };
    let squares = r.graph.mul(numbers, numbers);
    (r.graph.linear(numbers, op), r.graph.linear(squares, squared))
}
