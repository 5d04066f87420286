//! Reloads while clients send requests: none fails, and none sees two configurations.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::{eventually, http2};

use super::{GENERATION, configure, file, generation, of_site};

const RELOADS: u64 = 20;

/// Clients that send requests until they are told to stop.
struct Clients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = Self { stop, answers, threads: Vec::new() };
        for _ in 0..4 {
            clients.repeat(move || keep_alive(address));
            clients.repeat(move || stream(address));
        }
        for _ in 0..2 {
            clients.repeat(move || over_http_2(address));
        }
        clients
    }

    fn repeat<R: FnMut()>(&mut self, begin: impl FnOnce() -> R + Send + 'static) {
        let (stop, answers) = (self.stop.clone(), self.answers.clone());
        self.threads.push(std::thread::spawn(move || {
            let mut request = begin();
            while !stop.load(Ordering::Relaxed) {
                request();
                answers.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    /// Waits until `count` more answers are there.
    fn answered(&self, count: usize) {
        let before = self.answers.load(Ordering::Relaxed);
        eventually(|| (self.answers.load(Ordering::Relaxed) >= before + count).then_some(()));
    }

    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("no request fails"));
        self.answers.load(Ordering::Relaxed)
    }
}

/// One connection: a later answer is never of an earlier generation.
fn keep_alive(address: SocketAddr) -> impl FnMut() {
    let (mut connection, mut last) = (Connection::open(address), 0);
    move || {
        let now: u64 = generation(&mut connection).parse().expect("a number");
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
}

fn over_http_2(address: SocketAddr) -> impl FnMut() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut connection = runtime.block_on(http2::Connection::open(address));
    move || {
        runtime.block_on(async {
            let (answer, _) = connection.get("/").await;
            let answer = answer.await.expect("an answer");
            let named = answer.headers()["x-generation"].to_str().expect("text").to_owned();
            let (mut body, mut text) = (answer.into_body(), Vec::new());
            while let Some(piece) = http2::piece(&mut body).await {
                text.extend_from_slice(&piece.expect("the answer is not cut"));
            }
            assert_eq!(named.as_bytes(), text);
        });
    }
}

/// A response that lasts over several reloads, and asks for its variable each time.
fn stream(address: SocketAddr) -> impl FnMut() {
    move || {
        let mut connection = Connection::open(address);
        let answer = connection.get("/stream");
        let named = answer.header("x-generation").expect("the field").to_owned();
        let text = answer.text();
        assert!(text.lines().count() == 100 && text.lines().all(|line| line == named), "{named}: {text}");
    }
}

/// A configuration that differs from the one before in the variable and, in turn, in something else.
fn numbered(number: u64) -> String {
    let memory = if number.is_multiple_of(5) { "limits = { memory = '8 MiB' }" } else { "" };
    let volume = if number % 5 == 1 { "volumes = { '/v' = '.' }" } else { "" };
    let route = if number % 5 == 2 { "/..." } else { "/" };
    let host = if number % 5 == 3 { "argv = 'a b'" } else { "" };
    let environment = format!("environment = {{ GENERATION = '{number}' }}");
    let entry = |route: &str, keys: &str| {
        format!("[[module]]\nroute = '{route}'\nmodule = 'guest0.wat'\n{environment}\n{keys}\n")
    };
    entry("/stream", &format!("entrypoint = 'stream'\n{volume}"))
        + &entry(route, &format!("{memory}\n{volume}\n{host}"))
}

fn descriptors(wagi: &Wagi) -> usize {
    fs::read_dir(format!("/proc/{}/fd", wagi.pid())).expect("/proc is there").count()
}

fn reload_under_load(break_it: impl Fn(&Wagi, u64)) {
    let site = of_site("0", "").top("");
    site.write();
    let wagi = site.start(&[]);
    configure(&wagi, &numbered(1));
    super::reloaded(&wagi, 2);
    let before = descriptors(&wagi);
    let clients = Clients::start(wagi.address());
    clients.answered(20);
    for number in 2..=RELOADS {
        if number % 5 == 4 {
            let module = GENERATION.replace("module 0", &format!("module {number}"));
            fs::write(file(&wagi, "guest0.wat"), module).unwrap();
        }
        break_it(&wagi, number);
        configure(&wagi, &numbered(number));
        super::reloaded(&wagi, number + 1);
        clients.answered(5);
    }
    assert!(clients.end() > 100);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(generation(&mut connection), RELOADS.to_string());
    drop(connection);
    // The last configuration has no volume. Connections that are closed may take a moment.
    eventually(|| (descriptors(&wagi) <= before).then_some(()));
    assert!(!wagi.log().lines().any(|line| line.contains("status=5")), "{}", wagi.log());
}

#[test]
fn no_request_fails_and_each_sees_one_configuration() {
    reload_under_load(|_, _| {});
}

#[test]
fn files_that_are_broken_in_between_change_nothing() {
    reload_under_load(|wagi, number| {
        configure(wagi, &format!("{}\nnonsense = = 1", numbered(number)));
        wagi.signal("HUP");
        let refused = format!("generation {number} goes on serving");
        wagi.logged(&["reload refused", &refused]);
    });
}
