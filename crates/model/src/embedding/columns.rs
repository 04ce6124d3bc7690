//! The columns of the dense input: what a model reads of the encoded features, and where it lies.
//!
//! ```text
//! [ embeddings and numbers, once or once per task | sequences | first-order weights of each feature with ids, one per task ]
//! ```
//!
//! Of a sequence that is read item by item: the embeddings of its first list, `length` places of one embedding each, then those
//! of each list along it, then for each place 1 where there is an item and 0 where there is none. Embeddings there are 0.

use hinet_data::{Layout, Sequence, Slot, TableSpec};

use super::config::Tables;

/// What a model reads of the features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Who has tables of its own.
    pub(crate) tables: Tables,
    /// Whether features with ids have embeddings; if not, their first-order weights are all there is of them.
    pub(crate) embeddings: bool,
    /// Whether there are first-order weights.
    pub(crate) first_order: bool,
    /// Sequences whose items are read one by one, instead of pooled.
    pub(crate) sequences: Vec<Sequence>,
}

impl Columns {
    /// One shared embedding of each id, and nothing else.
    pub(crate) const PLAIN: Columns =
        Columns { tables: Tables::Shared, embeddings: true, first_order: false, sequences: Vec::new() };

    /// How many times embeddings and numbers stand side by side.
    pub(crate) fn copies(&self, layout: &Layout) -> usize {
        if self.tables.per_task() { layout.tasks.len() } else { 1 }
    }

    /// The slots that enter with one embedding, or numbers, each with its place in the layout.
    pub(crate) fn whole<'l>(&self, layout: &'l Layout) -> impl Iterator<Item = (usize, &'l Slot)> {
        let by_item = |place: &usize| self.sequences.iter().any(|sequence| sequence.slots.contains(place));
        let slots = layout.slots.iter().enumerate();
        slots.filter(move |(place, slot)| (self.embeddings || slot.table().is_none()) && !by_item(place))
    }

    /// Columns of embeddings and numbers, all copies.
    pub(crate) fn deep(&self, layout: &Layout) -> usize {
        self.whole(layout).map(|(_, slot)| layout.slot_width(slot)).sum::<usize>() * self.copies(layout)
    }

    /// Columns of a sequence.
    pub(crate) fn of_sequence(layout: &Layout, sequence: &Sequence) -> usize {
        let item: usize = sequence.slots.iter().map(|&slot| layout.slot_width(&layout.slots[slot])).sum();
        (item + 1) * sequence.length
    }

    /// The first column of first-order weights.
    pub(crate) fn first_order_start(&self, layout: &Layout) -> usize {
        let sequences = self.sequences.iter().map(|sequence| Columns::of_sequence(layout, sequence));
        self.deep(layout) + sequences.sum::<usize>()
    }

    /// Features with first-order weights of ids; each takes a column per task.
    pub(crate) fn first_order_slots(&self, layout: &Layout) -> usize {
        if self.first_order { layout.slots.iter().filter(|slot| slot.table().is_some()).count() } else { 0 }
    }

    /// Columns of the dense input.
    pub(crate) fn width(&self, layout: &Layout) -> usize {
        self.first_order_start(layout) + self.first_order_slots(layout) * layout.tasks.len()
    }

    /// The tables: of embeddings, copy by copy, then of first-order weights. A table whose rows scenarios own has the
    /// rows of the first, then of the second, ...
    pub(crate) fn specs(&self, layout: &Layout) -> Vec<TableSpec> {
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
