//! A run of `f32` that starts on a cache line: a row of 16 numbers is then one line, not two halves.

use std::ops::{Deref, DerefMut};

/// Numbers in one cache line.
const LANE: usize = 16;

/// Numbers that start on a cache line; all 0 at first (memory that was never written costs nothing).
#[derive(Debug, Default)]
pub(super) struct Aligned {
    storage: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(super) fn zeros(len: usize) -> Aligned {
        if len == 0 {
            return Aligned::default();
        }
        let storage = vec![0.0; len + LANE];
        // `align_offset` may refuse (it does so only while interpreting); an unaligned start is slower, not wrong.
        let start = match storage.as_ptr().align_offset(LANE * size_of::<f32>()) {
            offset if offset < LANE => offset,
            _ => 0,
        };
        Aligned { storage, start, len }
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Aligned {
        let mut copy = Aligned::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.start..self.start + self.len]
    }
}
