//! The page at `/`: which models run, how they do, and a form to try them. Files of the binary, with no address of others in them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hinet_data::InputKind;
use serde::Serialize;

use crate::app::App;
use crate::http::respond::json;
use crate::version::Version;

/// Nothing from elsewhere is loaded, whatever a model's names hold.
const POLICY: &str = "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub(crate) async fn page() -> Response {
    file("text/html; charset=utf-8", include_str!("page/page.html"))
}

pub(crate) async fn script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("page/page.css"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}

/// What the form needs to know of a model.
#[derive(Serialize)]
struct PageModel<'a> {
    name: &'a str,
    versions: Vec<&'a str>,
    scenarios: &'a [String],
    tasks: &'a [String],
    score: Option<&'a str>,
    inputs: Vec<PageInput>,
}

#[derive(Serialize)]
struct PageInput {
    name: String,
    kind: &'static str,
    optional: bool,
    /// Values that train had often.
    examples: Vec<String>,
}

pub(crate) async fn models(State(app): State<Arc<App>>) -> Response {
    let all = app.repository.all();
    let models = all.values().map(|served| {
        let versions = served.versions();
        let version = &versions[0];
        PageModel {
            name: served.name(),
            versions: versions.iter().map(|version| version.version.as_str()).collect(),
            scenarios: &version.scenarios,
            tasks: &version.tasks,
            score: served.score.as_ref().map(|score| score.text()),
            inputs: inputs(version),
        }
    });
    json(&models.collect::<Vec<_>>())
}

fn inputs(version: &Version) -> Vec<PageInput> {
    let input = |input: &hinet_data::InputColumn| PageInput {
        name: input.name.clone(),
        kind: match input.kind {
            InputKind::Scenario => "scenario",
            InputKind::Category => "category",
            InputKind::Number => "number",
            InputKind::Items => "items",
            InputKind::Weights => "weights",
            InputKind::Vector(_) => "vector",
        },
        optional: input.optional,
        examples: version.examples(&input.name),
    };
    version.inputs().iter().map(input).collect()
}
