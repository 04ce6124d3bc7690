//! Answers in JSON.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::Answer;
use crate::log::Trace;
use crate::refusal::{Refusal, RefusalKind};

/// Seconds after which a busy server may be asked again.
const RETRY_AFTER: &str = "1";

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    with_status(StatusCode::OK, value)
}

/// A value as JSON with another code.
pub(crate) fn with_status(status: StatusCode, value: &impl Serialize) -> Response {
    let text = serde_json::to_vec(value).expect("answers have texts as keys");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The refusal of a method where only these are taken.
pub(crate) fn only(methods: &'static str) -> Response {
    let refusal = Refusal::new(RefusalKind::Method, format!("{methods} alone is taken here"));
    let mut response = refusal.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

/// What the log says of scores.
pub(crate) fn trace(answer: &Answer) -> Trace {
    Trace {
        model: Some(answer.version.model.clone()),
        version: Some(answer.version.version.clone()),
        rows: Some(answer.rows),
        queue: answer.scored.waited,
        compute: answer.scored.computed,
        refusal: None,
    }
}

/// Scores as JSON, noted for the log.
pub(crate) fn scores(value: &impl Serialize, answer: &Answer) -> Response {
    let mut response = json(value);
    response.extensions_mut().insert(trace(answer));
    response
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = with_status(self.kind.status(), &serde_json::json!({ "error": self.message }));
        if matches!(self.kind, RefusalKind::Busy | RefusalKind::Unavailable) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response.extensions_mut().insert(Trace { refusal: Some(self.for_log()), ..Trace::default() });
        response
    }
}
