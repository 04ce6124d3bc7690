//! What can go wrong with a model.

/// A configuration that makes no model.
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
}

impl ModelError {
    /// Whether the configuration is at fault, not a file (exit code 2, not 1).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            ModelError::UnknownOption { .. } | ModelError::BadOption { .. } => true,
        }
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}
