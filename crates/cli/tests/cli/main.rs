//! The real program, run in folders of its own.

mod broken_input;
mod browser;
mod calibrate;
mod commands;
mod compare;
mod export;
mod help;
mod place;
mod same_bits;
mod serve;
mod serving;
mod tune;

#[path = "../../../../tests/support/skip.rs"]
mod skip;
