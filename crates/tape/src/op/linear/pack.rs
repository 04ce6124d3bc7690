//! Packing the weights of a linear operator for products.

use super::Blocks;
use crate::buffer::Buffer;
use crate::kernel::product::{self, PAD, packed_len, panel};
use crate::kernel::vectorised;
use crate::op::Context;

/// Packs every unit as `[in, columns of y]`.
pub(super) fn forward(blocks: &Blocks, weight: &[f32], context: &Context<'_>, packed: &mut Buffer) {
    rows((blocks, blocks.inner), |k| k, weight, context, packed);
}

/// Packs some rows of every block, `row(0)`, `row(1)`, ... up to `depth` of them: as [`forward`] would a weight that
/// has no others.
pub(super) fn rows(
    (blocks, depth): (&Blocks, usize),
    row: impl Fn(usize) -> usize + Sync,
    weight: &[f32],
    context: &Context<'_>,
    packed: &mut Buffer,
) {
    let (inner, outer) = (blocks.inner, blocks.outer);
    units(blocks, (depth, blocks.unit_width()), context, packed, |unit, skip, width, to| {
        product::pack(to, depth, width, |k, first, into| {
            let mut done = 0;
            while done < into.len() {
                let (block, column) = ((skip + first + done) / outer, (skip + first + done) % outer);
                let run = (outer - column).min(into.len() - done);
                let from = ((unit * blocks.unit_blocks() + block) * inner + row(k)) * outer + column;
                into[done..done + run].copy_from_slice(&weight[from..from + run]);
                done += run;
            }
        });
    })
}

/// Packs every unit as `[columns of y, in]`.
pub(super) fn backward(blocks: &Blocks, weight: &[f32], context: &Context<'_>, packed: &mut Buffer) {
    let Blocks { inner, outer, .. } = *blocks;
    units(blocks, (blocks.unit_width(), inner), context, packed, |unit, skip, width, to| {
        let from = &weight[unit * blocks.unit_blocks() * inner * outer..];
        transposed((from, inner, outer), (skip, width, blocks.unit_blocks()), to);
    })
}

vectorised! {
    /// Packs columns `skip..skip + width` of the transposed blocks, one block below the other. A row of a block is
    /// read at once and spread over the depths.
    fn transposed<'a>(weight: (&'a [f32], usize, usize), part: (usize, usize, usize), to: &'a mut [f32]) {
        let ((from, inner, outer), (skip, width, blocks)) = (weight, part);
        let full = panel();
        let mut rest = to;
        let mut first = 0;
        while first < width {
            let real = (width - first).min(full);
            let padded = real.next_multiple_of(PAD);
            let (panel, after) = rest.split_at_mut(blocks * outer * padded);
            for (block, panel) in panel.chunks_exact_mut(outer * padded).enumerate() {
                for column in 0..padded {
                    let row = (block * inner + skip + first + column) * outer;
                    let row = if column < real { &from[row..row + outer] } else { &[] };
                    for (k, to) in panel[column..].iter_mut().step_by(padded).enumerate() {
                        *to = if column < real { row[k] } else { 0.0 };
                    }
                }
            }
            first += real;
            rest = after;
        }
    }
}

/// Packs all units one after the other, panels in parallel: `part(unit, first column, columns, into)`.
fn units(
    blocks: &Blocks,
    (depth, width): (usize, usize),
    context: &Context<'_>,
    packed: &mut Buffer,
    part: impl Fn(usize, usize, usize, &mut [f32]) + Sync,
) {
    let size = packed_len(depth, width);
    let units = blocks.unit_count();
    packed.resize(units * size);
    // Panels of equal size can be packed apart; else a unit is packed as a whole, unless it is the only one.
    let panel = panel();
    let apart = units == 1 || width.is_multiple_of(panel);
    let (chunk, per_unit) = if apart { (depth * panel, width.div_ceil(panel)) } else { (size, 1) };
    context.parallel.chunks(packed, chunk, |i, to| {
        let (unit, skip) = (i / per_unit, i % per_unit * panel);
        part(unit, skip, if apart { panel.min(width - skip) } else { width }, to);
    });
}
