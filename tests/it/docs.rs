//! The commands of pages for users work as they are printed, in order.

use std::path::Path;
use std::process::Command;

use crate::support::http1::Connection;
use crate::support::process::{Wagi, command};
use crate::support::registry::{Done, LOGIN, Registry, Setup};
use crate::support::site::Site;
use crate::support::tree::root;

/// What is in the fenced blocks of a kind.
fn blocks(page: &str, kind: &str) -> String {
    let mut is_inside = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        if is_fence {
            is_inside = *line == format!("```{kind}");
        }
        is_inside && !is_fence
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
#[ignore = "needs openssl"]
fn the_commands_of_the_page_about_certificates_work_in_order() {
    let page = std::fs::read_to_string(root().join("docs/certificates.md")).expect("there is a page");
    let site = Site::probe("").top(&blocks(&page, "toml"));
    let bash = |script: &str| {
        let mut shell = Command::new("bash");
        shell.current_dir(site.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        shell.args(["-euxo", "pipefail", "-c", script]);
        Done::from(shell.output())
    };
    bash(&blocks(&page, "sh")).well();
    site.write();
    let mut serve = command(site.path());
    let wagi = Wagi::spawn(serve.args(["-c", "modules.toml", "-l", "127.0.0.1:0"]));
    let curl = blocks(&page, "console").replace(":3000/", &format!(":{}/env", wagi.address().port()));
    let printed = bash(&curl).well();
    assert!(printed.contains("\nSSL_CLIENT_S_DN=CN=alice,O=Example\n"), "{printed}");
    assert_eq!(wagi.log().lines().filter(|line| line.contains("warning")).count(), 0, "{}", wagi.log());
}

#[test]
#[ignore = "needs docker-registry"]
fn the_commands_of_the_page_about_publishing_work_in_order() {
    let registry = Registry::start(&Setup { logins: LOGIN, ..Setup::default() });
    let page = std::fs::read_to_string(root().join("docs/publishing.md")).expect("there is a page");
    let address = format!("localhost:{}", registry.address().port());
    let script = blocks(&page, "sh").replace("localhost:5000", &address);
    let site = Site::new();
    let example = std::fs::read_to_string(root().join("examples/hello.wat")).expect("there is an example");
    site.file("examples/hello.wat", example);
    let program = Path::new(env!("CARGO_BIN_EXE_wagi")).parent().expect("it is in a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.current_dir(site.path()).env_clear().env("PATH", path).env("HOME", site.path().join("home"));
    let done: Done = shell.args(["-euxo", "pipefail", "-c", &script]).output().into();
    let said = done.stderr.clone();
    let printed = done.well();
    let pinned = printed.lines().filter(|line| line.starts_with(&format!("{address}/hello@sha256:")));
    assert_eq!(pinned.count(), 5, "{printed}\n{said}");
    // The table of routes, with the registry and without.
    assert_eq!(printed.lines().filter(|line| line.starts_with("/hello\t")).count(), 2, "{printed}\n{said}");
    assert!(said.contains("logged in to") && said.contains("logged out of"), "{said}");

    drop(registry);
    let mut serve = command(site.path());
    serve.args(["-c", "modules.toml", "-l", "127.0.0.1:0", "--module-cache", "modules", "--pull", "if-not-present"]);
    let wagi = Wagi::spawn(&mut serve);
    assert_eq!(Connection::open(wagi.address()).get("/hello").text(), "Hello from WebAssembly\n");
}
