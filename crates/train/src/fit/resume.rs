//! Whether a run may be continued with an experiment.

use toml::{Table, Value};

use crate::run_folder::RunFolder;
use crate::{Experiment, TrainError};

/// Keys that may change between sessions, since no result depends on them.
const FREE: [&str; 5] =
    ["train.threads", "train.checkpoint_every", "train.keep_checkpoint", "data.cache_mb", "data.cache_dir"];

/// Refuses a folder that holds no run, or one of another config.
pub(crate) fn check(folder: &RunFolder, experiment: &Experiment) -> Result<(), TrainError> {
    let config = folder.config();
    if !config.is_file() {
        let path = folder.path().to_owned();
        return if folder.is_unbegun()? { Ok(()) } else { Err(TrainError::NotARun { path, missing: "config.toml" }) };
    }
    same_config(folder, &experiment.to_toml(), &[])
}

/// Refuses a folder whose config is another one than this TOML, but for keys that no result depends on and those in
/// `free`.
pub(crate) fn same_config(folder: &RunFolder, now: &str, free: &[&str]) -> Result<(), TrainError> {
    let config = folder.config();
    let was = std::fs::read_to_string(&config).map_err(TrainError::io(&config))?;
    let was: Table = was
        .parse()
        .map_err(|error: toml::de::Error| TrainError::Damaged { path: config, reason: error.message().to_owned() })?;
    let now: Table = now.parse().expect("an experiment writes TOML");
    let free = [&FREE[..], free].concat();
    match first_difference("", (&Value::Table(was), &Value::Table(now)), &free) {
        None => Ok(()),
        Some((key, was, now)) => Err(TrainError::ConfigChanged { path: folder.path().to_owned(), key, was, now }),
    }
}

/// The first key at which two configs differ, with both values; `free` keys do not count.
fn first_difference(key: &str, (was, now): (&Value, &Value), free: &[&str]) -> Option<(String, String, String)> {
    if free.contains(&key) || was == now {
        return None;
    }
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match (was, now) {
        (Value::Table(was), Value::Table(now)) => {
            let added = now.keys().filter(|name| !was.contains_key(*name));
            was.keys().chain(added).find_map(|name| differing(&below(name), (was.get(name), now.get(name)), free))
        }
        (Value::Array(was), Value::Array(now)) if was.iter().chain(now).all(Value::is_table) => {
            let count = was.len().max(now.len());
            (0..count).find_map(|index| differing(&format!("{key}[{index}]"), (was.get(index), now.get(index)), free))
        }
        _ => Some((key.to_owned(), was.to_string(), now.to_string())),
    }
}

fn differing(
    key: &str,
    (was, now): (Option<&Value>, Option<&Value>),
    free: &[&str],
) -> Option<(String, String, String)> {
    let told = |value: Option<&Value>| value.map_or("absent".to_owned(), ToString::to_string);
    match (was, now) {
        (Some(was), Some(now)) => first_difference(key, (was, now), free),
        _ if free.contains(&key) => None,
        _ => Some((key.to_owned(), told(was), told(now))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(was: &str, now: &str) -> Option<(String, String, String)> {
        let table = |text: &str| Value::Table(text.parse().unwrap());
        first_difference("", (&table(was), &table(now)), &FREE)
    }

    #[test]
    fn the_first_key_that_differs_is_named_with_both_values() {
        let was = "a = 1\n[train]\nseed = 1\ndense = { learning_rate = 0.1 }\n[[task]]\nname = \"click\"\n";
        let named = |from: &str, to: &str| difference(was, &was.replace(from, to)).unwrap();
        assert_eq!(named("0.1", "0.2"), ("train.dense.learning_rate".into(), "0.1".into(), "0.2".into()));
        assert_eq!(named("click", "buy"), ("task[0].name".into(), "\"click\"".into(), "\"buy\"".into()));
        assert_eq!(named("seed = 1\n", ""), ("train.seed".into(), "1".into(), "absent".into()));
        assert_eq!(difference(was, was), None);
    }

    #[test]
    fn what_changes_no_result_may_change() {
        assert_eq!(difference("[train]\nthreads = 1", "[train]\nthreads = 2"), None);
        assert_eq!(difference("[train]\n", "[train]\ncheckpoint_every = 5"), None);
    }
}
