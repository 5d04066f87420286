//! Chromium, driven over WebDriver by the program `chromedriver`.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use super::eventually;
use super::http1::Connection;
use super::process::Ending;

/// A browser without a window.
pub struct Browser {
    _driver: Ending,
    address: SocketAddr,
    session: String,
}

/// What the driver prints before its port.
const STARTED: &str = "started successfully on port ";

/// The key by which elements are known.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// Starts one.
    pub fn open() -> Self {
        Self::open_with(&[])
    }

    /// Starts one with more arguments.
    pub fn open_with(arguments: &[&str]) -> Self {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a chromedriver");
        let mut driver = Ending(driver);
        let mut output = BufReader::new(driver.0.stdout.take().expect("stdout is piped"));
        let port = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("stdout is text") > 0, "chromedriver has ended");
            if let Some((_, port)) = line.split_once(STARTED) {
                break port.trim().trim_end_matches('.').parse().expect("a port");
            }
        };
        thread::spawn(move || output.read_to_end(&mut Vec::new()));
        let mut browser = Self { _driver: driver, address: (Ipv4Addr::LOCALHOST, port).into(), session: String::new() };
        let own = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
        let arguments = [&own[..], arguments].concat();
        let options = json!({
            "browserName": "chrome",
            // It runs as root in CI, where its sandbox does not start.
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let session = browser.ask("POST", "", &json!({ "capabilities": { "alwaysMatch": options } }));
        browser.session = format!("/{}", session["sessionId"].as_str().expect("an id"));
        browser
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut connection = Connection::open(self.address);
        let head = format!("{method} /session{}{path} HTTP/1.1\r\nHost: localhost\r\n", self.session);
        connection.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
        let answer = connection.answer();
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(answer.status, 200, "{path} {body}: {value}");
        value["value"].clone()
    }

    /// Opens a page.
    pub fn go(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
    }

    /// What a script in the page returns.
    pub fn script(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text that is seen of an element; empty if there is none.
    pub fn text(&self, selector: &str) -> String {
        let found = format!("const found = document.querySelector({});", json!(selector));
        let script = format!("{found} return found?.checkVisibility() ? found.innerText : ''");
        self.script(&script).as_str().expect("a text").to_owned()
    }

    /// Waits until an element shows this text, and returns all that it shows.
    #[track_caller]
    pub fn shown(&self, selector: &str, text: &str) -> String {
        eventually(|| Some(self.text(selector)).filter(|shown| shown.contains(text)))
    }

    /// Clicks on an element.
    pub fn click(&self, selector: &str) {
        let found = self.ask("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let id = found[ELEMENT].as_str().expect("an element").to_owned();
        self.ask("POST", &format!("/element/{id}/click"), &json!({}));
    }

    /// Types into the element with the focus.
    pub fn press(&self, keys: &str) {
        let focused = self.ask("GET", "/element/active", &json!({}));
        let id = focused[ELEMENT].as_str().expect("an element").to_owned();
        self.ask("POST", &format!("/element/{id}/value"), &json!({ "text": keys }));
    }

    /// A command of the protocol of developer tools.
    pub fn command(&self, name: &str, parameters: &Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }

    /// What the console has said since the last call.
    pub fn console(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", &json!({ "type": "browser" }));
        entries.as_array().expect("a list").iter().map(ToString::to_string).collect()
    }

    /// Which URLs pages have asked for since the last call.
    pub fn requested(&self) -> Vec<String> {
        let entries = self.ask("POST", "/se/log", &json!({ "type": "performance" }));
        let url = |entry: &Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &event["message"];
            (message["method"] == "Network.requestWillBeSent").then_some(())?;
            Some(message["params"]["request"]["url"].as_str()?.to_owned())
        };
        entries.as_array().expect("a list").iter().filter_map(url).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser, before its driver; without a session there is none.
        if !self.session.is_empty()
            && let Ok(mut connection) = std::panic::catch_unwind(|| Connection::open(self.address))
        {
            let _ = connection.try_send(format!("DELETE /session{} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.session));
            let _ = connection.try_answer();
        }
    }
}
