//! The queue of rows to be scored, and the threads that score them.
//!
//! There is one queue for all models, bounded in rows. A thread takes the job that waited longest and, with it, jobs of the
//! same version of the same model, so that what came while others were scored is scored together. Where threads have nothing to
//! do, they share the rows of a request. Threads of computation are no threads of the network: a server that computes with all
//! it has still answers questions about its health.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hinet_data::Batch;
use hinet_model::{PlanWorkspace, RequestPlan};
use tokio::sync::oneshot;

use crate::ServeError;
use crate::config::BatchingConfig;
use crate::metrics::Metrics;
use crate::refusal::{Refusal, RefusalKind};
use crate::version::Version;

/// Fewest rows of a part of a request: with fewer, reading the weights for each part costs more than it brings.
const PART: usize = 24;

/// Where jobs wait, and the threads that do them.
#[derive(Debug)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// The scores of a job.
#[derive(Debug)]
pub(crate) struct Scored {
    /// Probabilities, `[rows, tasks]`, in the order of the rows.
    pub(crate) scores: Vec<f32>,
    /// From the request's coming into the queue to the beginning of its computation.
    pub(crate) waited: Duration,
    /// The computation of all that was scored together.
    pub(crate) computed: Duration,
}

/// Scores to come, in parts.
#[derive(Debug)]
pub(crate) struct Pending {
    parts: Vec<oneshot::Receiver<Result<Scored, Refusal>>>,
}

/// Rows that wait to be scored.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) version: Arc<Version>,
    pub(crate) batch: Batch,
    /// By this plan, where the rows are items of one user: not together with others.
    pub(crate) user_plan: Option<Arc<RequestPlan<'static>>>,
}

/// The rows of one request, or a part of them.
struct Job {
    work: Work,
    queued: Instant,
    deadline: Instant,
    answer: oneshot::Sender<Result<Scored, Refusal>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    config: BatchingConfig,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Of all jobs together.
    rows: usize,
    /// Threads that wait for jobs.
    idle: usize,
    closed: bool,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Job of {} rows for {}", self.work.batch.rows, self.work.version.model)
    }
}

impl Queue {
    /// Starts the threads.
    pub(crate) fn start(threads: usize, config: &BatchingConfig, metrics: &Metrics) -> Result<Queue, ServeError> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            config: config.clone(),
            metrics: metrics.clone(),
        });
        let worker = |index: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("score-{index}")).spawn(move || work(&shared))
        };
        let workers = (0..threads).map(worker).collect::<Result<_, _>>().map_err(ServeError::Threads)?;
        Ok(Queue { shared, workers })
    }

    /// Puts rows into the queue; the scores come through what is returned.
    pub(crate) fn submit(&self, work: Work, deadline: Instant) -> Result<Pending, Refusal> {
        let rows = work.batch.rows;
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Refusal::new(RefusalKind::Unavailable, "the server is stopping"));
        }
        // A request larger than the queue is taken when nothing else waits.
        if state.rows > 0 && state.rows + rows > self.shared.config.queue_rows {
            return Err(busy(state.rows));
        }
        let idle = if state.jobs.is_empty() { state.idle } else { 0 };
        state.rows += rows;
        self.shared.metrics.queue_rows(state.rows);
        let queued = Instant::now();
        let mut pending = Pending { parts: Vec::new() };
        for work in work.split(idle) {
            let (answer, receiver) = oneshot::channel();
            state.jobs.push_back(Job { work, queued, deadline, answer });
            pending.parts.push(receiver);
        }
        drop(state);
        pending.parts.iter().for_each(|_| self.shared.changed.notify_one());
        Ok(pending)
    }

    /// Refuses rows that could not be taken anyway, before they are read.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        let rows = self.shared.lock().rows;
        if rows >= self.shared.config.queue_rows { Err(busy(rows)) } else { Ok(()) }
    }

    /// Whether less than half of the queue is taken: room for what nobody waits for.
    pub(crate) fn has_leisure(&self) -> bool {
        self.shared.lock().rows * 2 < self.shared.config.queue_rows
    }
}

/// What waits is still scored.
impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // A thread that panicked said so when it did.
            let _ = worker.join();
        }
    }
}

impl Pending {
    /// All scores, once they are there.
    pub(crate) async fn scored(self) -> Result<Scored, Refusal> {
        let mut all: Option<Scored> = None;
        for part in self.parts {
            let part = part.await.map_err(|_| Refusal::failed("scoring"))??;
            match &mut all {
                None => all = Some(part),
                Some(all) => {
                    all.scores.extend(part.scores);
                    all.waited = all.waited.max(part.waited);
                    all.computed = all.computed.max(part.computed);
                }
            }
        }
        all.ok_or_else(|| Refusal::failed("scoring"))
    }
}

impl Work {
    /// The rows in as many parts as threads have nothing to do, if each is worth the trouble.
    fn split(self, idle: usize) -> Vec<Work> {
        let all = self.batch.rows;
        let parts = idle.min(all / PART).max(1);
        if parts == 1 {
            return vec![self];
        }
        let rows = all.div_ceil(parts);
        let part = |first: usize| Work {
            version: Arc::clone(&self.version),
            batch: self.batch.take(&(first as u32..(first + rows).min(all) as u32).collect::<Vec<_>>()),
            user_plan: self.user_plan.clone(),
        };
        (0..all).step_by(rows).map(part).collect()
    }

    /// Whether rows of both may be scored in one go.
    fn goes_with(&self, other: &Work) -> bool {
        Arc::ptr_eq(&self.version, &other.version) && self.user_plan.is_none() && other.user_plan.is_none()
    }
}

impl Shared {
    /// No job is half in the queue when a thread panics, so that what it left is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next jobs that are scored together; nothing when the queue is closed and empty.
    fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            if let Some(first) = state.jobs.front() {
                let until = first.queued + Duration::from_secs_f64(self.config.max_delay_ms / 1e3);
                let wait = until.saturating_duration_since(Instant::now());
                if wait.is_zero()
                    || first.work.user_plan.is_some()
                    || state.closed
                    || state.rows >= self.config.max_rows
                {
                    break;
                }
                state = self.changed.wait_timeout(state, wait).unwrap_or_else(std::sync::PoisonError::into_inner).0;
            } else if state.closed {
                return None;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
                state.idle -= 1;
            }
        }
        // What nobody has to wait for is not put together: another thread takes the next job now.
        let alone = state.idle > 0 && self.config.max_delay_ms == 0.0;
        let jobs = state.take(if alone { 0 } else { self.config.max_rows });
        self.metrics.queue_rows(state.rows);
        // Those of another version are for another thread.
        if !state.jobs.is_empty() {
            self.changed.notify_one();
        }
        Some(jobs)
    }
}

impl State {
    /// The first job and those that go with it, up to so many rows.
    fn take(&mut self, max_rows: usize) -> Vec<Job> {
        let Some(first) = self.jobs.pop_front() else { return Vec::new() };
        let mut rows = first.work.batch.rows;
        let mut taken = vec![first];
        let mut place = 0;
        while place < self.jobs.len() && rows < max_rows {
            let work = &self.jobs[place].work;
            if work.goes_with(&taken[0].work) && rows + work.batch.rows <= max_rows {
                rows += work.batch.rows;
                taken.extend(self.jobs.remove(place));
            } else {
                place += 1;
            }
        }
        self.rows -= rows;
        taken
    }
}

fn busy(rows: usize) -> Refusal {
    Refusal::new(
        RefusalKind::Busy,
        format!("{rows} rows wait to be scored, more than can be done in time; try again later"),
    )
}

fn work(shared: &Shared) {
    let mut workspace = PlanWorkspace::default();
    while let Some(jobs) = shared.take() {
        let begun = Instant::now();
        let jobs: Vec<Job> = jobs.into_iter().filter_map(|job| in_time(job, begun)).collect();
        if jobs.is_empty() {
            continue;
        }
        let scored = std::panic::catch_unwind(AssertUnwindSafe(|| score(&jobs, &mut workspace)));
        if scored.is_err() {
            workspace = PlanWorkspace::default();
        }
        let computed = begun.elapsed();
        let rows = jobs.iter().map(|job| job.work.batch.rows).sum();
        shared.metrics.computed(rows, computed);
        jobs[0].work.version.counted.executed(rows, computed);
        answer(jobs, scored.ok(), begun, computed);
    }
}

/// The job, unless nobody waits for it any more or its deadline has passed.
fn in_time(job: Job, now: Instant) -> Option<Job> {
    if job.answer.is_closed() {
        return None;
    }
    if job.deadline > now {
        return Some(job);
    }
    let waited = now.duration_since(job.queued).as_millis();
    let refusal = Refusal::new(RefusalKind::Deadline, format!("the deadline passed after {waited} ms in the queue"));
    // Who went away needs no answer.
    let _ = job.answer.send(Err(refusal));
    None
}

/// The scores of all jobs, one behind the other.
fn score(jobs: &[Job], workspace: &mut PlanWorkspace) -> Vec<f32> {
    let version = &jobs[0].work.version;
    if let [Job { work, .. }] = jobs {
        return version.score(workspace, &work.batch, work.user_plan.as_deref());
    }
    let mut all = Batch::default();
    jobs.iter().for_each(|job| all.append(&job.work.batch));
    version.score(workspace, &all, None)
}

fn answer(jobs: Vec<Job>, scores: Option<Vec<f32>>, begun: Instant, computed: Duration) {
    let mut from = 0;
    for job in jobs {
        let numbers = job.work.batch.rows * job.work.version.tasks.len();
        let scored = match &scores {
            Some(scores) => Ok(Scored {
                scores: scores[from..from + numbers].to_vec(),
                waited: begun.duration_since(job.queued),
                computed,
            }),
            None => Err(Refusal::failed("scoring")),
        };
        from += numbers;
        let _ = job.answer.send(scored);
    }
}
