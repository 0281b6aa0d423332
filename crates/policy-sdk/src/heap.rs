//! The guest's allocator: it takes what the instance starts with, and gives back only what was taken last.
//!
//! An instance lives for one call, so nothing needs to be found again. The usual allocator of this target asks for every
//! byte by growing the memory, and each growth makes the host change page protections, for which all of its threads
//! have to wait; with this one and the initial memory of `.cargo/config.toml` most calls never grow it.

#![allow(
    unsafe_code,
    reason = "an allocator hands out raw memory: see SAFETY at each place"
)]

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    cell::Cell,
    ptr,
};

const PAGE_BYTES: usize = 64 << 10;

struct Heap {
    /// Where the next allocation goes; 0 before the first one.
    next: Cell<usize>,
}

// SAFETY: WebAssembly without threads has one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { next: Cell::new(0) };

unsafe extern "C" {
    /// The linker's mark of the first byte after stack and data.
    static __heap_base: u8;
}

impl Heap {
    fn next(&self) -> usize {
        match self.next.get() {
            0 => ptr::addr_of!(__heap_base) as usize,
            next => next,
        }
    }

    /// Makes the memory reach to `end`.
    fn reach(&self, end: usize) -> bool {
        let have_bytes = wasm32::memory_size(0) * PAGE_BYTES;
        let missing_pages = end.saturating_sub(have_bytes).div_ceil(PAGE_BYTES);
        missing_pages == 0 || wasm32::memory_grow(0, missing_pages) != usize::MAX
    }
}

// SAFETY: every block lies between `__heap_base` and the end of the memory, is aligned as asked, and `next` only falls
// to the start of a block that is given back, so live blocks never overlap.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(start) = self.next().checked_next_multiple_of(layout.align()) else {
            return ptr::null_mut();
        };
        match start.checked_add(layout.size()) {
            Some(end) if self.reach(end) => {
                self.next.set(end);
                start as *mut u8
            }
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == self.next() {
            self.next.set(block as usize);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next() {
            return match start.checked_add(size) {
                Some(end) if self.reach(end) => {
                    self.next.set(end);
                    block
                }
                _ => ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller promises that `size` and the alignment make a layout.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: the new block is larger than the old one and does not overlap it.
            unsafe { ptr::copy_nonoverlapping(block, new, layout.size()) };
        }
        new
    }
}
