//! `hinet inspect`: what a trained model does inside.

use std::sync::atomic::AtomicBool;

use hinet_data::Source;
use hinet_train::{InspectOptions, Inspection, Run, ScoreOptions, inspect, write_report};

use crate::args::{Format, InspectArguments};
use crate::heat;
use crate::output::{Talk, print};
use crate::progress::Counter;

pub(crate) fn run(arguments: &InspectArguments, talk: Talk) -> anyhow::Result<()> {
    let run = Run::open(&arguments.run)?;
    let source = if arguments.data.is_empty() { None } else { Some(Source::open(&arguments.data)?) };
    let mut counter = Counter::new(talk, "scored", None);
    let threads = arguments.threads.threads.map_or(0, usize::from);
    let options = InspectOptions {
        rows_per_scenario: arguments.rows,
        importance: arguments.importance,
        // Ctrl-C simply ends the program: there is nothing to be kept.
        score: ScoreOptions { threads, stop: &AtomicBool::new(false), progress: &mut |rows| counter.reached(rows) },
    };
    let seen = inspect(&run, source.as_ref(), options);
    counter.finish();
    let seen = seen?;
    if arguments.report {
        seen.save(&run.folder)?;
        write_report(&run.folder)?;
        talk.say(format_args!("written: {}", run.folder.report().display()));
    }
    print(&shown(&seen, arguments.format.format))
}

fn shown(seen: &Inspection, format: Format) -> String {
    match format {
        Format::Json => seen.to_json(),
        Format::Csv => seen.to_csv(),
        Format::Table => heat::inspection(seen),
    }
}
