//! What all protocols share: from rows to scores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hinet_data::{Batch, Rows};
use hinet_model::RequestPlan;
use tokio::sync::Semaphore;

use crate::ServeError;
use crate::auth::Tokens;
use crate::config::ServeConfig;
use crate::log::RequestLog;
use crate::metrics::Metrics;
use crate::queue::{Queue, Scored, Work};
use crate::refusal::{Refusal, RefusalKind};
use crate::repository::{Repository, Served};
use crate::version::Version;

/// Rows from which encoding goes to a thread of its own, so that it does not hold up others' requests.
const MANY_ROWS: usize = 512;
/// Rows from which it pays to score the items of a user apart from other requests.
const USER_ROWS: usize = 32;

/// The server without its network.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: ServeConfig,
    pub(crate) repository: Repository,
    pub(crate) queue: Queue,
    pub(crate) metrics: Metrics,
    pub(crate) tokens: Tokens,
    pub(crate) log: RequestLog,
    /// Kilobytes of bodies that may still be taken in.
    pub(crate) room: Arc<Semaphore>,
    stopping: AtomicBool,
}

/// What the headers of a request say.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) deadline: Instant,
    /// Decides which version answers.
    pub(crate) key: Option<String>,
}

/// Rows that a version can score.
#[derive(Debug)]
pub(crate) struct Encoded {
    rows: Rows,
    pub(crate) batch: Batch,
    user_plan: Option<Arc<RequestPlan<'static>>>,
    /// When encoding began.
    begun: Instant,
}

impl Encoded {
    /// Where there are many rows, all of one scenario, what they have in common is computed once, if there is a plan for
    /// those columns, which `common` names.
    pub(crate) fn share(&mut self, version: &Arc<Version>, common: impl FnOnce() -> Vec<String>) {
        let scenarios = &self.batch.scenario;
        if scenarios.len() >= USER_ROWS && scenarios.iter().all(|scenario| *scenario == scenarios[0]) {
            let common = common();
            self.user_plan = version.user_plan(|column| common.iter().any(|name| name == column));
        }
    }
}

/// Scores of rows, and who gave them.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) version: Arc<Version>,
    pub(crate) rows: usize,
    pub(crate) scored: Scored,
}

impl App {
    pub(crate) fn new(config: ServeConfig, runs: &[std::path::PathBuf]) -> Result<App, ServeError> {
        config.check()?;
        let metrics = Metrics::new();
        let tokens = Tokens::open(config.token_file.as_deref())?;
        let repository = Repository::open(runs, &config, &metrics)?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores() } else { config.threads };
        let queue = Queue::start(threads, &config.batching, &metrics)?;
        let room = Arc::new(Semaphore::new(config.limits.bytes_in_flight.div_ceil(1024).min(Semaphore::MAX_PERMITS)));
        let log = RequestLog::new(&config.log);
        Ok(App { config, repository, queue, metrics, tokens, log, room, stopping: AtomicBool::new(false) })
    }

    /// Whether requests are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && !self.repository.all().is_empty()
    }

    /// From now on the server says that it is not ready, and still answers.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Scores rows by one of the versions of a model.
    pub(crate) async fn score(
        &self,
        served: &Served,
        version: &Arc<Version>,
        rows: Rows,
        asked: &Asked,
    ) -> Result<Answer, Refusal> {
        let encoded = self.encode(version, rows).await?;
        self.score_encoded(served, version, encoded, asked).await
    }

    /// Rows as a version reads them, unless there are more than can be taken.
    pub(crate) async fn encode(&self, version: &Arc<Version>, rows: Rows) -> Result<Encoded, Refusal> {
        let begun = Instant::now();
        let batch = self.try_to_encode(version, &rows).await.inspect_err(|_| version.counted.failed())?;
        Ok(Encoded { rows, batch, user_plan: None, begun })
    }

    /// Scores rows by the version that they are encoded for.
    pub(crate) async fn score_encoded(
        &self,
        served: &Served,
        version: &Arc<Version>,
        encoded: Encoded,
        asked: &Asked,
    ) -> Result<Answer, Refusal> {
        let Encoded { rows, batch, user_plan, begun } = encoded;
        let work = Work { version: Arc::clone(version), batch, user_plan };
        let scored = self.queued(work, asked).await.inspect_err(|_| version.counted.failed())?;
        version.counted.answered(scored.waited, begun.elapsed());
        if let Some(shadow) = served.shadow_of(version) {
            self.score_in_shadow((version, &scored.scores), shadow, &rows, asked);
        }
        Ok(Answer { version: Arc::clone(version), rows: rows.len(), scored })
    }

    async fn try_to_encode(&self, version: &Arc<Version>, rows: &Rows) -> Result<Batch, Refusal> {
        let (count, most) = (rows.len(), self.config.limits.rows);
        if count > most {
            let problem = format!("the request has {count} rows, at most {most} are scored at once (`limits.rows`)");
            return Err(Refusal::new(RefusalKind::TooLarge, problem));
        }
        self.queue.check_room()?;
        if count < MANY_ROWS {
            return version.encode(rows);
        }
        let (version, rows) = (Arc::clone(version), rows.clone());
        tokio::task::spawn_blocking(move || version.encode(&rows)).await.map_err(|_| Refusal::failed("scoring"))?
    }

    /// What the queue makes of rows, before their deadline.
    async fn queued(&self, work: Work, asked: &Asked) -> Result<Scored, Refusal> {
        let pending = self.queue.submit(work, asked.deadline)?;
        let late = || Refusal::new(RefusalKind::Deadline, "the deadline passed before the scores were there");
        let scored = tokio::time::timeout_at(asked.deadline.into(), pending.scored()).await.map_err(|_| late())??;
        self.metrics.waited(scored.waited);
        Ok(scored)
    }

    /// Changes what is served. A change runs to its end even if who asked goes away, on a thread that may wait for files.
    pub(crate) async fn change(
        self: &Arc<App>,
        change: impl FnOnce(&Repository) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<(), Refusal> {
        let app = Arc::clone(self);
        let changed = tokio::task::spawn_blocking(move || change(&app.repository)).await;
        changed.map_err(|_| Refusal::failed("the change"))?
    }

    /// Scores rows by a version whose scores nobody is given, where there is time for it, and counts how they differ.
    fn score_in_shadow(&self, answered: (&Version, &[f32]), shadow: &Arc<Version>, rows: &Rows, asked: &Asked) {
        if !self.queue.has_leisure() {
            return;
        }
        // What the shadow cannot encode is counted by nobody: it was not asked.
        let Ok(batch) = shadow.encode(rows) else { return };
        let work = Work { version: Arc::clone(shadow), batch, user_plan: None };
        let Ok(pending) = self.queue.submit(work, asked.deadline) else { return };
        let (version, scores) = (answered.0.tasks.clone(), answered.1.to_vec());
        let shadow = Arc::clone(shadow);
        tokio::spawn(async move {
            if let Ok(scored) = pending.scored().await {
                shadow.compare(&scored.scores, &version, &scores);
            }
        });
    }
}
