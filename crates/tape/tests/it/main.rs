//! Tests of the public interface: every operator against plain loops, gradients against differences.

#[path = "../oracle/mod.rs"]
mod oracle;

mod cases;
mod evaluator;
mod harness;
mod instructions;
mod operators;
mod optimisers;
mod requests;
mod stacks;
