//! `hinet compare`: several models over several seeds, or finished runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use hinet_train::{CompareOptions, CompareRuns, Compared, Experiment, RunFolder, TuneResult, compare, compare_runs};

use super::train::{quoted, quoted_sets};
use crate::args::{CompareArguments, Format};
use crate::comparison::{self, CompareWatcher};
use crate::failure::usage;
use crate::interrupt;
use crate::output::{Talk, print};

pub(crate) fn run(arguments: &CompareArguments, talk: Talk) -> anyhow::Result<ExitCode> {
    if arguments.models.is_empty() { finished(arguments, talk) } else { trained(arguments, talk) }
}

/// Compares runs that are there.
fn finished(arguments: &CompareArguments, talk: Talk) -> anyhow::Result<ExitCode> {
    if let Some(file) = arguments.targets.iter().find(|target| target.is_file()) {
        return Err(usage(format!(
            "{} is no run folder; to compare models of a config, name them with --models",
            file.display()
        )));
    }
    let mut watcher = CompareWatcher::new(talk);
    let out = arguments.out.as_deref();
    let result = compare_runs(&arguments.targets, out, options(arguments, interrupt::stop_flag()?, &mut watcher));
    watcher.finish();
    print(&shown(&result?, arguments.format.format))?;
    if let Some(out) = out {
        say_what_is_next(out, talk);
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains what is to be compared.
fn trained(arguments: &CompareArguments, talk: Talk) -> anyhow::Result<ExitCode> {
    let [config] = arguments.targets.as_slice() else {
        return Err(usage("--models takes one config; finished runs are compared without --models"));
    };
    let runs = planned(arguments, config, talk)?;
    let out = runs.out.clone();
    let mut watcher = CompareWatcher::new(talk);
    let result = compare(runs, options(arguments, interrupt::stop_flag()?, &mut watcher));
    watcher.finish();
    match result {
        Ok(compared) => {
            print(&shown(&compared, arguments.format.format))?;
            say_what_is_next(&out, talk);
            talk.say(format_args!("runs: {}/<model>/seed-<n>", out.display()));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.is_interrupt() => {
            let to_resume = resume_command(arguments, config, &out);
            Talk::new(false).say(format_args!("{error}; to go on:\n  {to_resume}"));
            Ok(ExitCode::from(crate::EXIT_INTERRUPTED))
        }
        Err(error) => Err(error.into()),
    }
}

fn options<'a>(
    arguments: &CompareArguments,
    stop: &'a AtomicBool,
    observer: &'a mut CompareWatcher,
) -> CompareOptions<'a> {
    CompareOptions {
        against: arguments.against.clone(),
        reference: arguments.reference.clone(),
        draws: arguments.draws as usize,
        threads: arguments.threads.threads.map_or(0, usize::from),
        stop,
        observer,
    }
}

fn planned(arguments: &CompareArguments, config: &Path, talk: Talk) -> anyhow::Result<CompareRuns> {
    let base = Experiment::load(config, &arguments.sets)?;
    let names = named(&arguments.models, talk)?;
    let models = names.iter().map(|model| Experiment::load_model(config, &arguments.sets, model));
    let models = models.collect::<Result<Vec<_>, _>>()?;
    read_alike(&names, &models, talk);
    let fresh = || RunFolder::fresh_path(Path::new("runs"), &format!("{}-compare", base.name));
    Ok(CompareRuns {
        models,
        seeds: (0..arguments.seeds).map(|n| base.train.seed.wrapping_add(n)).collect(),
        out: arguments.out.clone().unwrap_or_else(fresh),
        resume: arguments.resume,
        match_parameters: arguments.match_parameters,
        jobs: arguments.jobs.map_or(0, usize::from),
        name: base.name,
    })
}

/// The models that were typed, with the TOML files of a folder in its place, in the order of their names.
fn named(typed: &[String], talk: Talk) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for typed in typed.iter().map(|typed| typed.trim()) {
        if !Path::new(typed).is_dir() {
            names.push(typed.to_owned());
            continue;
        }
        let unreadable = |error| usage(format!("{typed}: {error}"));
        let entries = std::fs::read_dir(typed).map_err(unreadable)?;
        let files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
        let mut files: Vec<PathBuf> = files.map_err(unreadable)?;
        files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        if files.is_empty() {
            return Err(usage(format!("{typed}: expected the TOML files of models in this folder, found none")));
        }
        files.sort();
        tuned_alike(Path::new(typed), &files, talk)?;
        names.extend(files.iter().map(|path| path.display().to_string()));
    }
    Ok(names)
}

/// Says where what stands before the layers differs: a preset beside the config's own starts from its own defaults.
fn read_alike(names: &[String], models: &[Experiment], talk: Talk) {
    let parts = |model: &Experiment| {
        let model = &model.model;
        let there = [model.fm, model.cross.layers > 0, !model.sequence.is_empty()];
        let parts = ["fm", "cross", "sequence"].into_iter().zip(there).filter(|(_, there)| *there);
        parts.map(|(part, _)| part).collect::<Vec<_>>()
    };
    let read: Vec<Vec<&str>> = models.iter().map(parts).collect();
    let Some(other) = read.iter().position(|parts| *parts != read[0]) else { return };
    let told = |parts: &[&str]| if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
    talk.say(format_args!(
        "warning: models differ before the layers: `{}` has {}, `{}` {} of fm, cross and sequence; [compare.models] gives \
         each its own",
        names[0],
        told(&read[0]),
        names[other],
        told(&read[other]),
    ));
}

/// Refuses a folder of tuned models in which one has not ended, and says where some had more trials than others.
fn tuned_alike(folder: &Path, files: &[PathBuf], talk: Talk) -> anyhow::Result<()> {
    let mut trials = Vec::new();
    for entry in std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()? {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if !path.join("trials.jsonl").is_file() {
            continue;
        }
        if !files.contains(&folder.join(format!("{name}.toml"))) {
            let told = format!("the tuning of `{name}` in {} has not ended: go on with", folder.display());
            return Err(usage(format!("{told} `hinet tune --models ... --resume`, or remove {}", path.display())));
        }
        let text = std::fs::read_to_string(path.join("tune.json"))?;
        let result = TuneResult::from_json(&text).with_context(|| path.join("tune.json").display().to_string())?;
        trials.push((result.trials.iter().filter(|trial| trial.rung == 0).count(), name));
    }
    trials.sort();
    if let [(fewest, one), .., (most, other)] = &trials[..]
        && fewest < most
    {
        talk.say(format_args!(
            "warning: models were not tuned alike: trials of `{one}`: {fewest}, of `{other}`: {most}"
        ));
    }
    Ok(())
}

fn shown(compared: &Compared, format: Format) -> String {
    match format {
        Format::Json => compared.comparison.to_json(),
        Format::Csv => compared.csv.clone(),
        Format::Table => comparison::tables(&compared.comparison, &compared.timing),
    }
}

fn say_what_is_next(out: &Path, talk: Talk) {
    let out = out.display();
    talk.say(format_args!("\ncomparison: {out}/compare.json, {out}/compare.csv"));
    talk.say(format_args!("report: {out}/report.html"));
}

fn resume_command(arguments: &CompareArguments, config: &Path, out: &Path) -> String {
    let mut words = vec!["hinet compare".to_owned(), quoted(config)];
    words.push(format!("--models {}", quoted(&PathBuf::from(arguments.models.join(",")))));
    words.push(format!("--seeds {}", arguments.seeds));
    words.extend(quoted_sets(&arguments.sets));
    words.extend(arguments.match_parameters.then(|| "--match-parameters".to_owned()));
    let named = [("--against", &arguments.against), ("--reference", &arguments.reference)];
    words.extend(
        named
            .into_iter()
            .filter_map(|(flag, name)| name.as_ref().map(|name| format!("{flag} {}", quoted(Path::new(name))))),
    );
    words.push(format!("--draws {}", arguments.draws));
    words.push(format!("--out {} --resume", quoted(out)));
    words.join(" ")
}
