//! Second slot: layers that turn what is known of a row into a probability per task.

mod aesm2;
mod aitm;
mod cgc;
mod cross_stitch;
mod dbmtl;
mod esmm;
mod funnel;
mod heads;
mod hmoe;
mod linear;
mod m2m;
mod m3oe;
mod mmoe;
mod ppnet;
mod snr;
mod star;
mod tower;

use hinet_data::Layout;
use hinet_tape::Value;

pub use aesm2::Aesm2TaskConfig;
pub use aitm::AitmConfig;
pub use cgc::{CgcConfig, CgcGate};
pub use cross_stitch::CrossStitchConfig;
pub use dbmtl::{DbmtlConfig, DependsConfig};
pub use esmm::{Counterfactual, EsmmConfig};
pub use heads::{ProductConfig, TaskScope};
pub use hmoe::{HmoeConfig, Mix};
pub use linear::LinearConfig;
pub use m2m::M2mConfig;
pub use m3oe::M3oeConfig;
pub use mmoe::{Gates, MmoeConfig};
pub use ppnet::PpnetConfig;
pub use snr::{SnrConfig, SnrRouting};
pub use star::StarConfig;
pub use tower::TowerConfig;

use crate::config::slot;
use crate::error::ModelError;
use crate::network::{Auxiliary, Output, Recorder};

slot! {
    /// The task layer: `[batch, scenario width]` to a probability per task.
    TaskLayerConfig, default Cgc {
        /// Customised gate control: experts of each task beside shared ones, and a gate per task; towers on top.
        Cgc(CgcConfig) = "cgc",
        /// A tower per task, over a bottom that they share or nothing.
        Tower(TowerConfig) = "tower",
        /// Experts that all tasks share, and a gate per task or one for all; towers on top.
        Mmoe(MmoeConfig) = "mmoe",
        /// Shared experts, and each score a mixture of the scores by the towers of all scenarios.
        Hmoe(HmoeConfig) = "hmoe",
        /// A network per scenario that is the product of its own weights and shared ones (STAR).
        Star(StarConfig) = "star",
        /// A tower per task whose layers are gated by who is asked about what (PEPNet).
        Ppnet(PpnetConfig) = "ppnet",
        /// Shared experts, weighed and read by layers whose weights are made for the scenario (M2M).
        M2m(M2mConfig) = "m2m",
        /// Shared experts beside one for each scenario and one for each task, which learn how much to take from one another (M3oE).
        M3oe(M3oeConfig) = "m3oe",
        /// Selects, for each row and task, experts that are specific to the task and experts that are shared (AESM2).
        Aesm2(Aesm2TaskConfig) = "aesm2",
        /// A tower per step of a funnel, and the probability of coming so far as their product (ESMM, ESCM2).
        Esmm(EsmmConfig) = "esmm",
        /// Towers along a funnel, each of which hands on to the next (AITM).
        Aitm(AitmConfig) = "aitm",
        /// A column of layers per task, mixed with the others after each layer.
        CrossStitch(CrossStitchConfig) = "cross_stitch",
        /// Towers, and networks by which a task reads the tasks that it depends on (DBMTL).
        Dbmtl(DbmtlConfig) = "dbmtl",
        /// Levels of sub-networks, with a gate on every connection that training opens or closes (SNR).
        Snr(SnrConfig) = "snr",
        /// First-order terms alone: logistic regression.
        Linear(LinearConfig) = "linear",
    }
}

/// What a task layer makes.
pub(crate) struct TaskOutput {
    /// `[batch, columns]`; see [`Form`](crate::Form) for the columns.
    pub(crate) output: Output,
    /// The same as probabilities.
    pub(crate) scores: Value,
    /// What it adds to the loss.
    pub(crate) auxiliary: Vec<Auxiliary>,
}

impl TaskLayerConfig {
    pub(crate) fn check(&self, layout: &Layout) -> Result<(), ModelError> {
        match self {
            TaskLayerConfig::Cgc(config) => config.check(layout),
            TaskLayerConfig::Tower(config) => config.check(layout),
            TaskLayerConfig::Mmoe(config) => config.check(layout),
            TaskLayerConfig::Hmoe(config) => config.check(layout),
            TaskLayerConfig::Star(config) => config.check(layout),
            TaskLayerConfig::Ppnet(config) => config.check(layout),
            TaskLayerConfig::M2m(config) => config.check(layout),
            TaskLayerConfig::M3oe(config) => config.check(layout),
            TaskLayerConfig::Aesm2(config) => config.check(layout),
            TaskLayerConfig::Esmm(config) => config.check(layout),
            TaskLayerConfig::Aitm(config) => config.check(layout),
            TaskLayerConfig::CrossStitch(config) => config.check(layout),
            TaskLayerConfig::Dbmtl(config) => config.check(layout),
            TaskLayerConfig::Snr(config) => config.check(layout),
            TaskLayerConfig::Linear(config) => config.check(layout),
        }
    }

    /// Whether each scenario has heads of its own.
    #[must_use]
    pub fn has_heads_per_scenario(&self) -> bool {
        let scope = match self {
            TaskLayerConfig::Cgc(config) => config.task_scope,
            TaskLayerConfig::Tower(config) => config.task_scope,
            TaskLayerConfig::Mmoe(config) => config.task_scope,
            TaskLayerConfig::Ppnet(config) => config.task_scope,
            TaskLayerConfig::Hmoe(_) | TaskLayerConfig::Star(_) => TaskScope::ScenarioTask,
            TaskLayerConfig::Esmm(config) => config.task_scope,
            TaskLayerConfig::Aitm(config) => config.task_scope,
            TaskLayerConfig::CrossStitch(config) => config.task_scope,
            TaskLayerConfig::Dbmtl(config) => config.task_scope,
            TaskLayerConfig::Snr(config) => config.task_scope,
            TaskLayerConfig::M3oe(_) => TaskScope::ScenarioTask,
            TaskLayerConfig::M2m(_) | TaskLayerConfig::Aesm2(_) | TaskLayerConfig::Linear(_) => TaskScope::Task,
        };
        scope != TaskScope::Task
    }

    /// Whether it reads the scenario layer. If not, it reads first-order terms, `[batch, tasks]`, in its place.
    pub(crate) fn reads_layers(&self) -> bool {
        !matches!(self, TaskLayerConfig::Linear(_))
    }

    /// Whether it can read an input of its own for each task: towers without anything below them.
    pub(crate) fn reads_per_task(&self) -> bool {
        match self {
            TaskLayerConfig::Tower(config) => config.bottom_units.is_empty(),
            TaskLayerConfig::Linear(_) => true,
            TaskLayerConfig::Cgc(_)
            | TaskLayerConfig::Mmoe(_)
            | TaskLayerConfig::Hmoe(_)
            | TaskLayerConfig::Star(_)
            | TaskLayerConfig::Ppnet(_)
            | TaskLayerConfig::M2m(_)
            | TaskLayerConfig::M3oe(_)
            | TaskLayerConfig::Aesm2(_)
            | TaskLayerConfig::Esmm(_)
            | TaskLayerConfig::Aitm(_)
            | TaskLayerConfig::CrossStitch(_)
            | TaskLayerConfig::Dbmtl(_)
            | TaskLayerConfig::Snr(_) => false,
        }
    }

    /// Records the layer.
    ///
    /// # Shapes
    /// - `input`: `[batch, scenario width]`
    /// - returns: `[batch, columns]`; see [`Form`](crate::Form)
    pub(crate) fn record(&self, recorder: &mut Recorder<'_>, input: Value) -> TaskOutput {
        match self {
            TaskLayerConfig::Cgc(config) => cgc::record(config, recorder, input),
            TaskLayerConfig::Tower(config) => tower::record(config, recorder, input),
            TaskLayerConfig::Mmoe(config) => mmoe::record(config, recorder, input),
            TaskLayerConfig::Hmoe(config) => hmoe::record(config, recorder, input),
            TaskLayerConfig::Star(config) => star::record(config, recorder, input),
            TaskLayerConfig::Ppnet(config) => ppnet::record(config, recorder, input),
            TaskLayerConfig::M2m(config) => m2m::record(config, recorder, input),
            TaskLayerConfig::M3oe(config) => m3oe::record(config, recorder, input),
            TaskLayerConfig::Aesm2(config) => aesm2::record(config, recorder, input),
            TaskLayerConfig::Esmm(config) => esmm::record(config, recorder, input),
            TaskLayerConfig::Aitm(config) => aitm::record(config, recorder, input),
            TaskLayerConfig::CrossStitch(config) => cross_stitch::record(config, recorder, input),
            TaskLayerConfig::Dbmtl(config) => dbmtl::record(config, recorder, input),
            TaskLayerConfig::Snr(config) => snr::record(config, recorder, input),
            TaskLayerConfig::Linear(config) => linear::record(config, recorder, input),
        }
    }
}
