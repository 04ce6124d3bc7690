//! Times inference: from encoded rows to probabilities, a batch per call, embeddings included. Prints the latency that half,
//! 90 % and 99 % of the calls did not exceed.

use std::time::Instant;

use hinet_data::Batch;
use hinet_model::{Plan, PlanWorkspace};
use hinet_train::peak_rss_mb;

use crate::reference::Arguments;
use crate::{Outcome, quantile};

/// Distinct batches, taken in turn: enough that a batch of one row does not find all it needs where the last call left it.
const BATCHES: u64 = 64;

pub(crate) fn run(words: Vec<String>) -> Outcome {
    let arguments = Arguments::read(words, BATCHES)?;
    let Some(batches) = arguments.batches()? else { return Ok(()) };
    let model = arguments.model()?;
    let (mut workspace, mut scores) = (PlanWorkspace::default(), Vec::new());
    let user_features = arguments.user_features();
    let pool = arguments.pool()?;
    if user_features.is_empty() {
        let plan = Plan::new(&model);
        pool.install(|| time(&batches, arguments.seconds, |_, batch| plan.score(&mut workspace, batch, &mut scores)));
        return Ok(());
    }
    let names: Vec<&str> = user_features.iter().map(String::as_str).collect();
    let plan = Plan::for_requests(&model, &names)?;
    let users: Vec<Batch> = batches.iter().map(|batch| batch.take(&[0])).collect();
    let score = |index: usize, items: &Batch| plan.score(&mut workspace, &users[index], items, &mut scores);
    pool.install(|| time(&batches, arguments.seconds, score));
    Ok(())
}

fn time(batches: &[Batch], seconds: f64, mut score: impl FnMut(usize, &Batch)) {
    let mut next = batches.iter().enumerate().cycle();
    let mut one = || {
        let (index, batch) = next.next().expect("there are batches");
        let begin = Instant::now();
        score(index, batch);
        begin.elapsed().as_secs_f64()
    };
    // Not counted.
    for _ in batches {
        one();
    }
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || start.elapsed().as_secs_f64() < seconds {
        times.push(one());
    }
    times.sort_by(f64::total_cmp);
    let ms = |share: f64| quantile(&times, share) * 1e3;
    println!(
        "{{\"p50_ms\": {:.4}, \"p90_ms\": {:.4}, \"p99_ms\": {:.4}, \"rows_per_s\": {:.0}, \"calls\": {}, \"peak_rss_mb\": {:.0}}}",
        ms(0.5),
        ms(0.9),
        ms(0.99),
        batches[0].rows as f64 / quantile(&times, 0.5),
        times.len(),
        peak_rss_mb().unwrap_or(0.0),
    );
}
