//! `hinet init`: a config to start from.

use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use hinet_data::{Guess, GuessOptions, Source};

use crate::args::InitArguments;
use crate::failure::usage;
use crate::output::{Talk, grouped, print};

pub(crate) fn run(arguments: &InitArguments, talk: Talk) -> anyhow::Result<()> {
    let output = &arguments.output;
    let to_stdout = output.as_os_str() == "-";
    if !to_stdout && !arguments.force && output.exists() {
        return Err(usage(format!(
            "{} exists already: --force replaces it, --output names another file",
            output.display()
        )));
    }
    if let Some(both) = arguments.scenario.as_ref().filter(|scenario| arguments.tasks.contains(scenario)) {
        return Err(usage(format!("`{both}` is named by --scenario and by --task: a column can be one of them")));
    }
    let source = Source::open(&arguments.data)?;
    let options = GuessOptions {
        scenario: arguments.scenario.clone(),
        tasks: arguments.tasks.clone(),
        ..GuessOptions::default()
    };
    let guess = Guess::of(&source, &options)?;
    let base = if to_stdout { Path::new("") } else { output.parent().unwrap_or(Path::new("")) };
    let data: Vec<String> = arguments.data.iter().map(|path| seen_from(base, path)).collect::<anyhow::Result<_>>()?;
    let text = guess.to_toml(&data);
    if to_stdout {
        return print(&text);
    }
    fs_err::write(output, text)?;
    say_what_was_guessed(&guess, output, talk);
    Ok(())
}

fn say_what_was_guessed(guess: &Guess, output: &Path, talk: Talk) {
    let all = if guess.all_rows { "all" } else { "the first" };
    talk.say(format_args!("looked at {all} {} rows of {} columns", grouped(guess.rows), guess.columns.len()));
    if let Some(scenario) = guess.scenario() {
        talk.say(format_args!("scenario: {}", scenario.name));
    }
    let tasks: Vec<&str> = guess.tasks().iter().map(|task| task.name.as_str()).collect();
    talk.say(format_args!("tasks: {}", if tasks.is_empty() { "none".to_owned() } else { tasks.join(", ") }));
    for question in guess.questions() {
        talk.say(format_args!("to decide: {question}"));
    }
    let output = output.display();
    talk.say(format_args!(
        "\nwritten to {output}: read it, every guess has its reason beside it; then\n  hinet check {output}"
    ));
}

/// A path as a config in the folder `base` names it. Globs are paths, too.
fn seen_from(base: &Path, path: &Path) -> anyhow::Result<String> {
    let here = std::env::current_dir().context("the working directory is gone")?;
    let (base, target) = (plain(&here.join(base)), plain(&here.join(path)));
    let shared = base.components().zip(target.components()).take_while(|(a, b)| a == b).count();
    let up = base.components().skip(shared).map(|_| Component::ParentDir);
    let relative: PathBuf = up.chain(target.components().skip(shared)).collect();
    let seen = if path.is_absolute() { &target } else { &relative };
    seen.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is not UTF-8, which a config has to be", path.display()))
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_from_the_folder_of_the_config() {
        let seen = |base: &str, path: &str| seen_from(Path::new(base), Path::new(path)).unwrap();
        assert_eq!(seen("", "log.csv"), "log.csv");
        assert_eq!(seen("configs/deep", "data/log.csv"), "../../data/log.csv");
        assert_eq!(seen("configs", "./configs/../data/*.csv"), "../data/*.csv");
        assert_eq!(seen("configs", "/data/log.csv"), "/data/log.csv");
    }
}
