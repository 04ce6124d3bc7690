//! `hinet tune`: many settings of one config, and the best of them as a config of its own.

use std::process::ExitCode;

use hinet_train::{
    TrialLine, TrialResult, TuneEvent, TuneObserver, TuneOptions, TuneResult, Tuning, tune, tune_models,
};

use super::train::{quoted, quoted_sets};
use crate::args::{Format, TuneArguments};
use crate::interrupt;
use crate::output::{Talk, print};
use crate::progress::clock;
use crate::table;

pub(crate) fn run(arguments: &TuneArguments, talk: Talk) -> anyhow::Result<ExitCode> {
    let mut sets = arguments.config.sets.clone();
    sets.extend(arguments.trials.map(|trials| ("tune.trials".to_owned(), trials.to_string())));
    let config = arguments.config.config.as_path();
    let mut watcher = Watcher { talk };
    let options = TuneOptions {
        resume: arguments.resume,
        jobs: arguments.jobs.map_or(0, usize::from),
        threads: arguments.threads.threads.map_or(0, usize::from),
        stop: interrupt::stop_flag()?,
        observer: &mut watcher,
    };
    let format = arguments.format.format;
    let done = if arguments.models.is_empty() {
        tune(&Tuning::load(config, &sets)?, &arguments.out, options).map(|tuned| {
            let next = format!("hinet train {}", quoted(&tuned.path));
            let said = format!("\nthe best setting: {}\nnext:\n  {next}", tuned.path.display());
            (one(&tuned.result, format), said)
        })
    } else {
        let models = arguments.models.iter().map(|model| Tuning::load_model(config, &sets, model.trim()));
        let tunings = models.collect::<Result<Vec<_>, _>>()?;
        tune_models(&tunings, &arguments.out, options).map(|tuned| {
            let results: Vec<TuneResult> = tuned.into_iter().map(|tuned| tuned.result).collect();
            let out = quoted(&arguments.out);
            let mut next = vec![format!("hinet compare {} --models {out}", quoted(config))];
            next.extend(quoted_sets(&arguments.config.sets));
            let said = format!("\nthe best settings: {out}\nnext:\n  {}", next.join(" "));
            (several(&results, format), said)
        })
    };
    match done {
        Ok((shown, next)) => {
            print(&shown)?;
            talk.say(next);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.is_interrupt() => {
            Talk::new(false).say(format_args!("{error}"));
            Ok(ExitCode::from(crate::EXIT_INTERRUPTED))
        }
        Err(error) => Err(error.into()),
    }
}

fn one(result: &TuneResult, format: Format) -> String {
    match format {
        Format::Json => result.to_json(),
        Format::Csv => result.to_csv(),
        Format::Table => shown(result),
    }
}

fn several(results: &[TuneResult], format: Format) -> String {
    match format {
        Format::Json => {
            let all: Vec<String> = results.iter().map(|result| result.to_json().trim_end().to_owned()).collect();
            format!("[{}]\n", all.join(",\n"))
        }
        Format::Csv => TuneResult::all_to_csv(results),
        Format::Table => winners(results),
    }
}

/// The best trial of each model, and below what each was set to.
fn winners(results: &[TuneResult]) -> String {
    let monitor = results.first().map_or("", |first| first.monitor.as_str());
    let lines = results.iter().map(|result| {
        let best = result.winner();
        let numbers = [best.trial.to_string(), table::decimals(best.metric, 4), best.steps.to_string()];
        [vec![result.name.clone()], numbers.to_vec()].concat()
    });
    let mut text = table::plain(&["model", "best trial", monitor, "steps"], lines) + "\n";
    for result in results {
        text.push_str(&format!("{}: {}\n", result.name, set_to(result.winner())));
    }
    text
}

/// `model.units [64], train.epochs 3`
fn set_to(trial: &TrialResult) -> String {
    trial.setting.keys().map(|key| format!("{key} {}", trial.value(key))).collect::<Vec<_>>().join(", ")
}

/// The trials, the best first.
fn shown(result: &TuneResult) -> String {
    let keys = result.keys();
    let rungs = result.trials.iter().any(|trial| trial.rung > 0);
    let mut head = vec!["trial"];
    head.extend(rungs.then_some("rung"));
    head.push(&result.monitor);
    head.push("steps");
    head.extend(&keys);
    let lines = result.ranked().into_iter().map(|trial| {
        let mut line = vec![trial.trial.to_string()];
        line.extend(rungs.then(|| trial.rung.to_string()));
        line.push(table::decimals(trial.metric, 4));
        line.push(trial.steps.to_string());
        line.extend(keys.iter().map(|key| trial.value(key)));
        line
    });
    table::plain(&head, lines)
}

/// Says a line for each trial.
struct Watcher {
    talk: Talk,
}

impl TuneObserver for Watcher {
    fn event(&mut self, event: TuneEvent<'_>) {
        match event {
            TuneEvent::Reading => self.talk.say("reading the data"),
            TuneEvent::Model { name, number, models } => {
                self.talk.say(format_args!("{name}, model {number} of {models}"));
            }
            TuneEvent::Rung { rung, rungs, trials, jobs } => {
                let rung = if rungs > 1 { format!("rung {} of {rungs}: ", rung + 1) } else { String::new() };
                self.talk.say(format_args!("{rung}{trials} trials, {jobs} at a time"));
            }
            TuneEvent::Warning(text) => self.talk.say(format_args!("warning: {text}")),
            TuneEvent::Done(line) => self.talk.say(told(line)),
        }
    }
}

/// `3 of 20: trial 7: 0.7123, the best so far; train.epochs 3; 2:10 min left`.
fn told(line: &TrialLine) -> String {
    let TrialLine { done, trials, result, is_best, best, was_done, seconds_left } = line;
    let standing = match best {
        _ if *is_best => ", the best so far".to_owned(),
        Some(best) => format!(", best {best:.4}"),
        None => String::new(),
    };
    let mut text = format!(
        "{done} of {trials}: trial {}: {}{standing}; {}",
        result.trial,
        table::decimals(result.metric, 4),
        set_to(result)
    );
    if let Some(problem) = &result.problem {
        text.push_str(&format!("; failed: {problem}"));
    }
    match seconds_left {
        _ if *was_done => text.push_str("; done before"),
        Some(seconds) if done < trials => text.push_str(&format!("; {} left", clock(*seconds))),
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_told_in_one_line() {
        let setting = [("train.epochs".to_owned(), 3.into())].into();
        let result = TrialResult { trial: 7, setting, metric: Some(0.71234), ..TrialResult::default() };
        let line = TrialLine {
            done: 3,
            trials: 20,
            result,
            is_best: true,
            best: Some(0.71234),
            was_done: false,
            seconds_left: Some(130.0),
        };
        assert_eq!(told(&line), "3 of 20: trial 7: 0.7123, the best so far; train.epochs 3; 2:10 min left");
        let line = TrialLine { is_best: false, best: Some(0.8), was_done: true, ..line };
        assert_eq!(told(&line), "3 of 20: trial 7: 0.7123, best 0.8000; train.epochs 3; done before");
    }
}
