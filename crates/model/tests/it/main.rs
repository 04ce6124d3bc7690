//! Tests of the public interface.

#[path = "../oracle/mod.rs"]
mod oracle;

mod agreement;
mod cases;
mod conformance;
mod golden;
mod harness;
