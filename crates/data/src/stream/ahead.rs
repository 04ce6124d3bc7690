//! A thread that encodes ahead, and the iterator at its other end.
//!
//! One thread is enough as long as it encodes faster than batches are taken, and then it is the only one: the cores belong to whoever takes
//! them. When nothing waits in the channel, whoever takes batches has to wait for them and its cores idle; only then are the columns of the
//! next rows read and encoded side by side, by as many threads as the caller's pool has (`train.threads`). Batches are the same
//! bit for bit either way.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::encoded::EncodedRows;
use super::{Sent, SharedCounts, Stop};
use crate::work::{Helpers, Work};
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

/// What the thread works with.
pub(super) struct Ahead {
    pub(super) out: Sender<Result<Batch, DataError>>,
    pub(super) counts: SharedCounts,
    pub(super) helpers: Helpers,
}

impl Ahead {
    /// Hands out a batch, as soon as there is room for it.
    pub(super) fn send(&self, batch: Batch) -> Sent {
        self.out.send(Ok(batch)).map_err(|_| Stop::Dropped)
    }

    /// The next rows; nothing at the end.
    pub(super) fn next(&self, rows: &mut EncodedRows) -> Result<Option<Arc<Batch>>, DataError> {
        if rows.are_fresh() {
            self.run(|work| rows.next(work, &self.counts))
        } else {
            rows.next(Work::InTurn, &self.counts)
        }
    }

    /// Runs `work`, with helpers if whoever takes the batches has none left to take.
    pub(super) fn run<R: Send>(&self, work: impl FnOnce(Work) -> R + Send) -> R {
        self.helpers.run(self.out.is_empty(), work)
    }
}

/// Runs `work` on a thread; what it sends comes out of the iterator, an error last.
pub(super) fn spawn(work: impl FnOnce(&Ahead) -> Sent + Send + 'static) -> Batches {
    let (out, receiver) = bounded(AHEAD);
    let counts = Arc::new(Mutex::new(EncodeCounts::default()));
    let shared = Arc::clone(&counts);
    // Of the pool that the caller belongs to.
    let threads = rayon::current_num_threads();
    let run = move || {
        let ahead = Ahead { out, counts: shared, helpers: Helpers::new(threads) };
        match work(&ahead) {
            // Nobody may be there to hear it; then nobody needs to.
            Err(Stop::Refused(error)) => drop(ahead.out.send(Err(error))),
            Err(Stop::Dropped) | Ok(()) => {}
        }
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
