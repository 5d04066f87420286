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

use anyhow::{Result, ensure};

use crate::process::Process;
use crate::site::Site;

/// What every program answers.
pub const HELLO: &str = "Hello from WebAssembly\n";

/// A server that is running, until this value ends.
pub struct Server {
    /// Whose CPU time counts.
    pub process: Process,
    /// What it needs besides.
    #[expect(dead_code, reason = "it is kept so that it runs")]
    pub beside: Option<Process>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// One process that listens there.
    pub fn new(process: Process, address: SocketAddr) -> Self {
        Self { process, beside: None, address }
    }

    /// Where a path of it is found.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
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
pub const CONTENDERS: [Contender; 13] = [
    Contender { name: "hyper", what: "bare hyper: no program at all, the limit", path: "/", start: hyper::http1 },
    Contender { name: "wagi-wat", what: "wagi, program in text form", path: "/", start: wagi::wat },
    Contender { name: "wagi-c", what: "wagi, program in C", path: "/", start: wagi::c },
    Contender { name: "wagi-rust", what: "wagi, program in Rust", path: "/", start: wagi::rust },
    Contender { name: "wagi-go", what: "wagi, program in Go", path: "/", start: wagi::go },
    Contender { name: "wagi-http", what: "wagi, `wasi:http` component in text form", path: "/", start: wagi::http },
    Contender { name: "wagi-http-c", what: "wagi, `wasi:http` component in C", path: "/", start: wagi::http_c },
    Contender {
        name: "wasmtime-reuse",
        what: "`wasmtime serve`, tuned, an instance shared by 128 requests",
        path: "/",
        start: wasmtime::reuse,
    },
    Contender { name: "wasmtime-tuned", what: "`wasmtime serve`, tuned pool", path: "/", start: wasmtime::tuned },
    Contender { name: "wasmtime", what: "`wasmtime serve`, defaults", path: "/", start: wasmtime::defaults },
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
