//! How is `wasmtime serve` started: as it comes, as fast as its flags make it, and with instances that are shared?

use std::process::Command;

use anyhow::Result;

use super::Server;
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

/// As it comes: a fresh instance for each request.
pub fn defaults(site: &Site) -> Result<Server> {
    start(site, &[])
}

/// A fresh instance for each request, from a pool.
pub fn tuned(site: &Site) -> Result<Server> {
    start(site, &pool())
}

/// Each instance answers 128 requests.
pub fn reuse(site: &Site) -> Result<Server> {
    let mut arguments = pool();
    arguments.push("--max-instance-reuse-count=128".to_owned());
    start(site, &arguments)
}

fn pool() -> Vec<String> {
    POOL.iter().map(|flag| format!("-O{flag}")).chain(["-Opooling-pagemap-scan=y".to_owned()]).collect()
}

fn start(site: &Site, arguments: &[String]) -> Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(site.tool("bin/wasmtime")?);
    command.args(["serve", "--addr", &address.to_string()]).args(arguments).arg(site.own_guest("hello-http.wat"));
    Server::new(Process::start(&mut command)?, address).says_hello("/")
}
