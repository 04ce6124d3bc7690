//! Changing what is served: the repository extension of the protocol.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::respond::json;
use crate::app::App;
use crate::object;
use crate::refusal::Refusal;

#[derive(Default, Deserialize)]
struct Filter {
    #[serde(default)]
    ready: bool,
}

pub(crate) async fn index(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let taken = app.take(&headers, body).await?;
    let filter = match taken.bytes.trim_ascii() {
        [] => Filter::default(),
        text => object::read(text, "filter of models")?,
    };
    let lines = app.repository.index().into_iter().filter(|line| !filter.ready || line.state == "READY");
    let lines = lines
        .map(|line| json!({ "name": line.model, "version": line.version, "state": line.state, "reason": line.reason }));
    Ok(json(&lines.collect::<Vec<_>>()))
}

pub(crate) async fn load(State(app): State<Arc<App>>, Path(model): Path<String>) -> Result<Response, Refusal> {
    app.change(move |repository| repository.load(&model)).await?;
    Ok(json(&json!({})))
}

pub(crate) async fn unload(State(app): State<Arc<App>>, Path(model): Path<String>) -> Result<Response, Refusal> {
    app.change(move |repository| repository.unload(&model)).await?;
    Ok(json(&json!({})))
}
