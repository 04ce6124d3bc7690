//! Tests of the public API.

mod calibrate;
mod check;
mod documents;
mod experiment;
mod fit;
mod inspect;
mod report;
mod score;
mod shop;
mod tables;
mod weighting;
