//! An encoder that knows more: for a model that goes on from another one.

use super::Encoder;
use super::feature::Ids;
use super::json::{MAX_SCENARIOS, Scenario};
use super::vocabulary::Vocabulary;
use crate::{DataError, UnknownScenario};

impl Encoder {
    /// This encoder with the scenarios and the values of vocabularies that `newer` met besides, behind those that are here:
    /// what had a number keeps it. Buckets, means and the size of hashed tables stay. Counts of rows are those of `newer`.
    ///
    /// # Errors
    /// [`DataError::Config`] if `newer` was not made by the same schema, or there are too many scenarios.
    pub fn grown(&self, newer: &Encoder) -> Result<Encoder, DataError> {
        let same = |encoder: &Encoder| {
            let features: Vec<String> = encoder.fitted.features.iter().map(|feature| feature.column.clone()).collect();
            let tables: Vec<String> = encoder.fitted.tables.iter().map(|table| table.name.clone()).collect();
            (features, tables, encoder.fitted.tasks.clone(), encoder.fitted.scenario.column.clone())
        };
        if same(self) != same(newer) {
            return Err(DataError::config(
                "feature",
                "features, tasks or the scenario's column are others than before",
            ));
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
