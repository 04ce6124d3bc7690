//! How far training is: a bar on a terminal, now and then a line elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use hinet_train::{Evaluated, Observer, Progress, RunSize, Stage};
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Talk, grouped};

/// Seconds between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows a fit to whoever sits before it.
pub(crate) struct Watcher {
    talk: Talk,
    /// Hidden where standard error is no terminal.
    bar: ProgressBar,
    tasks: Vec<String>,
    last_line: Option<Instant>,
}

impl Watcher {
    pub(crate) fn new(talk: Talk) -> Watcher {
        let shown = !talk.is_quiet() && stderr().is_terminal();
        let bar = if shown { ProgressBar::no_length() } else { ProgressBar::hidden() };
        bar.set_style(spinner());
        Watcher { talk, bar, tasks: Vec::new(), last_line: None }
    }

    /// Takes the bar away, so that what is printed next does not meet it.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// A line that stays, above the bar.
    fn say(&self, line: &str) {
        self.bar.suspend(|| self.talk.say(line));
    }

    fn begin(&mut self, size: &RunSize, resumed_at: Option<u64>) {
        self.tasks.clone_from(&size.tasks);
        self.say(&format!(
            "{} rows in {} scenarios, {} tasks; {} dense parameters, {} in embedding tables",
            grouped(size.rows),
            size.scenarios,
            size.tasks.len(),
            grouped(size.dense_parameters as u64),
            grouped(size.embedding_parameters as u64),
        ));
        if let Some(step) = resumed_at {
            self.say(&format!("continuing after step {} of {}", grouped(step), grouped(size.steps)));
        }
        self.bar.set_style(bar());
        self.bar.set_length(size.steps);
        self.bar.set_position(resumed_at.unwrap_or_default());
        self.bar.set_message("");
    }

    fn evaluated(&self, result: &Evaluated<'_>) {
        let metric = result.metric.map_or_else(|| "undefined".to_owned(), |metric| format!("{metric:.4}"));
        let best = if result.best && result.metric.is_some() { ", the best so far" } else { "" };
        self.say(&format!("step {}: {} on {} {metric}{best}", grouped(result.step), result.monitor, result.part));
    }

    fn wait(&self, message: String) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_message(message);
        self.bar.tick();
    }
}

impl Observer for Watcher {
    fn stage(&mut self, stage: Stage<'_>) {
        match stage {
            Stage::Preparing => {
                self.talk.say("reading the data");
                self.bar.enable_steady_tick(Duration::from_millis(250));
            }
            Stage::Training { size, resumed_at } => self.begin(size, resumed_at),
            Stage::Evaluating { part, .. } => self.wait(format!("scoring {part}")),
            Stage::Evaluated(result) => self.evaluated(result),
            Stage::Saving => self.wait("saving".to_owned()),
        }
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        let losses = losses(&self.tasks, progress.losses);
        let speed = format!("{} rows/s", grouped(progress.rows_per_second as u64));
        let left = clock(progress.seconds_left);
        self.bar.set_length(progress.steps);
        self.bar.set_position(progress.step);
        self.bar.set_prefix(format!("epoch {}/{}", progress.epoch, progress.epochs));
        self.bar.set_message(format!("{speed}  {left} left  loss {losses}"));
        let due = self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if self.bar.is_hidden() && due {
            self.last_line = Some(Instant::now());
            let (step, steps) = (grouped(progress.step), grouped(progress.steps));
            let epochs = format!("epoch {} of {}", progress.epoch, progress.epochs);
            self.talk.say(format!("step {step} of {steps}, {epochs}: loss {losses}; {speed}, {left} left"));
        }
    }

    fn warn(&mut self, warning: &str) {
        self.say(&format!("warning: {warning}"));
    }
}

/// Counts rows that are read or written: a spinner on a terminal, nothing elsewhere.
pub(crate) struct Counter {
    bar: ProgressBar,
}

impl Counter {
    pub(crate) fn new(talk: Talk, doing: &'static str, rows: Option<u64>) -> Counter {
        let shown = !talk.is_quiet() && stderr().is_terminal();
        let bar = if shown { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let template = if rows.is_some() {
            "{prefix} {wide_bar} {human_pos}/{human_len} rows"
        } else {
            "{spinner} {prefix} {human_pos} rows"
        };
        let style = ProgressStyle::with_template(template).expect("a template known to be right").progress_chars(BAR);
        bar.set_style(style);
        bar.set_prefix(doing);
        if let Some(rows) = rows {
            bar.set_length(rows);
        }
        Counter { bar }
    }

    pub(crate) fn reached(&mut self, rows: u64) {
        self.bar.set_position(rows);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

const BAR: &str = "━╸─";

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("a template known to be right")
}

fn bar() -> ProgressStyle {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {human_pos}/{human_len}  {msg}");
    style.expect("a template known to be right").progress_chars(BAR)
}

/// `click 0.5231, order –`.
fn losses(tasks: &[String], losses: &[Option<f64>]) -> String {
    let each = tasks.iter().zip(losses).map(|(task, loss)| match loss {
        Some(loss) => format!("{task} {loss:.4}"),
        None => format!("{task} –"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A time as people read it: `41 s`, `3:05 min`, `2:10:00 h`.
pub(crate) fn clock(seconds: f64) -> String {
    // Saturates: a silly estimate shows as a silly number.
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes}:{seconds:02} min"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(clock(0.2), "0 s");
        assert_eq!(clock(59.4), "59 s");
        assert_eq!(clock(185.0), "3:05 min");
        assert_eq!(clock(7800.0), "2:10:00 h");
    }

    #[test]
    fn a_task_without_observed_labels_shows_a_dash() {
        let tasks = ["click".to_owned(), "order".to_owned()];
        assert_eq!(losses(&tasks, &[Some(0.52314), None]), "click 0.5231, order –");
    }
}
