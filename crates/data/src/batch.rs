//! Encoded rows as plain vectors: what the model reads. No Arrow beyond this point.

use std::ops::Range;

use crate::work::Work;

/// Encoded rows, in input order or grouped by scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// One column per slot of the [`Layout`](crate::Layout), in its order.
    pub features: Vec<Column>,
    /// Scenario id of each row, `[rows]`; `scenarios.len()` for an unknown one under the policy `mean`.
    pub scenario: Vec<u16>,
    /// When grouped: where each scenario's rows begin, `[scenarios + 2]`; the last group holds unknown scenarios. Empty when not grouped.
    pub offsets: Vec<usize>,
    /// Labels, `[rows * tasks]`, the tasks of a row side by side; 0 where not observed.
    pub labels: Vec<f32>,
    /// Whether the label was observed, `[rows * tasks]`; false masks it.
    pub observed: Vec<bool>,
    /// Weight of each row, `[rows]`.
    pub weight: Vec<f32>,
    /// Hash of the user, `[rows]`; empty when no user column is configured.
    pub user: Vec<u64>,
    /// Hash of the request, `[rows]`; empty when no request column is configured.
    pub request: Vec<u64>,
    /// Row r of this batch was row `position[r]` before grouping, `[rows]`.
    pub position: Vec<u32>,
    /// Rows its stream gave before this batch.
    pub first_row: u64,
}

/// The values of one slot for all rows of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// One table row each, `[rows]`.
    Ids(Vec<u32>),
    /// Any number of table rows each.
    Bag {
        /// Where each row's ids begin, `[rows + 1]`.
        offsets: Vec<u32>,
        /// Table rows, those of one row of data side by side.
        ids: Vec<u32>,
        /// Weights, parallel to `ids`, for weighted features.
        weights: Option<Vec<f32>>,
    },
    /// Numbers, `[rows * width]`, those of a row side by side.
    Dense(Vec<f32>),
}

impl Batch {
    /// The rows `indices` in that order, grouped by scenario: stable, so rows of one scenario keep their order.
    /// `groups` is [`Layout::groups`](crate::Layout::groups). `position[r]` is the place in `indices` that row r came from.
    pub fn take_grouped(&self, indices: &[u32], groups: usize) -> Batch {
        let (order, offsets) = group_order(&self.scenario, indices, groups);
        let source: Vec<u32> = order.iter().map(|&place| indices[place as usize]).collect();
        Batch { offsets, position: order, ..self.take(&source) }
    }

    /// All rows, grouped by scenario.
    pub fn grouped(&self, groups: usize) -> Batch {
        let all: Vec<u32> = (0..self.rows as u32).collect();
        Batch { first_row: self.first_row, ..self.take_grouped(&all, groups) }
    }

    /// What was computed for the rows of a grouped batch, `[rows, width]`, in their order before grouping.
    pub fn ungrouped(&self, values: &[f32]) -> Vec<f32> {
        let width = values.len().checked_div(self.rows).unwrap_or(0);
        let mut ordered = vec![0.0; values.len()];
        for (&place, row) in self.position.iter().zip(values.chunks_exact(width.max(1))) {
            ordered[place as usize * width..][..width].copy_from_slice(row);
        }
        ordered
    }

    /// The rows `indices` in that order, not grouped.
    pub fn take(&self, indices: &[u32]) -> Batch {
        let tasks = self.tasks();
        Batch {
            rows: indices.len(),
            features: self.features.iter().map(|column| column.take(indices, self.rows)).collect(),
            scenario: gather(&self.scenario, indices, 1),
            offsets: Vec::new(),
            labels: gather(&self.labels, indices, tasks),
            observed: gather(&self.observed, indices, tasks),
            weight: gather(&self.weight, indices, 1),
            user: if self.user.is_empty() { Vec::new() } else { gather(&self.user, indices, 1) },
            request: if self.request.is_empty() { Vec::new() } else { gather(&self.request, indices, 1) },
            position: (0..indices.len() as u32).collect(),
            first_row: self.first_row,
        }
    }

    /// Puts the rows in the order `indices`, which names each once; not grouped then. A column after the other: what one is gathered from fits
    /// into the processor's cache where a block of all columns does not.
    pub(crate) fn permute(&mut self, indices: &[u32], work: Work) {
        let (rows, tasks) = (self.rows, self.tasks());
        work.map(&mut self.features, |_, column| *column = column.take(indices, rows));
        self.scenario = gather(&self.scenario, indices, 1);
        self.labels = gather(&self.labels, indices, tasks);
        self.observed = gather(&self.observed, indices, tasks);
        self.weight = gather(&self.weight, indices, 1);
        for groups in [&mut self.user, &mut self.request] {
            if !groups.is_empty() {
                *groups = gather(groups, indices, 1);
            }
        }
        self.offsets.clear();
    }

    /// Where each row of `indices` goes when they are grouped by scenario, and where each group begins: the [`position`](Batch::position)
    /// and the [`offsets`](Batch::offsets) that [`take_grouped`](Batch::take_grouped) gives.
    pub(crate) fn group_order(&self, indices: &[u32], groups: usize) -> (Vec<u32>, Vec<usize>) {
        group_order(&self.scenario, indices, groups)
    }

    /// Adds the rows of `other`, which must come from the same encoder, behind these. The result counts as not grouped.
    pub fn append(&mut self, other: &Batch) {
        self.append_rows(other, 0..other.rows);
    }

    /// Adds some rows of `other`, which must come from the same encoder, behind these. The result counts as not grouped.
    /// The cost does not depend on how many rows there are already.
    pub fn append_rows(&mut self, other: &Batch, rows: Range<usize>) {
        if self.features.is_empty() {
            self.features.extend(other.features.iter().map(Column::like));
        }
        assert_eq!(self.features.len(), other.features.len(), "batches of different encoders");
        for (mine, theirs) in self.features.iter_mut().zip(&other.features) {
            mine.append(theirs, &rows, other.rows);
        }
        let tasks = other.tasks();
        let labels = rows.start * tasks..rows.end * tasks;
        self.scenario.extend_from_slice(&other.scenario[rows.clone()]);
        self.labels.extend_from_slice(&other.labels[labels.clone()]);
        self.observed.extend_from_slice(&other.observed[labels]);
        self.weight.extend_from_slice(&other.weight[rows.clone()]);
        let groups = |ids: &[u64]| if ids.is_empty() { 0..0 } else { rows.clone() };
        self.user.extend_from_slice(&other.user[groups(&other.user)]);
        self.request.extend_from_slice(&other.request[groups(&other.request)]);
        if !self.offsets.is_empty() {
            self.offsets.clear();
            self.position.clear();
        }
        self.rows += rows.len();
        self.position.extend(self.position.len() as u32..self.rows as u32);
    }

    /// Takes all rows out and keeps the memory for others.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.features.iter_mut().for_each(Column::clear);
        self.scenario.clear();
        self.offsets.clear();
        self.labels.clear();
        self.observed.clear();
        self.weight.clear();
        self.user.clear();
        self.request.clear();
        self.position.clear();
    }

    /// Labels per row; 0 for a batch without rows.
    pub fn tasks(&self) -> usize {
        self.labels.len().checked_div(self.rows).unwrap_or(0)
    }

    /// Bytes the rows take in memory, without what was reserved ahead.
    pub fn bytes(&self) -> usize {
        let features: usize = self.features.iter().map(Column::bytes).sum();
        let labels = self.labels.len() * 5;
        features
            + labels
            + self.scenario.len() * 2
            + (self.weight.len() + self.position.len()) * 4
            + (self.user.len() + self.request.len()) * 8
    }
}

impl Column {
    fn take(&self, indices: &[u32], rows: usize) -> Column {
        match self {
            Column::Ids(ids) => Column::Ids(gather(ids, indices, 1)),
            Column::Dense(values) => {
                Column::Dense(gather(values, indices, values.len().checked_div(rows).unwrap_or(0)))
            }
            Column::Bag { offsets, ids, weights } => {
                let range = |index: &u32| offsets[*index as usize] as usize..offsets[*index as usize + 1] as usize;
                let mut taken = Vec::with_capacity(indices.len() + 1);
                taken.push(0);
                let mut end = 0;
                for index in indices {
                    end += range(index).len() as u32;
                    taken.push(end);
                }
                let mut ids_taken = Vec::with_capacity(end as usize);
                indices.iter().for_each(|index| ids_taken.extend_from_slice(&ids[range(index)]));
                let weights = weights.as_ref().map(|weights| {
                    let mut weights_taken = Vec::with_capacity(end as usize);
                    indices.iter().for_each(|index| weights_taken.extend_from_slice(&weights[range(index)]));
                    weights_taken
                });
                Column::Bag { offsets: taken, ids: ids_taken, weights }
            }
        }
    }

    /// An empty column of the same kind.
    fn like(&self) -> Column {
        match self {
            Column::Ids(_) => Column::Ids(Vec::new()),
            Column::Dense(_) => Column::Dense(Vec::new()),
            Column::Bag { weights, .. } => {
                Column::Bag { offsets: vec![0], ids: Vec::new(), weights: weights.as_ref().map(|_| Vec::new()) }
            }
        }
    }

    /// Adds `rows` of the `total` rows of `other`.
    fn append(&mut self, other: &Column, rows: &Range<usize>, total: usize) {
        match (self, other) {
            (Column::Ids(mine), Column::Ids(theirs)) => mine.extend_from_slice(&theirs[rows.clone()]),
            (Column::Dense(mine), Column::Dense(theirs)) => {
                let width = theirs.len().checked_div(total).unwrap_or(0);
                mine.extend_from_slice(&theirs[rows.start * width..rows.end * width]);
            }
            (
                Column::Bag { offsets, ids, weights },
                Column::Bag { offsets: more, ids: more_ids, weights: more_weights },
            ) => {
                let (from, to) = (more[rows.start], more[rows.end]);
                let base = ids.len() as u32;
                offsets.extend(more[rows.start + 1..=rows.end].iter().map(|offset| base + (offset - from)));
                ids.extend_from_slice(&more_ids[from as usize..to as usize]);
                if let (Some(weights), Some(more)) = (weights, more_weights) {
                    weights.extend_from_slice(&more[from as usize..to as usize]);
                }
            }
            (Column::Ids(_) | Column::Dense(_) | Column::Bag { .. }, _) => panic!("batches of different encoders"),
        }
    }

    fn clear(&mut self) {
        match self {
            Column::Ids(ids) => ids.clear(),
            Column::Dense(values) => values.clear(),
            Column::Bag { offsets, ids, weights } => {
                offsets.truncate(1);
                ids.clear();
                weights.iter_mut().for_each(Vec::clear);
            }
        }
    }

    fn bytes(&self) -> usize {
        4 * match self {
            Column::Ids(ids) => ids.len(),
            Column::Dense(values) => values.len(),
            Column::Bag { offsets, ids, weights } => offsets.len() + ids.len() + weights.as_ref().map_or(0, Vec::len),
        }
    }
}

/// Counting sort by scenario: the places of `indices` group by group, and where each group begins.
fn group_order(scenario: &[u16], indices: &[u32], groups: usize) -> (Vec<u32>, Vec<usize>) {
    let mut offsets = vec![0; groups + 1];
    for &index in indices {
        offsets[usize::from(scenario[index as usize]) + 1] += 1;
    }
    for group in 0..groups {
        offsets[group + 1] += offsets[group];
    }
    let mut next = offsets.clone();
    let mut order = vec![0; indices.len()];
    for (place, &index) in (0_u32..).zip(indices) {
        let slot = &mut next[usize::from(scenario[index as usize])];
        order[*slot] = place;
        *slot += 1;
    }
    (order, offsets)
}

fn gather<T: Copy>(values: &[T], indices: &[u32], width: usize) -> Vec<T> {
    if width == 1 {
        return indices.iter().map(|&index| values[index as usize]).collect();
    }
    let mut taken = Vec::with_capacity(indices.len() * width);
    for &index in indices {
        taken.extend_from_slice(&values[index as usize * width..(index as usize + 1) * width]);
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A batch whose every value tells the row it belongs to.
    fn batch(scenarios: &[u16]) -> Batch {
        let rows = scenarios.len();
        let ids = || 0..rows as u32;
        let lengths: Vec<u32> = ids().map(|row| row % 3).collect();
        let offsets = std::iter::once(0).chain(lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        }));
        let items: Vec<u32> = ids().flat_map(|row| vec![row; lengths[row as usize] as usize]).collect();
        let weights = items.iter().map(|&item| item as f32).collect();
        Batch {
            rows,
            features: vec![
                Column::Ids(ids().collect()),
                Column::Dense(ids().flat_map(|row| [row as f32, -(row as f32)]).collect()),
                Column::Bag { offsets: offsets.collect(), ids: items, weights: Some(weights) },
            ],
            scenario: scenarios.to_vec(),
            offsets: Vec::new(),
            labels: ids().flat_map(|row| [row as f32, row as f32 + 0.5]).collect(),
            observed: ids().flat_map(|row| [row % 2 == 0, true]).collect(),
            weight: ids().map(|row| row as f32).collect(),
            user: ids().map(u64::from).collect(),
            request: Vec::new(),
            position: ids().collect(),
            first_row: 7,
        }
    }

    proptest! {
        #[test]
        fn grouping_sorts_by_scenario_keeps_order_within_and_loses_nothing(scenarios in prop::collection::vec(0_u16..5, 0..60)) {
            let plain = batch(&scenarios);
            let grouped = plain.grouped(5);
            prop_assert_eq!(grouped.offsets.len(), 6);
            prop_assert!(grouped.scenario.is_sorted());
            for group in 0..5 {
                let (from, to) = (grouped.offsets[group], grouped.offsets[group + 1]);
                prop_assert!(grouped.scenario[from..to].iter().all(|&scenario| usize::from(scenario) == group));
                prop_assert!(grouped.position[from..to].is_sorted());
            }
            let mut back = vec![0; plain.rows];
            for (row, &position) in (0_u32..).zip(&grouped.position) {
                back[position as usize] = row;
            }
            prop_assert_eq!(Batch { position: plain.position.clone(), ..grouped.take(&back) }, plain);
        }

        #[test]
        fn permuting_takes_all_rows_in_that_order(scenarios in prop::collection::vec(0_u16..5, 1..60), by in 0_usize..60) {
            let plain = batch(&scenarios);
            let mut order: Vec<u32> = (0..plain.rows as u32).collect();
            order.rotate_left(by % plain.rows);
            order.reverse();
            let mut permuted = plain.clone();
            permuted.permute(&order, Work::InTurn);
            prop_assert_eq!(permuted, plain.take(&order));
        }

        #[test]
        fn appending_then_taking_the_parts_gives_the_parts(first in prop::collection::vec(0_u16..3, 1..20), second in prop::collection::vec(0_u16..3, 1..20)) {
            let mut both = Batch { first_row: 7, ..Batch::default() };
            both.append(&batch(&second));
            both.clear();
            let half = first.len() / 2;
            both.append_rows(&batch(&first), 0..half);
            both.append_rows(&batch(&first), half..first.len());
            both.append(&batch(&second));
            let cut = first.len() as u32;
            prop_assert_eq!(both.take(&(0..cut).collect::<Vec<_>>()), batch(&first));
            prop_assert_eq!(both.take(&(cut..cut + second.len() as u32).collect::<Vec<_>>()), batch(&second));
        }
    }
}
