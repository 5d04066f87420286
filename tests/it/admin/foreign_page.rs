//! Pages of other origins, in a browser on the machine of the operator.

use serde_json::json;

use super::*;
use crate::support::admin::Administered;
use crate::support::browser::Browser;
use crate::support::upstream::{Upstream, reply};

/// What a page may try: it returns what it could read.
const ATTACK: &str = "return (async () => {
    const read = [];
    const note = async response => read.push(`${response.type} ${response.status} ${await response.text()}`);
    for (const [method, path] of [['GET', '/status'], ['GET', '/config'], ['GET', '/metrics'], ['POST', '/reload'], ['PUT', '/log-level']]) {
        for (const mode of ['cors', 'no-cors']) {
            const body = method === 'PUT' ? 'trace' : undefined;
            await fetch(ADMIN + path, { method, mode, body, credentials: 'include' }).then(note, () => read.push('blocked'));
        }
    }
    const loaded = (element, where) => new Promise(done => {
        element.onload = () => done(true);
        element.onerror = () => done(false);
        where(element);
    });
    const attach = element => document.body.append(element);
    const image = await loaded(new Image(), image => { image.src = ADMIN + '/status'; });
    const frame = document.createElement('iframe');
    frame.name = 'target';
    await loaded(frame, frame => { frame.src = ADMIN + '/'; attach(frame); });
    read.push(frame.contentDocument ? 'a frame' : 'blocked');
    const form = document.createElement('form');
    Object.assign(form, { method: 'post', action: ADMIN + '/reload', target: 'target' });
    attach(form);
    await loaded(frame, () => form.submit());
    read.push(frame.contentDocument ? 'a form' : 'blocked');
    const script = document.createElement('script');
    const ran = await loaded(script, script => { script.src = ADMIN + '/status'; attach(script); });
    return { read, image, ran };
})()";

#[test]
#[ignore = "needs chromium-driver"]
fn a_page_of_another_origin_reads_and_changes_nothing() {
    let server = Administered::start(site(""), &[]);
    let page = Upstream::start(|_| reply("200 OK", "Content-Type: text/html\r\n", "<!doctype html><body>"));
    let browser = Browser::open();
    browser.go(&page.url("/").replace("127.0.0.1", "localhost"));
    let admin = server.url();
    let attack = ATTACK.replace("ADMIN", &json!(admin.trim_end_matches('/')).to_string());
    let result = browser.script(&attack);
    let read = result["read"].as_array().expect("a list");
    assert_eq!(read.len(), 12, "{result}");
    // An opaque response has neither status nor body.
    assert!(read.iter().all(|read| *read == "blocked" || *read == "opaque 0 "), "{result}");
    assert_eq!((&result["image"], &result["ran"]), (&json!(false), &json!(false)));
    let status = server.json("/status");
    assert_eq!((&status["generation"], &status["last_reload"]), (&json!(1), &Value::Null));
    let log = server.wagi.log();
    assert!(!log.contains("reload") && !log.contains("which events are logged"), "{log}");
}

/// DNS rebinding: the page has a name that leads to this machine, so the listener is its own origin.
#[test]
#[ignore = "needs chromium-driver"]
fn a_name_of_a_page_that_leads_here_reads_and_changes_nothing() {
    let server = Administered::start(site(""), &[]);
    let browser = Browser::open_with(&["--host-resolver-rules=MAP rebound.example 127.0.0.1"]);
    browser.go(&server.url().replace("127.0.0.1", "rebound.example"));
    let ask = |method: &str, path: &str| {
        browser.script(&format!("return fetch('{path}', {{ method: '{method}' }}).then(response => response.status)"))
    };
    for (method, path) in
        [("GET", "/status"), ("GET", "/config"), ("GET", "/requests"), ("POST", "/reload"), ("PUT", "/log-level")]
    {
        assert_eq!(ask(method, path), json!(403), "{method} {path}");
    }
    assert_eq!(ask("GET", "/livez"), json!(200));
    assert_eq!(server.json("/status")["last_reload"], Value::Null);
}
