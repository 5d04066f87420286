//! Sockets that a parent keeps: how they are named and used, and servers that come with a connection and go when idle.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::http1::Connection;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;
use crate::support::{LONG, at_leisure, port};

/// A command for `wagi` with this socket as descriptors 3 and 4. `variables` are those of the protocol; `$$` is the process.
fn inheriting(site: &Site, socket: impl Into<OwnedFd>, variables: &str, arguments: &[&str]) -> Command {
    site.write();
    let wagi = process::command(site.path());
    let script = format!("exec 3<&0 4<&0 </dev/null; {variables} exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(site.path());
    command.arg("-c").arg(script).arg(wagi.get_program()).args(["-c", "modules.toml"]).args(arguments);
    command.stdin(Stdio::from(socket.into()));
    command
}

const ONE: &str = "LISTEN_PID=$$ LISTEN_FDS=1";

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn copy(listener: &TcpListener) -> TcpListener {
    listener.try_clone().expect("a descriptor")
}

#[test]
fn inherited_sockets_are_used_if_no_address_is_given() {
    let (listener, address) = listener();
    let site = Site::probe("");
    let wagi = Wagi::spawn(&mut inheriting(&site, copy(&listener), ONE, &[]));
    assert_eq!(wagi.url(), format!("http://{address}"));
    let mut connection = Connection::open(address);
    assert_eq!(connection.get("/args").text(), "\"/args\"\n");
    let variables = connection.get("/env").text();
    assert!(!variables.contains("LISTEN_"), "{variables}");
}

#[test]
fn an_inherited_unix_socket_is_served_and_left_alone() {
    let site = Site::probe("");
    let path = site.path().join("parent.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let mut wagi = Wagi::spawn(&mut inheriting(&site, listener, ONE, &["-l", "systemd"]));
    assert_eq!(wagi.url(), format!("unix:{}", path.display()));
    assert_eq!(Connection::open_unix(&path).get("/args").status, 200);
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert!(path.exists());
}

#[test]
fn sockets_are_named_by_their_parent_and_stand_beside_others() {
    let (listener, address) = listener();
    let site = Site::probe("");
    let two = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=first:second";
    let arguments = ["-l", "unix:web.sock", "-l", "systemd:second"];
    let wagi = Wagi::spawn(&mut inheriting(&site, copy(&listener), two, &arguments));
    assert_eq!(wagi.url(), format!("unix:web.sock http://{address}"));
    drop(wagi);
    let all = Wagi::spawn(&mut inheriting(&site, copy(&listener), two, &["-l", "systemd"]));
    assert_eq!(all.url(), format!("http://{address} http://{address}"));
    drop(all);
    let output = process::completed(&mut inheriting(&site, listener, two, &["-l", "systemd:third"]));
    let output = output.expect("wagi can be started");
    let message = String::from_utf8_lossy(&output.stderr);
    let expected = "cannot listen on systemd:third: the process inherits sockets of other names only: first, second";
    assert!(message.contains(expected), "{message}");
    assert_eq!(output.status.code(), Some(1));
}

/// sd_listen_fds(3): what is meant for another process is not taken.
#[test]
fn variables_that_are_meant_for_another_process_are_ignored() {
    for variables in ["LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_FDS=1", "LISTEN_PID=$$"] {
        let (listener, _) = listener();
        let site = Site::probe("");
        let output = process::completed(&mut inheriting(&site, listener, variables, &["-l", "systemd"]));
        let output = output.expect("wagi can be started");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("cannot listen on systemd: the process inherits no socket"), "{variables}: {message}");
    }
}

#[test]
fn what_is_inherited_and_no_listening_socket_is_an_error() {
    let (listener, address) = listener();
    let connected = TcpStream::connect(address).expect("it listens");
    for (socket, expected) in [
        (OwnedFd::from(connected), "does not listen: write `Accept=no`"),
        (OwnedFd::from(std::fs::File::open("/dev/null").expect("it is there")), "neither a TCP port nor a Unix stream"),
    ] {
        let output = process::completed(&mut inheriting(&Site::probe(""), socket, ONE, &[]));
        let output = output.expect("wagi can be started");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(expected) && output.status.code() == Some(1), "{message}");
    }
    drop(listener);
}

#[test]
fn an_idle_server_ends_although_connections_are_kept_alive() {
    let (listener, address) = listener();
    let site = Site::probe("");
    let mut wagi = Wagi::spawn(&mut inheriting(&site, copy(&listener), ONE, &["--idle-exit", "1500ms"]));
    let mut idle = Connection::open(address);
    assert_eq!(idle.get("/args").status, 200);
    // A request under way is no idleness, and neither is a client that has not asked yet.
    let mut busy = Connection::begin(address, "/sleep?3000");
    assert_eq!(busy.answer().text(), "awake\n");
    let answered = Instant::now();
    assert_eq!(wagi.ended().code(), Some(0), "{}", wagi.log());
    assert!(answered.elapsed() >= Duration::from_millis(1400), "{:?}", answered.elapsed());
    wagi.logged(&["stopping: the server is idle"]);
    assert!(!wagi.log().contains("no socket is inherited"));
    assert_eq!((idle.rest(), busy.rest()), (Vec::new(), Vec::new()));
}

#[test]
fn an_idle_server_without_inherited_sockets_ends_as_well_but_warns() {
    let mut wagi = Site::probe("").start(&["--idle-exit", "50ms"]);
    assert_eq!(wagi.ended().code(), Some(0));
    wagi.logged(&["WARN", "nothing starts it again: no socket is inherited"]);
}

/// A request on a connection of its own, answered by whichever server runs then.
fn ask(address: SocketAddr) -> thread::JoinHandle<Instant> {
    let mut connection = Connection::begin(address, "/args");
    thread::spawn(move || {
        assert_eq!(connection.answer().text(), "\"/args\"\n");
        Instant::now()
    })
}

/// The parent starts a server for the first connection of each round. A second one comes when the server is about to end: this
/// server answers it, or the next.
#[test]
fn no_connection_is_lost_between_servers_that_come_and_go() {
    const ROUNDS: u64 = 50;
    let (listener, address) = listener();
    let site = Site::probe("");
    let (mut times, mut answers) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let first = ask(address);
        let started = Instant::now();
        let mut wagi = Wagi::spawn(&mut inheriting(&site, copy(&listener), ONE, &["--idle-exit", "40ms"]));
        times.push(first.join().expect("an answer").duration_since(started));
        // Between a time at which the server surely runs and one at which it has ended.
        thread::sleep(Duration::from_millis(30 + round % 25));
        answers.push(ask(address));
        assert_eq!(wagi.ended().code(), Some(0), "round {round}: {}", wagi.log());
    }
    let _last = Wagi::spawn(&mut inheriting(&site, copy(&listener), ONE, &[]));
    for answer in answers {
        answer.join().expect("an answer");
    }
    times.sort();
    eprintln!(
        "from the start to the first answer: median {:?}, longest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

#[test]
#[ignore = "needs systemd-socket-activate"]
fn systemd_starts_the_server_at_the_first_connection() {
    let site = Site::probe("");
    site.write();
    let address = port::free();
    let wagi = process::command(site.path());
    let mut command = Command::new("systemd-socket-activate");
    command
        .current_dir(site.path())
        .arg("--listen")
        .arg(address.to_string())
        .arg("--fdname=web")
        .arg(wagi.get_program());
    command.args(["-c", "modules.toml", "-l", "systemd:web", "--idle-exit", "1s"]);
    let mut parent =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("systemd-socket-activate is installed");
    let stream = at_leisure(|| TcpStream::connect(address).ok());
    stream.set_read_timeout(Some(LONG)).expect("a timeout is allowed");
    // The connection that was tried first is the one that starts the server.
    assert_eq!(Connection::open(address).get("/args").text(), "\"/args\"\n");
    drop(stream);
    let status = at_leisure(|| parent.try_wait().expect("it is our child"));
    assert_eq!(status.code(), Some(0));
}
