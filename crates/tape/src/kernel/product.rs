//! Matrix products on one thread: `out (+)= left * right`, the right side packed in panels of columns.
//!
//! The micro-kernel keeps a tile of the result in registers: six rows by one panel. It broadcasts elements of the left
//! side, from rows where they lie or from tiles that were packed before, and streams a panel of the right side. Everything
//! goes through `pulp`, so it is safe code and picks AVX-512, AVX2 and FMA, NEON or plain scalars at run time.
//!
//! What decides the speed is the number of instructions beside the products: 12 products of AVX2 take six cycles, in
//! which a core that shares its front end with another thread starts no more than 20 instructions. Hence shapes known
//! to the compiler, and four depths at a time.

#![expect(
    clippy::needless_range_loop,
    reason = "a tile's loops have constant bounds and unroll; iterators over arrays of vectors did not"
)]

use pulp::{Simd, WithSimd};

use super::instructions::arch;

/// Rows of a tile.
pub(crate) const TILE: usize = 6;
/// Columns of a full panel on a processor with AVX-512.
const WIDE_PANEL: usize = 64;
/// Depth that one pass over the tiles takes, of a product that is deeper than three times that.
const DEPTH: usize = 128;
/// Depths at a time. With eight, LLVM moves loads so far ahead that it runs out of registers.
const RUN: usize = 4;
/// Floats of a line of the cache.
const LINE: usize = 16;
/// Most lines that are read ahead at once: a core waits for about so many.
const MOST_AHEAD: usize = 16;
/// Panels of the last columns are padded to a multiple of this.
pub(crate) const PAD: usize = 16;

/// Columns of a full panel: those of one tile. A tile that took a part of a wider panel would skip between lines of
/// the cache, and find its panel in a few sets of it only.
pub(crate) fn panel() -> usize {
    struct Panel;
    impl WithSimd for Panel {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            full::<S>()
        }
    }
    arch().dispatch(Panel)
}

#[inline(always)]
fn full<S: Simd>() -> usize {
    if S::F32_LANES == 16 { WIDE_PANEL } else { PAD }
}

/// The left operand.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Row i is `data[i * stride..][..depth]`.
    Rows {
        /// From the first row on.
        data: &'a [f32],
        /// Distance between rows.
        stride: usize,
    },
    /// Packed, `[tiles][depth][6]`: see [`tiles_of_rows`] and [`tiles_of_columns`].
    Tiles(&'a [f32]),
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

/// Floats that the tiles of a left side of so many rows take.
pub(crate) fn tiles_len(rows: usize, depth: usize) -> usize {
    rows.next_multiple_of(TILE) * depth
}

/// Packs a left side whose rows lie `stride` apart. Rows that fill up the last tile repeat the last real one.
pub(crate) fn tiles_of_rows(to: &mut [f32], data: &[f32], stride: usize, (rows, depth): (usize, usize)) {
    for (tile, to) in to.chunks_exact_mut((depth * TILE).max(1)).take(rows.div_ceil(TILE)).enumerate() {
        let mut lines = [&data[..0]; TILE];
        for (i, line) in lines.iter_mut().enumerate() {
            *line = &data[(tile * TILE + i).min(rows - 1) * stride..][..depth];
        }
        let (to, _) = to.as_chunks_mut::<TILE>();
        for (k, to) in to.iter_mut().enumerate() {
            for i in 0..TILE {
                to[i] = lines[i][k];
            }
        }
    }
}

/// Packs a left side whose columns are rows of `data`, `stride` apart: its row i and depth k is `data[k * stride + i]`.
/// Rows that fill up the last tile are zeros.
pub(crate) fn tiles_of_columns(to: &mut [f32], data: &[f32], stride: usize, (rows, depth): (usize, usize)) {
    for (tile, to) in to.chunks_exact_mut((depth * TILE).max(1)).take(rows.div_ceil(TILE)).enumerate() {
        let first = tile * TILE;
        let real = (rows - first).min(TILE);
        let (to, _) = to.as_chunks_mut::<TILE>();
        for (k, to) in to.iter_mut().enumerate() {
            let from = &data[k * stride + first..];
            if let Some(from) = from.first_chunk::<TILE>().filter(|_| real == TILE) {
                *to = *from;
            } else {
                *to = [0.0; TILE];
                to[..real].copy_from_slice(&from[..real]);
            }
        }
    }
}

/// `out (+)= left * right`.
pub(crate) fn multiply(left: Left<'_>, right: Packed<'_>, out: &mut Out<'_>, finish: Finish<'_>) {
    if out.rows > 0 {
        arch().dispatch(Multiply { left, right, out, finish });
    }
}

struct Multiply<'a, 'o> {
    left: Left<'a>,
    right: Packed<'a>,
    out: &'a mut Out<'o>,
    finish: Finish<'a>,
}

/// A part of the product: one panel over some depths.
#[derive(Clone, Copy)]
struct Step<'a> {
    /// Packed rows from the first depth of the step on.
    panel: &'a [f32],
    /// What lies behind the panel: the next one, as a rule.
    next: &'a [f32],
    /// First column of the panel within the result.
    column: usize,
    /// Columns of the result.
    width: usize,
    first: usize,
    depth: usize,
    /// Depth of a tile of the left side.
    whole: usize,
    finish: Finish<'a>,
}

impl WithSimd for Multiply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Multiply { left, right, out, finish } = self;
        let depth = right.depth;
        // A deep product goes through the left side once per depth step, a wide one through the result once per panel.
        let step = if depth <= 3 * DEPTH { depth.max(1) } else { DEPTH };
        let mut first = 0;
        loop {
            let taken = step.min(depth - first);
            let last = first + taken == depth;
            let start = if first == 0 { finish.start } else { Start::Add };
            let finish = Finish { start, relu: finish.relu && last };
            columns(simd, left, Pass { right, first, depth: taken, finish }, out);
            first += taken;
            if last {
                break;
            }
        }
    }
}

/// Some depths of a product.
#[derive(Clone, Copy)]
struct Pass<'a> {
    right: Packed<'a>,
    first: usize,
    depth: usize,
    finish: Finish<'a>,
}

impl<'a> Pass<'a> {
    /// The panel that begins at a column, of at most so many.
    #[inline(always)]
    fn step(&self, column: usize, most: usize) -> Step<'a> {
        let Packed { data, packed, first: skip, depth: whole, width } = self.right;
        let width = (width - column).min(most);
        let padded = width.next_multiple_of(PAD);
        let from = packed * column + (skip + self.first) * padded;
        let (panel, next) = data[from..].split_at(self.depth * padded);
        Step { panel, next, column, width, first: self.first, depth: self.depth, whole, finish: self.finish }
    }
}

/// All columns of a product over some depths.
#[inline(always)]
fn columns<S: Simd>(simd: S, left: Left<'_>, pass: Pass<'_>, out: &mut Out<'_>) {
    let (full, width) = (full::<S>(), pass.right.width);
    let mut column = 0;
    if let (Left::Rows { data, stride }, 1 | 2, 8 | 16) = (left, out.rows, S::F32_LANES) {
        let left = (data, stride);
        let count = if out.rows == 1 { 4 } else { 2 };
        while width - column >= count * full {
            let step = |n: usize| pass.step(column + n * full, full);
            match (S::F32_LANES, out.rows) {
                (8, 1) => panels_beside::<S, 1, 4, 2, 16>(simd, left, [step(0), step(1), step(2), step(3)], out),
                (8, _) => panels_beside::<S, 2, 2, 2, 16>(simd, left, [step(0), step(1)], out),
                (_, 1) => panels_beside::<S, 1, 4, 4, 64>(simd, left, [step(0), step(1), step(2), step(3)], out),
                (_, _) => panels_beside::<S, 2, 2, 4, 64>(simd, left, [step(0), step(1)], out),
            }
            column += count * full;
        }
    }
    while column < width {
        let step = pass.step(column, full);
        match (S::F32_LANES, step.width.next_multiple_of(PAD)) {
            (16, 16) => panel_rows::<S, 1, 16>(simd, left, step, out),
            (16, 32) => panel_rows::<S, 2, 32>(simd, left, step, out),
            (16, 48) => panel_rows::<S, 3, 48>(simd, left, step, out),
            (16, _) => panel_rows::<S, 4, 64>(simd, left, step, out),
            (8, _) => panel_rows::<S, 2, 16>(simd, left, step, out),
            (4, _) => panel_rows::<S, 4, 16>(simd, left, step, out),
            _ => panel_rows::<S, 16, 16>(simd, left, step, out),
        }
        column += step.width;
    }
}

/// One panel of `P` columns, which are `V` vectors, over all rows.
#[inline(always)]
fn panel_rows<S: Simd, const V: usize, const P: usize>(simd: S, left: Left<'_>, step: Step<'_>, out: &mut Out<'_>) {
    match left {
        Left::Tiles(data) => {
            let tile = |row: usize| &data[row * step.whole + step.first * TILE..][..step.depth * TILE];
            let (ahead, mut next) = (ahead_of(step, out.rows), step.next);
            let mut row = 0;
            while row + TILE <= out.rows {
                next = touch(next, ahead);
                packed_tile::<S, TILE, V, P>(simd, tile(row), step, (out, row));
                row += TILE;
            }
            // The last rows in twos: a tile of every height would be as much code again.
            match out.rows - row {
                0 => {}
                1 | 2 => packed_tile::<S, 2, V, P>(simd, tile(row), step, (out, row)),
                3 | 4 => packed_tile::<S, 4, V, P>(simd, tile(row), step, (out, row)),
                _ => packed_tile::<S, TILE, V, P>(simd, tile(row), step, (out, row)),
            }
        }
        Left::Rows { data, stride } => {
            let from = |row: usize| (&data[row * stride + step.first..], stride);
            let mut row = 0;
            while row + TILE <= out.rows {
                tile::<S, TILE, V, P>(simd, from(row), step, (out, row));
                row += TILE;
            }
            match out.rows - row {
                1 => tile::<S, 1, V, P>(simd, from(row), step, (out, row)),
                2 => tile::<S, 2, V, P>(simd, from(row), step, (out, row)),
                3 => tile::<S, 3, V, P>(simd, from(row), step, (out, row)),
                4 => tile::<S, 4, V, P>(simd, from(row), step, (out, row)),
                5 => tile::<S, 5, V, P>(simd, from(row), step, (out, row)),
                _ => {}
            }
        }
    }
}

/// Floats of the next panel that are read ahead of each tile, so that all of it is in the cache when its turn comes. None
/// where there are too few tiles to wait beside.
#[inline(always)]
fn ahead_of(step: Step<'_>, rows: usize) -> usize {
    let lines = step.panel.len() / LINE * TILE / rows + 1;
    if lines <= MOST_AHEAD { lines * LINE } else { 0 }
}

/// Has the lines of the first `count` floats brought into the cache, and returns the others. Safe code has no instruction
/// for that but to read.
#[inline(always)]
fn touch(floats: &[f32], count: usize) -> &[f32] {
    let (now, later) = floats.split_at(count.min(floats.len()));
    let mut sum = 0.0;
    for line in now.chunks(LINE) {
        sum += line[0];
    }
    std::hint::black_box(sum);
    later
}

/// A tile of the result, `R` rows high, from a packed tile of the left side.
#[inline(always)]
fn packed_tile<S: Simd, const R: usize, const V: usize, const P: usize>(
    simd: S,
    left: &[f32],
    step: Step<'_>,
    (out, row): (&mut Out<'_>, usize),
) {
    let real = (out.rows - row).min(R);
    let mut sums = begin::<S, R, V>(simd, step, out, (row, real));
    let ((left, _), (panel, _)) = (left.as_chunks::<TILE>(), step.panel.as_chunks::<P>());
    let ((left, left_rest), (panel, panel_rest)) = (left.as_chunks::<RUN>(), panel.as_chunks::<RUN>());
    for (left, panel) in left.iter().zip(panel) {
        for k in 0..RUN {
            accumulate::<S, R, V, P>(simd, &mut sums, &panel[k], &left[k]);
        }
    }
    for (left, panel) in left_rest.iter().zip(panel_rest) {
        accumulate::<S, R, V, P>(simd, &mut sums, panel, left);
    }
    end::<S, R, V>(simd, step, out, (row, real), sums);
}

/// A tile of the result, `R` rows high, from rows of the left side.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize, const P: usize>(
    simd: S,
    (data, stride): (&[f32], usize),
    step: Step<'_>,
    (out, row): (&mut Out<'_>, usize),
) {
    let mut sums = begin::<S, R, V>(simd, step, out, (row, R));
    let mut runs: [(&[[f32; RUN]], &[f32]); R] = [(&[], &[]); R];
    for i in 0..R {
        runs[i] = data[i * stride..][..step.depth].as_chunks();
    }
    let (panel, _) = step.panel.as_chunks::<P>();
    let (panel, rest) = panel.as_chunks::<RUN>();
    // Plain loops, no closures: a closure that is not inlined would lose the vector instructions.
    let mut scalars = [0.0; R];
    for (run, panel) in panel.iter().enumerate() {
        let mut depths = [&[0.0; RUN]; R];
        for i in 0..R {
            depths[i] = &runs[i].0[run];
        }
        for k in 0..RUN {
            for i in 0..R {
                scalars[i] = depths[i][k];
            }
            accumulate::<S, R, V, P>(simd, &mut sums, &panel[k], &scalars);
        }
    }
    for (k, panel) in rest.iter().enumerate() {
        for i in 0..R {
            scalars[i] = runs[i].1[k];
        }
        accumulate::<S, R, V, P>(simd, &mut sums, panel, &scalars);
    }
    end::<S, R, V>(simd, step, out, (row, R), sums);
}

/// All `R` rows of a result by `N` panels at once: with one panel there would be too few sums for products to follow each
/// other without waiting. Each sum is made in the same order as in a tile, so it has the same bits.
#[inline(always)]
fn panels_beside<S: Simd, const R: usize, const N: usize, const V: usize, const P: usize>(
    simd: S,
    (data, stride): (&[f32], usize),
    steps: [Step<'_>; N],
    out: &mut Out<'_>,
) {
    let (first, depth) = (steps[0].first, steps[0].depth);
    let mut sums = [[[simd.splat_f32s(0.0); V]; R]; N];
    let mut panels: [&[[f32; P]]; N] = [&[]; N];
    for n in 0..N {
        sums[n] = begin::<S, R, V>(simd, steps[n], out, (0, R));
        panels[n] = &steps[n].panel.as_chunks().0[..depth];
    }
    let mut rows = [data; R];
    for i in 0..R {
        rows[i] = &data[i * stride + first..][..depth];
    }
    let mut scalars = [0.0; R];
    for k in 0..depth {
        for i in 0..R {
            scalars[i] = rows[i][k];
        }
        for n in 0..N {
            accumulate::<S, R, V, P>(simd, &mut sums[n], &panels[n][k], &scalars);
        }
    }
    for n in 0..N {
        end::<S, R, V>(simd, steps[n], out, (0, R), sums[n]);
    }
}

#[inline(always)]
fn accumulate<S: Simd, const R: usize, const V: usize, const P: usize>(
    simd: S,
    sums: &mut [[S::f32s; V]; R],
    panel: &[f32; P],
    scalars: &[f32],
) {
    let (vectors, _) = S::as_simd_f32s(panel);
    let vectors = &vectors[..V];
    for i in 0..R {
        let scalar = simd.splat_f32s(scalars[i]);
        for v in 0..V {
            sums[i][v] = simd.mul_add_e_f32s(scalar, vectors[v], sums[i][v]);
        }
    }
}

/// What a tile starts from; `real` of its rows are there.
#[inline(always)]
fn begin<S: Simd, const R: usize, const V: usize>(
    simd: S,
    step: Step<'_>,
    out: &Out<'_>,
    (row, real): (usize, usize),
) -> [[S::f32s; V]; R] {
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    match step.finish.start {
        Start::Zero => {}
        Start::Bias(bias) => sums = [read::<S, V>(simd, &bias[step.column..][..step.width]); R],
        Start::Add => {
            for i in 0..R {
                if i < real {
                    sums[i] = read::<S, V>(simd, &out.data[(row + i) * out.stride + step.column..][..step.width]);
                }
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
    (row, real): (usize, usize),
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
        if i >= real {
            break;
        }
        let to = &mut out.data[(row + i) * out.stride + step.column..][..step.width];
        let (vectors, tail) = S::as_mut_simd_f32s(to);
        for v in 0..V {
            if v < vectors.len() {
                vectors[v] = sums[i][v];
            } else {
                simd.partial_store_f32s(tail, sums[i][v]);
                // Only the first vector behind the full ones has columns of the result.
                break;
            }
        }
    }
}

#[inline(always)]
fn read<S: Simd, const V: usize>(simd: S, from: &[f32]) -> [S::f32s; V] {
    let (vectors, tail) = S::as_simd_f32s(from);
    let mut all = [simd.splat_f32s(0.0); V];
    for v in 0..V {
        if v < vectors.len() {
            all[v] = vectors[v];
        } else {
            all[v] = simd.partial_load_f32s(tail);
            break;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Form {
        Rows,
        TilesOfRows,
        TilesOfColumns,
    }

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

    fn check(rows: usize, depth: usize, width: usize, form: Form) {
        let (left, right, bias) = (numbers(rows * depth, 1), numbers(depth * width, 2), numbers(width, 3));
        let at =
            |i: usize, k: usize| if form == Form::TilesOfColumns { left[k * rows + i] } else { left[i * depth + k] };
        let mut tiles = vec![f32::NAN; tiles_len(rows, depth)];
        let left_side = match form {
            Form::Rows => Left::Rows { data: &left, stride: depth },
            Form::TilesOfRows => {
                tiles_of_rows(&mut tiles, &left, depth, (rows, depth));
                Left::Tiles(&tiles)
            }
            Form::TilesOfColumns => {
                tiles_of_columns(&mut tiles, &left, rows, (rows, depth));
                Left::Tiles(&tiles)
            }
        };
        let packed = packed(&right, depth, width);
        let stride = width + 3;
        for (case, start) in [Start::Zero, Start::Add, Start::Bias(&bias)].into_iter().enumerate() {
            let before = numbers(rows * stride, 4);
            let mut data = before.clone();
            let mut out = Out { data: &mut data, stride, rows };
            let packed = Packed::all(&packed, depth, width);
            let finish = Finish { start, relu: case == 2 };
            multiply(left_side, packed, &mut out, finish);
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
        // Every number of rows behind the last full tile, and enough tiles to read ahead beside.
        let tails = (1..=12).map(|rows| (rows, 11, 35));
        let others = [(1, 1, 1), (1, 7, 17), (6, 5, 64), (7, 3, 65), (13, 130, 48), (5, 400, 33), (128, 0, 8)];
        let more = [(2, 385, 200), (11, 9, 15), (130, 40, 70)];
        for (rows, depth, width) in tails.chain(others).chain(more) {
            for form in [Form::Rows, Form::TilesOfRows, Form::TilesOfColumns] {
                check(rows, depth, width, form);
            }
        }
    }
}
