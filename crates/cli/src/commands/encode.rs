//! `hinet encode`: encoded inputs, one row per input row.

use std::sync::atomic::AtomicBool;

use hinet_train::{ScoreOptions, encode};

use super::predict::open;
use crate::args::EncodeArguments;
use crate::output::{Talk, grouped};
use crate::progress::Counter;

pub(crate) fn run(arguments: &EncodeArguments, talk: Talk) -> anyhow::Result<()> {
    let (run, source) = open(&arguments.run, &arguments.output)?;
    let mut counter = Counter::new(talk, "encoded", source.rows());
    let threads = arguments.threads.threads.map_or(0, usize::from);
    // Ctrl-C simply ends the program: the output is put in place when it is whole.
    let options = ScoreOptions { threads, stop: &AtomicBool::new(false), progress: &mut |rows| counter.reached(rows) };
    let encoded = encode(&run, &source, &arguments.keep, &arguments.output, options);
    counter.finish();
    let encoded = encoded?;
    talk.say(format_args!("{} rows encoded into {}", grouped(encoded.rows), arguments.output.display()));
    for line in encoded.counts.to_string().lines() {
        talk.say(line);
    }
    Ok(())
}
