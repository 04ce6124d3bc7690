//! A small file that others refer to by a key, in memory: users and films, whose number does not grow with the rows.

use std::path::PathBuf;

use hashbrown::HashMap;

use super::lines::{At, Line, Lines};
use crate::error::DataError;

/// Lines by their keys.
pub(super) struct Side {
    path: PathBuf,
    lines: HashMap<i64, (u64, Box<[u8]>)>,
}

impl Side {
    /// Reads what is left of a file; `key` finds the key of a line.
    pub(super) fn read(mut lines: Lines, key: impl Fn(Line<'_>) -> Result<i64, DataError>) -> Result<Side, DataError> {
        let mut side = Side { path: lines.path().to_owned(), lines: HashMap::new() };
        while let Some(line) = lines.next()? {
            let key = key(line)?;
            if let Some((first, _)) = side.lines.insert(key, (line.at.line, line.bytes.into())) {
                return Err(line.at.bad_line(format!("its key `{key}` stands in line {first} already")));
            }
        }
        Ok(side)
    }

    /// All lines, in the order of the file.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut lines: Vec<&(u64, Box<[u8]>)> = self.lines.values().collect();
        lines.sort_unstable_by_key(|(line, _)| *line);
        lines.into_iter().map(|(line, bytes)| Line { at: At { file: &self.path, line: *line }, bytes })
    }

    /// The line with this key.
    pub(super) fn get(&self, key: i64) -> Option<Line<'_>> {
        let (line, bytes) = self.lines.get(&key)?;
        Some(Line { at: At { file: &self.path, line: *line }, bytes })
    }
}
