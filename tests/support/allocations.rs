//! Counts what working threads allocate. The test binary that includes this file by path uses its allocator:
//!
//! ```text
//! #[path = "../../../tests/support/allocations.rs"]
//! mod allocations;
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is one of those that work: what the test harness allocates beside them does not count.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

// The one way to see every allocation of the process is to be its allocator, and that trait is unsafe.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// From now on this thread is one of those that work.
pub(crate) fn count_here() {
    COUNTED.set(true);
}

/// From now on it is none of them.
#[allow(dead_code, reason = "for those that work with several pools, one after the other")]
pub(crate) fn count_here_no_more() {
    COUNTED.set(false);
}

/// Allocations of the threads that work while `work` runs.
pub(crate) fn during(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}
