//! Reloads: what comes into force without an end of the server, and what does not.

mod fetched;
mod kept;
mod load;
mod signals;
mod systemd;
mod watch;

use std::path::PathBuf;

use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// The module that prints the variable GENERATION.
const GENERATION: &str = include_str!("generation.wat");

/// Writes another modules.toml beside a server.
fn configure(wagi: &Wagi, toml: &str) {
    std::fs::write(file(wagi, "modules.toml"), toml).expect("a file can be written");
}

/// The path of a file beside a server.
fn file(wagi: &Wagi, name: &str) -> PathBuf {
    wagi.directory().join(name)
}

/// A modules.toml with one entry, with the variable GENERATION and more keys. Its module is beside it.
fn manifest(generation: &str, keys: &str) -> String {
    format!(
        "[[module]]\nroute = '/...'\nmodule = 'guest0.wat'\n{keys}\nenvironment = {{ GENERATION = '{generation}' }}\n"
    )
}

/// A site with [`manifest`] and its module.
fn of_site(generation: &str, keys: &str) -> Site {
    let site = Site::new().top(&manifest(generation, keys));
    site.file("guest0.wat", GENERATION);
    site
}

/// Starts the server over [`manifest`].
fn serve(generation: &str, keys: &str) -> Wagi {
    of_site(generation, keys).start(&[])
}

/// Lets the server reload, waits for this generation, and returns the line of the log.
fn reloaded(wagi: &Wagi, generation: u64) -> String {
    wagi.signal("HUP");
    wagi.logged(&[&format!("reloaded generation={generation} ")])
}

/// Which generation answers.
fn generation(connection: &mut Connection) -> String {
    let answer = connection.get("/");
    let text = answer.text();
    assert_eq!(answer.header("x-generation"), Some(&*text), "{text:?}");
    text
}
