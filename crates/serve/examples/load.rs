//! An open-loop load generator for `benches/load`: requests go out at the times of a schedule, whatever became of those
//! before, and a request's latency counts from the time it was due. So a server that stalls is seen to stall, where a
//! generator that waits for answers would stall with it.
//!
//! `load HOST:PORT PATH BODY_FILE --rate R --seconds S [--connections N]`, on loopback only. Prints one line of JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

/// Requests at most, whatever was asked for.
const MOST: u64 = 2_000_000;
/// Seconds after the last request was due for answers to come.
const GRACE: Duration = Duration::from_secs(10);

struct Options {
    address: SocketAddr,
    path: String,
    body: Bytes,
    rate: f64,
    seconds: f64,
    connections: usize,
}

/// How a request ended, and when, from the time it was due.
struct Outcome {
    code: u16,
    latency: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Arc::new(options()?);
    let count = ((options.rate * options.seconds) as u64).min(MOST);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (due, next) = mpsc::unbounded_channel();
    let next = Arc::new(Mutex::new(next));
    let begun = Instant::now() + Duration::from_millis(100);
    for _ in 0..options.connections {
        tokio::spawn(connection(Arc::clone(&options), Arc::clone(&next), sender.clone()));
    }
    drop(sender);
    // A thread of its own: timers of the runtime are a millisecond too coarse.
    let rate = options.rate;
    std::thread::spawn(move || schedule(count, begun, rate, &due));
    let end = begun + Duration::from_secs_f64(options.seconds) + GRACE;
    let mut outcomes = Vec::with_capacity(count as usize);
    while let Ok(Some(outcome)) = tokio::time::timeout_at(end.into(), receiver.recv()).await {
        outcomes.push(outcome);
    }
    println!("{}", report(&options, count, outcomes, begun.elapsed()));
    Ok(())
}

/// Says when each request is due.
fn schedule(count: u64, begun: Instant, rate: f64, due: &mpsc::UnboundedSender<Instant>) {
    for index in 0..count {
        let time = begun + Duration::from_secs_f64(index as f64 / rate);
        std::thread::sleep(time.saturating_duration_since(Instant::now()));
        if due.send(time).is_err() {
            return;
        }
    }
}

/// Sends a request when one is due, and again.
async fn connection(
    options: Arc<Options>,
    next: Arc<Mutex<mpsc::UnboundedReceiver<Instant>>>,
    outcomes: mpsc::UnboundedSender<Outcome>,
) {
    let mut sender = None;
    loop {
        let due = next.lock().await.recv().await;
        let Some(due) = due else { return };
        let code = match request(&options, &mut sender).await {
            Ok(code) => code,
            Err(_) => {
                sender = None;
                0
            }
        };
        if outcomes.send(Outcome { code, latency: due.elapsed() }).is_err() {
            return;
        }
    }
}

async fn request(
    options: &Options,
    sender: &mut Option<SendRequest<Full<Bytes>>>,
) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    if sender.as_ref().is_none_or(SendRequest::is_closed) {
        let stream = TcpStream::connect(options.address).await?;
        stream.set_nodelay(true)?;
        let (opened, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        *sender = Some(opened);
    }
    let sender = sender.as_mut().expect("it was just opened");
    sender.ready().await?;
    let request = Request::post(&options.path)
        .header("host", options.address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(options.body.clone()))?;
    let response = sender.send_request(request).await?;
    let code = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(code)
}

fn report(options: &Options, count: u64, mut outcomes: Vec<Outcome>, time: Duration) -> serde_json::Value {
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    for outcome in &outcomes {
        *codes.entry(outcome.code.to_string()).or_default() += 1;
    }
    outcomes.retain(|outcome| outcome.code == 200);
    let mut latencies: Vec<f64> = outcomes.iter().map(|outcome| outcome.latency.as_secs_f64() * 1e3).collect();
    latencies.sort_by(f64::total_cmp);
    let quantile =
        |q: f64| latencies.get(((latencies.len() as f64 * q) as usize).min(latencies.len().saturating_sub(1)));
    serde_json::json!({
        "rate": options.rate,
        "seconds": options.seconds,
        "due": count,
        "codes": codes,
        "answered_per_second": latencies.len() as f64 / time.as_secs_f64().min(options.seconds.max(1e-9)),
        "ms": { "p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99), "p999": quantile(0.999), "max": latencies.last() },
    })
}

fn options() -> Result<Options, Box<dyn std::error::Error>> {
    let mut plain = Vec::new();
    let mut named = BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--") {
            Some(name) => named.insert(name.to_owned(), arguments.next().ok_or("a value is missing")?.parse::<f64>()?),
            None => {
                plain.push(argument);
                None
            }
        };
    }
    let [address, path, body] = plain.try_into().map_err(|_| "expected HOST:PORT PATH BODY_FILE")?;
    let address: SocketAddr = address.parse()?;
    if !address.ip().is_loopback() {
        return Err("only loopback is loaded".into());
    }
    let number = |name: &str, default: f64| named.get(name).copied().unwrap_or(default);
    Ok(Options {
        address,
        path,
        body: std::fs::read(body)?.into(),
        rate: number("rate", 100.0),
        seconds: number("seconds", 5.0).min(600.0),
        connections: number("connections", 64.0) as usize,
    })
}
