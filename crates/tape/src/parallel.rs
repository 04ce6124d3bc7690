//! Splits work over rows. Chunks have fixed sizes, so results do not depend on how many threads run them.

use rayon::prelude::*;

/// Rows that one task takes through a product.
pub(crate) const ROW_BLOCK: usize = 128;
/// Rows that one task takes where there are enough of them: each reads a weight anew.
const LARGE_ROW_BLOCK: usize = 252;
/// Below this many elements a task is not worth handing to another thread.
const WORTH: usize = 8 * 1024;

/// Whether the threads of the current pool may be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parallel(pub(crate) bool);

impl Parallel {
    /// Whether the caller runs in a pool of more than one thread.
    pub(crate) fn here() -> Parallel {
        Parallel(rayon::current_thread_index().is_some() && rayon::current_num_threads() > 1)
    }

    /// Rows of a task that computes each row by itself, so that results do not depend on it.
    pub(crate) fn row_block(self, rows: usize) -> usize {
        let threads = if self.0 { rayon::current_num_threads() } else { 1 };
        if rows >= 2 * threads * LARGE_ROW_BLOCK || threads == 1 { LARGE_ROW_BLOCK } else { ROW_BLOCK }
    }

    /// Runs `f(i, chunk)` over chunks of `size` elements.
    pub(crate) fn chunks(self, a: &mut [f32], size: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
        if self.0 && a.len() > size && a.len() > WORTH {
            a.par_chunks_mut(size).enumerate().for_each(|(i, a)| f(i, a));
        } else {
            a.chunks_mut(size).enumerate().for_each(|(i, a)| f(i, a));
        }
    }

    /// Runs `f(i, chunk of a, chunk of b)`; each slice comes with the size of its chunks.
    pub(crate) fn chunks2(
        self,
        (a, a_size): (&mut [f32], usize),
        (b, b_size): (&mut [f32], usize),
        f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
    ) {
        if self.0 && a.len() > a_size && a.len() + b.len() > WORTH {
            let pairs = a.par_chunks_mut(a_size).zip(b.par_chunks_mut(b_size));
            pairs.enumerate().for_each(|(i, (a, b))| f(i, a, b));
        } else {
            let pairs = a.chunks_mut(a_size).zip(b.chunks_mut(b_size));
            pairs.enumerate().for_each(|(i, (a, b))| f(i, a, b));
        }
    }

    /// Runs `f(i, chunk of a, chunk of b, chunk of c)`; each slice comes with the size of its chunks.
    pub(crate) fn chunks3(
        self,
        (a, a_size): (&mut [f32], usize),
        (b, b_size): (&mut [f32], usize),
        (c, c_size): (&mut [f32], usize),
        f: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) + Sync,
    ) {
        if self.0 && a.len() > a_size && a.len() + b.len() > WORTH {
            let triples = a.par_chunks_mut(a_size).zip(b.par_chunks_mut(b_size)).zip(c.par_chunks_mut(c_size));
            triples.enumerate().for_each(|(i, ((a, b), c))| f(i, a, b, c));
        } else {
            let triples = a.chunks_mut(a_size).zip(b.chunks_mut(b_size)).zip(c.chunks_mut(c_size));
            triples.enumerate().for_each(|(i, ((a, b), c))| f(i, a, b, c));
        }
    }

    /// Runs both, side by side where there are threads.
    pub(crate) fn join(self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        if self.0 {
            rayon::join(a, b);
        } else {
            a();
            b();
        }
    }
}
