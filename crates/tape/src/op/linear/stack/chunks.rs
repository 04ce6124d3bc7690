//! Chunks of rows, and buffers dealt out to them.

use std::ops::Range;

use super::ROWS;
use crate::kernel::product::TILE;
use crate::op::Context;
use crate::op::linear::Blocks;
use crate::parallel::Parallel;

/// Rows that go through the same blocks together.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(super) rows: Range<usize>,
    pub(super) blocks: Range<usize>,
    /// The group of its rows, where they are of one.
    pub(super) group: usize,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Fills in the chunks of a batch: of nearly equal size, and of whole tiles. Rows of a chunk go through the same blocks;
/// `by_group` says whether they are of one group also where those of all groups do.
pub(super) fn fill(chunks: &mut Vec<Chunk>, blocks: &Blocks, context: &Context<'_>, by_group: bool) {
    chunks.clear();
    let mut add = |rows: Range<usize>, blocks: Range<usize>, group: usize| {
        let count = rows.len().div_ceil(ROWS).max(1);
        let size = rows.len().div_ceil(count).next_multiple_of(TILE).max(TILE);
        for first in rows.clone().step_by(size) {
            chunks.push(Chunk { rows: first..(first + size).min(rows.end), blocks: blocks.clone(), group });
        }
    };
    if by_group && !blocks.own {
        for group in 0..context.graph.groups() {
            add(context.group_rows(blocks.rows, group), 0..blocks.all(), group);
        }
    } else {
        for (group, segment) in blocks.segments(context).enumerate() {
            add(segment.rows, segment.blocks, group);
        }
    }
}

/// A buffer of which every chunk has a part.
pub(super) struct Dealt<'a> {
    data: &'a mut [f32],
    per_row: usize,
    per_chunk: usize,
}

impl<'a> Dealt<'a> {
    /// So many elements per row.
    pub(super) fn rows(data: &'a mut [f32], per_row: usize) -> Dealt<'a> {
        Dealt { data, per_row, per_chunk: 0 }
    }

    /// So many elements per row, the rows being those of whole tiles.
    pub(super) fn tiles(data: &'a mut [f32], per_row: usize) -> Dealt<'a> {
        Dealt { data, per_row, per_chunk: (TILE - 1) * per_row }
    }

    /// So many elements per chunk.
    pub(super) fn chunks(data: &'a mut [f32], per_chunk: usize) -> Dealt<'a> {
        Dealt { data, per_row: 0, per_chunk }
    }

    fn split(self, chunks: &[Chunk]) -> (Dealt<'a>, Dealt<'a>) {
        let Dealt { data, per_row, per_chunk } = self;
        let rows: usize = chunks.iter().map(Chunk::len).sum();
        let (first, second) = data.split_at_mut(rows * per_row + chunks.len() * per_chunk);
        (Dealt { data: first, per_row, per_chunk }, Dealt { data: second, per_row, per_chunk })
    }
}

/// Elements of a [`Dealt::tiles`].
pub(super) fn tiles_of_all(chunks: &[Chunk], per_row: usize) -> usize {
    chunks.iter().map(|chunk| (chunk.len() + TILE - 1) * per_row).sum()
}

/// Runs `f(number of the chunk, its parts of the buffers)` for every chunk: halves of them side by side, down to one.
pub(super) fn each<const N: usize>(
    parallel: Parallel,
    (first, chunks): (usize, &[Chunk]),
    buffers: [Dealt<'_>; N],
    f: &(impl Fn(usize, [&mut [f32]; N]) + Sync),
) {
    match chunks.len() {
        0 => {}
        1 => f(first, buffers.map(|buffer| buffer.data)),
        count => {
            let (left, right) = chunks.split_at(count / 2);
            let mut seconds = [const { None }; N];
            let mut number = 0;
            let firsts = buffers.map(|buffer| {
                let (one, two) = buffer.split(left);
                seconds[number] = Some(two);
                number += 1;
                one
            });
            let seconds = seconds.map(|buffer| buffer.expect("every buffer was split"));
            parallel.join(
                || each(parallel, (first, left), firsts, f),
                || each(parallel, (first + left.len(), right), seconds, f),
            );
        }
    }
}
