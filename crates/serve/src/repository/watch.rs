//! Folders whose newest version is served.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::version::artefact_folder;

/// The version of the largest number in a folder.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) number: u64,
    pub(super) folder: PathBuf,
    pub(super) stamp: Stamp,
}

/// What tells one state of a version's files from another, without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    folder: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
}

/// The version of the largest number, of those whose artefact is complete: a manifest is written last.
pub(super) fn newest(folder: &Path) -> Option<Newest> {
    let entries = std::fs::read_dir(folder).ok()?;
    let versions = entries.filter_map(|entry| {
        let folder = entry.ok()?.path();
        let number: u64 = folder.file_name()?.to_str()?.parse().ok()?;
        let manifest = std::fs::metadata(artefact_folder(&folder)?.join("manifest.json")).ok()?;
        let stamp = Stamp { folder: folder.clone(), bytes: manifest.len(), changed: manifest.modified().ok() };
        Some(Newest { number, folder, stamp })
    });
    versions.max_by_key(|version| version.number)
}
