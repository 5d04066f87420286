//! How is workerd started, with a worker that says hello?

use std::process::Command;

use anyhow::Result;

use super::{HELLO, Server};
use crate::process::{Process, free_address};
use crate::site::Site;

/// One isolate, warm from the first request on and shared by all.
pub fn start(site: &Site) -> Result<Server> {
    let address = free_address()?;
    site.write("hello.js", &format!("export default {{ fetch() {{ return new Response({HELLO:?}) }} }}\n"))?;
    let config = format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "hello.js", esModule = embed "hello.js")],
    compatibilityDate = "2026-01-01"))],
  sockets = [(name = "http", address = "{address}", http = (), service = "main")],
);
"#
    );
    let config = site.write("workerd.capnp", &config)?;
    let process = Process::start(Command::new(site.tool("bin/workerd")?).arg("serve").arg(config))?;
    Server::new(process, address).says_hello("/")
}
