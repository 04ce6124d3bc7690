//! Tests of the public API.

mod documents;
mod experiment;
