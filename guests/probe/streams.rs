//! How do bytes flow in and out, and how fast?

use crate::{answer, request::Request};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Small beside any body worth streaming, large enough that the calls do not dominate.
const PIECE: usize = 16 * 1024;

/// The body back to the client, as it comes in.
pub fn echo(_: &Request) -> io::Result<()> {
    let sent = std::env::var("CONTENT_TYPE").unwrap_or_default();
    let content_type = if sent.is_empty() { "application/octet-stream" } else { &sent };
    answer::stdout().write_all(format!("Content-Type: {content_type}\n\n").as_bytes())?;
    copy()
}

/// The body is the whole answer, header block included: so a test can print anything a program could.
pub fn raw(_: &Request) -> io::Result<()> {
    copy()
}

fn copy() -> io::Result<()> {
    let mut out = answer::stdout();
    each_piece(&mut [0; PIECE], Duration::ZERO, |piece| out.write_all(piece))
}

/// Length and hash of the body, all of it in memory first.
pub fn stdin_at_once(_: &Request) -> io::Result<()> {
    let mut body = Vec::new();
    answer::stdin().read_to_end(&mut body)?;
    let mut sum = Sum::default();
    sum.add(&body);
    sum.print()
}

/// Length and hash of the body, one piece in memory at a time.
pub fn stdin_in_pieces(_: &Request) -> io::Result<()> {
    sum_pieces(&mut [0; PIECE], Duration::ZERO)
}

/// Length and hash of the body, read no faster than 1 KiB in the given time.
pub fn read_slowly(request: &Request) -> io::Result<()> {
    sum_pieces(&mut [0; 1024], request.milliseconds(0))
}

fn sum_pieces(buffer: &mut [u8], pause: Duration) -> io::Result<()> {
    let mut sum = Sum::default();
    each_piece(buffer, pause, |piece| {
        sum.add(piece);
        Ok(())
    })?;
    sum.print()
}

fn each_piece(buffer: &mut [u8], pause: Duration, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut body = answer::stdin();
    loop {
        let length = body.read(buffer)?;
        if length == 0 {
            return Ok(());
        }
        take(&buffer[..length])?;
        wait(pause);
    }
}

/// An answer that leaves the body where it is, and takes its time to end.
pub fn never_read(request: &Request) -> io::Result<()> {
    answer::text("not read\n")?;
    wait(request.milliseconds(0));
    Ok(())
}

/// A head at once, the body later.
pub fn sleep(request: &Request) -> io::Result<()> {
    answer::text_head()?;
    wait(request.milliseconds(0));
    answer::stdout().write_all(b"awake\n")
}

/// A head, then numbered lines with a pause between each two.
pub fn slow_lines(request: &Request) -> io::Result<()> {
    answer::text_head()?;
    for line in 1..=request.number(0, 1) {
        if line > 1 {
            wait(request.milliseconds(1));
        }
        answer::stdout().write_all(format!("line {line}\n").as_bytes())?;
    }
    Ok(())
}

/// A body of so many bytes.
pub fn flood(request: &Request) -> io::Result<()> {
    answer::text_head()?;
    repeat(answer::stdout(), &vec![b'x'; PIECE], request.number(0, 0))
}

/// So many bytes of log, a line feed being the last of every WIDTH bytes; 0 means one line without end.
pub fn flood_stderr(request: &Request) -> io::Result<()> {
    let width = request.number(1, 80) as usize;
    let mut line = vec![b'e'; if width == 0 { PIECE } else { width }];
    if width > 0 {
        line[width - 1] = b'\n';
    }
    repeat(answer::stderr(), &line, request.number(0, 0))?;
    answer::text("logged\n")
}

fn repeat(mut out: impl Write, piece: &[u8], total: u64) -> io::Result<()> {
    let mut left = total;
    while left > 0 {
        let length = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        out.write_all(&piece[..length])?;
        left -= length as u64;
    }
    Ok(())
}

/// One line of log.
pub fn log(request: &Request) -> io::Result<()> {
    answer::stderr().write_all(format!("{}\n", request.text()).as_bytes())?;
    answer::text("logged\n")
}

fn wait(time: Duration) {
    // A sleep of nothing would still be a call into the gateway.
    if !time.is_zero() {
        std::thread::sleep(time);
    }
}

/// How much was read, and what: FNV-1a with 64 bits, which a test can work out in three lines.
struct Sum {
    length: u64,
    hash: u64,
}

impl Default for Sum {
    fn default() -> Self {
        // The offset basis the algorithm starts from.
        Self { length: 0, hash: 0xcbf2_9ce4_8422_2325 }
    }
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn print(&self) -> io::Result<()> {
        answer::text(&format!("{} {:016x}\n", self.length, self.hash))
    }
}
