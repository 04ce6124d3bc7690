//! What can go wrong with a model: its configuration, or the files of an artefact.

use std::path::{Path, PathBuf};

use hinet_data::DataError;

/// A configuration that makes no model, or an artefact that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// An option that does not exist.
    #[error("`{key}` is no option of {owner}{}; it has: {known}", did_you_mean(.suggestion))]
    UnknownOption {
        /// What was written.
        key: String,
        /// What was configured, such as "preset `hinet`".
        owner: String,
        /// The nearest name there is.
        suggestion: Option<String>,
        /// All names there are.
        known: String,
    },
    /// An option with a value that it cannot have.
    #[error("`{key}` is {value}, expected {expected}")]
    BadOption {
        /// The option, dotted where nested.
        key: String,
        /// What was written.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A file of the artefact is not there.
    #[error("{}: not found; expected {expected}", .file.display())]
    MissingFile {
        /// The file, or the folder itself.
        file: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
    /// A file of the artefact holds something else than was saved.
    #[error("{}: {found}; expected {expected}", .file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What was found.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A row of the artefact scores otherwise than when it was saved.
    #[error("example {row} scores {found} for task `{task}`, expected {was}, as it did when the model was saved")]
    Example {
        /// 1-based.
        row: usize,
        /// The task.
        task: String,
        /// The score here.
        found: f32,
        /// The score then.
        was: f32,
    },
    /// The artefact is of a version that this program does not read.
    #[error("{}: format version {found}; this hinet reads {oldest} to {newest}", .file.display())]
    Version {
        /// The manifest.
        file: PathBuf,
        /// Its version.
        found: u64,
        /// The oldest version that is read.
        oldest: u32,
        /// The newest version that is read, which is the one that is written.
        newest: u32,
    },
    /// The state of an optimiser that belongs to other tables.
    #[error("the state `{name}` has {found} numbers, expected {expected}")]
    State {
        /// Table and part.
        name: String,
        /// Numbers given; 0 where the state is not there.
        found: usize,
        /// Numbers of these tables.
        expected: usize,
    },
    /// An export into a folder that is there already.
    #[error("{} exists already: name another folder", .folder.display())]
    FolderExists {
        /// The folder.
        folder: PathBuf,
    },
    /// An operator of the network that an export cannot express.
    #[error("the model cannot be exported: its operator `{operator}` has no counterpart, {reason}")]
    Untranslatable {
        /// The operator.
        operator: String,
        /// Why not.
        reason: String,
    },
    /// An export that scores differently from the model.
    #[error(
        "the export scores row {row} of the sample {found} for the task `{task}`, and the model {expected}: nothing was \
         kept; please report this with the model's config"
    )]
    Parity {
        /// Place of the row in the sample, from 0.
        row: usize,
        /// The task.
        task: String,
        /// The export's probability.
        found: f32,
        /// The model's.
        expected: f32,
    },
    /// The system refused to read or write; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The saved encoder cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl ModelError {
    /// Whether the configuration is at fault, not a file (exit code 2, not 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            ModelError::UnknownOption { .. } | ModelError::BadOption { .. } | ModelError::FolderExists { .. } => true,
            ModelError::MissingFile { .. }
            | ModelError::Untranslatable { .. }
            | ModelError::Parity { .. }
            | ModelError::Corrupt { .. }
            | ModelError::Version { .. }
            | ModelError::Example { .. }
            | ModelError::State { .. }
            | ModelError::Io(_) => false,
            ModelError::Data(error) => error.is_usage(),
        }
    }

    pub(crate) fn corrupt(file: &Path, found: impl Into<String>, expected: impl Into<String>) -> ModelError {
        ModelError::Corrupt { file: file.to_owned(), found: found.into(), expected: expected.into() }
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}
