//! Tests of the public API.

mod calibrate;
mod cells;
mod check;
mod documents;
mod experiment;
mod fit;
mod inspect;
mod report;
mod score;
mod shop;
mod tables;
mod warm_start;
mod weighting;
