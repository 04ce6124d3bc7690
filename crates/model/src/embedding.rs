//! Embedding tables: outside of the tape, `[rows, dim]` each, read by [`Embeddings::gather`] and moved row by row by a
//! [`SparseOptimiser`].
//!
//! Row 0 of a table stands for a missing value, row 1 for an unseen one. Several slots may read one table. Where scenarios
//! have tables of their own, those of one feature lie in one table one after the other, each with its two reserved rows.

mod columns;
mod config;
mod gather;
mod init;
mod optimiser;
mod products;
mod touched;

pub(crate) use columns::Columns;
pub use config::{EmbeddingConfig, SparseOptimiserConfig, SparseOptimiserKind, Tables};
pub use optimiser::SparseOptimiser;
pub use products::TableProducts;

use hinet_data::{Layout, Pooling, Slot, TableSpec};
use hinet_tape::Buffer;

/// The tables of a model, and where each slot's columns lie in the dense input.
#[derive(Clone, Debug)]
pub struct Embeddings {
    tables: Vec<Table>,
    slots: Vec<Placed>,
    /// Columns of a batch that it reads.
    features: usize,
    width: usize,
    /// The first table, and the first column of the dense input, of first-order weights.
    first_order_table: usize,
    first_order_column: usize,
}

/// One table, row-major.
#[derive(Clone, Debug)]
struct Table {
    spec: TableSpec,
    values: Buffer,
    /// Indices of the slots that read it.
    readers: Vec<usize>,
    /// Rows of each scenario, where each has its own.
    scenario_rows: Option<usize>,
}

/// A slot, the column of the batch and the table that it reads, and its columns `start..start + width` of the dense
/// input.
#[derive(Clone, Debug)]
struct Placed {
    slot: Slot,
    reading: Reading,
    feature: usize,
    table: Option<usize>,
    start: usize,
    width: usize,
}

/// What of a slot lies in its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Its numbers, its embedding, or the pooled one of several.
    Whole,
    /// The embedding of each of so many items, 0 where there are fewer.
    Items(usize),
    /// For each of so many places, whether there is an item.
    Present(usize),
}

/// Columns of the dense input, and what they are looked up in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookedUp<'e> {
    /// The column of the batch, which is also the slot's place in the layout.
    pub(crate) feature: usize,
    pub(crate) slot: &'e Slot,
    /// What of the slot.
    pub(crate) reading: Reading,
    /// Index into [`Embeddings::specs`]; none for numbers.
    pub(crate) table: Option<usize>,
    /// First column.
    pub(crate) start: usize,
    /// Columns.
    pub(crate) width: usize,
}

impl Embeddings {
    /// Tables with their first draws. `seed(table name)` is the seed of that table's own stream: another table, or more
    /// rows in this one, change no draw. Runs on the threads of the pool it is called in, and draws the same on any.
    #[must_use]
    pub fn new(layout: &Layout, config: &EmbeddingConfig, seed: impl Fn(&str) -> u64) -> Embeddings {
        Embeddings::with_columns(layout, &Columns::PLAIN, config, seed)
    }

    /// As [`Embeddings::new`] for what a model reads. First-order weights start at 0; tables of a scenario's own draw
    /// from a stream of their own, `seed(table name/scenario)`.
    pub(crate) fn with_columns(
        layout: &Layout,
        columns: &Columns,
        config: &EmbeddingConfig,
        seed: impl Fn(&str) -> u64,
    ) -> Embeddings {
        let mut embeddings = Embeddings::blank(layout, columns);
        let deep = embeddings.first_order_table;
        for Table { spec, values, scenario_rows, .. } in &mut embeddings.tables[..deep] {
            let Some(rows) = scenario_rows else {
                init::fill(values, spec.dim, config.init_std, seed(&spec.name));
                continue;
            };
            for (values, scenario) in values.chunks_mut(*rows * spec.dim).zip(&layout.scenarios) {
                init::fill(values, spec.dim, config.init_std, seed(&format!("{}/{scenario}", spec.name)));
            }
        }
        embeddings
    }

    /// Tables that hold nothing but 0.
    #[must_use]
    pub fn zeros(layout: &Layout) -> Embeddings {
        Embeddings::blank(layout, &Columns::PLAIN)
    }

    /// As [`Embeddings::zeros`] for what a model reads.
    pub(crate) fn blank(layout: &Layout, columns: &Columns) -> Embeddings {
        let slots = place(layout, columns);
        let per_scenario = columns.tables.per_scenario();
        let tables = columns.specs(layout).into_iter().enumerate().map(|(index, spec)| Table {
            values: Buffer::zeros(spec.rows * spec.dim),
            readers: (0..slots.len()).filter(|&slot| slots[slot].table == Some(index)).collect(),
            scenario_rows: per_scenario.then_some(spec.rows / layout.scenarios.len()),
            spec,
        });
        Embeddings {
            tables: tables.collect(),
            features: layout.slots.len(),
            width: columns.width(layout),
            first_order_table: if columns.embeddings { layout.tables.len() * columns.copies(layout) } else { 0 },
            first_order_column: columns.first_order_start(layout),
            slots,
        }
    }

    /// Name, rows and width of each table: in the order of [`Layout::tables`], for each task that has its own; then those
    /// of first-order weights.
    pub fn specs(&self) -> impl ExactSizeIterator<Item = &TableSpec> {
        self.tables.iter().map(|table| &table.spec)
    }

    /// What the columns of the dense input are looked up in, from the first column on.
    pub(crate) fn looked_up(&self) -> impl Iterator<Item = LookedUp<'_>> {
        self.slots.iter().map(|Placed { slot, reading, feature, table, start, width }| LookedUp {
            feature: *feature,
            slot,
            reading: *reading,
            table: *table,
            start: *start,
            width: *width,
        })
    }

    /// The numbers of one table, `[rows, dim]`.
    #[must_use]
    pub fn table(&self, index: usize) -> &[f32] {
        &self.tables[index].values
    }

    /// The numbers of one table, to be changed.
    pub fn table_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.tables[index].values
    }

    /// Numbers in all tables together.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.tables.iter().map(|table| table.values.len()).sum()
    }

    /// Columns of the dense input that [`Embeddings::gather`] makes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The first of the columns that hold first-order weights, one for each task; the width where there are none.
    #[must_use]
    pub fn first_order_column(&self) -> usize {
        self.first_order_column
    }
}

/// Every slot with its place.
fn place(layout: &Layout, columns: &Columns) -> Vec<Placed> {
    let tables = layout.tables.len();
    let copies = columns.copies(layout);
    let mut places = Places { layout, start: 0, placed: Vec::new() };
    for copy in 0..copies {
        columns.whole(layout).for_each(|(feature, slot)| {
            places.add((feature, Reading::Whole), copy * tables, layout.slot_width(slot));
        });
    }
    for sequence in &columns.sequences {
        let length = sequence.length;
        for &feature in &sequence.slots {
            let width = length * layout.slot_width(&layout.slots[feature]);
            places.add((feature, Reading::Items(length)), 0, width);
        }
        places.add((sequence.slots[0], Reading::Present(length)), 0, length);
    }
    if columns.first_order {
        let first = if columns.embeddings { copies * tables } else { 0 };
        let with_ids = (0..layout.slots.len()).filter(|&feature| layout.slots[feature].table().is_some());
        with_ids.for_each(|feature| places.add((feature, Reading::Whole), first, layout.tasks.len()));
    }
    places.placed
}

/// Slots placed one after the other.
struct Places<'l> {
    layout: &'l Layout,
    start: usize,
    placed: Vec<Placed>,
}

impl Places<'_> {
    /// Adds a slot that reads its table among those from `base` on.
    fn add(&mut self, (feature, reading): (usize, Reading), base: usize, width: usize) {
        let slot = self.layout.slots[feature].clone();
        let reads_table = !matches!(reading, Reading::Present(_));
        let table = slot.table().filter(|_| reads_table).map(|table| base + table);
        self.placed.push(Placed { slot, reading, feature, table, start: self.start, width });
        self.start += width;
    }
}

impl Placed {
    /// Whether the gradient decides which rows of the table it touches.
    fn pools_by_max(&self) -> bool {
        self.reading == Reading::Whole && matches!(self.slot, Slot::Bag { pooling: Pooling::Max, .. })
    }
}

impl Table {
    /// The first row of those that rows of a scenario read; none for an unknown scenario where each has its own.
    fn base(&self, scenario: u16) -> Option<u32> {
        match self.scenario_rows {
            None => Some(0),
            Some(rows) => {
                let base = rows * usize::from(scenario);
                (base < self.spec.rows).then_some(base as u32)
            }
        }
    }
}

/// Whether the caller runs in a pool of more than one thread.
fn in_pool() -> bool {
    rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1
}
