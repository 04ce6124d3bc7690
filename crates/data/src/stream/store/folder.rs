//! The folder of files of encoded rows: names, and what is taken away. Only what is known to be such a file is; what cannot be looked at or
//! removed stays, since a run can do without tidiness.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{HEAD, Key, read_head};

/// Files that a folder keeps: those used last.
const KEPT: usize = 4;
/// So long nobody asks whether the writer of an unfinished file is still there: it may be on a machine whose locks are not seen here.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// So old is an unfinished file that nobody writes any more, where there are no locks to tell.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A name beside `path` that nobody else writes to, whatever their process ids.
pub(super) fn beside(path: &Path) -> PathBuf {
    let random = RandomState::new().build_hasher().finish();
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{random:016x}.new", std::process::id()));
    path.with_file_name(name)
}

/// Notes that a file is in use, for [`prune`].
pub(super) fn used(file: &File) {
    // A file of somebody else's may be read all the same.
    let _ = file.set_modified(SystemTime::now());
}

/// Takes away what writers that are gone left unfinished.
pub(in crate::stream) fn sweep(folder: &Path) {
    for path in files(folder).into_iter().filter(|path| is_unfinished(path)) {
        if is_abandoned(&path).unwrap_or(false) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Once `newest` is written: takes away the rows of what its data files were before, which nobody can ask for again, and of all others but
/// those used last.
pub(super) fn prune(newest: &Path, key: &Key) {
    let mut others = Vec::new();
    for path in files(newest.parent().unwrap_or(Path::new("."))) {
        if path.file_name() == newest.file_name() || path.extension().is_none_or(|extension| extension != "rows") {
            continue;
        }
        let Some((_, other)) = File::open(&path).ok().and_then(|mut file| read_head(&mut file)) else { continue };
        if key.outdates(&other) {
            let _ = std::fs::remove_file(&path);
        } else if let Ok(used) = std::fs::metadata(&path).and_then(|found| found.modified()) {
            others.push((used, path));
        }
    }
    others.sort_unstable();
    let surplus = (others.len() + 1).saturating_sub(KEPT);
    for (_, path) in &others[..surplus] {
        let _ = std::fs::remove_file(path);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let file = |entry: std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file()).then(|| entry.path());
    entries.flatten().filter_map(file).collect()
}

/// Whether a file has a name by [`beside`], and nothing in it or the beginning of encoded rows.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut start = Vec::new();
    let read = |start: &mut Vec<u8>| File::open(path)?.take(HEAD.len() as u64).read_to_end(start);
    name.starts_with('.')
        && name.contains(".rows.")
        && name.ends_with(".new")
        && read(&mut start).is_ok()
        && (start.is_empty() || start == HEAD)
}

/// Whether nobody writes an unfinished file any more.
fn is_abandoned(path: &Path) -> io::Result<bool> {
    // A time to come is none that has passed.
    let age = std::fs::metadata(path)?.modified()?.elapsed().unwrap_or_default();
    if age < PATIENCE {
        return Ok(false);
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    Ok(match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => age > STALE,
    })
}
