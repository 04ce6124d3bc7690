//! Tests of the public API.

mod documents;
mod experiment;
mod fit;
mod score;
mod shop;
