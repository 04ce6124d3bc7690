//! Tests of the public interface.

#[path = "../oracle/mod.rs"]
mod oracle;

mod agreement;
mod artefact;
mod calibration;
mod cases;
mod conformance;
mod documents;
mod embedding;
mod export;
mod fixture;
mod golden;
mod grow;
mod harness;
mod owners;
mod plan;
mod related;
mod requests;
mod sequences;
mod told;

#[path = "../../../../tests/support/skip.rs"]
mod skip;
