//! Keys of configuration files. A key that is unlike all others is answered with a list of those that are known.

use std::collections::BTreeMap;

use super::{are_the_same, promised, promised_names};
use crate::support::bindle::Bindle;
use crate::support::guest::hello;
use crate::support::registry::Done;
use crate::support::site::Site;

/// A line of TOML whose key is unlike all others, too long to be a slip of the pen, and ends in the name of a table.
fn unknown(table: &str) -> String {
    format!("{}{table} = 1", "x".repeat(60))
}

/// From what a check prints: for each key of [`unknown`] the name of its table, and the keys that are known there.
fn known(printed: &str) -> BTreeMap<String, Vec<String>> {
    let problems = printed.split("\n\n").filter(|problem| problem.contains("unknown key `"));
    let of_problem = |problem: &str| {
        let key = problem.split("unknown key `").nth(1)?.split('`').next()?;
        let (_, list) = problem.split_once("= help: known are ")?;
        Some((key.trim_start_matches('x').to_owned(), list.split('`').skip(1).step_by(2).map(str::to_owned).collect()))
    };
    problems.filter_map(of_problem).collect()
}

/// Compares what a check printed with what is promised of a file.
#[track_caller]
fn compare(file: &str, printed: &str) {
    let known = known(printed);
    are_the_same(&format!("tables of {file}:\n{printed}\n"), &promised_names(&["keys", file]), known.keys().cloned());
    for (table, keys) in known {
        are_the_same(&format!("keys of {table} in {file}"), &promised(&["keys", file, &table]), keys);
    }
}

fn check(site: &Site) -> String {
    Done::from(Ok(site.run(&["--check"]))).stderr
}

#[test]
fn keys_of_a_configuration_are_as_promised() {
    let keys = [
        unknown("module"),
        format!("volumes = {{ '/' = {{ path = '.', {} }} }}", unknown("volume")),
        format!("allowed_hosts = [{{ host = 'example.com', {} }}]", unknown("allowed_host")),
        format!("scripts = {{ directory = '.', extensions = ['x'], {} }}", unknown("scripts")),
        format!("warm_start = {{ {} }}", unknown("warm_start")),
        format!("limits = {{ {} }}", unknown("module_limits")),
        format!("verify = {{ key = 'key', {} }}", unknown("verify")),
    ];
    let top = format!(
        "{}\n[[static]]\nroute = '/s/...'\ndirectory = '.'\n{}\n[admin]\n{}\n[debug]\n{}\nprofile = {{ slower_than = '1s', {} }}\n[registries.'example.com']\n{}\nverify = {{ key = 'key' }}\n[limits]\n{}\n[server]\n{}\n[tls]\n{}\ncertificates = [{{ {} }}]",
        unknown("top_level"),
        unknown("static"),
        unknown("admin"),
        unknown("debug"),
        unknown("profile"),
        unknown("registry"),
        unknown("limits"),
        unknown("server"),
        unknown("tls"),
        unknown("certificate"),
    );
    compare("modules.toml", &check(&Site::new().top(&top).text_module("/...", &hello(), &keys.join("\n"))));
}

#[test]
fn keys_of_a_cache_configuration_are_as_promised() {
    let site = Site::new().text_module("/", &hello(), "");
    site.file("cache.toml", format!("{}\n[cache]\nenabled = false\n{}\n", unknown("top_level"), unknown("cache")));
    compare("cache.toml", &check(&site));
}

#[test]
fn keys_of_a_lock_file_are_as_promised() {
    let site = Site::new().text_module("/", &hello(), "");
    site.file("wagi.lock", format!("version = 1\n{}\n[[module]]\n{}\n", unknown("top_level"), unknown("module")));
    compare("wagi.lock", &check(&site));
}

#[test]
fn keys_of_an_invoice_are_as_promised() {
    let bindle = Bindle::new().parcel(
        ("hello.wasm", "application/wasm"),
        hello(),
        &format!("route = '/'\n{}", unknown("wagi")),
        &unknown("conditions"),
    );
    let mut command = bindle.command();
    let path = bindle.home().join("invoice.toml");
    let mut invoice = format!("{}\n{}", unknown("top_level"), std::fs::read_to_string(&path).expect("an invoice"));
    for table in ["parcel", "label"] {
        let header = if table == "parcel" { "[[parcel]]\n" } else { "[parcel.label]\n" };
        invoice = invoice.replace(header, &format!("{header}{}\n", unknown(table)));
    }
    std::fs::write(&path, invoice).expect("writable");
    compare("invoice.toml", &Done::from(command.arg("--check").output()).stderr);
}
