//! Encoding rows with fitted rules.

use std::ops::Deref;

use arrow::array::ArrayRef;

use super::counts::{EncodeCounts, FeatureCounts};
use super::feature::{BagRule, FIRST_ROW, Feature, Ids, MISSING_ROW, Rule, UNSEEN_ROW, Weights};
use super::items::{Bag, ItemRule, MISSING, Vectors, WeightRule, bag, vectors, weighted_bag};
use super::key::{Key, map_keys};
use super::memo::Memo;
use super::number::{self, Scale};
use super::refusal::Refusal;
use super::{Encoder, Need};
use crate::work::Work;
use crate::{Batch, Column, DataError, Missing, Rows, UnknownScenario, VectorMissing};

/// An encoder at work on batch after batch: each value of a dictionary that several of them share, such as those of a row group of a Parquet
/// file, is looked up once. What comes out is what [`Encoder::encode`] gives.
#[derive(Debug)]
pub struct RowEncoder<E> {
    encoder: E,
    need: Need,
    memos: Memos,
}

/// What is known of the dictionaries of each column.
#[derive(Debug)]
pub(super) struct Memos {
    scenario: Memo<u32>,
    /// Parallel to the features.
    features: Vec<Memo<u32>>,
    user: Memo<u64>,
    request: Memo<u64>,
}

impl Memos {
    /// For one batch.
    pub(super) fn once(features: usize) -> Memos {
        let features = (0..features).map(|_| Memo::default()).collect();
        Memos { scenario: Memo::default(), features, user: Memo::default(), request: Memo::default() }
    }

    /// For batch after batch.
    fn lasting(features: usize) -> Memos {
        let features = (0..features).map(|_| Memo::lasting()).collect();
        Memos { scenario: Memo::lasting(), features, user: Memo::lasting(), request: Memo::lasting() }
    }
}

impl<E: Deref<Target = Encoder>> RowEncoder<E> {
    /// Borrows or shares an encoder.
    pub fn new(encoder: E, need: Need) -> RowEncoder<E> {
        let memos = Memos::lasting(encoder.fitted.features.len());
        RowEncoder { encoder, need, memos }
    }

    /// As [`Encoder::encode`], on this thread.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode(&mut self, rows: &Rows, counts: &mut EncodeCounts) -> Result<Batch, DataError> {
        self.encode_by(rows, Work::InTurn, counts)
    }

    pub(crate) fn encode_by(&mut self, rows: &Rows, work: Work, counts: &mut EncodeCounts) -> Result<Batch, DataError> {
        Encode { encoder: &self.encoder, rows, work }.batch(self.need, &mut self.memos, counts)
    }
}

/// One batch to encode.
pub(super) struct Encode<'a> {
    pub(super) encoder: &'a Encoder,
    pub(super) rows: &'a Rows,
    pub(super) work: Work,
}

impl Encode<'_> {
    pub(super) fn batch(self, need: Need, memos: &mut Memos, counts: &mut EncodeCounts) -> Result<Batch, DataError> {
        let Encode { encoder, rows, .. } = self;
        let mut met = EncodeCounts { rows: rows.len() as u64, ..EncodeCounts::default() };
        let mut batch = Batch {
            rows: rows.len(),
            scenario: scenarios(encoder, rows, &mut memos.scenario, &mut met)?,
            weight: vec![1.0; rows.len()],
            position: (0..rows.len() as u32).collect(),
            ..Batch::default()
        };
        (batch.features, met.features) = self.features(&mut memos.features)?;
        if need == Need::Labels {
            labels(encoder, rows, &mut batch)?;
            if let Some(column) = &encoder.fitted.weight {
                batch.weight = weights(column, rows)?;
            }
            batch.user = groups(encoder.fitted.user.as_ref(), rows, &mut memos.user)?;
            batch.request = groups(encoder.fitted.request.as_ref(), rows, &mut memos.request)?;
        }
        counts.merge(&met);
        Ok(batch)
    }

    fn features(&self, memos: &mut [Memo<u32>]) -> Result<(Vec<Column>, Vec<FeatureCounts>), DataError> {
        let features = &self.encoder.fitted.features;
        let columns = self.work.map(memos, |index, memo| {
            let feature = &features[index];
            let mut count = FeatureCounts { feature: feature.column.clone(), ..FeatureCounts::default() };
            let column = column(self.encoder, feature, self.rows, memo, &mut count)?;
            let column = column.map_err(|refusal| refused(&refusal, &feature.column, self.rows))?;
            Ok((column, count))
        });
        // The refusal told is the first column's and not the quickest thread's.
        let columns = columns.into_iter().collect::<Result<Vec<(Encoded, FeatureCounts)>, DataError>>()?;
        self.check_alignment(&columns)?;
        Ok(columns.into_iter().map(|(encoded, count)| (encoded.column, count)).unzip())
    }

    /// A list along another has as many items in each row.
    fn check_alignment(&self, columns: &[(Encoded, FeatureCounts)]) -> Result<(), DataError> {
        let features = &self.encoder.fitted.features;
        for (feature, (encoded, _)) in features.iter().zip(columns) {
            let Some(list) = feature.along() else { continue };
            let place = features.iter().position(|feature| feature.column == list);
            let items = place.map_or(&[][..], |place| &columns[place].0.items);
            // A row without items has one that is missing.
            let differ = |(beside, items): (&u32, &u32)| (*beside).max(1) != (*items).max(1);
            let Some(row) = encoded.items.iter().zip(items).position(differ) else { continue };
            let found = match encoded.items[row] {
                1 => "1 item".to_owned(),
                count => format_args!("{count} items").to_string(),
            };
            let expected = format!("as many as in `{list}`, {}", items[row]);
            return Err(refused(&Refusal::new(row, found, expected), &feature.column, self.rows));
        }
        Ok(())
    }
}

/// A feature's column, and the items of each row where another list has as many.
struct Encoded {
    column: Column,
    items: Vec<u32>,
}

impl From<Column> for Encoded {
    fn from(column: Column) -> Encoded {
        Encoded { column, items: Vec::new() }
    }
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
    lookup: &mut impl FnMut(Key<'_>) -> u32,
) -> Result<Result<Bag, Refusal>, DataError> {
    let items = ItemRule {
        separator: &rule.separator,
        limit: rule.limit.unwrap_or(usize::MAX),
        keep: rule.keep,
        keeps_places: rule.order.as_ref().is_some_and(|order| order.aligned),
    };
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
    memo: &mut Memo<u32>,
    count: &mut FeatureCounts,
) -> Result<Result<Encoded, Refusal>, DataError> {
    let cells = rows.column(&feature.column)?;
    let column = match &feature.rule {
        Rule::Category { table, mix_column, missing } => {
            let ids = &encoder.fitted.tables[*table].ids;
            let salt = ids.salted(&feature.column, *mix_column);
            ids.rows(cells, salt, memo).and_then(|found| settle(found, (ids, salt), missing, count)).map(Column::Ids)
        }
        Rule::Bag(rule) => {
            let ids = &encoder.fitted.tables[rule.table].ids;
            let salt = ids.salted(&feature.column, rule.mix_column);
            let bag = bag_ids(cells, rule, rows, &mut |key| ids.row(key, salt))?;
            return Ok(bag.and_then(|mut bag| {
                let items = std::mem::take(&mut bag.items);
                Ok(Encoded { items, column: settle_bag(bag, (ids, salt), &rule.missing, count)? })
            }));
        }
        Rule::Bucket { boundaries, missing, .. } => buckets(cells, boundaries, missing, count),
        Rule::Number { scale, missing } => numbers(cells, *scale, missing, count),
        Rule::Vector { length, separator, missing } => {
            vectors(cells, *length, separator).and_then(|found| settle_vectors(found, *missing, count))
        }
    };
    Ok(column.map(Encoded::from))
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
    let Bag { offsets, ids, weights, items: _ } = bag;
    let ids = settle(ids, table, missing, count).map_err(|refusal| {
        let row = refusal.at.map(|at| offsets[1..].partition_point(|&end| end as usize <= at));
        Refusal { at: row, ..refusal }
    })?;
    Ok(Column::Bag { offsets, ids, weights })
}

fn settle_vectors(found: Vectors, missing: VectorMissing, count: &mut FeatureCounts) -> Result<Column, Refusal> {
    if let (Some(&row), VectorMissing::Error) = (found.missing.first(), missing) {
        return Err(Refusal::missing(row));
    }
    count.missing += found.missing.len() as u64;
    Ok(Column::Dense(found.numbers))
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
    let found = number::numbers(cells)?;
    let instead = instead(missing);
    count_missing(&found, &instead, count)?;
    let own = match instead {
        Instead::Number(number) => FIRST_ROW + number::bucket(boundaries, number),
        Instead::Own | Instead::Refused => MISSING_ROW,
    };
    let mut ids = number::buckets(boundaries, &found);
    for (id, number) in ids.iter_mut().zip(&found) {
        *id = if number.is_nan() { own } else { FIRST_ROW + *id };
    }
    Ok(Column::Ids(ids))
}

fn numbers(cells: &ArrayRef, scale: Scale, missing: &Missing, count: &mut FeatureCounts) -> Result<Column, Refusal> {
    let found = number::numbers(cells)?;
    let instead = instead(missing);
    let own = match instead {
        Instead::Number(number) => [scale.apply(number), 0.0],
        Instead::Own | Instead::Refused => [0.0, 1.0],
    };
    let mut dense = vec![0.0; 2 * found.len()];
    let (pairs, _) = dense.as_chunks_mut::<2>();
    for (pair, &number) in pairs.iter_mut().zip(&found) {
        *pair = if number.is_nan() { own } else { [scale.apply(number), 0.0] };
    }
    let infinite =
        |(pair, number): (&[f32; 2], &f64)| number.is_infinite() || !(number.is_nan() || pair[0].is_finite());
    if let Some(row) = pairs.iter().zip(&found).position(infinite) {
        return Err(Refusal::new(row, found[row], "a finite number of 32 bits"));
    }
    count_missing(&found, &instead, count)?;
    Ok(Column::Dense(dense))
}

/// Counts the missing numbers, and refuses the first where none may be.
fn count_missing(found: &[f64], instead: &Instead, count: &mut FeatureCounts) -> Result<(), Refusal> {
    let missed = found.iter().filter(|number| number.is_nan()).count();
    if let (true, Instead::Refused) = (missed > 0, instead) {
        return Err(Refusal::missing(found.iter().position(|number| number.is_nan()).unwrap_or(0)));
    }
    count.missing += missed as u64;
    Ok(())
}

fn scenarios(
    encoder: &Encoder,
    rows: &Rows,
    memo: &mut Memo<u32>,
    met: &mut EncodeCounts,
) -> Result<Vec<u16>, DataError> {
    let scenario = &encoder.fitted.scenario;
    let cells = rows.column(&scenario.column)?;
    const UNKNOWN: u32 = MISSING;
    let lookup = &mut |key: Key<'_>| scenario.id(key).map_or(UNKNOWN, u32::from);
    let found = memo.map(cells, UNKNOWN, lookup).map_err(|refusal| refused(&refusal, &scenario.column, rows))?;
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
    let shown = map_keys(&cells.slice(row, 1), (), &mut |key| value = key.to_string());
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
        let places = batch.labels.chunks_exact_mut(tasks).zip(batch.observed.chunks_exact_mut(tasks));
        for ((labels, observed), found) in places.zip(task.labels(rows)?) {
            observed[index] = !found.is_nan();
            labels[index] = if found.is_nan() { 0.0 } else { found };
        }
    }
    Ok(())
}

fn weights(column: &str, rows: &Rows) -> Result<Vec<f32>, DataError> {
    let numbers = number::numbers(rows.column(column)?).map_err(|refusal| refused(&refusal, column, rows))?;
    let weights: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
    match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(row) => Err(rows.bad_value(row, column, "a finite weight of zero or more")),
        None => Ok(weights),
    }
}

/// xxh3 of each group's text; 0 where it is missing.
fn groups(column: Option<&String>, rows: &Rows, memo: &mut Memo<u64>) -> Result<Vec<u64>, DataError> {
    let Some(column) = column else { return Ok(Vec::new()) };
    let hashes = memo.map(rows.column(column)?, 0, &mut |key| key.hash(0));
    hashes.map_err(|refusal| refused(&refusal, column, rows))
}
