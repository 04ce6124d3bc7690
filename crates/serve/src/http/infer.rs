//! Inference by the Open Inference Protocol, in JSON or with tensors as bytes behind it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::info::Named;
use super::respond::trace;
use crate::app::App;
use crate::oip::rest::{HEADER_LENGTH, InferBody};
use crate::refusal::Refusal;

pub(crate) async fn infer(
    State(app): State<Arc<App>>,
    Path(named): Path<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let asked = app.asked(&headers)?;
    let taken = app.take(&headers, body).await?;
    let length = headers.get(HEADER_LENGTH).map(|value| {
        let length = value.to_str().ok().and_then(|text| text.parse::<usize>().ok());
        length.ok_or_else(|| Refusal::bad(format!("`{HEADER_LENGTH}` is no number of bytes")))
    });
    let body = InferBody::parse(&taken.bytes, length.transpose()?)?;
    let served = app.repository.model(Some(&named.model))?;
    let version = served.choose(named.version.as_deref(), asked.key.as_deref())?;
    let outputs = body.outputs(&version.tasks)?;
    let rows = body.rows(version)?;
    let answer = app.score(&served, version, rows, &asked).await?;
    let (bytes, json_length) = body.answer(&answer, &outputs);
    let mut response = Response::new(Body::from(bytes));
    let binary = json_length.is_some();
    let kind = if binary { "application/octet-stream" } else { "application/json" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(length) = json_length {
        response.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(length));
    }
    response.extensions_mut().insert(trace(&answer));
    Ok(response)
}
