//! An encoder that knows more: for a model that goes on from another one.

use super::Encoder;
use super::feature::{Feature, Ids, Rule};
use super::json::{MAX_SCENARIOS, Scenario};
use super::number::Scale;
use super::vocabulary::Vocabulary;
use crate::{DataError, UnknownScenario};

impl Encoder {
    /// This encoder with the scenarios and the values of vocabularies that `newer` met besides, behind those that are here:
    /// what had a number keeps it. Buckets, means and the size of hashed tables stay. Counts of rows are those of `newer`.
    ///
    /// # Errors
    /// [`DataError::Config`] if `newer` was not made by the same schema, or there are too many scenarios.
    pub fn grown(&self, newer: &Encoder) -> Result<Encoder, DataError> {
        let features = |encoder: &Encoder| encoder.fitted.features.iter().map(unfitted).collect::<Vec<_>>();
        let (before, now) = (features(self), features(newer));
        let schema = |encoder: &Encoder, features: &[Feature]| {
            let columns: Vec<String> = features.iter().map(|feature| feature.column.clone()).collect();
            let tables = encoder.fitted.tables.iter().map(|table| (table.name.clone(), table.dim, kind_of(&table.ids)));
            let tables: Vec<_> = tables.collect();
            (columns, tables, encoder.fitted.tasks.clone(), encoder.fitted.scenario.column.clone())
        };
        if schema(self, &before) != schema(newer, &now) {
            let problem = "features, their tables, tasks or the scenario's column are others than before";
            return Err(DataError::config("feature", problem));
        }
        if let Some((_, now)) = before.iter().zip(&now).find(|(before, now)| before != now) {
            return Err(DataError::config("feature", format!("column `{}` has another rule than before", now.column)));
        }
        let mut fitted = self.fitted.clone();
        fitted.scenario = scenario(&self.fitted.scenario, &newer.fitted.scenario)?;
        for (table, other) in fitted.tables.iter_mut().zip(&newer.fitted.tables) {
            if let (Ids::Vocabulary { values }, Ids::Vocabulary { values: more }) = (&mut table.ids, &other.ids) {
                *values = union(values, more);
            }
        }
        let (weight, user, request) = (&newer.fitted.weight, &newer.fitted.user, &newer.fitted.request);
        fitted.weight.clone_from(weight);
        fitted.user.clone_from(user);
        fitted.request.clone_from(request);
        Ok(Encoder { labels: newer.labels.clone(), ..Encoder::new(fitted, newer.tasks.clone()) })
    }
}

/// A feature without what it learnt of train.
fn unfitted(feature: &Feature) -> Feature {
    let mut feature = feature.clone();
    match &mut feature.rule {
        Rule::Bucket { boundaries, .. } => boundaries.clear(),
        Rule::Number { scale: Scale::Standard { mean, deviation }, .. } => (*mean, *deviation) = (0.0, 0.0),
        Rule::Number { .. } | Rule::Category { .. } | Rule::Bag(_) | Rule::Vector { .. } => {}
    }
    feature
}

/// How values become rows, without those that train had.
fn kind_of(ids: &Ids) -> Ids {
    match ids {
        Ids::Vocabulary { .. } => Ids::Vocabulary { values: Vocabulary::default() },
        Ids::Buckets { .. } => Ids::Buckets { count: 0 },
        Ids::Hash { .. } | Ids::Raw { .. } => ids.clone(),
    }
}

fn union(first: &Vocabulary, more: &Vocabulary) -> Vocabulary {
    first.values().chain(more.values()).collect()
}

fn scenario(first: &Scenario, more: &Scenario) -> Result<Scenario, DataError> {
    let values = union(&first.values, &more.values);
    if values.len() > MAX_SCENARIOS {
        let problem = format!("there are {} scenarios together, at most {MAX_SCENARIOS}", values.len());
        return Err(DataError::config("scenario.column", problem));
    }
    let mut rows = vec![0; values.len()];
    for (value, count) in more.values.values().zip(&more.rows) {
        rows[values.get(value).expect("the union has it") as usize] += count;
    }
    let unknown = match more.unknown {
        UnknownScenario::Scenario(id) => {
            let id = values.get(more.values.value(id.into())).expect("the union has it");
            UnknownScenario::Scenario(id as u16)
        }
        other @ (UnknownScenario::Error | UnknownScenario::Mean) => other,
    };
    Ok(Scenario { column: first.column.clone(), values, rows, unknown })
}
