//! Which rows of a table a batch touched, and where their gradients lie.
//!
//! Every use of a row is an entry; entries are sorted by row with a radix sort that keeps the order of the batch within
//! a row. So a row's gradients are added in the same order for any number of threads.

use hinet_data::{Batch, Column, Pooling, Slot};

use super::gather::{Bag, Bags};
use super::{Placed, Reading, Table};

/// Bits that one pass of the sort looks at, at most.
const DIGIT: u32 = 11;

/// One use of a row of the table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    /// The row of the table.
    pub(super) id: u32,
    /// Where its gradient begins: in the batch's gradient or, beyond its end, in [`Touched::extra`].
    pub(super) at: u32,
    /// Factor of that gradient.
    pub(super) factor: f32,
}

/// The touched rows of one table. Buffers are kept from batch to batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    /// Sorted by id.
    pub(super) entries: Vec<Entry>,
    /// Where each touched row's entries begin, and the end of the last.
    pub(super) starts: Vec<u32>,
    /// Gradients that max pooling gave to one winner each, `dim` numbers per winner.
    pub(super) extra: Vec<f32>,
    /// Entries there can be, whatever wins in max pooling.
    pub(super) most: usize,
    spare: Vec<Entry>,
    winners: Vec<u32>,
}

impl Touched {
    /// Finds the rows that a batch touched. `gradient` is `[rows, width]`.
    pub(super) fn find(&mut self, table: &Table, slots: &[Placed], batch: &Batch, gradient: &[f32]) {
        self.make_room(table, slots, batch);
        let width = gradient.len().checked_div(batch.rows).unwrap_or(0);
        for &reader in &table.readers {
            let Placed { slot, reading, start, feature, width: columns, .. } = &slots[reader];
            let base =
                |row: usize| if table.scenario_rows.is_some() { table.base(batch.scenario[row]) } else { Some(0) };
            match (slot, &batch.features[*feature]) {
                (Slot::Lookup { .. }, Column::Ids(ids)) => {
                    let places = (*start..).step_by(width.max(1));
                    let entry = |id: u32, at: usize| Entry { id, at: at as u32, factor: 1.0 };
                    if table.scenario_rows.is_none() {
                        self.entries.extend(ids.iter().zip(places).map(|(&id, at)| entry(id, at)));
                    } else {
                        let own = ids.iter().zip(places).enumerate();
                        self.entries.extend(own.filter_map(|(row, (id, at))| Some(entry(base(row)? + id, at))));
                    }
                }
                (Slot::Bag { .. }, Column::Bag { offsets, ids, .. }) if *reading != Reading::Whole => {
                    let bags = Bags { offsets, ids, weights: None };
                    for (row, base) in (0..batch.rows).filter_map(|row| Some((row, base(row)?))) {
                        let start = row * width + start;
                        let places = (start..start + columns).step_by(table.spec.dim);
                        let entry = |(&id, at): (&u32, usize)| Entry { id: base + id, at: at as u32, factor: 1.0 };
                        self.entries.extend(bags.bag(row).ids.iter().zip(places).map(entry));
                    }
                }
                (Slot::Bag { pooling, .. }, Column::Bag { offsets, ids, weights }) => {
                    let bags = Bags { offsets, ids, weights: weights.as_deref() };
                    for (row, base) in (0..batch.rows).filter_map(|row| Some((row, base(row)?))) {
                        self.add_bag((table, base), *pooling, &bags.bag(row), (gradient, row * width + start));
                    }
                }
                (Slot::Lookup { .. } | Slot::Bag { .. } | Slot::Dense { .. }, _) => {
                    panic!("update: the column of `{}` is of another kind than its slot", slot.feature());
                }
            }
        }
        self.sort(table.spec.rows);
        let mut before = None;
        for (place, entry) in (0_u32..).zip(&self.entries) {
            if before != Some(entry.id) {
                self.starts.push(place);
                before = Some(entry.id);
            }
        }
        self.starts.push(self.entries.len() as u32);
    }

    /// Empties the buffers and asks for the most that the batch can need. How many ids win in max pooling changes as the
    /// table moves; so the same batch would else ask for more later.
    fn make_room(&mut self, table: &Table, slots: &[Placed], batch: &Batch) {
        self.entries.clear();
        self.starts.clear();
        self.extra.clear();
        self.spare.clear();
        let (mut most, mut most_winners) = (0, 0);
        for &reader in &table.readers {
            match &batch.features[slots[reader].feature] {
                Column::Ids(ids) => most += ids.len(),
                Column::Bag { ids, .. } => {
                    most += ids.len();
                    if slots[reader].pools_by_max() {
                        most_winners += ids.len();
                    }
                }
                Column::Dense(_) => {}
            }
        }
        self.entries.reserve(most);
        self.spare.reserve(most);
        self.starts.reserve(most + 1);
        self.extra.reserve(most_winners * table.spec.dim);
        self.most = most;
    }

    /// The gradient of one use of a row, from the batch's gradient or from what max pooling gave.
    #[inline]
    pub(super) fn gradient_of<'a>(&'a self, entry: &Entry, gradient: &'a [f32], dim: usize) -> &'a [f32] {
        let at = entry.at as usize;
        match at.checked_sub(gradient.len()) {
            None => &gradient[at..at + dim],
            Some(at) => &self.extra[at..at + dim],
        }
    }

    fn add_bag(
        &mut self,
        (table, base): (&Table, u32),
        pooling: Pooling,
        bag: &Bag<'_>,
        (gradient, at): (&[f32], usize),
    ) {
        match pooling {
            Pooling::Sum | Pooling::Mean => {
                let scale = bag.scale(pooling);
                for (place, &id) in bag.ids.iter().enumerate() {
                    let factor = bag.weight(place) * scale;
                    if factor != 0.0 {
                        self.entries.push(Entry { id: base + id, at: at as u32, factor });
                    }
                }
            }
            Pooling::Max => self.add_winners((table, base), bag.ids, (gradient, at)),
        }
    }

    /// Gives each column's gradient to the id whose embedding was the largest there; among equals to the first.
    fn add_winners(&mut self, (table, base): (&Table, u32), ids: &[u32], (gradient, at): (&[f32], usize)) {
        let Some((&first, rest)) = ids.split_first() else { return };
        let dim = table.spec.dim;
        self.winners.clear();
        self.winners.resize(dim, first);
        for &id in rest {
            for (column, winner) in self.winners.iter_mut().enumerate() {
                if table.row(base + id)[column] > table.row(base + *winner)[column] {
                    *winner = id;
                }
            }
        }
        let gradient_len = gradient.len();
        let gradient = &gradient[at..at + dim];
        for column in 0..dim {
            let id = self.winners[column];
            if self.winners[..column].contains(&id) {
                continue;
            }
            let at = (gradient_len + self.extra.len()) as u32;
            self.entries.push(Entry { id: base + id, at, factor: 1.0 });
            let won = |(&winner, &gradient)| if winner == id { gradient } else { 0.0 };
            self.extra.extend(self.winners.iter().zip(gradient).map(won));
        }
    }

    /// Sorts the entries by id, keeping the order of equal ones.
    fn sort(&mut self, rows: usize) {
        let bits = usize::BITS - rows.saturating_sub(1).leading_zeros();
        let passes = bits.div_ceil(DIGIT);
        let digit = bits.div_ceil(passes.max(1));
        self.spare.resize(self.entries.len(), Entry::default());
        for pass in 0..passes {
            let mut next = [0_u32; 1 << DIGIT];
            let bucket = |entry: &Entry| (entry.id >> (pass * digit)) as usize & ((1 << digit) - 1);
            self.entries.iter().for_each(|entry| next[bucket(entry)] += 1);
            let mut total = 0;
            for count in &mut next[..1 << digit] {
                (*count, total) = (total, total + *count);
            }
            for entry in &self.entries {
                let place = &mut next[bucket(entry)];
                self.spare[*place as usize] = *entry;
                *place += 1;
            }
            std::mem::swap(&mut self.entries, &mut self.spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorting_by_row_keeps_the_order_of_the_batch(ids in prop::collection::vec(0_u32..5000, 0..300)) {
            let entries: Vec<Entry> = (0_u32..).zip(&ids).map(|(at, &id)| Entry { id, at, factor: 1.0 }).collect();
            let mut touched = Touched { entries: entries.clone(), ..Touched::default() };
            touched.sort(5000);
            let mut expected: Vec<(u32, u32)> = entries.iter().map(|entry| (entry.id, entry.at)).collect();
            expected.sort_unstable();
            prop_assert_eq!(touched.entries.iter().map(|entry| (entry.id, entry.at)).collect::<Vec<_>>(), expected);
        }
    }
}
