//! `wagi.lock`: what is written into it, what a start does with it, and what `--locked` refuses.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wagi::observe::sha256_hex;

use crate::oci::{digest, give, manifest, program, shelf};
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command, run};
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};

/// A registry in which the tag `1` stands for the module `old` until the flag is set, and for `new` from then on. What it had
/// it goes on having.
fn moving() -> (Upstream, Arc<AtomicBool>) {
    let (mut old, mut new) = (shelf(&program("old")), shelf(&program("new")));
    let tag = "manifests/1".to_owned();
    let moved = new.remove(&tag).expect("a tag");
    old.extend(new);
    let mut new = old.clone();
    new.insert(tag, moved);
    let flag = Arc::new(AtomicBool::new(false));
    let has_moved = flag.clone();
    let server =
        Upstream::start(move |received| give(if has_moved.load(Ordering::SeqCst) { &new } else { &old }, received));
    (server, flag)
}

fn site(server: &Upstream) -> (Site, String) {
    let reference = format!("oci:127.0.0.1:{}/app:1", server.port());
    let site = Site::new().module("/", Path::new(&reference), "").module(
        "/again",
        Path::new(&reference.replace("oci:", "oci://")),
        "",
    );
    site.file("plain.wat", program("plain"));
    let site = site.module("/plain", Path::new("plain.wat"), "");
    site.write();
    (site, reference)
}

fn lock(site: &Site) -> Output {
    run(site.path(), &["lock", "-c", "modules.toml", "--module-cache", "cache"])
}

#[track_caller]
fn locked(site: &Site) -> String {
    let output = lock(site);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(site.path().join("wagi.lock")).expect("a lock file")
}

#[track_caller]
fn served(site: &Site, arguments: &[&str]) -> (String, String) {
    let mut command = command(site.path());
    let wagi = Wagi::spawn(command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).args(arguments));
    let text = Connection::open(wagi.address()).get("/").text();
    // What is said at the start comes before the line of the request.
    wagi.logged(&["GET / HTTP/1.1"]);
    (text, wagi.log())
}

#[track_caller]
fn refusal(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{stderr}");
    stderr
}

#[test]
fn every_reference_is_written_down_once_sorted_and_the_same_each_time() {
    let (server, _) = moving();
    let (site, reference) = site(&server);
    let text = locked(&site);
    let (old, plain) = (program("old"), program("plain"));
    let entry = |reference: &str, manifest: String, module: &str| {
        let (digest, size) = (digest(module), module.len());
        format!("\n[[module]]\nreference = \"{reference}\"\n{manifest}module = \"{digest}\"\nsize = {size}\n")
    };
    let pinned = format!("manifest = \"{}\"\n", digest(&manifest(&old)));
    let expected = entry(&reference, pinned, &old) + &entry("plain.wat", String::new(), &plain);
    assert!(text.starts_with("# ") && text.ends_with(&format!("\nversion = 1\n{expected}")), "{text}");
    let written = fs::metadata(site.path().join("wagi.lock")).and_then(|file| file.modified()).expect("there");
    assert!(String::from_utf8_lossy(&lock(&site).stderr).contains("nothing has changed"));
    assert_eq!(fs::metadata(site.path().join("wagi.lock")).and_then(|file| file.modified()).expect("there"), written);
}

#[test]
fn what_is_locked_is_served_and_its_tag_is_not_looked_up() {
    let (server, has_moved) = moving();
    let (site, _) = site(&server);
    locked(&site);
    has_moved.store(true, Ordering::SeqCst);
    let asked = server.received().len();
    for arguments in [&["--module-cache", "cache"][..], &["--module-cache", "cache", "--locked"]] {
        assert_eq!(served(&site, arguments).0, "old");
        assert_eq!(server.received().len(), asked);
    }
    // With an empty cache what is locked is fetched, by its digest.
    assert_eq!(served(&site, &["--locked"]).0, "old");
    let lines: Vec<String> = server.received().into_iter().skip(asked).map(|received| received.line).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("sha256:")), "{lines:?}");
    locked(&site);
    assert_eq!(served(&site, &["--locked"]).0, "new");
}

#[test]
fn without_locked_differences_are_warnings_and_what_is_missing_is_looked_up() {
    let (server, _) = moving();
    let (site, reference) = site(&server);
    site.file(
        "wagi.lock",
        format!(
            "version = 1\n[[module]]\nreference = 'gone.wasm'\nmodule = 'sha256:{0}'\nsize = 1\n\
        [[module]]\nreference = 'plain.wat'\nmodule = 'sha256:{0}'\nsize = 1\n",
            "0".repeat(64)
        ),
    );
    let (text, log) = served(&site, &[]);
    assert_eq!(text, "old");
    for part in [
        format!("warning: `{reference}` is not in the lock file `wagi.lock`"),
        "modules.toml:3:10".to_owned(),
        "warning: `gone.wasm` is in the lock file, but no module of the configuration".to_owned(),
        "wagi.lock:2:1".to_owned(),
        "warning: `plain.wat` is not what the lock file says".to_owned(),
        "wagi lock -c modules.toml".to_owned(),
    ] {
        assert!(log.contains(&part), "{part}: {log}");
    }
}

#[test]
fn locked_refuses_any_difference_and_says_where_and_what_to_do() {
    let (server, _) = moving();
    let (site, reference) = site(&server);
    let said = refusal(&site, &["--locked"]);
    assert!(said.contains("there is no lock file `wagi.lock`"), "{said}");
    assert!(said.contains("write it with `wagi lock -c modules.toml`") && server.received().is_empty(), "{said}");
    let good = locked(&site);
    let asked = server.received().len();

    let (head, entries) = good.split_at(good.find("\n[[").expect("an entry"));
    let (first, second) = entries.split_at(entries.rfind("\n[[").expect("two entries"));
    site.file("wagi.lock", format!("{head}{second}"));
    let said = refusal(&site, &["--locked"]);
    assert!(said.contains(&format!("error: `{reference}` is not in the lock file")), "{said}");
    assert!(said.contains("modules.toml:3:10") && said.contains("wagi lock"), "{said}");
    assert_eq!(server.received().len(), asked);

    site.file("wagi.lock", format!("{good}{}", second.replace("plain.wat", "stale.wat")));
    let said = refusal(&site, &["--locked"]);
    assert!(
        said.contains("error: `stale.wat` is in the lock file, but no module") && said.contains("wagi.lock:"),
        "{said}"
    );

    site.file("wagi.lock", &good);
    site.file("plain.wat", program("changed"));
    let said = refusal(&site, &["--locked"]);
    assert!(said.contains("error: `plain.wat` is not what the lock file says"), "{said}");
    assert!(said.contains(&sha256_hex(program("changed").as_bytes())) && said.contains("wagi lock"), "{said}");

    // Somebody has changed a size by hand.
    site.file("plain.wat", program("plain"));
    let size = |entry: &str| entry.replace("size = ", "size = 9");
    site.file("wagi.lock", format!("{head}{first}{}", size(second)));
    assert!(refusal(&site, &["--locked"]).contains("is not what the lock file says"));
    site.file("wagi.lock", format!("{head}{}{second}", size(first)));
    assert!(refusal(&site, &["--locked"]).contains("contradicts itself"));

    // Somebody has changed the digest of the module by hand.
    let other = digest(&program("new"));
    site.file("wagi.lock", format!("{head}{}{second}", first.replace(&digest(&program("old")), &other)));
    for arguments in [&["--locked"][..], &[]] {
        let said = refusal(&site, arguments);
        assert!(said.contains("the lock file contradicts itself") && said.contains("wagi.lock:"), "{said}");
    }
}

#[test]
fn a_damaged_lock_file_is_refused_where_it_is_damaged_and_can_be_written_again() {
    let (server, _) = moving();
    let (site, _) = site(&server);
    let good = locked(&site);
    site.file("wagi.lock", good.replace("size = ", "size = x"));
    let said = refusal(&site, &[]);
    assert!(said.contains("not valid TOML") && said.contains("wagi.lock:9:"), "{said}");
    site.file("wagi.lock", good.replace("version = 1", "version = 7"));
    assert!(refusal(&site, &["--locked"]).contains("wagi.lock:3:11"));
    assert_eq!(locked(&site), good);
}

#[test]
fn what_cannot_be_looked_up_is_not_locked() {
    let server = Upstream::start(|_| reply("404 Not Found", "", ""));
    let (site, _) = site(&server);
    site.file("wagi.lock", "as it was");
    let output = lock(&site);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("modules.toml:3:10"), "{said}");
    assert_eq!(fs::read_to_string(site.path().join("wagi.lock")).expect("there"), "as it was");
}

#[test]
fn a_locked_bindle_module_is_fetched_by_its_digest_and_its_invoice_is_not() {
    let (content, id) = (program("of a bindle"), "example.com/hello/1.0.0");
    let invoice = format!(
        "bindleVersion = '1.0.0'\n[bindle]\nname = 'example.com/hello'\nversion = '1.0.0'\n[[parcel]]\n[parcel.label]\n\
        name = 'm.wasm'\nmediaType = 'application/wasm'\nsize = {}\nsha256 = '{}'\n",
        content.len(),
        sha256_hex(content.as_bytes())
    );
    let parcel = format!("GET /v1/_i/{id}@{}", sha256_hex(content.as_bytes()));
    let expected = parcel.clone();
    let server = Upstream::start_with(move |received, stream| match received.line.as_str() {
        line if line == expected => stream.write_all(&reply("200 OK", "", &content)),
        line if line == format!("GET /v1/_i/{id}") => stream.write_all(&reply("200 OK", "", &invoice)),
        line => Err(io::Error::other(line.to_owned())),
    });
    let keys = format!("bindle_server = '{}'", server.url("/v1"));
    let site = Site::new().module("/", Path::new(&format!("bindle:{id}")), &keys);
    site.write();
    let text = locked(&site);
    assert!(text.contains(&format!("reference = \"bindle:{id}\"\nserver = \"{}\"\n", server.url("/v1"))), "{text}");
    let asked = server.received().len();
    assert_eq!(served(&site, &["--locked", "--module-cache", "cache"]).0, "of a bindle");
    assert_eq!(server.received().len(), asked);
    assert_eq!(served(&site, &["--locked"]).0, "of a bindle");
    let lines: Vec<String> = server.received().into_iter().skip(asked).map(|received| received.line).collect();
    assert_eq!(lines, [parcel]);
}

#[test]
fn locked_needs_a_modules_toml() {
    let site = Site::new();
    site.file("hello.wat", program("hello"));
    let output = run(site.path(), &["hello.wat", "--locked"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--locked needs --config"));
}
