//! `hinet convert`: a public data set in its published form becomes Parquet and a config.

use hinet_data::{ConvertConfig, ConvertSplit, Converted, PublicSet, convert};

use crate::args::{ConvertArguments, Format, Public, SplitBy};
use crate::output::{Talk, grouped, print};
use crate::progress::Counter;

const PARTS: [&str; 3] = ["train", "valid", "test"];

pub(crate) fn run(arguments: &ConvertArguments, talk: Talk) -> anyhow::Result<()> {
    let config = config(arguments);
    let mut counter = Counter::new(talk, "converting", None);
    let converted = convert(&config, &arguments.out, &mut |rows| counter.reached(rows));
    counter.finish();
    let converted = converted?;
    match arguments.format.format {
        Format::Table => print(&table(&converted))?,
        Format::Json => print(&serde_json::to_string_pretty(&converted)?)?,
        Format::Csv => print(&csv(&converted))?,
    }
    say_what_is_missing(&converted, talk);
    let config = arguments.out.join("hinet.toml");
    talk.say(format_args!(
        "\nwritten to {}; look at it and train on it with\n  hinet check {config}\n  hinet train {config}",
        arguments.out.display(),
        config = config.display()
    ));
    Ok(())
}

fn config(arguments: &ConvertArguments) -> ConvertConfig {
    ConvertConfig {
        split: arguments.split.map(|split| match split {
            SplitBy::Time => ConvertSplit::Time,
            SplitBy::User => ConvertSplit::User,
            SplitBy::Random => ConvertSplit::Random,
            SplitBy::Recorded => ConvertSplit::Recorded,
        }),
        valid: arguments.valid,
        test: arguments.test,
        seed: arguments.seed,
        skip_broken: arguments.skip_broken,
        all_rows: arguments.all_rows,
        ..ConvertConfig::new(set(arguments.name), &arguments.folder)
    }
}

fn set(name: Public) -> PublicSet {
    match name {
        Public::AliCcp => PublicSet::AliCcp,
        Public::AliExpress => PublicSet::AliExpress,
        Public::KuaiRand => PublicSet::KuaiRand,
        Public::MovieLens => PublicSet::MovieLens,
        Public::Census => PublicSet::Census,
    }
}

fn say_what_is_missing(converted: &Converted, talk: Talk) {
    for broken in &converted.broken {
        talk.say(format_args!("passed over: {broken}"));
    }
    if converted.left_out > 0 {
        talk.say(format_args!("{} rows were left out, as comparisons do", grouped(converted.left_out)));
    }
}

fn table(converted: &Converted) -> String {
    let mut text = format!("{:5}  {:>12}\n", "part", "rows");
    for (part, rows) in PARTS.iter().zip(converted.rows) {
        text.push_str(&format!("{part:5}  {:>12}\n", grouped(rows)));
    }
    text
}

fn csv(converted: &Converted) -> String {
    let lines = PARTS.iter().zip(converted.rows).map(|(part, rows)| format!("{part},{rows}\n"));
    format!("part,rows\n{}", lines.collect::<String>())
}
