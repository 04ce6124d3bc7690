//! TensorBoard's event files: scalars only, written with two small messages and the record framing.
//!
//! A file is a sequence of records: the length (u64), its masked CRC-32C, the message, its masked CRC-32C; all
//! little-endian. Field numbers are those of TensorFlow's `event.proto` and `summary.proto`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::TrainError;

/// The file's name. TensorBoard looks for `tfevents` in it; the number orders files, and here is one only.
const FILE: &str = "events.out.tfevents.0000000001.hinet";

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Scalars>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalars {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// Appends scalars to the event file of one run.
#[derive(Debug)]
pub(crate) struct TensorBoard {
    path: PathBuf,
    file: File,
    length: u64,
}

impl TensorBoard {
    /// Continues the event file in `folder` behind its first `length` bytes, and drops the rest; 0 starts a new one.
    pub(crate) fn open(folder: &Path, length: u64) -> Result<TensorBoard, TrainError> {
        fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
        let path = folder.join(FILE);
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            let length = length.min(file.metadata()?.len());
            file.set_len(length)?;
            Ok((file, length))
        };
        let (file, length) = open().map_err(TrainError::io(&path))?;
        let mut board = TensorBoard { path, file, length };
        if board.length == 0 {
            board.write(&Event { file_version: Some("brain.Event:2".to_owned()), ..board.event(0) })?;
        }
        Ok(board)
    }

    /// Bytes written so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Writes named numbers of one step. What is not finite is left out: TensorBoard draws nothing for it.
    pub(crate) fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<(), TrainError> {
        let finite = values.iter().filter(|(_, value)| value.is_finite());
        let value = finite.map(|(tag, value)| Scalar { tag: tag.clone(), simple_value: *value as f32 }).collect();
        self.write(&Event { summary: Some(Scalars { value }), ..self.event(step) })
    }

    fn event(&self, step: u64) -> Event {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64());
        Event { wall_time: now, step: i64::try_from(step).unwrap_or(i64::MAX), file_version: None, summary: None }
    }

    fn write(&mut self, event: &Event) -> Result<(), TrainError> {
        let record = frame(&event.encode_to_vec());
        self.file.write_all(&record).map_err(TrainError::io(&self.path))?;
        self.length += record.len() as u64;
        Ok(())
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(message);
    record.extend_from_slice(&masked_crc(message).to_le_bytes());
    record
}

/// A CRC of bytes that hold CRCs is weak, so TensorFlow rotates it and adds a constant.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads records the way TensorBoard does, checking both sums.
    fn events(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert_eq!(number(8), masked_crc(&bytes[..8]));
            let message = &bytes[12..12 + length];
            assert_eq!(number(12 + length), masked_crc(message));
            events.push(Event::decode(message).unwrap());
            bytes = &bytes[16 + length..];
        }
        events
    }

    fn tags(event: &Event) -> Vec<(&str, f32)> {
        let values = &event.summary.as_ref().unwrap().value;
        values.iter().map(|scalar| (scalar.tag.as_str(), scalar.simple_value)).collect()
    }

    #[test]
    fn the_crc_is_castagnoli_s_and_masked() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        // Every event file that TensorFlow wrote begins with a record of 24 bytes, and so with this sum.
        assert_eq!(masked_crc(&24_u64.to_le_bytes()), 0x224b_7fa3);
    }

    #[test]
    fn records_are_read_back_in_order_without_what_is_not_finite() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::open(folder.path(), 0).unwrap();
        board.scalars(10, &[("loss/click".into(), 0.5), ("loss/order".into(), f64::NAN)]).unwrap();
        board.scalars(20, &[("valid/mean_auc".into(), 0.75)]).unwrap();
        let bytes = fs::read(folder.path().join(FILE)).unwrap();
        assert_eq!(bytes.len() as u64, board.length());
        let events = events(&bytes);
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!((events[1].step, tags(&events[1])), (10, vec![("loss/click", 0.5)]));
        assert_eq!((events[2].step, tags(&events[2])), (20, vec![("valid/mean_auc", 0.75)]));
    }

    #[test]
    fn continuing_drops_what_came_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::open(folder.path(), 0).unwrap();
        board.scalars(1, &[("a".into(), 1.0)]).unwrap();
        let length = board.length();
        board.scalars(2, &[("a".into(), 2.0)]).unwrap();
        let mut board = TensorBoard::open(folder.path(), length).unwrap();
        board.scalars(3, &[("a".into(), 3.0)]).unwrap();
        let steps: Vec<i64> = events(&fs::read(folder.path().join(FILE)).unwrap()).iter().map(|e| e.step).collect();
        assert_eq!(steps, [0, 1, 3]);
    }
}
