//! The memory of a module. A call is short, its instance is thrown away afterwards, and no other thread is there: so memory is never
//! given back to the host, and a piece that is freed waits for the next that is as large. That takes a few instructions where an
//! allocator that joins neighbouring pieces walks lists, and each loop costs a module more than native code: the host counts its
//! turns. A program of a crate with an allocator of its own turns the feature `allocator` off.
//!
//! The first pieces come out of a static array, which makes the memory larger from the beginning: a module that grows its memory in
//! every call costs the host two system calls in each.
//!
//! What must hold: pieces never overlap; each is aligned as asked; a piece has the size of its class, so that it can be taken for any
//! other request of that class.

#![expect(unsafe_code, reason = "an allocator hands out memory")]

#[cfg(target_arch = "wasm32")]
use core::alloc::GlobalAlloc;
use core::alloc::Layout;
#[cfg(target_arch = "wasm32")]
use core::cell::UnsafeCell;
use core::ptr::{self, null_mut};

/// The smallest piece, in bytes.
const PIECE_BYTES_MIN: usize = 16;
/// What every piece is aligned to, in bytes.
const ALIGN: usize = 8;
/// Four sizes from each power of two to the next, which is as far as addresses go.
const CLASSES: usize = 4 * (usize::BITS as usize - 3);
/// The unit in which a linear memory grows, in bytes.
const PAGE_BYTES: usize = 64 * 1024;
/// How much memory is asked for at once, in pages: 256 KiB. Pages that are not touched cost nothing.
const GROW_PAGES_MIN: usize = 4;
/// How much memory is there from the beginning, in bytes: no zero of it is in the module's file.
#[cfg(target_arch = "wasm32")]
const FIRST_BYTES: usize = GROW_PAGES_MIN * PAGE_BYTES;

/// The class of the pieces that a request of this size gets.
const fn class_of(size: usize) -> usize {
    let last = if size > PIECE_BYTES_MIN { size - 1 } else { PIECE_BYTES_MIN - 1 };
    let power = last.ilog2() as usize;
    (power - 3) * 4 + ((last >> (power - 2)) & 3)
}

/// The size of the pieces of a class, in bytes: at most a quarter more than what was asked for, and a multiple of [`ALIGN`].
const fn piece_bytes(class: usize) -> usize {
    let (power, quarters) = (class / 4 + 3, class % 4 + 1);
    ((1 << power) + (quarters << (power - 2))).next_multiple_of(ALIGN)
}

/// All memory that the module has.
struct Heap {
    /// For each class the piece that was freed last, which holds the address of the one before.
    free: [*mut u8; CLASSES],
    /// The first byte that was never handed out, and the end of what is there.
    top: *mut u8,
    end: *mut u8,
}

impl Heap {
    /// With so many bytes, which nobody else uses, from the beginning.
    const fn new(first: *mut u8, bytes: usize) -> Self {
        Self { free: [null_mut(); CLASSES], top: first, end: first.wrapping_add(bytes) }
    }

    /// A piece for this layout, or null where the host gives no more. `grow` is `memory.grow`, and answers null where that fails.
    ///
    /// # Safety
    /// `grow` answers the address at which that many new bytes begin, which nobody else uses.
    #[inline(always)]
    unsafe fn alloc(&mut self, layout: Layout, grow: impl FnMut(usize) -> *mut u8) -> *mut u8 {
        let class = class_of(layout.size());
        if layout.align() <= ALIGN
            // Safety: a size is below 2^BITS, so its class is below `CLASSES`.
            && let free = unsafe { self.free.get_unchecked_mut(class) }
            && !free.is_null()
        {
            let piece = *free;
            // Safety: a free piece holds the address of the next, and is aligned for it.
            *free = unsafe { *piece.cast() };
            return piece;
        }
        self.take(piece_bytes(class), layout.align().max(ALIGN), grow)
    }

    /// Keeps a piece for the next request of its class.
    ///
    /// # Safety
    /// It came from here, for this layout, and nobody uses it any more.
    #[inline(always)]
    unsafe fn dealloc(&mut self, piece: *mut u8, layout: Layout) {
        // Safety: as in `alloc`; the smallest piece has room for an address.
        unsafe {
            let free = self.free.get_unchecked_mut(class_of(layout.size()));
            *piece.cast() = *free;
            *free = piece;
        }
    }

    /// Whether a piece can take `size` bytes where it stands: it has room, or is the last one, and there is room behind it.
    fn resize(&mut self, piece: *mut u8, layout: Layout, size: usize) -> bool {
        let (class, wanted) = (class_of(layout.size()), class_of(size));
        if class == wanted {
            return true;
        }
        let last = piece.wrapping_add(piece_bytes(class)) == self.top;
        let fits = piece_bytes(wanted) <= self.end.addr() - piece.addr();
        if last && fits {
            self.top = piece.wrapping_add(piece_bytes(wanted));
        }
        last && fits
    }

    /// Memory that was never handed out.
    fn take(&mut self, bytes: usize, align: usize, mut grow: impl FnMut(usize) -> *mut u8) -> *mut u8 {
        if let Some(piece) = self.cut(bytes, align) {
            return piece;
        }
        let Some(needed) = bytes.checked_add(align) else { return null_mut() };
        let pages = needed.div_ceil(PAGE_BYTES).max(GROW_PAGES_MIN);
        let begin = grow(pages);
        if begin.is_null() {
            return begin;
        }
        // Where it does not follow what is there, what is left of that is given up.
        if begin != self.end {
            self.top = begin;
        }
        self.end = begin.wrapping_add(pages * PAGE_BYTES);
        self.cut(bytes, align).unwrap_or(null_mut())
    }

    fn cut(&mut self, bytes: usize, align: usize) -> Option<*mut u8> {
        let needed = self.top.align_offset(align).checked_add(bytes)?;
        if needed > self.end.addr() - self.top.addr() {
            return None;
        }
        self.top = self.top.wrapping_add(needed);
        Some(self.top.wrapping_sub(bytes))
    }
}

/// The one heap of a module.
#[cfg(target_arch = "wasm32")]
struct Allocator(UnsafeCell<Heap>);

// Safety: a module has one thread.
#[cfg(target_arch = "wasm32")]
unsafe impl Sync for Allocator {}

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: Allocator = Allocator(UnsafeCell::new(Heap::new(FIRST.0.get().cast(), FIRST_BYTES)));

/// Only the heap knows it.
#[cfg(target_arch = "wasm32")]
#[repr(align(16))]
struct First(UnsafeCell<[u8; FIRST_BYTES]>);

// Safety: a module has one thread.
#[cfg(target_arch = "wasm32")]
unsafe impl Sync for First {}

#[cfg(target_arch = "wasm32")]
static FIRST: First = First(UnsafeCell::new([0; FIRST_BYTES]));

#[cfg(target_arch = "wasm32")]
fn grow(pages: usize) -> *mut u8 {
    let before = core::arch::wasm32::memory_grow::<0>(pages);
    if before == usize::MAX { null_mut() } else { ptr::with_exposed_provenance_mut(before * PAGE_BYTES) }
}

// Safety: as the heap says of itself; new pages of the memory are nobody else's, and nothing here is reentered.
#[cfg(target_arch = "wasm32")]
unsafe impl GlobalAlloc for Allocator {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).alloc(layout, grow) }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).dealloc(piece, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe {
            if (*self.0.get()).resize(piece, layout, size) {
                return piece;
            }
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(piece, new, layout.size().min(size));
                self.dealloc(piece, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_room_for_what_was_asked_and_a_quarter_more_at_most() {
        for size in (0..5000).chain([1 << 20, (1 << 20) + 1, (1 << 31) - 1]) {
            let class = class_of(size);
            let bytes = piece_bytes(class);
            assert!(bytes >= size && bytes.is_multiple_of(ALIGN) && class < CLASSES, "{size}: {bytes}");
            assert!(bytes <= (size + size / 4 + ALIGN).max(PIECE_BYTES_MIN), "{size}: {bytes}");
        }
    }

    /// A memory of so many pages, of which more is given until it is used up.
    fn memory(pages: usize) -> (Vec<u64>, impl FnMut(usize) -> *mut u8) {
        let mut memory = vec![0_u64; pages * PAGE_BYTES / 8];
        let begin: *mut u8 = memory.as_mut_ptr().cast();
        let mut given = 0;
        let grow = move |wanted: usize| {
            let at = begin.wrapping_add(given * PAGE_BYTES);
            given += wanted;
            if given <= pages { at } else { null_mut() }
        };
        (memory, grow)
    }

    #[test]
    fn pieces_never_overlap_and_keep_what_is_in_them() {
        let (_memory, mut grow) = memory(64);
        let mut heap = Heap::new(null_mut(), 0);
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut random = 1_u32;
        for turn in 0..20_000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (size, align) = ((random >> 8) as usize % 700 + 1, 1 << (random >> 28));
            if held.len() > 100 || random.is_multiple_of(3) && !held.is_empty() {
                let (piece, layout, fill) = held.swap_remove(random as usize % held.len());
                let bytes = unsafe { core::slice::from_raw_parts(piece, layout.size()) };
                assert!(bytes.iter().all(|byte| *byte == fill), "somebody else wrote there");
                unsafe { heap.dealloc(piece, layout) };
                continue;
            }
            let layout = Layout::from_size_align(size, align.min(64)).unwrap();
            let piece = unsafe { heap.alloc(layout, &mut grow) };
            assert!(!piece.is_null() && piece.addr().is_multiple_of(layout.align()), "{turn}");
            let fill = turn.to_le_bytes()[0];
            unsafe { ptr::write_bytes(piece, fill, size) };
            held.push((piece, layout, fill));
        }
    }

    #[test]
    fn what_is_freed_is_taken_again_and_the_end_is_told() {
        let (_memory, mut grow) = memory(GROW_PAGES_MIN);
        let mut heap = Heap::new(null_mut(), 0);
        let layout = Layout::from_size_align(1000, 8).unwrap();
        let mut alloc = |heap: &mut Heap| unsafe { heap.alloc(layout, &mut grow) };
        let first = alloc(&mut heap);
        for _ in 0..10_000 {
            unsafe { heap.dealloc(first, layout) };
            assert_eq!(alloc(&mut heap), first);
        }
        let more = (0..10_000).map(|_| alloc(&mut heap)).take_while(|piece| !piece.is_null()).count();
        assert_eq!(more + 1, GROW_PAGES_MIN * PAGE_BYTES / piece_bytes(class_of(1000)));
    }

    #[test]
    fn what_is_there_from_the_beginning_is_used_before_more_is_asked_for() {
        let mut first = vec![0_u64; PAGE_BYTES / 8];
        let mut heap = Heap::new(first.as_mut_ptr().cast(), PAGE_BYTES);
        let (_memory, mut grow) = memory(GROW_PAGES_MIN);
        let layout = Layout::from_size_align(1024, 8).unwrap();
        for turn in 0..PAGE_BYTES / 1024 {
            let piece = unsafe { heap.alloc(layout, |_| panic!("{turn}: there is room")) };
            assert_eq!(piece, first.as_mut_ptr().cast::<u8>().wrapping_add(turn * 1024));
        }
        assert!(!unsafe { heap.alloc(layout, &mut grow) }.is_null());
    }

    #[test]
    fn the_last_piece_grows_where_it_stands() {
        let (_memory, mut grow) = memory(GROW_PAGES_MIN);
        let mut heap = Heap::new(null_mut(), 0);
        let layout = Layout::from_size_align(100, 8).unwrap();
        let first = unsafe { heap.alloc(layout, &mut grow) };
        assert!(heap.resize(first, layout, 112) && heap.resize(first, layout, 5000), "nothing is behind it");
        unsafe { heap.alloc(layout, &mut grow) };
        let grown = Layout::from_size_align(5000, 8).unwrap();
        assert!(!heap.resize(first, grown, 9000) && heap.resize(first, grown, 5100));
    }
}
