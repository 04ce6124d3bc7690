//! The threads that compute.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::TrainError;

/// A pool of `threads` threads; 0 takes as many as the machine has cores.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool, TrainError> {
    let pool = ThreadPoolBuilder::new().num_threads(count(threads)).thread_name(|index| format!("hinet-{index}"));
    pool.build().map_err(|error| TrainError::Threads { threads, reason: error.to_string() })
}

/// The number that `threads` stands for.
pub(crate) fn count(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        given => given,
    }
}
