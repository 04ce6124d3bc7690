//! The same run gives the same bits: twice, and after being killed.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::place::Place;

#[test]
fn the_same_run_twice_gives_the_same_weights_and_metrics() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out one --quiet");
    place.succeeds("train hinet.toml --out two --quiet");
    assert_eq!(results(&place, "one"), results(&place, "two"));
    place.succeeds("train hinet.toml --out three --quiet --set train.seed=8");
    assert_ne!(results(&place, "one"), results(&place, "three"), "another seed gave the same weights");
}

#[test]
fn a_run_killed_at_three_moments_and_resumed_gives_the_same_weights_and_metrics() {
    let place = Place::with_data();
    let options = "--set train.epochs=30 --set train.checkpoint_every=7 --quiet";
    let began = Instant::now();
    place.succeeds(&format!("train hinet.toml --out whole {options}"));
    let whole = began.elapsed();
    let mut kills = 0;
    for fraction in moments() {
        let resumed = format!("train hinet.toml --out broken --resume {options}");
        let mut child = place.command(&resumed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(whole.mul_f64(fraction));
        kills += usize::from(child.try_wait().expect("a child").is_none());
        child.kill().expect("a signal that is sent");
        child.wait().expect("an end");
    }
    assert!(kills > 0, "every run ended before it was killed");
    place.succeeds(&format!("train hinet.toml --out broken --resume {options}"));
    assert_eq!(results(&place, "whole"), results(&place, "broken"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_stops_cleanly_and_says_how_to_go_on() {
    let place = Place::with_data();
    let options = "--set train.epochs=60";
    place.succeeds(&format!("train hinet.toml --out whole --quiet {options}"));
    let child = place
        .command(&format!("train hinet.toml --out stopped {options}"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_for(|| fs_err::metadata(place.path("stopped/history.jsonl")).is_ok_and(|file| file.len() > 0));
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill is there");
    let output = child.wait_with_output().expect("an end");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("--resume") && errors.contains("--out stopped"), "{errors}");
    place.succeeds(&format!("train hinet.toml --out stopped --resume --quiet {options}"));
    assert_eq!(results(&place, "whole"), results(&place, "stopped"));
}

/// Three moments as parts of a whole run's time, other ones at every call.
fn moments() -> [f64; 3] {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    let draw = |n: u64| f64::from((now.subsec_nanos() >> (7 * n)) & 127) / 127.0;
    let moments = [0, 1, 2].map(|n| 0.1 + 0.5 * draw(n));
    println!("killed at {moments:?} of the whole time");
    moments
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every file of a run whose bytes must be the same again, by name.
fn results(place: &Place, run: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs_err::read_dir(place.path(&format!("{run}/model"))).expect("an artefact") {
        let name = entry.expect("an entry").file_name().into_string().expect("text");
        files.insert(name.clone(), place.bytes(&format!("{run}/model/{name}")));
    }
    assert!(files.keys().any(|name| name.ends_with(".safetensors")));
    files.insert("metrics.json".to_owned(), place.bytes(&format!("{run}/metrics.json")));
    files.insert("history.jsonl".to_owned(), place.bytes(&format!("{run}/history.jsonl")));
    files
}
