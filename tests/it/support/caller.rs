//! A guest that calls servers through `wasi_experimental_http` and prints what comes back, one line for each import called.

use std::fmt::Write;

use super::guest::escaped;

/// Where the guest keeps its data; a page below it is the buffer that imports write into.
const DATA: usize = 0x2_0000;

/// Memory: 0 start and 4 length of the output, 8 bytes written, 16 to 31 the digits of a number, 40 the status with two
/// bytes behind it that nobody should touch, 48 the handle, 56 how much an import has written, 64 KiB and up the buffer.
const HEAD: &str = r#"
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wasi_experimental_http" "req"
        (func $req (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_experimental_http" "close" (func $close (param i32) (result i32)))
    (import "wasi_experimental_http" "header_get" (func $header_get (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_experimental_http" "headers_get_all" (func $headers_get_all (param i32 i32 i32 i32) (result i32)))
    (import "wasi_experimental_http" "body_read" (func $body_read (param i32 i32 i32 i32) (result i32)))
    (func $print (param $start i32) (param $length i32)
        (i32.store (i32.const 0) (local.get $start))
        (i32.store (i32.const 4) (local.get $length))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func $number (param $number i32) (result i32)
        (local $at i32)
        (local.set $at (i32.const 32))
        (loop $digit
            (local.set $at (i32.sub (local.get $at) (i32.const 1)))
            (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
            (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
            (br_if $digit (local.get $number)))
        (call $print (local.get $at) (i32.sub (i32.const 32) (local.get $at)))
        (i32.const 0))
    (func $requested (param $code i32)
        (drop (call $number (local.get $code)))
        (if (i32.eqz (local.get $code))
            (then
                (call $blank)
                (drop (call $number (i32.load16_u (i32.const 40))))
                (call $blank)
                (drop (call $number (i32.load (i32.const 48))))))
        (call $newline))
    (func $got (param $code i32)
        (drop (call $number (local.get $code)))
        (if (i32.eqz (local.get $code))
            (then
                (call $blank)
                (call $print (i32.const 65536) (i32.load (i32.const 56)))))
        (call $newline))
    (func $blank
        (i32.store8 (i32.const 16) (i32.const 32))
        (call $print (i32.const 16) (i32.const 1)))
    (func $newline
        (i32.store8 (i32.const 16) (i32.const 10))
        (call $print (i32.const 16) (i32.const 1)))"#;

/// Such a guest in the making. Handles are known beforehand, since they are the lowest free number.
#[derive(Clone, Default)]
pub struct Caller {
    data: Vec<u8>,
    steps: String,
}

impl Caller {
    pub fn new() -> Self {
        Self::default()
    }

    /// The two operands that name these bytes: where they are, and how many.
    pub fn text(&mut self, bytes: impl AsRef<[u8]>) -> String {
        let (start, bytes) = (DATA + self.data.len(), bytes.as_ref());
        self.data.extend_from_slice(bytes);
        format!("(i32.const {start}) (i32.const {})", bytes.len())
    }

    /// Any instructions.
    pub fn step(mut self, instructions: &str) -> Self {
        writeln!(self.steps, "        {instructions}").unwrap();
        self
    }

    /// Prints an i32 and a line end.
    pub fn number(self, expression: &str) -> Self {
        self.step(&format!("(drop (call $number {expression})) (call $newline)"))
    }

    /// Sends a request and prints the code and, after success, status and handle.
    pub fn request(
        mut self,
        method: impl AsRef<[u8]>,
        url: impl AsRef<[u8]>,
        headers: impl AsRef<[u8]>,
        body: impl AsRef<[u8]>,
    ) -> Self {
        let parts = [self.text(url), self.text(method), self.text(headers), self.text(body)].join(" ");
        self.step(&format!("(call $requested (call $req {parts} (i32.const 40) (i32.const 48)))"))
    }

    /// Sends a GET.
    pub fn get(self, url: impl AsRef<[u8]>) -> Self {
        self.request("GET", url, "", "")
    }

    /// Prints the code and, after success, the value of a header, for which there are `room` bytes.
    pub fn header(mut self, handle: u32, name: impl AsRef<[u8]>, room: usize) -> Self {
        let name = self.text(name);
        self.got(&format!("$header_get (i32.const {handle}) {name}"), room)
    }

    /// Prints the code and, after success, all headers.
    pub fn headers(self, handle: u32, room: usize) -> Self {
        self.got(&format!("$headers_get_all (i32.const {handle})"), room)
    }

    /// Prints the code and, after success, up to `room` bytes of the body.
    pub fn read(self, handle: u32, room: usize) -> Self {
        self.got(&format!("$body_read (i32.const {handle})"), room)
    }

    /// Prints the code.
    pub fn close(self, handle: u32) -> Self {
        self.number(&format!("(call $close (i32.const {handle}))"))
    }

    fn got(self, call: &str, room: usize) -> Self {
        self.step(&format!("(call $got (call {call} (i32.const 65536) (i32.const {room}) (i32.const 56)))"))
    }

    /// The module. What it prints follows a head for plain text.
    pub fn module(&self) -> String {
        let mut all = self.clone();
        let head = all.text("Content-Type: text/plain\n\n");
        all.assembled(&format!("(func (export \"_start\")\n        (call $print {head})\n{})", all.steps))
    }

    /// A module with functions of its own instead of `_start`.
    pub fn assembled(&self, functions: &str) -> String {
        let pages = (DATA + self.data.len()) / 65_536 + 1;
        let data = escaped(&self.data);
        format!(
            "(module{HEAD}\n    (memory (export \"memory\") {pages})\n    \
            (data (i32.const 40) \"\\ff\\ff\\ff\\ff\")\n    (data (i32.const {DATA}) \"{data}\")\n    {functions})"
        )
    }
}
