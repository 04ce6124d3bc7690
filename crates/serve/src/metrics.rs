//! What Prometheus is told.
//!
//! | name | labels | what it counts |
//! | --- | --- | --- |
//! | `hinet_requests_total` | `path`, `code` | requests answered, by the code of HTTP or gRPC |
//! | `hinet_request_seconds` | `path` | from a request's headers to its answer |
//! | `hinet_queue_rows` | | rows that wait |
//! | `hinet_queue_seconds` | | time in the queue |
//! | `hinet_batch_rows` | | rows scored together |
//! | `hinet_compute_seconds` | | time to score them |
//! | `hinet_rows_total` | `model`, `version`, `scenario` | rows scored |
//! | `hinet_scores` | `model`, `version`, `scenario`, `task` | the probabilities |
//! | `hinet_missing_total`, `hinet_unseen_total` | `model`, `version`, `feature` | values that were missing, or that train did not have |
//! | `hinet_user_once_rows_total` | `model`, `version` | rows of `/rank` for which what is said of their user was computed once per request |
//! | `hinet_unknown_scenario_total` | `model`, `version` | rows of a scenario that train did not have |
//! | `hinet_shadow_difference` | `model`, `version`, `task` | how far the scores in the shadow are from those that were answered |
//! | `hinet_loads_total` | `model`, `result` | models loaded, or not |
//! | `hinet_connections` | | open connections |

use std::sync::Arc;
use std::time::Duration;

use hinet_data::{Batch, EncodeCounts, Layout};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Seconds, from a tenth of a millisecond on.
const SECONDS: [f64; 16] =
    [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 7.5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0, 5.0];
const ROWS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 1e4];
const PROBABILITIES: [f64; 14] = [1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 5e-2, 1e-1, 2e-1, 3e-1, 4e-1, 5e-1, 7e-1, 9e-1, 1.0];
const DIFFERENCES: [f64; 8] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 5e-2, 1e-1, 1.0];

/// Scenarios that have counters of their own; those beyond share one, so that the metrics stay small.
const SCENARIOS: usize = 100;

/// What is counted over the whole server. Clones count together.
#[derive(Clone)]
pub(crate) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    queue_rows: Gauge,
    queue_seconds: Histogram,
    batch_rows: Histogram,
    compute_seconds: Histogram,
    pub(crate) connections: Gauge,
}

/// What is counted of one version of a model.
pub(crate) struct VersionMeters {
    tasks: usize,
    /// For each scenario id, which counters are its own.
    place: Vec<usize>,
    rows: Vec<Counter>,
    /// `[counters of scenarios, tasks]`.
    scores: Vec<Histogram>,
    missing: Vec<Counter>,
    unseen: Vec<Counter>,
    user_once: Counter,
    unknown: Counter,
    shadow: Vec<Histogram>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl std::fmt::Debug for VersionMeters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("VersionMeters")
    }
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let recorder = Arc::new(builder().expect("the buckets are not empty").build_recorder());
        let handle = recorder.handle();
        let metrics = Scope { recorder: &recorder };
        Metrics {
            queue_rows: metrics.gauge("hinet_queue_rows"),
            queue_seconds: metrics.histogram("hinet_queue_seconds", Vec::new()),
            batch_rows: metrics.histogram("hinet_batch_rows", Vec::new()),
            compute_seconds: metrics.histogram("hinet_compute_seconds", Vec::new()),
            connections: metrics.gauge("hinet_connections"),
            handle,
            recorder,
        }
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds what was recorded since into buckets; to be called now and then, so that it does not pile up.
    pub(crate) fn fold(&self) {
        self.handle.run_upkeep();
    }

    pub(crate) fn queue_rows(&self, rows: usize) {
        self.queue_rows.set(rows as f64);
    }

    pub(crate) fn computed(&self, rows: usize, time: Duration) {
        self.batch_rows.record(rows as f64);
        self.compute_seconds.record(time);
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.queue_seconds.record(time);
    }

    pub(crate) fn answered(&self, path: &str, code: u16, time: Duration) {
        let path = Label::new("path", path.to_owned());
        let scope = Scope { recorder: &self.recorder };
        scope.counter("hinet_requests_total", vec![path.clone(), Label::new("code", code.to_string())]).increment(1);
        scope.histogram("hinet_request_seconds", vec![path]).record(time);
    }

    pub(crate) fn loaded(&self, model: &str, result: &'static str) {
        let labels = vec![Label::new("model", model.to_owned()), Label::new("result", result)];
        Scope { recorder: &self.recorder }.counter("hinet_loads_total", labels).increment(1);
    }

    /// Counters of a version.
    pub(crate) fn version(&self, model: &str, version: &str, layout: &Layout) -> VersionMeters {
        let scope = Scope { recorder: &self.recorder };
        let base = || vec![Label::new("model", model.to_owned()), Label::new("version", version.to_owned())];
        let with = |name: &'static str, value: &str| {
            let mut labels = base();
            labels.push(Label::new(name, value.to_owned()));
            labels
        };
        let (place, names) = scenario_counters(layout);
        let tasks = || layout.tasks.iter().map(|task| task.name.as_str());
        let features = |name: &'static str| {
            let counter = |feature| scope.counter(name, with("feature", feature));
            layout.slots.iter().map(|slot| counter(slot.feature())).collect()
        };
        let score = |scenario: &str, task: &str| {
            let mut labels = with("scenario", scenario);
            labels.push(Label::new("task", task.to_owned()));
            scope.histogram("hinet_scores", labels)
        };
        VersionMeters {
            tasks: layout.tasks.len(),
            place,
            rows: names.iter().map(|name| scope.counter("hinet_rows_total", with("scenario", name))).collect(),
            scores: names.iter().flat_map(|name| tasks().map(|task| score(name, task)).collect::<Vec<_>>()).collect(),
            missing: features("hinet_missing_total"),
            unseen: features("hinet_unseen_total"),
            user_once: scope.counter("hinet_user_once_rows_total", base()),
            unknown: scope.counter("hinet_unknown_scenario_total", base()),
            shadow: tasks().map(|task| scope.histogram("hinet_shadow_difference", with("task", task))).collect(),
        }
    }
}

impl VersionMeters {
    /// Counts what encoding met.
    pub(crate) fn encoded(&self, counts: &EncodeCounts) {
        self.unknown.increment(counts.unknown_scenarios);
        for (feature, (missing, unseen)) in counts.features.iter().zip(self.missing.iter().zip(&self.unseen)) {
            // Most are zero, and a counter costs the caches of all threads.
            if feature.missing > 0 {
                missing.increment(feature.missing);
            }
            if feature.unseen > 0 {
                unseen.increment(feature.unseen);
            }
        }
    }

    /// Counts rows whose user was computed once.
    pub(crate) fn user_once(&self, rows: usize) {
        self.user_once.increment(rows as u64);
    }

    /// Counts a grouped batch and its scores.
    pub(crate) fn scored(&self, batch: &Batch, scores: &[f32]) {
        for (scenario, bounds) in batch.offsets.windows(2).enumerate().filter(|(_, bounds)| bounds[0] < bounds[1]) {
            let place = self.place[scenario];
            self.rows[place].increment((bounds[1] - bounds[0]) as u64);
            let meters = &self.scores[place * self.tasks..][..self.tasks];
            for row in scores[bounds[0] * self.tasks..bounds[1] * self.tasks].chunks_exact(self.tasks) {
                meters.iter().zip(row).for_each(|(meter, score)| meter.record(*score));
            }
        }
    }

    /// Counts how far scores in the shadow are from those of the same rows that were answered. Tasks are this version's.
    pub(crate) fn shadowed(&self, task: usize, difference: f32) {
        self.shadow[task].record(difference.abs());
    }
}

/// For each scenario id (the unknown one last) the number of its counter, and the labels of the counters.
fn scenario_counters(layout: &Layout) -> (Vec<usize>, Vec<String>) {
    let own = layout.scenarios.len().min(SCENARIOS);
    let mut names: Vec<String> = layout.scenarios[..own].to_vec();
    let mut place: Vec<usize> = (0..own).collect();
    if own < layout.scenarios.len() {
        place.resize(layout.scenarios.len(), own);
        names.push("(others)".to_owned());
    }
    place.push(names.len());
    names.push("(unknown)".to_owned());
    (place, names)
}

/// Makes metrics of one recorder.
struct Scope<'a> {
    recorder: &'a PrometheusRecorder,
}

impl Scope<'_> {
    const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

    fn gauge(&self, name: &'static str) -> Gauge {
        self.recorder.register_gauge(&Key::from_static_name(name), &Self::METADATA)
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.recorder.register_counter(&Key::from_parts(name, labels), &Self::METADATA)
    }

    fn histogram(&self, name: &'static str, labels: Vec<Label>) -> Histogram {
        self.recorder.register_histogram(&Key::from_parts(name, labels), &Self::METADATA)
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("hinet_batch_rows".to_owned()), &ROWS)?
        .set_buckets_for_metric(Matcher::Full("hinet_scores".to_owned()), &PROBABILITIES)?
        .set_buckets_for_metric(Matcher::Full("hinet_shadow_difference".to_owned()), &DIFFERENCES)
}
