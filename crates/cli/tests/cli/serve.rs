//! `hinet serve`: protocols, refusals, tokens, reloads, and how it ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::Place;
use super::serving::{Serving, reply, request};
use super::skip;

fn trained() -> Place {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out run --quiet");
    place
}

/// Runs a script of `tests/serve` with the server's address and these behind it; it must end well and say this.
#[track_caller]
fn says(serving: &Serving, python: &Path, script: &str, arguments: &[PathBuf], word: &str) {
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/serve").join(script))
        .arg(&serving.address)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(word), "{script}: {said}\n{errors}\n{}", serving.said());
}

fn rank_body() -> Value {
    json!({
        "scenario": "home",
        "user": { "user_id": "u7" },
        "items": [{ "id": 1, "item_id": "i1", "price": 10.5 }, { "id": "two", "item_id": "i2", "price": 20 }, { "item_id": "i3" }],
    })
}

#[test]
fn the_clients_of_others_get_the_scores_of_predict() {
    let Some(python) = skip::python("the_clients_of_others_get_the_scores_of_predict") else { return };
    let place = trained();
    place.succeeds("predict run --data test.csv --output predictions.csv --quiet");
    let serving = Serving::start(&place, "run");
    let files = [place.path("test.csv"), place.path("predictions.csv")];
    says(&serving, &python, "clients.py", &files, "all agree");
    says(&serving, &python, "kserve_clients.py", &files, "all agree");
}

#[test]
fn every_model_of_the_zoo_scores_alike_by_every_protocol() {
    let Some(python) = skip::python("every_model_of_the_zoo_scores_alike_by_every_protocol") else { return };
    let place = Place::with_data();
    let head = place.read("hinet.toml");
    let head = head.split("[model]").next().expect("a part before the model");
    let mut config = String::new();
    std::fs::create_dir(place.path("predictions")).unwrap();
    for preset in hinet_model::zoo::PRESETS {
        let name = preset.name;
        let train = "[train]\nepochs = 1\nmax_steps = 4\nbatch_size = 128\nthreads = 1\n";
        place.write(&format!("{name}.toml"), &format!("{head}[model]\npreset = \"{name}\"\n\n{train}"));
        place.succeeds(&format!("train {name}.toml --out {name} --quiet"));
        place.succeeds(&format!("predict {name} --data test.csv --output predictions/{name}.csv --quiet"));
        config.push_str(&format!("[[model]]\nrun = \"{name}\"\n"));
    }
    place.write("serve.toml", &config);
    let serving = Serving::start(&place, "--config serve.toml");
    let agreed = format!("{} models agree", hinet_model::zoo::PRESETS.len());
    says(&serving, &python, "zoo.py", &[place.path("test.csv"), place.path("predictions")], &agreed);
}

#[test]
fn what_is_encrypted_is_open_to_those_who_trust_its_certificate_alone() {
    const NAME: &str = "what_is_encrypted_is_open_to_those_who_trust_its_certificate_alone";
    let Some(python) = skip::python(NAME) else { return };
    let place = trained();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    place.write("certificate.pem", &made.cert.pem());
    place.write("key.pem", &made.signing_key.serialize_pem());
    place.write("other.pem", &other.signing_key.serialize_pem());
    let config = |key: &str| format!("[tls]\ncertificate = \"certificate.pem\"\nkey = \"{key}\"\n");
    place.write("serve.toml", &config("other.pem"));
    place.refuses(1, "serve run --config serve.toml --port 0", &["certificate.pem", "other.pem"]);
    place.write("serve.toml", &config("key.pem"));
    let serving = Serving::start(&place, "run --config serve.toml");
    assert!(serving.said().contains("listening at https://"), "{}", serving.said());
    says(&serving, &python, "tls.py", &[place.path("certificate.pem")], "as it should be");
}

/// Requests made up from `docs/openapi.yaml`: no fault of the server, and no answer that the document does not describe.
#[test]
fn the_published_description_of_the_paths_is_kept_whatever_is_asked() {
    let Some(python) = skip::python("the_published_description_of_the_paths_is_kept_whatever_is_asked") else { return };
    let place = trained();
    let serving = Serving::start(&place, "run");
    let script = r#"
import json, sys, yaml
document = yaml.safe_load(open(sys.argv[1]))
fill = lambda path: path.replace("{model}", "hinet").replace("{version}", "1").replace("{label}", "stable")
# Nothing would be left to ask after it.
del document["paths"]["/v2/repository/models/{model}/unload"]
document["paths"] = {fill(path): {key: part for key, part in item.items() if key != "parameters"} for path, item in document["paths"].items()}
json.dump(document, open(sys.argv[2], "w"))
"#;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.yaml");
    place.write("fill.py", script);
    let filled = Command::new(&python).arg(place.path("fill.py")).args([document, place.path("paths.json")]).status();
    assert!(filled.expect("Python starts").success());
    // What fits the document may still name no feature; and for the router a path with a colon is one without it.
    let unchecked = "positive_data_acceptance,allow_header_conformance";
    let output = Command::new(python)
        .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"])
        .arg(place.path("paths.json"))
        .args(["--url", &format!("http://{}", serving.address), "--max-examples", "30", "--seed", "7"])
        .args(["--exclude-checks", unchecked, "--no-color"])
        .current_dir(place.path("."))
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), serving.said());
    assert!(!serving.said().contains("panicked"), "{}", serving.said());
}

#[test]
fn the_page_scores_and_explains_in_a_browser() {
    const NAME: &str = "the_page_scores_and_explains_in_a_browser";
    let Some(python) = skip::python(NAME) else { return };
    let Some(browser) = skip::browser(NAME) else { return };
    let Some(driver) = skip::browser_driver(NAME) else { return };
    let place = trained();
    let serving = Serving::start(&place, "run");
    says(&serving, &python, "page.py", &[browser, driver], "the page is right");
}

#[test]
fn ranking_echoes_ids_combines_scores_and_chooses_the_best() {
    let place = trained();
    let serving = Serving::start(&place, "run");
    let answer = serving.post("/rank", &rank_body());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let items = answer.json()["items"].clone();
    assert_eq!((&items[0]["id"], &items[1]["id"], items[2].get("id")), (&json!(1), &json!("two"), None));
    assert!(
        items[0]["scores"]["click"].as_f64().is_some_and(|p| p > 0.0 && p < 1.0) && items[0].get("score").is_none()
    );
    let mut body = rank_body();
    body["score"] = json!("click * 2 - order");
    body["top_k"] = json!(2);
    let best = serving.post("/rank", &body).json()["items"].clone();
    let score = |item: &Value| item["score"].as_f64().expect("a score");
    assert_eq!(best.as_array().map(Vec::len), Some(2));
    assert!(score(&best[0]) >= score(&best[1]));
    let combined = 2.0 * best[0]["scores"]["click"].as_f64().unwrap() - best[0]["scores"]["order"].as_f64().unwrap();
    assert!((score(&best[0]) - combined).abs() < 1e-6);
    body["score"] = json!("0 / 0");
    assert_eq!(serving.post("/rank", &body).json()["items"][0]["score"], Value::Null);
    let health = serving.get("/v2/health/ready");
    assert_eq!((health.status, health.json()), (200, json!({ "ready": true, "live": true })));
    let metrics = serving.get("/metrics").text();
    for word in [
        "hinet_rows_total{model=\"hinet\",version=\"1\",scenario=\"home\"} 9",
        "hinet_scores_bucket",
        "path=\"/rank\",code=\"200\"",
    ] {
        assert!(metrics.contains(word), "no {word} in\n{metrics}");
    }
}

#[test]
fn what_is_said_of_a_user_is_computed_once_and_scores_are_those_of_any_rows() {
    let place = trained();
    let serving = Serving::start(&place, "run");
    let items: Vec<Value> =
        (0..40).map(|item| json!({ "id": item, "item_id": format!("i{item}"), "price": f64::from(item) })).collect();
    let mut body = rank_body();
    body["items"] = json!(items);
    let apart: Vec<Value> = items.iter().map(|item| with(|body| body["items"] = json!([item]))).collect();
    let expected: Vec<Value> =
        apart.iter().map(|body| serving.post("/rank", body).json()["items"][0]["scores"].clone()).collect();
    let shared = || {
        let metrics = serving.get("/metrics").text();
        let line = metrics.lines().find(|line| line.starts_with("hinet_user_once_rows_total{"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).expect("a counter")
    };
    assert_eq!(shared(), 0, "requests of one item share nothing");
    let begun = Instant::now();
    while shared() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no plan is made");
        assert_eq!(serving.post("/rank", &body).status, 200);
    }
    let before = shared();
    let found = serving.post("/rank", &body).json()["items"].clone();
    assert_eq!(shared(), before + 40);
    for (item, expected) in found.as_array().expect("items").iter().zip(&expected) {
        for task in ["click", "order"] {
            let [found, expected] = [&item["scores"], expected].map(|scores| scores[task].as_f64().expect("a score"));
            assert!((found - expected).abs() < 1e-5, "{task} of {item}: {expected} apart");
        }
    }
    // Another user has other scores: nothing of the first stays.
    body["user"]["user_id"] = json!("u8");
    assert_ne!(serving.post("/rank", &body).json()["items"], found);
    // Items of several scenarios have no plan in common.
    let moved = with(|body| {
        let page = |item: usize| ["home", "search"][item % 2];
        body["items"] = items
            .iter()
            .enumerate()
            .map(|(row, item)| json!({ "page": page(row), "item_id": item["item_id"] }))
            .collect();
        body.as_object_mut().expect("an object").remove("scenario");
    });
    let before = shared();
    assert_eq!(serving.post("/rank", &moved).status, 200, "{}", serving.post("/rank", &moved).text());
    assert_eq!(shared(), before);
}

/// A server with narrow limits.
fn narrow() -> (Place, Serving) {
    let place = trained();
    place.write(
        "serve.toml",
        "[limits]\nbody_bytes = 200000\nrows = 1000\narrival_ms = 500\n[[model]]\nrun = \"run\"\n",
    );
    let serving = Serving::start(&place, "--config serve.toml");
    (place, serving)
}

/// The usual request with something else in it.
fn with(change: impl Fn(&mut Value)) -> Value {
    let mut body = rank_body();
    change(&mut body);
    body
}

#[test]
fn whatever_is_wrong_with_a_request_to_rank_is_named() {
    let (_place, serving) = narrow();
    let refused = [
        (with(|body| body["scenario"] = json!("attic")), "scenario `attic` was not seen in train"),
        (with(|body| body["items"][1]["colour"] = json!(1)), "items, row 2: `colour` is no column"),
        (with(|body| body["items"][1]["item_ids"] = json!(1)), "did you mean `item_id`?"),
        (
            with(|body| body["items"][1]["price"] = json!("cheap")),
            "items, row 2, column `price`: `cheap` is not a number",
        ),
        (with(|body| body["items"][0]["user_id"] = json!("u1")), "stands here and in `user`"),
        (with(|body| body["user"]["page"] = json!("home")), "stands in `scenario` too"),
        (with(|body| body["items"][0]["item_id"] = json!(["a", "b"])), "column `item_id`"),
        (with(|body| body["items"] = json!({})), "items: invalid type: map, expected a list"),
        (with(|body| body["user"]["user_id"] = json!({ "a": 1 })), "not an object"),
        (with(|body| body["items"][0] = json!([])), "items, row 1"),
        (with(|body| body["itemz"] = json!([])), "unknown field `itemz`"),
        (with(|body| body["top_k"] = json!(0)), "`top_k` is 0"),
        (with(|body| body["top_k"] = json!(1)), "needs a `score`"),
        (with(|body| body["score"] = json!("buy")), "`buy` is no task"),
        (with(|body| body["score"] = json!("click +")), "found the end"),
    ];
    for (body, word) in &refused {
        let answer = serving.post("/rank", body);
        assert_eq!(answer.status, 400, "{word}: {}", answer.text());
        assert!(
            answer.json()["error"].as_str().is_some_and(|error| error.contains(word)),
            "no {word} in {}",
            answer.text()
        );
    }
}

/// Method, path, body, the code and a word of the answer.
type Wrong = (&'static str, &'static str, String, u16, &'static str);

const INFER: &str = "/v2/models/hinet/infer";
const PREDICT: &str = "/v1/models/hinet:predict";

/// A request of one tensor with something else in it.
fn tensor(change: &Value) -> String {
    let mut tensor = json!({ "name": "price", "shape": [1], "datatype": "FP64", "data": [1.0] });
    tensor.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({ "inputs": [tensor] }).to_string()
}

fn wrong_tensors() -> Vec<Wrong> {
    let page = r#"{"name": "page", "shape": [2], "datatype": "BYTES", "data": ["home", "cart"]}"#;
    let wrong = |body: String, word| ("POST", INFER, body, 400, word);
    vec![
        wrong(String::new(), "inference request"),
        wrong("{".into(), "inference request"),
        wrong("[".repeat(100_000), "inference request"),
        wrong(json!({ "inputs": [] }).to_string(), "no inputs"),
        wrong(tensor(&json!({ "name": "prize" })), "did you mean `price`?"),
        wrong(tensor(&json!({ "shape": [2] })), "its shape says 2"),
        wrong(tensor(&json!({ "shape": [1, 2], "data": [1, 2] })), "holds one"),
        wrong(tensor(&json!({ "shape": [-1] })), "its shape is [-1]"),
        wrong(tensor(&json!({ "datatype": "FP65" })), "no datatype"),
        wrong(tensor(&json!({ "data": ["x"] })), "expected a number"),
        wrong(tensor(&json!({ "data": null })), "neither `data` nor"),
        wrong(tensor(&json!({})), "page"),
        wrong(tensor(&json!({})).replace("1.0", "NaN"), "inference request"),
        wrong(format!("{{\"inputs\": [{page}, {page}]}}"), "twice"),
        wrong(format!("{{\"inputs\": [{page}], \"outputs\": [{{\"name\": \"buy\"}}]}}"), "`buy` is no output"),
    ]
}

fn wrong_paths_and_bodies() -> Vec<Wrong> {
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let many = vec!["{}"; 1001].join(",");
    vec![
        ("POST", "/rank", format!("{{\"items\": {}", "[".repeat(100_000)), 400, "no request to rank"),
        (
            "POST",
            "/rank",
            format!("{{\"scenario\":\"home\",\"items\": [{{\"item_id\": {deep}}}]}}"),
            400,
            "items, row 1",
        ),
        ("POST", "/rank", format!("{{\"scenario\": \"home\", \"items\": [{many}]}}"), 413, "1001 rows"),
        ("POST", PREDICT, json!({ "instances": [{ "page": "home" }], "inputs": {} }).to_string(), 400, "one of"),
        ("POST", PREDICT, json!({ "inputs": { "page": ["home"], "price": [1, 2] } }).to_string(), 400, "price"),
        ("POST", "/v1/models/hinet:classify", "{}".into(), 404, ":predict"),
        ("POST", "/v1/models/other:predict", "{\"instances\": []}".into(), 404, "no model `other`"),
        ("GET", "/v2/models/hinet/versions/9", String::new(), 404, "no version `9`"),
        ("GET", "/nowhere", String::new(), 404, "/nowhere"),
        ("GET", "/rank", String::new(), 405, "GET"),
    ]
}

#[test]
fn whatever_is_wrong_with_tensors_paths_and_bodies_is_named() {
    let (_place, serving) = narrow();
    for (method, path, body, status, word) in wrong_tensors().into_iter().chain(wrong_paths_and_bodies()) {
        let answer = serving.ask(method, path, &[], body.as_bytes());
        assert_eq!(answer.status, status, "{method} {path} {word}: {}", answer.text());
        assert!(answer.text().contains(word), "{method} {path}: no {word} in {}", answer.text());
    }
    assert!(!serving.said().contains("panicked"), "{}", serving.said());
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

#[test]
fn what_is_too_large_is_refused_without_taking_memory() {
    let (_place, serving) = narrow();
    let before = serving.resident_kb();
    // A gigabyte that is only announced, one that is sent without saying how long it is, and one that is packed.
    let mut stream = serving.connect();
    stream.write_all(b"POST /rank HTTP/1.1\r\nhost: t\r\ncontent-length: 1073741824\r\n\r\n{").unwrap();
    assert_eq!(reply(&mut stream).unwrap().status, 413);
    let mut stream = serving.connect();
    stream.write_all(b"POST /rank HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 0x10_0000], b"\r\n".to_vec()].concat();
    // Once refused, the rest is not read: writing may fail.
    let _ = (0..64).try_for_each(|_| stream.write_all(&chunk));
    assert!(reply(&mut stream).map_or(true, |answer| answer.status == 413));
    let bomb = packed(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let ask = |encoding, body: &[u8]| serving.ask("POST", "/rank", &[("content-encoding", encoding)], body).status;
    assert_eq!(ask("gzip", &bomb), 413);
    assert_eq!(ask("gzip", b"{}"), 400);
    assert_eq!(ask("br", b"{}"), 415);
    assert_eq!(ask("gzip", &packed(rank_body().to_string().as_bytes())), 200);
    let grown = serving.resident_kb().saturating_sub(before);
    assert!(grown < 30_000, "{grown} KB more are resident");
}

/// Few bytes that ask for much: more memory than a server has is never asked for, and none is kept.
#[test]
fn small_requests_of_millions_of_items_or_large_users_are_refused_without_taking_memory() {
    let place = trained();
    let serving = Serving::start(&place, "run");
    assert_eq!(serving.post("/rank", &rank_body()).status, 200);
    let before = serving.peak_kb();
    let empty = vec!["{}"; 2_700_000].join(",");
    let gzip = [("content-encoding", "gzip")];
    for (path, name) in [("/rank", "items"), (PREDICT, "instances")] {
        let body = packed(format!("{{\"{name}\":[{empty}]}}").as_bytes());
        assert!(body.len() < 20_000, "{}", body.len());
        assert_eq!(serving.ask("POST", path, &gzip, &body).status, 413, "{path}");
    }
    let column = format!("{{\"inputs\":{{\"price\":[{}1]}}}}", "1,".repeat(3_000_000));
    assert_eq!(serving.ask("POST", PREDICT, &gzip, &packed(column.as_bytes())).status, 413);
    let mut body = rank_body();
    body["user"]["user_id"] = json!("u".repeat(100_000));
    body["items"] = vec![json!({}); 10_000].into();
    let answer = serving.post("/rank", &body);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("for each of 10000 rows, more than 67108864 in all"), "{}", answer.text());
    let grown = serving.peak_kb().saturating_sub(before);
    assert!(grown < 100_000, "{grown} KB more at the peak");
    assert_eq!(serving.post("/rank", &rank_body()).status, 200);
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let (_place, serving) = narrow();
    let mut half = serving.connect();
    half.write_all(b"POST /rank HTT").unwrap();
    let mut slow = serving.connect();
    slow.write_all(b"POST /rank HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\n{").unwrap();
    assert_eq!(reply(&mut slow).unwrap().status, 408);
    let begun = Instant::now();
    assert!(reply(&mut half).is_err(), "a connection without a request is closed");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(serving.ask("POST", "/rank", &[("x-request-timeout", "soon")], b"{}").status, 400);
    assert_eq!(serving.post("/rank", &rank_body()).status, 200);
}

#[test]
fn without_a_token_nothing_but_health_is_answered() {
    let place = trained();
    place.write("tokens", "# ours\nsecret-one\n");
    let more = "metrics_address = \"127.0.0.1:0\"\n";
    place.write("serve.toml", &format!("{more}token_file = \"tokens\"\npoll_seconds = 0.05\n[log]\nsample = 1.0\n"));
    let serving = Serving::start(&place, "run --config serve.toml");
    for path in ["/metrics", "/v2", "/v2/models/hinet", "/nowhere", "/v1/models/hinet"] {
        let answer = serving.get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    assert_eq!(serving.post("/rank", &rank_body()).status, 401);
    assert_eq!(serving.get("/v2/health/live").status, 200);
    assert_eq!(serving.get("/v2/health/ready").status, 200);
    let ask = |token: &str| {
        let header = format!("Bearer {token}");
        serving.ask("POST", "/rank", &[("authorization", &header)], rank_body().to_string().as_bytes()).status
    };
    assert_eq!((ask("secret-one"), ask("secret-two")), (200, 401));
    std::thread::sleep(Duration::from_millis(20));
    place.write("tokens", "secret-two\n");
    serving.hears("1 tokens read anew");
    assert_eq!((ask("secret-one"), ask("secret-two")), (401, 200));
    let metrics = serving.ask("GET", "/metrics", &[("authorization", "Bearer secret-two")], b"").text();
    assert!(metrics.contains("code=\"401\""), "{metrics}");
    // Nor what was asked about, though its sender is told.
    let body = with(|body| body["items"][0]["price"] = json!("secret price")).to_string();
    let refused = serving.ask("POST", "/rank", &[("authorization", "Bearer secret-two")], body.as_bytes());
    assert!(refused.status == 400 && refused.text().contains("secret price"), "{}", refused.text());
    serving.hears("what was sent is wrong");
    assert!(!serving.said().contains("secret") && !metrics.contains("secret"), "{}", serving.said());
    assert!(serving.said().contains("\"path\":\"/rank\",\"code\":200"), "{}", serving.said());
    // An address of their own is for the metrics alone.
    let said = serving.said();
    let apart = said.split("metrics at http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
    let ask = |path: &str| {
        let mut stream = std::net::TcpStream::connect(apart).expect("the metrics are there");
        stream.write_all(&request("GET", path, &[], b"")).unwrap();
        reply(&mut stream).expect("an answer")
    };
    assert!(ask("/metrics").text().contains("hinet_requests_total"));
    assert_eq!(ask("/v2").status, 404);
}

/// Asks again and again on kept connections until told to stop; returns how many were answered, and how many not by 200.
fn load(serving: &Serving, stop: &AtomicBool, others: &AtomicU64) -> u64 {
    let body = rank_body().to_string();
    let bytes = request("POST", "/rank", &[("connection", "keep-alive")], body.as_bytes());
    let mut answered = 0;
    let mut stream = serving.connect();
    while !stop.load(Ordering::Relaxed) {
        if stream.write_all(&bytes).is_err() {
            break;
        }
        match reply(&mut stream) {
            Ok(answer) if answer.status == 200 => answered += 1,
            Ok(_) => drop(others.fetch_add(1, Ordering::Relaxed)),
            // The server closed a connection on which nothing was accepted.
            Err(_) => break,
        }
    }
    answered
}

/// They take a few seconds.
const RELOADS: usize = 1000;

#[test]
fn reloads_under_load_lose_no_request_and_no_memory() {
    let place = trained();
    let serving = Serving::start(&place, "run");
    let (stop, others) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| load(&serving, &stop, &others))).collect();
        let reload = || {
            let answer = serving.ask("POST", "/v2/repository/models/hinet/load", &[], b"");
            assert_eq!(answer.status, 200, "{}", answer.text());
        };
        (0..5).for_each(|_| reload());
        let before = serving.resident_kb();
        (5..RELOADS).for_each(|_| reload());
        let after = serving.resident_kb();
        stop.store(true, Ordering::Relaxed);
        let answered: u64 = threads.into_iter().map(|thread| thread.join().expect("a client")).sum();
        assert!(answered > 20, "{answered} requests");
        println!("{RELOADS} reloads, {answered} requests answered, {before} KB before, {after} KB after");
        assert_eq!(others.load(Ordering::Relaxed), 0);
        assert!(after < before + 20_000, "{before} KB before, {after} KB after");
    });
    // What cannot be loaded changes nothing.
    let weights = place.bytes("run/model/weights.safetensors");
    let mut broken = weights.clone();
    *broken.last_mut().unwrap() ^= 1;
    std::fs::write(place.path("run/model/weights.safetensors"), &broken).unwrap();
    let answer = serving.ask("POST", "/v2/repository/models/hinet/load", &[], b"");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("weights.safetensors") && answer.text().contains("still is"), "{}", answer.text());
    assert_eq!(serving.post("/rank", &rank_body()).status, 200);
    let index = serving.ask("POST", "/v2/repository/index", &[], b"").json();
    assert_eq!((&index[0]["state"], &index[1]["state"]), (&json!("READY"), &json!("UNAVAILABLE")));
}

#[test]
fn a_watched_folder_serves_its_newest_version() {
    let place = trained();
    std::fs::create_dir_all(place.path("models")).unwrap();
    let copy = |to: &str| {
        let copied = Command::new("cp").args(["-r", "run/model", to]).current_dir(place.path(".")).status();
        assert!(copied.expect("cp starts").success());
    };
    copy("models/3");
    place.write(
        "serve.toml",
        "poll_seconds = 0.05\n[[model]]\nname = \"shop\"\nwatch = \"models\"\nscore = \"click\"\n",
    );
    let serving = Serving::start(&place, "--config serve.toml");
    let version = || serving.post("/rank", &rank_body()).json()["version"].clone();
    assert_eq!(version(), "3");
    copy("models/next");
    std::fs::rename(place.path("models/next"), place.path("models/10")).unwrap();
    serving.hears("loaded anew");
    assert_eq!(version(), "10");
    copy("models/broken");
    std::fs::write(place.path("models/broken/encoder.json"), "{}").unwrap();
    std::fs::rename(place.path("models/broken"), place.path("models/11")).unwrap();
    serving.hears("encoder.json");
    assert_eq!(version(), "10");
    // Whole, and yet not the model that scored these rows.
    copy("models/other");
    forge_examples(&place.path("models/other"));
    std::fs::rename(place.path("models/other"), place.path("models/12")).unwrap();
    serving.hears("example 1 scores");
    assert_eq!(version(), "10");
    assert!(serving.post("/rank", &rank_body()).json()["items"][0]["score"].is_f64());
}

/// Gives the first example of an artefact another score, with all checksums in order.
fn forge_examples(folder: &Path) {
    let checksum = |bytes: &[u8]| format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes));
    let path = folder.join("examples.json");
    let was = std::fs::read_to_string(&path).unwrap();
    let (before, scores) = was.split_once("\"scores\": [\n    [\n      0.").expect("scores below 1");
    let digit = if scores.starts_with('9') { '8' } else { '9' };
    let forged = format!("{before}\"scores\": [\n    [\n      0.{digit}{}", &scores[1..]);
    std::fs::write(&path, &forged).unwrap();
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let (body, _) = manifest.split_once(",\n  \"checksum\": \"").expect("a sealed manifest");
    let body = body.replace(&checksum(was.as_bytes()), &checksum(forged.as_bytes()));
    let sealed = format!("{body},\n  \"checksum\": \"{}\"\n}}\n", checksum(body.as_bytes()));
    std::fs::write(folder.join("manifest.json"), sealed).unwrap();
}

#[test]
fn a_key_decides_which_version_answers_and_a_shadow_is_only_counted() {
    let place = trained();
    place.succeeds("train hinet.toml --out other --quiet --set train.seed=8");
    let version = |number: usize, run: &str, more: &str| {
        format!("[[model.version]]\nversion = \"{number}\"\nrun = \"{run}\"\n{more}\n")
    };
    let config = [
        "[[model]]\nname = \"shop\"\n",
        &version(1, "run", "share = 3"),
        &version(2, "other", "label = \"stable\""),
        &version(3, "other", "shadow = true"),
    ]
    .concat();
    place.write("serve.toml", &config);
    let serving = Serving::start(&place, "--config serve.toml");
    let ask = |key: Option<&str>| {
        let headers: Vec<(&str, &str)> = key.map(|key| ("x-request-key", key)).into_iter().collect();
        let answer = serving.ask("POST", "/rank", &headers, rank_body().to_string().as_bytes());
        answer.json()["version"].as_str().expect("a version").to_owned()
    };
    let keys: Vec<String> = (0..120).map(|key| format!("user-{key}")).collect();
    let chosen: Vec<String> = keys.iter().map(|key| ask(Some(key))).collect();
    let second = chosen.iter().filter(|version| *version == "2").count();
    assert!((10..60).contains(&second), "{second} of 120 went to the version with a quarter");
    assert!(keys.iter().zip(&chosen).all(|(key, version)| ask(Some(key)) == *version), "a key has one version");
    let keyless = (0..60).filter(|_| ask(None) == "2").count();
    assert!((1..40).contains(&keyless), "{keyless} of 60");
    let mut body = rank_body();
    body["version"] = json!("3");
    assert_eq!(serving.post("/rank", &body).json()["version"], "3");
    let labelled = serving.get("/v1/models/shop/labels/stable").json();
    assert_eq!(labelled["model_version_status"][0]["version"], "2");
    let row = json!({ "instances": [{ "page": "home", "user_id": "u7", "item_id": "i1", "price": 10.5 }] });
    let by = |path: &str| serving.post(&format!("/v1/models/shop/{path}:predict"), &row);
    assert_eq!(by("labels/stable").json(), by("versions/2").json());
    assert_ne!(by("labels/stable").json(), by("versions/1").json());
    assert_eq!((by("labels/beta").status, by("tags/stable").status), (404, 404));
    let begun = Instant::now();
    while !serving
        .get("/metrics")
        .text()
        .contains("hinet_shadow_difference_count{model=\"shop\",version=\"3\",task=\"click\"}")
    {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", serving.get("/metrics").text());
    }
}

#[test]
fn what_was_accepted_is_answered_after_sigterm() {
    let place = trained();
    place.write("serve.toml", "[shutdown]\ndrain_delay_seconds = 0.3\n[[model]]\nrun = \"run\"\n");
    let mut serving = Serving::start(&place, "--config serve.toml");
    let body = rank_body().to_string();
    let stop = AtomicBool::new(false);
    let others = AtomicU64::new(0);
    // A request whose first half comes before the end, and the second after it.
    let mut early = serving.connect();
    let bytes = request("POST", "/rank", &[], body.as_bytes());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| load(&serving, &stop, &others))).collect();
        std::thread::sleep(Duration::from_millis(200));
        early.write_all(&bytes[..bytes.len() / 2]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        serving.terminate();
        serving.hears("SIGTERM");
        let health = serving.get("/v2/health/ready");
        assert_eq!((health.status, &health.json()["ready"]), (503, &json!(false)));
        assert_eq!(serving.post("/rank", &rank_body()).status, 200, "not ready, and still answering");
        std::thread::sleep(Duration::from_millis(350));
        early.write_all(&bytes[bytes.len() / 2..]).unwrap();
        assert_eq!(reply(&mut early).expect("what was accepted is answered").status, 200);
        let answered: u64 = threads.into_iter().map(|thread| thread.join().expect("a client")).sum();
        assert!(answered > 10, "{answered}");
        assert_eq!(others.load(Ordering::Relaxed), 0);
    });
    assert!(serving.ends().success());
}

#[test]
fn what_cannot_be_served_is_refused_before_the_port_is_taken() {
    let place = trained();
    let fewer = place.read("hinet.toml").replace("\"user_id\", ", "");
    assert!(!fewer.contains("\"user_id\", "));
    place.write("fewer.toml", &fewer);
    place.succeeds("train fewer.toml --out fewer --quiet");
    let version = |version: &str, run: &str| format!("[[model.version]]\nversion = \"{version}\"\nrun = \"{run}\"\n");
    place.write("serve.toml", &format!("[[model]]\nname = \"shop\"\n{}{}", version("a", "run"), version("b", "fewer")));
    place.refuses(2, "serve --config serve.toml --port 0", &["versions a and b have other columns", "`user_id`"]);
    place.refuses(1, "serve nowhere", &["nowhere", "manifest.json"]);
    place.refuses(2, "serve", &["RUN"]);
    place.refuses(1, "serve run --host 256.0.0.1", &["256.0.0.1"]);
    for (text, named) in [
        ("prot = 1\n", &["serve.toml:1", "`prot`", "port"][..]),
        ("[batching]\nmax_rows = 0\n", &["serve.toml:2", "max_rows", "1 or more"]),
        ("[log]\nsample = 2.0\n", &["log.sample", "from 0 to 1"]),
        ("[[model]]\nname = \"a\"\n", &["`run`, `watch` and"]),
        ("[[model]]\nname = \"a/b\"\nrun = \"run\"\n", &["serve.toml:2", "without `/`"]),
        ("[[model]]\nrun = \"run\"\n[[model]]\nrun = \"run\"\n", &["two models are named `hinet`"]),
        ("[[model]]\nrun = \"run\"\nscore = \"buy\"\n", &["`buy` is no task"]),
        (
            "[[model]]\n[[model.version]]\nversion = \"1\"\nrun = \"run\"\nlabel = \"a:b\"\n",
            &["serve.toml:5", "a:b", "without `/`"],
        ),
        ("threads = 100000\n[[model]]\nrun = \"run\"\n", &["serve.toml:1", "100000", "at most 4096"]),
        ("metrics_address = \"nowhere\"\n[[model]]\nrun = \"run\"\n", &["nowhere"]),
        ("[[model]]\nname = \"a\"\nwatch = \"empty\"\n", &["empty", "number"]),
        ("token_file = \"none\"\n[[model]]\nrun = \"run\"\n", &["none"]),
        (
            "[tls]\ncertificate = \"hinet.toml\"\nkey = \"hinet.toml\"\n[[model]]\nrun = \"run\"\n",
            &["hinet.toml", "certificate"],
        ),
    ] {
        place.write("serve.toml", text);
        let output = place.run("serve --config serve.toml --port 0");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{text}: {said}");
        named.iter().for_each(|word| assert!(said.contains(word), "{text}: no {word} in {said}"));
    }
}
