//! `POST /rank`: a user, items, and their scores, for people and their programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hinet_data::{Expression, Rows, first_elements};
use hinet_model::GateWeights;
use serde::de::IgnoredAny;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::respond::scores;
use crate::app::{Answer, App};
use crate::object;
use crate::refusal::{Refusal, RefusalKind};
use crate::repository::{Served, score_expression};
use crate::version::Version;

/// What an item is called; never a feature.
const ID: &str = "id";
/// Items that are explained at once, at most: that takes longer than to score them.
const EXPLAINED: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RankBody<'a> {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(borrow, default)]
    scenario: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    items: &'a RawValue,
    /// An expression over tasks.
    #[serde(default)]
    score: Option<String>,
    /// So many items of the highest score, the highest first.
    #[serde(default)]
    top_k: Option<usize>,
}

#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct RankAnswer<'a> {
    model: &'a str,
    version: &'a str,
    items: Vec<RankedItem<'a>>,
}

#[derive(Serialize)]
struct RankedItem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    scores: TaskScores<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<Option<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gates: Option<Vec<GateWeights>>,
}

/// The scores of a row by task.
struct TaskScores<'a> {
    tasks: &'a [String],
    scores: &'a [f32],
}

impl Serialize for TaskScores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.tasks.len()))?;
        for (task, score) in self.tasks.iter().zip(self.scores) {
            map.serialize_entry(task, score)?;
        }
        map.end()
    }
}

pub(crate) async fn rank(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    respond(&app, &headers, body, false).await
}

/// Answers as `/rank` does, in the order of the items, with what the model weighed for each of them.
pub(crate) async fn explain(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    respond(&app, &headers, body, true).await
}

async fn respond(app: &Arc<App>, headers: &HeaderMap, body: Body, explains: bool) -> Result<Response, Refusal> {
    let asked = app.asked(headers)?;
    let taken = app.take(headers, body).await?;
    // One more than may be scored, so that they are seen to be too many.
    let most = app.config.limits.rows.saturating_add(1);
    let (mut body, items) = taken.read(|bytes| RankBody::parse(bytes, most))?;
    if explains {
        check_explainable(items.len())?;
        body.top_k = None;
    }
    let served = app.repository.model(body.model.as_deref())?;
    let version = served.choose(body.version.as_deref(), asked.key.as_deref())?;
    let expression = body.expression(&served, version)?;
    let ids = ids(&items)?;
    let mut encoded = app.encode(version, taken.read(|_| body.rows(version, &items))?).await?;
    encoded.share(version, || body.common(version));
    let explained = explains.then(|| version.explain(&encoded.batch));
    let answer = app.score_encoded(&served, version, encoded, &asked).await?;
    let combined = expression.map(|expression| combine(&expression, &answer)).transpose()?;
    let mut ranked = body.answer(&answer, &ids, combined.as_deref());
    for (item, explained) in ranked.items.iter_mut().zip(explained.into_iter().flatten()) {
        item.gates = Some(explained.gates);
    }
    Ok(scores(&ranked, &answer))
}

impl<'a> RankBody<'a> {
    /// A request and its items, `most` of them at most.
    fn parse(bytes: &'a [u8], most: usize) -> Result<(RankBody<'a>, Vec<&'a RawValue>), Refusal> {
        let body: RankBody<'a> = object::read(bytes, "request to rank")?;
        let items = first_elements(body.items.get(), most).map_err(|error| Refusal::bad(format!("items: {error}")))?;
        if body.top_k == Some(0) {
            return Err(Refusal::bad("`top_k` is 0, expected 1 or more"));
        }
        Ok((body, items))
    }

    /// What the score of an item is made of; without it, items have the scores of their tasks alone.
    fn expression(&self, served: &Served, version: &Version) -> Result<Option<Expression>, Refusal> {
        let expression = match &self.score {
            Some(text) => {
                let expression = score_expression(text, &version.tasks);
                Some(expression.map_err(|problem| Refusal::bad(format!("`score`: {problem}")))?)
            }
            None => served.score.clone(),
        };
        // With one task there is no doubt by what to choose the best.
        match (expression, self.top_k, version.tasks.as_slice()) {
            (None, Some(_), [task]) => Ok(Some(Expression::column(task))),
            (None, Some(_), tasks) => {
                let tasks = tasks.join(", ");
                Err(Refusal::bad(format!(
                    "`top_k` needs a `score`: an expression over the tasks {tasks}, such as `{}`",
                    version.tasks[0]
                )))
            }
            (expression, _, _) => Ok(expression),
        }
    }

    fn rows(&self, version: &Version, items: &[&RawValue]) -> Result<Rows, Refusal> {
        let scenario = self.scenario.map(|value| {
            let column = serde_json::to_string(&version.inputs()[0].name).expect("a text is JSON");
            format!("{{{column}:{value}}}")
        });
        let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
        let mut common = Vec::new();
        common.extend(scenario.as_deref().map(|scenario| ("scenario", scenario)));
        common.extend(self.user.map(|user| ("user", user.get())));
        Ok(version.columns.of_objects("items", &common, &items, &[ID])?)
    }

    /// The columns that have one value for all items: the scenario's, and those of the user.
    fn common(&self, version: &Version) -> Vec<String> {
        let mut common: Vec<String> = self.scenario.map(|_| version.inputs()[0].name.clone()).into_iter().collect();
        let user =
            self.user.and_then(|user| serde_json::from_str::<BTreeMap<String, Option<IgnoredAny>>>(user.get()).ok());
        // What is null for the user may stand in the items.
        common.extend(user.into_iter().flatten().filter(|(_, value)| value.is_some()).map(|(name, _)| name));
        common
    }

    fn answer<'s>(
        &'s self,
        answer: &'s Answer,
        ids: &[Option<&'s RawValue>],
        combined: Option<&[Option<f64>]>,
    ) -> RankAnswer<'s> {
        let tasks = &answer.version.tasks;
        let item = |row: usize| RankedItem {
            id: ids[row],
            scores: TaskScores { tasks, scores: &answer.scored.scores[row * tasks.len()..][..tasks.len()] },
            score: combined.map(|combined| combined[row]),
            gates: None,
        };
        let mut rows: Vec<usize> = (0..answer.rows).collect();
        if let (Some(k), Some(combined)) = (self.top_k, combined) {
            // Items without a score come last; equal ones keep their order.
            let key = |row: usize| combined[row].unwrap_or(f64::NEG_INFINITY);
            rows.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
            rows.truncate(k);
        }
        let version = &answer.version;
        RankAnswer { model: &version.model, version: &version.version, items: rows.into_iter().map(item).collect() }
    }
}

fn check_explainable(items: usize) -> Result<(), Refusal> {
    if items <= EXPLAINED {
        return Ok(());
    }
    let problem = format!("{items} items, at most {EXPLAINED} are explained at once");
    Err(Refusal::new(RefusalKind::TooLarge, problem))
}

fn ids<'a>(items: &[&'a RawValue]) -> Result<Vec<Option<&'a RawValue>>, Refusal> {
    let id = |(row, item): (usize, &&'a RawValue)| {
        let item: Result<Identified<'a>, _> = serde_json::from_str(item.get());
        item.map(|item| item.id).map_err(|error| Refusal::bad(format!("items, row {}: {error}", row + 1)))
    };
    items.iter().enumerate().map(id).collect()
}

/// The combined score of each row; nothing where the expression has no value, such as 0 / 0.
fn combine(expression: &Expression, answer: &Answer) -> Result<Vec<Option<f64>>, Refusal> {
    let tasks = &answer.version.tasks;
    let column = |task: usize| -> ArrayRef {
        let rows = answer.scored.scores.chunks_exact(tasks.len());
        Arc::new(Float64Array::from_iter_values(rows.map(|row| f64::from(row[task]))))
    };
    let fields: Vec<Field> = tasks.iter().map(|task| Field::new(task, DataType::Float64, false)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..tasks.len()).map(column).collect());
    let batch = batch.map_err(|error| Refusal::bad(error.to_string()))?;
    let values = expression.eval(&Rows::new(std::path::Path::new("score").into(), 1, batch))?;
    Ok(values.iter().map(|value| value.filter(|value| value.is_finite())).collect())
}
