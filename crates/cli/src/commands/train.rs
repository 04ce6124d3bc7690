//! `hinet train`: from a config to a run folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hinet_train::{
    Experiment, FitOptions, Metrics, NewScenario, NewScenarios, OldCell, RunFolder, TrainError, WarmStarted, fit,
};

use crate::args::{ConfigArguments, Format, ThreadArguments, TrainArguments};
use crate::interrupt;
use crate::output::{Talk, grouped, print};
use crate::progress::Watcher;
use crate::table::{self, Bayes};

/// The rows that are looked at once, at the end.
const TEST: &str = "test";

pub(crate) fn run(arguments: &TrainArguments, talk: Talk) -> anyhow::Result<ExitCode> {
    let experiment = load(&arguments.config, arguments.threads)?;
    let out = arguments.out.clone().unwrap_or_else(|| RunFolder::fresh_path(Path::new("runs"), &experiment.name));
    let job = Job { experiment: &experiment, out: &out, resume: arguments.resume };
    let Some(metrics) = job.fit(talk, &resume_command(&arguments.config, &out))? else {
        return Ok(ExitCode::from(crate::EXIT_INTERRUPTED));
    };
    print(&shown(&metrics, arguments.format.format, None))?;
    say_what_is_next(&out, talk);
    Ok(ExitCode::SUCCESS)
}

/// A fit to be done.
pub(super) struct Job<'a> {
    pub(super) experiment: &'a Experiment,
    pub(super) out: &'a Path,
    pub(super) resume: bool,
}

impl Job<'_> {
    /// Fits, watched by whoever sits there. `None`: stopped by Ctrl-C, and `to_resume` was said.
    pub(super) fn fit(&self, talk: Talk, to_resume: &str) -> anyhow::Result<Option<Metrics>> {
        let mut watcher = Watcher::new(talk);
        let options = FitOptions { resume: self.resume, stop: interrupt::stop_flag()?, observer: &mut watcher };
        let result = fit(self.experiment, self.out, options);
        watcher.finish();
        match result {
            Ok(summary) => Ok(Some(summary.metrics)),
            Err(TrainError::Interrupted { step, .. }) => {
                Talk::new(false).say(format_args!("stopped after step {step}; to go on:\n  {to_resume}"));
                Ok(None)
            }
            Err(error) if error.is_interrupt() => {
                Talk::new(false).say(error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The experiment of a config with what the command line changes in it.
pub(super) fn load(arguments: &ConfigArguments, threads: ThreadArguments) -> anyhow::Result<Experiment> {
    let mut sets = arguments.sets.clone();
    sets.extend(threads.threads.map(|threads| ("train.threads".to_owned(), threads.to_string())));
    Ok(Experiment::load(&arguments.config, &sets)?)
}

/// Metrics as they were asked for: a table per split, or what programs read.
pub(super) fn shown(metrics: &Metrics, format: Format, bayes: Option<Bayes<'_>>) -> String {
    match format {
        Format::Json => metrics.to_json(),
        Format::Csv => metrics.to_csv(),
        Format::Table => {
            tables(metrics, bayes) + &metrics.warm_start().map_or_else(String::new, |warm| taken_over(&warm))
        }
    }
}

/// Where new scenarios started, and what became of the cells of old ones.
fn taken_over(warm: &WarmStarted) -> String {
    let started = |new: &NewScenario| {
        let from = match (&new.like, warm.config.new_scenarios) {
            (Some(like), _) => format!("started like `{like}`"),
            (None, NewScenarios::Fresh) => "started afresh".to_owned(),
            (None, _) => "started as the mean of the old ones".to_owned(),
        };
        format!("`{}` {from}\n", new.scenario)
    };
    let mut text = format!("\ngone on from {}\n", warm.config.run.display());
    text.extend(warm.new_scenarios.iter().map(started));
    let Some(part) = &warm.part else { return text };
    let line = |cell: &OldCell| {
        let change = cell.before.zip(cell.after).map(|(before, after)| after - before);
        let change = change.map_or_else(|| table::UNDEFINED.to_owned(), |change| format!("{change:+.4}"));
        let aucs = [cell.before, cell.after].map(|auc| table::decimals(auc, 4));
        let names = [cell.scenario.clone(), cell.task.clone(), grouped(cell.rows)];
        names.into_iter().chain(aucs).chain([change]).collect()
    };
    let head = ["scenario", "task", "rows", "AUC before", "after", "change"];
    text + &format!("\n{part}, old scenarios\n") + &table::plain(&head, warm.cells.iter().map(line))
}

/// The table of test, and a line for every other split; without test all tables.
fn tables(metrics: &Metrics, bayes: Option<Bayes<'_>>) -> String {
    let Some(test) = metrics.splits.get(TEST) else {
        let tables = metrics.splits.iter().map(|(name, split)| table::split(name, split, None));
        return tables.collect::<Vec<_>>().join("\n");
    };
    let others = metrics.splits.iter().filter(|(name, _)| *name != TEST);
    let lines: String = others.map(|(name, split)| format!("{name}: {}", table::means(split))).collect();
    table::split(TEST, test, bayes) + "\n" + &lines
}

/// Where the run lies, and what to do with it.
pub(super) fn say_what_is_next(out: &Path, talk: Talk) {
    let out = out.display();
    talk.say(format_args!("\nrun folder: {out}\nnext:"));
    talk.say(format_args!("  hinet evaluate {out} --data FILES"));
    talk.say(format_args!("  hinet predict {out} --data FILES --output scores.parquet"));
}

pub(super) fn quoted_sets(sets: &[(String, String)]) -> Vec<String> {
    sets.iter().map(|(key, value)| format!("--set {}", quoted(&PathBuf::from(format!("{key}={value}"))))).collect()
}

fn resume_command(config: &ConfigArguments, out: &Path) -> String {
    let mut words = vec!["hinet".to_owned(), "train".to_owned(), quoted(&config.config)];
    words.extend(quoted_sets(&config.sets));
    words.push(format!("--out {} --resume", quoted(out)));
    words.join(" ")
}

/// A word as a shell wants it.
pub(super) fn quoted(word: &Path) -> String {
    let text = word.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_resume_survives_a_shell() {
        let sets = vec![("task.0.where".to_owned(), "page == 'home'".to_owned())];
        let config = ConfigArguments { config: "my file.toml".into(), sets };
        let command = resume_command(&config, Path::new("runs/a-1"));
        let expected = r"hinet train 'my file.toml' --set 'task.0.where=page == '\''home'\''' --out runs/a-1 --resume";
        assert_eq!(command, expected);
    }
}
