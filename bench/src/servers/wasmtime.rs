//! How is `wasmtime serve` started: as it comes, as fast as its flags make it, and with instances that are shared?

use std::process::Command;

use anyhow::Result;

use super::{HELLO_HTTP, HTTP_C, HTTP_RUST, Server};
use crate::process::{Process, free_address};
use crate::site::Site;

/// What was found to help: a pool, and memory that is zeroed instead of given back.
const POOL: [&str; 10] = [
    "pooling-allocator=y",
    "pooling-total-core-instances=1000",
    "pooling-total-component-instances=1000",
    "pooling-total-memories=1000",
    "pooling-total-tables=1000",
    "pooling-total-stacks=1000",
    "pooling-max-unused-warm-slots=1000",
    "pooling-memory-keep-resident=262144",
    "pooling-table-keep-resident=16384",
    "pooling-async-stack-keep-resident=32768",
];

/// What helps programs with memories that are larger than what is zeroed: asking the system which pages were written to.
const LARGE_MEMORY: &str = "pooling-pagemap-scan=auto";

/// An instance answers so many requests, where it is shared.
const SHARED: &str = "--max-instance-reuse-count=128";

/// As it comes: a fresh instance for each request.
pub fn defaults(site: &Site) -> Result<Server> {
    start(site, &[], HELLO_HTTP)?.says_hello("/")
}

/// The same, with a program in C that looks at its request.
pub fn defaults_c(site: &Site) -> Result<Server> {
    start(site, &[], &site.guest(HTTP_C)?)?.says_line("/")
}

/// A fresh instance for each request, from a pool.
pub fn tuned(site: &Site) -> Result<Server> {
    start(site, &pool(), HELLO_HTTP)?.says_hello("/")
}

/// The same, with a program in C that looks at its request.
pub fn tuned_c(site: &Site) -> Result<Server> {
    start(site, &pool(), &site.guest(HTTP_C)?)?.says_line("/")
}

/// The same in Rust.
pub fn tuned_rust(site: &Site) -> Result<Server> {
    start(site, &large_pool(), &site.guest(HTTP_RUST)?)?.says_line("/")
}

/// Many requests, one after the other, meet the same instance.
pub fn reuse(site: &Site) -> Result<Server> {
    start(site, &shared(pool()), HELLO_HTTP)?.says_hello("/")
}

/// The same, with a program in C that looks at its request.
pub fn reuse_c(site: &Site) -> Result<Server> {
    start(site, &shared(pool()), &site.guest(HTTP_C)?)?.says_line("/")
}

/// The same in Rust.
pub fn reuse_rust(site: &Site) -> Result<Server> {
    start(site, &shared(large_pool()), &site.guest(HTTP_RUST)?)?.says_line("/")
}

fn pool() -> Vec<String> {
    POOL.iter().map(|flag| format!("-O{flag}")).collect()
}

fn large_pool() -> Vec<String> {
    [pool(), vec![format!("-O{LARGE_MEMORY}")]].concat()
}

fn shared(pool: Vec<String>) -> Vec<String> {
    [pool, vec![SHARED.to_owned()]].concat()
}

fn start(site: &Site, arguments: &[String], component: &str) -> Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(site.tool("bin/wasmtime")?);
    // What compilers link in asks for files and an environment, so that both have to be offered.
    command.args(["serve", "-Scli", "--addr", &address.to_string()]).args(arguments).arg(component);
    Ok(Server::new(Process::start(command.current_dir(&site.root))?, address))
}
