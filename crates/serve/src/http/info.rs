//! What the server says of itself and of its models.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::respond::{json, with_status};
use crate::app::App;
use crate::oip::metadata;
use crate::refusal::{Refusal, RefusalKind};

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response()
}

pub(crate) async fn server() -> Response {
    json(&metadata::server())
}

pub(crate) async fn live() -> Response {
    json(&json!({ "live": true }))
}

/// Clients look at the code, at `ready` or at `live`, each at another.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let ready = app.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    with_status(status, &json!({ "ready": ready, "live": true }))
}

/// The model of a path, and the version where it names one.
#[derive(serde::Deserialize)]
pub(crate) struct Named {
    pub(crate) model: String,
    pub(crate) version: Option<String>,
}

pub(crate) async fn model(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Response, Refusal> {
    let served = app.repository.model(Some(&named.model))?;
    let version = served.choose(named.version.as_deref(), None)?;
    Ok(json(&metadata::model(&served, version)))
}

pub(crate) async fn model_ready(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Response, Refusal> {
    let served = app.repository.model(Some(&named.model))?;
    served.choose(named.version.as_deref(), None)?;
    if !app.is_ready() {
        return Err(Refusal::new(RefusalKind::Unavailable, "the server is stopping"));
    }
    Ok(json(&json!({ "name": named.model, "ready": true })))
}

pub(crate) async fn configuration(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Response, Refusal> {
    let served = app.repository.model(Some(&named.model))?;
    let version = served.choose(named.version.as_deref(), None)?;
    Ok(json(&metadata::configuration(version)))
}

pub(crate) async fn statistics(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Response, Refusal> {
    let served = app.repository.model(Some(&named.model))?;
    let lines = match named.version.as_deref() {
        Some(version) => vec![served.choose(Some(version), None)?.statistics()],
        None => served.versions().iter().map(|version| version.statistics()).collect(),
    };
    Ok(json(&json!({ "model_stats": lines })))
}

pub(crate) async fn all_statistics(State(app): State<Arc<App>>) -> Response {
    let all = app.repository.all();
    let lines: Vec<_> =
        all.values().flat_map(|served| served.versions().iter().map(|version| version.statistics())).collect();
    json(&json!({ "model_stats": lines }))
}
