//! Two files joined by a key through buckets on disk: however large they are, memory holds one bucket of the right one.
//!
//! Lines of both sides go to the bucket that the hash of their key picks. Then, bucket by bucket, the right side is held in a
//! table and the left side runs past it. Rows keep their order within a bucket.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::lines::{At, FoundFile, Line};
use crate::error::DataError;

/// Bytes of the right side that a bucket should hold.
const BUCKET_BYTES: u64 = 32 << 20;
/// Most buckets: each takes two open files.
const MOST_BUCKETS: u64 = 256;

/// The two sides as they come in.
pub(super) struct Join {
    folder: PathBuf,
    left: Vec<Bucket>,
    right: Vec<Bucket>,
    left_files: Vec<Arc<Path>>,
    right_file: Arc<Path>,
}

/// Lines of one side with hashes that belong together.
struct Bucket {
    path: PathBuf,
    writer: BufWriter<File>,
}

/// A line that came back from disk.
struct Record {
    /// Which of the left files; 0 on the right.
    file: usize,
    line: u64,
    key: Vec<u8>,
    bytes: Vec<u8>,
}

/// Lines of the right side, by their keys.
type Held = HashMap<Vec<u8>, (u64, Vec<u8>)>;

/// A left line with the right line of its key, if there is one.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a [u8],
    /// Index of the left line's file.
    pub(super) file: usize,
    pub(super) left: Line<'a>,
    pub(super) right: Option<Line<'a>>,
}

impl Join {
    /// Begins a join of lines of `left` files with those of `right`, in a folder of its own.
    pub(super) fn new(folder: &Path, left: &[&Path], right: &FoundFile) -> Result<Join, DataError> {
        let count = right.bytes.div_ceil(BUCKET_BYTES).clamp(1, MOST_BUCKETS);
        Join::with_buckets(folder, left, right.path(), count)
    }

    fn with_buckets(folder: &Path, left: &[&Path], right: &Path, count: u64) -> Result<Join, DataError> {
        let side = |name: &str| (0..count).map(|index| Bucket::create(folder, name, index)).collect::<Result<_, _>>();
        Ok(Join {
            folder: folder.to_owned(),
            left: side("left")?,
            right: side("right")?,
            left_files: left.iter().map(|path| Arc::from(*path)).collect(),
            right_file: right.into(),
        })
    }

    /// Adds a line of the left file of this index.
    pub(super) fn push_left(&mut self, key: &[u8], file: usize, line: Line<'_>) -> Result<(), DataError> {
        pick(&mut self.left, key).push(key, file, line)
    }

    pub(super) fn push_right(&mut self, key: &[u8], line: Line<'_>) -> Result<(), DataError> {
        pick(&mut self.right, key).push(key, 0, line)
    }

    /// Hands over each left line with the right line of its key, if there is one. Buckets go away as they are done.
    ///
    /// # Errors
    /// A key that two right lines bear; what `visit` refuses; a disk that is full.
    pub(super) fn each(self, mut visit: impl FnMut(Pair<'_>) -> Result<(), DataError>) -> Result<(), DataError> {
        // All are closed before the first is read, so that a full disk is told by its own name.
        let left = self.left.into_iter().map(Bucket::finish).collect::<Result<Vec<_>, _>>()?;
        let right = self.right.into_iter().map(Bucket::finish).collect::<Result<Vec<_>, _>>()?;
        for (left, right) in left.iter().zip(&right) {
            let held = hold(right, &self.right_file)?;
            each_record(left, |record| {
                let at = At { file: &self.left_files[record.file], line: record.line };
                let found = held.get(&record.key);
                visit(Pair {
                    key: &record.key,
                    file: record.file,
                    left: Line { at, bytes: &record.bytes },
                    right: found.map(|(line, bytes)| Line { at: At { file: &self.right_file, line: *line }, bytes }),
                })
            })?;
        }
        std::fs::remove_dir_all(&self.folder).map_err(|error| DataError::io("write", &self.folder, error))
    }
}

impl Bucket {
    fn create(folder: &Path, side: &str, index: u64) -> Result<Bucket, DataError> {
        let path = folder.join(format!("{side}-{index}"));
        std::fs::create_dir_all(folder).map_err(|error| DataError::io("write", folder, error))?;
        let file = File::create(&path).map_err(|error| DataError::io("write", &path, error))?;
        Ok(Bucket { path, writer: BufWriter::with_capacity(1 << 16, file) })
    }

    fn push(&mut self, key: &[u8], file: usize, line: Line<'_>) -> Result<(), DataError> {
        let parts: [&[u8]; 6] = [
            &(file as u64).to_le_bytes(),
            &line.at.line.to_le_bytes(),
            &(key.len() as u64).to_le_bytes(),
            &(line.bytes.len() as u64).to_le_bytes(),
            key,
            line.bytes,
        ];
        let written = parts.iter().try_for_each(|part| self.writer.write_all(part));
        written.map_err(|error| DataError::io("write", &self.path, error))
    }

    fn finish(mut self) -> Result<PathBuf, DataError> {
        self.writer.flush().map_err(|error| DataError::io("write", &self.path, error))?;
        Ok(self.path)
    }
}

fn pick<'a>(buckets: &'a mut [Bucket], key: &[u8]) -> &'a mut Bucket {
    let place = xxh3_64(key) % buckets.len() as u64;
    &mut buckets[place as usize]
}

fn hold(bucket: &Path, file: &Path) -> Result<Held, DataError> {
    let mut held = Held::new();
    each_record(bucket, |record| {
        if let Some((first, _)) = held.get(&record.key) {
            let at = At { file, line: record.line };
            let key = String::from_utf8_lossy(&record.key);
            return Err(at.bad_line(format!("its key `{key}` stands in line {first} already")));
        }
        held.insert(record.key.clone(), (record.line, record.bytes.clone()));
        Ok(())
    })?;
    Ok(held)
}

fn each_record(path: &Path, mut visit: impl FnMut(&Record) -> Result<(), DataError>) -> Result<(), DataError> {
    let unreadable = |error| DataError::io("read", path, error);
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(unreadable)?);
    let mut record = Record { file: 0, line: 0, key: Vec::new(), bytes: Vec::new() };
    let mut head = [0; 32];
    loop {
        match reader.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            read => read.map_err(unreadable)?,
        }
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        (record.file, record.line) = (number(0) as usize, number(8));
        record.key.resize(number(16) as usize, 0);
        record.bytes.resize(number(24) as usize, 0);
        reader.read_exact(&mut record.key).and_then(|()| reader.read_exact(&mut record.bytes)).map_err(unreadable)?;
        visit(&record)?;
    }
    std::fs::remove_file(path).map_err(|error| DataError::io("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left and right lines, each `key:text`, joined through so many buckets.
    fn joined(buckets: u64) -> Vec<(u64, String, Option<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let (left, right) = (Path::new("left.csv"), Path::new("right.csv"));
        let mut join = Join::with_buckets(&folder.path().join("scratch"), &[left], right, buckets).unwrap();
        for number in 0..200_u64 {
            let text = format!("row {number}");
            let line = Line { at: At { file: left, line: number + 1 }, bytes: text.as_bytes() };
            join.push_left(format!("k{}", number % 50).as_bytes(), 0, line).unwrap();
        }
        for number in (0..40_u64).rev() {
            let text = format!("side {number}");
            let line = Line { at: At { file: right, line: number + 1 }, bytes: text.as_bytes() };
            join.push_right(format!("k{number}").as_bytes(), line).unwrap();
        }
        let mut rows = Vec::new();
        let text = |line: Line<'_>| String::from_utf8(line.bytes.to_vec()).unwrap();
        join.each(|pair| {
            rows.push((pair.left.at.line, text(pair.left), pair.right.map(text)));
            Ok(())
        })
        .unwrap();
        assert!(!folder.path().join("scratch").exists());
        rows
    }

    #[test]
    fn every_left_line_meets_the_right_line_of_its_key_through_any_number_of_buckets() {
        let one = joined(1);
        assert!(one.iter().enumerate().all(|(index, row)| row.0 == index as u64 + 1), "one bucket keeps the order");
        for (line, left, right) in &one {
            let key = (line - 1) % 50;
            assert_eq!(left, &format!("row {}", line - 1));
            assert_eq!(right, &(key < 40).then(|| format!("side {key}")));
        }
        let mut many = joined(7);
        many.sort();
        assert_eq!(many, one);
    }

    #[test]
    fn a_key_that_two_right_lines_bear_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut join = Join::with_buckets(folder.path(), &[Path::new("l")], Path::new("r"), 1).unwrap();
        for line in [4, 9] {
            join.push_right(b"k", Line { at: At { file: Path::new("r"), line }, bytes: b"x" }).unwrap();
        }
        let error = join.each(|_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "r, line 9: its key `k` stands in line 4 already");
    }
}
