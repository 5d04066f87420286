//! A start that compiles for long serves what is ready.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::compile_limits::slow;
use crate::frozen::programs::is_as_promised;
use crate::oci::{registry, shelf};
use crate::support::guest::printing;
use crate::support::http1::Connection;
use crate::support::output::stdout;
use crate::support::process::{Ending, command, gather, run};
use crate::support::site::Site;
use crate::support::{SetAtEnd, at_leisure};

/// Prints `hello`.
fn hello() -> String {
    printing("Content-Type: text/plain\n\nhello")
}

/// A module whose initializer counts for some seconds, so that it takes some seconds to load.
fn counting() -> String {
    let initializer = "(func (export \"wizer.initialize\") (local i64)
        (loop (local.set 0 (i64.add (local.get 0) (i64.const 1)))
            (br_if 0 (i64.lt_u (local.get 0) (i64.const 20000000000)))))";
    let module = printing("Content-Type: text/plain\n\ncounted");
    let (module, end) = module.split_at(module.len() - 1);
    [module, initializer, end].concat()
}

/// A server from which no ready line is waited for.
struct Starting {
    child: Ending,
    log: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
    site: Site,
}

impl Starting {
    fn new(site: Site, arguments: &[&str]) -> Self {
        site.write();
        let mut command = command(site.path());
        command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).args(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wagi can be started");
        let mut child = Ending(child);
        let log = gather(child.0.stderr.take().expect("stderr is piped"), "");
        let output = gather(child.0.stdout.take().expect("stdout is piped"), "");
        Self { child, log, output, site }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The line of the log that contains all of `parts`, when it is there.
    fn logged(&self, parts: &[&str]) -> String {
        at_leisure(|| self.log().lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned))
    }

    /// Where it serves what is ready, which it says in these words.
    fn address(&self, words: &str) -> SocketAddr {
        let line = self.logged(&[words, "url="]);
        let (_, url) = line.split_once("://").expect("a URL");
        url.trim_end_matches('"').parse().unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// What the admin listener says, which is at a socket in the directory of the site.
    fn status(&self) -> Value {
        let status = Connection::open_unix(&self.site.path().join("admin.sock")).get("/status");
        serde_json::from_slice(&status.body).expect("JSON")
    }

    fn is_ready(&self) -> bool {
        self.output.lock().unwrap().contains("Ready: serving on ")
    }

    /// How it ended, and without ever being ready.
    fn ended(&mut self) -> ExitStatus {
        let ended = at_leisure(|| self.child.0.try_wait().expect("it is our child"));
        assert!(!self.is_ready());
        ended
    }
}

const ONE_OF_TWO: &str = "serving 1 of 2 routes while 1 module is compiled";

#[test]
fn what_is_ready_is_served_while_the_rest_is_compiled() {
    let with_routes = slow().replacen("(module", "(module (func (export \"_routes\"))", 1);
    let site = Site::new().text_module("/slow", &with_routes, "").text_module("/...", &hello(), "");
    let admin = format!("unix:{}", site.path().join("admin.sock").display());
    let mut wagi = Starting::new(site, &["--admin", &admin]);
    let address = wagi.address(ONE_OF_TWO);
    for path in ["/", "/other"] {
        assert_eq!(Connection::open(address).get(path).text(), "hello", "{path}");
    }
    // Which routes the module declares is not known, so all below it may be one of them.
    for path in ["/slow", "/slow/", "/slow/deep/below"] {
        let answer = Connection::open(address).get(path);
        is_as_promised("starting", &answer);
        let request = format!("\"GET {path} HTTP/1.1\" 503");
        wagi.logged(&["end=starting", &request, "route=\"/slow\"", "still being compiled"]);
    }
    let health = Connection::open(address).get("/healthz");
    assert_eq!((health.status, health.text().as_str()), (503, "starting"));
    let ready = Connection::open_unix(&wagi.site.path().join("admin.sock")).get("/readyz");
    assert_eq!((ready.status, ready.text().as_str()), (503, "starting: modules are being loaded"));
    let status = wagi.status();
    assert_eq!((&status["state"], &status["generation"]), (&"starting".into(), &Value::Null));
    let module = &status["starting"]["not_ready"][0]["module"];
    assert!(module.as_str().is_some_and(|module| module.ends_with("guest0.wat")), "{status}");
    let not_ready = json!([{ "pattern": "/slow", "host": [], "module": module }]);
    assert_eq!(status["starting"], json!({ "ready": 1, "not_ready": not_ready }));
    let words = ["admin", "status", "--admin", "unix:admin.sock", "--format", "table"];
    let shown = run(wagi.site.path(), &words);
    let shown = stdout(&shown);
    assert!(shown.contains("  starting  ") && shown.contains("\nroutes     1 of 2 ready\n"), "{shown}");
    assert!(shown.contains("NOT READY") && shown.contains("\n/slow "), "{shown}");
    wagi.child.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0), "{}", wagi.log());
    assert_eq!(wagi.log().matches("routes while").count(), 1, "{}", wagi.log());
}

#[test]
fn what_is_wrong_ends_a_start_that_compiles_for_long() {
    let invalid = "(module (func (export \"_start\") i32.add))";
    let hello = hello();
    for (module, keys, message) in [
        (invalid, "", "cannot use the module"),
        (hello.as_str(), "entrypoint = 'missing'", "exports no function `missing`"),
    ] {
        let site = Site::new().text_module("/slow", &slow(), "").text_module("/", module, keys);
        let mut wagi = Starting::new(site, &[]);
        assert_eq!(wagi.ended().code(), Some(1));
        let log = wagi.log();
        assert!(log.contains(message) && log.contains("guest1.wat") && !log.contains("routes while"), "{log}");
    }
}

#[test]
fn a_module_that_takes_more_than_its_limit_ends_what_is_served_without_it() {
    let server = registry(shelf(&slow()));
    let reference = format!("oci:127.0.0.1:{}/app:1", server.port());
    let site = Site::new().top("[limits]\ncompile_time = '8s'").module("/slow", Path::new(&reference), "");
    let mut wagi = Starting::new(site.text_module("/", &hello(), ""), &["--module-cache", "modules"]);
    let address = wagi.address(ONE_OF_TWO);
    assert_eq!(Connection::open(address).get("/").text(), "hello");
    assert_eq!(wagi.ended().code(), Some(1));
    let log = wagi.log();
    assert!(log.contains("compiling it takes longer than `compile_time` allows: 8s"), "{log}");
    assert!(log.contains("finishing what is under way"), "{log}");
}

#[test]
fn a_start_becomes_complete_and_no_request_is_lost() {
    let site = Site::new().text_module("/count", &counting(), "preinitialize = true").text_module("/", &hello(), "");
    let admin = format!("unix:{}", site.path().join("admin.sock").display());
    let wagi = Starting::new(site, &["--admin", &admin]);
    let address = wagi.address(ONE_OF_TWO);
    assert_eq!(Connection::open(address).get("/count").status, 503);
    let (answered, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let _over = SetAtEnd(&is_over);
        let ask = || {
            let mut connection = Connection::open(address);
            while !is_over.load(Ordering::Relaxed) {
                let answer = connection.get("/");
                assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
                answered.fetch_add(1, Ordering::Relaxed);
            }
        };
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        at_leisure(|| wagi.is_ready().then_some(()));
        let until = answered.load(Ordering::Relaxed) + 100;
        at_leisure(|| {
            let is_enough = answered.load(Ordering::Relaxed) >= until;
            (is_enough || clients.iter().any(|client| client.is_finished())).then_some(())
        });
        assert_eq!(Connection::open(address).get("/count").text(), "counted");
        assert_eq!(Connection::open(address).get("/healthz").status, 200);
    });
    let status = wagi.status();
    assert_eq!((&status["state"], &status["starting"]), (&"serving".into(), &Value::Null));
    assert!(wagi.output.lock().unwrap().contains(&address.to_string()));
    // It is the first configuration still, and a reload is the second.
    wagi.child.signal("HUP");
    wagi.logged(&["reload: nothing has changed"]);
}
