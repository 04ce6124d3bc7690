//! Tests of the public API.

mod experiment;
