//! The log of requests: JSON, one line each, on standard error. What was asked about is not in it, only how it went.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::LogConfig;

/// Refused requests that are written down in a second, at most: a server that refuses thousands must not drown in saying so.
const REFUSED_PER_SECOND: u64 = 100;

/// Which requests are written down.
#[derive(Debug)]
pub(crate) struct RequestLog {
    sample: f64,
    refused: bool,
    seen: AtomicU64,
    /// The second that is counted in, since 1970, and what was refused in it.
    second: AtomicU64,
    in_second: AtomicU64,
}

/// What a handler leaves in its response for the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) model: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) rows: Option<usize>,
    pub(crate) queue: Duration,
    pub(crate) compute: Duration,
    /// Why it was refused.
    pub(crate) refusal: Option<String>,
}

/// A request that was answered.
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) code: u16,
    pub(crate) time: Duration,
    pub(crate) trace: Trace,
    pub(crate) refused: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since 1970, UTC.
    time: f64,
    method: &'a str,
    path: &'a str,
    code: u16,
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    queue_ms: f64,
    compute_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl RequestLog {
    pub(crate) fn new(config: &LogConfig) -> RequestLog {
        RequestLog {
            sample: config.sample,
            refused: config.refused,
            seen: AtomicU64::new(0),
            second: AtomicU64::new(0),
            in_second: AtomicU64::new(0),
        }
    }

    /// Writes a request down, if it is one of those that are.
    pub(crate) fn write(&self, answered: Answered<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wanted = if answered.refused { self.refused && self.has_room(now.as_secs()) } else { self.is_sampled() };
        if !wanted {
            return;
        }
        let Answered { method, path, code, time, trace, .. } = answered;
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let line = Line {
            time: (now.as_secs_f64() * 1e3).round() / 1e3,
            method,
            path,
            code,
            ms: ms(time),
            model: trace.model,
            version: trace.version,
            rows: trace.rows,
            queue_ms: ms(trace.queue),
            compute_ms: ms(trace.compute),
            refused: trace.refusal,
        };
        let mut text = serde_json::to_vec(&line).expect("a line has numbers and texts only");
        text.push(b'\n');
        // A log that cannot be written must not stop the server.
        let _ = std::io::stderr().lock().write_all(&text);
    }

    /// Whether another refused request is written down in this second. How many were not is said in the next one.
    fn has_room(&self, second: u64) -> bool {
        if self.second.swap(second, Ordering::Relaxed) != second {
            let refused = self.in_second.swap(0, Ordering::Relaxed);
            if refused > REFUSED_PER_SECOND {
                let more = refused - REFUSED_PER_SECOND;
                let _ = writeln!(std::io::stderr(), "{{\"time\":{second},\"refused_more\":{more}}}");
            }
        }
        self.in_second.fetch_add(1, Ordering::Relaxed) < REFUSED_PER_SECOND
    }

    /// Every so many requests one, evenly.
    fn is_sampled(&self) -> bool {
        if self.sample == 0.0 {
            return false;
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) as f64;
        ((seen + 1.0) * self.sample).floor() > (seen * self.sample).floor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_requests_is_one_in_ten() {
        let log = RequestLog::new(&LogConfig { sample: 0.1, refused: true });
        let sampled: Vec<usize> = (0..30).filter(|_| log.is_sampled()).collect();
        assert_eq!(sampled, [9, 19, 29]);
        let refused = (0..250).filter(|_| log.has_room(7)).count();
        assert_eq!((refused, log.has_room(8)), (100, true));
        let none = RequestLog::new(&LogConfig { sample: 0.0, refused: true });
        assert!(!(0..100).any(|_| none.is_sampled()));
    }
}
