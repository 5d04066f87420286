//! The example that keeps its files in Azure Blob Storage, against Azurite, the emulator of those who make the storage.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::readme::curl_lines_answer_as_printed;
use crate::support::guest::built_from_source;
use crate::support::http1::Connection;
use crate::support::process::{self, Wagi};

/// The emulator, in memory, on a port of its own.
struct Azurite {
    child: Child,
    port: u16,
    /// It ends when it has something to say and nobody listens.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Azurite {
    fn start() -> Self {
        let mut command = Command::new("azurite-blob");
        command.args(["--inMemoryPersistence", "--disableTelemetry", "--silent", "--blobPort", "0"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("azurite-blob has to be in PATH (npm install azurite)");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let lines = said.by_ref().map_while(Result::ok);
        let mut ports = lines.filter_map(|line| line.split_once("listens on http://127.0.0.1:")?.1.parse().ok());
        let port = ports.next().expect("Azurite says where it listens");
        Self { child, port, _said: said }
    }
}

/// The example as its `modules.toml` has it, but for the file of the program, the emulator's port, and more changes.
fn example(azurite: &Azurite, changes: &[(&str, &str)]) -> Wagi {
    let program = built_from_source("azure-blob.wasm").canonicalize().expect("it is there");
    let port = format!("http://127.0.0.1:{}/", azurite.port);
    let given = [
        ("target/wasm32-wasip1/release/azure-blob.wasm", program.to_str().expect("a path in UTF-8")),
        ("http://127.0.0.1:10000/", &port),
    ];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut manifest = text("modules.toml");
    for (old, new) in given.iter().chain(changes) {
        assert!(manifest.contains(old), "{old}");
        manifest = manifest.replace(old, new);
    }
    std::fs::write(directory.path().join("modules.toml"), manifest).expect("writable");
    let mut command = process::command(directory.path());
    command.args(["-c", "modules.toml", "-l", "127.0.0.1:0"]);
    Wagi::spawn(&mut command).keeping(directory)
}

/// A file of the example.
fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/azure-blob").join(name);
    std::fs::read_to_string(path).expect("it is a text file")
}

fn put(connection: &mut Connection, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
    let length = body.len();
    connection.send(format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    ));
    connection.send(body);
    let answer = connection.answer();
    (answer.status, answer.text())
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn blobs_are_stored_listed_and_read() {
    let azurite = Azurite::start();
    let wagi = example(&azurite, &[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/blobs/").status, 404, "there is no container yet");
    let bytes: Vec<u8> = (0..200_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let stored = (201, "stored\n".to_owned());
    assert_eq!(put(&mut connection, "/blobs/a%20b/%C3%A9.bin", "x/y", &bytes), stored);
    assert_eq!(put(&mut connection, "/blobs/empty", "text/plain", b""), stored);
    assert_eq!(connection.get("/blobs/").text(), "a b/é.bin\nempty\n");
    let read = connection.get("/blobs/a%20b/%C3%A9.bin");
    assert_eq!((read.status, read.header("content-type")), (200, Some("x/y")));
    assert!(read.body == bytes, "the blob comes back changed");
    assert_eq!(connection.get("/blobs/empty").body, b"");
    let missing = connection.get("/blobs/other");
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("<Code>BlobNotFound</Code>"), "{}", missing.text());
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn the_readme_of_the_example_answers_as_printed() {
    let azurite = Azurite::start();
    let wagi = example(&azurite, &[]);
    curl_lines_answer_as_printed(&text("README.md"), &wagi);
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn what_the_storage_says_of_a_wrong_key_reaches_the_caller() {
    let azurite = Azurite::start();
    let wagi = example(&azurite, &[("Eby8vdM02", "Eby8vdM03")]);
    let mut connection = Connection::open(wagi.address());
    let (status, text) = put(&mut connection, "/blobs/name", "text/plain", b"text");
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("<Code>AuthorizationFailure</Code>"), "{text}");
    assert_eq!(connection.get("/blobs/").status, 403);
}

#[test]
#[ignore = "needs azurite-blob; WAGI_GUESTS_DIR: azure"]
fn a_storage_that_may_not_be_called_is_not() {
    let azurite = Azurite::start();
    let wagi = example(&azurite, &[("allowed_hosts = [\"http://127.0.0.1\"]", "")]);
    assert_eq!(Connection::open(wagi.address()).get("/blobs/name").status, 500);
    wagi.logged(&["the storage cannot be called"]);
}
