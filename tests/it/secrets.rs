//! Variables of one module from the server's environment and from files, and that nobody but the guest sees their values.

use std::fs;
use std::process::Command;

use crate::support::guest;
use crate::support::http1::Connection;
use crate::support::output::both;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

const ENV: &str = include_str!("../../examples/env.wat");

/// What stands for a password, wherever one comes from.
const SECRETS: [&str; 5] = ["alpha-hunter2", "bravo-hunter2", "charlie-hunter2", "delta-hunter2", "echo-hunter2"];

/// A site with a secret from every source, and a server's environment that has one, too.
fn site(broken: &str) -> (Site, Command) {
    let keys = "\
        env_file = 'module.env'\n\
        environment = { LITERAL = 'bravo-hunter2', SERVER = 'x${DB_PASSWORD}x', DEFAULT = '${NOT_SET:-none}', \
            ESCAPED = '$${DB_PASSWORD}' }\n\
        secrets = { FILE = 'secret', RUN = '${CREDENTIALS}/token' }\n";
    let site = Site::new()
        .text_module("/env", ENV, keys)
        .text_module("/trap", &guest::printing_then("Content-Type: text/plain\n\n", "(unreachable)"), keys)
        .text_module("/quiet", ENV, broken);
    site.file("module.env", "FROM_FILE=charlie-hunter2\nLITERAL=overridden\nno variable echo-hunter2\n");
    site.file("secret", "delta-hunter2\n");
    site.file("credentials/token", "two\nlines\r\n");
    site.write();
    let mut command = process::command(site.path());
    command.env("DB_PASSWORD", "alpha-hunter2").env("CREDENTIALS", "credentials").env("RUST_LOG", "trace");
    command.args(["-c", "modules.toml", "-l", "127.0.0.1:0"]);
    (site, command)
}

#[track_caller]
fn holds_no_secret(shown: &str) {
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn the_guest_has_the_values_and_nothing_else_shows_them() {
    let (site, mut command) = site("");
    let wagi = Wagi::spawn(command.args(["--log-dir", "logs"]));
    let answer = Connection::open(wagi.address()).get("/env").text();
    let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    assert_eq!(value("LITERAL"), Some("bravo-hunter2"));
    assert_eq!(value("SERVER"), Some("xalpha-hunter2x"));
    assert_eq!(value("DEFAULT"), Some("none"));
    assert_eq!(value("ESCAPED"), Some("${DB_PASSWORD}"));
    assert_eq!(value("FROM_FILE"), Some("charlie-hunter2"));
    assert_eq!(value("FILE"), Some("delta-hunter2"));
    // One line end is the file's, not the secret's.
    assert!(answer.contains("RUN=two\nlines\n"), "{answer}");
    // Asked for by name only, and by one module only.
    assert_eq!(value("DB_PASSWORD"), None);
    let other = Connection::open(wagi.address()).get("/quiet").text();
    holds_no_secret(&other);

    Connection::open(wagi.address()).get("/trap");
    wagi.logged(&["/trap"]);
    // The environment file has a line that is no variable, which is said without showing it.
    wagi.logged(&["sets no variable"]);
    holds_no_secret(&wagi.log());
    holds_no_secret(&wagi.output());
    for entry in fs::read_dir(site.path().join("logs")).expect("a directory").map(|entry| entry.expect("an entry")) {
        let logs =
            if entry.path().is_dir() { fs::read_dir(entry.path()).expect("a directory").collect() } else { vec![] };
        for file in logs.into_iter().map(|entry| entry.expect("an entry").path()).chain([entry.path()]) {
            holds_no_secret(&fs::read_to_string(file).unwrap_or_default());
        }
    }
}

#[test]
fn checking_shows_no_value_whatever_is_wrong() {
    let (_site, mut command) = site("");
    let output = command.arg("--check").output().expect("wagi can be started");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    holds_no_secret(&both(&output));

    for (broken, complaint) in [
        ("environment = { A = 'bravo-hunter2', B = 3 }", "`environment.B` must be a string"),
        ("environment = { A = 'bravo-hunter2', B = '${NOT_SET}' }", "has no variable `NOT_SET`"),
        ("environment = { A = 'bravo-hunter2', B = 'bravo-hunter2${' }", "without its `}`"),
        ("environment = { A = 'bravo-hunter2', 'A=B' = 'bravo-hunter2' }", "contains '='"),
        ("environment = { A = 'bravo-hunter2' }; x", "not valid TOML"),
        ("environment = { A = 'bravo-hunter2 }", "not valid TOML"),
        ("environment = { A = 'bravo-hunter2', A = 'bravo-hunter2' }", "duplicate key"),
        ("environment = 'bravo-hunter2'", "`environment` must be a table"),
        ("enviroment = { A = 'bravo-hunter2' }\nargv = 3", "unknown key `enviroment`"),
        ("env.A = 'bravo-hunter2'\nargv = 3", "unknown key `env`"),
        ("environment = { A = 'bravo-hunter2' }\nsecrets = { A = 'secret' }", "both in `environment` and in `secrets`"),
        ("secrets = { A = 'missing' }", "file `missing` does not exist"),
        ("secrets = { A = '${DB_PASSWORD:-x' }", "without its `}`"),
        ("secrets = { A = '${DB_PASSWORD}' }", "file `${DB_PASSWORD}` does not exist"),
        ("env_file = ['module.env', 'missing']", "file `missing` does not exist"),
        ("env_file = 'guest0.wat'\nargv = 3", "`argv` must be a string"),
    ] {
        let (_site, mut command) = site(broken);
        let output = command.args(["--check", "--strict"]).output().expect("wagi can be started");
        assert_eq!(output.status.code(), Some(1), "{broken}: {}", both(&output));
        assert!(both(&output).contains(complaint), "{broken}: {}", both(&output));
        holds_no_secret(&both(&output));
    }
}

#[test]
fn a_secret_that_no_variable_can_hold_is_an_error() {
    for (content, complaint) in [
        (&b"delta-hunter2\0"[..], "contains a NUL character"),
        (b"delta-hunter2\xff", "is not UTF-8"),
        (&[b'x'; (1 << 20) + 1], "larger than 1 MiB"),
    ] {
        let (site, mut command) = site("");
        site.file("secret", content);
        let output = command.arg("--check").output().expect("wagi can be started");
        assert_eq!(output.status.code(), Some(1));
        assert!(both(&output).contains(complaint), "{}", both(&output));
        holds_no_secret(&both(&output));
    }
}

/// From the lowest to the highest: `env_file`, `environment`, `secrets`, `--env-file`, `--env`.
#[test]
fn what_is_nearer_to_the_command_line_wins() {
    let keys = "env_file = ['1.env', '2.env']\nenvironment = { C = 'environment', D = 'environment', E = 'environment' }\n\
        secrets = { F = 'secret', G = 'secret' }";
    let site = Site::new().text_module("/", ENV, keys);
    site.file("1.env", "A=1.env\nB=1.env\nC=1.env\nF=1.env\n");
    site.file("2.env", "B=2.env\n");
    site.file("secret", "secret");
    site.file("all.env", "D=--env-file\nE=--env-file\nG=--env-file\n");
    let wagi = site.start(&["--env-file", "all.env", "--env", "E=--env"]);
    let answer = Connection::open(wagi.address()).get("/").text();
    for line in ["A=1.env", "B=2.env", "C=environment", "D=--env-file", "E=--env", "F=secret", "G=--env-file"] {
        assert!(answer.lines().any(|found| found == line), "{line}: {answer}");
    }
}
