//! Why a server does not start, or a model is not taken.

use std::path::PathBuf;

use hinet_data::DataError;
use hinet_model::ModelError;

/// Everything that keeps a server from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting that makes no sense.
    #[error("`{key}` is {found}, expected {expected}")]
    Config {
        /// The key, dotted.
        key: String,
        /// What was written.
        found: String,
        /// What would do.
        expected: String,
    },
    /// No model at all.
    #[error("there is no model to serve: name a run folder, or models in `serve.toml`")]
    NoModel,
    /// Two models of one name, which cannot be told apart.
    #[error("two models are named `{name}`; give one of them another `name` in `serve.toml`")]
    TwoModels {
        /// The name.
        name: String,
    },
    /// A folder without an artefact.
    #[error("{}: neither a finished run folder nor an artefact: there is no `model/manifest.json` and no `manifest.json`", path.display())]
    NoArtefact {
        /// The folder.
        path: PathBuf,
    },
    /// A watched folder in which nothing can be served.
    #[error("{}: has no folder that is named by a number and holds a finished run or an artefact", path.display())]
    NoVersion {
        /// The folder.
        path: PathBuf,
    },
    /// Versions that cannot answer the same requests.
    #[error(
        "model `{model}`: versions {} and {} have other {what}: `{name}` is in one of them alone; versions beside each other must \
         read the same columns and have the same tasks: give them models of their own", versions[0], versions[1]
    )]
    VersionsDiffer {
        /// The model.
        model: String,
        /// The two.
        versions: [String; 2],
        /// `columns` or `tasks`.
        what: &'static str,
        /// The first that one of them lacks.
        name: String,
    },
    /// A model that does not do what it did when it was saved.
    #[error("{}: the model failed its self-test: {problem}", path.display())]
    SelfTest {
        /// Its folder.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The artefact cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An expression or an encoder is not what it should be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The system refused threads.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
}

impl ServeError {
    /// Whether the settings were wrong rather than the models or the machine.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            ServeError::Config { .. }
            | ServeError::NoModel
            | ServeError::TwoModels { .. }
            | ServeError::VersionsDiffer { .. } => true,
            ServeError::Data(error) => error.is_usage(),
            ServeError::Model(error) => error.is_usage(),
            ServeError::NoArtefact { .. }
            | ServeError::NoVersion { .. }
            | ServeError::SelfTest { .. }
            | ServeError::File { .. }
            | ServeError::Listen { .. }
            | ServeError::Threads(_) => false,
        }
    }
}
