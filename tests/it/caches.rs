//! The caches: where they are, what a second start does with them, what is listed and pruned while servers run.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wagi::observe::sha256_hex;

use crate::oci::{digest, give, manifest, program, push, registry, shelf};
use crate::support::bindle::Bindle;
use crate::support::guest::printing;
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command, output};
use crate::support::registry::{Registry, installed};
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};
use crate::support::{eventually, make_pipe};

/// A command with a home of its own, whose caches are below `home`.
fn at_home(directory: &Path) -> Command {
    let mut command = command(directory);
    command.env("XDG_CACHE_HOME", home(directory));
    command
}

fn home(directory: &Path) -> PathBuf {
    directory.join("home/cache")
}

fn serving(site: &Site) -> Command {
    site.write();
    start(site)
}

fn start(site: &Site) -> Command {
    let mut command = at_home(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]);
    command
}

#[track_caller]
fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{out}{err}");
    out
}

fn cache(site: &Site, arguments: &[&str]) -> String {
    said(&at_home(site.path()).arg("cache").args(arguments).output().expect("wagi can be started"))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn the_caches_are_in_the_directory_of_the_user_and_for_him_alone() {
    let site = Site::new().text_module("/", &printing("Content-Type: text/plain\n\nhello"), "");
    site.write();
    let arguments = ["-l", "127.0.0.1:0", "-c", "modules.toml"];
    let own = site.path().join("own");
    for (variables, below) in [
        (vec![("XDG_CACHE_HOME", home(site.path()))], home(site.path())),
        (vec![("HOME", own.clone()), ("XDG_CACHE_HOME", PathBuf::from("relative"))], own.join(".cache")),
    ] {
        drop(Wagi::spawn(command(site.path()).envs(variables).args(arguments)));
        for made in ["", "wagi", "wagi/compiled"] {
            assert_eq!(mode(&below.join(made)), 0o700, "{}", below.join(made).display());
        }
    }
    assert!(!site.path().join("relative").exists());
}

#[test]
fn a_start_without_a_usable_home_serves_all_the_same() {
    let site = Site::new().text_module("/", &printing("Content-Type: text/plain\n\nhello"), "");
    let file = site.file("home", "no directory");
    let wagi = Wagi::spawn(serving(&site).env("XDG_CACHE_HOME", file));
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
    wagi.logged(&["INFO", "cannot keep compiled code"]);
    assert!(!wagi.log().contains("WARN"), "{}", wagi.log());
}

/// Puts pipes in place of all files below a directory. No process is at their other end.
fn replace_by_pipes(directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        match entry.is_dir() {
            true => replace_by_pipes(&entry),
            false => {
                fs::remove_file(&entry).expect("removable");
                make_pipe(&entry);
            }
        }
    }
}

#[test]
fn pipes_in_place_of_cached_files_hold_no_start() {
    let server = registry(shelf(&program("hello")));
    let site = Site::new().module("/", Path::new(&format!("oci:127.0.0.1:{}/app:1", server.port())), "");
    for _ in 0..2 {
        let wagi = Wagi::spawn(&mut serving(&site));
        assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
        drop(wagi);
        replace_by_pipes(&home(site.path()));
    }
    let env_file = site.path().join("pipe.env");
    make_pipe(&env_file);
    let output = output(serving(&site).args(["--env-file", "pipe.env"])).expect("wagi can be started");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("cannot read environment file `pipe.env`") && stderr.contains("regular"), "{stderr}");
}

#[test]
fn compiled_code_is_not_kept_where_others_could_change_it() {
    let site = Site::new().text_module("/", &printing("Content-Type: text/plain\n\nhello"), "");
    let compiled = home(site.path()).join("wagi/compiled");
    fs::create_dir_all(&compiled).expect("writable");
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let wagi = Wagi::spawn(&mut serving(&site));
    wagi.logged(&["WARN", "other users could change it", "chmod go-w", &compiled.display().to_string()]);
    wagi.logged(&["all modules are loaded", "compiled=1"]);
    assert_eq!(fs::read_dir(&compiled).expect("a directory").count(), 0);
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o700)).expect("it is ours");
    drop(Wagi::spawn(&mut serving(&site)));
    assert_eq!(fs::read_dir(&compiled).expect("a directory").count(), 1);
}

#[test]
fn nor_is_it_in_the_cache_of_the_engine() {
    let site = Site::new().text_module("/", &printing("Content-Type: text/plain\n\nhello"), "");
    let compiled = site.path().join("compiled");
    site.file("cache.toml", format!("[cache]\ndirectory = '{}'\n", compiled.display()));
    fs::create_dir_all(compiled.join("modules")).expect("writable");
    for open in [compiled.clone(), compiled.join("modules")] {
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("it is ours");
        let wagi = Wagi::spawn(&mut serving(&site));
        wagi.logged(&["WARN", "other users could change it", "chmod go-w", &open.display().to_string()]);
        wagi.logged(&["all modules are loaded", "compiled=1"]);
        assert_eq!(fs::read_dir(compiled.join("modules")).expect("a directory").count(), 0);
        fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).expect("it is ours");
    }
    drop(Wagi::spawn(&mut serving(&site)));
    assert_eq!(fs::read_dir(compiled.join("modules")).expect("a directory").count(), 1);
}

#[test]
fn a_module_cache_that_others_could_change_is_pointed_out() {
    let content = program("hello");
    let server = registry(shelf(&content));
    let site = Site::new().module("/", Path::new(&format!("oci:127.0.0.1:{}/app:1", server.port())), "");
    let open = site.path().join("open");
    fs::create_dir(&open).expect("writable");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let wagi = Wagi::spawn(serving(&site).args(["--module-cache", "open"]));
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
    wagi.logged(&["warning: other users can change the files of the module cache"]);
    wagi.logged(&["help: `chmod go-w open`"]);
}

#[test]
fn a_file_of_cache_settings_switches_compiled_code_off_and_moves_it() {
    let site = Site::new().text_module("/", &printing("Content-Type: text/plain\n\nhello"), "");
    let compiled = home(site.path()).join("wagi/compiled");
    site.file("cache.toml", "[cache]\nenabled = false\n");
    for _ in 0..2 {
        Wagi::spawn(&mut serving(&site)).logged(&["all modules are loaded", "compiled=1"]);
    }
    assert!(!compiled.exists());
    let moved = site.path().join("moved");
    site.file("cache.toml", format!("[cache]\nenabled = true\ndirectory = '{}'\n", moved.display()));
    for compiled in ["compiled=1", "compiled=0"] {
        Wagi::spawn(&mut serving(&site)).logged(&["all modules are loaded", compiled]);
    }
    assert!(moved.join("modules").is_dir() && !compiled.exists());
    assert!(cache(&site, &["list"]).contains(&format!("in {}", moved.display())));
}

/// The registry is a real one for the first start. For the second, somebody who never answers listens at its address.
#[test]
#[ignore = "needs docker-registry"]
fn a_second_start_asks_nobody_for_what_is_pinned_and_compiles_nothing() {
    let registry = Registry::open();
    let content = program("hello");
    push(&registry, "1", &content, "");
    let address = registry.address();
    let pinned = format!("oci:{address}/team/app@{}", digest(&manifest(&content)));
    let site = Site::new().module("/", Path::new(&pinned), "").text_module(
        "/other",
        &printing("Content-Type: text/plain\n\nother"),
        "",
    );
    let first = Wagi::spawn(&mut serving(&site));
    let line = first.logged(&["loaded", &pinned]);
    for part in ["from=\"fetched\"", "code=\"compiled\"", "fetch=", "took=", &digest(&content)] {
        assert!(line.contains(part), "{part}: {line}");
    }
    first.logged(&["loaded", "guest1.wat", "from=\"file\"", "code=\"compiled\""]);
    first.logged(&["all modules are loaded", "modules=2", "fetched=1", "compiled=2", "took="]);
    drop((first, registry));

    let listener = TcpListener::bind(address).expect("the registry is gone");
    listener.set_nonblocking(true).expect("allowed");
    let second = Wagi::spawn(&mut serving(&site));
    second.logged(&["loaded", &pinned, "from=\"cache\"", "code=\"cached\"", "fetch=", "took="]);
    second.logged(&["loaded", "guest1.wat", "from=\"file\"", "code=\"cached\""]);
    second.logged(&["all modules are loaded", "modules=2", "fetched=0", "compiled=0", "took="]);
    assert_eq!(Connection::open(second.address()).get("/").text(), "hello");
    assert_eq!(listener.accept().expect_err("nobody has asked").kind(), ErrorKind::WouldBlock);
}

#[test]
fn several_servers_fill_the_caches_at_once() {
    let content = program("hello");
    let server = registry(shelf(&content));
    let site = Site::new().module("/", Path::new(&format!("oci:127.0.0.1:{}/app:1", server.port())), "");
    site.write();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let wagi = Wagi::spawn(&mut start(&site));
                assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
                assert!(!wagi.log().contains("WARN"), "{}", wagi.log());
            });
        }
    });
}

#[test]
fn what_is_in_the_caches_is_listed_and_pruned_and_fetched_again() {
    let content = program("hello");
    let server = registry(shelf(&content));
    let name = format!("127.0.0.1:{}/app:1", server.port());
    let site = Site::new().module("/", Path::new(&format!("oci:{name}")), "");
    assert!(cache(&site, &["list"]).starts_with("modules: 0 entries, 0 B in "));
    let wagi = Wagi::spawn(&mut serving(&site));
    let listed = cache(&site, &["list"]);
    for what in ["module", "manifest", "tag"] {
        assert!(listed.lines().any(|line| line.starts_with(what) && line.ends_with(&name)), "{listed}");
    }
    assert!(listed.lines().any(|line| line.starts_with("compiled")), "{listed}");
    assert!(listed.contains("modules: 3 entries, ") && listed.contains("compiled code: 1 entry, "), "{listed}");

    // What was used lately stays, and what is in use stays in any case.
    assert!(cache(&site, &["prune"]).ends_with("0 entries removed, 0 B freed\n"));
    let pruned = cache(&site, &["prune", "--unused-for", "0s"]);
    assert!(pruned.contains(&format!("kept module {name}: a server uses it\n")), "{pruned}");
    assert!(pruned.contains("removed compiled ") && pruned.contains("\n1 entry removed, "), "{pruned}");
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
    drop(wagi);
    let pruned = cache(&site, &["prune", "--unused-for", "0s"]);
    assert!(
        pruned.contains(&format!("removed module {name} (")) && pruned.contains("\n3 entries removed, "),
        "{pruned}"
    );
    assert!(cache(&site, &["list"]).contains("modules: 0 entries, 0 B in "));

    let again = Wagi::spawn(&mut serving(&site));
    again.logged(&["all modules are loaded", "fetched=1", "compiled=1"]);
    assert_eq!(Connection::open(again.address()).get("/").text(), "hello");
}

#[test]
fn the_files_a_running_server_shows_its_scripts_are_not_pruned() {
    let program = fs::read(crate::support::guest::probe()).expect("a file");
    let bindle = Bindle::new().program("/...", &program, "", &["texts"]).file("note.txt", "a note", "texts");
    let mut start = bindle.command();
    start.env("XDG_CACHE_HOME", home(bindle.path()));
    let wagi = Wagi::spawn(&mut start);
    let prune = || {
        let mut prune = at_home(bindle.path());
        said(&prune.args(["cache", "prune", "--unused-for", "0s"]).output().expect("wagi can be started"))
    };
    let pruned = prune();
    assert!(pruned.contains("kept view ") && pruned.contains("kept module "), "{pruned}");
    assert_eq!(Connection::open(wagi.address()).get("/files/note.txt").text(), "a note");
    drop(wagi);
    let pruned = prune();
    assert!(pruned.contains("removed view ") && pruned.contains("removed asset "), "{pruned}");
    let wagi = Wagi::spawn(&mut start);
    assert_eq!(Connection::open(wagi.address()).get("/files/note.txt").text(), "a note");
}

#[test]
fn a_time_that_is_none_is_refused() {
    let site = Site::new();
    let output = at_home(site.path()).args(["cache", "prune", "--unused-for", "soon"]).output();
    assert_eq!(output.expect("wagi can be started").status.code(), Some(2));
}

#[test]
fn without_a_home_there_is_nothing_to_list() {
    let site = Site::new();
    let output = command(site.path()).args(["cache", "list"]).output().expect("wagi can be started");
    assert!(said(&output).contains("neither XDG_CACHE_HOME nor HOME is set"));
}

/// What is noted of a reference is checked by nobody.
#[test]
fn a_forged_note_does_not_stand_in_for_a_digest() {
    let (content, forged) = (program("hello"), program("forged"));
    let (shelf, is_down) = (shelf(&content), Arc::new(AtomicBool::new(false)));
    let flag = is_down.clone();
    let server = Upstream::start(move |received| match flag.load(Ordering::SeqCst) {
        true => reply("503 Service Unavailable", "", ""),
        false => give(&shelf, received),
    });
    let reference = format!("127.0.0.1:{}/app@{}", server.port(), digest(&manifest(&content)));
    let site = Site::new().module("/", Path::new(&format!("oci:{reference}")), "");
    drop(Wagi::spawn(&mut serving(&site)));
    let modules = home(site.path()).join("wagi/modules");
    fs::remove_file(modules.join(&digest(&manifest(&content))[7..])).expect("it was there");
    fs::write(modules.join(&digest(&forged)[7..]), &forged).expect("writable");
    let note = modules.join("_OCI").join(sha256_hex(reference.as_bytes()));
    let text = fs::read_to_string(&note).expect("a note").replace(&digest(&content), &digest(&forged));
    fs::write(&note, text.replace(&format!(" {}\n", content.len()), &format!(" {}\n", forged.len())))
        .expect("writable");
    is_down.store(true, Ordering::SeqCst);
    let output = output(&mut start(&site)).expect("wagi can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("fails with 503"), "{said}");
}

/// What a terminal has been told to show so far.
type Screen = Arc<Mutex<Vec<u8>>>;

const BAR: &str = "\u{2588}";

fn shows_a_bar(screen: &Screen) -> bool {
    screen.lock().unwrap().windows(BAR.len()).any(|bytes| bytes == BAR.as_bytes())
}

/// A registry that holds the end of a module back until a bar has been drawn.
fn registry_that_waits_for_a_bar(content: &str, screen: Screen) -> Upstream {
    let (shelf, blob) = (shelf(content), format!("/blobs/{}", digest(content)));
    Upstream::start_with(move |received, stream| {
        let answer = give(&shelf, received);
        if !received.line.ends_with(&blob) {
            return stream.write_all(&answer);
        }
        // Each piece is one more occasion to draw.
        let (begin, end) = answer.split_at(answer.len() - 10);
        for piece in begin.chunks(16) {
            stream.write_all(piece)?;
            if !shows_a_bar(&screen) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        eventually(|| shows_a_bar(&screen).then_some(()));
        stream.write_all(end)
    })
}

/// Runs a command to its end on a terminal, which `script` makes.
fn run_on_a_terminal(directory: &Path, line: &str, screen: &Screen) {
    let mut command = Command::new(installed("bsdutils", "/usr/bin/script"));
    command.args(["-qec", line, "/dev/null"]).current_dir(directory).env("TERM", "xterm").env("COLUMNS", "120");
    command.env_remove("HOME").env_remove("XDG_CACHE_HOME").stdout(Stdio::piped());
    let mut child = command.spawn().expect("it can be started");
    let mut output = child.stdout.take().expect("it is piped");
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = output.read(&mut bytes) {
        screen.lock().unwrap().extend_from_slice(&bytes[..read]);
    }
    child.wait().expect("it is our child");
}

#[test]
#[ignore = "needs script (bsdutils)"]
fn bars_are_drawn_on_a_terminal_and_nowhere_else() {
    let (content, screen) = (program("hello"), Screen::default());
    let server = registry_that_waits_for_a_bar(&content, screen.clone());
    let site = Site::new().module("/", Path::new(&format!("oci:127.0.0.1:{}/app:1", server.port())), "");
    site.write();
    run_on_a_terminal(site.path(), &format!("{} -c modules.toml --check", env!("CARGO_BIN_EXE_wagi")), &screen);
    let drawn = String::from_utf8_lossy(&screen.lock().unwrap()).into_owned();
    let bar = drawn.find(BAR).expect(&drawn);
    assert!(drawn.contains("/app:1") && drawn.contains(" of "), "{drawn}");
    // What the log has to say stands on lines of its own, and the bar is gone at the end.
    let line = drawn.lines().find(|line| line.contains("all modules are loaded")).expect(&drawn);
    assert!(!line.contains(BAR) && drawn.rfind("\u{1b}[2K").is_some_and(|cleared| cleared > bar), "{drawn:?}");
    let plain = site.run(&["--check"]);
    assert!(!String::from_utf8_lossy(&plain.stderr).contains(BAR) && plain.status.success());
}

#[test]
fn a_long_download_is_a_line_where_there_is_no_terminal() {
    let ballast = "ab".repeat(5 << 19);
    let content = program("hello").replacen("(module", &format!("(module (@custom \"ballast\" \"{ballast}\")"), 1);
    let server = registry(shelf(&content));
    let name = format!("127.0.0.1:{}/app:1", server.port());
    let site = Site::new().module("/", Path::new(&format!("oci:{name}")), "");
    let wagi = Wagi::spawn(&mut serving(&site));
    wagi.logged(&[&format!("transferring {name} (5.0 MiB)")]);
    let again = Wagi::spawn(&mut serving(&site));
    again.logged(&["all modules are loaded"]);
    assert!(!again.log().contains("transferring"), "{}", again.log());
}
