//! Encoding rows with fitted rules.

use arrow::array::ArrayRef;

use super::counts::{EncodeCounts, FeatureCounts};
use super::feature::{BagRule, FIRST_ROW, Feature, Ids, MISSING_ROW, Rule, UNSEEN_ROW, Weights};
use super::items::{Bag, ItemRule, Lookup, MISSING, WeightRule, bag, one_per_row, vectors, weighted_bag};
use super::key::{Key, for_each_key};
use super::number::{Scale, bucket, for_each_number};
use super::refusal::Refusal;
use super::{Encoder, Need};
use crate::{Batch, Column, DataError, Missing, Rows, UnknownScenario, VectorMissing};

pub(super) fn encode(
    encoder: &Encoder,
    rows: &Rows,
    need: Need,
    counts: &mut EncodeCounts,
) -> Result<Batch, DataError> {
    let mut met = EncodeCounts { rows: rows.len() as u64, ..EncodeCounts::default() };
    let mut batch = Batch {
        rows: rows.len(),
        features: Vec::with_capacity(encoder.fitted.features.len()),
        scenario: scenarios(encoder, rows, &mut met)?,
        weight: vec![1.0; rows.len()],
        position: (0..rows.len() as u32).collect(),
        ..Batch::default()
    };
    for feature in &encoder.fitted.features {
        let mut count = FeatureCounts { feature: feature.column.clone(), ..FeatureCounts::default() };
        let column = column(encoder, feature, rows, &mut count)?;
        batch.features.push(column.map_err(|refusal| refused(&refusal, &feature.column, rows))?);
        met.features.push(count);
    }
    if need == Need::Labels {
        labels(encoder, rows, &mut batch)?;
        if let Some(column) = &encoder.fitted.weight {
            batch.weight = weights(column, rows)?;
        }
        batch.user = groups(encoder.fitted.user.as_ref(), rows)?;
        batch.request = groups(encoder.fitted.request.as_ref(), rows)?;
    }
    counts.merge(&met);
    Ok(batch)
}

/// The error for a refused cell.
pub(super) fn refused(refusal: &Refusal, column: &str, rows: &Rows) -> DataError {
    let number = rows.number(refusal.at.unwrap_or(0));
    DataError::bad_value(&rows.file, number, column, &refusal.value, &*refusal.expected)
}

/// The category that stands in for a missing one, if the policy names one.
pub(super) fn absent(missing: &Missing) -> Option<Key<'_>> {
    match missing {
        Missing::Value(value) => Key::of_text(value),
        Missing::OwnRow | Missing::Error => None,
    }
}

/// The ids of a bag, with weights where the rule has them; the outer error is a column that is not there.
pub(super) fn bag_ids(
    cells: &ArrayRef,
    rule: &BagRule,
    rows: &Rows,
    lookup: &mut Lookup<'_>,
) -> Result<Result<Bag, Refusal>, DataError> {
    let items = ItemRule { separator: &rule.separator, limit: rule.limit.unwrap_or(usize::MAX), keep: rule.keep };
    let (separator, column) = match &rule.weights {
        None => return Ok(bag(cells, &items, lookup)),
        Some(Weights::Separator(separator)) => (separator.as_str(), None),
        Some(Weights::Column(column)) => ("", Some(rows.column(column)?)),
    };
    let weight = WeightRule { separator, column, pooling: rule.pooling };
    Ok(weighted_bag(cells, &items, &weight, lookup))
}

fn column(
    encoder: &Encoder,
    feature: &Feature,
    rows: &Rows,
    count: &mut FeatureCounts,
) -> Result<Result<Column, Refusal>, DataError> {
    let cells = rows.column(&feature.column)?;
    Ok(match &feature.rule {
        Rule::Category { table, mix_column, missing } => {
            let ids = &encoder.fitted.tables[*table].ids;
            let salt = ids.salted(&feature.column, *mix_column);
            one_per_row(cells, &mut |key| ids.row(key, salt))
                .and_then(|found| settle(found, (ids, salt), missing, count))
                .map(Column::Ids)
        }
        Rule::Bag(rule) => {
            let ids = &encoder.fitted.tables[rule.table].ids;
            let salt = ids.salted(&feature.column, rule.mix_column);
            bag_ids(cells, rule, rows, &mut |key| ids.row(key, salt))?
                .and_then(|bag| settle_bag(bag, (ids, salt), &rule.missing, count))
        }
        Rule::Bucket { boundaries, missing, .. } => buckets(cells, boundaries, missing, count),
        Rule::Number { scale, missing } => numbers(cells, *scale, missing, count),
        Rule::Vector { length, separator, missing } => {
            vectors(cells, *length, separator).and_then(|found| settle_vectors(found, *length, *missing, count))
        }
    })
}

/// Puts what the policy says in the place of missing ids, and counts.
fn settle(
    mut found: Vec<u32>,
    (ids, salt): (&Ids, u64),
    missing: &Missing,
    count: &mut FeatureCounts,
) -> Result<Vec<u32>, Refusal> {
    let missed = found.iter().filter(|&&id| id == MISSING).count();
    if missed > 0 {
        if *missing == Missing::Error {
            return Err(Refusal::missing(found.iter().position(|&id| id == MISSING).unwrap_or(0)));
        }
        let row = absent(missing).map_or(MISSING_ROW, |key| ids.row(key, salt));
        found.iter_mut().filter(|id| **id == MISSING).for_each(|id| *id = row);
    }
    count.missing += missed as u64;
    count.unseen += found.iter().filter(|&&id| id == UNSEEN_ROW).count() as u64;
    Ok(found)
}

fn settle_bag(bag: Bag, table: (&Ids, u64), missing: &Missing, count: &mut FeatureCounts) -> Result<Column, Refusal> {
    let Bag { offsets, ids, weights } = bag;
    let ids = settle(ids, table, missing, count).map_err(|refusal| {
        let row = refusal.at.map(|at| offsets[1..].partition_point(|&end| end as usize <= at));
        Refusal { at: row, ..refusal }
    })?;
    Ok(Column::Bag { offsets, ids, weights })
}

fn settle_vectors(
    found: Vec<Option<Vec<f32>>>,
    length: usize,
    missing: VectorMissing,
    count: &mut FeatureCounts,
) -> Result<Column, Refusal> {
    let mut dense = Vec::with_capacity(found.len() * length);
    for (row, vector) in found.into_iter().enumerate() {
        match (vector, missing) {
            (Some(vector), _) => dense.extend(vector),
            (None, VectorMissing::Error) => return Err(Refusal::missing(row)),
            (None, VectorMissing::Zeros) => {
                count.missing += 1;
                dense.resize(dense.len() + length, 0.0);
            }
        }
    }
    Ok(Column::Dense(dense))
}

/// What a missing number becomes.
enum Instead {
    Own,
    Refused,
    Number(f64),
}

fn instead(missing: &Missing) -> Instead {
    match missing {
        Missing::OwnRow => Instead::Own,
        Missing::Error => Instead::Refused,
        Missing::Value(value) => value.parse().map_or(Instead::Own, Instead::Number),
    }
}

fn buckets(
    cells: &ArrayRef,
    boundaries: &[f64],
    missing: &Missing,
    count: &mut FeatureCounts,
) -> Result<Column, Refusal> {
    let instead = instead(missing);
    let own = match instead {
        Instead::Number(number) => FIRST_ROW + bucket(boundaries, number),
        Instead::Own | Instead::Refused => MISSING_ROW,
    };
    let mut ids = Vec::with_capacity(cells.len());
    let mut first_missing = None;
    for_each_number(cells, &mut |number| match number {
        Some(number) => ids.push(FIRST_ROW + bucket(boundaries, number)),
        None => {
            first_missing = first_missing.or(Some(ids.len()));
            count.missing += 1;
            ids.push(own);
        }
    })?;
    match (instead, first_missing) {
        (Instead::Refused, Some(row)) => Err(Refusal::missing(row)),
        (Instead::Refused | Instead::Own | Instead::Number(_), _) => Ok(Column::Ids(ids)),
    }
}

fn numbers(cells: &ArrayRef, scale: Scale, missing: &Missing, count: &mut FeatureCounts) -> Result<Column, Refusal> {
    let instead = instead(missing);
    let own = match instead {
        Instead::Number(number) => [scale.apply(number), 0.0],
        Instead::Own | Instead::Refused => [0.0, 1.0],
    };
    let mut dense: Vec<f32> = Vec::with_capacity(2 * cells.len());
    let (mut first_missing, mut infinite) = (None, None);
    for_each_number(cells, &mut |number| match number {
        Some(number) => {
            let scaled = scale.apply(number);
            if !scaled.is_finite() || number.is_infinite() {
                infinite = infinite.or(Some((dense.len() / 2, number)));
            }
            dense.extend([scaled, 0.0]);
        }
        None => {
            first_missing = first_missing.or(Some(dense.len() / 2));
            count.missing += 1;
            dense.extend(own);
        }
    })?;
    if let Some((row, number)) = infinite {
        return Err(Refusal::new(row, number, "a finite number of 32 bits"));
    }
    match (instead, first_missing) {
        (Instead::Refused, Some(row)) => Err(Refusal::missing(row)),
        (Instead::Refused | Instead::Own | Instead::Number(_), _) => Ok(Column::Dense(dense)),
    }
}

fn scenarios(encoder: &Encoder, rows: &Rows, met: &mut EncodeCounts) -> Result<Vec<u16>, DataError> {
    let scenario = &encoder.fitted.scenario;
    let cells = rows.column(&scenario.column)?;
    const UNKNOWN: u32 = MISSING;
    let lookup = &mut |key: Key<'_>| scenario.id(key).map_or(UNKNOWN, u32::from);
    let found = one_per_row(cells, lookup).map_err(|refusal| refused(&refusal, &scenario.column, rows))?;
    let instead = match scenario.unknown {
        UnknownScenario::Error => {
            if let Some(row) = found.iter().position(|&id| id == UNKNOWN) {
                return Err(unknown_scenario(encoder, rows, cells, row));
            }
            0
        }
        UnknownScenario::Mean => scenario.values.len() as u16,
        UnknownScenario::Scenario(id) => id,
    };
    met.unknown_scenarios = found.iter().filter(|&&id| id == UNKNOWN).count() as u64;
    Ok(found.into_iter().map(|id| if id == UNKNOWN { instead } else { id as u16 }).collect())
}

fn unknown_scenario(encoder: &Encoder, rows: &Rows, cells: &ArrayRef, row: usize) -> DataError {
    const SHOWN: usize = 20;
    let mut value = "nothing".to_owned();
    let shown =
        for_each_key(&cells.slice(row, 1), &mut |key| value = key.map_or("nothing".to_owned(), |key| key.to_string()));
    debug_assert!(shown.is_ok(), "the column was read a moment ago");
    let known: Vec<String> = encoder.layout.scenarios.iter().take(SHOWN).cloned().collect();
    let more = encoder.layout.scenarios.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    DataError::UnknownScenario {
        file: rows.file.to_path_buf(),
        row: rows.number(row),
        column: encoder.fitted.scenario.column.clone(),
        value,
        known: format!("known: {}{more}", known.join(", ")),
    }
}

fn labels(encoder: &Encoder, rows: &Rows, batch: &mut Batch) -> Result<(), DataError> {
    let tasks = encoder.tasks.len();
    batch.labels = vec![0.0; rows.len() * tasks];
    batch.observed = vec![false; rows.len() * tasks];
    for (index, task) in encoder.tasks.iter().enumerate() {
        for (row, label) in task.labels(rows)?.into_iter().enumerate() {
            if let Some(label) = label {
                batch.labels[row * tasks + index] = label;
                batch.observed[row * tasks + index] = true;
            }
        }
    }
    Ok(())
}

fn weights(column: &str, rows: &Rows) -> Result<Vec<f32>, DataError> {
    let mut weights: Vec<f32> = Vec::with_capacity(rows.len());
    for_each_number(rows.column(column)?, &mut |number| weights.push(number.map_or(f32::NAN, |number| number as f32)))
        .map_err(|refusal| refused(&refusal, column, rows))?;
    match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(row) => Err(rows.bad_value(row, column, "a finite weight of zero or more")),
        None => Ok(weights),
    }
}

/// xxh3 of each group's text; 0 where it is missing.
fn groups(column: Option<&String>, rows: &Rows) -> Result<Vec<u64>, DataError> {
    let Some(column) = column else { return Ok(Vec::new()) };
    let mut groups = Vec::with_capacity(rows.len());
    for_each_key(rows.column(column)?, &mut |key| groups.push(key.map_or(0, |key| key.hash(0))))
        .map_err(|refusal| refused(&refusal, column, rows))?;
    Ok(groups)
}
