//! From the gradient of a linear operator's result to that of what went into its activation: `dz = dy * activation'`.

#![expect(clippy::wildcard_enum_match_arm, reason = "activations without a copy of the loop of their own share one")]

use std::ops::Range;

use crate::graph::Activation;
use crate::kernel::math::slope;
use crate::kernel::product::{PAD, TILE, packed_len, panel};
use crate::kernel::{add_to, vectorised};

/// Some columns of the rows of a result.
pub(super) type Columns<'a> = (&'a [f32], usize, Range<usize>);

vectorised! {
    /// `gradient *= activation'` in some columns, from the activation's result.
    pub(super) fn mask<'a>(activation: Activation, value: Columns<'a>, gradient: &'a mut [f32]) {
        let (value, width, columns) = value;
        if activation == Activation::Identity {
            return;
        }
        for (gradient, value) in gradient.chunks_exact_mut(width).zip(value.chunks_exact(width)) {
            let (gradient, value) = (&mut gradient[columns.clone()], &value[columns.clone()]);
            if activation == Activation::Relu {
                for (g, y) in gradient.iter_mut().zip(value) {
                    *g = if *y > 0.0 { *g } else { 0.0 };
                }
            } else {
                gradient.iter_mut().zip(value).for_each(|(g, y)| *g *= slope(activation, *y, *y));
            }
        }
    }
}

vectorised! {
    /// As [`mask`], and adds each row of the gradient to `sums`.
    pub(super) fn mask_and_sum<'a>(activation: Activation, value: Columns<'a>, gradient: &'a mut [f32], sums: &'a mut [f32]) {
        let (value, width, columns) = value;
        for (gradient, value) in gradient.chunks_exact_mut(width).zip(value.chunks_exact(width)) {
            let (gradient, value) = (&mut gradient[columns.clone()], &value[columns.clone()]);
            match activation {
                Activation::Identity => add_to(sums, gradient),
                Activation::Relu => {
                    for ((g, y), sum) in gradient.iter_mut().zip(value).zip(sums.iter_mut()) {
                        *g = if *y > 0.0 { *g } else { 0.0 };
                        *sum += *g;
                    }
                }
                other => {
                    for ((g, y), sum) in gradient.iter_mut().zip(value).zip(sums.iter_mut()) {
                        *g *= slope(other, *y, *y);
                        *sum += *g;
                    }
                }
            }
        }
    }
}

/// Rows of a result and of its gradient: some blocks side by side.
#[derive(Clone, Copy)]
pub(super) struct Gradient<'a> {
    pub(super) value: &'a [f32],
    pub(super) gradient: &'a [f32],
    pub(super) rows: usize,
    pub(super) blocks: usize,
    /// Columns of a block.
    pub(super) width: usize,
}

impl<'a> Gradient<'a> {
    fn row(&self, row: usize, block: usize, first: usize, len: usize) -> (&'a [f32], &'a [f32]) {
        let at = (row * self.blocks + block) * self.width + first;
        (&self.value[at..at + len], &self.gradient[at..at + len])
    }
}

vectorised! {
    /// Packs dz of each block as the right side of a product, one block after the other, and adds each row to `sums`. Row by
    /// row over all blocks: what arrives is read straight through.
    pub(super) fn panels_of<'a>(activation: Activation, from: Gradient<'a>, to: &'a mut [f32], sums: &'a mut [f32]) {
        let (full, size) = (panel(), packed_len(from.rows, from.width));
        for row in 0..from.rows {
            for block in 0..from.blocks {
                let to = &mut to[block * size..][..size];
                let sums = &mut sums[block * from.width..][..from.width];
                for (place, sums) in sums.chunks_mut(PAD).enumerate() {
                    let (column, real) = (place * PAD, sums.len());
                    let panel = column / full * full;
                    let padded = (from.width - panel).min(full).next_multiple_of(PAD);
                    let (value, gradient) = from.row(row, block, column, real);
                    let to = &mut to[from.rows * panel + row * padded + column - panel..][..PAD];
                    let whole = (value.try_into(), gradient.try_into(), (&mut *to).try_into(), (&mut *sums).try_into());
                    if let (Ok(value), Ok(gradient), Ok(to), Ok(sums)) = whole {
                        dz::<PAD>(activation, value, gradient, to, sums);
                        continue;
                    }
                    to.fill(0.0);
                    for i in 0..real {
                        to[i] = times_slope(activation, gradient[i], value[i]);
                        sums[i] += to[i];
                    }
                }
            }
        }
    }
}

/// dz of a run of columns of one row; its length is known, so the loops become a few vector instructions.
#[inline(always)]
fn dz<const N: usize>(
    activation: Activation,
    value: &[f32; N],
    gradient: &[f32; N],
    to: &mut [f32; N],
    sums: &mut [f32; N],
) {
    match activation {
        Activation::Identity => *to = *gradient,
        Activation::Relu => {
            for i in 0..N {
                to[i] = if value[i] > 0.0 { gradient[i] } else { 0.0 };
            }
        }
        other => {
            for i in 0..N {
                to[i] = times_slope(other, gradient[i], value[i]);
            }
        }
    }
    for i in 0..N {
        sums[i] += to[i];
    }
}

#[inline(always)]
fn times_slope(activation: Activation, gradient: f32, value: f32) -> f32 {
    match activation {
        Activation::Identity => gradient,
        Activation::Relu if value > 0.0 => gradient,
        Activation::Relu => 0.0,
        other => gradient * slope(other, value, value),
    }
}

/// Packs the panels of a right side, `[rows, width]`, as the tiles of a left side of the same rows.
pub(super) fn tiles_of_panels(panels: &[f32], (rows, width): (usize, usize), to: &mut [f32]) {
    let full = panel();
    for (tile, to) in to.chunks_exact_mut(width * TILE).take(rows.div_ceil(TILE)).enumerate() {
        let (to, _) = to.as_chunks_mut::<TILE>();
        for first in (0..width).step_by(full) {
            let real = (width - first).min(full);
            let padded = real.next_multiple_of(PAD);
            let panel = &panels[rows * first..][..rows * padded];
            let mut lines = [&panel[..0]; TILE];
            for (i, line) in lines.iter_mut().enumerate() {
                *line = &panel[(tile * TILE + i).min(rows - 1) * padded..][..real];
            }
            for (k, to) in to[first..first + real].iter_mut().enumerate() {
                for i in 0..TILE {
                    to[i] = lines[i][k];
                }
            }
        }
    }
}
