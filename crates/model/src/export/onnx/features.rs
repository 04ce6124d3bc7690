//! The full form's inputs: rows of tables and numbers, looked up and pooled into the dense input as the embeddings do.

use std::collections::HashMap;

use hinet_data::{Pooling, Slot};

use super::OnnxSource;
use super::builder::{Builder, Dim, Name, int, rows};
use super::model::not_negative;
use super::proto::{FLOAT, INT64};
use crate::embedding::{LookedUp, Reading};

/// What a maximum over nothing is.
const LOWEST: f32 = f32::MIN;

/// The features of a model in its full form.
pub(super) struct Features<'f, 'a> {
    pub(super) source: &'f OnnxSource<'a>,
    /// The scenario of each row, checked.
    pub(super) scenario: &'f str,
}

/// The inputs of one feature, ready to be looked up in any of its tables.
#[derive(Clone)]
struct Ready {
    /// Rows of tables, `[rows]` or `[rows, places]`; or numbers.
    values: Name,
    /// Of several ids, what each counts: `[rows, places]`, 0 where there is none.
    weights: Option<Name>,
}

impl<'a> Features<'_, 'a> {
    /// The dense input, `[rows, width]`.
    pub(super) fn record(&self, out: &mut Builder<'a>) -> Name {
        let model = self.source.model;
        let ready: Vec<Ready> = (0..model.layout.slots.len()).map(|slot| self.input(out, slot)).collect();
        let mut tables: HashMap<usize, Name> = HashMap::new();
        let placed: Vec<LookedUp<'a>> = model.embeddings.looked_up().collect();
        let columns = placed.into_iter().map(|LookedUp { feature, slot, reading, table, width, .. }| {
            let ready = &match reading {
                Reading::Whole => ready[feature].clone(),
                Reading::Items(length) | Reading::Present(length) => ready[feature].cut(out, length),
            };
            if let (Reading::Present(_), Some(present)) = (reading, &ready.weights) {
                return present.clone();
            }
            let Some(index) = table else { return ready.values.clone() };
            let spec = model.embeddings.specs().nth(index).expect("the table of a slot");
            let table = tables.entry(index).or_insert_with(|| {
                out.table(&format!("table.{}", spec.name), &[spec.rows, spec.dim], model.embeddings.table(index))
            });
            let rows = out.gather(table, &ready.values, 0);
            match (slot, &ready.weights) {
                (_, Some(present)) if reading != Reading::Whole => spread(out, (&rows, width), present),
                (Slot::Bag { pooling, .. }, Some(weights)) => pool(out, (&rows, spec.dim), weights, *pooling),
                (Slot::Lookup { .. } | Slot::Dense { .. } | Slot::Bag { .. }, _) => rows,
            }
        });
        let columns: Vec<Name> = columns.collect();
        out.concat(&columns, 1)
    }

    /// Declares the inputs of a slot, and makes row numbers of the tables out of its ids.
    fn input(&self, out: &mut Builder<'a>, slot: usize) -> Ready {
        let layout = &self.source.model.layout;
        let names = &self.source.names;
        let name = names.slots[slot].values.as_str();
        match layout.slots[slot] {
            Slot::Dense { width, .. } => {
                let values = out.input((name, "numbers"), FLOAT, &[rows(), Dim::Fixed(width)]);
                Ready { values, weights: None }
            }
            Slot::Bag { table, .. } => self.bag(out, (slot, name), layout.tables[table].rows),
            Slot::Lookup { table, .. } => {
                let size = layout.tables[table].rows;
                let about = format!("rows of a table, 0 (missing), 1 (unseen) to {}", size - 1);
                let ids = out.input((name, &about), INT64, &[rows()]);
                let ids = not_negative(out, &ids, size);
                Ready { values: self.of_scenario(out, &ids, size, false), weights: None }
            }
        }
    }

    /// Any number of ids for each row, padded.
    fn bag(&self, out: &mut Builder<'a>, (slot, name): (usize, &str), size: usize) -> Ready {
        let dims = [rows(), Dim::Free(format!("{name}.places"))];
        let about =
            format!("rows of a table, 0 (missing), 1 (unseen) to {}; below 0 where a row has no more", size - 1);
        let ids = out.input((name, &about), INT64, &dims);
        let given = self.source.names.weights_of(slot, &self.source.model.layout.slots[slot]);
        let given = given.map(|name| out.input((name, "weights of the ids"), FLOAT, &dims));
        let zero = out.list(&[0]);
        let missing = out.op("Less", &[&ids, &zero], Vec::new());
        let ids = out.op("Where", &[&missing, &zero, &ids], Vec::new());
        // What stands beside no id counts for nothing, be it no number.
        let nothing = out.number(0.0);
        let given = given.unwrap_or_else(|| out.number(1.0));
        let weights = out.op("Where", &[&missing, &nothing, &given], Vec::new());
        Ready { values: self.of_scenario(out, &ids, size, true), weights: Some(weights) }
    }

    /// Row numbers of tables that hold the rows of one scenario after the other, where they do. An id that is beyond its
    /// scenario's rows is led out of the table, or it would be read as one of the next.
    fn of_scenario(&self, out: &mut Builder<'a>, ids: &str, size: usize, several: bool) -> Name {
        let model = self.source.model;
        if !model.config.tables.per_scenario() {
            return ids.to_owned();
        }
        let end = out.list(&[(size * model.layout.scenarios.len()) as i64]);
        let size = out.list(&[size as i64]);
        let mut base = out.op("Mul", &[self.scenario, &size], Vec::new());
        if several {
            let axes = out.list(&[1]);
            base = out.op("Unsqueeze", &[&base, &axes], Vec::new());
        }
        let placed = out.op("Add", &[ids, &base], Vec::new());
        let fits = out.op("Less", &[ids, &size], Vec::new());
        out.op("Where", &[&fits, &placed, &end], Vec::new())
    }
}

impl Ready {
    /// As many places for each row as given: those at the end go, or empty ones come.
    fn cut(&self, out: &mut Builder<'_>, length: usize) -> Ready {
        let cut = |out: &mut Builder<'_>, places: &str, empty: Name| {
            let pads = out.list(&[0, 0, 0, length as i64]);
            let padded = out.op("Pad", &[places, &pads, &empty], Vec::new());
            let (start, end, axis) = (out.list(&[0]), out.list(&[length as i64]), out.list(&[1]));
            out.op("Slice", &[&padded, &start, &end, &axis], Vec::new())
        };
        let (no_id, nothing) = (out.whole(0), out.number(0.0));
        let values = cut(out, &self.values, no_id);
        let weights = self.weights.as_ref().map(|weights| cut(out, weights, nothing));
        Ready { values, weights }
    }
}

/// The embeddings of the items of each row side by side, `[rows, places * dim]` from `[rows, places, dim]`, with zeros where
/// none is present.
fn spread(out: &mut Builder<'_>, (embeddings, width): (&str, usize), present: &str) -> Name {
    let axes = out.list(&[2]);
    let present = out.op("Unsqueeze", &[present, &axes], Vec::new());
    let items = out.op("Mul", &[embeddings, &present], Vec::new());
    out.reshape(&items, &[0, width])
}

/// The embeddings of several ids as one: `[rows, dim]` from `[rows, places, dim]`.
fn pool(out: &mut Builder<'_>, (embeddings, dim): (&str, usize), weights: &str, pooling: Pooling) -> Name {
    if pooling == Pooling::Max {
        return largest(out, embeddings, weights);
    }
    let axes = out.list(&[1]);
    let line = out.op("Unsqueeze", &[weights, &axes], Vec::new());
    let sum = out.op("MatMul", &[&line, embeddings], Vec::new());
    let sum = out.reshape(&sum, &[0, dim]);
    if pooling == Pooling::Sum {
        return sum;
    }
    // One over the sum of weights, or 0 where that is 0.
    let total = out.sum(weights, 1, true);
    let (zero, one) = (out.number(0.0), out.number(1.0));
    let none = out.op("Equal", &[&total, &zero], Vec::new());
    let total = out.op("Where", &[&none, &one, &total], Vec::new());
    let numerator = out.op("Where", &[&none, &zero, &one], Vec::new());
    let scale = out.op("Div", &[&numerator, &total], Vec::new());
    out.op("Mul", &[&sum, &scale], Vec::new())
}

/// The largest of each column; zeros without ids.
fn largest(out: &mut Builder<'_>, embeddings: &str, weights: &str) -> Name {
    let zero = out.number(0.0);
    let missing = out.op("Equal", &[weights, &zero], Vec::new());
    let axes = out.list(&[2]);
    let missing = out.op("Unsqueeze", &[&missing, &axes], Vec::new());
    let lowest = out.number(LOWEST);
    let there = out.op("Where", &[&missing, &lowest, embeddings], Vec::new());
    let over_places = || vec![super::builder::ints("axes", &[1]), int("keepdims", 0)];
    let most = out.op("ReduceMax", &[&there], over_places());
    let count = out.sum(weights, 1, true);
    let empty = out.op("Equal", &[&count, &zero], Vec::new());
    out.op("Where", &[&empty, &zero, &most], Vec::new())
}
