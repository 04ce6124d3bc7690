//! The command line of hinet: parse, call, print. What has logic lives in `hinet-train` and `hinet-data`.

mod args;
mod commands;
mod comparison;
mod failure;
mod heat;
mod interrupt;
mod output;
mod progress;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Arguments;
use crate::output::Talk;

/// The exit code of a run that was stopped by Ctrl-C.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    say_that_a_panic_is_a_bug();
    let arguments = Arguments::parse();
    let talk = Talk::new(arguments.quiet);
    // Asked for here, so that a wrong choice is refused by every command alike.
    let done = hinet_train::instructions().map_err(Into::into).and_then(|_| commands::run(arguments.command, talk));
    match done {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}

fn say_that_a_panic_is_a_bug() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        Talk::new(false).say(format!(
            "This is a bug in hinet {}, not in what you did. Please report the lines above with the command and, if you can, \
             the config and a few rows of the data.",
            env!("CARGO_PKG_VERSION")
        ));
    }));
}
