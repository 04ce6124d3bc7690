//! A served model and which of its versions answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hinet_data::Expression;
use xxhash_rust::xxh3::xxh3_64;

use super::score_expression;
use super::watch::newest;
use crate::ServeError;
use crate::config::{ServedModel, ServedVersion};
use crate::metrics::Metrics;
use crate::refusal::{NAME, Refusal, RefusalKind, shortened};
use crate::version::Version;

/// A model with the versions that are served.
#[derive(Debug)]
pub(crate) struct Served {
    versions: Vec<Arc<Version>>,
    /// Parallel to the versions: where the part of each ends, the last at 1; a version without a part ends where the one before does.
    ends: Vec<f64>,
    /// Parallel to the versions.
    labels: Vec<Option<String>>,
    shadow: Option<usize>,
    /// The score of `/rank` where a request names none.
    pub(crate) score: Option<Expression>,
    /// Requests without a key so far.
    keyless: AtomicU64,
}

impl Served {
    /// Loads every version of a model and tries it.
    pub(super) fn load(settings: &ServedModel, metrics: &Metrics) -> Result<Served, ServeError> {
        let wanted = wanted(settings)?;
        let name = settings.name.as_deref();
        let load = |version: &ServedVersion| Version::load(name, &version.version, &version.run, metrics).map(Arc::new);
        let versions = wanted.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        check_alike(&versions)?;
        let score = settings.score.as_deref().map(|text| {
            score_expression(text, &versions[0].tasks).map_err(|expected| ServeError::Config {
                key: "model.score".to_owned(),
                found: text.to_owned(),
                expected: format!("an expression over tasks: {expected}"),
            })
        });
        let shadow = wanted.iter().position(|version| version.shadow);
        let ends = ends(&wanted);
        let labels = wanted.into_iter().map(|version| version.label).collect();
        Ok(Served { ends, versions, labels, shadow, score: score.transpose()?, keyless: AtomicU64::new(0) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.versions[0].model
    }

    pub(crate) fn versions(&self) -> &[Arc<Version>] {
        &self.versions
    }

    /// The version that answers a request: the one it names, else one by its key. The same key has the same version as long as
    /// the parts stay the same; requests without a key are spread over the versions.
    pub(crate) fn choose(&self, version: Option<&str>, key: Option<&str>) -> Result<&Arc<Version>, Refusal> {
        let Some(version) = version else {
            return Ok(&self.versions[self.place(self.draw(key))]);
        };
        self.versions.iter().find(|known| known.version == version).ok_or_else(|| {
            let (version, model) = (shortened(version, NAME), self.name());
            let known: Vec<&str> = self.versions.iter().map(|version| version.version.as_str()).collect();
            let known = known.join(", ");
            Refusal::new(RefusalKind::NotFound, format!("model `{model}` has no version `{version}`; it has {known}"))
        })
    }

    /// The version with this label.
    pub(crate) fn labelled(&self, label: &str) -> Result<&Arc<Version>, Refusal> {
        let place = self.labels.iter().position(|known| known.as_deref() == Some(label));
        place.map(|place| &self.versions[place]).ok_or_else(|| {
            let (label, model) = (shortened(label, NAME), self.name());
            Refusal::new(RefusalKind::NotFound, format!("model `{model}` has no version with the label `{label}`"))
        })
    }

    /// The version that scores in the shadow of another.
    pub(crate) fn shadow_of(&self, answering: &Arc<Version>) -> Option<&Arc<Version>> {
        self.shadow.map(|place| &self.versions[place]).filter(|shadow| !Arc::ptr_eq(shadow, answering))
    }

    /// A number from 0 to below 1.
    fn draw(&self, key: Option<&str>) -> f64 {
        let hash = match key {
            Some(key) => xxh3_64(key.as_bytes()),
            None => xxh3_64(&self.keyless.fetch_add(1, Ordering::Relaxed).to_le_bytes()),
        };
        (hash >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn place(&self, draw: f64) -> usize {
        self.ends.iter().position(|end| draw < *end).expect("the last part ends at 1")
    }
}

/// Versions that share requests must read the same columns and answer for the same tasks.
fn check_alike(versions: &[Arc<Version>]) -> Result<(), ServeError> {
    let [first, others @ ..] = versions else { return Ok(()) };
    let columns = |version: &Version| version.inputs().iter().map(|input| input.name.clone()).collect::<Vec<_>>();
    for other in others {
        for (what, of_first, of_other) in
            [("columns", columns(first), columns(other)), ("tasks", first.tasks.clone(), other.tasks.clone())]
        {
            let lacks = |some: &[String], from: &[String]| some.iter().find(|name| !from.contains(name)).cloned();
            if let Some(name) = lacks(&of_first, &of_other).or_else(|| lacks(&of_other, &of_first)) {
                let (model, versions) = (first.model.clone(), [&first.version, &other.version].map(Clone::clone));
                return Err(ServeError::VersionsDiffer { model, versions, what, name });
            }
        }
    }
    Ok(())
}

/// The versions that the settings ask for, now.
fn wanted(settings: &ServedModel) -> Result<Vec<ServedVersion>, ServeError> {
    if let Some(folder) = &settings.watch {
        let newest = newest(folder).ok_or_else(|| ServeError::NoVersion { path: folder.clone() })?;
        let version = newest.number.to_string();
        return Ok(vec![ServedVersion::only(version, newest.folder)]);
    }
    if let Some(run) = &settings.run {
        return Ok(vec![ServedVersion::only("1".to_owned(), run.clone())]);
    }
    Ok(settings.versions.clone())
}

fn ends(versions: &[ServedVersion]) -> Vec<f64> {
    let part = |version: &ServedVersion| if version.shadow { 0.0 } else { version.share };
    let all: f64 = versions.iter().map(part).sum();
    let mut end = 0.0;
    let mut ends: Vec<f64> = versions
        .iter()
        .map(|version| {
            end += part(version) / all;
            end
        })
        .collect();
    // Rounding must leave no draw without a version.
    if let Some(last) = versions.iter().rposition(|version| part(version) > 0.0) {
        ends[last..].fill(1.0);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(share: f64, shadow: bool) -> ServedVersion {
        ServedVersion { share, shadow, ..ServedVersion::only(share.to_string(), "run".into()) }
    }

    #[test]
    fn parts_end_at_one_and_a_version_in_the_shadow_has_none() {
        let ends = ends(&[version(3.0, false), version(5.0, true), version(1.0, false), version(0.0, false)]);
        assert_eq!(ends, [0.75, 0.75, 1.0, 1.0]);
    }
}
