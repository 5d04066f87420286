//! Which servers are measured, and with which program?
//!
//! | file | servers |
//! | --- | --- |
//! | `wagi` | the gateway |
//! | `hyper` | the HTTP library alone |
//! | `wasmtime` | `wasmtime serve` |
//! | `workerd` | the runtime of Cloudflare's workers |
//! | `native` | CGI of programs for this machine, under lighttpd, and under nginx with fcgiwrap |

pub mod hyper;
pub mod native;
pub mod wagi;
pub mod wasmtime;
pub mod workerd;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::Process;
use crate::site::Site;

/// What a hello program answers.
pub const HELLO: &str = "Hello from WebAssembly\n";

/// The smallest program, core module.
pub const HELLO_WAT: &str = "examples/hello.wat";

/// The smallest component that says the same.
pub const HELLO_HTTP: &str = "bench/guests/hello-http.wat";

/// What programs answer that look at their request: the same program as a module and as a component, built by
/// `guests/build.sh`.
pub const LINE: &str = "You asked for / and sent 0 bytes\n";

/// As a component in C.
pub const HTTP_C: &str = "http-c-hello.wasm";

/// As a component in Rust.
pub const HTTP_RUST: &str = "http-rust.wasm";

/// A server that is running, until this value ends.
pub struct Server {
    /// The one that listens.
    pub process: Process,
    /// Others that take part in each answer.
    pub beside: Vec<Process>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// One process that listens there.
    pub fn new(process: Process, address: SocketAddr) -> Self {
        Self { process, beside: Vec::new(), address }
    }

    /// Where a path of it is found.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// CPU time of all that take part, so far.
    pub fn cpu(&self) -> Result<Duration> {
        let others: Result<Duration> = self.beside.iter().map(Process::cpu).sum();
        Ok(self.process.cpu()? + others?)
    }

    /// Waits until it answers, and makes sure that it is what every hello program answers.
    pub fn says_hello(self, path: &str) -> Result<Self> {
        self.says(path, HELLO)
    }

    /// The same of programs that look at their request.
    pub fn says_line(self, path: &str) -> Result<Self> {
        self.says(path, LINE)
    }

    fn says(mut self, path: &str, expected: &str) -> Result<Self> {
        let said = self.process.answers(self.address, path)?;
        ensure!(said == expected, "the answer is {said:?}");
        Ok(self)
    }
}

/// Somebody who takes part in the comparison of hello programs.
pub struct Contender {
    /// Its name in results.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Where the program answers.
    pub path: &'static str,
    /// Starts it.
    pub start: fn(&Site) -> Result<Server>,
}

/// All of them, the limit first. Those that are compared with each other have their turns one after the other.
pub const CONTENDERS: [Contender; 21] = [
    at_root("hyper", "bare hyper: no program at all, the limit", hyper::http1),
    at_root("wagi-wat", "wagi, hello in text form", wagi::wat),
    at_root("wasmtime-tuned", "`wasmtime serve`, tuned, hello in text form", wasmtime::tuned),
    at_root("wasmtime-reuse", "`wasmtime serve`, tuned and shared, hello in text form", wasmtime::reuse),
    at_root("wasmtime", "`wasmtime serve`, defaults, hello in text form", wasmtime::defaults),
    at_root("wagi-http", "wagi, `wasi:http` component, hello in text form", wagi::http),
    at_root("wagi-rust", "wagi, hello in Rust", wagi::rust),
    at_root("wagi-go", "wagi, hello in Go", wagi::go),
    at_root("wagi-c", "wagi, hello in C", wagi::c),
    cgi("lighttpd-cgi", "lighttpd, native CGI program, hello in C", native::lighttpd),
    cgi("nginx-fcgiwrap", "nginx and fcgiwrap, native CGI program, hello in C", native::nginx),
    at_root("workerd", "workerd, a warm isolate for all, hello in JavaScript", workerd::start),
    at_root("wagi-line-c", "wagi, line in C", wagi::line_c),
    at_root("wasmtime-tuned-c", "`wasmtime serve`, tuned, line in C", wasmtime::tuned_c),
    at_root("wasmtime-reuse-c", "`wasmtime serve`, tuned and shared, line in C", wasmtime::reuse_c),
    at_root("wasmtime-c", "`wasmtime serve`, defaults, line in C", wasmtime::defaults_c),
    at_root("wagi-http-c", "wagi, `wasi:http` component, line in C", wagi::http_c),
    at_root("wagi-line-rust", "wagi, line in Rust", wagi::line_rust),
    at_root("wasmtime-tuned-rust", "`wasmtime serve`, tuned, line in Rust", wasmtime::tuned_rust),
    at_root("wasmtime-reuse-rust", "`wasmtime serve`, tuned and shared, line in Rust", wasmtime::reuse_rust),
    at_root("wagi-http-rust", "wagi, `wasi:http` component, line in Rust", wagi::http_rust),
];

const fn at_root(name: &'static str, what: &'static str, start: fn(&Site) -> Result<Server>) -> Contender {
    Contender { name, what, path: "/", start }
}

const fn cgi(name: &'static str, what: &'static str, start: fn(&Site) -> Result<Server>) -> Contender {
    Contender { name, what, path: native::SCRIPT, start }
}
