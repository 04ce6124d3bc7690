//! The form of TensorFlow Serving, which KServe calls version 1: `POST /v1/models/NAME:predict`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hinet_data::{DataError, Rows, first_elements};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::info::Named;
use super::respond::{json, only, scores};
use crate::app::{Answer, App};
use crate::object;
use crate::oip::{metadata, scores_of};
use crate::refusal::{NAME, Refusal, RefusalKind, shortened};
use crate::repository::Served;
use crate::version::Version;

/// A path: the model and its version or label, of which the last may have a verb behind a colon.
#[derive(Deserialize)]
pub(crate) struct Last {
    model: Option<String>,
    /// `versions` or `labels`, where the last part is one.
    by: Option<String>,
    last: String,
}

/// What a path names.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Any,
    Version(&'a str),
    Label(&'a str),
}

/// A request: rows, or columns.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictBody<'a> {
    /// There is one signature, whatever it is called.
    #[serde(default, rename = "signature_name")]
    _signature: Option<String>,
    #[serde(borrow, default)]
    instances: Option<&'a RawValue>,
    #[serde(borrow, default)]
    inputs: Option<BTreeMap<String, &'a RawValue>>,
}

pub(crate) async fn status(State(app): State<Arc<App>>, Path(path): Path<Last>) -> Result<Response, Refusal> {
    if path.last.contains(':') {
        return Ok(only("POST"));
    }
    let (model, wanted) = path.named(&path.last)?;
    let served = app.repository.model(Some(model))?;
    let only = match wanted {
        Wanted::Any => None,
        Wanted::Version(_) | Wanted::Label(_) => Some(wanted.of(&served, None)?),
    };
    let versions = served.versions().iter().filter(|known| only.is_none_or(|only| Arc::ptr_eq(only, known)));
    let lines = versions.map(|version| {
        json!({
            "version": version.version,
            "state": "AVAILABLE",
            "status": { "error_code": "OK", "error_message": "" },
        })
    });
    Ok(json(&json!({ "model_version_status": lines.collect::<Vec<_>>() })))
}

pub(crate) async fn metadata(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Response, Refusal> {
    let served = app.repository.model(Some(&named.model))?;
    let version = served.choose(named.version.as_deref(), None)?;
    let spec = json!({ "name": version.model, "signature_name": "", "version": version.version });
    Ok(json(&json!({ "model_spec": spec, "metadata": metadata::model(&served, version) })))
}

pub(crate) async fn predict(
    State(app): State<Arc<App>>,
    Path(path): Path<Last>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let last = match path.last.rsplit_once(':') {
        Some((last, "predict")) => last,
        Some((_, verb)) => {
            let verb = shortened(verb, NAME / 2);
            return Err(Refusal::new(RefusalKind::NotFound, format!("`:{verb}` is not done here; `:predict` is")));
        }
        None => return Ok(only("GET, HEAD")),
    };
    let (model, wanted) = path.named(last)?;
    let asked = app.asked(&headers)?;
    let taken = app.take(&headers, body).await?;
    let body: PredictBody<'_> = taken.read(|bytes| object::read(bytes, "`:predict` request"))?;
    let served = app.repository.model(Some(model))?;
    let version = wanted.of(&served, asked.key.as_deref())?;
    let by_row = body.instances.is_some();
    let rows = taken.read(|_| body.rows(version, app.config.limits.rows))?;
    let answer = app.score(&served, version, rows, &asked).await?;
    Ok(scores(&if by_row { predictions(&answer) } else { columns(&answer) }, &answer))
}

impl Last {
    /// The model and the version of a path, `last` being its last part.
    fn named<'a>(&'a self, last: &'a str) -> Result<(&'a str, Wanted<'a>), Refusal> {
        match (self.model.as_deref(), self.by.as_deref()) {
            (None, _) => Ok((last, Wanted::Any)),
            (Some(model), Some("versions")) => Ok((model, Wanted::Version(last))),
            (Some(model), Some("labels")) => Ok((model, Wanted::Label(last))),
            (Some(_), by) => {
                let by = shortened(by.unwrap_or_default(), NAME / 2);
                Err(Refusal::new(RefusalKind::NotFound, format!("a model has `versions` and `labels`, and no `{by}`")))
            }
        }
    }
}

impl Wanted<'_> {
    fn of<'s>(self, served: &'s Served, key: Option<&str>) -> Result<&'s Arc<Version>, Refusal> {
        match self {
            Wanted::Any => served.choose(None, key),
            Wanted::Version(version) => served.choose(Some(version), key),
            Wanted::Label(label) => served.labelled(label),
        }
    }
}

impl PredictBody<'_> {
    /// The rows; of more than `most` one more than that.
    fn rows(&self, version: &Version, most: usize) -> Result<Rows, Refusal> {
        let rows = match (&self.instances, &self.inputs) {
            (Some(instances), None) => {
                let instances: Vec<&RawValue> = first_elements(instances.get(), most.saturating_add(1))
                    .map_err(|error| Refusal::bad(format!("instances: {error}")))?;
                let objects: Vec<&str> = instances.iter().map(|instance| instance.get()).collect();
                version.columns.of_objects("instances", &[], &objects, &[])
            }
            (None, Some(inputs)) => {
                let lists = inputs.iter().map(|(name, list)| (name.as_str(), list.get()));
                version.columns.of_lists("inputs", lists, most)
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err(Refusal::bad("expected one of `instances` (rows) and `inputs` (columns)"));
            }
        };
        rows.map_err(|error: DataError| error.into())
    }
}

/// Row by row; the scores of a single task stand by themselves.
fn predictions(answer: &Answer) -> Value {
    let tasks = &answer.version.tasks;
    let row = |row: &[f32]| match row {
        [score] => json!(score),
        row => tasks.iter().zip(row).map(|(task, score)| (task.clone(), json!(score))).collect::<Value>(),
    };
    let rows = answer.scored.scores.chunks_exact(tasks.len()).map(row);
    json!({ "predictions": rows.collect::<Vec<_>>() })
}

/// Task by task; a single task stands by itself.
fn columns(answer: &Answer) -> Value {
    let tasks = &answer.version.tasks;
    let column = |task: usize| json!(scores_of(task, tasks.len(), &answer.scored.scores));
    let outputs = match tasks.len() {
        1 => column(0),
        count => (0..count).map(|task| (tasks[task].clone(), column(task))).collect::<Value>(),
    };
    json!({ "outputs": outputs })
}
