//! Train, valid and test rows out of one source, so that nothing leaks from one to the other.
//!
//! | by | a row's part follows from | so that |
//! | --- | --- | --- |
//! | `time` | its time: train before valid before test | nothing is learnt from the future; equal times are never parted |
//! | `group` | the hash of its group | a group is in one part only |
//! | `random` | the hash of its position, or of a column | parts are alike |
//!
//! The part of a row depends on nothing else: not on the order of reading, nor on the batches, nor on the names of the files.

mod time;

use arrow::array::{ArrayRef, BooleanArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::time::{TimeBounds, TimeKind};
use crate::error::DataError;
use crate::seed::Seed;
use crate::source::{Order, Rows, Source, write_cell};

/// How one source becomes three: `split = { by = "time", column = "time_ms", valid = 0.1, test = 0.1 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// What decides the part of a row.
    pub by: SplitBy,
    /// With `time`: the column of times (numbers, timestamps, dates, or ISO texts). With `group`: rows with the same value here stay
    /// together. With `random`: rows are drawn by the hash of this column; without it by the hash of their position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Share of the rows for validation; with `time` those just before the test rows.
    #[serde(default = "default_share")]
    pub valid: f64,
    /// Share of the rows for the test; with `time` the newest.
    #[serde(default = "default_share")]
    pub test: f64,
    /// Seed of the hash. Not the seed of training, so that runs with several seeds see the same rows.
    #[serde(default)]
    pub seed: u64,
}

/// What decides the part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Its time: train is oldest, test is newest, and equal times are never parted.
    Time,
    /// The hash of a group's name, such as the user: a group is in one part only. Rows without one are a group of their own.
    Group,
    /// The hash of its position among all rows, or of a column.
    Random,
}

/// A part of a split source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Rows to learn from.
    Train,
    /// Rows to stop and tune by.
    Valid,
    /// Rows to look at once.
    Test,
}

/// A split with its bounds found, so that it can be written down and asked again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    rule: Rule,
    train: PartRows,
    valid: PartRows,
    test: PartRows,
}

/// What a part holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRows {
    /// Number of rows.
    pub rows: u64,
    /// With `time`: the first time in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// With `time`: the last time in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
enum Rule {
    Time { column: String, kind: TimeKind, bounds: TimeBounds },
    Column { column: String, seed: u64, bounds: HashBounds },
    Position { file_rows: Vec<u64>, seed: u64, bounds: HashBounds },
}

/// The upper half of a hash below `test` is of the test part, else below `valid` of the valid part, else of train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashBounds {
    test: u64,
    valid: u64,
}

impl Split {
    /// Finds the bounds that give the shares asked for, and counts the parts. Reads the column once or, for times, a few times; memory
    /// does not grow with the rows.
    ///
    /// # Errors
    /// [`DataError::Config`] for shares outside 0..1, a column that is needed and not named, or data that cannot be cut so;
    /// [`DataError::MissingColumn`]; [`DataError::BadValue`] for a missing time; whatever reading the source gives.
    pub fn resolve(config: &SplitConfig, source: &Source) -> Result<Split, DataError> {
        config.check()?;
        let whole = source.whole();
        if let Some(column) = &config.column {
            whole.fields(std::slice::from_ref(column))?;
        }
        match (config.by, &config.column) {
            (SplitBy::Time, Some(column)) => time::resolve(config, column, &whole),
            (SplitBy::Group | SplitBy::Random, Some(column)) => {
                let rule = Rule::Column { column: column.clone(), seed: config.seed, bounds: config.hash_bounds() };
                Split::counted(rule, config, &whole)
            }
            (SplitBy::Time | SplitBy::Group | SplitBy::Random, None) => {
                let (file_rows, seed, bounds) = (file_rows(&whole)?, config.seed, config.hash_bounds());
                Split::counted(Rule::Position { file_rows, seed, bounds }, config, &whole)
            }
        }
    }

    /// What a part holds.
    pub fn part(&self, part: Part) -> &PartRows {
        match part {
            Part::Train => &self.train,
            Part::Valid => &self.valid,
            Part::Test => &self.test,
        }
    }

    /// The column it goes by.
    pub fn column(&self) -> Option<&str> {
        match &self.rule {
            Rule::Time { column, .. } | Rule::Column { column, .. } => Some(column),
            Rule::Position { .. } => None,
        }
    }

    /// The part of a row with this time, where the split goes by a column of whole numbers.
    pub(crate) fn part_at(&self, time: i64) -> Option<Part> {
        match &self.rule {
            Rule::Time { kind: TimeKind::Integer, bounds, .. } => Some(bounds.part(time)),
            Rule::Time { .. } | Rule::Column { .. } | Rule::Position { .. } => None,
        }
    }

    /// Whether each row is of `part`. The batch has the split's column; `file` is the index of its file.
    pub(crate) fn keeps(&self, part: Part, rows: &Rows, file: usize) -> Result<BooleanArray, DataError> {
        let mut keep = Vec::with_capacity(rows.len());
        self.visit(rows, file, |found| keep.push(found == part))?;
        Ok(BooleanArray::from(keep))
    }

    /// Whether the split can be asked about the rows of this source.
    pub(crate) fn fits(&self, source: &Source) -> Result<(), DataError> {
        let Rule::Position { file_rows, .. } = &self.rule else { return Ok(()) };
        let mut known = vec![Some(0_u64); source.files().len()];
        for chunk in source.chunks() {
            known[chunk.file] = known[chunk.file].zip(chunk.rows).map(|(sum, rows)| sum + rows);
        }
        let same = known.len() == file_rows.len()
            && known.iter().zip(file_rows).all(|(found, rows)| found.is_none_or(|found| found == *rows));
        if same {
            return Ok(());
        }
        let problem =
            "was made by the positions of rows in other files than these; split by a column to be free of them";
        Err(DataError::config("data.split", problem))
    }

    /// Says the part of each row in turn.
    fn visit(&self, rows: &Rows, file: usize, mut found: impl FnMut(Part)) -> Result<(), DataError> {
        match &self.rule {
            Rule::Time { column, kind, bounds } => {
                kind.visit(rows, column, |key| found(bounds.part(key)))?;
            }
            Rule::Column { column, seed, bounds } => {
                let cells = rows.column(column)?;
                let mut text = String::new();
                for index in 0..rows.len() {
                    found(bounds.part(hash_cell(cells, index, split_seed(*seed), &mut text)));
                }
            }
            Rule::Position { file_rows, seed, bounds } => {
                let before: u64 = file_rows.iter().take(file).sum();
                for index in 0..rows.len() {
                    let position = before + rows.number(index);
                    found(bounds.part(xxh3_64_with_seed(&position.to_le_bytes(), split_seed(*seed))));
                }
            }
        }
        Ok(())
    }

    /// The split with its parts counted.
    fn counted(rule: Rule, config: &SplitConfig, source: &Source) -> Result<Split, DataError> {
        let none = PartRows::default;
        let mut split = Split { rule, train: none(), valid: none(), test: none() };
        let columns: Vec<String> = split.column().map(str::to_owned).into_iter().collect();
        let mut counts = [0_u64; 3];
        each_batch(source, &columns, |rows, file| split.visit(rows, file, |part| counts[part as usize] += 1))?;
        for (part, share) in [(Part::Train, 1.0), (Part::Valid, config.valid), (Part::Test, config.test)] {
            if counts[part as usize] == 0 && share > 0.0 {
                let by = split.column().map_or("the positions of rows".to_owned(), |column| format!("`{column}`"));
                let problem = format!(
                    "hashing {by} leaves no row for {part:?}: there are {} rows in all and too few different values; try another seed or other shares",
                    counts.iter().sum::<u64>()
                );
                return Err(DataError::config("data.split", problem));
            }
        }
        split.train.rows = counts[Part::Train as usize];
        split.valid.rows = counts[Part::Valid as usize];
        split.test.rows = counts[Part::Test as usize];
        Ok(split)
    }
}

impl SplitConfig {
    /// Refuses what no data could satisfy.
    ///
    /// # Errors
    /// [`DataError::Config`] with the key as the experiment file names it.
    pub fn check(&self) -> Result<(), DataError> {
        for (key, share) in [("data.split.valid", self.valid), ("data.split.test", self.test)] {
            if !(0.0..1.0).contains(&share) {
                return Err(DataError::config(
                    key,
                    format!("{share} is not a share of the rows, which is at least 0 and below 1"),
                ));
            }
        }
        if self.valid + self.test >= 1.0 {
            let problem =
                format!("valid and test together take {} of the rows and leave none for train", self.valid + self.test);
            return Err(DataError::config("data.split", problem));
        }
        if self.valid + self.test == 0.0 {
            return Err(DataError::config("data.split", "valid and test are both 0, so there is nothing to split"));
        }
        match (self.by, &self.column) {
            (SplitBy::Time, None) => {
                Err(DataError::config("data.split.column", "`by = \"time\"` needs the column of times"))
            }
            (SplitBy::Group, None) => Err(DataError::config(
                "data.split.column",
                "`by = \"group\"` needs the column whose groups stay together",
            )),
            (SplitBy::Time | SplitBy::Group, Some(_)) | (SplitBy::Random, _) => Ok(()),
        }
    }

    pub(crate) fn hash_bounds(&self) -> HashBounds {
        let scale = (1_u64 << 32) as f64;
        HashBounds {
            test: (self.test * scale).round() as u64,
            valid: ((self.test + self.valid) * scale).round() as u64,
        }
    }
}

impl HashBounds {
    pub(crate) fn part(self, hash: u64) -> Part {
        let upper = hash >> 32;
        if upper < self.test {
            Part::Test
        } else if upper < self.valid {
            Part::Valid
        } else {
            Part::Train
        }
    }
}

/// Reads some columns of a source and hands over each batch with the index of its file.
fn each_batch(
    source: &Source,
    columns: &[String],
    mut visit: impl FnMut(&Rows, usize) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut stream = source.read(columns, Order::InFile)?;
    while let Some(rows) = stream.next() {
        let file = stream.file();
        visit(&rows?, file)?;
    }
    Ok(())
}

/// Rows of each file.
fn file_rows(source: &Source) -> Result<Vec<u64>, DataError> {
    let mut rows = vec![0; source.files().len()];
    if source.rows().is_some() {
        source.chunks().iter().for_each(|chunk| rows[chunk.file] += chunk.rows.unwrap_or(0));
    } else {
        each_batch(source, &[], |batch, file| {
            rows[file] += batch.len() as u64;
            Ok(())
        })?;
    }
    Ok(rows)
}

/// The hash of a cell's text; a missing cell has one that a text could only have by chance.
///
/// A text that is a number or a flag counts as it: a column may be read as text for its feature and as numbers when the split is made, and
/// a group must not fall apart over that. Rows of `7` and `007` are one group then, which leaks nothing.
fn hash_cell(cells: &ArrayRef, index: usize, seed: u64, text: &mut String) -> u64 {
    text.clear();
    if !write_cell(cells, index, text) {
        return xxh3_64_with_seed(b"", !seed);
    }
    let bytes = text.trim_ascii();
    let plain = match bytes.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => as_number(bytes),
        Some(b't' | b'T' | b'f' | b'F') => match bytes {
            "True" | "TRUE" => Some("true".to_owned()),
            "False" | "FALSE" => Some("false".to_owned()),
            _ => None,
        },
        _ => None,
    };
    xxh3_64_with_seed(plain.as_deref().unwrap_or(text).as_bytes(), seed)
}

fn as_number(text: &str) -> Option<String> {
    if let Ok(whole) = text.parse::<i128>() {
        return Some(whole.to_string());
    }
    text.parse::<f64>().ok().map(|number| if number == 0.0 { "0".to_owned() } else { number.to_string() })
}

fn split_seed(seed: u64) -> u64 {
    Seed(seed).stream("split", 0)
}

fn default_share() -> f64 {
    0.1
}
