//! `--watch`: every way in which programs change files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::http1::Connection;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;
use crate::support::{at_leisure, guest};

use super::{GENERATION, configure, file, generation, manifest, of_site};

fn watched() -> Wagi {
    of_site("one", "").start(&["--watch"])
}

/// Waits for a generation, and asserts that nothing but `before` answers until then.
fn becomes(wagi: &Wagi, before: &str, after: &str) {
    let mut connection = Connection::open(wagi.address());
    at_leisure(|| {
        let now = generation(&mut connection);
        assert!(now == before || now == after, "{now}");
        (now == after).then_some(())
    });
}

/// For how long a change that is half done is no error.
const HALF_DONE: Duration = Duration::from_secs(2);

/// How often a change in two steps is tried.
const ATTEMPTS: usize = 20;

/// Makes a change in two steps, with a pause in which the server sees the first. Asserts that nothing is refused, unless the machine
/// has had so much else to do that the server did not get the second step in time: then it is tried again. The first step is told
/// how often it is tried, and the second what the first has begun.
fn in_two_steps<T>(wagi: &Wagi, first: impl Fn(usize) -> T, second: impl Fn(usize, T)) {
    let refusals = || wagi.log().matches("refused").count();
    for attempt in 1..=ATTEMPTS {
        let (before, began) = (refusals(), Instant::now());
        let begun = first(attempt);
        sleep(Duration::from_millis(300));
        second(attempt, begun);
        wagi.logged(&[&format!("reloaded generation={} ", attempt + 1)]);
        if began.elapsed() < HALF_DONE {
            assert_eq!(refusals(), before, "{}", wagi.log());
            assert_eq!(wagi.log().matches("reloaded generation=").count(), attempt, "{}", wagi.log());
            return;
        }
    }
    panic!("all steps took too long:\n{}", wagi.log());
}

/// What answers before the change of an attempt, if each attempt has its number as the generation.
fn before(attempt: usize) -> String {
    if attempt == 1 { "one".to_owned() } else { (attempt - 1).to_string() }
}

#[test]
fn a_file_that_an_editor_replaces_is_reloaded() {
    let wagi = watched();
    for (before, after) in [("one", "two"), ("two", "three"), ("three", "four")] {
        fs::write(file(&wagi, "modules.toml.new"), manifest(after, "")).unwrap();
        fs::rename(file(&wagi, "modules.toml.new"), file(&wagi, "modules.toml")).unwrap();
        becomes(&wagi, before, after);
    }
    wagi.logged(&["reloaded generation=4"]);
    assert_eq!(wagi.log().matches("reloaded generation=").count(), 3, "{}", wagi.log());
}

#[test]
fn a_file_that_is_written_in_place_in_two_steps_is_read_when_it_is_whole() {
    let wagi = watched();
    let half = |attempt: usize| {
        let whole = manifest(&attempt.to_string(), "");
        let (first, second) = whole.split_at(whole.find("environment").unwrap());
        let mut written = fs::File::create(file(&wagi, "modules.toml")).unwrap();
        written.write_all(first.as_bytes()).unwrap();
        (written, second.to_owned())
    };
    in_two_steps(&wagi, half, |attempt, (mut written, second)| {
        written.write_all(second.as_bytes()).unwrap();
        drop(written);
        becomes(&wagi, &before(attempt), &attempt.to_string());
    });
}

/// What is there so far is a valid configuration with one entry less: only that it is still open tells that it is half.
#[test]
fn half_of_a_configuration_is_not_served_as_long_as_it_is_open() {
    let wagi = watched();
    let mut written = fs::File::create(file(&wagi, "modules.toml")).unwrap();
    write!(written, "[[module]]\nroute = '/other'\nmodule = 'guest0.wat'\nenvironment = {{ GENERATION = 'half' }}\n")
        .unwrap();
    written.flush().unwrap();
    sleep(Duration::from_millis(600));
    let mut connection = Connection::open(wagi.address());
    assert_eq!(generation(&mut connection), "one");
    written.write_all(manifest("two", "").as_bytes()).unwrap();
    drop(written);
    becomes(&wagi, "one", "two");
    assert_eq!(connection.get("/other").text(), "half");
    wagi.logged(&["reloaded generation=2"]);
    assert_eq!(wagi.log().matches("reloaded generation=").count(), 1, "{}", wagi.log());
}

#[test]
fn a_file_that_is_deleted_and_made_again_is_reloaded() {
    let wagi = watched();
    let removed = |_| fs::remove_file(file(&wagi, "modules.toml")).unwrap();
    in_two_steps(&wagi, removed, |attempt, ()| {
        let after = attempt.to_string();
        configure(&wagi, &manifest(&after, ""));
        becomes(&wagi, &before(attempt), &after);
    });
}

/// As Kubernetes changes the files of a ConfigMap: a directory for each version, and one link that is replaced.
#[test]
fn a_link_to_a_directory_that_is_replaced_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("guest0.wat"), GENERATION).unwrap();
    fs::create_dir(path("config")).unwrap();
    let version = |name: &str, generation: &str| {
        fs::create_dir(path("config").join(name)).unwrap();
        fs::write(path("config").join(name).join("modules.toml"), manifest(generation, "")).unwrap();
    };
    version("..one", "one");
    symlink("..one", path("config/..data")).unwrap();
    symlink("..data/modules.toml", path("config/modules.toml")).unwrap();
    let mut command = process::command(directory.path());
    let wagi = Wagi::spawn(command.args(["-l", "127.0.0.1:0", "--watch", "-c", "config/modules.toml"]));
    for (before, after) in [("one", "two"), ("two", "three")] {
        version(&format!("..{after}"), after);
        symlink(format!("..{after}"), path("config/..data_tmp")).unwrap();
        fs::rename(path("config/..data_tmp"), path("config/..data")).unwrap();
        fs::remove_dir_all(path(&format!("config/..{before}"))).unwrap();
        becomes(&wagi, before, after);
    }
    assert!(!wagi.log().contains("refused"), "{}", wagi.log());
}

#[test]
fn a_module_that_is_half_written_is_tried_again() {
    let wagi = watched();
    let half = |_| fs::write(file(&wagi, "guest0.wat"), &GENERATION[..GENERATION.len() / 2]).unwrap();
    in_two_steps(&wagi, half, |attempt, ()| {
        assert_eq!(generation(&mut Connection::open(wagi.address())), "one");
        let whole = GENERATION.replace("module 0", &format!("module {attempt}"));
        fs::write(file(&wagi, "guest0.wat"), whole).unwrap();
        wagi.logged(&[&format!("reloaded generation={} ", attempt + 1), "compiled=1"]);
    });
}

#[test]
fn a_module_that_stays_broken_is_an_error_after_a_while() {
    let wagi = watched();
    let began = Instant::now();
    fs::write(file(&wagi, "guest0.wat"), "(module (func").unwrap();
    wagi.logged(&["reload refused: 1 error; generation 1 goes on serving"]);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    wagi.logged(&["ERROR", "cannot load `guest0.wat`", "file=\"modules.toml\" line=3"]);
    assert_eq!(generation(&mut Connection::open(wagi.address())), "one");
}

#[test]
fn every_file_that_was_read_is_watched() {
    let site = Site::new().module(
        "/...",
        "guest0.wat".as_ref(),
        "env_file = 'vars.env'\nsecrets = { SECRET = 'secret.txt' }\nenvironment = { GENERATION = '1' }",
    );
    site.file("guest0.wat", GENERATION);
    site.file("vars.env", "A=1\n");
    site.file("secret.txt", "1");
    site.file("more.env", "B=1\n");
    let wagi = site.start(&["--watch", "--env-file", "more.env"]);
    let changes = [("vars.env", "A=2\n"), ("secret.txt", "2"), ("more.env", "B=2\n"), ("vars.env", "A=3\n")];
    for (number, (name, content)) in (2..).zip(changes) {
        fs::write(file(&wagi, "unrelated"), name).unwrap();
        fs::write(file(&wagi, name), content).unwrap();
        wagi.logged(&[&format!("reloaded generation={number} ")]);
    }
    assert_eq!(wagi.log().matches("reloaded generation=").count(), changes.len(), "{}", wagi.log());
}

#[test]
fn a_change_during_the_start_or_a_reload_is_not_lost() {
    let site = of_site("one", "");
    site.write();
    let mut command = process::command(site.path());
    command.args(["-l", "127.0.0.1:0", "--watch", "-c", "modules.toml"]);
    let path = site.path().join("modules.toml");
    let changing = std::thread::spawn(move || {
        for number in 0..40 {
            fs::write(&path, manifest(&number.to_string(), "")).unwrap();
            sleep(Duration::from_millis(30));
        }
    });
    let wagi = Wagi::spawn(&mut command);
    changing.join().unwrap();
    let mut connection = Connection::open(wagi.address());
    at_leisure(|| (generation(&mut connection) == "39").then_some(()));
}

#[test]
fn certificate_and_key_may_change_one_after_the_other() {
    let fixture = |name: &str| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let site = Site::new().module("/...", &guest::probe(), "");
    site.file("cert.pem", fs::read(fixture("ec.cert.pem")).unwrap());
    site.file("key.pem", fs::read(fixture("ec.pkcs8.pem")).unwrap());
    let wagi = site.start(&["--watch", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert_eq!(crate::tls::curl(&wagi, "ec.cert.pem", &[], "/args"), "\"/args\"\nHTTP/2");
    // An attempt after another changes them back.
    let pair = |attempt: usize| {
        if attempt % 2 == 1 { ("rsa.cert.pem", "rsa.pkcs1.pem") } else { ("ec.cert.pem", "ec.pkcs8.pem") }
    };
    let copy = |from, to| fs::copy(fixture(from), file(&wagi, to)).unwrap();
    let certificate = |attempt: usize| {
        copy(pair(attempt).0, "cert.pem");
    };
    in_two_steps(&wagi, certificate, |attempt, ()| {
        copy(pair(attempt).1, "key.pem");
        wagi.logged(&[&format!("reloaded generation={} ", attempt + 1)]);
        assert_eq!(crate::tls::curl(&wagi, pair(attempt).0, &[], "/args"), "\"/args\"\nHTTP/2");
    });
}
