//! One version of a model, ready to score.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use hinet_data::{Batch, EncodeCounts, Encoder, InputColumn, Layout, Need, RequestColumns, Rows, Seed, Slot};
use hinet_model::{
    Artefact, Explainer, Manifest, Model, Plan, PlanWorkspace, RequestPlan, RowExplanation, synthetic_rows,
};

use crate::ServeError;
use crate::metrics::{Metrics, VersionMeters};
use crate::refusal::Refusal;
use crate::statistics::{Statistics, StatisticsLine};
use crate::user_plans::UserPlans;

/// Row of a table that belongs to its most frequent value.
const FIRST_VALUE: u32 = 2;
/// Values shown of each column.
const EXAMPLES: u32 = 3;

/// A version of a model. Scoring does not change it: threads share one.
#[derive(Debug)]
pub(crate) struct Version {
    /// The model's name in requests.
    pub(crate) model: String,
    /// The version's name.
    pub(crate) version: String,
    pub(crate) columns: RequestColumns,
    pub(crate) tasks: Vec<String>,
    pub(crate) scenarios: Vec<String>,
    pub(crate) meters: VersionMeters,
    pub(crate) counted: Statistics,
    encoder: Arc<Encoder>,
    /// The model itself, whose tables the plans share.
    weights: Arc<Model>,
    plan: Plan<'static>,
    user_plans: UserPlans,
    /// Made when it is first asked for.
    explainer: OnceLock<Explainer>,
    groups: usize,
}

impl Version {
    /// Reads an artefact and tries it.
    pub(crate) fn load(
        model: Option<&str>,
        version: &str,
        path: &Path,
        metrics: &Metrics,
    ) -> Result<Version, ServeError> {
        let folder = artefact_folder(path).ok_or_else(|| ServeError::NoArtefact { path: path.to_owned() })?;
        let Artefact { manifest, encoder, model: weights, examples } = Artefact::load(&folder)?;
        let weights = Arc::new(weights);
        let name = model.map_or(manifest.name, str::to_owned);
        let layout = &manifest.layout;
        let version = Version {
            meters: metrics.version(&name, version, layout),
            counted: Statistics::default(),
            model: name,
            version: version.to_owned(),
            columns: RequestColumns::new(&encoder),
            tasks: layout.tasks.iter().map(|task| task.name.clone()).collect(),
            groups: layout.groups(),
            encoder,
            scenarios: layout.scenarios.clone(),
            plan: Plan::sharing(&weights),
            user_plans: UserPlans::default(),
            explainer: OnceLock::new(),
            weights,
        };
        let tried = version
            .try_out(layout)
            .and_then(|()| examples.check(&version.encoder, &version.plan).map_err(|problem| problem.to_string()));
        tried.map_err(|problem| ServeError::SelfTest { path: folder, problem })?;
        Ok(version)
    }

    /// The name that the artefact at a path gives its model.
    pub(crate) fn name_of(path: &Path) -> Result<String, ServeError> {
        let folder = artefact_folder(path).ok_or_else(|| ServeError::NoArtefact { path: path.to_owned() })?;
        Ok(Manifest::read(&hinet_data::find_folder(&folder).join("manifest.json"))?.name)
    }

    /// The columns that are read, the scenario's first.
    pub(crate) fn inputs(&self) -> &[InputColumn] {
        self.columns.inputs()
    }

    /// How often it scored, and for how long.
    pub(crate) fn statistics(&self) -> StatisticsLine {
        self.counted.line(&self.model, &self.version)
    }

    /// Rows as the model reads them.
    pub(crate) fn encode(&self, rows: &Rows) -> Result<Batch, Refusal> {
        let mut counts = EncodeCounts::default();
        let batch = self.encoder.encode(rows, Need::Features, &mut counts)?;
        self.meters.encoded(&counts);
        Ok(batch)
    }

    /// The plan by which rows that have these columns in common can be scored, if one is there by now.
    pub(crate) fn user_plan(
        self: &Arc<Version>,
        is_common: impl Fn(&str) -> bool,
    ) -> Option<Arc<RequestPlan<'static>>> {
        let features = self.encoder.features_of(is_common);
        self.user_plans.get(&features, || {
            let (version, features) =
                (Arc::clone(self), features.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
            tokio::task::spawn_blocking(move || version.user_plans.make(&version.weights, &features));
        })
    }

    /// Scores rows: probabilities, `[rows, tasks]`, in the order of the batch; by the plan for the features that they have
    /// in common, where there is one.
    pub(crate) fn score(
        &self,
        workspace: &mut PlanWorkspace,
        batch: &Batch,
        user_plan: Option<&RequestPlan<'static>>,
    ) -> Vec<f32> {
        let batch = batch.grouped(self.groups);
        let mut grouped = Vec::new();
        match user_plan {
            Some(plan) => {
                plan.score(workspace, &batch.take(&[0]), &batch, &mut grouped);
                self.meters.user_once(batch.rows);
            }
            None => self.plan.score(workspace, &batch, &mut grouped),
        }
        self.meters.scored(&batch, &grouped);
        batch.ungrouped(&grouped)
    }

    /// What the model weighs for each row, in the order of the batch.
    pub(crate) fn explain(&self, batch: &Batch) -> Vec<RowExplanation> {
        self.explainer.get_or_init(|| Explainer::new(&self.weights)).explain(self.plan.embeddings(), batch)
    }

    /// A few values of a column that train had often, where its table knows them.
    pub(crate) fn examples(&self, column: &str) -> Vec<String> {
        let layout = self.encoder.layout();
        let slot = layout.slots.iter().find(|slot| slot.feature() == column);
        let Some(table) = slot.and_then(Slot::table) else { return Vec::new() };
        (FIRST_VALUE..FIRST_VALUE + EXAMPLES).filter_map(|row| self.encoder.value(table, row)).collect()
    }

    /// Counts how far these scores, `[rows, tasks]`, are from those of another version for the same rows, task by task.
    pub(crate) fn compare(&self, scores: &[f32], other_tasks: &[String], others: &[f32]) {
        for (task, name) in self.tasks.iter().enumerate() {
            let Some(other) = other_tasks.iter().position(|other| other == name) else { continue };
            let rows = scores.chunks_exact(self.tasks.len()).zip(others.chunks_exact(other_tasks.len()));
            rows.for_each(|(mine, theirs)| self.meters.shadowed(task, mine[task] - theirs[other]));
        }
    }

    /// Scores a row of each scenario, drawn from the layout.
    fn try_out(&self, layout: &Layout) -> Result<(), String> {
        let rows = synthetic_rows(layout, &self.encoder.weighted(), self.groups, Seed(0));
        let batch = rows.grouped(self.groups);
        let mut scores = Vec::new();
        self.plan.score(&mut PlanWorkspace::default(), &batch, &mut scores);
        match scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
            None => Ok(()),
            Some(at) => {
                let (row, task) = (at / self.tasks.len(), at % self.tasks.len());
                let scenario = layout.scenarios.get(usize::from(batch.scenario[row])).map_or("unknown", String::as_str);
                let (task, score) = (&self.tasks[task], scores[at]);
                Err(format!("scenario `{scenario}`, task `{task}`: scored {score}, expected a number from 0 to 1"))
            }
        }
    }
}

/// The artefact of a run folder, or the folder itself.
pub(crate) fn artefact_folder(path: &Path) -> Option<PathBuf> {
    let holds = |folder: &Path| hinet_data::find_folder(folder).join("manifest.json").is_file();
    [path.to_owned(), path.join("model")].into_iter().find(|folder| holds(folder))
}
