//! Files and folders that are there whole or not at all, whatever interrupts the writing: written beside, forced to
//! disk, renamed into place.
//!
//! New files get the mode 0644 (less what the umask takes). Errors name the path. Two writers of the same path at the
//! same time are not provided for.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// Writes a file whole, replacing one that is there.
///
/// # Errors
/// If the system refuses; what was there before stays.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// As [`write_atomic`], for content that is written piece by piece.
///
/// # Errors
/// If `fill` fails or the system refuses; what was there before stays.
pub fn write_atomic_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let beside = sibling(path, "new")?;
    let written = write_synced(&beside, fill).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Nothing more can be done about a file that cannot be removed either; the next write replaces it.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_folder(&parent(path))
}

/// Writes a file in place and forces it to disk, for files of a folder that is itself replaced by [`replace_folder`].
///
/// # Errors
/// If `fill` fails or the system refuses.
pub fn write_synced(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let file = create(path)?;
    let mut writer = io::BufWriter::with_capacity(1 << 16, file);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display()));
    fill(&mut writer).and_then(|()| writer.flush()).map_err(named)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

/// Fills a folder and puts it in place of the one at `path`, if any. `fill` gets the path to fill; it exists and is
/// empty. The files must be forced to disk by `fill` (see [`write_synced`]).
///
/// Killed at any moment, the old or the new folder can be found by [`find_folder`].
///
/// # Errors
/// If `fill` fails or the system refuses; the folder that was there before stays.
pub fn replace_folder<E: From<io::Error>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    let (new, old) = (sibling(path, "new")?, sibling(path, "old")?);
    recover(path, &old)?;
    remove(&new)?;
    fs::create_dir_all(&new)?;
    let filled = fill(&new).and_then(|()| Ok(sync_folder(&new)?)).and_then(|()| Ok(swap(path, &new, &old)?));
    if filled.is_err() {
        // The error of filling says more than one of tidying up.
        let _ = remove(&new);
    }
    filled
}

/// Where the folder that belongs at `path` is: there, or aside, if [`replace_folder`] was killed between its two renames.
#[must_use]
pub fn find_folder(path: &Path) -> PathBuf {
    match sibling(path, "old") {
        Ok(old) if !path.exists() && old.is_dir() => old,
        _ => path.to_owned(),
    }
}

/// Forces a folder's list of names to disk.
///
/// # Errors
/// If the system refuses.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere folders cannot be opened as files, and need no such call.
    if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
}

/// Puts `new` at `path`, with what was there at `old` until that is done.
fn swap(path: &Path, new: &Path, old: &Path) -> io::Result<()> {
    let replaces = path.symlink_metadata().is_ok();
    if replaces {
        remove(old)?;
        fs::rename(path, old)?;
    }
    if let Err(error) = fs::rename(new, path) {
        if replaces {
            fs::rename(old, path)?;
        }
        return Err(error);
    }
    sync_folder(&parent(path))?;
    remove(old)
}

/// Takes up what a killed [`swap`] left.
fn recover(path: &Path, old: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(_) if old.is_dir() => fs::rename(old, path),
        _ => remove(old),
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match folder.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(folder),
        Ok(_) => fs::remove_file(folder),
        Err(_) => Ok(()),
    }
}

/// `.<name>.<ending>` in the same folder, so that renaming is one step of the file system.
fn sibling(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` names no file", path.display()));
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or_else(no_name)?);
    name.push(".");
    name.push(ending);
    Ok(path.with_file_name(name))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use fs::os::unix::fs::OpenOptionsExt;
        options.mode(0o644);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn names(path: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn put(path: &Path, text: &str) -> io::Result<()> {
        replace_folder(path, |new| write_synced(&new.join("text"), |file| file.write_all(text.as_bytes())))
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = folder();
        let path = folder.path().join("a.json");
        write_atomic(&path, b"first").unwrap();
        write_atomic(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_file() {
        let folder = folder();
        let path = folder.path().join("a.json");
        write_atomic(&path, b"old").unwrap();
        let error = write_atomic_with(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let error = error.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("a.json"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_folder_is_replaced_whole_and_a_failure_leaves_the_old_one() {
        let folder = folder();
        let path = folder.path().join("model");
        put(&path, "first").unwrap();
        put(&path, "second").unwrap();
        let failed = replace_folder(&path, |new| {
            std::fs::write(new.join("half"), b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read(path.join("text")).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn a_folder_put_aside_by_a_killed_writer_is_found_and_taken_up() {
        let folder = folder();
        let path = folder.path().join("model");
        put(&path, "first").unwrap();
        std::fs::rename(&path, folder.path().join(".model.old")).unwrap();
        std::fs::create_dir(folder.path().join(".model.new")).unwrap();
        assert_eq!(std::fs::read(find_folder(&path).join("text")).unwrap(), b"first");
        let failed = replace_folder(&path, |_| Err(io::Error::from(io::ErrorKind::StorageFull)));
        assert!(failed.is_err());
        assert_eq!(std::fs::read(path.join("text")).unwrap(), b"first");
        put(&path, "second").unwrap();
        assert_eq!(std::fs::read(find_folder(&path).join("text")).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[cfg(unix)]
    #[test]
    fn files_can_be_read_by_others() {
        use std::os::unix::fs::PermissionsExt;

        let folder = folder();
        let path = folder.path().join("a");
        write_atomic(&path, b"").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert!(mode == 0o644 || mode & !0o644 == 0, "{mode:o}");
        assert_eq!(mode & 0o600, 0o600);
    }
}
