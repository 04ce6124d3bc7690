//! The real program, run in folders of its own.

mod broken_input;
mod browser;
mod calibrate;
mod commands;
mod compare;
mod convert;
mod export;
mod help;
mod place;
#[path = "../../../../tests/support/published.rs"]
mod published;
mod same_bits;
mod serve;
mod serving;
mod tune;

#[path = "../../../../tests/support/skip.rs"]
mod skip;
