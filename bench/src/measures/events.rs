//! How long does an event of a stream take from its guest to its client, as it is and compressed?
//!
//! The guest sends back what it is given, and it is given one event after the other. The time begins when the client sends an event,
//! and ends when all has come that comes of it. So it is longer than the way from the guest alone, and never shorter.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Bound, Outcome};
use crate::client::Connection;
use crate::load::open_loop::Latencies;
use crate::servers::{HELLO_WAT, Server, wagi};
use crate::site::Site;

/// How many events a stream has.
const EVENTS: usize = 200;

/// How long nothing comes after an event before the next one is sent.
const PAUSE: Duration = Duration::from_millis(5);

/// What a client may ask for.
const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

/// The head that the guest prints as it is written, and its length; and those of a stream of events.
const HEADS: [(&str, &str); 2] = [
    ("text/plain\\n\\n", "text/event-stream\\n\\n"),
    ("(call $print (i32.const 16) (i32.const 26))", "(call $print (i32.const 16) (i32.const 33))"),
];

/// Takes the measure: streams in turns, of each kind as many as there are rounds, at most three.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let mut guest = fs::read_to_string(site.root.join("examples/echo.wat"))?;
    for (written, wanted) in HEADS {
        ensure!(guest.contains(written), "echo.wat has another head");
        guest = guest.replace(written, wanted);
    }
    site.write("events.wat", &guest)?;
    let (plain, coded) =
        (wagi::entry("/plain", "target/bench/events.wat"), wagi::entry("/coded", "target/bench/events.wat"));
    let hello = wagi::entry("/", HELLO_WAT);
    let server = wagi::serve(site, "events", &format!("{hello}{plain}{coded}compress = true\n"))?.says_hello("/")?;
    let (mut as_it_is, mut compressed) = (Vec::new(), CODINGS.map(|_| Vec::new()));
    for _ in 0..site.rounds.min(3) {
        as_it_is.push(stream(&server, "/plain", None)?);
        for (coding, taken) in CODINGS.iter().zip(&mut compressed) {
            taken.push(stream(&server, "/coded", Some(*coding))?);
        }
    }
    let as_it_is = Latencies::merge(as_it_is);
    let compressed = compressed.map(Latencies::merge);
    let slowest = compressed.iter().map(|taken| taken.percentile(99.0)).fold(0.0, f64::max);
    let details: Vec<_> = CODINGS
        .iter()
        .zip(&compressed)
        .map(|(coding, taken)| json!({ "coding": coding, "times": taken.json() }))
        .collect();
    let row = |what: &str, p99: f64| {
        Outcome::new("events", what, p99, "ms").held_against(Bound::AtMost(20.0), Some(Bound::AtMost(2.0)))
    };
    Ok(vec![
        row("an event of a stream, there and back: p99", as_it_is.percentile(99.0)).with(as_it_is.json()),
        row("the same, compressed: p99 of the slowest coding", slowest).with(json!(details)),
    ])
}

/// The times of the events of one stream.
fn stream(server: &Server, route: &str, coding: Option<&str>) -> Result<Latencies> {
    let event = |number: usize| format!("data: {{\"number\":{number:06},\"of\":{EVENTS}}}\n\n");
    let length = event(0).len() * (EVENTS + 1);
    let mut connection = Connection::open(server.address)?;
    let accepted = coding.unwrap_or("identity");
    let fields = format!("Accept-Encoding: {accepted}\r\nContent-Length: {length}\r\n");
    connection.send(format!("POST {route} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{}", event(0)).as_bytes())?;
    // The head comes with the first event, which is not counted.
    let found = connection.head_with("content-encoding")?;
    ensure!(found.as_deref() == coding, "the coding is {found:?} instead of {coding:?}");
    while connection.has_more_within(PAUSE)? {
        connection.chunk()?;
    }
    let mut times = Vec::with_capacity(EVENTS);
    for number in 1..=EVENTS {
        let begin = Instant::now();
        connection.send(event(number).as_bytes())?;
        ensure!(connection.chunk()? > 0, "the stream ends after {} events", number - 1);
        let mut time = begin.elapsed();
        // The last one comes with the end of the stream.
        while number < EVENTS && connection.has_more_within(PAUSE)? {
            connection.chunk()?;
            time = begin.elapsed();
        }
        times.push(time);
    }
    while connection.chunk()? > 0 {}
    // Whoever comes next has a server that has finished with this.
    thread::sleep(PAUSE);
    Ok(Latencies::of(times))
}
