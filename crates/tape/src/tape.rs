//! Runs a graph: forward, then backward.

/// One batch as the tape reads it.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// Rows of the batch.
    pub rows: usize,
    /// Rows of group `g` are `offsets[g]..offsets[g + 1]`; `groups + 1` numbers from 0 to `rows`.
    pub offsets: &'a [usize],
    /// The dense inputs in the order they were recorded, each `rows * width`.
    pub inputs: &'a [&'a [f32]],
    /// The index inputs in the order they were recorded, each `rows` long.
    pub indices: &'a [&'a [u32]],
}

/// Whether a pass trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout drops and batch norm uses the statistics of the batch.
    Train {
        /// Seed of this step (already mixed with the step number).
        seed: u64,
    },
    /// Dropout does nothing and batch norm uses the saved statistics.
    Infer,
}

/// Runs one graph.
pub struct Tape;
