//! Text files, plain or compressed, through a window of bytes that never grows beyond one line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::paths::{DataFile, Packing};
use crate::error::DataError;

/// Bytes read at a time.
const BLOCK: usize = 1 << 18;

/// The bytes not yet taken of a text file.
pub(crate) struct Window {
    input: Box<dyn Read + Send>,
    path: Arc<Path>,
    packing: Packing,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    line: u64,
    limit: usize,
}

impl Window {
    /// Opens a file; lines longer than `limit` bytes will be refused. A byte order mark is passed over.
    pub(crate) fn open(file: &DataFile, path: &Arc<Path>, limit: usize) -> Result<Window, DataError> {
        let unreadable = |error| DataError::io("read", path, error);
        let raw = File::open(path).map_err(unreadable)?;
        if raw.metadata().map_err(unreadable)?.len() == 0 {
            return Err(DataError::Empty { file: path.to_path_buf(), problem: "is an empty file" });
        }
        let input: Box<dyn Read + Send> = match file.packing {
            Packing::Plain => Box::new(raw),
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(BLOCK, raw))),
            Packing::Zstd => Box::new(zstd::Decoder::new(raw).map_err(unreadable)?),
        };
        Window::new(input, path, file.packing, limit)
    }

    fn new(input: Box<dyn Read + Send>, path: &Arc<Path>, packing: Packing, limit: usize) -> Result<Window, DataError> {
        let path = Arc::clone(path);
        let mut window =
            Window { input, path, packing, buffer: Vec::new(), start: 0, end: 0, ended: false, line: 1, limit };
        while window.bytes().len() < 3 && !window.ended {
            window.more()?;
        }
        if window.bytes().starts_with(b"\xef\xbb\xbf") {
            window.start += 3;
        }
        Ok(window)
    }

    /// What is there without reading more.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether nothing comes after [`bytes`](Window::bytes).
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes the next `length` bytes, in which there are `breaks` line breaks: a row.
    pub(crate) fn take(&mut self, length: usize, breaks: u64) -> Result<(), DataError> {
        if length > self.limit {
            return Err(self.too_long(length));
        }
        self.start += length;
        self.line += breaks;
        Ok(())
    }

    /// Reads another block behind what is there.
    pub(crate) fn more(&mut self) -> Result<(), DataError> {
        let waiting = self.end - self.start;
        if waiting > self.limit {
            return Err(self.too_long(waiting));
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, waiting);
        if self.buffer.len() < waiting + BLOCK {
            self.buffer.resize(waiting + BLOCK, 0);
        }
        let room = &mut self.buffer[waiting..];
        let count = loop {
            match self.input.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(error)),
                Ok(count) => break count,
            }
        };
        self.end += count;
        self.ended = count == 0;
        Ok(())
    }

    /// Bytes to the end of the next line, its break included where it has one; 0 behind the last line.
    pub(crate) fn line_length(&mut self) -> Result<usize, DataError> {
        let mut searched = 0;
        loop {
            if let Some(place) = self.bytes()[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(searched + place + 1);
            }
            searched = self.bytes().len();
            if self.ended {
                return Ok(searched);
            }
            self.more()?;
        }
    }

    /// The line at which the next row begins, 1-based.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    fn too_long(&self, bytes: usize) -> DataError {
        let (bytes, limit) = (bytes as u64, self.limit as u64);
        DataError::LineTooLong { file: self.path.to_path_buf(), line: self.line, bytes, limit }
    }

    fn unreadable(&self, error: io::Error) -> DataError {
        let format = match self.packing {
            Packing::Plain => return DataError::io("read", &self.path, error),
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        };
        let problem = if error.kind() == io::ErrorKind::UnexpectedEof {
            format!("it is cut short: it ends in the middle of its data, around line {}", self.line)
        } else {
            format!("{error}, around line {}", self.line)
        };
        DataError::Format { file: self.path.to_path_buf(), format, problem }
    }
}
