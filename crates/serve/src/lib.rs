//! Serving models of `hinet`: HTTP and gRPC on one port, from raw feature values to scores.
//!
//! # How a request goes
//!
//! | step | what happens | where |
//! | --- | --- | --- |
//! | connection | accepted, decrypted, bounded in number | `server`, `tls` |
//! | admission | token, deadline, counting, logging | `http`, `auth`, `log` |
//! | body | taken in within bounds, unpacked | `http/body` |
//! | form | tensors, rows or columns become cells | `oip`, `tensor`, `grpc`, `http/predict`, `http/rank` |
//! | version | the one that is named, or one by the request's key | `repository` |
//! | encoding | the artefact's own encoder; refusals name row, column and value | `version` |
//! | queue | bounded; refused at once when full | `queue` |
//! | scoring | with what else waits for the same version, on threads of its own | `queue`, `version` |
//! | explanation | weights of gates, for the page at `/` | `http/rank`, `page` |
//! | answer | back in the order and the form of the request | as the form |
//!
//! This crate never sees training: it depends on `hinet-data` and `hinet-model` alone.

mod app;
mod auth;
mod config;
mod error;
mod grpc;
mod http;
mod log;
mod metrics;
mod object;
mod oip;
mod page;
mod queue;
mod refusal;
mod repository;
mod server;
mod statistics;
mod tensor;
mod tls;
mod user_plans;
mod version;

pub use config::{
    BatchingConfig, LimitsConfig, LogConfig, SERVE_CONFIG_VERSION, ServeConfig, ServedModel, ServedVersion,
    ShutdownConfig, TlsConfig,
};
pub use error::ServeError;
pub use server::{Server, router};
