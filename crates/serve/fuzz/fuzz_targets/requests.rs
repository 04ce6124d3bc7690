//! Whatever comes in a request: an answer that is no fault of the server, and a server that goes on.
//!
//! The first line of the input says what is asked, `PATH` or `PATH CONTENT-TYPE HEADER: VALUE`, and the rest is the body.
//! Everything from the router on is in it: forms, encoding, the queue, scoring and the answer.
#![no_main]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hinet_data::{
    DataConfig, Encoder, FeatureConfig, Paths, ScenarioConfig, SchemaConfig, Seed, Source, TaskConfig, UnknownConfig,
};
use hinet_model::{Artefact, Model, ModelConfig};
use hinet_serve::ServeConfig;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tower::ServiceExt;

static REQUESTS: AtomicU64 = AtomicU64::new(0);

static SERVER: LazyLock<(Runtime, Router)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("model");
    save(folder.path(), &run);
    let text = r#"{ "threads": 1, "log": { "sample": 0.0, "refused": false }, "limits": { "body_bytes": 100000, "rows": 1000 } }"#;
    let config: ServeConfig = serde_json::from_str(text).expect("a config");
    let router = runtime.block_on(async { hinet_serve::router(&[run], config) }).expect("the model is whole");
    (runtime, router)
});

/// A model of features of every kind.
fn save(folder: &std::path::Path, run: &std::path::Path) {
    let rows = (0..60).map(|i| {
        format!(
            "t{},u{},{},a{}|b{},{:.1},{},{}\n",
            i % 3,
            i % 17,
            i * 7 % 11,
            i % 5,
            i % 4,
            i as f32 / 8.0,
            i % 2,
            i % 5 / 4
        )
    });
    let path = folder.join("rows.csv");
    std::fs::write(&path, "tab,user,age,tags,price,click,order\n".to_owned() + &rows.collect::<String>())
        .expect("a file");
    let features: Vec<FeatureConfig> = serde_json::from_value(serde_json::json!([
        { "kind": "categorical", "columns": ["user"], "dim": 4 },
        { "kind": "numeric", "columns": ["age"], "transform": "quantile", "buckets": 5, "dim": 3 },
        { "kind": "multi", "columns": ["tags"], "separator": "|", "dim": 3 },
        { "kind": "numeric", "columns": ["price"] },
    ]))
    .expect("features");
    let config = SchemaConfig {
        data: &DataConfig::new(Paths::One(path.display().to_string())),
        scenario: &ScenarioConfig { column: "tab".into(), unknown: UnknownConfig::Mean },
        tasks: &[TaskConfig::new("click", "click"), TaskConfig::new("order", "order")],
        features: &features,
    };
    let encoder = Encoder::fit(&config, &Source::open(&[path]).expect("rows")).expect("an encoder");
    let model = Model::new(encoder.layout().clone(), ModelConfig::default(), Seed(1)).expect("a model");
    Artefact::save(run, "shop", (&encoder, &model), &[]).expect("an artefact");
}

fn request(input: &[u8]) -> Option<Request<Body>> {
    let end = input.iter().position(|&byte| byte == b'\n')?;
    let (line, body) = (str::from_utf8(&input[..end]).ok()?, input[end + 1..].to_vec());
    let mut words = line.splitn(3, ' ');
    let path = words.next()?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    let mut request =
        Request::builder().method(method).uri(path).header("content-type", words.next().unwrap_or("application/json"));
    if let Some((name, value)) = words.next().and_then(|header| header.split_once(": ")) {
        request = request.header(name, value);
    }
    request.body(Body::from(body)).ok()
}

fuzz_target!(|input: &[u8]| {
    let Some(request) = request(input) else { return };
    // Models stay as they are; there is nothing in it but paths.
    if request.uri().path().starts_with("/v2/repository") {
        return;
    }
    let (runtime, router) = &*SERVER;
    runtime.block_on(async {
        let response = router.clone().oneshot(request).await.expect("a router does not fail");
        let status = response.status().as_u16();
        let called = response.headers().get("grpc-status").cloned();
        let body = response.into_body().collect().await.expect("an answer that is whole");
        let called = called.or_else(|| body.trailers()?.get("grpc-status").cloned());
        // 503 and 504 are what a busy server and a short deadline bring. 2 is gRPC's word for a fault that nobody named; 13 is
        // tonic's for a message that is none. A panic anywhere ends the fuzzing by itself.
        assert!(matches!(status, 100..=499 | 503 | 504), "{status}: {:?}", body.to_bytes());
        assert!(called.is_none_or(|code| code != "2"), "a fault of the server");
    });
    // Metrics pile up until somebody reads them.
    if REQUESTS.fetch_add(1, Ordering::Relaxed) % 1000 == 0 {
        let read = Request::get("/metrics").body(Body::empty()).expect("a request");
        let _ = runtime.block_on(router.clone().oneshot(read));
    }
});
