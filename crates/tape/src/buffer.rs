//! A growable run of `f32` that starts on a cache line, and on a huge page where it is large.
//!
//! A step walks over buffers of many megabytes in strides of a page or more, and gathers rows of tables at random. With
//! pages of 4 KB nearly every such access misses the processor's table of addresses, which costs more than the miss of
//! the cache, and twice as much in a virtual machine. Linux gives pages of 2 MB to those who ask (`madvise`).

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Elements in one cache line.
pub(crate) const LANE: usize = 16;
/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;
/// Bytes from which on a buffer asks for huge pages.
const LARGE: usize = HUGE_PAGE / 2;

/// Elements that start on a cache line. Growing may move them; shrinking keeps the memory.
#[derive(Debug, Default)]
pub struct Buffer {
    storage: Storage,
    start: usize,
    len: usize,
}

#[derive(Debug)]
enum Storage {
    Heap(Vec<f32>),
    /// Memory of its own from the system.
    Pages(MmapMut),
}

impl Default for Storage {
    fn default() -> Storage {
        Storage::Heap(Vec::new())
    }
}

impl Storage {
    /// At least so many elements, all 0, and which of them to start with.
    fn zeros(len: usize) -> (Storage, usize) {
        let bytes = len * size_of::<f32>();
        if bytes >= LARGE
            && let Ok(pages) = MmapMut::map_anon(bytes.next_multiple_of(HUGE_PAGE) + HUGE_PAGE)
        {
            // A system that does not know the advice, or does not follow it, is slower, not wrong.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            let start = aligned(pages.as_ptr().cast(), HUGE_PAGE);
            return (Storage::Pages(pages), start);
        }
        let heap = vec![0.0; len + LANE];
        let start = aligned(heap.as_ptr(), LANE * size_of::<f32>());
        (Storage::Heap(heap), start)
    }

    fn all(&self) -> &[f32] {
        match self {
            Storage::Heap(heap) => heap,
            Storage::Pages(pages) => bytemuck::cast_slice(pages),
        }
    }
}

/// Elements up to the first one at such an address.
fn aligned(from: *const f32, alignment: usize) -> usize {
    // `align_offset` may refuse (it does so only while interpreting); an unaligned start is slower, not wrong.
    match from.align_offset(alignment) {
        offset if offset < alignment => offset,
        _ => 0,
    }
}

impl Buffer {
    /// So many elements, all 0. Memory that was never written costs nothing.
    #[must_use]
    pub fn zeros(len: usize) -> Buffer {
        let (storage, start) = if len == 0 { (Storage::default(), 0) } else { Storage::zeros(len) };
        Buffer { storage, start, len }
    }

    /// Sets the length. New elements hold zeros or what was there before.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.start + len > self.storage.all().len() {
            (self.storage, self.start) = Storage::zeros(len);
        }
        self.len = len;
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        let mut copy = Buffer::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage.all()[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let all = match &mut self.storage {
            Storage::Heap(heap) => &mut heap[..],
            Storage::Pages(pages) => bytemuck::cast_slice_mut(pages),
        };
        &mut all[self.start..self.start + self.len]
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

    #[test]
    fn a_large_buffer_starts_on_a_huge_page_and_holds_zeros_to_its_end() {
        let mut buffer = Buffer::zeros(LARGE / 4 + 3);
        assert_eq!(buffer.as_ptr() as usize % HUGE_PAGE, 0);
        assert!(buffer.iter().all(|x| *x == 0.0));
        let last = buffer.len() - 1;
        buffer[last] = 1.0;
        assert_eq!(buffer.clone()[last], 1.0);
        buffer.resize(5 * LARGE);
        assert_eq!(buffer.len(), 5 * LARGE);
    }
}
