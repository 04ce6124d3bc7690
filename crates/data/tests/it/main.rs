//! The crate through its public interface.

mod cache;
mod convert;
mod encoder;
mod expression;
mod guess;
#[path = "../../../../tests/support/published.rs"]
mod published;
mod request;
#[path = "../../../../tests/support/skip.rs"]
mod skip;
mod source;
mod split;
mod stream;
mod synth;
