//! Runs side by side: each worker takes the next one that nobody has begun.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::TrainError;
use crate::evaluate::is_stopped;

/// Does `work` for 0 up to `count`, `at_a_time` of them at once. Nothing new begins after a failure, or once `stop` is
/// set.
///
/// # Errors
/// The first of the failures, in the order of the work rather than of time; an interruption only if nothing else failed.
pub(crate) fn each(
    count: usize,
    at_a_time: usize,
    stop: &AtomicBool,
    work: impl Fn(usize) -> Result<(), TrainError> + Sync,
) -> Result<(), TrainError> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failures = Mutex::new(Vec::new());
    let worker = || {
        while !is_stopped(stop) && !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            if let Err(error) = work(index) {
                failed.store(true, Ordering::Relaxed);
                failures.lock().unwrap_or_else(PoisonError::into_inner).push((error.is_interrupt(), index, error));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_a_time.clamp(1, count.max(1)) {
            scope.spawn(worker);
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|(interrupted, index, _)| (*interrupted, *index));
    failures.into_iter().next().map_or(Ok(()), |(_, _, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_once_and_the_first_failure_is_the_one_that_is_told() {
        let done = Mutex::new(Vec::new());
        let go = AtomicBool::new(false);
        each(40, 3, &go, |index| {
            done.lock().unwrap().push(index);
            Ok(())
        })
        .unwrap();
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..40).collect::<Vec<_>>());
        let error = each(40, 1, &go, |index| match index {
            0..3 => Ok(()),
            _ => Err(TrainError::Tuning { problem: index.to_string() }),
        });
        assert_eq!(error.unwrap_err().to_string(), "3");
        each(1, 1, &AtomicBool::new(true), |_| panic!("nothing begins once it was stopped")).unwrap();
    }
}
