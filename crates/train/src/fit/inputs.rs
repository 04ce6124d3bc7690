//! The rows of a run: its sources, how they were split, and the encoder fitted on train.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hinet_data::{Encoder, LabelCounts, Need, Order, Part, SchemaConfig, Source, Split, TrainStream};
use hinet_model::{ExampleRow, Examples};
use serde::{Deserialize, Serialize};

use super::stream_config;
use super::warm_start::WarmStart;
use crate::run_folder::{RunFolder, pretty, write_whole};
use crate::{Experiment, TrainError};

/// What `split.json` holds: which files, how large, and where they were cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataRecord {
    train: Vec<FileRecord>,
    valid: Vec<FileRecord>,
    test: Vec<FileRecord>,
    /// The bounds found, where valid and test were cut out of train.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileRecord {
    path: PathBuf,
    #[serde(flatten)]
    size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Size {
    /// Of a file.
    Bytes(u64),
    /// Of a table in memory.
    Rows(u64),
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Size::Bytes(bytes) => write!(f, "{bytes} bytes long"),
            Size::Rows(rows) => write!(f, "{rows} rows long"),
        }
    }
}

/// The opened sources with the encoder.
pub(crate) struct Inputs {
    pub(crate) train: Source,
    pub(crate) valid: Option<Source>,
    pub(crate) test: Option<Source>,
    pub(crate) encoder: Arc<Encoder>,
    record: DataRecord,
}

/// The data of several runs: read, split and fitted once, and encoded rows kept between runs as far as `data.cache_mb`
/// goes, or in `data.cache_dir`.
pub(crate) struct Shared {
    pub(crate) inputs: Arc<Inputs>,
    pub(crate) stream: TrainStream,
}

const ENCODER: &str = "encoder.json";
const TRAIN: &str = "`data.train` is no option";

impl Shared {
    pub(crate) fn new(inputs: Inputs, experiment: &Experiment) -> Result<Shared, TrainError> {
        let stream = inputs.stream(experiment)?;
        Ok(Shared { inputs: Arc::new(inputs), stream })
    }

    /// The inputs for a run in this folder; refused if it was begun on other data.
    pub(crate) fn inputs(&self, folder: &RunFolder) -> Result<Arc<Inputs>, TrainError> {
        if let Some(was) = DataRecord::read(folder)? {
            was.same_files(folder.path(), &self.inputs.record)?;
        }
        Ok(Arc::clone(&self.inputs))
    }
}

impl DataRecord {
    /// The files of train, valid and test as they are now, before any split.
    fn of([train, valid, test]: &[Option<Source>; 3]) -> Result<DataRecord, TrainError> {
        let [train, valid, test] = [train, valid, test].map(|source| files(source.as_ref()));
        Ok(DataRecord { train: train?, valid: valid?, test: test?, split: None })
    }

    /// The record of a run, if it came so far as to write one.
    fn read(folder: &RunFolder) -> Result<Option<DataRecord>, TrainError> {
        if !folder.split().is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(folder.split()).map_err(TrainError::io(&folder.split()))?;
        let damaged =
            |error: serde_json::Error| TrainError::Damaged { path: folder.split(), reason: error.to_string() };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Refuses files that are not those of a run that was begun before.
    fn same_files(&self, run: &Path, now: &DataRecord) -> Result<(), TrainError> {
        let parts = [(&self.train, &now.train), (&self.valid, &now.valid), (&self.test, &now.test)];
        parts.into_iter().try_for_each(|(was, now)| same_files(run, was, now))
    }
}

impl Inputs {
    /// Opens the sources, resolves the split and fits the encoder on train.
    pub(crate) fn prepare(experiment: &Experiment) -> Result<Inputs, TrainError> {
        let sources = open(experiment)?;
        let resolve = |config| Split::resolve(config, sources[0].as_ref().expect(TRAIN));
        let split = experiment.data.split.as_ref().map(resolve).transpose()?;
        let record = DataRecord { split, ..DataRecord::of(&sources)? };
        let [train, valid, test] = parts(experiment, sources, record.split.as_ref());
        let train = train.expect("a split has a train part");
        let schema = SchemaConfig {
            data: &experiment.data,
            scenario: &experiment.scenario,
            tasks: &experiment.tasks,
            features: &experiment.features,
        };
        let encoder = Arc::new(Encoder::fit(&schema, &train)?);
        if encoder.layout().train_rows() == 0 {
            return Err(TrainError::NoRows {
                part: "train",
                hint: "look at the files of `data.train` and at `data.split`",
            });
        }
        Ok(Inputs { train, valid, test, encoder, record })
    }

    /// The same rows for a run that goes on from another one: what that one knows keeps its numbers.
    pub(crate) fn warm(self, warm: Option<&WarmStart<'_>>) -> Result<Inputs, TrainError> {
        let Some(warm) = warm else { return Ok(self) };
        let encoder = Arc::new(warm.encoder(&self.encoder)?);
        Ok(Inputs { encoder, ..self })
    }

    /// Refuses a task that has nothing to tell apart. A run that is continued was asked when it began.
    pub(crate) fn check_classes(&self) -> Result<(), TrainError> {
        for (task, labels) in self.encoder.layout().tasks.iter().zip(self.encoder.labels()) {
            if let Some((found, rows)) = one_class(*labels) {
                return Err(TrainError::OneClass { task: task.name.clone(), found, rows });
            }
        }
        Ok(())
    }

    /// Opens the sources of a run that is continued, and takes its split and its encoder. `None` if the run had not come
    /// so far as to write them.
    pub(crate) fn resume(experiment: &Experiment, folder: &RunFolder) -> Result<Option<Inputs>, TrainError> {
        let encoder_path = folder.checkpoint().join(ENCODER);
        let record = if encoder_path.is_file() { DataRecord::read(folder)? } else { None };
        let Some(record) = record else { return Ok(None) };
        let sources = open(experiment)?;
        record.same_files(folder.path(), &DataRecord::of(&sources)?)?;
        let [train, valid, test] = parts(experiment, sources, record.split.as_ref());
        let train = train.expect("a split has a train part");
        let json = std::fs::read_to_string(&encoder_path).map_err(TrainError::io(&encoder_path))?;
        let encoder = Arc::new(Encoder::from_json(&json, &encoder_path)?);
        Ok(Some(Inputs { train, valid, test, encoder, record }))
    }

    /// The training rows as a run wants them.
    pub(crate) fn stream(&self, experiment: &Experiment) -> Result<TrainStream, TrainError> {
        let stream = TrainStream::new(&self.train, Arc::clone(&self.encoder), stream_config(experiment));
        match &experiment.data.cache_dir {
            Some(folder) => Ok(stream.cached_in(Path::new(folder))?),
            None => Ok(stream),
        }
    }

    /// Training rows that the artefact is to hold, at most so many, of as many scenarios as the first few thousand rows have.
    pub(crate) fn examples(&self, most: usize) -> Result<Vec<ExampleRow>, TrainError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let encoder = &self.encoder;
        let train = self.train.with_text_columns(&encoder.text_columns());
        let first = train.read(&encoder.columns(Need::Features), Order::InFile)?.next().transpose()?;
        Ok(first.map_or(Ok(Vec::new()), |rows| Examples::choose(encoder, &rows, most))?)
    }

    /// Writes down which files were read, of which size, and where they were cut.
    pub(crate) fn save_record(&self, folder: &RunFolder) -> Result<(), TrainError> {
        write_whole(&folder.split(), pretty(&self.record).as_bytes())
    }

    /// Writes down what [`Inputs::resume`] takes up, unless it is there.
    pub(crate) fn save(&self, folder: &RunFolder) -> Result<(), TrainError> {
        if folder.split().is_file() && folder.checkpoint().join(ENCODER).is_file() {
            return Ok(());
        }
        self.save_record(folder)?;
        let checkpoint = folder.checkpoint();
        std::fs::create_dir_all(&checkpoint).map_err(TrainError::io(&checkpoint))?;
        write_whole(&checkpoint.join(ENCODER), self.encoder.to_json().as_bytes())
    }
}

/// What was found in place of two classes, with the rows observed.
fn one_class(labels: LabelCounts) -> Option<(&'static str, u64)> {
    match labels {
        LabelCounts { negatives: 0, positives: 0 } => Some(("no label was observed", 0)),
        LabelCounts { negatives, positives: 0 } => Some(("every label is 0", negatives)),
        LabelCounts { negatives: 0, positives } => Some(("every label is 1", positives)),
        LabelCounts { .. } => None,
    }
}

/// The rows that a finished run was measured on, with their name: test, or else valid, or train.
///
/// # Errors
/// If the files are not those of the run any more.
pub(crate) fn own_rows(experiment: &Experiment, folder: &RunFolder) -> Result<(&'static str, Source), TrainError> {
    let [train, valid, test] = parts_of_run(experiment, folder)?;
    let found = [("test", test), ("valid", valid), ("train", train)];
    let first = found.into_iter().find_map(|(part, source)| Some((part, source?)));
    Ok(first.expect("a split has a train part"))
}

/// The rows of one part of a finished run's data, if it has any.
///
/// # Errors
/// If the files are not those of the run any more.
pub(crate) fn part_of_run(
    experiment: &Experiment,
    folder: &RunFolder,
    part: Part,
) -> Result<Option<Source>, TrainError> {
    let [train, valid, test] = parts_of_run(experiment, folder)?;
    Ok(match part {
        Part::Train => train,
        Part::Valid => valid,
        Part::Test => test,
    })
}

fn parts_of_run(experiment: &Experiment, folder: &RunFolder) -> Result<[Option<Source>; 3], TrainError> {
    let record = DataRecord::read(folder)?;
    let sources = open(experiment)?;
    if let Some(record) = &record {
        record.same_files(folder.path(), &DataRecord::of(&sources)?)?;
    }
    Ok(parts(experiment, sources, record.and_then(|record| record.split).as_ref()))
}

/// The test rows of a finished run, if it has any.
pub(crate) fn test_of_run(experiment: &Experiment, folder: &RunFolder) -> Result<Option<Source>, TrainError> {
    let split = DataRecord::read(folder)?.and_then(|record| record.split);
    let [_, _, test] = parts(experiment, open(experiment)?, split.as_ref());
    Ok(test)
}

/// Train, valid and test as the experiment names them, before any split.
fn open(experiment: &Experiment) -> Result<[Option<Source>; 3], TrainError> {
    let data = &experiment.data;
    let paths = [Some(&data.train), data.valid.as_ref(), data.test.as_ref()];
    let mut sources = [None, None, None];
    for (source, paths) in sources.iter_mut().zip(paths) {
        *source = paths.map(|paths| experiment.tables.open(paths)).transpose()?;
    }
    Ok(sources)
}

/// The parts that there are.
fn parts(experiment: &Experiment, sources: [Option<Source>; 3], split: Option<&Split>) -> [Option<Source>; 3] {
    let (Some(split), Some(config)) = (split, &experiment.data.split) else { return sources };
    let train = sources[0].as_ref().expect(TRAIN);
    let part = |part, share: f64| (share > 0.0).then(|| train.with_part(split, part));
    [part(Part::Train, 1.0), part(Part::Valid, config.valid), part(Part::Test, config.test)]
}

fn files(source: Option<&Source>) -> Result<Vec<FileRecord>, TrainError> {
    let Some(source) = source else { return Ok(Vec::new()) };
    let size = |path: &Path| {
        let in_memory = source.rows().filter(|_| !source.is_in_files());
        match in_memory {
            Some(rows) => Ok(Size::Rows(rows)),
            None => std::fs::metadata(path).map(|found| Size::Bytes(found.len())).map_err(TrainError::io(path)),
        }
    };
    source.files().iter().map(|path| Ok(FileRecord { path: path.clone(), size: size(path)? })).collect()
}

fn same_files(run: &Path, was: &[FileRecord], now: &[FileRecord]) -> Result<(), TrainError> {
    let size = |files: &[FileRecord], path: &Path| files.iter().find(|file| file.path == path).map(|file| file.size);
    let told = |size: Option<Size>| size.map_or("absent".to_owned(), |size| size.to_string());
    let differs = was.iter().chain(now).find(|file| size(was, &file.path) != size(now, &file.path));
    match differs {
        None => Ok(()),
        Some(FileRecord { path, .. }) => Err(TrainError::DataChanged {
            path: run.to_owned(),
            file: path.clone(),
            was: told(size(was, path)),
            now: told(size(now, path)),
        }),
    }
}
