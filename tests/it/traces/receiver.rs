//! A collector of another language, as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::support::eventually;
use crate::support::process::Ending;

/// The collector. It ends with the test.
pub struct Receiver {
    _process: Ending,
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    /// Starts it, with these arguments.
    pub fn start(arguments: &[String]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/traces/receiver.py");
        let mut command = Command::new("python3");
        let child = command.arg(script).args(arguments).stdout(Stdio::piped()).spawn();
        let mut child = Ending(child.expect("there is a python3"));
        let mut lines = BufReader::new(child.0.stdout.take().expect("it is piped")).lines();
        let port = lines.next().expect("it begins").expect("text").parse().expect("a port");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let for_thread = requests.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                for_thread.lock().unwrap().push(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Self { _process: child, port, requests }
    }

    /// Its URL.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits for the first request.
    pub fn first(&self) -> Value {
        eventually(|| self.requests().first().cloned())
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Value> {
        let requests = self.requests();
        let lists = requests.iter().filter_map(|request| request["spans"].as_array());
        lists.flatten().cloned().collect()
    }

    /// Waits for a span of this name.
    pub fn span(&self, name: &str) -> Value {
        eventually(|| self.spans().into_iter().find(|span| span["name"] == name))
    }
}
