//! Embedding tables: outside of the tape, `[rows, dim]` each, read by [`Embeddings::gather`] and moved row by row by a
//! [`SparseOptimiser`].
//!
//! Row 0 of a table stands for a missing value, row 1 for an unseen one. Several slots may read one table.

mod aligned;
mod config;
mod gather;
mod init;
mod optimiser;
mod touched;

pub use config::{EmbeddingConfig, SparseOptimiserConfig, SparseOptimiserKind};
pub use optimiser::SparseOptimiser;

use hinet_data::{Layout, Slot, TableSpec};

use aligned::Aligned;

/// The tables of a model, and where each slot's columns lie in the dense input.
#[derive(Clone, Debug)]
pub struct Embeddings {
    tables: Vec<Table>,
    slots: Vec<Placed>,
    width: usize,
}

/// One table, row-major.
#[derive(Clone, Debug)]
struct Table {
    spec: TableSpec,
    values: Aligned,
    /// Indices of the slots that read it.
    readers: Vec<usize>,
}

/// A slot and its columns `start..start + width` of the dense input.
#[derive(Clone, Debug)]
struct Placed {
    slot: Slot,
    start: usize,
    width: usize,
}

impl Embeddings {
    /// Tables with their first draws. `seed(table name)` is the seed of that table's own stream: another table, or more
    /// rows in this one, change no draw. Runs on the threads of the pool it is called in, and draws the same on any.
    #[must_use]
    pub fn new(layout: &Layout, config: &EmbeddingConfig, seed: impl Fn(&str) -> u64) -> Embeddings {
        let mut embeddings = Embeddings::zeros(layout);
        for table in &mut embeddings.tables {
            init::fill(&mut table.values, table.spec.dim, config.init_std, seed(&table.spec.name));
        }
        embeddings
    }

    /// Tables that hold nothing but 0.
    #[must_use]
    pub fn zeros(layout: &Layout) -> Embeddings {
        let readers = |table: usize| {
            let reads = |&slot: &usize| layout.slots[slot].table() == Some(table);
            (0..layout.slots.len()).filter(reads).collect()
        };
        let tables = layout.tables.iter().enumerate().map(|(index, spec)| Table {
            spec: spec.clone(),
            values: Aligned::zeros(spec.rows * spec.dim),
            readers: readers(index),
        });
        let mut start = 0;
        let slots = layout.slots.iter().map(|slot| {
            let width = layout.slot_width(slot);
            start += width;
            Placed { slot: slot.clone(), start: start - width, width }
        });
        Embeddings { tables: tables.collect(), slots: slots.collect(), width: layout.width() }
    }

    /// No table and no slot.
    pub(crate) fn empty() -> Embeddings {
        Embeddings { tables: Vec::new(), slots: Vec::new(), width: 0 }
    }

    /// Name, rows and width of each table, in the order of [`Layout::tables`].
    pub fn specs(&self) -> impl ExactSizeIterator<Item = &TableSpec> {
        self.tables.iter().map(|table| &table.spec)
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
}

/// Whether the caller runs in a pool of more than one thread.
fn in_pool() -> bool {
    rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1
}
