//! The admin listener of a server, as its operator asks it.

use std::net::SocketAddr;

use serde_json::Value;

use super::eventually;
use super::http1::{Answer, Connection};
use super::process::Wagi;
use super::site::Site;

/// A server with an admin listener.
pub struct Administered {
    /// The server.
    pub wagi: Wagi,
    address: SocketAddr,
}

impl Administered {
    /// Starts a server with an admin listener on a port of its own.
    pub fn start(site: Site, arguments: &[&str]) -> Self {
        Self::start_with(site, arguments, &[])
    }

    /// The same with variables in its environment.
    pub fn start_with(site: Site, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let wagi = site.start_with(&[&["--admin", "127.0.0.1:0"], arguments].concat(), variables);
        let line = wagi.logged(&["the admin listener is open"]);
        let (_, authority) = line.split_once("http://").expect("a URL");
        let address = authority.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("an address");
        Self { wagi, address }
    }

    /// Where the listener is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the listener.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Sends a request without a body.
    pub fn ask(&self, method: &str, path: &str) -> Answer {
        let mut connection = Connection::open(self.address);
        connection.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        connection.answer()
    }

    /// A JSON value.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.ask("GET", path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path}");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Waits until there is a request in flight in this phase, and returns it.
    #[track_caller]
    pub fn in_flight(&self, phase: &str) -> Value {
        eventually(|| {
            let requests = self.json("/requests");
            let in_flight = requests["in_flight"].as_array().expect("a list");
            in_flight.iter().find(|request| request["phase"] == phase).cloned()
        })
    }

    /// Sends a request to the server, and does not wait for the response.
    pub fn begin(&self, target: &str) -> Connection {
        Connection::begin(self.wagi.address(), target)
    }
}
