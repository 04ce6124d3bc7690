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
use crate::refusal::{Refusal, RefusalKind};

#[derive(Default, Deserialize)]
struct Filter {
    #[serde(default)]
    ready: bool,
}

pub(crate) async fn index(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    let taken = app.take(&headers, body).await?;
    let filter = match taken.bytes.trim_ascii() {
        [] => Filter::default(),
        text => {
            serde_json::from_slice(text).map_err(|error| Refusal::bad(format!("the body is no filter: {error}")))?
        }
    };
    let lines = app.repository.index().into_iter().filter(|line| !filter.ready || line.state == "READY");
    let lines = lines
        .map(|line| json!({ "name": line.model, "version": line.version, "state": line.state, "reason": line.reason }));
    Ok(json(&lines.collect::<Vec<_>>()))
}

pub(crate) async fn load(State(app): State<Arc<App>>, Path(model): Path<String>) -> Result<Response, Refusal> {
    change(&app, move |app| app.repository.load(&model)).await
}

pub(crate) async fn unload(State(app): State<Arc<App>>, Path(model): Path<String>) -> Result<Response, Refusal> {
    change(&app, move |app| app.repository.unload(&model)).await
}

/// Changes run to their end even if who asked goes away, on a thread that may wait for files.
async fn change(
    app: &Arc<App>,
    change: impl FnOnce(&App) -> Result<(), Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let app = Arc::clone(app);
    let changed = tokio::task::spawn_blocking(move || change(&app)).await;
    changed.map_err(|_| Refusal::new(RefusalKind::Internal, "the change failed; the server's log says why"))??;
    Ok(json(&json!({})))
}
