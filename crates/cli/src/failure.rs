//! Errors as the user sees them, and the exit code each stands for.

use std::io;
use std::process::ExitCode;

use hinet_data::DataError;
use hinet_model::ModelError;
use hinet_serve::ServeError;
use hinet_train::{ExperimentError, InstructionsError, TrainError};

use crate::output::Talk;

/// Something wrong with how the program was called: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error of usage with this message.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// A failure with this message: exit code 1.
pub(crate) fn failed(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::msg(message.into())
}

/// Says what went wrong and returns the exit code for it. A reader of our output that went away is no failure.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    Talk::new(false).say(format_args!("error: {}", message(error)));
    ExitCode::from(if is_usage(error) { 2 } else { 1 })
}

/// What went wrong and why; a cause whose words were said is not said again.
fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for said in error.chain().map(ToString::to_string).filter(|said| !said.is_empty()) {
        if !text.contains(&said) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&said);
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<ExperimentError>()
            || cause.is::<InstructionsError>()
            || cause.downcast_ref::<DataError>().is_some_and(DataError::is_usage)
            || cause.downcast_ref::<ModelError>().is_some_and(ModelError::is_usage)
            || cause.downcast_ref::<TrainError>().is_some_and(TrainError::is_usage)
            || cause.downcast_ref::<ServeError>().is_some_and(ServeError::is_usage)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = io::Error::other("disk full");
        let error = anyhow::Error::new(cause).context("out.csv: disk full").context("writing scores");
        assert_eq!(message(&error), "writing scores: out.csv: disk full");
        assert!(!is_usage(&error) && is_usage(&usage("no such option")));
    }
}
