//! Rows into blocks, blocks into batches.

use std::sync::Arc;

use super::Sent;
use super::ahead::Ahead;
use super::encoded::EncodedRows;
use crate::seed::shuffle;
use crate::{Batch, DataError, Seed};

/// How a stream of rows is cut.
pub(super) struct Blocks {
    pub(super) batch_rows: usize,
    /// Rows of a block, rounded down to whole batches, one at least.
    pub(super) block_rows: usize,
    /// Where the order inside a block comes from; nothing: as it is.
    pub(super) shuffle: Option<Seed>,
    /// [`Layout::groups`](crate::Layout::groups).
    pub(super) groups: usize,
    pub(super) skip_batches: u64,
}

impl Blocks {
    /// Sends all batches. While one block is given out the next fills at the same pace, so that nobody waits at its end.
    pub(super) fn run(mut self, rows: EncodedRows, ahead: &Ahead) -> Sent {
        let block_rows = (self.block_rows / self.batch_rows).max(1) * self.batch_rows;
        let mut filler = Filler { rows, rest: None, ahead };
        let (mut block, mut following) = (Batch::default(), Batch::default());
        let mut first_row = 0;
        filler.fill(&mut block, block_rows)?;
        for index in 0.. {
            let mut given = 0;
            for Grouping { position, offsets } in self.arrange(&mut block, index, ahead) {
                let rows = given..given + position.len();
                given = rows.end;
                filler.fill(&mut following, given)?;
                if self.skip_batches > 0 {
                    self.skip_batches -= 1;
                } else {
                    let mut batch = Batch::default();
                    batch.append_rows(&block, rows);
                    ahead.send(Batch {
                        position,
                        offsets,
                        first_row: first_row + (given - batch.rows) as u64,
                        ..batch
                    })?;
                }
            }
            first_row += given as u64;
            if following.rows == 0 {
                break;
            }
            std::mem::swap(&mut block, &mut following);
            following.clear();
        }
        Ok(())
    }

    /// Puts the rows of a block in the order in which batches take them, grouped by scenario within each batch.
    fn arrange(&self, block: &mut Batch, index: u64, ahead: &Ahead) -> Vec<Grouping> {
        let order = self.order(block.rows, index);
        let mut grouped = Vec::with_capacity(order.len());
        let mut groupings = Vec::with_capacity(order.len().div_ceil(self.batch_rows));
        for indices in order.chunks(self.batch_rows) {
            let (position, offsets) = block.group_order(indices, self.groups);
            grouped.extend(position.iter().map(|&place| indices[place as usize]));
            groupings.push(Grouping { position, offsets });
        }
        ahead.run(|work| block.permute(&grouped, work));
        groupings
    }

    fn order(&self, rows: usize, block: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..rows as u32).collect();
        if let Some(seed) = self.shuffle {
            shuffle(&mut order, seed.stream("block", block));
        }
        order
    }
}

/// How the rows of a batch are grouped by scenario.
struct Grouping {
    /// [`Batch::position`].
    position: Vec<u32>,
    /// [`Batch::offsets`].
    offsets: Vec<usize>,
}

/// Fills blocks to the row, however many rows come at once.
struct Filler<'a> {
    rows: EncodedRows,
    /// Rows that were more than the last block needed, and how many of them are used up.
    rest: Option<(Arc<Batch>, usize)>,
    ahead: &'a Ahead,
}

impl Filler<'_> {
    /// Adds rows until there are `target` of them, or no more.
    fn fill(&mut self, block: &mut Batch, target: usize) -> Result<(), DataError> {
        while block.rows < target {
            let (batch, from) = match self.rest.take() {
                Some(rest) => rest,
                None => match self.ahead.next(&mut self.rows)? {
                    Some(batch) => (batch, 0),
                    None => return Ok(()),
                },
            };
            let to = batch.rows.min(from + target - block.rows);
            block.append_rows(&batch, from..to);
            if to < batch.rows {
                self.rest = Some((batch, to));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stream::SharedCounts;
    use crate::work::Helpers;
    use crate::{Column, EncodeCounts};

    fn rows(from: usize, to: usize) -> Batch {
        let numbers = || (from..to).map(|row| row as u32);
        Batch {
            rows: to - from,
            features: vec![Column::Ids(numbers().collect())],
            scenario: numbers().map(|row| (row % 3) as u16).collect(),
            labels: numbers().map(|row| (row % 2) as f32).collect(),
            observed: numbers().map(|row| row % 5 > 0).collect(),
            weight: vec![1.0; to - from],
            position: (0..(to - from) as u32).collect(),
            ..Batch::default()
        }
    }

    /// The batches of `total` rows that come in pieces of these sizes, over and over.
    fn run(pieces: &[usize], total: usize) -> Vec<Batch> {
        let mut rest = Vec::new();
        let mut from = 0;
        for &piece in pieces.iter().cycle() {
            let to = total.min(from + piece);
            rest.push(Arc::new(rows(from, to)));
            from = to;
            if from == total {
                break;
            }
        }
        rest.reverse();
        let (out, receiver) = crossbeam_channel::unbounded();
        let ahead = Ahead { out, counts: SharedCounts::default(), helpers: Helpers::new(1) };
        let blocks = Blocks { batch_rows: 7, block_rows: 30, shuffle: Some(Seed(1)), groups: 4, skip_batches: 0 };
        blocks.run(EncodedRows::Cached { rest, counts: EncodeCounts::default() }, &ahead).unwrap();
        drop(ahead);
        receiver.iter().map(Result::unwrap).collect()
    }

    proptest! {
        #[test]
        fn batches_do_not_depend_on_how_many_rows_come_at_once(pieces in prop::collection::vec(1_usize..40, 1..6), total in 1_usize..150) {
            prop_assert_eq!(run(&pieces, total), run(&[1], total));
        }
    }
}
