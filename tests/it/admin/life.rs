//! From the start of the server to its end.

use std::net::TcpListener;
use std::process::Stdio;

use super::*;
use crate::support::eventually;
use crate::support::process::{self, command};

/// A guest that computes without end.
const SPINNING: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $more (br $more))))"#;

#[test]
fn it_answers_while_the_server_starts() {
    // A registry that accepts connections and says nothing.
    let registry = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = registry.local_addr().expect("an address");
    let site = site(&format!(
        "[admin]\nlisten = 'unix:admin.sock'\n[[module]]\nroute = '/slow'\nmodule = 'oci://{address}/slow:1'\n"
    ));
    site.write();
    let socket = site.path().join("admin.sock");
    let mut command = command(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("wagi can be started");
    eventually(|| std::os::unix::net::UnixStream::connect(&socket).ok());
    let ready = get_unix(&socket, "/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("starting"), "{}", ready.text());
    assert_eq!(get_unix(&socket, "/livez").text(), "ok");
    let status = json(&get_unix(&socket, "/status"));
    assert_eq!((&status["state"], &status["generation"]), (&"starting".into(), &Value::Null));
    assert_eq!(status["starting"], Value::Null, "no route is served yet");
    assert_eq!(get_unix(&socket, "/metrics").status, 503);
    process::signal(&child, "TERM");
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn it_says_that_the_server_is_not_ready_once_it_stops() {
    let mut wagi = site("[server]\nshutdown_delay = '60s'\n[admin]\nlisten = '127.0.0.1:0'").start(&[]);
    let to = admin(&wagi);
    assert_eq!(get(to, "/readyz").status, 200);
    wagi.signal("TERM");
    let answer = eventually(|| Some(get(to, "/readyz")).filter(|answer| answer.status == 503));
    assert!(answer.text().contains("stopping"), "{}", answer.text());
    assert_eq!(get(to, "/livez").status, 200);
    assert_eq!(json(&get(to, "/status"))["state"], "draining");
    assert_eq!(Connection::open(wagi.address()).get("/hello").status, 200);
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
}

/// Health checks end well, and what is not there is no failure of the server.
#[test]
fn what_is_no_failure_is_not_counted_as_an_error() {
    let wagi = site("[admin]\nlisten = '127.0.0.1:0'").start(&[]);
    let mut connection = Connection::open(wagi.address());
    for (path, status) in [("/healthz", 200), ("/missing", 404), ("/hello", 200)] {
        assert_eq!(connection.get(path).status, status);
    }
    let status = eventually(|| Some(json(&get(admin(&wagi), "/status"))).filter(|now| now["totals"]["requests"] == 3));
    assert_eq!(status["totals"]["errors"], 0, "{status}");
    assert!(status["routes"].as_array().is_some_and(|routes| {
        routes.iter().all(|route| route.get("errors").is_none_or(|errors| *errors == serde_json::json!({})))
    }));
}

/// What cannot change before the next start is shown as it is.
#[test]
fn limits_are_shown_as_they_are_in_force() {
    let wagi = site("[limits]\ntotal_concurrency = 9\n[admin]\nlisten = '127.0.0.1:0'").start(&[]);
    let to = admin(&wagi);
    let path = wagi.directory().join("modules.toml");
    let toml = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(&path, toml.replace("total_concurrency = 9", "total_concurrency = 7\nqueue = 3")).expect("writable");
    wagi.signal("HUP");
    wagi.logged(&["`total_concurrency` stays 9 until the next start, not 7"]);
    let limits = eventually(|| Some(json(&get(to, "/status"))["limits"].clone()).filter(|limits| limits["queue"] == 3));
    assert_eq!(limits["total_concurrency"], 9, "{limits}");
}

#[test]
fn it_answers_while_everything_else_is_taken() {
    const PERMITS: usize = 8;
    let site = Site::new()
        .text_module("/spin", SPINNING, "limits = { cpu_time = '10m', time_to_head = '10m', concurrency = 8 }")
        .top(&format!("[limits]\ntotal_concurrency = {PERMITS}\nqueue = {PERMITS}\nqueue_wait = '10m'\nconnections = 20\n[admin]\nlisten = '127.0.0.1:0'"));
    let wagi = site.start(&[]);
    let to = admin(&wagi);
    let mut clients: Vec<Connection> = (0..20).map(|_| Connection::open(wagi.address())).collect();
    for client in clients.iter_mut().take(2 * PERMITS) {
        client.ask("/spin");
    }
    eventually(|| {
        let totals = json(&get(to, "/status"))["totals"].clone();
        (totals["in_flight"] == 2 * PERMITS && totals["queued"] == PERMITS).then_some(())
    });
    for _ in 0..50 {
        assert_eq!(get(to, "/readyz").text(), "ok");
        assert_eq!(get(to, "/metrics").status, 200);
    }
}

#[test]
fn an_address_in_use_is_an_error_that_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = site("").run(&["--admin", &address]);
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(text.contains(&format!("address {address} is already in use")) && text.contains("help:"), "{text}");
}

#[test]
fn there_is_none_unless_it_is_asked_for_and_a_check_opens_none() {
    let wagi = site("").start(&[]);
    assert!(!wagi.log().contains("admin listener"));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    assert_eq!(site("").run(&["--check", "--admin", &address]).status.code(), Some(0));
}
