//! From what the user wrote to a list of files: folders and globs are opened up, and every file has a format.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{DataError, nearest};

/// A file to read and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) packing: Packing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Csv,
    JsonLines,
}

/// How a text file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// All files that `paths` stand for, sorted by name within each path, none twice.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<DataFile>, DataError> {
    let mut files: Vec<DataFile> = Vec::new();
    for path in paths {
        for file in expand_one(path)? {
            if files.iter().any(|known| known.path == file.path) {
                let problem = format!("`{}` is named twice; its rows would count twice", file.path.display());
                return Err(DataError::config("data", problem));
            }
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(DataError::config("data", "names no file"));
    }
    Ok(files)
}

/// The format that a file's ending names.
pub(super) fn file_format(path: &Path) -> Option<(Format, Packing)> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    if name.ends_with(".parquet") {
        return Some((Format::Parquet, Packing::Plain));
    }
    let (stem, packing) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
        (Some(stem), _) => (stem, Packing::Gzip),
        (None, Some(stem)) => (stem, Packing::Zstd),
        (None, None) => (name.as_str(), Packing::Plain),
    };
    let format = match stem.rsplit_once('.')?.1 {
        "csv" => Format::Csv,
        "jsonl" => Format::JsonLines,
        _ => return None,
    };
    Some((format, packing))
}

fn expand_one(path: &Path) -> Result<Vec<DataFile>, DataError> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => in_folder(path),
        Ok(_) => known_file(path).map(|file| vec![file]),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_glob(path) => in_glob(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(DataError::NotFound { path: path.to_owned(), near: nearest_file(path) })
        }
        Err(error) => Err(DataError::io("read", path, error)),
    }
}

fn known_file(path: &Path) -> Result<DataFile, DataError> {
    match file_format(path) {
        Some((format, packing)) => Ok(DataFile { path: path.to_owned(), format, packing }),
        None => Err(DataError::UnknownFormat { path: path.to_owned() }),
    }
}

/// The data files directly inside; others (licences, markers, checksums, hidden ones) are passed over.
fn in_folder(folder: &Path) -> Result<Vec<DataFile>, DataError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| DataError::io("list", folder, error))? {
        let path = entry.map_err(|error| DataError::io("list", folder, error))?.path();
        let hidden = path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(['.', '_']));
        if let (false, true, Some((format, packing))) = (hidden, path.is_file(), file_format(&path)) {
            files.push(DataFile { path, format, packing });
        }
    }
    if files.is_empty() {
        return Err(DataError::NoFiles {
            path: folder.to_owned(),
            problem: "is a folder without a data file directly inside",
        });
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn is_glob(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains(['*', '?', '[']))
}

fn in_glob(pattern: &Path) -> Result<Vec<DataFile>, DataError> {
    let text = pattern.to_string_lossy();
    let matches = glob::glob(&text).map_err(|error| {
        DataError::config("data", format!("`{text}` is not a glob: {} at {}", error.msg, error.pos))
    })?;
    let mut files = Vec::new();
    for found in matches {
        let path = found.map_err(|error| {
            let path = error.path().to_owned();
            DataError::io("list", &path, error.into())
        })?;
        if path.is_file() {
            files.push(known_file(&path)?);
        }
    }
    if files.is_empty() {
        return Err(DataError::NoFiles { path: pattern.to_owned(), problem: "matches no file" });
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

/// The name in the same folder that looks most like the one asked for.
pub(crate) fn nearest_file(path: &Path) -> Option<String> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut names: Vec<String> =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_name_format_and_packing_whatever_their_case() {
        let of = |name: &str| file_format(Path::new(name));
        assert_eq!(of("a/b.parquet"), Some((Format::Parquet, Packing::Plain)));
        assert_eq!(of("A.CSV.GZ"), Some((Format::Csv, Packing::Gzip)));
        assert_eq!(of("a.b.jsonl.zst"), Some((Format::JsonLines, Packing::Zstd)));
        assert_eq!(of("a.parquet.gz"), None);
        assert_eq!(of("csv"), None);
        assert_eq!(of("a.gz"), None);
        assert_eq!(of("a.txt"), None);
    }
}
