//! `serve.toml`: what is served, and how.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ServeError;

/// Version of the file that this hinet reads.
pub const SERVE_CONFIG_VERSION: u32 = 1;

/// More threads than any machine has cores.
const MOST_THREADS: usize = 4096;

/// The file as it was written, every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Version of this format.
    pub config_version: u32,
    /// The address to listen at. `0.0.0.0` takes requests from other machines.
    pub host: String,
    /// The port to listen at, for HTTP and gRPC alike. 0 takes any that is free.
    pub port: u16,
    /// HOST:PORT where `/metrics` is answered besides, without token and encryption: for a Prometheus that is let in there alone.
    pub metrics_address: Option<String>,
    /// Threads that score; 0 takes as many as the machine has cores.
    pub threads: usize,
    /// A file of bearer tokens, one a line. With it, whoever asks for more than health must bring one. It is read again when
    /// it changes.
    pub token_file: Option<PathBuf>,
    /// Seconds between two looks at watched folders and at the files of tokens.
    pub poll_seconds: f64,
    /// Encryption. Without it: none.
    pub tls: Option<TlsConfig>,
    /// What is refused for its size or its age.
    pub limits: LimitsConfig,
    /// How requests are scored together.
    pub batching: BatchingConfig,
    /// The log of requests.
    pub log: LogConfig,
    /// How the server ends.
    pub shutdown: ShutdownConfig,
    /// The models, besides those of the command line.
    #[serde(rename = "model")]
    pub models: Vec<ServedModel>,
}

/// Files of a certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those above it, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// What is refused for its size or its age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of a request's body, unpacked where it comes packed.
    pub body_bytes: usize,
    /// Bytes of the bodies of all requests that are being taken in, together.
    pub bytes_in_flight: usize,
    /// Rows of a request.
    pub rows: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Milliseconds that a request may take in all. A request may ask for less, with `X-Request-Timeout` (seconds) or
    /// `grpc-timeout`.
    pub deadline_ms: u64,
    /// Milliseconds for the headers of a request, and again for its body, to arrive.
    pub arrival_ms: u64,
}

/// How requests are scored together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchingConfig {
    /// Rows of requests that are scored together, at most. A request of more rows is scored alone. More than the default
    /// spare nothing: the weights of a model are read once for so many rows.
    pub max_rows: usize,
    /// Milliseconds that a request waits for others to come. 0: it waits for none, and those that came while others were
    /// scored go together.
    pub max_delay_ms: f64,
    /// Rows that may wait. Requests beyond are refused at once (503, `RESOURCE_EXHAUSTED`).
    pub queue_rows: usize,
}

/// The log of requests: one line of JSON each, on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Share of the requests that were answered as asked. 0: none.
    pub sample: f64,
    /// Whether those that were refused are logged; of more than 100 in a second, how many more there were.
    pub refused: bool,
}

/// How the server ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// Seconds between saying not to be ready and taking no more connections, for those that send requests here to notice.
    pub drain_delay_seconds: f64,
    /// Seconds for accepted requests to be answered.
    pub limit_seconds: f64,
}

/// A model that is served: of one version, of several that share its requests, or of the newest in a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServedModel {
    /// Its name in requests. Without it: the run's.
    pub name: Option<String>,
    /// A run folder, or an artefact: the only version, of number 1.
    pub run: Option<PathBuf>,
    /// A folder of run folders or artefacts whose names are numbers. The one of the largest number is served; a larger
    /// one that comes takes its place once it has proved itself.
    pub watch: Option<PathBuf>,
    /// Versions that are served beside each other.
    #[serde(rename = "version")]
    pub versions: Vec<ServedVersion>,
    /// A score of `/rank` out of those of the tasks, such as `click^0.7 * like^0.3`, where a request names none.
    pub score: Option<String>,
}

/// A version among several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedVersion {
    /// Its name, such as `2`.
    pub version: String,
    /// A run folder, or an artefact.
    pub run: PathBuf,
    /// Another name for it in paths of the form `/v1/models/NAME/labels/LABEL:predict`, such as `stable`.
    #[serde(default)]
    pub label: Option<String>,
    /// Its part of the requests that name no version, beside the parts of the others. 0: none.
    #[serde(default = "one")]
    pub share: f64,
    /// Whether it scores in the shadow what others answer: its scores go into the metrics and nowhere else.
    #[serde(default)]
    pub shadow: bool,
}

impl ServedVersion {
    /// A version that answers all requests.
    pub(crate) fn only(version: String, run: PathBuf) -> ServedVersion {
        ServedVersion { version, run, label: None, share: 1.0, shadow: false }
    }
}

impl Default for ServeConfig {
    fn default() -> ServeConfig {
        ServeConfig {
            config_version: SERVE_CONFIG_VERSION,
            host: "127.0.0.1".to_owned(),
            port: 8080,
            metrics_address: None,
            threads: 0,
            token_file: None,
            poll_seconds: 2.0,
            tls: None,
            limits: LimitsConfig::default(),
            batching: BatchingConfig::default(),
            log: LogConfig::default(),
            shutdown: ShutdownConfig::default(),
            models: Vec::new(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig {
            body_bytes: 8 << 20,
            bytes_in_flight: 256 << 20,
            rows: 10_000,
            connections: 1024,
            deadline_ms: 2_000,
            arrival_ms: 10_000,
        }
    }
}

impl Default for BatchingConfig {
    fn default() -> BatchingConfig {
        BatchingConfig { max_rows: 128, max_delay_ms: 0.0, queue_rows: 4_096 }
    }
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { sample: 0.0, refused: true }
    }
}

impl Default for ShutdownConfig {
    fn default() -> ShutdownConfig {
        ShutdownConfig { drain_delay_seconds: 0.0, limit_seconds: 30.0 }
    }
}

impl ServeConfig {
    /// Paths of the file become those of the folder that it stands in.
    pub fn resolve(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        self.token_file.iter_mut().for_each(resolve);
        if let Some(tls) = &mut self.tls {
            resolve(&mut tls.certificate);
            resolve(&mut tls.key);
        }
        for model in &mut self.models {
            model.run.iter_mut().for_each(resolve);
            model.watch.iter_mut().for_each(resolve);
            model.versions.iter_mut().for_each(|version| resolve(&mut version.run));
        }
    }

    /// What the parts say together.
    ///
    /// # Errors
    /// [`ServeError::Config`] with the key and what was expected.
    pub fn check(&self) -> Result<(), ServeError> {
        if self.config_version != SERVE_CONFIG_VERSION {
            let known = format!("{SERVE_CONFIG_VERSION}, the version that this hinet reads");
            return Err(bad("config_version", self.config_version, &known));
        }
        let LimitsConfig { body_bytes, bytes_in_flight, rows, connections, deadline_ms, arrival_ms } = self.limits;
        for (key, value) in [
            ("limits.body_bytes", body_bytes as u64),
            ("limits.rows", rows as u64),
            ("limits.connections", connections as u64),
            ("limits.deadline_ms", deadline_ms),
            ("limits.arrival_ms", arrival_ms),
            ("batching.max_rows", self.batching.max_rows as u64),
            ("batching.queue_rows", self.batching.queue_rows as u64),
        ] {
            if value == 0 {
                return Err(bad(key, value, "1 or more"));
            }
        }
        if self.threads > MOST_THREADS {
            return Err(bad(
                "threads",
                self.threads,
                &format!("at most {MOST_THREADS}; 0 takes as many as there are cores"),
            ));
        }
        if bytes_in_flight < body_bytes {
            return Err(bad("limits.bytes_in_flight", bytes_in_flight, "at least `limits.body_bytes`"));
        }
        for (key, value, most) in [
            ("batching.max_delay_ms", self.batching.max_delay_ms, 1e3),
            ("log.sample", self.log.sample, 1.0),
            ("shutdown.drain_delay_seconds", self.shutdown.drain_delay_seconds, 3.6e3),
            ("shutdown.limit_seconds", self.shutdown.limit_seconds, 3.6e3),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(bad(key, value, &format!("a number from 0 to {most}")));
            }
        }
        if !(0.01..=3.6e3).contains(&self.poll_seconds) {
            return Err(bad("poll_seconds", self.poll_seconds, "a number from 0.01 to 3600"));
        }
        self.models.iter().enumerate().try_for_each(|(index, model)| model.check(index))
    }
}

impl ServedModel {
    fn check(&self, index: usize) -> Result<(), ServeError> {
        let key = |name: &str| format!("model.{index}{}{name}", if name.is_empty() { "" } else { "." });
        let said = usize::from(self.run.is_some()) + usize::from(self.watch.is_some());
        if said + usize::from(!self.versions.is_empty()) != 1 {
            let what = self.name.as_deref().unwrap_or("a model");
            return Err(bad(&key(""), what, "one of `run`, `watch` and `[[model.version]]`"));
        }
        if self.watch.is_some() && self.name.is_none() {
            return Err(bad(&key("name"), "not there", "the model's name, beside `watch`"));
        }
        check_name(&key("name"), self.name.as_deref())?;
        for (at, version) in self.versions.iter().enumerate() {
            let key = |name: &str| key(&format!("version.{at}.{name}"));
            check_name(&key("version"), Some(&version.version))?;
            if self.versions[..at].iter().any(|other| other.version == version.version) {
                return Err(bad(&key("version"), &version.version, "a name that no other version has"));
            }
            check_name(&key("label"), version.label.as_deref())?;
            if let Some(label) = &version.label
                && self.versions[..at].iter().any(|other| other.label.as_ref() == Some(label))
            {
                return Err(bad(&key("label"), label, "a label that no other version has"));
            }
            if !(version.share >= 0.0 && version.share.is_finite()) {
                return Err(bad(&key("share"), version.share, "0 or more"));
            }
        }
        let answers = |version: &ServedVersion| !version.shadow && version.share > 0.0;
        if !self.versions.is_empty() && !self.versions.iter().any(answers) {
            return Err(bad(
                &key("version"),
                "no part of the requests in all",
                "a version with a `share`, not in the shadow",
            ));
        }
        Ok(())
    }
}

/// Refuses what cannot stand in a path, if anything is said.
fn check_name(key: &str, name: Option<&str>) -> Result<(), ServeError> {
    match name.filter(|name| name.is_empty() || name.contains(['/', ':'])) {
        Some(name) => Err(bad(key, name, "a name without `/` and `:`")),
        None => Ok(()),
    }
}

fn bad(key: &str, found: impl std::fmt::Display, expected: &str) -> ServeError {
    ServeError::Config { key: key.to_owned(), found: found.to_string(), expected: expected.to_owned() }
}

fn one() -> f64 {
    1.0
}
