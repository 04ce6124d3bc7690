//! Public data sets from the form in which they were published to Parquet and an experiment file.
//!
//! ```text
//! published files -> lines -> (join through buckets on disk) -> rows -> part by the split -> train, valid, test .parquet
//! ```
//!
//! Values stay as they were published: what they mean to a model is the encoder's business. Memory holds a batch of rows,
//! the row groups being written, one bucket of a join, and the users or films where these are few; none of it grows with the
//! rows. A line that does not fit is refused with its file, line, column and value.

mod aliccp;
mod aliexpress;
mod census;
mod experiment;
mod file;
mod join;
mod kuairand;
mod lines;
mod movielens;
mod side;
mod sink;
mod table;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::sink::{Counts, Cut, Sink};
use self::table::Kind;
use crate::durable::{replace_folder, write_synced};
use crate::error::DataError;
use crate::seed::Seed;
use crate::split::Part;

/// A public data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicSet {
    /// Ali-CCP (Ma et al., SIGIR 2018).
    AliCcp,
    /// AliExpress (Li et al., CIKM 2020).
    AliExpress,
    /// KuaiRand-Pure and KuaiRand-1K (Gao et al., CIKM 2022).
    KuaiRand,
    /// MovieLens 1M and 100K (Harper and Konstan, TiiS 2015).
    MovieLens,
    /// Census-Income (KDD), of the UCI archive.
    Census,
}

/// What decides the part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConvertSplit {
    /// Its time: valid is newer than train, test newer than valid; equal times are never parted.
    Time,
    /// The hash of its user: a user is in one part only.
    User,
    /// A hash of what belongs together: copies of a row, items of a search.
    Random,
    /// The part it was published in.
    Recorded,
}

/// What to convert and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvertConfig {
    /// The data set.
    pub set: PublicSet,
    /// Folder with its files, or the folder above.
    pub folder: PathBuf,
    /// What decides the part of a row; without it what is usual for the set.
    pub split: Option<ConvertSplit>,
    /// Share of the rows for validation; without it what is usual for the set and split.
    pub valid: Option<f64>,
    /// Share of the rows for the test; without it a tenth, or what was published.
    pub test: Option<f64>,
    /// What is drawn comes from this number.
    pub seed: u64,
    /// Broken lines that are passed over and told; the next one is refused.
    pub skip_broken: u64,
    /// Keep the rows that the set's convention leaves out.
    pub all_rows: bool,
}

/// What was converted: `convert.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Converted {
    /// The data set.
    pub set: PublicSet,
    /// What decided the part of a row.
    pub split: ConvertSplit,
    /// The seed of the split.
    pub seed: u64,
    /// Share of the rows that were to be for validation; with a recorded split of the part that they were taken from.
    pub valid: f64,
    /// Share of the rows that were to be for the test; nothing where the test rows are the published ones.
    pub test: Option<f64>,
    /// Rows of train, valid and test.
    pub rows: [u64; 3],
    /// Rows that the set's convention leaves out.
    pub left_out: u64,
    /// What was said of each broken line that was passed over.
    pub broken: Vec<String>,
}

impl ConvertConfig {
    /// The settings for a set with every default.
    #[must_use]
    pub fn new(set: PublicSet, folder: &Path) -> ConvertConfig {
        let folder = folder.to_owned();
        ConvertConfig { set, folder, split: None, valid: None, test: None, seed: 0, skip_broken: 0, all_rows: false }
    }
}

/// Converts a set into the folder `out`, which must not exist: `train.parquet`, `valid.parquet` and `test.parquet` (without those of share 0),
/// `hinet.toml` that trains on them, `convert.json` that says how they came about. The folder is there whole or not at all.
///
/// `progress` is told the number of rows so far.
///
/// # Errors
/// Files that are not there, a split that the set does not allow, a line that does not fit, a disk that is full.
pub fn convert(config: &ConvertConfig, out: &Path, progress: &mut dyn FnMut(u64)) -> Result<Converted, DataError> {
    if out.symlink_metadata().is_ok() {
        return Err(DataError::config("--out", format!("`{}` exists already: name another folder", out.display())));
    }
    let mut done = None;
    let filled = replace_folder(out, |folder| {
        done = Some(fill(config, folder, progress)?);
        Ok::<(), Failure>(())
    });
    match filled {
        Ok(()) => Ok(done.expect("a folder that was filled was told about")),
        Err(Failure::Data(error)) => Err(*error),
        Err(Failure::Io(error)) => Err(DataError::io("write", out, error)),
    }
}

/// What can go wrong while a folder is filled.
enum Failure {
    Data(Box<DataError>),
    Io(std::io::Error),
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        Failure::Data(Box::new(error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Io(error)
    }
}

/// A data set whose files were found.
trait Published {
    /// Its columns and what it can be split by.
    fn about(&self) -> About;
    /// Reads its rows. `scratch` names a folder that may be made.
    fn rows(&self, scratch: &Path, sink: &mut Sink<'_>) -> Result<(), DataError>;
    /// The experiment file for so many rows of each part.
    fn experiment(&self, counts: Counts) -> String;
}

/// What can be said of a set before its rows are read. What is not possible has a reason.
struct About {
    columns: Vec<(String, Kind)>,
    /// The usual split.
    split: ConvertSplit,
    /// The part that valid is taken from when the published split is kept, and the usual share of it.
    recorded: Result<(Part, f64), &'static str>,
    /// Whether rows have users.
    users: Result<(), &'static str>,
    /// The column of times.
    time: Result<&'static str, &'static str>,
}

fn fill(config: &ConvertConfig, folder: &Path, progress: &mut dyn FnMut(u64)) -> Result<Converted, DataError> {
    let set = open(config)?;
    let about = set.about();
    let split = config.split.unwrap_or(about.split);
    let cut = cut(config, split, &about)?;
    let sink = Sink::new(folder, about.columns, cut, Seed(config.seed), progress)?;
    let mut sink = sink.may_skip(config.skip_broken);
    set.rows(&folder.join("scratch"), &mut sink)?;
    let (rows, broken, left_out) = sink.finish()?;
    let (valid, test) = cut.shares();
    let converted = Converted { set: config.set, split, seed: config.seed, valid, test, rows, left_out, broken };
    let told = serde_json::to_string_pretty(&converted).expect("numbers and texts are always JSON") + "\n";
    for (name, text) in [("hinet.toml", &set.experiment(rows)), ("convert.json", &told)] {
        let path = folder.join(name);
        let written = write_synced(&path, |file| file.write_all(text.as_bytes()));
        written.map_err(|error| DataError::io("write", &path, error))?;
    }
    Ok(converted)
}

fn open(config: &ConvertConfig) -> Result<Box<dyn Published>, DataError> {
    Ok(match config.set {
        PublicSet::AliCcp => Box::new(aliccp::AliCcp::open(config)?),
        PublicSet::AliExpress => Box::new(aliexpress::AliExpress::open(config)?),
        PublicSet::KuaiRand => Box::new(kuairand::KuaiRand::open(config)?),
        PublicSet::MovieLens => Box::new(movielens::MovieLens::open(config)?),
        PublicSet::Census => Box::new(census::Census::open(config)?),
    })
}

/// The split that was asked for, if the set allows it.
fn cut(config: &ConvertConfig, split: ConvertSplit, about: &About) -> Result<Cut, DataError> {
    const SHARE: f64 = 0.1;
    let refused = |reason: &&str| DataError::config("--split", *reason);
    let (valid, test) = (config.valid.unwrap_or(SHARE), config.test.unwrap_or(SHARE));
    let cut = match split {
        ConvertSplit::Time => Cut::Time { column: about.time.as_ref().map_err(refused)?, valid, test },
        ConvertSplit::User => about.users.as_ref().map_err(refused).map(|()| Cut::User { valid, test })?,
        ConvertSplit::Random => Cut::Random { valid, test },
        ConvertSplit::Recorded => {
            let (of, usual) = *about.recorded.as_ref().map_err(refused)?;
            if config.test.is_some() {
                return Err(DataError::config("--test", "the test rows of a recorded split are the published ones"));
            }
            Cut::Recorded { of, valid: config.valid.unwrap_or(usual) }
        }
    };
    let (valid, test) = cut.shares();
    for (key, share) in [("--valid", valid), ("--test", test.unwrap_or(0.0))] {
        if !(0.0..1.0).contains(&share) {
            return Err(DataError::config(key, format!("{share} is not a share, which is at least 0 and below 1")));
        }
    }
    if valid + test.unwrap_or(0.0) >= 1.0 {
        return Err(DataError::config("--valid", "valid and test together take all rows and leave none for train"));
    }
    Ok(cut)
}

impl Cut {
    /// The shares of valid and test; those of the test are nothing where they were published.
    fn shares(self) -> (f64, Option<f64>) {
        match self {
            Cut::Recorded { valid, .. } => (valid, None),
            Cut::Random { valid, test } | Cut::User { valid, test } | Cut::Time { valid, test, .. } => {
                (valid, Some(test))
            }
        }
    }
}
