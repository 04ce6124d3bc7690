//! `hinet evaluate`: the table of cells on any data.

use std::sync::atomic::AtomicBool;

use hinet_data::Source;
use hinet_train::{Run, ScoreOptions, evaluate};

use super::train::shown;
use crate::args::EvaluateArguments;
use crate::output::{Talk, print};
use crate::progress::Counter;

/// What the rows are called that `--data` names.
const SPLIT: &str = "data";

pub(crate) fn run(arguments: &EvaluateArguments, talk: Talk) -> anyhow::Result<()> {
    let run = Run::open(&arguments.run.run)?;
    let source = Source::open(&arguments.run.data)?;
    let mut counter = Counter::new(talk, "scored", source.rows());
    let threads = arguments.threads.threads.map_or(0, usize::from);
    // Ctrl-C simply ends the program: there is nothing to be kept.
    let options = ScoreOptions { threads, stop: &AtomicBool::new(false), progress: &mut |rows| counter.reached(rows) };
    let metrics = evaluate(&run, &source, SPLIT, options);
    counter.finish();
    print(&shown(&metrics?, arguments.format.format, None))
}
