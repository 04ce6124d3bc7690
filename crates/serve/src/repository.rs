//! The models that are served, and how they change while requests come in.
//!
//! A new version is loaded beside the one that serves, tried, and only then takes its place, in one step. Requests that chose the
//! old one hold it until they are answered. A version that cannot be loaded changes nothing.

mod choice;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use hinet_data::Expression;

use crate::ServeError;
use crate::config::{ServeConfig, ServedModel, ServedVersion};
use crate::metrics::Metrics;
use crate::refusal::{NAME, Refusal, RefusalKind, shortened};
use crate::version::Version;
pub(crate) use choice::Served;
use watch::{Stamp, newest};

/// All models by name.
#[derive(Debug)]
pub(crate) struct Repository {
    served: ArcSwap<BTreeMap<String, Arc<Served>>>,
    /// One change at a time.
    entries: Mutex<BTreeMap<String, Entry>>,
    metrics: Metrics,
}

/// What is known of a model, whether it is served or not.
#[derive(Debug)]
struct Entry {
    settings: ServedModel,
    state: State,
    /// What a watched folder held when it was looked at last.
    stamp: Option<Stamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Somebody asked for that.
    Unloaded,
    /// The newest could not be loaded; what was served before still is.
    Failed(String),
}

/// A line of the repository's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexLine {
    pub(crate) model: String,
    pub(crate) version: String,
    pub(crate) state: &'static str,
    pub(crate) reason: String,
}

impl Repository {
    /// Loads all models: `runs` are those of the command line.
    pub(crate) fn open(runs: &[PathBuf], config: &ServeConfig, metrics: &Metrics) -> Result<Repository, ServeError> {
        let mut entries = BTreeMap::new();
        let mut served = BTreeMap::new();
        for settings in config.models.iter().cloned() {
            add(settings, &mut served, &mut entries, metrics)?;
        }
        for settings in of_command_line(runs)? {
            add(settings, &mut served, &mut entries, metrics)?;
        }
        if served.is_empty() {
            return Err(ServeError::NoModel);
        }
        Ok(Repository { served: ArcSwap::from_pointee(served), entries: Mutex::new(entries), metrics: metrics.clone() })
    }

    /// The models that are served, by name.
    pub(crate) fn all(&self) -> Arc<BTreeMap<String, Arc<Served>>> {
        self.served.load_full()
    }

    /// The model of this name; without a name, the only one.
    pub(crate) fn model(&self, name: Option<&str>) -> Result<Arc<Served>, Refusal> {
        let served = self.served.load();
        let names = || served.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => served.get(name).cloned().ok_or_else(|| {
                let name = shortened(name, NAME);
                Refusal::new(RefusalKind::NotFound, format!("there is no model `{name}`; there are: {}", names()))
            }),
            None if served.len() == 1 => Ok(Arc::clone(served.values().next().expect("there is one"))),
            None => Err(Refusal::bad(format!("say which `model`: {}", names()))),
        }
    }

    /// Loads a model anew from where it lies. What is served stays until the new one has proved itself.
    pub(crate) fn load(&self, name: &str) -> Result<(), Refusal> {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(name) else {
            let name = shortened(name, NAME);
            return Err(Refusal::new(RefusalKind::NotFound, format!("no model `{name}` is configured")));
        };
        self.reload(name, entry).map_err(|error| Refusal::bad(format!("{error}; what was served before still is")))
    }

    /// Serves a model no more.
    pub(crate) fn unload(&self, name: &str) -> Result<(), Refusal> {
        let mut entries = self.lock();
        let served = self.served.load();
        if !served.contains_key(name) {
            return self.model(Some(name)).map(|_| ());
        }
        let mut rest = BTreeMap::clone(&served);
        rest.remove(name);
        self.served.store(Arc::new(rest));
        if let Some(entry) = entries.get_mut(name) {
            entry.state = State::Unloaded;
        }
        Ok(())
    }

    /// Looks at the watched folders, and loads what is new in them. Says what happened, a line each.
    pub(crate) fn poll(&self) -> Vec<String> {
        let mut said = Vec::new();
        for (name, entry) in self.lock().iter_mut() {
            let Some(folder) = entry.settings.watch.clone() else { continue };
            let stamp = newest(&folder).map(|newest| newest.stamp);
            if entry.state == State::Unloaded || stamp.is_none() || stamp == entry.stamp {
                continue;
            }
            said.push(match self.reload(name, entry) {
                Ok(()) => format!("model `{name}`: loaded anew from {}", folder.display()),
                Err(error) => format!("model `{name}`: {error}; what was served before still is"),
            });
            // What failed is tried again when it changes, and not before.
            entry.stamp = stamp;
        }
        said
    }

    /// All that is known of, served or not.
    pub(crate) fn index(&self) -> Vec<IndexLine> {
        let entries = self.lock();
        let served = self.served.load();
        let mut lines = Vec::new();
        for (name, entry) in entries.iter() {
            let line = |version: &str, state, reason: &str| IndexLine {
                model: name.clone(),
                version: version.to_owned(),
                state,
                reason: reason.to_owned(),
            };
            let versions = served.get(name).map_or(&[][..], |served| served.versions());
            lines.extend(versions.iter().map(|version| line(&version.version, "READY", "")));
            match &entry.state {
                State::Ready => {}
                State::Unloaded => lines.push(line("", "UNAVAILABLE", "unloaded")),
                State::Failed(reason) => lines.push(line("", "UNAVAILABLE", reason)),
            }
        }
        lines
    }

    fn reload(&self, name: &str, entry: &mut Entry) -> Result<(), ServeError> {
        let loaded = Served::load(&entry.settings, &self.metrics);
        self.metrics.loaded(name, if loaded.is_ok() { "ok" } else { "failed" });
        match loaded {
            Ok(served) => {
                let mut all = BTreeMap::clone(&self.served.load());
                all.insert(name.to_owned(), Arc::new(served));
                self.served.store(Arc::new(all));
                entry.state = State::Ready;
                Ok(())
            }
            Err(error) => {
                entry.state = State::Failed(error.to_string());
                Err(error)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads a model at the start and gives it the name under which it is found again.
fn add(
    mut settings: ServedModel,
    served: &mut BTreeMap<String, Arc<Served>>,
    entries: &mut BTreeMap<String, Entry>,
    metrics: &Metrics,
) -> Result<(), ServeError> {
    let stamp = settings.watch.as_deref().and_then(newest).map(|newest| newest.stamp);
    let model = Served::load(&settings, metrics)?;
    let name = model.name().to_owned();
    if served.contains_key(&name) {
        return Err(ServeError::TwoModels { name });
    }
    metrics.loaded(&name, "ok");
    settings.name = Some(name.clone());
    entries.insert(name.clone(), Entry { settings, state: State::Ready, stamp });
    served.insert(name, Arc::new(model));
    Ok(())
}

/// The runs of the command line: those of one name are versions 1, 2, .. of one model, the last of which answers requests that name
/// no version.
fn of_command_line(runs: &[PathBuf]) -> Result<Vec<ServedModel>, ServeError> {
    let mut models: Vec<ServedModel> = Vec::new();
    for run in runs {
        let name = Version::name_of(run)?;
        let model = match models.iter_mut().find(|model| model.name.as_deref() == Some(&name)) {
            Some(model) => model,
            None => {
                models.push(ServedModel { name: Some(name), ..ServedModel::default() });
                models.last_mut().expect("it was just put there")
            }
        };
        model.versions.iter_mut().for_each(|version| version.share = 0.0);
        let version = (model.versions.len() + 1).to_string();
        model.versions.push(ServedVersion::only(version, run.clone()));
    }
    Ok(models)
}

/// An expression over the tasks of a model.
pub(crate) fn score_expression(text: &str, tasks: &[String]) -> Result<Expression, String> {
    let expression = Expression::parse(text).map_err(|error| error.to_string())?;
    match expression.columns().into_iter().find(|column| !tasks.contains(column)) {
        Some(column) => Err(format!("`{column}` is no task of the model; it has {}", tasks.join(", "))),
        None => Ok(expression),
    }
}
