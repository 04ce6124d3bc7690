//! The columns that scoring reads, as who sends rows has to know them.

use super::Encoder;
use super::feature::{BagRule, Feature, Ids, Rule, Table, Weights};
use super::vocabulary::Vocabulary;
use crate::{Missing, UnknownScenario, VectorMissing};

/// A column that scoring reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputColumn {
    /// Its name in the data.
    pub name: String,
    /// What it holds.
    pub kind: InputKind,
    /// Whether all values that train had are whole numbers.
    pub integers: bool,
    /// Whether a row may lack it: there is a policy for missing values other than refusing them.
    pub optional: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// The scenario of the row.
    Scenario,
    /// One category.
    Category,
    /// One number.
    Number,
    /// Any number of categories, or of pairs of category and weight: a list, or a text with separators.
    Items,
    /// The weights of another column's categories.
    Weights,
    /// So many numbers.
    Vector(usize),
}

impl InputKind {
    /// Whether a row may hold several values.
    #[must_use]
    pub fn is_list(self) -> bool {
        match self {
            InputKind::Items | InputKind::Weights | InputKind::Vector(_) => true,
            InputKind::Scenario | InputKind::Category | InputKind::Number => false,
        }
    }
}

impl Encoder {
    /// The columns that scoring reads, each once, the scenario's first. A column that serves several features is of the
    /// kind of the first, and may be absent if all of them allow it.
    #[must_use]
    pub fn inputs(&self) -> Vec<InputColumn> {
        let scenario = &self.fitted.scenario;
        let mut inputs = vec![InputColumn {
            name: scenario.column.clone(),
            kind: InputKind::Scenario,
            integers: scenario.values.is_all_integers(),
            optional: scenario.unknown != UnknownScenario::Error,
        }];
        for input in self.fitted.features.iter().flat_map(|feature| of_feature(feature, &self.fitted.tables)) {
            match inputs.iter_mut().find(|known| known.name == input.name) {
                Some(known) => {
                    known.optional &= input.optional;
                    known.integers &= input.integers;
                }
                None => inputs.push(input),
            }
        }
        inputs
    }
}

fn of_feature(feature: &Feature, tables: &[Table]) -> Vec<InputColumn> {
    let integers = |table: usize| match &tables[table].ids {
        Ids::Vocabulary { values } => values.is_all_integers(),
        Ids::Raw { .. } => true,
        Ids::Hash { .. } | Ids::Buckets { .. } => false,
    };
    let input = |name: &str, kind, integers, optional| InputColumn { name: name.to_owned(), kind, integers, optional };
    let column = feature.column.as_str();
    match &feature.rule {
        Rule::Category { table, missing, .. } => {
            vec![input(column, InputKind::Category, integers(*table), *missing != Missing::Error)]
        }
        Rule::Bucket { missing, .. } | Rule::Number { missing, .. } => {
            vec![input(column, InputKind::Number, false, *missing != Missing::Error)]
        }
        Rule::Vector { length, missing, .. } => {
            vec![input(column, InputKind::Vector(*length), false, *missing != VectorMissing::Error)]
        }
        Rule::Bag(BagRule { table, weights, missing, .. }) => {
            let optional = *missing != Missing::Error;
            // A text of pairs is no list of whole numbers.
            let integers = weights.is_none() && integers(*table);
            let mut inputs = vec![input(column, InputKind::Items, integers, optional)];
            if let Some(Weights::Column(column)) = weights {
                inputs.push(input(column, InputKind::Weights, false, optional));
            }
            inputs
        }
    }
}

impl Vocabulary {
    /// Whether there are values and none is a text.
    fn is_all_integers(&self) -> bool {
        self.len() > 0 && self.has_no_text()
    }
}
