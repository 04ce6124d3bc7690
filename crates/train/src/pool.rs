//! The threads that compute.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::TrainError;

/// More threads than this start for minutes and help nobody.
const MOST: usize = 1024;

/// A pool of `threads` threads; 0 takes as many as the machine has cores.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool, TrainError> {
    if threads > MOST {
        return Err(TrainError::Threads { threads, reason: format!("at most {MOST} are started") });
    }
    let pool = ThreadPoolBuilder::new().num_threads(count(threads)).thread_name(|index| format!("hinet-{index}"));
    pool.build().map_err(|error| TrainError::Threads { threads, reason: error.to_string() })
}

/// How many of `runs` runs go side by side, and the threads of each: `jobs` of them, or with 0 as many as there are
/// threads.
pub(crate) fn shares(threads: usize, jobs: usize, runs: usize) -> (usize, usize) {
    let threads = count(threads);
    let at_a_time = if jobs == 0 { threads } else { jobs }.clamp(1, runs.max(1));
    (at_a_time, (threads / at_a_time).max(1))
}

/// The number that `threads` stands for.
pub(crate) fn count(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        given => given,
    }
}
