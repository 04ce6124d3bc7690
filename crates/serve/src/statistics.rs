//! What Triton's statistics say of a version: how often, and for how long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// Counters since the version was loaded.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    rows: AtomicU64,
    /// Times that rows were scored together.
    executions: AtomicU64,
    compute_ns: AtomicU64,
    requests: AtomicU64,
    request_ns: AtomicU64,
    queue_ns: AtomicU64,
    failed: AtomicU64,
    /// Milliseconds since 1970.
    last: AtomicU64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatisticsLine {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) last_inference: u64,
    pub(crate) inference_count: u64,
    pub(crate) execution_count: u64,
    pub(crate) inference_stats: InferenceStatistics,
    pub(crate) batch_stats: [(); 0],
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct InferenceStatistics {
    pub(crate) success: CountAndTime,
    pub(crate) fail: CountAndTime,
    pub(crate) queue: CountAndTime,
    pub(crate) compute_input: CountAndTime,
    pub(crate) compute_infer: CountAndTime,
    pub(crate) compute_output: CountAndTime,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct CountAndTime {
    pub(crate) count: u64,
    pub(crate) ns: u64,
}

impl Statistics {
    /// Rows were scored together.
    pub(crate) fn executed(&self, rows: usize, time: Duration) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.executions.fetch_add(1, Ordering::Relaxed);
        self.compute_ns.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        self.last.store(now, Ordering::Relaxed);
    }

    /// A request was answered.
    pub(crate) fn answered(&self, queue: Duration, all: Duration) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.queue_ns.fetch_add(queue.as_nanos() as u64, Ordering::Relaxed);
        self.request_ns.fetch_add(all.as_nanos() as u64, Ordering::Relaxed);
    }

    /// A request was refused.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn line(&self, name: &str, version: &str) -> StatisticsLine {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of_requests = |ns: u64| CountAndTime { count: load(&self.requests), ns };
        StatisticsLine {
            name: name.to_owned(),
            version: version.to_owned(),
            last_inference: load(&self.last),
            inference_count: load(&self.rows),
            execution_count: load(&self.executions),
            inference_stats: InferenceStatistics {
                success: of_requests(load(&self.request_ns)),
                fail: CountAndTime { count: load(&self.failed), ns: 0 },
                queue: of_requests(load(&self.queue_ns)),
                // Reading and writing requests is not told apart from the rest of them.
                compute_input: of_requests(0),
                compute_infer: of_requests(load(&self.compute_ns)),
                compute_output: of_requests(0),
            },
            batch_stats: [],
        }
    }
}
