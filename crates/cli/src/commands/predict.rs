//! `hinet predict`: scores, one row per input row.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use hinet_data::Source;
use hinet_train::{Run, ScoreOptions, predict};

use crate::args::{PredictArguments, RunArguments};
use crate::failure::usage;
use crate::output::{Talk, grouped};
use crate::progress::Counter;

pub(crate) fn run(arguments: &PredictArguments, talk: Talk) -> anyhow::Result<()> {
    let (mut run, source) = open(&arguments.run, &arguments.output)?;
    if let Some(below) = arguments.prune_san {
        for line in run.artefact.model.prune_san(below)?.to_string().lines() {
            talk.say(line);
        }
    }
    let mut counter = Counter::new(talk, "scored", source.rows());
    let threads = arguments.threads.threads.map_or(0, usize::from);
    // Ctrl-C simply ends the program: the output is put in place when it is whole.
    let options = ScoreOptions { threads, stop: &AtomicBool::new(false), progress: &mut |rows| counter.reached(rows) };
    let predicted = predict(&run, &source, &arguments.keep, &arguments.output, options);
    counter.finish();
    let predicted = predicted?;
    talk.say(format_args!("{} rows scored into {}", grouped(predicted.rows), arguments.output.display()));
    for line in predicted.counts.to_string().lines() {
        talk.say(line);
    }
    Ok(())
}

/// The run and the rows it is asked about, unless the output is no file of its own.
pub(super) fn open(arguments: &RunArguments, output: &Path) -> anyhow::Result<(Run, Source)> {
    if output.as_os_str() == "-" {
        return Err(usage("--output must be a file whose ending says the format: .parquet, .csv or .jsonl"));
    }
    let run = Run::open(&arguments.run)?;
    let source = Source::open(&arguments.data)?;
    let same = |input: &PathBuf| matches!((input.canonicalize(), output.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if source.files().iter().any(same) {
        let output = output.display();
        return Err(usage(format!("--output {output} is also read as --data: name another file")));
    }
    Ok((run, source))
}
