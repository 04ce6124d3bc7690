//! The columns of the dense input: what a model reads of the encoded features, and where it lies.
//!
//! ```text
//! [ embeddings and numbers, once or once per task | first-order weights of each feature with ids, one per task ]
//! ```

use hinet_data::{Layout, Slot, TableSpec};

use super::config::Tables;

/// What a model reads of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Who has tables of its own.
    pub(crate) tables: Tables,
    /// Whether features with ids have embeddings; if not, their first-order weights are all there is of them.
    pub(crate) embeddings: bool,
    /// Whether there are first-order weights.
    pub(crate) first_order: bool,
}

impl Columns {
    /// One shared embedding of each id, and nothing else.
    pub(crate) const PLAIN: Columns = Columns { tables: Tables::Shared, embeddings: true, first_order: false };

    /// How many times embeddings and numbers stand side by side.
    pub(crate) fn copies(self, layout: &Layout) -> usize {
        if self.tables.per_task() { layout.tasks.len() } else { 1 }
    }

    /// Columns of embeddings and numbers, all copies.
    pub(crate) fn deep(self, layout: &Layout) -> usize {
        let read = layout.slots.iter().filter(|slot| self.embeddings || slot.table().is_none());
        read.map(|slot| layout.slot_width(slot)).sum::<usize>() * self.copies(layout)
    }

    /// Features with first-order weights of ids; each takes a column per task.
    pub(crate) fn first_order_slots(self, layout: &Layout) -> usize {
        if self.first_order { layout.slots.iter().filter(|slot| slot.table().is_some()).count() } else { 0 }
    }

    /// Columns of the dense input.
    pub(crate) fn width(self, layout: &Layout) -> usize {
        self.deep(layout) + self.first_order_slots(layout) * layout.tasks.len()
    }

    /// Runs of columns (first, width) that hold numbers, within one copy.
    pub(crate) fn numbers(self, layout: &Layout) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let mut start = 0;
        for slot in layout.slots.iter().filter(|slot| self.embeddings || slot.table().is_none()) {
            let width = layout.slot_width(slot);
            if matches!(slot, Slot::Dense { .. }) {
                match runs.last_mut() {
                    Some((first, run)) if *first + *run == start => *run += width,
                    _ => runs.push((start, width)),
                }
            }
            start += width;
        }
        runs
    }

    /// The tables: of embeddings, copy by copy, then of first-order weights. A table whose rows scenarios own has the
    /// rows of the first, then of the second, ...
    pub(crate) fn specs(self, layout: &Layout) -> Vec<TableSpec> {
        let owners = if self.tables.per_scenario() { layout.scenarios.len() } else { 1 };
        let table = |name: String, spec: &TableSpec, dim: usize| TableSpec {
            name,
            rows: spec.rows.saturating_mul(owners),
            dim,
        };
        let mut specs = Vec::new();
        for copy in (0..self.copies(layout)).filter(|_| self.embeddings) {
            let name = |spec: &TableSpec| match self.tables.per_task() {
                true => format!("{}/{}", spec.name, layout.tasks[copy].name),
                false => spec.name.clone(),
            };
            specs.extend(layout.tables.iter().map(|spec| table(name(spec), spec, spec.dim)));
        }
        if self.first_order {
            let name = |spec: &TableSpec| format!("{}/first_order", spec.name);
            specs.extend(layout.tables.iter().map(|spec| table(name(spec), spec, layout.tasks.len())));
        }
        specs
    }
}
