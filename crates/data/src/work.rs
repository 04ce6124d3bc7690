//! One thread or several, for the same result.

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// How the columns of rows are worked on. What comes out is the same bit for bit: no column looks at another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// One after another, on this thread.
    InTurn,
    /// On the threads of the pool that this thread belongs to.
    SideBySide,
}

impl Work {
    /// `f` of each item and its index, in their order.
    pub(crate) fn map<T: Send, R: Send>(self, items: &mut [T], f: impl Fn(usize, &mut T) -> R + Sync) -> Vec<R> {
        match self {
            Work::InTurn => items.iter_mut().enumerate().map(|(index, item)| f(index, item)).collect(),
            Work::SideBySide => items.par_iter_mut().enumerate().map(|(index, item)| f(index, item)).collect(),
        }
    }
}

/// Threads that a reading thread can call in.
#[derive(Debug)]
pub(crate) struct Helpers {
    /// Nothing: the reading thread is alone.
    pool: Option<ThreadPool>,
}

impl Helpers {
    /// Threads beyond this do not help: there are only so many columns, and one is the longest.
    const MOST: usize = 8;

    /// Work may be done by this many threads; one thread needs no helpers.
    pub(crate) fn new(threads: usize) -> Helpers {
        let threads = threads.min(Helpers::MOST);
        let named = |index| format!("hinet-encode-{index}");
        let build = || ThreadPoolBuilder::new().num_threads(threads).thread_name(named).build();
        // A system that gives no more threads still has the one that runs.
        Helpers { pool: if threads > 1 { build().ok() } else { None } }
    }

    /// Threads that work when called in.
    pub(crate) fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// Runs `work` with the helpers if they are `wanted` and there are any, and otherwise on this thread.
    pub(crate) fn run<R: Send>(&self, wanted: bool, work: impl FnOnce(Work) -> R + Send) -> R {
        match &self.pool {
            Some(pool) if wanted => pool.install(|| work(Work::SideBySide)),
            Some(_) | None => work(Work::InTurn),
        }
    }
}
