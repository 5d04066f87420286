//! Clients that ask through the load balancer without a pause, until they are told to stop.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::support::at_leisure;
use crate::support::http1::{Answer, Connection};

/// How many clients there are.
pub const CLIENTS: usize = 6;

/// How many requests a client sends over one connection.
const REQUESTS: usize = 7;

/// The clients.
pub struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Outcome>>,
}

/// What has come of their requests.
#[derive(Default)]
pub struct Outcome {
    /// How many responses each replica has given with each text.
    pub answered: BTreeMap<(String, String), usize>,
    /// Requests that have failed, with the time of their begin.
    pub failed: Vec<(Instant, String)>,
}

impl Load {
    pub fn begin(socket: &Path) -> Self {
        let (is_over, answered) = (Arc::default(), Arc::default());
        let client = |_| {
            let (socket, is_over, answered) = (socket.to_owned(), Arc::clone(&is_over), Arc::clone(&answered));
            std::thread::spawn(move || ask(&socket, &is_over, &answered))
        };
        let clients = (0..CLIENTS).map(client).collect();
        let load = Self { is_over, answered, clients };
        load.goes_on();
        load
    }

    /// Waits until each client may have sent some requests more.
    #[track_caller]
    pub fn goes_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        at_leisure(|| (self.answered.load(Ordering::Relaxed) > before + 20 * CLIENTS).then_some(()));
    }

    pub fn end(self) -> Outcome {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        for client in self.clients {
            let of_client = client.join().expect("a client");
            all.failed.extend(of_client.failed);
            for (key, count) in of_client.answered {
                *all.answered.entry(key).or_default() += count;
            }
        }
        all
    }
}

fn ask(socket: &Path, is_over: &AtomicBool, answered: &AtomicUsize) -> Outcome {
    let mut outcome = Outcome::default();
    while !is_over.load(Ordering::Relaxed) {
        let mut connection = Connection::open_unix(socket);
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            match request(&mut connection) {
                Ok(answer) if answer.status == 200 => {
                    let replica = answer.header("replica").expect("the load balancer says it").to_owned();
                    *outcome.answered.entry((replica, answer.text())).or_default() += 1;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => outcome.failed.push((begun, format!("{} {}", answer.status, answer.text()))),
                Err(error) => {
                    outcome.failed.push((begun, error.to_string()));
                    break;
                }
            }
        }
    }
    outcome
}

fn request(connection: &mut Connection) -> io::Result<Answer> {
    connection.try_send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")?;
    connection.try_answer()
}
