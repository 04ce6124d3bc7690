//! `hinet demo`: data, a model and its table, from nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hinet_data::{SynthConfig, SynthTruth};

use super::synth::{generate, with_rows};
use super::train::{Job, load, say_what_is_next, shown};
use crate::args::{ConfigArguments, DemoArguments, Format};
use crate::output::{Talk, grouped, print};

pub(crate) fn run(arguments: &DemoArguments, talk: Talk) -> anyhow::Result<ExitCode> {
    let out = arguments.out.clone().unwrap_or_else(fresh_path);
    let (data, run) = (out.join("data"), out.join("run"));
    let config = SynthConfig { seed: arguments.seed, ..with_rows(SynthConfig::default(), arguments.rows) };
    if out.exists() {
        return Err(crate::failure::usage(format!("{} exists already: name another folder with --out", out.display())));
    }
    talk.say(format_args!(
        "generating {} rows of {} scenarios and {} tasks in {}",
        grouped(config.rows()),
        config.scenario_sizes.len(),
        config.tasks.len(),
        data.display()
    ));
    let truth = generate(&config, &data, talk)?;
    let file = data.join("hinet.toml");
    talk.say(format_args!("training HiNet as {} says", file.display()));
    let sets = vec![("train.seed".to_owned(), arguments.seed.to_string())];
    let experiment = load(&ConfigArguments { config: file.clone(), sets }, arguments.threads)?;
    let (config, folder) = (file.display(), run.display());
    let to_resume = format!("hinet train {config} --set train.seed={} --out {folder} --resume", arguments.seed);
    let job = Job { experiment: &experiment, out: &run, resume: false };
    let Some(metrics) = job.fit(talk, &to_resume)? else { return Ok(ExitCode::from(crate::EXIT_INTERRUPTED)) };
    let bayes = |scenario: Option<&str>, task: &str| bayes_auc(&truth, scenario, task);
    print(&shown(&metrics, arguments.format.format, Some(&bayes)))?;
    if arguments.format.format == Format::Table {
        talk.say("\nBayes AUC: what the true probabilities reach on the same rows; no model can do better.");
    }
    say_what_is_next(&run, talk);
    Ok(ExitCode::SUCCESS)
}

fn fresh_path() -> PathBuf {
    let path = |n: u64| Path::new("runs").join(format!("demo-{n}"));
    (1..).map(path).find(|path| !path.exists()).expect("some number is free")
}

fn bayes_auc(truth: &SynthTruth, scenario: Option<&str>, task: &str) -> Option<f64> {
    let cells = if scenario.is_some() { &truth.bayes.cells } else { &truth.bayes.overall };
    cells.iter().find(|cell| cell.scenario.as_deref() == scenario && cell.task == task)?.auc
}
