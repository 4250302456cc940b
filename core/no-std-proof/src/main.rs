//! Runs the real machine in a program without the standard library and without libc (x86-64 Linux).
//!
//! That it links shows that the core needs nothing but an allocator; that it exits with 0 shows that the machine works
//! there. Any other exit code is the number of the [check](scenario::Check) that did not hold, or 101 for a panic.
//!
//! This is the one place of the project with `unsafe`: somebody has to be the allocator, the entry point and the
//! memory functions, which elsewhere the operating system's libraries are.
#![no_std]
#![no_main]

extern crate alloc;
#[cfg(feature = "control-std")]
extern crate std;

mod scenario;

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::{asm, global_asm},
    cell::UnsafeCell,
    panic::PanicInfo,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

extern "C" fn start() -> ! {
    exit(scenario::run().map_or_else(|broken| broken as i32, |()| 0))
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}

fn exit(code: i32) -> ! {
    const EXIT: i64 = 60;
    // SAFETY: the system call takes one number and does not return.
    unsafe { asm!("syscall", in("rax") EXIT, in("rdi") code, options(noreturn, nostack)) }
}

/// Hands out a fixed piece of memory from front to back and takes nothing back: the program is short.
struct Heap {
    memory: UnsafeCell<[u8; Heap::SIZE]>,
    used: AtomicUsize,
}

#[global_allocator]
static HEAP: Heap = Heap { memory: UnsafeCell::new([0; Heap::SIZE]), used: AtomicUsize::new(0) };

impl Heap {
    const SIZE: usize = 1 << 20;
}

// SAFETY: `used` is raised atomically, so no two callers are given the same bytes; nobody else touches the memory.
unsafe impl Sync for Heap {}

// SAFETY: each block lies inside `memory`, starts at an address of the wanted alignment, and overlaps no other.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().cast::<u8>();
        let place = |used: usize| (base as usize + used).next_multiple_of(layout.align()) - base as usize;
        let end = |used: usize| place(used).checked_add(layout.size()).filter(|end| *end <= Self::SIZE);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, end) {
            // SAFETY: `end` has checked that the block ends inside the memory.
            Ok(used) => unsafe { base.add(place(used)) },
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

// The compiled `core` and `alloc` have tables for unwinding that name these two. Nothing unwinds here.
// SAFETY: no other symbol of this name is linked.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}

// The entry point aligns the stack, as the calling convention wants, and never returns. The memory functions come from
// libc elsewhere; they are written in assembly because the compiler would turn a loop in Rust into a call of itself.
global_asm!(
    ".globl _start",
    "_start: xor ebp, ebp; and rsp, -16; call {start}; ud2",
    // (rdi: to, rsi: from, rdx: length) -> to
    ".globl memcpy",
    "memcpy: mov rax, rdi; mov rcx, rdx; rep movsb; ret",
    // Backwards if `to` lies behind `from`, so that no byte is overwritten before it is read.
    ".globl memmove",
    "memmove: mov rax, rdi; mov rcx, rdx; cmp rdi, rsi; ja 2f; rep movsb; ret",
    "2: lea rdi, [rdi + rdx - 1]; lea rsi, [rsi + rdx - 1]; std; rep movsb; cld; ret",
    // (rdi: to, esi: byte, rdx: length) -> to
    ".globl memset",
    "memset: mov r8, rdi; mov eax, esi; mov rcx, rdx; rep stosb; mov rax, r8; ret",
    // (rdi: one, rsi: other, rdx: length) -> difference of the first bytes that differ, or 0
    ".globl memcmp; .globl bcmp",
    "memcmp: bcmp: xor eax, eax; mov rcx, rdx; test rcx, rcx; je 3f; repe cmpsb; je 3f",
    "movzx eax, byte ptr [rdi - 1]; movzx ecx, byte ptr [rsi - 1]; sub eax, ecx",
    "3: ret",
    start = sym start,
);
