//! Tests of the public API.

mod check;
mod documents;
mod experiment;
mod fit;
mod score;
mod shop;
