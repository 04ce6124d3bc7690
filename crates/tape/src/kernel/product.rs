//! Matrix products on one thread: `out (+)= left * right`, the right side packed in panels of columns.
//!
//! The micro-kernel keeps a tile of the result in registers, reads the left side where it lies (one broadcast per
//! element) and streams a packed panel of the right side. Everything goes through `pulp`, so it is safe code and
//! picks AVX-512, AVX2 and FMA, NEON or plain scalars at run time.

#![expect(
    clippy::needless_range_loop,
    clippy::manual_memcpy,
    reason = "a tile's loops have constant bounds and unroll; iterators over arrays of vectors did not"
)]

use pulp::{Arch, Simd, WithSimd};

/// Columns of a full panel on a processor with AVX-512.
const WIDE_PANEL: usize = 64;
/// Depth that one pass over the tiles takes: a full panel of that depth is 32 KB.
const DEPTH: usize = 128;
/// Depths of a row that are read at a time.
const RUN: usize = 8;
/// Panels of the last columns are padded to a multiple of this.
pub(crate) const PAD: usize = 16;

/// Columns of a full panel: those of one tile. A tile that took a part of a wider panel would skip between lines of
/// the cache, and find its panel in a few sets of it only.
pub(crate) fn panel() -> usize {
    struct Panel;
    impl WithSimd for Panel {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            if S::F32_LANES == 16 { WIDE_PANEL } else { PAD }
        }
    }
    Arch::new().dispatch(Panel)
}

/// The left operand: element (row i, depth k) is `data[i * row + k * depth]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    /// Distance between rows.
    pub(crate) row: usize,
    /// Distance between depths; this or `row` is 1.
    pub(crate) depth: usize,
}

/// The right operand, `[depth, width]`, in panels of [`panel`] columns (the last one narrower), each `[depth][columns]`.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) data: &'a [f32],
    /// Depth that was packed.
    pub(crate) packed: usize,
    /// First depth that the product takes.
    pub(crate) first: usize,
    /// Depths that the product takes.
    pub(crate) depth: usize,
    pub(crate) width: usize,
}

impl<'a> Packed<'a> {
    /// All of a packed `[depth, width]`.
    pub(crate) fn all(data: &'a [f32], depth: usize, width: usize) -> Packed<'a> {
        Packed { data, packed: depth, first: 0, depth, width }
    }
}

/// The result: row i is `data[i * stride..][..width]`.
pub(crate) struct Out<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) stride: usize,
    pub(crate) rows: usize,
}

/// What the product is added to, and what happens to the sum.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    pub(crate) start: Start<'a>,
    /// Negative results become 0.
    pub(crate) relu: bool,
}

/// What the product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// What `Out` holds.
    Add,
    /// One number per column.
    Bias(&'a [f32]),
}

/// Floats that a packed `[depth, width]` takes.
pub(crate) fn packed_len(depth: usize, width: usize) -> usize {
    depth * width.next_multiple_of(PAD)
}

/// Packs a right side: `row(k, first, into)` copies columns `first..first + into.len()` of row `k`.
pub(crate) fn pack(to: &mut [f32], depth: usize, width: usize, row: impl Fn(usize, usize, &mut [f32])) {
    let panel = panel();
    let mut rest = to;
    let mut first = 0;
    while first < width {
        let real = (width - first).min(panel);
        let padded = real.next_multiple_of(PAD);
        let (to, after) = rest.split_at_mut(depth * padded);
        for (k, columns) in to.chunks_exact_mut(padded).enumerate() {
            row(k, first, &mut columns[..real]);
            columns[real..].fill(0.0);
        }
        first += real;
        rest = after;
    }
}

/// `out (+)= left * right`.
pub(crate) fn multiply(left: Left<'_>, right: Packed<'_>, out: &mut Out<'_>, finish: Finish<'_>) {
    if out.rows > 0 {
        Arch::new().dispatch(Multiply { left, right, out, finish });
    }
}

struct Multiply<'a, 'o> {
    left: Left<'a>,
    right: Packed<'a>,
    out: &'a mut Out<'o>,
    finish: Finish<'a>,
}

/// A part of the product: some columns of a panel over some depths.
#[derive(Clone, Copy)]
struct Step<'a> {
    /// Packed rows from the first depth of the step on.
    panel: &'a [f32],
    /// Columns of the packed panel.
    padded: usize,
    /// First column of the step within the panel.
    offset: usize,
    /// First column of the step within the result.
    column: usize,
    /// Columns of the result.
    width: usize,
    first: usize,
    depth: usize,
    finish: Finish<'a>,
}

impl WithSimd for Multiply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Packed { data, packed, first: skip, depth, width } = self.right;
        // A deep product goes through the left side once per depth step, a wide one through the result once per panel.
        let step = if depth <= 3 * DEPTH { depth.max(1) } else { DEPTH };
        let mut first = 0;
        loop {
            let taken = step.min(depth - first);
            let last = first + taken == depth;
            let start = if first == 0 { self.finish.start } else { Start::Add };
            let finish = Finish { start, relu: self.finish.relu && last };
            let mut column = 0;
            while column < width {
                let real = (width - column).min(if S::F32_LANES == 16 { WIDE_PANEL } else { PAD });
                let padded = real.next_multiple_of(PAD);
                let panel = &data[packed * column + (skip + first) * padded..][..taken * padded];
                let step = Step { panel, padded, offset: 0, column, width: real, first, depth: taken, finish };
                panel_rows(simd, self.left, step, self.out);
                column += real;
            }
            first += taken;
            if last {
                break;
            }
        }
    }
}

/// One panel over all rows, in strips of as many vectors as the registers hold.
#[inline(always)]
fn panel_rows<S: Simd>(simd: S, left: Left<'_>, step: Step<'_>, out: &mut Out<'_>) {
    let lanes = S::F32_LANES;
    let strip = if lanes == 16 { 4 } else { 2 };
    let mut offset = 0;
    while offset < step.width {
        let real = (step.width - offset).min(strip * lanes);
        let part = Step { offset, column: step.column + offset, width: real, ..step };
        match real.div_ceil(lanes) {
            1 => strip_rows::<S, 1>(simd, left, part, out),
            2 => strip_rows::<S, 2>(simd, left, part, out),
            3 => strip_rows::<S, 3>(simd, left, part, out),
            _ => strip_rows::<S, 4>(simd, left, part, out),
        }
        offset += real;
    }
}

#[inline(always)]
fn strip_rows<S: Simd, const V: usize>(simd: S, left: Left<'_>, step: Step<'_>, out: &mut Out<'_>) {
    let mut row = 0;
    while row + 6 <= out.rows {
        tile::<S, 6, V>(simd, left, step, out, row);
        row += 6;
    }
    match out.rows - row {
        1 => tile::<S, 1, V>(simd, left, step, out, row),
        2 => tile::<S, 2, V>(simd, left, step, out, row),
        3 => tile::<S, 3, V>(simd, left, step, out, row),
        4 => tile::<S, 4, V>(simd, left, step, out, row),
        5 => tile::<S, 5, V>(simd, left, step, out, row),
        _ => {}
    }
}

/// `R` rows by `V` vectors of the result.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    left: Left<'_>,
    step: Step<'_>,
    out: &mut Out<'_>,
    row: usize,
) {
    let mut sums = begin::<S, R, V>(simd, step, out, row);
    let lanes = S::F32_LANES;
    // Plain loops, no closures: a closure that is not inlined would lose the vector instructions.
    let mut scalars = [0.0; R];
    if left.depth == 1 {
        // Some depths at a time: one check of bounds per row for all of them.
        let mut runs: [(&[[f32; RUN]], &[f32]); R] = [(&[], &[]); R];
        for i in 0..R {
            runs[i] = left.data[(row + i) * left.row + step.first..][..step.depth].as_chunks();
        }
        let mut panel = step.panel.chunks_exact(step.padded);
        for run in 0..step.depth / RUN {
            let mut depths = [&[0.0; RUN]; R];
            for i in 0..R {
                depths[i] = &runs[i].0[run];
            }
            for (k, columns) in panel.by_ref().take(RUN).enumerate() {
                for i in 0..R {
                    scalars[i] = depths[i][k];
                }
                accumulate::<S, R, V>(simd, &mut sums, &columns[step.offset..][..V * lanes], scalars);
            }
        }
        for (k, columns) in panel.take(step.depth % RUN).enumerate() {
            for i in 0..R {
                scalars[i] = runs[i].1[k];
            }
            accumulate::<S, R, V>(simd, &mut sums, &columns[step.offset..][..V * lanes], scalars);
        }
    } else {
        let depths = &left.data[step.first * left.depth + row..];
        for (k, columns) in step.panel.chunks_exact(step.padded).take(step.depth).enumerate() {
            let depths = &depths[k * left.depth..][..R];
            for i in 0..R {
                scalars[i] = depths[i];
            }
            accumulate::<S, R, V>(simd, &mut sums, &columns[step.offset..][..V * lanes], scalars);
        }
    }
    end::<S, R, V>(simd, step, out, row, sums);
}

#[inline(always)]
fn accumulate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    columns: &[f32],
    scalars: [f32; R],
) {
    let (vectors, _) = S::as_simd_f32s(columns);
    let vectors = &vectors[..V];
    for i in 0..R {
        let scalar = simd.splat_f32s(scalars[i]);
        for v in 0..V {
            sums[i][v] = simd.mul_add_e_f32s(scalar, vectors[v], sums[i][v]);
        }
    }
}

#[inline(always)]
fn begin<S: Simd, const R: usize, const V: usize>(
    simd: S,
    step: Step<'_>,
    out: &Out<'_>,
    row: usize,
) -> [[S::f32s; V]; R] {
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    match step.finish.start {
        Start::Zero => {}
        Start::Bias(bias) => sums = [read::<S, V>(simd, &bias[step.column..][..step.width]); R],
        Start::Add => {
            for i in 0..R {
                sums[i] = read::<S, V>(simd, &out.data[(row + i) * out.stride + step.column..][..step.width]);
            }
        }
    }
    sums
}

#[inline(always)]
fn end<S: Simd, const R: usize, const V: usize>(
    simd: S,
    step: Step<'_>,
    out: &mut Out<'_>,
    row: usize,
    mut sums: [[S::f32s; V]; R],
) {
    if step.finish.relu {
        let zero = simd.splat_f32s(0.0);
        for i in 0..R {
            for v in 0..V {
                sums[i][v] = simd.max_f32s(sums[i][v], zero);
            }
        }
    }
    for i in 0..R {
        let to = &mut out.data[(row + i) * out.stride + step.column..][..step.width];
        let (vectors, tail) = S::as_mut_simd_f32s(to);
        for v in 0..V {
            if v < vectors.len() {
                vectors[v] = sums[i][v];
            } else {
                simd.partial_store_f32s(tail, sums[i][v]);
            }
        }
    }
}

#[inline(always)]
fn read<S: Simd, const V: usize>(simd: S, from: &[f32]) -> [S::f32s; V] {
    let (vectors, tail) = S::as_simd_f32s(from);
    let mut all = [simd.splat_f32s(0.0); V];
    for v in 0..V {
        all[v] = if v < vectors.len() { vectors[v] } else { simd.partial_load_f32s(tail) };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 7919 + salt * 104_729) % 1013) as f32 / 1013.0 - 0.5).collect()
    }

    fn packed(right: &[f32], depth: usize, width: usize) -> Vec<f32> {
        let mut to = vec![f32::NAN; packed_len(depth, width)];
        pack(&mut to, depth, width, |k, first, into| {
            into.copy_from_slice(&right[k * width + first..][..into.len()]);
        });
        to
    }

    fn check(rows: usize, depth: usize, width: usize, transposed: bool) {
        let (left, right, bias) = (numbers(rows * depth, 1), numbers(depth * width, 2), numbers(width, 3));
        let at = |i: usize, k: usize| if transposed { left[k * rows + i] } else { left[i * depth + k] };
        let (row, step) = if transposed { (1, rows) } else { (depth, 1) };
        let packed = packed(&right, depth, width);
        let stride = width + 3;
        for (case, start) in [Start::Zero, Start::Add, Start::Bias(&bias)].into_iter().enumerate() {
            let before = numbers(rows * stride, 4);
            let mut data = before.clone();
            let mut out = Out { data: &mut data, stride, rows };
            let packed = Packed::all(&packed, depth, width);
            let finish = Finish { start, relu: case == 2 };
            multiply(Left { data: &left, row, depth: step }, packed, &mut out, finish);
            for i in 0..rows {
                for j in 0..width {
                    let product: f64 = (0..depth).map(|k| f64::from(at(i, k)) * f64::from(right[k * width + j])).sum();
                    let expected = match case {
                        0 => product,
                        1 => product + f64::from(before[i * stride + j]),
                        _ => (product + f64::from(bias[j])).max(0.0),
                    };
                    let got = f64::from(data[i * stride + j]);
                    assert!((got - expected).abs() < 1e-4, "{rows}x{depth}x{width} ({i},{j}): {got} {expected}");
                }
                let gap = i * stride + width..(i + 1) * stride;
                assert_eq!(data[gap.clone()], before[gap], "the gap between rows was written");
            }
        }
    }

    #[test]
    fn products_of_all_tile_shapes_match_plain_loops() {
        for (rows, depth, width) in
            [(1, 1, 1), (6, 5, 64), (7, 3, 65), (13, 130, 48), (5, 400, 33), (128, 0, 8), (2, 385, 200), (11, 9, 15)]
        {
            check(rows, depth, width, false);
            if depth > 0 {
                check(rows, depth, width, true);
            }
        }
    }
}
