//! Unix sockets: who may connect, what is replaced, what is removed, and how their clients are seen. `inherited` has the
//! sockets of a parent.

mod inherited;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use crate::support::http1::Connection;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

/// The probe at this address only.
fn start(site: Site, address: &str) -> Wagi {
    let mut command = process::command(site.path());
    site.write();
    Wagi::spawn(command.args(["-c", "modules.toml", "-l", address])).keeping(site.into_directory())
}

/// What a start at this address says, which fails.
fn refused(directory: &Path, address: &str) -> String {
    let output = process::run(directory, &["-c", "modules.toml", "-l", address]);
    assert_eq!(output.status.code(), Some(1), "{address}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("the socket is there").permissions().mode() & 0o777
}

/// The name of the group of this process.
fn group() -> String {
    let output = Command::new("id").arg("-gn").output().expect("there is an id");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn mode_and_group_are_as_the_operator_says_whatever_the_umask_is() {
    let group = group();
    for (settings, expected) in [("", 0o660), ("?mode=0600", 0o600), ("?mode=777", 0o777)] {
        let wagi = start(Site::probe(""), &format!("unix:web.sock{settings}"));
        assert_eq!(wagi.url(), "unix:web.sock");
        assert_eq!(mode(&wagi.directory().join("web.sock")), expected, "{settings}");
    }
    let wagi = start(Site::probe(""), &format!("unix:web.sock?mode=0666&group={group}"));
    assert_eq!(mode(&wagi.directory().join("web.sock")), 0o666);
    let site = Site::probe("");
    site.write();
    let unknown = refused(site.path(), "unix:web.sock?group=no-such-group");
    assert!(unknown.contains("there is no group `no-such-group`"), "{unknown}");
    assert!(!site.path().join("web.sock").exists());
}

#[test]
fn the_socket_of_a_server_that_was_killed_is_replaced() {
    let site = Site::probe("");
    drop(UnixListener::bind(site.path().join("web.sock")).expect("a socket"));
    let wagi = start(site, "unix:web.sock");
    assert_eq!(Connection::open_unix(&wagi.directory().join("web.sock")).get("/args").status, 200);
}

#[test]
fn neither_a_live_socket_nor_another_file_is_replaced() {
    let site = Site::probe("");
    site.write();
    let path = site.path().join("web.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let live = refused(site.path(), "unix:web.sock");
    assert!(live.contains("address unix:web.sock is already in use") && live.contains("stop it"), "{live}");
    assert!(UnixStream::connect(&path).is_ok());
    drop(listener);
    for name in ["file", "directory", "link"] {
        let path = site.path().join(name);
        match name {
            "file" => fs::write(&path, "precious").expect("a file"),
            "directory" => fs::create_dir(&path).expect("a directory"),
            _ => std::os::unix::fs::symlink("web.sock", &path).expect("a link"),
        }
        let other = refused(site.path(), &format!("unix:{name}"));
        assert!(other.contains(&format!("cannot listen on unix:{name}: the file is not a socket")), "{other}");
        assert!(fs::symlink_metadata(&path).is_ok_and(|found| !found.file_type().is_socket()));
    }
    let missing = refused(site.path(), "unix:no/such/web.sock");
    assert!(missing.contains("make the directory of the socket"), "{missing}");
}

#[test]
fn at_the_end_the_socket_is_removed_unless_it_is_another_one() {
    let mut wagi = start(Site::probe(""), "unix:web.sock");
    let path = wagi.directory().join("web.sock");
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert!(!path.exists());
    let mut wagi = start(Site::probe(""), "unix:web.sock");
    let path = wagi.directory().join("web.sock");
    fs::remove_file(&path).expect("the socket is there");
    let _next = UnixListener::bind(&path).expect("the path is free");
    let before = fs::symlink_metadata(&path).expect("the socket is there").ino();
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert_eq!(fs::symlink_metadata(&path).map(|found| found.ino()).ok(), Some(before));
}

#[test]
fn a_client_has_no_address_and_the_server_none_that_it_reached() {
    let wagi = start(Site::probe(""), "unix:web.sock");
    let mut connection = Connection::open_unix(&wagi.directory().join("web.sock"));
    let answer = connection.get("/env");
    let variables = answer.text();
    let value = |name: &str| variables.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    assert_eq!(
        (value("REMOTE_ADDR"), value("REMOTE_PORT"), value("SERVER_ADDR")),
        (Some("unix:"), None, None),
        "{variables}"
    );
    wagi.logged(&["unix: \"GET /env HTTP/1.1\" 200"]);
}

/// All clients of a socket look alike, so a limit for each would be one for all.
#[test]
fn connections_of_a_unix_socket_have_no_limit_of_their_own() {
    let wagi = start(Site::probe("").top("[limits]\nconnections_per_address = 1\n"), "unix:web.sock");
    let path = wagi.directory().join("web.sock");
    let mut connections: Vec<_> = (0..3).map(|_| Connection::open_unix(&path)).collect();
    for connection in &mut connections {
        assert_eq!(connection.get("/args").status, 200);
    }
}

/// RFC 9112 §9.6: what was sent is answered, and what comes after the last answer is read as far as it is there.
#[test]
fn a_client_that_closes_its_sending_side_gets_its_answer() {
    let wagi = start(Site::probe(""), "unix:web.sock");
    let mut stream = UnixStream::connect(wagi.directory().join("web.sock")).expect("the server listens");
    std::io::Write::write_all(&mut stream, b"GET /args HTTP/1.0\r\n\r\n").expect("the server reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    let answer = std::io::read_to_string(stream).expect("an answer");
    assert!(answer.ends_with("\"/args\"\n"), "{answer}");
}

/// A client that closes only its sending side still waits for its answer, one that closes its socket does not.
#[test]
fn a_client_that_has_gone_ends_its_guest() {
    let wagi = start(Site::probe(""), "unix:web.sock");
    let mut stream = UnixStream::connect(wagi.directory().join("web.sock")).expect("the server listens");
    std::io::Write::write_all(&mut stream, b"GET /sleep?60000 HTTP/1.0\r\n\r\n").expect("the server reads");
    let mut status = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut status).expect("a head");
    assert_eq!(&status, b"HTTP/1.0 200");
    drop(stream);
    wagi.logged(&["/sleep?60000", "end=client-gone"]);
}

#[test]
fn the_commands_of_the_page_about_sockets_work() {
    let page = include_str!("../../../docs/sockets.md");
    let script = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of commands");
    let site = Site::probe("");
    site.write();
    let program = Path::new(env!("CARGO_BIN_EXE_wagi")).parent().expect("it is in a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.current_dir(site.path()).env_clear().env("PATH", path).args([
        "-euo",
        "pipefail",
        "-c",
        &format!("{script}\nwait $!"),
    ]);
    let output = shell.output().expect("there is a bash");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(printed, "Ready: serving on unix:http.sock\nOK", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}

/// Writes a modules.toml with this listener in place of the one that is there, and asks for a reload.
fn reload_with(wagi: &Wagi, before: &str, after: &str) {
    let path = wagi.directory().join("modules.toml");
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.contains(before), "{text}");
    fs::write(&path, text.replace(before, after)).expect("writable");
    wagi.signal("HUP");
}

/// A reload changes the socket that the server has made, and nothing that has taken its place.
#[test]
fn a_reload_sets_the_mode_of_no_other_file() {
    let site = Site::probe("").top("[server]\nlisten = ['unix:web.sock?mode=0600']\n");
    site.write();
    let mut command = process::command(site.path());
    let wagi = Wagi::spawn(command.args(["-c", "modules.toml"])).keeping(site.into_directory());
    let at = |name: &str| wagi.directory().join(name);
    assert_eq!(mode(&at("web.sock")), 0o600);
    reload_with(&wagi, "mode=0600", "mode=0640");
    wagi.logged(&["reloaded generation=2 "]);
    assert_eq!(mode(&at("web.sock")), 0o640);

    fs::write(at("foreign"), "").expect("a file");
    fs::set_permissions(at("foreign"), fs::Permissions::from_mode(0o400)).expect("a mode");
    fs::rename(at("web.sock"), at("moved.sock")).expect("a name");
    std::os::unix::fs::symlink("foreign", at("web.sock")).expect("a link");
    reload_with(&wagi, "mode=0640", "mode=0666");
    wagi.logged(&["mode and group of the socket stay", "another file has taken the place"]);
    wagi.logged(&["reloaded generation=3 "]);
    assert_eq!((mode(&at("foreign")), mode(&at("moved.sock"))), (0o400, 0o640));

    fs::remove_file(at("web.sock")).expect("a link");
    let other = UnixListener::bind(at("web.sock")).expect("a socket");
    let before = mode(&at("web.sock"));
    reload_with(&wagi, "mode=0666", "mode=0622");
    wagi.logged(&["reloaded generation=4 "]);
    assert_eq!(mode(&at("web.sock")), before);
    drop(other);
}
