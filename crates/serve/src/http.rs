//! The routes of HTTP, and what happens to every request before and after its own part.

mod body;
mod infer;
mod info;
mod predict;
mod rank;
mod repository;
pub(crate) mod respond;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::app::{App, Asked};
use crate::log::{Answered, Trace};
use crate::refusal::{Refusal, RefusalKind, shortened};
use crate::{grpc, page};

/// Characters of a path that messages repeat.
const PATH: usize = 200;
/// Headers with the key that decides which version answers.
const REQUEST_KEY: &str = "x-request-key";
/// Seconds that a request may take.
const REQUEST_TIMEOUT: &str = "x-request-timeout";

/// Everything that is answered, HTTP and gRPC, and what tells gRPC's health service.
pub(crate) fn router(app: &Arc<App>) -> (Router, grpc::HealthReporter) {
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/page.js", get(page::script))
        .route("/page.css", get(page::style))
        .route("/page/models", get(page::models))
        .route("/metrics", get(info::metrics))
        .route("/rank", post(rank::rank))
        .route("/explain", post(rank::explain))
        .route("/v2", get(info::server))
        .route("/v2/", get(info::server))
        .route("/v2/health/live", get(info::live))
        .route("/v2/health/ready", get(info::ready))
        .route("/v2/models/stats", get(info::all_statistics))
        .route("/v2/models/{model}", get(info::model))
        .route("/v2/models/{model}/ready", get(info::model_ready))
        .route("/v2/models/{model}/config", get(info::configuration))
        .route("/v2/models/{model}/stats", get(info::statistics))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .route("/v2/models/{model}/versions/{version}", get(info::model))
        .route("/v2/models/{model}/versions/{version}/ready", get(info::model_ready))
        .route("/v2/models/{model}/versions/{version}/config", get(info::configuration))
        .route("/v2/models/{model}/versions/{version}/stats", get(info::statistics))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::infer))
        .route("/v2/repository/index", post(repository::index))
        .route("/v2/repository/models/{model}/load", post(repository::load))
        .route("/v2/repository/models/{model}/unload", post(repository::unload))
        // A colon within a segment is no pattern for the router: the last part is taken apart by hand.
        .route("/v1/models/{last}", get(predict::status).post(predict::predict))
        .route("/v1/models/{model}/metadata", get(predict::metadata))
        .route("/v1/models/{model}/{by}/{last}", get(predict::status).post(predict::predict))
        .route("/v1/models/{model}/versions/{version}/metadata", get(predict::metadata))
        .with_state(Arc::clone(app));
    let (calls, health) = grpc::router(app);
    let all = routes
        .merge(calls)
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(app), admit))
        .layer(from_fn_with_state(Arc::clone(app), observe));
    (all, health)
}

/// The metrics alone.
pub(crate) fn metrics_router(app: &Arc<App>) -> Router {
    Router::new().route("/metrics", get(info::metrics)).with_state(Arc::clone(app))
}

async fn no_such_path(request: Request) -> Refusal {
    let path = shortened(request.uri().path(), PATH);
    Refusal::new(RefusalKind::NotFound, format!("there is nothing at `{path}`"))
}

async fn wrong_method(request: Request) -> Refusal {
    Refusal::new(RefusalKind::Method, format!("{} is not taken here", request.method()))
}

/// Asks for a token, except for what tells whether the server lives.
async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let health = path.starts_with("/v2/health/") || grpc::is_health(path);
    let authorization = request.headers().get("authorization").map(|value| value.as_bytes());
    if health || app.tokens.admit(authorization) {
        return next.run(request).await;
    }
    let refusal = Refusal::new(RefusalKind::Unauthorised, "a bearer token is needed in `Authorization`");
    if grpc::is_grpc(request.headers()) {
        return tonic::Status::from(refusal).into_http();
    }
    let mut response = refusal.into_response();
    response.headers_mut().insert("www-authenticate", axum::http::HeaderValue::from_static("Bearer"));
    response
}

/// Ends what takes too long in all, counts and logs.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let is_grpc = grpc::is_grpc(request.headers());
    let path = match request.extensions().get::<MatchedPath>() {
        Some(path) if !is_grpc => path.as_str().to_owned(),
        Some(_) => grpc::known_path(request.uri().path()).to_owned(),
        None => "(none)".to_owned(),
    };
    // What hangs in any part of it, whatever the reason, hangs no longer than this.
    let most = Duration::from_millis(2 * app.config.limits.arrival_ms + app.config.limits.deadline_ms);
    let response = match tokio::time::timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(RefusalKind::Deadline, "the request took too long").into_response(),
    };
    let trace = response.extensions().get::<Trace>().cloned().unwrap_or_default();
    let code = if is_grpc { grpc::code(&response) } else { response.status().as_u16() };
    let refused = if is_grpc { code != 0 } else { code >= 400 };
    let time = begun.elapsed();
    app.metrics.answered(&path, code, time);
    app.log.write(Answered { method: method.as_str(), path: &path, code, time, trace, refused });
    response
}

impl App {
    /// What the headers of a request ask for.
    pub(crate) fn asked(&self, headers: &HeaderMap) -> Result<Asked, Refusal> {
        let most = Duration::from_millis(self.config.limits.deadline_ms);
        let timeout = match headers
            .get(REQUEST_TIMEOUT)
            .map(|value| value.to_str().ok().and_then(|text| text.parse::<f64>().ok()))
        {
            None => grpc::timeout(headers),
            Some(Some(seconds)) if seconds > 0.0 && seconds.is_finite() => Duration::try_from_secs_f64(seconds).ok(),
            Some(_) => return Err(Refusal::bad("`X-Request-Timeout` is no number of seconds above 0")),
        };
        let key = headers.get(REQUEST_KEY).map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        Ok(Asked { deadline: Instant::now() + timeout.unwrap_or(most).min(most), key })
    }
}

#[cfg(test)]
mod tests {
    /// Paths of the page are its own affair; the forms with a colon stand in the description one by one.
    #[test]
    fn every_path_stands_in_the_published_description() {
        let routes = include_str!("http.rs").lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
        let paths: Vec<&str> = routes.filter_map(|rest| rest.split('"').next()).collect();
        assert!(paths.contains(&"/rank"), "{paths:?}");
        let own = |path: &str| path == "/v2/" || path == "/" || path.starts_with("/page") || path.contains("{last}");
        let document = include_str!("../../../docs/openapi.yaml");
        for path in paths.into_iter().filter(|path| !own(path)) {
            let described = [format!("\n  {path}:"), format!("\n  '{path}':")];
            assert!(described.iter().any(|line| document.contains(line)), "{path}");
        }
    }
}
