//! A growable run of `f32` that starts on a cache line, so that vector loads never straddle two.

use std::ops::{Deref, DerefMut};

/// Elements in one cache line.
pub(crate) const LANE: usize = 16;

/// Elements that start on a cache line. Growing may move them; shrinking keeps the memory.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Sets the length. New elements hold zeros or what was there before.
    pub(crate) fn resize(&mut self, len: usize) {
        if len + LANE > self.storage.len() {
            self.storage = vec![0.0; len + LANE];
            // `align_offset` may refuse (it does so only while interpreting); an unaligned start is slower, not wrong.
            self.start = match self.storage.as_ptr().align_offset(LANE * size_of::<f32>()) {
                offset if offset < LANE => offset,
                _ => 0,
            };
        }
        self.len = len;
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        let mut copy = Buffer::default();
        copy.resize(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_starts_on_a_cache_line_and_keeps_its_memory_when_it_shrinks() {
        let mut buffer = Buffer::default();
        buffer.resize(1000);
        assert_eq!(buffer.as_ptr() as usize % 64, 0);
        let before = buffer.as_ptr();
        buffer.resize(10);
        buffer.resize(1000);
        assert_eq!(before, buffer.as_ptr());
        buffer[999] = 2.0;
        assert_eq!(buffer.clone()[999], 2.0);
    }
}
