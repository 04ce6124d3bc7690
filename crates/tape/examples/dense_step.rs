//! Times one training step of the reference HiNet without embedding tables.
//!
//! `cargo run --release -p hinet-tape --example dense_step -- [threads] [rows] [seconds | =steps]`: with a number of steps it
//! runs those and times nothing, for `benches/instructions.py`.

#[path = "../benches/reference/mod.rs"]
mod reference;

use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    // A wrong choice must not be timed as if it had been made.
    hinet_tape::instructions()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.first().map_or(Ok(1), |text| number(text))?;
    let rows = arguments.get(1).map_or(Ok(1024), |text| number(text))?;
    let last = arguments.get(2).map_or("5", String::as_str);
    let mut step = reference::Step::new(rows, threads);
    if let Some(steps) = last.strip_prefix('=') {
        (0..number(steps)?).for_each(|_| {
            step.run();
        });
        return Ok(());
    }
    let seconds = number(last)? as f64;
    match step.tape.pool() {
        Some(pool) => pool.install(|| time(&mut step, threads, rows, seconds)),
        None => time(&mut step, threads, rows, seconds),
    }
    Ok(())
}

fn number(text: &str) -> Result<usize, String> {
    let found = text.parse().ok().filter(|number| *number > 0);
    found.ok_or_else(|| format!("{text:?} is no whole number of 1 or more"))
}

fn time(step: &mut reference::Step, threads: usize, rows: usize, seconds: f64) {
    for _ in 0..3 {
        step.run();
    }
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    let mut whole = Vec::new();
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds {
        let begin = Instant::now();
        let mut last = begin;
        for (part, run) in parts.iter_mut().zip([
            reference::Step::forward as fn(&mut reference::Step),
            reference::Step::backward,
            reference::Step::update,
        ]) {
            run(step);
            part.push(last.elapsed().as_secs_f64());
            last = Instant::now();
        }
        whole.push(begin.elapsed().as_secs_f64());
    }
    let [forward, backward, update] = parts.map(|mut part| 1e3 * median(&mut part));
    let best = whole.iter().copied().fold(f64::MAX, f64::min);
    let middle = median(&mut whole);
    println!(
        "{threads} threads, {rows} rows: median {:.0} rows/s, best {:.0}, {:.0} GFLOP/s; ms: forward {forward:.1}, backward {backward:.1}, update {update:.1}",
        rows as f64 / middle,
        rows as f64 / best,
        rows as f64 / middle * reference::FLOP_PER_ROW / 1e9,
    );
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
