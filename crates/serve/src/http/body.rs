//! Bodies of requests, within bounds.

use std::io::Read;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::refusal::{NAME, Refusal, RefusalKind, shortened};

/// A body, unpacked, and its part of the memory that bodies may take.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl App {
    /// Takes in a body.
    pub(crate) async fn take(&self, headers: &HeaderMap, body: Body) -> Result<Taken, Refusal> {
        let limits = &self.config.limits;
        let too_large = || {
            let most = limits.body_bytes;
            Refusal::new(RefusalKind::TooLarge, format!("the body is larger than {most} bytes (`limits.body_bytes`)"))
        };
        let packed = is_packed(headers)?;
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limits.body_bytes) {
            return Err(too_large());
        }
        let expected = if packed { limits.body_bytes } else { declared.unwrap_or(limits.body_bytes) };
        let room = self.room.clone().try_acquire_many_owned(expected.div_ceil(1024).max(1) as u32).map_err(|_| {
            Refusal::new(RefusalKind::Busy, "too many bodies of requests are being taken in; try again later")
        })?;
        let arrival = Duration::from_millis(limits.arrival_ms);
        let taken = tokio::time::timeout(arrival, axum::body::to_bytes(body, limits.body_bytes)).await;
        let taken = taken.map_err(|_| {
            Refusal::new(RefusalKind::Slow, format!("the body did not arrive within {} ms", limits.arrival_ms))
        })?;
        let bytes = taken.map_err(|error| match is_too_long(&error) {
            true => too_large(),
            false => Refusal::bad("the body broke off"),
        })?;
        let bytes = if packed { unpack(&bytes, limits.body_bytes)?.ok_or_else(too_large)? } else { bytes };
        Ok(Taken { bytes, _room: room })
    }
}

/// Bytes from which a body is read on a thread that may take its time, so that others' requests go on.
const LARGE: usize = 64 << 10;

impl Taken {
    /// Reads the body by `work`.
    pub(crate) fn read<'b, T>(&'b self, work: impl FnOnce(&'b [u8]) -> T) -> T {
        if self.bytes.len() < LARGE { work(&self.bytes) } else { tokio::task::block_in_place(|| work(&self.bytes)) }
    }
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"identity" | b"") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => {
            let other = shortened(&String::from_utf8_lossy(other), NAME / 2);
            Err(Refusal::new(RefusalKind::Form, format!("`Content-Encoding: {other}` is not read; gzip is")))
        }
    }
}

/// Nothing where it is larger than that.
fn unpack(bytes: &Bytes, most: usize) -> Result<Option<Bytes>, Refusal> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(bytes.as_ref()).take(most as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|error| Refusal::bad(format!("the body is not gzip: {error}")))?;
    Ok((unpacked.len() <= most).then(|| unpacked.into()))
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
