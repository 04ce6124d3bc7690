//! `hinet synth`: data of which the truth is known.

use std::path::Path;

use anyhow::Context;
use hinet_data::{Bayes, SynthConfig, SynthTruth, write_synth};

use crate::args::{Format, SynthArguments};
use crate::failure::usage;
use crate::output::{Talk, grouped, print};
use crate::progress::Counter;

pub(crate) fn run(arguments: &SynthArguments, talk: Talk) -> anyhow::Result<()> {
    let config = settings(arguments)?;
    let truth = generate(&config, &arguments.out, talk)?;
    match arguments.format.format {
        Format::Table => print(&table(&truth.bayes))?,
        Format::Json => print(&serde_json::to_string_pretty(&truth)?)?,
        Format::Csv => print(&csv(&truth.bayes))?,
    }
    let config = arguments.out.join("hinet.toml");
    talk.say(format_args!(
        "\nwritten to {}; train on it with\n  hinet train {}",
        arguments.out.display(),
        config.display()
    ));
    Ok(())
}

/// Writes the data into a new folder, and says how far it is.
pub(super) fn generate(config: &SynthConfig, out: &Path, talk: Talk) -> anyhow::Result<SynthTruth> {
    if out.exists() {
        return Err(usage(format!("{} exists already: name another folder with --out", out.display())));
    }
    let mut counter = Counter::new(talk, "generating", Some(config.rows()));
    let truth = write_synth(config, out, &mut |rows| counter.reached(rows))?;
    counter.finish();
    Ok(truth)
}

/// These settings with other numbers of rows: an eighth of train for validation, a quarter for test.
pub(super) fn with_rows(config: SynthConfig, rows: u64) -> SynthConfig {
    SynthConfig { train_rows: rows, valid_rows: rows / 8, test_rows: rows / 4, ..config }
}

fn settings(arguments: &SynthArguments) -> anyhow::Result<SynthConfig> {
    let mut config = match (&arguments.preset, &arguments.config) {
        (Some(name), _) => SynthConfig::preset(name)?,
        (None, Some(file)) => from_file(file)?,
        (None, None) => SynthConfig::default(),
    };
    if let Some(rows) = arguments.rows {
        config = with_rows(config, rows);
    }
    for (key, value) in &arguments.sets {
        config = with_setting(config, key, value)?;
    }
    if let Some(seed) = arguments.seed {
        config.seed = seed;
    }
    Ok(config)
}

fn from_file(file: &Path) -> anyhow::Result<SynthConfig> {
    let text = fs_err::read_to_string(file).map_err(|error| usage(error.to_string()))?;
    toml::from_str(&text).map_err(|error| usage(format!("{}: {error}", file.display())))
}

/// The settings with one of them replaced; the value is TOML, or else a bare text.
fn with_setting(config: SynthConfig, key: &str, value: &str) -> anyhow::Result<SynthConfig> {
    let mut table = toml::Table::try_from(&config).context("settings are plain values, which TOML can hold")?;
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok().and_then(|mut t| t.remove("value"));
    table.insert(key.to_owned(), parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())));
    table.try_into().map_err(|error: toml::de::Error| usage(format!("--set {key}={value}: {}", error.message())))
}

fn table(bayes: &Bayes) -> String {
    let mut text = "the AUC that no model can beat, on the test rows\n\n".to_owned();
    let name = |scenario: &Option<String>| scenario.clone().unwrap_or_else(|| "all".to_owned());
    let width = bayes.cells.iter().map(|cell| name(&cell.scenario).chars().count()).max().unwrap_or(3).max(8);
    text.push_str(&format!("{:width$}  {:12}  {:>10}  {:>9}  {:>6}\n", "scenario", "task", "rows", "base rate", "AUC"));
    for cell in bayes.cells.iter().chain(&bayes.overall) {
        let auc = cell.auc.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.4}"));
        let (rows, rate) = (grouped(cell.rows), cell.base_rate);
        text.push_str(&format!(
            "{:width$}  {:12}  {rows:>10}  {rate:>9.4}  {auc:>6}\n",
            name(&cell.scenario),
            cell.task
        ));
    }
    text
}

fn csv(bayes: &Bayes) -> String {
    let mut text = "scenario,task,rows,positives,base_rate,auc,logloss\n".to_owned();
    for cell in bayes.cells.iter().chain(&bayes.overall) {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        text.push_str(&format!(
            "{},{},{},{},{},{},{}\n",
            cell.scenario.as_deref().unwrap_or_default(),
            cell.task,
            cell.rows,
            cell.positives,
            cell.base_rate,
            number(cell.auc),
            number(cell.logloss)
        ));
    }
    text
}
