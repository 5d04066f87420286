//! Components that are run through `wasi:cli` 0.2: the contract of CGI, as modules have it. The guest is the probe, whose
//! module and component are the same program.

use std::fmt::Write;

use bytes::Bytes;
use http::Request;

use crate::support::eventually;
use crate::support::guest::{component, probe};
use crate::support::harness::{Running, Test};
use crate::support::http1::Connection;
use crate::support::site::Site;

async fn started(keys: &str) -> Running {
    Test::new().file_module("/...", &component("cli-probe.wasm"), keys).start().await
}

#[tokio::test]
async fn a_module_and_its_component_answer_alike() {
    let both = Test::new()
        .file_module("/module/...", &probe(), "environment = { A = '1' }")
        .file_module("/component/...", &component("cli-probe.wasm"), "environment = { A = '1' }")
        .start()
        .await;
    for (path, body) in [
        ("/args?a=b&c", ""),
        ("/env?x=%20y", ""),
        ("/echo", "a body"),
        ("/nothing", ""),
        ("/exit?3", ""),
        ("/panic", ""),
        ("/absent", ""),
    ] {
        let mut seen = Vec::new();
        for kind in ["module", "component"] {
            let answer = both.post(&format!("/{kind}{path}"), body).await;
            let mut text = String::new();
            let _ = write!(text, "{} {:?} {}", answer.status, answer.headers, answer.text().replace(kind, "KIND"));
            // The ids of the two requests differ.
            let mut lines: Vec<&str> = text.lines().filter(|line| !line.contains("REQUEST_ID=")).collect();
            lines.sort_unstable();
            seen.push(lines.join("\n"));
        }
        assert_eq!(seen[0], seen[1], "{path}");
    }
}

#[tokio::test]
async fn other_entry_points_and_sub_routes_are_for_modules() {
    let command = component("cli-probe.wasm");
    let (running, problems) = Test::new().file_module("/", &command, "entrypoint = 'hello'").try_start().await;
    assert!(running.is_none() && problems.contains("remove `entrypoint`"), "{problems}");
}

#[tokio::test]
async fn arguments_follow_their_template() {
    let running = started("argv = '${SCRIPT_NAME} x ${ARGS}'").await;
    assert_eq!(running.get("/args?a&b").await.text(), "\"/args\"\n\"x\"\n\"a\"\n\"b\"\n");
}

#[tokio::test]
async fn a_guest_that_ends_with_an_error_is_500() {
    // `wasi:cli/run` with an error, which is what toolchains make of an exit code.
    let running = started("").await;
    let answer = running.get("/exit?3").await;
    assert_eq!(answer.status.as_u16(), 500);
    assert!(running.log().contains("end=exit"), "{}", running.log());
}

#[test]
fn output_and_input_stream_and_are_held_back() {
    let wagi = Site::new().module("/...", &component("cli-probe.wasm"), "").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\none");
    connection.send("two");
    assert_eq!(connection.answer().text(), "onetwo");
    drop(connection);
    let mut connection = Connection::open(wagi.address());
    connection.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600\r\n\r\nx");
    drop(connection);
    eventually(|| wagi.log().lines().filter(|line| line.contains("POST /echo")).nth(1).map(drop));
}

#[tokio::test]
async fn the_limits_are_those_of_modules() {
    let running = started("limits = { cpu_time = '200ms', time_to_head = '10m', request_body = '1KiB' }").await;
    assert_eq!(running.post("/echo", vec![b'x'; 1025]).await.status.as_u16(), 413);
    assert_eq!(running.get("/spin").await.status.as_u16(), 504);
    assert!(running.log().contains("used up its CPU time"), "{}", running.log());
}

#[tokio::test]
async fn a_component_next_to_modules_does_not_see_what_they_see() {
    let running = started("environment = { A = '1' }").await;
    let request = Request::get("/env").header("authorization", "Basic eA==").body(Bytes::new()).unwrap();
    let answer = running.send(request).await;
    assert_eq!(answer.variable("A"), Some("1".into()));
    assert_eq!(answer.variable("HTTP_AUTHORIZATION"), None);
}
