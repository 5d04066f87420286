//! Where the lines of the log go: standard error, a file that is moved away meanwhile, nowhere.
//!
//! | file | topic |
//! | --- | --- |
//! | `access` | `--access-log`: on, off or a file |
//! | `rotation` | SIGUSR1, SIGHUP, and files that cannot be opened again |
//! | `trouble` | a full disk, outputs that are closed or have no reader |

mod access;
mod rotation;
mod trouble;

use std::path::PathBuf;
use std::process::Command;

use crate::support::guest;
use crate::support::process::{Wagi, command};
use crate::support::site::Site;

/// A site with a guest that prints `hello`.
fn hello() -> Site {
    Site::new().text_module("/...", &guest::hello(), "")
}

/// The path of a file beside a server.
fn file(wagi: &Wagi, name: &str) -> PathBuf {
    wagi.directory().join(name)
}

/// What a file beside a server holds; nothing if there is none.
fn read(wagi: &Wagi, name: &str) -> String {
    std::fs::read_to_string(file(wagi, name)).unwrap_or_default()
}

/// Moves a file beside a server.
fn rename(wagi: &Wagi, from: &str, to: &str) {
    std::fs::rename(file(wagi, from), file(wagi, to)).expect("it is there");
}

/// A command for `wagi` that a shell starts after `preparation`, over the modules.toml of a site.
fn shell(site: &Site, preparation: &str, redirections: &str, arguments: &[&str]) -> Command {
    site.write();
    let mut shell = Command::new("sh");
    let script = format!("{preparation} exec \"$0\" \"$@\" {redirections}");
    let wagi = command(site.path());
    shell.current_dir(site.path()).env_clear().args(["-c", &script]).arg(wagi.get_program());
    shell.args(["-c", "modules.toml"]).args(arguments);
    shell
}
