//! The complete configuration in `examples/production.toml` is one that works.

use std::process::Command;

use crate::support::guest::printing;
use crate::support::output::text;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

/// A directory with all that the file names.
fn site() -> Site {
    let site = Site::new();
    let root = env!("CARGO_MANIFEST_DIR");
    let copy = |from: &str, name: &str| {
        site.file(name, std::fs::read(format!("{root}/{from}")).expect("it is there"));
    };
    copy("examples/production.toml", "production.toml");
    for (name, cert, key) in [
        ("example.com", "sni-exact.cert.pem", "ed25519.key.pem"),
        ("shop.example.com", "sni-wildcard.cert.pem", "rsa.pkcs1.pem"),
    ] {
        copy(&format!("tests/fixtures/{cert}"), &format!("{name}.pem"));
        copy(&format!("tests/fixtures/{key}"), &format!("{name}.key"));
    }
    for (name, body) in [("shop.wat", "the shop\n"), ("site.wat", "the site\n")] {
        site.file(name, printing(format!("Content-Type: text/plain\n\n{body}")));
    }
    site.file("database-password", "hunter2");
    site.file("shop.env", "CURRENCY=EUR\n");
    site.file("shop-data/catalogue", "");
    site.file("log/.keep", "");
    site
}

#[test]
fn the_complete_configuration_has_no_problem_and_serves_both_hosts() {
    let site = site();
    let checked = process::run(site.path(), &["-c", "production.toml", "--check", "--strict"]);
    let routes = text(&checked.stdout);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(routes.contains("shop.wat") && routes.contains("site.wat"), "{routes}");

    let mut command = process::command(site.path());
    command.args(["-c", "production.toml", "-l", "127.0.0.1:0", "-l", "unix:http.sock", "--log-dir", "log"]);
    let wagi = Wagi::spawn(&mut command);
    for (host, expected) in [("shop.example.com", "the shop\n"), ("example.com", "the site\n")] {
        let curl = Command::new("curl")
            .args(["--silent", "--show-error", "--unix-socket", "http.sock", &format!("http://{host}/")])
            .current_dir(site.path())
            .output()
            .expect("curl is installed");
        assert_eq!(text(&curl.stdout), expected, "{host}: {} {}", text(&curl.stderr), wagi.log());
    }
}
