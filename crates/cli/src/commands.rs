//! One file per command; what several need stands here.

mod calibrate;
mod check;
mod compare;
mod convert;
mod demo;
mod encode;
mod evaluate;
mod export;
mod init;
mod inspect;
mod man;
mod predict;
mod serve;
mod synth;
mod train;
mod tune;

use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Arguments, Command, SchemaOf};
use crate::output::{Talk, print};

/// Runs a command; the exit code is 0 unless the command has another opinion.
pub(crate) fn run(command: Command, talk: Talk) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Demo(arguments) => return demo::run(&arguments, talk),
        Command::Train(arguments) => return train::run(&arguments, talk),
        Command::Compare(arguments) => return compare::run(&arguments, talk),
        Command::Tune(arguments) => return tune::run(&arguments, talk),
        Command::Init(arguments) => init::run(&arguments, talk),
        Command::Check(arguments) => check::run(&arguments, talk),
        Command::Evaluate(arguments) => evaluate::run(&arguments, talk),
        Command::Predict(arguments) => predict::run(&arguments, talk),
        Command::Export(arguments) => export::run(&arguments, talk),
        Command::Encode(arguments) => encode::run(&arguments, talk),
        Command::Calibrate(arguments) => calibrate::run(&arguments, talk),
        Command::Inspect(arguments) => inspect::run(&arguments, talk),
        Command::Synth(arguments) => synth::run(&arguments, talk),
        Command::Convert(arguments) => convert::run(&arguments, talk),
        Command::Serve(arguments) => serve::run(&arguments, talk),
        Command::Schema(arguments) => print_schema(arguments.of),
        Command::Completions(arguments) => print(&completions(arguments.shell)),
        Command::Man(arguments) => man::run(&arguments, talk),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn print_schema(of: SchemaOf) -> anyhow::Result<()> {
    let schema = match of {
        SchemaOf::Config => hinet_train::json_schema(),
        SchemaOf::Serve => hinet_train::schema_of::<hinet_serve::ServeConfig>(),
    };
    print(&serde_json::to_string_pretty(&schema)?)
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "hinet", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
