//! How is the gateway started?
//!
//! As its users start it, with its log written to nowhere and a compilation cache of this benchmark's own. Every limit has
//! its default unless a measure needs another.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{HELLO_HTTP, HELLO_WAT, HTTP_C, HTTP_RUST, Server};
use crate::process::Process;
use crate::site::Site;

/// One entry of a `modules.toml`. The gateway is started in the repository, so that a module there has its short name.
pub fn entry(route: &str, module: &str) -> String {
    format!("[[module]]\nroute = \"{route}\"\nmodule = \"{module}\"\n")
}

/// Serves these entries.
pub fn serve(site: &Site, name: &str, manifest: &str) -> Result<Server> {
    let manifest = site.write(&format!("{name}.toml"), manifest)?;
    start(site, &manifest)
}

/// Serves the entries of a file.
pub fn start(site: &Site, manifest: &Path) -> Result<Server> {
    begin(site, manifest, &mut command(site, manifest))
}

/// The same with a configuration of the compilation cache.
pub fn start_cached(site: &Site, manifest: &Path, cache: &Path) -> Result<Server> {
    begin(site, manifest, command(site, manifest).arg("--cache").arg(cache))
}

/// The same with another directory for caches.
pub fn start_at(site: &Site, manifest: &Path, caches: &Path) -> Result<Server> {
    begin(site, manifest, command(site, manifest).env("XDG_CACHE_HOME", caches))
}

fn begin(site: &Site, manifest: &Path, command: &mut Command) -> Result<Server> {
    let mut process = Process::start(command.args(["--listen", "127.0.0.1:0"]))?;
    let address = match ready(&mut process) {
        Ok(address) => address,
        Err(error) => bail!("{error:#}: {}", reason(site, manifest)?),
    };
    Ok(Server::new(process, address))
}

/// Waits for the line that says where it listens.
fn ready(process: &mut Process) -> Result<SocketAddr> {
    let line = process.line()?;
    let address = line.strip_prefix("Ready: serving on http://").context("an unexpected line")?;
    Ok(address.parse()?)
}

/// Why it does not start.
fn reason(site: &Site, manifest: &Path) -> Result<String> {
    let output = command(site, manifest).arg("--check").stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.starts_with("error"));
    Ok(line.unwrap_or("`wagi --check` finds nothing").trim_start_matches("error: ").to_owned())
}

/// The gateway with a configuration.
pub fn command(site: &Site, manifest: &Path) -> Command {
    let mut command = program(site);
    command.arg("--config").arg(manifest);
    command
}

/// `wagi check` of a configuration, with the same cache.
pub fn check(site: &Site, manifest: &Path) -> Command {
    let mut command = program(site);
    command.args(["check", "--config"]).arg(manifest);
    command
}

fn program(site: &Site) -> Command {
    let mut command = Command::new(&site.wagi);
    command.current_dir(&site.root).env("XDG_CACHE_HOME", site.scratch.join("cache")).env_remove("RUST_LOG");
    command
}

fn hello(site: &Site, name: &str, module: &str) -> Result<Server> {
    serve(site, name, &entry("/", module))?.says_hello("/")
}

fn line(site: &Site, name: &str, module: &str) -> Result<Server> {
    serve(site, name, &entry("/...", module))?.says_line("/")
}

/// The smallest program there is.
pub fn wat(site: &Site) -> Result<Server> {
    hello(site, "wat", HELLO_WAT)
}

/// The same in C.
pub fn c(site: &Site) -> Result<Server> {
    hello(site, "c", &site.guest("bench-c.wasm")?)
}

/// The same in Rust.
pub fn rust(site: &Site) -> Result<Server> {
    hello(site, "rust", &site.guest("bench-rust.wasm")?)
}

/// The same in Go.
pub fn go(site: &Site) -> Result<Server> {
    hello(site, "go", &site.guest("bench-go.wasm")?)
}

/// A program in C that looks at its request.
pub fn line_c(site: &Site) -> Result<Server> {
    line(site, "line-c", &site.guest("bench-line-c.wasm")?)
}

/// The same in Rust.
pub fn line_rust(site: &Site) -> Result<Server> {
    line(site, "line-rust", &site.guest("hello.wasm")?)
}

/// The smallest component.
pub fn http(site: &Site) -> Result<Server> {
    hello(site, "http", HELLO_HTTP)
}

/// A component in C that looks at its request.
pub fn http_c(site: &Site) -> Result<Server> {
    line(site, "http-c", &site.guest(HTTP_C)?)
}

/// The same in Rust.
pub fn http_rust(site: &Site) -> Result<Server> {
    line(site, "http-rust", &site.guest(HTTP_RUST)?)
}
