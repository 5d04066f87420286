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

/// What every program answers.
pub const HELLO: &str = "Hello from WebAssembly\n";

/// The smallest program, core module.
pub const HELLO_WAT: &str = "examples/hello.wat";

/// The smallest component that says the same.
pub const HELLO_HTTP: &str = "bench/guests/hello-http.wat";

/// A component in C, which says something of its own; built by `guests/build.sh`.
pub const HTTP_C: &str = "http-c-hello.wasm";

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

    /// Waits until it answers, whatever that is.
    pub fn answers(mut self, path: &str) -> Result<Self> {
        self.process.answers(self.address, path)?;
        Ok(self)
    }

    /// Waits until it answers, and makes sure that it is what every other server answers.
    pub fn says_hello(mut self, path: &str) -> Result<Self> {
        let said = self.process.answers(self.address, path)?;
        ensure!(said == HELLO, "the answer is {said:?}");
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

/// All of them, the limit first.
pub const CONTENDERS: [Contender; 16] = [
    Contender { name: "hyper", what: "bare hyper: no program at all, the limit", path: "/", start: hyper::http1 },
    Contender { name: "wagi-wat", what: "wagi, program in text form", path: "/", start: wagi::wat },
    Contender { name: "wagi-c", what: "wagi, program in C", path: "/", start: wagi::c },
    Contender { name: "wagi-rust", what: "wagi, program in Rust", path: "/", start: wagi::rust },
    Contender { name: "wagi-go", what: "wagi, program in Go", path: "/", start: wagi::go },
    Contender { name: "wagi-http", what: "wagi, `wasi:http` component in text form", path: "/", start: wagi::http },
    Contender { name: "wagi-http-c", what: "wagi, `wasi:http` component in C", path: "/", start: wagi::http_c },
    Contender {
        name: "wasmtime-reuse",
        what: "`wasmtime serve`, tuned, 128 requests share an instance, component in text form",
        path: "/",
        start: wasmtime::reuse,
    },
    Contender {
        name: "wasmtime-reuse-c",
        what: "`wasmtime serve`, tuned, 128 requests share an instance, component in C",
        path: "/",
        start: wasmtime::reuse_c,
    },
    Contender {
        name: "wasmtime-tuned",
        what: "`wasmtime serve`, tuned, component in text form",
        path: "/",
        start: wasmtime::tuned,
    },
    Contender {
        name: "wasmtime-tuned-c",
        what: "`wasmtime serve`, tuned, component in C",
        path: "/",
        start: wasmtime::tuned_c,
    },
    Contender {
        name: "wasmtime",
        what: "`wasmtime serve`, defaults, component in text form",
        path: "/",
        start: wasmtime::defaults,
    },
    Contender {
        name: "wasmtime-c",
        what: "`wasmtime serve`, defaults, component in C",
        path: "/",
        start: wasmtime::defaults_c,
    },
    Contender { name: "workerd", what: "workerd, a warm isolate for all", path: "/", start: workerd::start },
    Contender {
        name: "lighttpd-cgi",
        what: "lighttpd, native CGI program in C",
        path: native::SCRIPT,
        start: native::lighttpd,
    },
    Contender {
        name: "nginx-fcgiwrap",
        what: "nginx and fcgiwrap, native CGI program in C",
        path: native::SCRIPT,
        start: native::nginx,
    },
];
