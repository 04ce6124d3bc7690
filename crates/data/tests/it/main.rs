//! The crate through its public interface.

mod cache;
mod encoder;
mod expression;
mod guess;
mod request;
#[path = "../../../../tests/support/skip.rs"]
mod skip;
mod source;
mod split;
mod stream;
mod synth;
