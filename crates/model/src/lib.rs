//! Models of `hinet`: layers in two slots, embeddings, loss, artefact and inference plan.
//!
//! # Overview
//!
//! A model is a [`ModelConfig`]: a [`ScenarioLayerConfig`] and a [`TaskLayerConfig`], any of one with any of the other.
//! [`Network::record`] turns it into operators over named parameters, once for each [`Form`]:
//!
//! ```text
//! dense input [batch, width] -> norm -> scenario layer [batch, scenario width] -> task layer [batch, tasks]
//! ```
//!
//! | form | scenario layer | task layer | for |
//! | --- | --- | --- | --- |
//! | [`Form::Own`] | of the row's own scenario | heads of its own scenario | training and inference |
//! | [`Form::Every`] | of the row's own scenario | every head | training with `mask_loss = false` |
//! | [`Form::Mean`] | mean over scenarios | mean of all heads' probabilities | rows of an unknown scenario |
//!
//! All forms ask for the same parameters. [`LossInputs`] turns a batch's labels and weights into the inputs of the loss.
//!
//! A layer is one file in `scenario/` or `task/` and one variant of its slot. It is written once, and knows its widths
//! and counts from the [`Layout`](hinet_data::Layout) alone; parameters say who owns them by their
//! [`Scope`](hinet_tape::Scope). `tests/oracle` computes each layer again in plain loops, and `tests/it/conformance.rs`
//! holds every pairing of kinds to what a layer must keep.
//!
//! # Example
//!
//! ```
//! use hinet_data::{Layout, Slot, TaskSpec, UnknownScenario};
//! use hinet_model::{Form, Network, zoo};
//! use hinet_tape::{Evaluator, Feed, Params, Workspace};
//!
//! let layout = Layout {
//!     sequences: Vec::new(),
//!     tables: Vec::new(),
//!     slots: vec![Slot::Dense { feature: "numbers".into(), width: 3 }],
//!     scenarios: vec!["home".into(), "search".into()],
//!     scenario_rows: vec![300, 100],
//!     tasks: vec![TaskSpec::new("click")],
//!     unknown: UnknownScenario::Error,
//! };
//! let options = serde_json::json!({ "preset": "hinet", "sub_experts": 2, "units": [16, 8] });
//! let config = zoo::expand(options.as_object().expect("it is written as one"))?;
//! let network = Network::record(&layout, &config, Form::Own)?;
//!
//! // Two rows of `home` and one of `search`, by a model that has learnt nothing yet.
//! let params = Params::new(network.graph.params(), |name| name.len() as u64);
//! let evaluator = Evaluator::new(network.graph, params, &[network.scores]);
//! let x = [0.1, 0.2, 0.3, -0.1, 0.0, 0.5, 0.1, 0.2, 0.3];
//! let mut workspace = Workspace::default();
//! evaluator.run(&mut workspace, &Feed { rows: 3, offsets: &[0, 2, 3], inputs: &[&x], indices: &[] });
//! let scores = evaluator.value(&workspace, network.scores);
//! assert!(scores.iter().all(|p| (0.0..1.0).contains(p)));
//! assert_ne!(scores[0], scores[2], "the same row in another scenario");
//! # Ok::<(), hinet_model::ModelError>(())
//! ```

mod artefact;
mod calibration;
mod config;
mod embedding;
mod error;
mod explain;
mod export;
mod grow;
mod loss;
pub mod mixtures;
mod model;
mod network;
mod plan;
mod prune;
mod scenario;
mod task;
pub mod zoo;

pub use artefact::{Artefact, ExampleRow, Examples, FORMAT_VERSION, FileRecord, Manifest, OLDEST_FORMAT_VERSION};
pub use calibration::{CalibratedCell, Calibration, CalibrationMethod, Curve, FittedOn, MAX_KNOTS, logit};
pub use config::{InputNorm, ModelConfig};
pub use embedding::{
    EmbeddingConfig, Embeddings, SparseOptimiser, SparseOptimiserConfig, SparseOptimiserKind, TableProducts, Tables,
};
pub use error::ModelError;
pub use explain::{Explainer, GateWeights, RowExplanation, Weight};
pub use export::{
    ExportFormat, ExportSource, Exported, InputNames, OnnxForm, PARITY_TOLERANCE, SCENARIO, SlotNames, export,
    synthetic_rows,
};
pub use grow::Origin;
pub use loss::{CellLosses, LossInputs, row_weights};
pub use model::Model;
pub use network::{AttentionConfig, CrossConfig, Form, Network, Objective, Output};
pub use plan::{Plan, PlanWorkspace, RequestPlan};
pub use prune::{PrunedScenario, Pruning};
pub use scenario::{
    AdasparseConfig, Aesm2ScenarioConfig, ApgCondition, ApgConfig, Backbone, ConcatOrder, EpnetConfig, HamurConfig,
    HinetConfig, IdentityConfig, PartitionedNormConfig, Pruner, SanGate, SanQuery, SarnetConfig, ScenarioLayerConfig,
    StarTransformConfig,
};
pub use task::{
    Aesm2TaskConfig, AitmConfig, CgcConfig, CgcGate, Counterfactual, CrossStitchConfig, DbmtlConfig, DependsConfig,
    EsmmConfig, Gates, HmoeConfig, LinearConfig, M2mConfig, M3oeConfig, Mix, MmoeConfig, PpnetConfig, ProductConfig,
    SnrConfig, SnrRouting, StarConfig, TaskLayerConfig, TaskScope, TowerConfig,
};
