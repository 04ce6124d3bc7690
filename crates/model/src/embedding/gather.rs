//! From ids to the dense input: rows of tables looked up and pooled, dense numbers passed on.

use hinet_data::{Batch, Column, Pooling, Slot};
use rayon::prelude::*;

use super::{Embeddings, Placed, Reading, Table};

/// Rows of the batch that one task fills.
const BLOCK: usize = 128;

impl Embeddings {
    /// Writes the dense input of a batch, `[rows, width]`, row-major. Runs on the threads of the pool it is called in.
    ///
    /// # Panics
    /// If the batch comes from another encoder, or `out` has another size: bugs of the caller.
    pub fn gather(&self, batch: &Batch, out: &mut [f32]) {
        assert_eq!(out.len(), batch.rows * self.width, "gather: {} rows of width {}", batch.rows, self.width);
        self.gather_rows(batch, 0, None, out);
    }

    /// As [`Embeddings::gather`] for the rows from `first` on, as many as `out` has; `as_if` puts them all into one
    /// scenario. Where scenarios have tables of their own, a row of an unknown one gets zeros.
    pub(crate) fn gather_rows(&self, batch: &Batch, first: usize, as_if: Option<u16>, out: &mut [f32]) {
        self.gather_some(batch, (first, as_if), |_| true, out);
    }

    /// As [`Embeddings::gather_rows`] for the features that `takes`; columns of the others stay as they are.
    pub(crate) fn gather_some(
        &self,
        batch: &Batch,
        (first, as_if): (usize, Option<u16>),
        takes: impl Fn(usize) -> bool + Sync,
        out: &mut [f32],
    ) {
        assert_eq!(batch.features.len(), self.features, "gather: a batch of another encoder");
        if self.width == 0 {
            return;
        }
        let block = |(index, out): (usize, &mut [f32])| {
            for placed in self.slots.iter().filter(|placed| takes(placed.feature)) {
                self.gather_slot(placed, batch, (first + index * BLOCK, as_if), out);
            }
        };
        if super::in_pool() && out.len() > BLOCK * self.width {
            out.par_chunks_mut(BLOCK * self.width).enumerate().for_each(block);
        } else {
            out.chunks_mut(BLOCK * self.width).enumerate().for_each(block);
        }
    }

    /// For each column of the dense input, whether it is of a feature that `takes`.
    pub(crate) fn columns_of(&self, takes: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut columns = vec![false; self.width];
        for placed in self.slots.iter().filter(|placed| takes(placed.feature)) {
            columns[placed.start..placed.start + placed.width].fill(true);
        }
        columns
    }

    /// One slot's columns of the rows from `first` on; `out` are those rows.
    fn gather_slot(&self, placed: &Placed, batch: &Batch, (first, as_if): (usize, Option<u16>), out: &mut [f32]) {
        let rows = first..first + out.len() / self.width;
        let targets = out.chunks_exact_mut(self.width).map(|row| &mut row[placed.start..placed.start + placed.width]);
        let table = placed.table.map(|table| &self.tables[table]);
        let base = |table: &Table, row: usize| match table.scenario_rows {
            None => Some(0),
            Some(_) => table.base(as_if.unwrap_or(batch.scenario[row])),
        };
        if let (Reading::Items(_) | Reading::Present(_), Column::Bag { offsets, ids, .. }) =
            (placed.reading, &batch.features[placed.feature])
        {
            let bags = Bags { offsets, ids, weights: None };
            for (row, target) in rows.zip(targets) {
                match table {
                    None => mark_items(bags.bag(row).ids.len(), target),
                    Some(table) => copy_items(base(table, row).map(|base| (table, base)), bags.bag(row).ids, target),
                }
            }
            return;
        }
        match (&placed.slot, &batch.features[placed.feature], table) {
            (Slot::Lookup { .. }, Column::Ids(ids), Some(table)) if table.scenario_rows.is_none() => {
                look_up(table, &ids[rows], targets);
            }
            (Slot::Lookup { .. }, Column::Ids(ids), Some(table)) => {
                for (row, target) in rows.zip(targets) {
                    match base(table, row) {
                        Some(base) => target.copy_from_slice(table.row(base + ids[row])),
                        None => target.fill(0.0),
                    }
                }
            }
            (Slot::Bag { pooling, .. }, Column::Bag { offsets, ids, weights }, Some(table)) => {
                let bags = Bags { offsets, ids, weights: weights.as_deref() };
                for (row, target) in rows.zip(targets) {
                    match base(table, row) {
                        Some(base) => pool((table, base), *pooling, &bags.bag(row), target),
                        None => target.fill(0.0),
                    }
                }
            }
            (Slot::Dense { width, .. }, Column::Dense(values), _) => {
                for (target, values) in targets.zip(values[first * width..].chunks_exact(*width)) {
                    target.copy_from_slice(values);
                }
            }
            (slot @ (Slot::Lookup { .. } | Slot::Bag { .. } | Slot::Dense { .. }), _, _) => {
                panic!("gather: the column of `{}` is of another kind than its slot", slot.feature());
            }
        }
    }
}

/// The bags of one column.
#[derive(Clone, Copy)]
pub(super) struct Bags<'a> {
    pub(super) offsets: &'a [u32],
    pub(super) ids: &'a [u32],
    pub(super) weights: Option<&'a [f32]>,
}

/// The ids of one row, with their weights if any.
#[derive(Clone, Copy)]
pub(super) struct Bag<'a> {
    pub(super) ids: &'a [u32],
    pub(super) weights: Option<&'a [f32]>,
}

impl<'a> Bags<'a> {
    pub(super) fn bag(&self, row: usize) -> Bag<'a> {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        Bag { ids: &self.ids[range.clone()], weights: self.weights.map(|weights| &weights[range]) }
    }
}

impl Bag<'_> {
    /// What each embedding counts in the pooled one, before [`Bag::scale`].
    pub(super) fn weight(&self, place: usize) -> f32 {
        self.weights.map_or(1.0, |weights| weights[place])
    }

    /// Factor of the weighted sum: 1 for a sum, 1 over the sum of weights for a mean (0 where that sum is 0).
    pub(super) fn scale(&self, pooling: Pooling) -> f32 {
        match pooling {
            Pooling::Sum | Pooling::Max => 1.0,
            Pooling::Mean => {
                let total = self.weights.map_or(self.ids.len() as f32, |weights| weights.iter().sum());
                if total == 0.0 { 0.0 } else { 1.0 / total }
            }
        }
    }
}

impl Table {
    pub(super) fn row(&self, id: u32) -> &[f32] {
        let dim = self.spec.dim;
        &self.values[id as usize * dim..][..dim]
    }
}

fn look_up<'a>(table: &Table, ids: &[u32], targets: impl Iterator<Item = &'a mut [f32]>) {
    match table.spec.dim {
        8 => look_up_wide::<8>(table, ids, targets),
        16 => look_up_wide::<16>(table, ids, targets),
        32 => look_up_wide::<32>(table, ids, targets),
        _ => targets.zip(ids).for_each(|(target, &id)| target.copy_from_slice(table.row(id))),
    }
}

/// Widths known to the compiler become a few vector moves.
fn look_up_wide<'a, const DIM: usize>(table: &Table, ids: &[u32], targets: impl Iterator<Item = &'a mut [f32]>) {
    let (rows, _) = table.values.as_chunks::<DIM>();
    for (target, &id) in targets.zip(ids) {
        target.as_chunks_mut::<DIM>().0[0] = rows[id as usize];
    }
}

/// The embeddings of a row's items side by side, and zeros in the places that are left.
fn copy_items(table: Option<(&Table, u32)>, ids: &[u32], target: &mut [f32]) {
    let Some((table, base)) = table else { return target.fill(0.0) };
    let mut places = target.chunks_exact_mut(table.spec.dim);
    places.by_ref().zip(ids).for_each(|(place, &id)| place.copy_from_slice(table.row(base + id)));
    places.for_each(|place| place.fill(0.0));
}

/// 1 for each item of a row, 0 in the places that are left.
fn mark_items(items: usize, target: &mut [f32]) {
    let items = items.min(target.len());
    target[..items].fill(1.0);
    target[items..].fill(0.0);
}

fn pool((table, base): (&Table, u32), pooling: Pooling, bag: &Bag<'_>, target: &mut [f32]) {
    target.fill(0.0);
    match pooling {
        Pooling::Sum | Pooling::Mean => {
            for (place, &id) in bag.ids.iter().enumerate() {
                let weight = bag.weight(place);
                target.iter_mut().zip(table.row(base + id)).for_each(|(sum, value)| *sum += weight * value);
            }
            let scale = bag.scale(pooling);
            if scale != 1.0 {
                target.iter_mut().for_each(|sum| *sum *= scale);
            }
        }
        Pooling::Max => {
            let Some((&first, rest)) = bag.ids.split_first() else { return };
            target.copy_from_slice(table.row(base + first));
            for &id in rest {
                target.iter_mut().zip(table.row(base + id)).for_each(|(most, &value)| *most = most.max(value));
            }
        }
    }
}
