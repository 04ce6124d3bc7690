//! A thread that encodes ahead, and the iterator at its other end.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{Sent, SharedCounts, Stop};
use crate::{Batch, DataError, EncodeCounts};

/// Batches that may wait for whoever takes them.
const AHEAD: usize = 4;

/// Batches encoded ahead on a thread of their own. Ends after the first error; dropping it stops the thread.
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<Result<Batch, DataError>>>,
    thread: Option<JoinHandle<()>>,
    counts: SharedCounts,
}

/// What the thread writes to.
pub(super) type Out = Sender<Result<Batch, DataError>>;

/// Runs `work` on a thread; what it sends comes out of the iterator, an error last.
pub(super) fn spawn(work: impl FnOnce(&Out, &SharedCounts) -> Sent + Send + 'static) -> Batches {
    let (sender, receiver) = bounded(AHEAD);
    let counts = Arc::new(Mutex::new(EncodeCounts::default()));
    let shared = Arc::clone(&counts);
    let run = move || match work(&sender, &shared) {
        // Nobody may be there to hear it; then nobody needs to.
        Err(Stop::Refused(error)) => drop(sender.send(Err(error))),
        Err(Stop::Dropped) | Ok(()) => {}
    };
    let thread = std::thread::Builder::new().name("hinet-encode".to_owned()).spawn(run);
    match thread {
        Ok(thread) => Batches { receiver: Some(receiver), thread: Some(thread), counts },
        Err(error) => failed(error, counts),
    }
}

/// The system gave no thread: an iterator with that error alone.
fn failed(error: std::io::Error, counts: SharedCounts) -> Batches {
    let (sender, receiver) = bounded(1);
    let error = DataError::Io { action: "start a thread to read", path: "data".into(), source: error };
    sender.send(Err(error)).expect("the other end is in this function");
    Batches { receiver: Some(receiver), thread: None, counts }
}

impl Batches {
    /// What the rows encoded so far had that train had not; whole once the iterator has ended. Rows from the cache are counted again.
    pub fn counts(&self) -> EncodeCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn join(&mut self) -> std::thread::Result<()> {
        self.receiver = None;
        self.thread.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Ok(batch) = self.receiver.as_ref()?.recv() {
            return Some(batch);
        }
        // A panic over there must not look like the end of the data here.
        if let Err(panic) = self.join() {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // The panic of a thread nobody listens to has been printed already.
        drop(self.join());
    }
}
