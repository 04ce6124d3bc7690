//! The crate through its public interface.

mod encoder;
mod stream;
mod synth;
