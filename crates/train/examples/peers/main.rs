//! hinet's side of `make bench-peers` (see `docs/performance.md`). Each command prints one line of JSON.
//!
//! | `cargo run --release -p hinet-train --example peers --` | times |
//! | --- | --- |
//! | `step [threads] [rows] [seconds]` | training steps: embeddings, forward, backward, both optimisers |
//! | `score [threads] [rows] [seconds]` | inference: from encoded rows to probabilities, a batch per call |
//! | `encode EXPERIMENT.toml` | reading and encoding all training rows on one thread |
//! | `learn EXPERIMENT.toml` | one epoch on one thread, beside the thread that reads and encodes ahead |
//! | `peak [seconds]` | multiply-adds of one thread on registers |
//!
//! `step` and `score` take the reference HiNet of `experiments/reference.toml` and rows at random; `--model '{"preset": "mmoe"}'`
//! takes another network, `--values` other sizes of tables. With `--write-batches FILE` others get the same rows. The tape alone
//! is timed by the example `dense_step` of `hinet-tape`.

mod peak;
mod reference;
mod rows;
mod score;
mod step;

use std::error::Error;

/// What a command comes to.
type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    // A wrong choice must not be timed as if it had been made.
    hinet_train::instructions()?;
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        "step" => step::run(rest),
        "score" => score::run(rest),
        "encode" => rows::encode(&rest),
        "learn" => rows::learn(&rest),
        "peak" => peak::run(&rest),
        other => Err(format!("{other:?} is none of step, score, encode, learn, peak").into()),
    }
}

/// The number that `share` of the others do not exceed; `numbers` in ascending order.
fn quantile(numbers: &[f64], share: f64) -> f64 {
    numbers[((numbers.len() - 1) as f64 * share).round() as usize]
}
