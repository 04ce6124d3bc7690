//! Checkpoints: one file with a state and named arrays, sealed by a checksum.
//!
//! | part | bytes |
//! | --- | --- |
//! | `hinetck1` | 8 |
//! | length of the header | 8, little-endian |
//! | header: JSON with the state and the arrays' names and lengths | as told |
//! | the arrays one after the other, `f32`, little-endian | 4 per number |
//! | xxh3 (64 bits) of everything before | 8, little-endian |
//!
//! A file is written beside its place, synced and renamed, so one that has its name is whole unless the disk lost it;
//! the checksum tells that.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hinet_data::write_atomic_with;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::TrainError;

const MAGIC: &[u8; 8] = b"hinetck1";
const BUFFER: usize = 1 << 20;

/// Kind of the files that hold all of a fit.
pub(crate) const STATE: &str = "state";

#[derive(Serialize, Deserialize)]
struct Header<S> {
    state: S,
    arrays: Vec<(String, usize)>,
}

/// Writes a checkpoint file as a whole.
pub(crate) fn write<S: Serialize>(path: &Path, state: &S, arrays: &[(String, &[f32])]) -> Result<(), TrainError> {
    write_atomic_with(path, |file| write_to(file, state, arrays)).map_err(TrainError::io(path))
}

fn write_to<S: Serialize>(file: &mut dyn Write, state: &S, arrays: &[(String, &[f32])]) -> std::io::Result<()> {
    let lengths = arrays.iter().map(|(name, values)| (name.clone(), values.len())).collect();
    let header = serde_json::to_vec(&Header { state, arrays: lengths })?;
    let mut out = Sealing { inner: file, hash: Xxh3::new() };
    out.write(MAGIC)?;
    out.write(&(header.len() as u64).to_le_bytes())?;
    out.write(&header)?;
    for (_, values) in arrays {
        for part in values.chunks(BUFFER / 4) {
            out.write(bytemuck::cast_slice(part))?;
        }
    }
    let seal = out.hash.digest();
    out.inner.write_all(&seal.to_le_bytes())
}

struct Sealing<'a> {
    inner: &'a mut dyn Write,
    hash: Xxh3,
}

impl Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

/// An open checkpoint whose checksum is right.
#[derive(Debug)]
pub(crate) struct Checkpoint<S> {
    path: PathBuf,
    file: File,
    /// The state it was written with.
    pub(crate) state: S,
    arrays: Vec<(String, usize)>,
    data_start: u64,
}

impl<S: DeserializeOwned> Checkpoint<S> {
    /// Opens a file and checks its sum, in constant memory.
    pub(crate) fn open(path: &Path) -> Result<Checkpoint<S>, TrainError> {
        let damaged = |reason: &str| TrainError::Damaged { path: path.to_owned(), reason: reason.to_owned() };
        let mut file = File::open(path).map_err(TrainError::io(path))?;
        if !seal_holds(&file).map_err(TrainError::io(path))? {
            return Err(damaged("its checksum does not hold; delete the folder `checkpoint` to begin the run anew"));
        }
        let mut start = [0; 16];
        let mut read = |bytes: &mut [u8]| file.read_exact(bytes).map_err(|_| damaged("it ends too soon"));
        read(&mut start)?;
        if &start[..8] != MAGIC {
            return Err(damaged("it is no checkpoint of this version"));
        }
        let length = u64::from_le_bytes(start[8..].try_into().expect("eight bytes"));
        let mut header = vec![0; usize::try_from(length).map_err(|_| damaged("its header is too long"))?];
        read(&mut header)?;
        let header: Header<S> = serde_json::from_slice(&header).map_err(|error| damaged(&error.to_string()))?;
        Ok(Checkpoint {
            path: path.to_owned(),
            file,
            state: header.state,
            arrays: header.arrays,
            data_start: 16 + length,
        })
    }

    /// Fills `values` with the array of this name.
    pub(crate) fn read(&mut self, name: &str, values: &mut [f32]) -> Result<(), TrainError> {
        let damaged = |reason: String| TrainError::Damaged { path: self.path.clone(), reason };
        let mut start = self.data_start;
        for (other, length) in &self.arrays {
            if other == name {
                if *length != values.len() {
                    return Err(damaged(format!("`{name}` has {length} numbers, expected {}", values.len())));
                }
                let io = TrainError::io(&self.path);
                self.file.seek(SeekFrom::Start(start)).map_err(io)?;
                return self.file.read_exact(bytemuck::cast_slice_mut(values)).map_err(TrainError::io(&self.path));
            }
            start += 4 * *length as u64;
        }
        Err(damaged(format!("it holds no `{name}`")))
    }

    /// The array of this name.
    pub(crate) fn read_vec(&mut self, name: &str) -> Result<Vec<f32>, TrainError> {
        let length = self.arrays.iter().find(|(other, _)| other == name).map_or(0, |(_, length)| *length);
        let mut values = vec![0.0; length];
        self.read(name, &mut values)?;
        Ok(values)
    }
}

fn seal_holds(file: &File) -> std::io::Result<bool> {
    let length = file.metadata()?.len();
    let Some(sealed) = length.checked_sub(8) else { return Ok(false) };
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; BUFFER];
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let mut left = sealed;
    while left > 0 {
        let part = usize::try_from(left.min(BUFFER as u64)).unwrap_or(BUFFER);
        reader.read_exact(&mut buffer[..part])?;
        hash.update(&buffer[..part]);
        left -= part as u64;
    }
    let mut seal = [0; 8];
    reader.read_exact(&mut seal)?;
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    Ok(u64::from_le_bytes(seal) == hash.digest())
}

/// The files of one kind in a checkpoint folder, `<kind>-<step>`.
pub(crate) fn path(folder: &Path, kind: &str, step: u64) -> PathBuf {
    folder.join(format!("{kind}-{step:012}"))
}

/// Steps for which the folder holds a file of this kind, ascending. Files that are not finished do not count.
pub(crate) fn steps(folder: &Path, kind: &str) -> Result<Vec<u64>, TrainError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut steps = Vec::new();
    for entry in fs::read_dir(folder).map_err(TrainError::io(folder))? {
        let name = entry.map_err(TrainError::io(folder))?.file_name();
        let step = name.to_str().and_then(|name| name.strip_prefix(kind)?.strip_prefix('-')?.parse::<u64>().ok());
        steps.extend(step);
    }
    steps.sort_unstable();
    Ok(steps)
}

/// Removes the files of this kind of every step but `keep`.
pub(crate) fn remove_others(folder: &Path, kind: &str, keep: Option<u64>) -> Result<(), TrainError> {
    for step in steps(folder, kind)?.into_iter().filter(|step| Some(*step) != keep) {
        let path = path(folder, kind, step);
        fs::remove_file(&path).map_err(TrainError::io(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Small {
        step: u64,
        best: Option<f64>,
    }

    const SMALL: Small = Small { step: 7, best: Some(0.1 + 0.2) };

    fn written(folder: &Path) -> PathBuf {
        let path = path(folder, "state", 7);
        let arrays: [(String, &[f32]); 2] = [("a".into(), &[1.0, f32::MIN_POSITIVE]), ("b".into(), &[-0.0; 3])];
        write(&path, &SMALL, &arrays).unwrap();
        path
    }

    #[test]
    fn state_and_arrays_come_back_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::<Small>::open(&written(folder.path())).unwrap();
        assert_eq!(checkpoint.state, SMALL);
        assert_eq!(checkpoint.read_vec("b").unwrap().iter().map(|x| x.to_bits()).collect::<Vec<_>>(), [1 << 31; 3]);
        assert_eq!(checkpoint.read_vec("a").unwrap(), [1.0, f32::MIN_POSITIVE]);
        assert!(checkpoint.read("a", &mut [0.0]).unwrap_err().to_string().contains("2 numbers, expected 1"));
        assert!(checkpoint.read_vec("c").unwrap_err().to_string().contains("no `c`"));
    }

    #[test]
    fn any_flipped_byte_and_any_cut_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            assert!(matches!(Checkpoint::<Small>::open(&path), Err(TrainError::Damaged { .. })), "byte {at}");
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(matches!(Checkpoint::<Small>::open(&path), Err(TrainError::Damaged { .. })), "cut at {at}");
        }
    }

    #[test]
    fn only_finished_files_count_and_others_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        for name in ["state-000000000100", ".state-000000000900.new", "best-000000000003"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(steps(folder.path(), "state").unwrap(), [7, 100]);
        remove_others(folder.path(), "state", Some(7)).unwrap();
        assert_eq!(steps(folder.path(), "state").unwrap(), [7]);
        assert_eq!(steps(folder.path(), "best").unwrap(), [3]);
        assert_eq!(steps(&folder.path().join("none"), "state").unwrap(), [0; 0]);
    }
}
