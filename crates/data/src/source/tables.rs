//! Tables that a program hands over, and the paths that stand for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::Source;
use crate::error::DataError;
use crate::schema::Paths;

/// What a path of `[data]` begins with that stands for a table.
const PREFIX: &str = "memory:";

/// Tables that a program hands over, by name: `memory:clicks` in `[data]` is the table `clicks`. The command line has none.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use hinet_data::{Paths, Source, Tables};
/// let users: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
/// let batch = RecordBatch::try_from_iter([("user", users)])?;
/// let clicks = Source::from_table("<clicks>", &batch.schema(), &[batch])?;
/// let tables = Tables::default().with("clicks", clicks);
/// assert_eq!(tables.open(&Paths::One(Tables::path("clicks")))?.rows(), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tables {
    by_name: BTreeMap<String, Source>,
}

impl Tables {
    /// These and one more, which takes the place of one of the same name.
    #[must_use]
    pub fn with(mut self, name: &str, source: Source) -> Tables {
        self.by_name.insert(name.to_owned(), source);
        self
    }

    /// The path that stands for a table.
    #[must_use]
    pub fn path(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    /// Whether a path stands for a table rather than a file.
    #[must_use]
    pub fn is_table(path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    /// The rows that absolute paths of `[data]` stand for: a table, or files.
    ///
    /// # Errors
    /// If there is no such table, a table stands beside other paths, or as [`Source::open`].
    pub fn open(&self, paths: &Paths) -> Result<Source, DataError> {
        let Some(path) = paths.iter().find(|path| Tables::is_table(path)) else {
            return Source::open(&paths.resolve(Path::new("")));
        };
        if paths.iter().count() > 1 {
            return Err(DataError::config("data", format!("`{path}` is a table in memory, which has to stand alone")));
        }
        let name = path.strip_prefix(PREFIX).unwrap_or(path);
        self.by_name.get(name).cloned().ok_or_else(|| {
            let problem = format!(
                "`{path}` is a table that the program had in memory which trained, and that is gone; name files"
            );
            DataError::config("data", problem)
        })
    }
}

/// Equal where they hold the very same tables: cells are not compared.
impl PartialEq for Tables {
    fn eq(&self, other: &Tables) -> bool {
        let same = |(left, right): ((&String, &Source), (&String, &Source))| {
            left.0 == right.0 && Arc::ptr_eq(&left.1.inner, &right.1.inner)
        };
        self.by_name.len() == other.by_name.len() && self.by_name.iter().zip(&other.by_name).all(same)
    }
}
