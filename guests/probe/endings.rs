//! In which ways can a program end badly, or not at all?

use crate::{answer, request::Request};
use std::hint::black_box;
use std::io;

/// Leaves with a code and no answer.
pub fn exit(request: &Request) -> io::Result<()> {
    std::process::exit(request.number(0, 0) as i32)
}

/// Leaves with a code in the middle of an answer.
pub fn exit_after_head(request: &Request) -> io::Result<()> {
    begin()?;
    exit(request)
}

/// Traps with no answer.
pub fn trap(_: &Request) -> io::Result<()> {
    std::process::abort()
}

/// Traps in the middle of an answer.
pub fn trap_after_head(request: &Request) -> io::Result<()> {
    begin()?;
    trap(request)
}

/// Computes for ever, with no answer.
pub fn spin(_: &Request) -> io::Result<()> {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Computes for ever in the middle of an answer.
pub fn spin_after_head(request: &Request) -> io::Result<()> {
    begin()?;
    spin(request)
}

fn begin() -> io::Result<()> {
    answer::text("begun\n")
}

/// Calls itself until the stack is used up.
pub fn recurse(_: &Request) -> io::Result<()> {
    let depth = deeper(black_box(0));
    answer::text(&format!("came back from {depth}\n"))
}

#[expect(unconditional_recursion, reason = "running out of stack is the point")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    // Work after the call keeps it from being turned into a jump.
    black_box(deeper(black_box(depth + 1))) + 1
}

/// Takes memory until it is refused, gives it back and answers.
pub fn grow(_: &Request) -> io::Result<()> {
    const BLOCK: usize = 1024 * 1024;
    // 4 GiB is all a 32-bit program can address; the list must not need to grow itself when nothing is left.
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(4096);
    while blocks.len() < blocks.capacity() {
        let mut block = Vec::new();
        if block.try_reserve_exact(BLOCK).is_err() {
            break;
        }
        blocks.push(black_box(block));
    }
    let count = blocks.len();
    drop(blocks);
    answer::text(&format!("refused after {count} MiB\n"))
}
