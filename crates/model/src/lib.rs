//! Models of `hinet`: layers in two slots, embeddings, loss, artefact and inference plan.

mod artefact;
mod config;
mod embedding;
mod error;
mod loss;
mod model;
mod network;
mod plan;
mod scenario;
mod task;
pub mod zoo;

pub use artefact::{Artefact, FORMAT_VERSION, FileRecord, Manifest, OLDEST_FORMAT_VERSION};
pub use config::{InputNorm, ModelConfig};
pub use embedding::{EmbeddingConfig, Embeddings, SparseOptimiser, SparseOptimiserConfig, SparseOptimiserKind};
pub use error::ModelError;
pub use loss::{CellLosses, LossInputs, row_weights};
pub use model::Model;
pub use network::{Form, Network, Objective, Output};
pub use plan::{Plan, PlanWorkspace};
pub use scenario::{ConcatOrder, HinetConfig, IdentityConfig, ScenarioLayerConfig};
pub use task::{CgcConfig, CgcGate, ProductConfig, TaskLayerConfig, TaskScope, TowerConfig};
