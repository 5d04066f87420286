//! Bindles from a directory: which parcels are served, which files their programs see, and what stops the start.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use wagi::observe::sha256_hex;

use crate::support::bindle::{Bindle, ID};
use crate::support::caller::Caller;
use crate::support::guest::{printing, probe};
use crate::support::http1::Connection;
use crate::support::process::{Wagi, output, run};
use crate::support::upstream::{Upstream, reply};

const PROGRAM: (&str, &str) = ("program.wasm", "application/wasm");

fn probe_bytes() -> Vec<u8> {
    fs::read(probe()).expect("the probe is there")
}

fn saying(what: &str) -> String {
    printing(format!("Content-Type: text/plain\n\n{what}"))
}

fn get(wagi: &Wagi, target: &str) -> (u16, String) {
    let answer = Connection::open(wagi.address()).get(target);
    (answer.status, answer.text())
}

/// The paths of all files below a directory.
fn tree(root: &Path) -> BTreeSet<String> {
    let (mut found, mut directories) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                directories.push(entry);
            } else {
                found.insert(entry.strip_prefix(root).expect("below the root").display().to_string());
            }
        }
    }
    found
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_program_sees_the_files_it_requires_below_its_first_directory() {
    let wagi = Bindle::new()
        .program("/...", probe_bytes(), "", &["texts"])
        .file("note.txt", "a note", "texts")
        .file("images/deep/logo.svg", "<svg/>", "texts")
        .start(&[]);
    assert_eq!(get(&wagi, "/files/note.txt"), (200, "a note".into()));
    assert_eq!(get(&wagi, "/files/images/deep/logo.svg"), (200, "<svg/>".into()));
    assert_eq!(get(&wagi, "/list?/"), (200, "images\nnote.txt\n".into()));
    let opened = "opened, begins \"a note\"";
    let (_, text) = get(&wagi, "/open-escape?note.txt");
    holds(&text, &[&format!("below descriptor 3: {opened}")]);
    let (_, text) = get(&wagi, "/open-escape?/note.txt");
    holds(&text, &[&format!("by name: {opened}")]);
    for name in ["note.txt", "new.txt", "images/new.txt"] {
        let answer = Connection::open(wagi.address()).post(&format!("/write/{name}"), "changed");
        assert_eq!(answer.status, 403, "{name}: {}", answer.text());
    }
    assert_eq!(get(&wagi, "/files/note.txt"), (200, "a note".into()));
    assert_eq!(get(&wagi, "/list?/"), (200, "images\nnote.txt\n".into()));
}

#[test]
fn programs_see_the_files_of_their_own_groups_and_no_others() {
    let wagi = Bindle::new()
        .program("/one/...", probe_bytes(), "", &["first"])
        .program("/two/...", probe_bytes(), "", &["second"])
        .program("/both/...", probe_bytes(), "", &["first", "second"])
        .program("/none/...", probe_bytes(), "", &[])
        .program("/empty/...", probe_bytes(), "", &["nobody is in this one"])
        .file("one.txt", "1", "first")
        .file("two.txt", "2", "second")
        .file("three.txt", "3", "third")
        .start(&[]);
    assert_eq!(get(&wagi, "/one/list?/"), (200, "one.txt\n".into()));
    assert_eq!(get(&wagi, "/two/list?/"), (200, "two.txt\n".into()));
    assert_eq!(get(&wagi, "/both/list?/"), (200, "one.txt\ntwo.txt\n".into()));
    assert_eq!(get(&wagi, "/one/files/two.txt").0, 404);
    for route in ["/none", "/empty"] {
        assert_eq!(get(&wagi, &format!("{route}/list?/")).0, 403, "{route}");
        assert_eq!(get(&wagi, &format!("{route}/args")).0, 200, "{route}");
    }
}

/// Files of the same name but different contents are no conflict between programs.
#[test]
fn one_name_may_be_another_file_for_another_program() {
    let wagi = Bindle::new()
        .program("/en/...", probe_bytes(), "", &["english"])
        .program("/de/...", probe_bytes(), "", &["german"])
        .file("hello.txt", "hello", "english")
        .file("hello.txt", "hallo", "german")
        .start(&[]);
    assert_eq!(get(&wagi, "/en/files/hello.txt"), (200, "hello".into()));
    assert_eq!(get(&wagi, "/de/files/hello.txt"), (200, "hallo".into()));
}

#[test]
fn members_of_a_group_bring_the_groups_they_require() {
    let library = ("library.bin", "application/octet-stream");
    let wagi = Bindle::new()
        .program("/...", probe_bytes(), "", &["libraries"])
        .parcel(library, "no file", "", "memberOf = ['libraries']\nrequires = ['data']")
        .file("own.txt", "1", "libraries")
        .parcel(("more.txt", "a/b"), "2", "file = 'true'", "memberOf = ['data', 'other']\nrequires = ['last']")
        .file("last.txt", "3", "last")
        .parcel(("not-a-file.txt", "a/b"), "4", "file = 'yes'", "memberOf = ['last']")
        .start(&[]);
    assert_eq!(get(&wagi, "/list?/"), (200, "last.txt\nmore.txt\nown.txt\n".into()));
}

#[test]
fn a_parcel_that_was_tampered_with_stops_the_start() {
    for (original, tampered) in [("a note", "a lie!"), ("a note", "a longer lie")] {
        let bindle = Bindle::new().program("/...", probe_bytes(), "", &["texts"]).file("note.txt", original, "texts");
        fs::write(bindle.parcel_file(original), tampered).expect("a file can be written");
        let said = bindle.refusal();
        holds(&said, &["error", "parcel `note.txt` is not what the invoice says", "invoice.toml:"]);
        if original.len() == tampered.len() {
            holds(&said, &[&sha256_hex(original.as_bytes()), &sha256_hex(tampered.as_bytes())]);
        }
    }
    let bindle = Bindle::new().program("/...", probe_bytes(), "", &[]);
    fs::write(bindle.parcel_file(probe_bytes()), saying("evil")).expect("a file can be written");
    holds(&bindle.refusal(), &["parcel `program.wasm` is not what the invoice says"]);
}

#[test]
fn a_file_whose_name_climbs_out_stops_the_start() {
    for name in ["../out.txt", "a/../../out.txt", "/out.txt", "c:/out.txt", "a\\out.txt", "a//out.txt"] {
        let bindle = Bindle::new().program("/...", probe_bytes(), "", &["texts"]).file(name, "out", "texts");
        let said = bindle.refusal();
        holds(&said, &["error", "`label.name`", name, "invoice.toml:"]);
        assert!(!tree(bindle.path()).iter().any(|path| path.ends_with("out.txt")), "{name}");
    }
}

#[test]
fn a_digest_that_is_none_stops_the_start() {
    let bindle = Bindle::new().program("/...", probe_bytes(), "", &[]);
    bindle.command();
    let invoice = bindle.home().join("invoice.toml");
    let text = fs::read_to_string(&invoice).expect("it was written");
    fs::write(&invoice, text.replace(&sha256_hex(&probe_bytes()), "../../secret")).expect("a file can be written");
    let output = run(bindle.path(), &["--bindle", ID, "--bindle-path", "bindles"]);
    assert_eq!(output.status.code(), Some(1));
    holds(&String::from_utf8_lossy(&output.stderr), &["label.sha256", "../../secret", "invoice.toml:"]);
}

#[test]
fn groups_that_require_each_other_stop_the_start() {
    let member = |group: &str, requires: &str| format!("memberOf = ['{group}']\nrequires = ['{requires}']");
    for cycle in [&["a"][..], &["a", "b"], &["a", "b", "c"]] {
        let mut bindle = Bindle::new().program("/...", probe_bytes(), "", &["door"]);
        bindle = bindle.parcel(("door.txt", "a/b"), "door", "file = 'true'", &member("door", "a"));
        for (index, group) in cycle.iter().enumerate() {
            let next = cycle[(index + 1) % cycle.len()];
            let name = format!("{group}.txt");
            bindle = bindle.parcel((&name, "a/b"), group, "file = 'true'", &member(group, next));
        }
        let said = bindle.refusal();
        holds(&said, &["error", "require", "invoice.toml:", "cycle"]);
        for group in cycle {
            holds(&said, &[&format!("`{group}`")]);
        }
    }
}

#[test]
fn features_are_those_of_a_module() {
    let upstream = Upstream::start(|_| reply("200 OK", "", "from elsewhere"));
    let caller = Caller::new().get(upstream.url("/")).read(0, 99).module();
    let wagi = Bindle::new()
        .program("/other", probe_bytes(), "entrypoint = 'hello'", &[])
        .program("/arguments/...", probe_bytes(), "argv = 'one ${SCRIPT_NAME} ${ARGS} last'", &[])
        .program("/closed", &caller, "", &[])
        .program("/open", &caller, "allowed_hosts = 'https://example.com, http://127.0.0.1'", &[])
        .program("/all", &caller, "allowed_hosts = 'example.com, insecure:allow-all'", &[])
        .start(&[]);
    assert_eq!(get(&wagi, "/other"), (200, "hello from another entry point\n".into()));
    let (_, arguments) = get(&wagi, "/arguments/args?a&b=c");
    assert_eq!(arguments, "\"one\"\n\"/arguments/args\"\n\"a\"\n\"b=c\"\n\"last\"\n");
    assert_eq!(get(&wagi, "/closed").1, "7\n1\n");
    for route in ["/open", "/all"] {
        assert_eq!(get(&wagi, route).1, "0 200 0\n0 from elsewhere\n", "{route}");
    }
    assert_eq!(upstream.received().len(), 2);
}

#[test]
fn routes_come_in_the_order_of_the_parcels() {
    let wagi = Bindle::new()
        .program("/a", saying("exact"), "", &[])
        .program("/a/...", saying("below"), "", &[])
        .program("/...", saying("rest"), "", &[])
        .program("/other", saying("never"), "", &[])
        .program("/again", saying("exact"), "", &[])
        .start(&[]);
    for (path, what) in [("/a", "exact"), ("/a/b", "below"), ("/other", "rest"), ("/again", "rest")] {
        assert_eq!(get(&wagi, path), (200, what.into()), "{path}");
    }
    assert_eq!(get(&wagi, "/healthz"), (200, "OK".into()));
}

#[test]
fn only_programs_with_a_route_and_in_no_group_are_served() {
    let bindle = Bindle::new()
        .program("/same", saying("same"), "", &[])
        .program("/twice", saying("same"), "", &[])
        .parcel(PROGRAM, saying("no route"), "", "")
        .parcel(PROGRAM, saying("grouped"), "route = '/grouped'", "memberOf = ['some']")
        .parcel(("page.html", "text/html"), saying("page"), "route = '/page'", "");
    // What is not needed need not be there.
    for unused in ["no route", "grouped", "page"] {
        fs::remove_file(bindle.parcel_file(saying(unused))).expect("it was there");
    }
    let wagi = bindle.start(&[]);
    for path in ["/same", "/twice"] {
        assert_eq!(get(&wagi, path), (200, "same".into()));
    }
    for path in ["/", "/grouped", "/page"] {
        assert_eq!(get(&wagi, path).0, 404, "{path}");
    }
    for reason in ["it is in group `some`", "only parcels of the type `application/wasm`"] {
        wagi.logged(&["warning", reason]);
    }
}

#[test]
fn a_parcel_that_is_needed_and_missing_stops_the_start() {
    let bindle = Bindle::new().program("/...", probe_bytes(), "", &["texts"]).file("note.txt", "a note", "texts");
    fs::remove_file(bindle.parcel_file("a note")).expect("it was there");
    holds(&bindle.refusal(), &["error", "`note.txt`", &sha256_hex(b"a note"), "invoice.toml:"]);
}

/// As it is typed by a program that starts wagi; the directory beats the variable.
#[test]
fn a_known_command_line_serves_a_bindle() {
    let bindle = Bindle::new().program("/app/...", probe_bytes(), "", &["texts"]).file("note.txt", "a note", "texts");
    let compiled = bindle.path().join("compiled");
    bindle.command();
    for with_cache in [false, true] {
        if with_cache {
            let text = format!("[cache]\nenabled = true\ndirectory = '{}'\n", compiled.display());
            fs::write(bindle.path().join("local/cache.toml"), text).expect("a file can be written");
        }
        let mut command = crate::support::process::command(bindle.path());
        command.env("BINDLE_URL", "http://127.0.0.1:1/v1").args([
            "--listen",
            "127.0.0.1:0",
            "--log-dir",
            "local/log",
            "--bindle",
            ID,
            "--cache",
            "local/cache.toml",
            "-e",
            "FIRST='one'",
            "-e",
            "SECOND=2=2",
            "--bindle-path",
            "bindles",
        ]);
        let wagi = Wagi::spawn(&mut command);
        assert_eq!(get(&wagi, "/app/files/note.txt"), (200, "a note".into()));
        let (_, variables) = get(&wagi, "/app/env");
        holds(&variables, &["\nFIRST=one\n", "\nSECOND=2=2\n"]);
        assert!(!variables.contains("BINDLE"), "{variables}");
        assert_eq!(get(&wagi, "/app/log?said"), (200, "logged\n".into()));
        let index = fs::read_to_string(bindle.path().join("local/log/index.tsv")).expect("there is an index");
        let hash = sha256_hex(b"/app/...");
        assert_eq!(index, format!("{hash}\t/app/...\n"));
        let file = bindle.path().join("local/log").join(hash).join("module.stderr");
        let times = 1 + usize::from(with_cache);
        crate::support::eventually(|| {
            (fs::read_to_string(&file).expect("it is there") == "said\n".repeat(times)).then_some(())
        });
    }
}

#[test]
fn the_module_cache_is_made_and_laid_out() {
    let program = probe_bytes();
    let bindle = Bindle::new()
        .program("/one/...", &program, "", &["texts"])
        .program("/two/...", &program, "", &["texts"])
        .program("/three/...", &program, "", &["more"])
        .file("note.txt", "a note", "texts")
        .file("below/more.txt", "more", "more");
    let cache = bindle.path().join("new/cache");
    let started = || Wagi::spawn(bindle.command().args(["--module-cache", "new/cache"]));
    drop(started());
    let id = sha256_hex(ID.as_bytes());
    let files = tree(&cache);
    let (views, rest): (BTreeSet<_>, BTreeSet<_>) = files.into_iter().partition(|path| path.starts_with("_VIEWS/"));
    let expected = [
        sha256_hex(&program),
        sha256_hex(b"a note"),
        sha256_hex(b"more"),
        format!("_INVOICES/{id}"),
        format!("_ASSETS/{id}/note.txt"),
        format!("_ASSETS/{id}/below/more.txt"),
    ];
    assert_eq!(rest, BTreeSet::from(expected));
    let shown: Vec<&str> = views.iter().map(|path| path.splitn(3, '/').nth(2).expect("a file in a view")).collect();
    assert_eq!(BTreeSet::from_iter(shown.iter().copied()), BTreeSet::from(["note.txt", "below/more.txt"]));
    assert_eq!(shown.len(), 2, "{views:?}");
    let read = |path: &str| fs::read(cache.join(path)).expect("a file");
    assert_eq!(read(&format!("_ASSETS/{id}/note.txt")), b"a note");
    assert_eq!(read(&format!("_INVOICES/{id}")), fs::read(bindle.home().join("invoice.toml")).expect("a file"));

    // From then on parcels come from there.
    fs::remove_file(bindle.parcel_file("a note")).expect("it was there");
    fs::remove_file(bindle.parcel_file(&program)).expect("it was there");
    let wagi = started();
    assert_eq!(get(&wagi, "/one/files/note.txt"), (200, "a note".into()));
    drop(wagi);

    // A parcel that is damaged there is fetched again, and is refused where it cannot be.
    fs::remove_file(cache.join(sha256_hex(b"more"))).expect("it was there");
    fs::write(cache.join(sha256_hex(b"more")), "evil").expect("a file can be written");
    assert_eq!(get(&started(), "/three/files/below/more.txt"), (200, "more".into()));
    fs::remove_file(cache.join(sha256_hex(b"a note"))).expect("it was there");
    fs::write(cache.join(sha256_hex(b"a note")), "a lie!").expect("a file can be written");
    let output = output(bindle.command().args(["--module-cache", "new/cache"])).expect("wagi can be started");
    assert_eq!(output.status.code(), Some(1));
    holds(&String::from_utf8_lossy(&output.stderr), &["`note.txt`", &sha256_hex(b"a note")]);
}

#[test]
fn without_a_module_cache_nothing_is_left() {
    let bindle = Bindle::new().program("/...", probe_bytes(), "", &["texts"]).file("note.txt", "a note", "texts");
    let temporary = bindle.path().join("tmp");
    fs::create_dir(&temporary).expect("a directory can be made");
    let mut wagi = Wagi::spawn(bindle.command().env("TMPDIR", &temporary));
    assert_eq!(get(&wagi, "/files/note.txt"), (200, "a note".into()));
    assert!(!tree(&temporary).is_empty());
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert_eq!(fs::read_dir(&temporary).expect("a directory").count(), 0);

    fs::write(bindle.parcel_file("a note"), "a lie!").expect("a file can be written");
    let output = output(bindle.command().env("TMPDIR", &temporary)).expect("wagi can be started");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(&temporary).expect("a directory").count(), 0);
}

/// An end because nothing happens is an end as after a signal.
#[test]
fn a_server_that_ends_when_it_is_idle_leaves_no_files() {
    let bindle = Bindle::new().program("/...", probe_bytes(), "", &["texts"]).file("note.txt", "a note", "texts");
    let temporary = bindle.path().join("tmp");
    fs::create_dir(&temporary).expect("a directory can be made");
    let mut wagi = Wagi::spawn(bindle.command().args(["--idle-exit", "300ms"]).env("TMPDIR", &temporary));
    assert_eq!(wagi.ended().code(), Some(0));
    assert_eq!(fs::read_dir(&temporary).expect("a directory").count(), 0);
}

#[test]
fn a_bindle_is_checked_without_being_served() {
    let bindle = Bindle::new().program("/app/...", probe_bytes(), "", &[]);
    let output = bindle.command().arg("--check").output().expect("wagi can be started");
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(table.lines().any(|line| line.starts_with("/app/...\t")), "{table}");
}

#[test]
fn what_was_asked_for_has_to_be_there() {
    let bindle = Bindle::new().program("/...", probe_bytes(), "", &[]);
    bindle.command();
    for (id, part) in [
        ("example.com/site/1.0.1", "example.com/site/1.0.1"),
        ("example.com/site", "example.com/site"),
        ("example.com/site/1.0", "1.0.0"),
    ] {
        let arguments = ["-l", "127.0.0.1:0", "--bindle", id, "--bindle-path", "bindles"];
        let output = run(bindle.path(), &arguments);
        assert_eq!(output.status.code(), Some(1), "{id}");
        holds(&String::from_utf8_lossy(&output.stderr), &["error", part]);
    }
    // The invoice of another bindle in its place.
    let other = bindle.path().join("bindles").join(sha256_hex(b"example.com/other/1.0.0"));
    fs::rename(bindle.home(), other).expect("a directory can be renamed");
    let arguments = ["--bindle", "example.com/other/1.0.0", "--bindle-path", "bindles"];
    let output = run(bindle.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    holds(&String::from_utf8_lossy(&output.stderr), &["example.com/other"]);
}
