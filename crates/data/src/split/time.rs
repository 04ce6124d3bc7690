//! Splitting by time: any column of times as whole numbers in the same order, and thresholds by exact selection in bounded memory.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Date64Array, Float64Array, Int64Array, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use serde::{Deserialize, Serialize};

use super::{Part, PartRows, Rule, Split, SplitConfig, each_batch};
use crate::error::DataError;
use crate::source::{Rows, Source, cell_text};

/// Bins of one pass of the selection.
const BINS: u64 = 1 << 18;

/// How a column's times become whole numbers (keys) in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TimeKind {
    /// The number itself.
    Integer,
    /// The number's bits, turned so that they sort as the numbers do.
    Number,
    Days,
    DateMilliseconds,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    /// Nanoseconds since 1970 of an ISO text.
    Text,
}

/// Keys at which parts begin; a part without a key has no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeBounds {
    valid: Option<i64>,
    test: Option<i64>,
}

impl TimeBounds {
    pub(super) fn part(self, key: i64) -> Part {
        if self.test.is_some_and(|bound| key >= bound) {
            Part::Test
        } else if self.valid.is_some_and(|bound| key >= bound) {
            Part::Valid
        } else {
            Part::Train
        }
    }
}

pub(super) fn resolve(config: &SplitConfig, column: &str, source: &Source) -> Result<Split, DataError> {
    let field = source.fields(&[column.to_owned()])?.swap_remove(0);
    let kind = TimeKind::of(column, field.data_type())?;
    let times = Times { source, column, kind };
    let bounds = Cut { config, times: &times, whole: times.whole()? }.bounds()?;
    let mut split = Split {
        rule: Rule::Time { column: column.to_owned(), kind, bounds },
        train: PartRows::default(),
        valid: PartRows::default(),
        test: PartRows::default(),
    };
    let mut parts = [Range::default(); 3];
    times.each(|key| parts[bounds.part(key) as usize].add(key))?;
    let rows_of = |part: Part| parts[part as usize].describe(kind);
    (split.train, split.valid, split.test) = (rows_of(Part::Train), rows_of(Part::Valid), rows_of(Part::Test));
    Ok(split)
}

/// Number of keys and the least and largest of them.
#[derive(Clone, Copy, Debug)]
struct Range {
    rows: u64,
    least: i64,
    largest: i64,
}

impl Default for Range {
    fn default() -> Range {
        Range { rows: 0, least: i64::MAX, largest: i64::MIN }
    }
}

impl Range {
    fn add(&mut self, key: i64) {
        self.rows += 1;
        self.least = self.least.min(key);
        self.largest = self.largest.max(key);
    }

    fn describe(self, kind: TimeKind) -> PartRows {
        let text = |key| (self.rows > 0).then(|| kind.text(key));
        PartRows { rows: self.rows, from: text(self.least), to: text(self.largest) }
    }
}

/// The times of a source, to be passed over again and again.
struct Times<'a> {
    source: &'a Source,
    column: &'a str,
    kind: TimeKind,
}

/// A key found by its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ranked {
    key: i64,
    /// Rows with a smaller key.
    below: u64,
    /// Rows with this key.
    equal: u64,
}

impl Times<'_> {
    fn each(&self, mut visit: impl FnMut(i64)) -> Result<(), DataError> {
        each_batch(self.source, &[self.column.to_owned()], |rows, _| self.kind.visit(rows, self.column, &mut visit))
    }

    fn whole(&self) -> Result<Range, DataError> {
        let mut range = Range::default();
        self.each(|key| range.add(key))?;
        Ok(range)
    }

    /// The keys that would stand at these ranks (from 0, below the number of rows) if the rows were sorted.
    /// Each pass narrows every range of candidates by a factor of [`BINS`], so there are at most four.
    fn at_ranks(&self, whole: Range, ranks: &[u64]) -> Result<Vec<Ranked>, DataError> {
        let mut searches: Vec<Search> = ranks.iter().map(|rank| Search::new(whole, *rank)).collect();
        while searches.iter().any(|search| search.found.is_none()) {
            self.each(|key| searches.iter_mut().for_each(|search| search.count(key)))?;
            searches.iter_mut().for_each(Search::narrow);
        }
        Ok(searches.into_iter().filter_map(|search| search.found).collect())
    }
}

/// Candidates for the key at one rank.
struct Search {
    rank: u64,
    least: i64,
    largest: i64,
    /// Rows with a key below `least`.
    below: u64,
    /// Keys per bin, as a power of two.
    shift: u32,
    bins: Vec<u64>,
    found: Option<Ranked>,
}

impl Search {
    fn new(whole: Range, rank: u64) -> Search {
        let (least, largest) = (whole.least, whole.largest);
        let mut search = Search { rank, least, largest, below: 0, shift: 0, bins: Vec::new(), found: None };
        search.divide();
        search
    }

    fn divide(&mut self) {
        let width = self.largest.wrapping_sub(self.least) as u64;
        self.shift = (0..64).find(|shift| width >> shift < BINS).unwrap_or(63);
        self.bins.clear();
        self.bins.resize((width >> self.shift) as usize + 1, 0);
    }

    fn count(&mut self, key: i64) {
        if self.found.is_none() && key >= self.least && key <= self.largest {
            self.bins[(key.wrapping_sub(self.least) as u64 >> self.shift) as usize] += 1;
        }
    }

    fn narrow(&mut self) {
        if self.found.is_some() {
            return;
        }
        let mut bin = 0;
        while bin + 1 < self.bins.len() && self.below + self.bins[bin] <= self.rank {
            self.below += self.bins[bin];
            bin += 1;
        }
        let least = self.least.wrapping_add(((bin as u64) << self.shift) as i64);
        if self.shift == 0 {
            self.found = Some(Ranked { key: least, below: self.below, equal: self.bins[bin] });
            return;
        }
        self.largest = self.largest.min(least.saturating_add((1_i64 << self.shift) - 1));
        self.least = least;
        self.divide();
    }
}

/// Finding where to cut.
struct Cut<'a> {
    config: &'a SplitConfig,
    times: &'a Times<'a>,
    whole: Range,
}

/// A bound and the rows from it on.
#[derive(Clone, Copy)]
struct Candidate {
    key: i64,
    tail: u64,
}

impl Cut<'_> {
    fn bounds(&self) -> Result<TimeBounds, DataError> {
        let rows = self.whole.rows;
        let wanted = |share: f64| if share == 0.0 { 0 } else { ((rows as f64 * share).round() as u64).max(1) };
        let (valid, test) = (wanted(self.config.valid), wanted(self.config.test));
        if valid + test >= rows {
            return Err(self.impossible(None, "there are too few rows"));
        }
        // With `test` alone or `valid` alone there is one cut, else two.
        let mut bounds = TimeBounds { valid: None, test: None };
        let mut after = 0;
        if test > 0 {
            let cut = self.cut(rows, test, 0)?;
            (bounds.test, after) = (Some(cut.key), cut.tail);
        }
        if valid > 0 {
            let cut = self.cut(rows, valid, after)?;
            (bounds.valid, after) = (Some(cut.key), cut.tail);
        }
        if (rows - after) * 2 < rows - valid - test {
            return Err(self.impossible(
                None,
                "too many rows share one time near the end, and train would get less than half of its rows",
            ));
        }
        Ok(bounds)
    }

    /// The bound that leaves about `wanted` rows between itself and the last `after` rows, at least one there and one before.
    fn cut(&self, rows: u64, wanted: u64, after: u64) -> Result<Candidate, DataError> {
        // The rows with one time at the wanted place go all to the one side or all to the other.
        let found = self.times.at_ranks(self.whole, &[rows.saturating_sub(after + wanted)])?;
        let candidates = found.iter().flat_map(|ranked| {
            let above = Candidate { key: ranked.key.saturating_add(1), tail: rows - ranked.below - ranked.equal };
            [Candidate { key: ranked.key, tail: rows - ranked.below }, above]
        });
        candidates
            .filter(|candidate| candidate.tail > after && candidate.tail < rows)
            .min_by_key(|candidate| (candidate.tail - after).abs_diff(wanted))
            .ok_or_else(|| self.impossible(found.first().copied(), "too many rows share one time"))
    }

    fn impossible(&self, crowded: Option<Ranked>, reason: &str) -> DataError {
        let (valid, test) = (self.config.valid, self.config.test);
        let crowd = crowded.map(|ranked| format!(", {} of them at {}", ranked.equal, self.times.kind.text(ranked.key)));
        let problem = format!(
            "the times in `{}` cannot be cut into train, valid = {valid} and test = {test}: {reason} ({} rows{})",
            self.times.column,
            self.whole.rows,
            crowd.unwrap_or_default()
        );
        DataError::config("data.split", problem)
    }
}

impl TimeKind {
    #[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has some forty types")]
    fn of(column: &str, kind: &DataType) -> Result<TimeKind, DataError> {
        Ok(match kind {
            DataType::Timestamp(TimeUnit::Second, _) => TimeKind::Seconds,
            DataType::Timestamp(TimeUnit::Millisecond, _) => TimeKind::Milliseconds,
            DataType::Timestamp(TimeUnit::Microsecond, _) => TimeKind::Microseconds,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => TimeKind::Nanoseconds,
            DataType::Date32 => TimeKind::Days,
            DataType::Date64 => TimeKind::DateMilliseconds,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => TimeKind::Text,
            DataType::Dictionary(_, values) => TimeKind::of(column, values)?,
            kind if kind.is_integer() => TimeKind::Integer,
            kind if kind.is_floating() => TimeKind::Number,
            kind => {
                let problem = format!("`{column}` holds {kind}, not times: numbers, timestamps, dates, or ISO texts");
                return Err(DataError::config("data.split.column", problem));
            }
        })
    }

    /// Hands over the key of each row in turn.
    pub(super) fn visit(self, rows: &Rows, column: &str, mut visit: impl FnMut(i64)) -> Result<(), DataError> {
        let cells = rows.column(column)?;
        let refused = |index| rows.bad_value(index, column, "a time, and a split by time needs one in every row");
        match self {
            TimeKind::Text => {
                let texts = cast(cells, &DataType::Utf8View).map_err(|_| refused(0))?;
                for (index, text) in texts.as_string_view().iter().enumerate() {
                    let key = text.and_then(|text| iso_nanoseconds(text.trim()));
                    visit(key.ok_or_else(|| refused(index))?);
                }
            }
            TimeKind::Number => {
                let numbers = cast(cells, &DataType::Float64).map_err(|_| refused(0))?;
                for (index, number) in numbers.as_primitive::<Float64Type>().iter().enumerate() {
                    let number = number.filter(|number| !number.is_nan()).ok_or_else(|| refused(index))?;
                    visit(ordered_bits(number));
                }
            }
            TimeKind::Integer
            | TimeKind::Days
            | TimeKind::DateMilliseconds
            | TimeKind::Seconds
            | TimeKind::Milliseconds
            | TimeKind::Microseconds
            | TimeKind::Nanoseconds => {
                // Dates of 32 bits do not become 64 in one step.
                let narrow = if self == TimeKind::Days { cast(cells, &DataType::Int32) } else { Ok(Arc::clone(cells)) };
                let numbers = narrow.and_then(|cells| cast(&cells, &DataType::Int64)).map_err(|_| refused(0))?;
                for (index, number) in numbers.as_primitive::<Int64Type>().iter().enumerate() {
                    visit(number.ok_or_else(|| refused(index))?);
                }
            }
        }
        Ok(())
    }

    /// A key as a person writes the time.
    fn text(self, key: i64) -> String {
        let cell: ArrayRef = match self {
            TimeKind::Integer => Arc::new(Int64Array::from(vec![key])),
            TimeKind::Number => Arc::new(Float64Array::from(vec![from_ordered_bits(key)])),
            TimeKind::Days => Arc::new(Date32Array::from(vec![i32::try_from(key).unwrap_or(i32::MAX)])),
            TimeKind::DateMilliseconds => Arc::new(Date64Array::from(vec![key])),
            TimeKind::Seconds => Arc::new(TimestampSecondArray::from(vec![key])),
            TimeKind::Milliseconds => Arc::new(TimestampMillisecondArray::from(vec![key])),
            TimeKind::Microseconds => Arc::new(TimestampMicrosecondArray::from(vec![key])),
            TimeKind::Nanoseconds | TimeKind::Text => Arc::new(TimestampNanosecondArray::from(vec![key])),
        };
        cell_text(&cell, 0).unwrap_or_default()
    }
}

/// Nanoseconds since 1970 of `2024-05-01`, `2024-05-01 10:30`, `2024-05-01T10:30:00.5Z` and the like; without a zone in UTC.
fn iso_nanoseconds(text: &str) -> Option<i64> {
    const TO_MINUTES: usize = "2024-05-01 10:30".len();
    let parsed = string_to_timestamp_nanos(text).ok();
    parsed.or_else(|| string_to_timestamp_nanos(&format!("{text}:00")).ok().filter(|_| text.len() == TO_MINUTES))
}

/// Whole numbers that sort as the numbers do; both zeros are one.
fn ordered_bits(number: f64) -> i64 {
    let bits = if number == 0.0 { 0 } else { number.to_bits() as i64 };
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

fn from_ordered_bits(key: i64) -> f64 {
    f64::from_bits(if key < 0 { key ^ i64::MAX } else { key } as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_sort_as_their_numbers_do_and_come_back() {
        let numbers = [f64::NEG_INFINITY, -2.5, -1e-300, 0.0, 1e-300, 1.0, 2.0, f64::INFINITY];
        let keys: Vec<i64> = numbers.iter().map(|number| ordered_bits(*number)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
        assert_eq!(ordered_bits(-0.0), ordered_bits(0.0));
        assert!(numbers.iter().zip(keys).all(|(number, key)| from_ordered_bits(key) == *number));
    }

    #[test]
    fn selection_finds_the_same_key_as_sorting_even_over_the_whole_range() {
        let mut keys: Vec<i64> = (0..1000).map(|index| crate::seed::splitmix64(index) as i64).collect();
        keys.extend([i64::MIN, i64::MAX, 5, 5, 5, 6, 7]);
        let mut whole = Range::default();
        keys.iter().for_each(|key| whole.add(*key));
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        for rank in 0..keys.len() {
            let mut search = Search::new(whole, rank as u64);
            let mut passes = 0;
            while search.found.is_none() {
                keys.iter().for_each(|key| search.count(*key));
                search.narrow();
                passes += 1;
            }
            let key = sorted[rank];
            let below = sorted.partition_point(|other| *other < key) as u64;
            let equal = sorted.iter().filter(|other| **other == key).count() as u64;
            assert_eq!(search.found, Some(Ranked { key, below, equal }));
            assert!(passes <= 4, "{passes} passes");
        }
    }
}
