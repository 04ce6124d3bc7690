//! What a run took: the one section that differs when a run is repeated.

use serde::Serialize;
use serde_json::Value;

use super::Fact;
use super::files::Files;
use super::format::{about, duration, grouped};
use super::train::took;

#[derive(Serialize)]
pub(super) struct Cost {
    facts: Vec<Fact>,
    parts: Vec<Share>,
    note: String,
}

/// A part of the time.
#[derive(Serialize)]
struct Share {
    name: &'static str,
    class: &'static str,
    share: f64,
    text: String,
}

impl Cost {
    pub(super) fn of(files: &Files) -> Cost {
        let timing = &files.timing;
        let model = |key: &str| files.metrics.about.get("model").and_then(|model| model[key].as_u64()).unwrap_or(0);
        let mut facts = vec![
            Fact::new("time", took(files)),
            Fact::new("training", format!("{} rows/s", grouped(timing.rows_per_second.round() as u64)))
                .with_note(format!("on {} threads", timing.threads)),
        ];
        facts.extend(
            timing
                .peak_rss_mb
                .map(|mb| Fact::new("memory, most at once", format!("{} MB", grouped(mb.round() as u64)))),
        );
        facts.push(Fact::new("to score one row", format!("{} operations", about(model("flops_per_row")))));
        let rows = files.metrics.about.get("rows_trained").and_then(Value::as_u64).unwrap_or(0);
        let note = format!(
            "{} rows trained on in {}; begun {}, ended {}. This box reads timing.json and is all that differs when the run is repeated.",
            grouped(rows),
            if timing.sessions == 1 { "one sitting".to_owned() } else { format!("{} sittings", timing.sessions) },
            timing.started,
            timing.finished,
        );
        Cost { facts, parts: parts(files), note }
    }
}

fn parts(files: &Files) -> Vec<Share> {
    let seconds = &files.timing.seconds;
    let inner = seconds.embedding + seconds.forward + seconds.backward + seconds.update;
    let parts = [
        ("preparing", "s1", seconds.preparing),
        ("embeddings", "s2", seconds.embedding),
        ("forward", "s4", seconds.forward),
        ("backward", "s6", seconds.backward),
        ("update", "s8", seconds.update),
        ("reading and the rest", "s3", (seconds.training - inner).max(0.0)),
        ("evaluating", "w2", seconds.evaluating),
        ("saving", "w3", seconds.saving),
    ];
    let total: f64 = parts.iter().map(|(_, _, seconds)| seconds).sum();
    let share = |seconds: f64| (1000.0 * seconds / total).round() / 10.0;
    let shown = parts.into_iter().filter(|(_, _, seconds)| total > 0.0 && *seconds > 0.0);
    shown.map(|(name, class, seconds)| Share { name, class, share: share(seconds), text: duration(seconds) }).collect()
}
