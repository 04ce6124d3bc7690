//! Where rows go: the part that a split gives them, so that nothing leaks from one part to another.

use std::path::{Path, PathBuf};

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::file::RowFile;
use super::table::{Cell, Kind};
use crate::error::DataError;
use crate::seed::Seed;
use crate::source::Source;
use crate::split::{HashBounds, Part, Split, SplitBy, SplitConfig};

/// A row and what a split may go by.
pub(super) struct Row<'a> {
    /// In the order of the columns.
    pub(super) cells: &'a [Cell<'a>],
    /// The part in which it was published.
    pub(super) recorded: Part,
    /// Rows that are equal in this are never parted at random: copies of a row, items of one search.
    pub(super) together: &'a [u8],
    /// Its user, where there are users.
    pub(super) user: &'a [u8],
}

/// What decides the part of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cut {
    /// The part in which it was published; a share of one of these becomes valid.
    Recorded { of: Part, valid: f64 },
    /// A hash of what stays together.
    Random { valid: f64, test: f64 },
    /// A hash of its user.
    User { valid: f64, test: f64 },
    /// This column, a time.
    Time { column: &'static str, valid: f64, test: f64 },
}

/// The files of the parts, and what is told of rows that did not get there.
pub(super) struct Sink<'a> {
    folder: PathBuf,
    columns: Vec<(String, Kind)>,
    cut: Cut,
    files: Files,
    seed: u64,
    /// Broken lines that may be passed over.
    may_skip: u64,
    /// What was said of those that were.
    pub(super) broken: Vec<String>,
    /// Rows that a convention leaves out.
    pub(super) left_out: u64,
    rows: u64,
    progress: &'a mut dyn FnMut(u64),
}

/// Rows of the parts.
pub(super) type Counts = [u64; 3];

enum Files {
    /// Each row's part is known when it comes.
    Parts(Vec<(Part, RowFile)>),
    /// The times must all be known first.
    Whole(Box<RowFile>),
}

pub(super) const PARTS: [(Part, &str); 3] = [(Part::Train, "train"), (Part::Valid, "valid"), (Part::Test, "test")];

impl Cut {
    /// Whether a part is wanted at all.
    pub(super) fn wants(self, part: Part) -> bool {
        match (self, part) {
            (_, Part::Train) | (Cut::Recorded { .. }, Part::Test) => true,
            (Cut::Recorded { valid, .. }, Part::Valid) => valid > 0.0,
            (Cut::Random { valid, .. } | Cut::User { valid, .. } | Cut::Time { valid, .. }, Part::Valid) => valid > 0.0,
            (Cut::Random { test, .. } | Cut::User { test, .. } | Cut::Time { test, .. }, Part::Test) => test > 0.0,
        }
    }

    /// The part of a row; nothing where it takes all rows to say.
    fn part(self, row: &Row<'_>, seed: u64) -> Option<Part> {
        let drawn = |valid, test, bytes| bounds(valid, test).part(xxh3_64_with_seed(bytes, seed));
        Some(match self {
            Cut::Recorded { of, valid } if row.recorded == of && drawn(valid, 0.0, row.together) == Part::Valid => {
                Part::Valid
            }
            Cut::Recorded { .. } => row.recorded,
            Cut::Random { valid, test } => drawn(valid, test, row.together),
            Cut::User { valid, test } => drawn(valid, test, row.user),
            Cut::Time { .. } => return None,
        })
    }
}

fn bounds(valid: f64, test: f64) -> HashBounds {
    SplitConfig { by: SplitBy::Random, column: None, valid, test, seed: 0 }.hash_bounds()
}

impl<'a> Sink<'a> {
    /// Opens files in `folder`. Broken lines beyond `may_skip` are refused; `progress` is told the rows so far.
    pub(super) fn new(
        folder: &Path,
        columns: Vec<(String, Kind)>,
        cut: Cut,
        seed: Seed,
        progress: &'a mut dyn FnMut(u64),
    ) -> Result<Sink<'a>, DataError> {
        let wanted = PARTS.into_iter().filter(|(part, _)| cut.wants(*part));
        let file = |name: &str| RowFile::create(folder.join(format!("{name}.parquet")), &columns);
        let files = match cut {
            Cut::Time { .. } => Files::Whole(Box::new(file(WHOLE)?)),
            Cut::Recorded { .. } | Cut::Random { .. } | Cut::User { .. } => {
                Files::Parts(wanted.map(|(part, name)| Ok((part, file(name)?))).collect::<Result<_, DataError>>()?)
            }
        };
        let seed = seed.stream("convert split", 0);
        let (folder, broken) = (folder.to_owned(), Vec::new());
        Ok(Sink { folder, columns, cut, files, seed, may_skip: 0, broken, left_out: 0, rows: 0, progress })
    }

    /// This many broken lines are passed over.
    pub(super) fn may_skip(self, lines: u64) -> Sink<'a> {
        Sink { may_skip: lines, ..self }
    }

    /// What was read of a line; nothing where it is broken and may be passed over.
    pub(super) fn allow<T>(&mut self, read: Result<T, DataError>) -> Result<Option<T>, DataError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error @ (DataError::BadLine { .. } | DataError::BadField { .. }))
                if (self.broken.len() as u64) < self.may_skip =>
            {
                self.broken.push(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), DataError> {
        self.rows += 1;
        if self.rows.is_multiple_of(4096) {
            (self.progress)(self.rows);
        }
        let part = self.cut.part(row, self.seed);
        match &mut self.files {
            Files::Whole(file) => file.push(row.cells),
            Files::Parts(files) => {
                let found = files.iter_mut().find(|(known, _)| Some(*known) == part);
                found.expect("a row's part has a file").1.push(row.cells)
            }
        }
    }

    /// Ends the files. Every part that was wanted has a row.
    pub(super) fn finish(self) -> Result<(Counts, Vec<String>, u64), DataError> {
        (self.progress)(self.rows);
        let mut counts = [0; 3];
        let files = match self.files {
            Files::Parts(files) => files,
            Files::Whole(file) => {
                let path = self.folder.join(format!("{WHOLE}.parquet"));
                if file.finish()? == 0 {
                    return Err(no_rows(&self.folder));
                }
                by_time(&self.folder, &path, &self.columns, self.cut)?
            }
        };
        for (part, file) in files {
            counts[part as usize] = file.finish()?;
        }
        let all: u64 = counts.iter().sum();
        let empty = PARTS.into_iter().find(|(part, _)| self.cut.wants(*part) && counts[*part as usize] == 0);
        if let Some((_, name)) = empty {
            let problem =
                format!("leaves no row for {name} of {all} rows; try another --seed, other shares or another split");
            return Err(DataError::config("--split", problem));
        }
        Ok((counts, self.broken, self.left_out))
    }
}

/// The file that holds all rows until their times are known.
const WHOLE: &str = "all-rows";

fn no_rows(folder: &Path) -> DataError {
    DataError::Empty { file: folder.to_owned(), problem: "would get no rows: the published files have none to keep" }
}

/// Cuts the file of all rows by time, equal times never parted, and removes it.
fn by_time(
    folder: &Path,
    whole: &Path,
    columns: &[(String, Kind)],
    cut: Cut,
) -> Result<Vec<(Part, RowFile)>, DataError> {
    let Cut::Time { column, valid, test } = cut else { unreachable!("only times need all rows first") };
    let config = SplitConfig { by: SplitBy::Time, column: Some(column.to_owned()), valid, test, seed: 0 };
    let split = Split::resolve(&config, &Source::open(&[whole.to_owned()])?).map_err(of_option)?;
    let wanted = PARTS.into_iter().filter(|(part, _)| cut.wants(*part));
    let create = |(part, name)| Ok((part, RowFile::create(folder.join(format!("{name}.parquet")), columns)?));
    let mut files = wanted.map(create).collect::<Result<Vec<_>, DataError>>()?;
    let failed = |error| DataError::io("read", whole, error);
    let file = std::fs::File::open(whole).map_err(failed)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|reader| reader.with_batch_size(4096).build());
    for batch in reader.map_err(|error| failed(std::io::Error::other(error)))? {
        let batch = batch.map_err(|error| failed(std::io::Error::other(error)))?;
        let times = batch[column].as_primitive::<Int64Type>();
        let parts: Vec<_> = times.values().iter().map(|time| split.part_at(*time)).collect();
        for (part, file) in &mut files {
            let keep: BooleanArray = parts.iter().map(|found| Some(*found == Some(*part))).collect();
            if keep.true_count() > 0 {
                let kept = filter_record_batch(&batch, &keep);
                file.write(&kept.map_err(|error| failed(std::io::Error::other(error)))?)?;
            }
        }
    }
    std::fs::remove_file(whole).map_err(|error| DataError::io("write", whole, error))?;
    Ok(files)
}

/// What an experiment file would be told, told to the command line.
fn of_option(error: DataError) -> DataError {
    if let DataError::Config { problem, .. } = error { DataError::config("--split", problem) } else { error }
}
